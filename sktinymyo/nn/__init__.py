"""Networks in plain torch: the TinyMyo encoder, its heads, a fast path; All-ConvNet."""

from ._attention import rotary_table, rotate
from ._dropout import Dropout, DropPath, set_generator
from ._packed import PackedTinyMyo, pack
from ._processor import bf16_is_fast, fast_matmul, micro_batch_size
from .all_conv_net import AllConvNet, AllConvNetConfig
from .augmentation import AUGMENTATIONS, augment_windows
from .losses import FeatureMatching, softened_divergence
from .masked import MASK_FORMS, MaskedAutoencoder, draw_mask, patch_targets
from .regression import MeanRegressionHead
from .sizes import SIZES, config_of_size
from .tinymyo import (
    ClassificationHead,
    ReconstructionHead,
    RegressionHead,
    TinyMyo,
    TinyMyoConfig,
)

__all__ = [
    "AUGMENTATIONS",
    "AllConvNet",
    "AllConvNetConfig",
    "ClassificationHead",
    "DropPath",
    "Dropout",
    "FeatureMatching",
    "MASK_FORMS",
    "MaskedAutoencoder",
    "MeanRegressionHead",
    "PackedTinyMyo",
    "ReconstructionHead",
    "RegressionHead",
    "SIZES",
    "TinyMyo",
    "TinyMyoConfig",
    "augment_windows",
    "bf16_is_fast",
    "config_of_size",
    "draw_mask",
    "fast_matmul",
    "micro_batch_size",
    "pack",
    "patch_targets",
    "rotary_table",
    "rotate",
    "set_generator",
    "softened_divergence",
]
