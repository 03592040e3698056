"""From a fitted Pipeline to a graph (ONNX) and to a program for a GAP9.

Names are imported on first use: a graph can be made without what the chip needs, and
neither loads onnx, skl2onnx or matplotlib before it is called.
"""

import importlib

_ORIGIN = {
    "ExportError": "onnx",
    "ExportReport": "onnx",
    "GraphContract": "onnx",
    "QuantizationReport": "onnx",
    "estimate_gap9": "gap9",
    "export_gap9": "gap9",
    "quantize_onnx": "onnx",
    "read_contract": "onnx",
    "read_quantization": "onnx",
    "read_report": "onnx",
    "register_converters": "onnx",
    "to_onnx": "onnx",
    "verify_onnx": "onnx",
}

__all__ = sorted(_ORIGIN)


def __getattr__(name):
    if name not in _ORIGIN:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f".{_ORIGIN[name]}", __name__), name)


def __dir__():
    return sorted({*globals(), *__all__})
