"""Pure functions on arrays: filters, resampling, sliding windows, features.

Nothing here knows scikit-learn's estimators or torch. Arrays keep their
floating type (float32 stays float32), are never modified, and have time as
the last axis.
"""

from .armband import align_maps, align_wearings, strength_map
from .features import FEATURE_GROUPS, extract_features, resolve_features
from .filters import (
    design_filter,
    filter_block,
    filter_recording,
    filter_windows,
    padding_length,
)
from .grid import (
    find_bad_channels,
    grid_cells,
    grid_images,
    grid_median,
    grid_neighbors,
    repair_weights,
)
from .resampling import resample, resampling_ratio
from .segments import split_recordings
from .voting import majority_vote
from .windows import sliding_windows

__all__ = [
    "FEATURE_GROUPS",
    "align_maps",
    "align_wearings",
    "design_filter",
    "extract_features",
    "filter_block",
    "filter_recording",
    "filter_windows",
    "find_bad_channels",
    "grid_cells",
    "grid_images",
    "grid_median",
    "grid_neighbors",
    "majority_vote",
    "padding_length",
    "repair_weights",
    "resample",
    "resampling_ratio",
    "resolve_features",
    "sliding_windows",
    "split_recordings",
    "strength_map",
]
