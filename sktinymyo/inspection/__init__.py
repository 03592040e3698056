"""Figures that show what a model does with recordings."""

from ._reconstruction import ReconstructionDisplay

__all__ = ["ReconstructionDisplay"]
