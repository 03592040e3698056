"""Sizes of a program, from the plain form that they have in a file."""

from .image_program import ConvolutionSize, ImageShape
from .program import ProgramShape

__all__ = ["is_shape", "shape_from_dict"]


def is_shape(thing):
    """Say whether something is the shape of a program."""
    return isinstance(thing, ProgramShape | ImageShape)


def shape_from_dict(fields):
    """Make a shape of what ``dataclasses.asdict`` made of it.

    Parameters
    ----------
    fields : dict

    Returns
    -------
    shape : ProgramShape or ImageShape

    Raises
    ------
    TypeError, ValueError
        If it is none.
    """
    if "layers" not in fields:
        return ProgramShape(**fields)
    layers = tuple(ConvolutionSize(**layer) for layer in fields["layers"])
    return ImageShape(**fields | {"layers": layers})
