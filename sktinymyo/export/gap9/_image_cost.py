"""What convolutions and votes cost beside their products."""

__all__ = ["IMAGE_ORIGIN", "image_counts", "image_cycles"]

_CORES = 8
# Instructions of gather_row and of vote_add, a cycle each: three copies or fills are
# called for a row of the kernel, and copy four bytes by a load and a store; a class of
# a vote takes a division and a look-up, on one core.
_KERNEL_ROW = 60
_BYTE = 0.5
_CLASS = 100
IMAGE_ORIGIN = (
    "laying out the neighbours of every cell, and votes: instructions counted in the "
    "source, a cycle each; not measured"
)


def image_counts(shape):
    """Return multiplications (with the inputs of the layer) and elements by layer.

    Parameters
    ----------
    shape : ImageShape

    Returns
    -------
    counts : dict of str to dict
        Of one image.
    """
    counts = {}
    for size in shape.convolutions:
        n_products = size.cells_out * size.depth * size.n_out
        counts[size.layer] = {"linear": (n_products, size.depth)}
    counts["pool"] = {"add": (size.cells_out * size.n_out, None)}
    counts["head"] = {"linear": (shape.n_classes * shape.n_pooled, shape.n_pooled)}
    return counts | {"vote": {}}


def image_cycles(shape, name):
    """Return the cycles of a layer that are no products, for one image.

    Parameters
    ----------
    shape : ImageShape
    name : str
        Layer.

    Returns
    -------
    cycles : dict of str to float
        "gather" of a convolution, "vote" of the vote.

    Examples
    --------
    >>> from sktinymyo.export._integer.image_program import ConvolutionSize, ImageShape
    >>> from sktinymyo.export.gap9._image_cost import image_cycles
    >>> shape = ImageShape(16, 1, 1, 4, 4, 5, (ConvolutionSize(8, 3, 3),))
    >>> image_cycles(shape, "layers.0"), image_cycles(shape, "vote")
    ({'gather': 369.0}, {'vote': 500})
    """
    if name == "vote":
        return {"vote": shape.n_classes * _CLASS}
    for size in shape.convolutions:
        if size.layer == name:
            once = size.kernel[0] * _KERNEL_ROW + size.depth * _BYTE
            return {"gather": size.cells_out * once / _CORES}
    return {}
