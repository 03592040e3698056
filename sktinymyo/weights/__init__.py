"""Weights: loading, checking and saving them, and knowing where they come from."""

from ._hub import get_cache_folder
from ._loading import (
    LoadedWeights,
    build_model,
    list_weights,
    load_weights,
    read_card,
)
from ._push import PushedWeights, push_weights
from ._saving import save_weights
from .cards import WeightsCard

__all__ = [
    "LoadedWeights",
    "PushedWeights",
    "WeightsCard",
    "build_model",
    "get_cache_folder",
    "list_weights",
    "load_weights",
    "push_weights",
    "read_card",
    "save_weights",
]
