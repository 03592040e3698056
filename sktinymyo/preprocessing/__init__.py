"""Transformers of EMG windows, for use in scikit-learn pipelines.

All take windows ``(n_windows, n_channels, n_times)`` or the same flattened,
``(n_windows, n_channels * n_times)``, and return the form they were given
(:class:`TimeDomainFeatures` always returns a table of features).
"""

from ._channels import ChannelMapper
from ._features import TimeDomainFeatures
from ._filter import EMGFilter
from ._grid import GridMedian, GridRepair
from ._resampler import EMGResampler
from ._scaler import ChannelScaler

__all__ = [
    "ChannelMapper",
    "ChannelScaler",
    "EMGFilter",
    "EMGResampler",
    "GridMedian",
    "GridRepair",
    "TimeDomainFeatures",
]
