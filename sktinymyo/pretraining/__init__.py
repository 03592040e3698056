"""Pretraining: encoders of your own recordings, or of anybody's."""

from ._pretrainer import TinyMyoPretrainer

__all__ = ["TinyMyoPretrainer"]
