"""Electrodes on the forearm: armband and grid."""

from dataclasses import dataclass

import numpy as np

__all__ = ["Electrodes", "make_armband", "make_grid"]


@dataclass(frozen=True)
class Electrodes:
    """Places where the potential is taken.

    Parameters
    ----------
    angle : ndarray of shape (n_electrodes,)
        Around the limb, rad; 0 is the middle of the palmar side, positive
        towards the thumb.
    position : ndarray of shape (n_electrodes,)
        Along the limb, mm, growing towards the hand.
    width, length : float
        Size of an electrode around and along the limb, mm.
    spacing : float or None, default=None
        Distance along the limb of the two poles of a bipolar channel, mm; None
        for a monopolar one.
    average : bool, default=False
        Take the mean of all electrodes away.
    """

    angle: np.ndarray
    position: np.ndarray
    width: float
    length: float
    spacing: float | None = None
    average: bool = False


def make_armband(n_channels, montage, rotation, shift):
    """Electrodes evenly around the forearm.

    Parameters
    ----------
    n_channels : int
        Number of channels.
    montage : {"bipolar", "average"}
        Two poles 15 mm apart along the fibres, or single electrodes against
        the mean of all.
    rotation : float
        Angle of the first channel, rad.
    shift : float
        Position along the limb, mm.

    Returns
    -------
    electrodes : Electrodes
    """
    return Electrodes(
        angle=rotation + 2 * np.pi * np.arange(n_channels) / n_channels,
        position=np.full(n_channels, float(shift)),
        width=10.0,
        length=8.0,
        spacing=15.0 if montage == "bipolar" else None,
        average=montage == "average",
    )


def make_grid(grid, distance, radius, angle, shift):
    """Monopolar electrodes in rows along and columns around the forearm.

    Parameters
    ----------
    grid : tuple of 2 int
        Rows (along the limb) and columns (around it).
    distance : float
        Between neighbours, mm.
    radius : float
        Of the limb, mm.
    angle, shift : float
        Centre of the grid around (rad) and along (mm) the limb.

    Returns
    -------
    electrodes : Electrodes
        Row by row, channel = row * n_columns + column.
    """
    n_rows, n_columns = grid
    along = (np.arange(n_rows) - (n_rows - 1) / 2) * distance + shift
    around = (np.arange(n_columns) - (n_columns - 1) / 2) * distance / radius + angle
    size = min(4.0, 0.8 * distance)
    return Electrodes(
        angle=np.tile(around, n_rows),
        position=np.repeat(along, n_columns),
        width=size,
        length=size,
    )
