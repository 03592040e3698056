"""A foundation model for surface EMG in scikit-learn.

Public names are imported on first use (:pep:`562`), so that ``import sktinymyo``
loads neither torch nor pandas nor matplotlib, and the filters and features can
be used without ever loading torch.
"""

import importlib
from typing import TYPE_CHECKING

__version__ = "0.1.0"

if TYPE_CHECKING:
    from . import (
        adaptation,
        datasets,
        distillation,
        exceptions,
        export,
        inspection,
        model_selection,
        nn,
        preprocessing,
        pretraining,
        signal,
        utils,
        weights,
    )
    from ._all_conv_net import AllConvNetClassifier
    from ._classifier import TinyMyoClassifier
    from ._embedder import TinyMyoEmbedder
    from ._regressor import TinyMyoRegressor
    from .adaptation import ArmbandAlignedClassifier
    from .distillation import DistilledClassifier, DistilledRegressor
    from .export import estimate_gap9, export_gap9, to_onnx
    from .preprocessing import (
        ChannelMapper,
        ChannelScaler,
        EMGFilter,
        EMGResampler,
        GridMedian,
        GridRepair,
        TimeDomainFeatures,
    )
    from .pretraining import TinyMyoPretrainer
    from .signal import sliding_windows

__all__ = [
    "AllConvNetClassifier",
    "ArmbandAlignedClassifier",
    "ChannelMapper",
    "ChannelScaler",
    "DistilledClassifier",
    "DistilledRegressor",
    "EMGFilter",
    "EMGResampler",
    "GridMedian",
    "GridRepair",
    "TimeDomainFeatures",
    "TinyMyoClassifier",
    "TinyMyoEmbedder",
    "TinyMyoPretrainer",
    "TinyMyoRegressor",
    "adaptation",
    "datasets",
    "distillation",
    "estimate_gap9",
    "exceptions",
    "export",
    "export_gap9",
    "inspection",
    "model_selection",
    "nn",
    "preprocessing",
    "pretraining",
    "signal",
    "sliding_windows",
    "to_onnx",
    "utils",
    "weights",
]

# A name maps to the module that defines it; a module maps to itself.
_ORIGIN = {
    "AllConvNetClassifier": "_all_conv_net",
    "ArmbandAlignedClassifier": "adaptation",
    "ChannelMapper": "preprocessing",
    "ChannelScaler": "preprocessing",
    "DistilledClassifier": "distillation",
    "DistilledRegressor": "distillation",
    "EMGFilter": "preprocessing",
    "EMGResampler": "preprocessing",
    "GridMedian": "preprocessing",
    "GridRepair": "preprocessing",
    "TimeDomainFeatures": "preprocessing",
    "TinyMyoClassifier": "_classifier",
    "TinyMyoEmbedder": "_embedder",
    "TinyMyoPretrainer": "pretraining",
    "TinyMyoRegressor": "_regressor",
    "estimate_gap9": "export",
    "export_gap9": "export",
    "sliding_windows": "signal",
    "to_onnx": "export",
} | {
    name: name
    for name in (
        "adaptation",
        "datasets",
        "distillation",
        "exceptions",
        "export",
        "inspection",
        "model_selection",
        "nn",
        "preprocessing",
        "pretraining",
        "signal",
        "utils",
        "weights",
    )
}


def __getattr__(name):
    if name not in _ORIGIN:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    origin = _ORIGIN[name]
    value = importlib.import_module(f".{origin}", __name__)
    if origin != name:
        value = getattr(value, name)
    # Kept, so that the next access does not come here again.
    globals()[name] = value
    return value


def __dir__():
    return sorted({*globals(), *__all__})
