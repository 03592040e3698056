"""Figures that show what a model does with recordings."""

from ._grid import GridDisplay
from ._reconstruction import ReconstructionDisplay

__all__ = ["GridDisplay", "ReconstructionDisplay"]
