"""The README of a bundle."""

import json
import re

from .._integer.image_program import ImageShape
from ._tables import constant_bytes

__all__ = ["render_readme"]

_TEXT = """\
# {title}

Written by sktinymyo {version}. `manifest.json` describes everything; its checksums
cover every other file.

| file | what it is |
|---|---|
| `manifest.json` | input, labels, memory, estimates, checks, licence, checksums |
| `model_fp32.onnx`, `model_int8.onnx` | the whole pipeline for onnxruntime |
| `deeploy/` | the float network in the form that Deeploy reads, with one example |
| `src/` | the C program: `net.c` (this network), the same engine for all networks |
| `weights.bin` | constants; where each lies is in `plan.json` and `src/net.c` |
| `plan.json` | place and lifetime of every buffer, tiles, slabs |
| `ref/` | windows, results and the CRC-32 of every layer |
| `Makefile` | `make host`, `make qemu`, `make gap9` (needs the SDK of the chip) |

## Input

{n_channels} channels x {n_times} samples, float32, {rate}. Units are those of the
windows that the export was calibrated with; other amplifications need another export.
{preprocessing}

{reference}

## Output

{output}; the label is the first of the
largest: {classes}.

## Memory

L1 {l1} bytes, L2 {l2} bytes with the tables of `net.c`,
L3 (`weights.bin`) {l3} bytes.

## What was never done

Nothing here ran on a GAP9: its SDK is not public. `src/hal_gap9.c` is compiled in the
tests of sktinymyo against a stub of the SDK's headers, and never ran. Times and
energies in the manifest are estimates, {error} off in either direction. What was
checked of this bundle, and with what result, is in the manifest under `checks`.

## Check and use it

```python
from sktinymyo.export.gap9 import GAP9Bundle

bundle = GAP9Bundle("path/of/this/folder")
for check in bundle.verify():
    print(check)
labels = bundle.predict(windows)
```

## Licence of the weights

{notice}
"""

_OUTPUT = {
    "tokens": "One int32 logit for each label, in units of 2^-16",
    "images": "Every voting sample of a window is an image and one run of the network. "
    "One int32 score of\nthe vote for each label, in units of 2^-30",
}
_REFERENCE = {
    "calibration": "`ref/`, `deeploy/` and `src/vectors.c` hold {} of the windows of "
    "the calibration:\nrecordings of a person, if these were. Treat them so.",
    "simulated": "`ref/`, `deeploy/` and `src/vectors.c` hold {} simulated windows, no "
    "recordings.",
}


def _label(value):
    """Quote a label so that nothing in it is read as Markdown, and on one line."""
    text = str(value)
    text = text if text.isprintable() else json.dumps(text)
    fence = "`" * (max(map(len, re.findall("`+", text)), default=0) + 1)
    return f"{fence} {text} {fence}" if "`" in text else f"`{text}`"


def render_readme(manifest, plan):
    """Write the README of a bundle.

    Parameters
    ----------
    manifest : dict
        Content of the manifest.
    plan : MemoryPlan

    Returns
    -------
    text : str
    """
    contract, shape = manifest["input"], manifest["shape"]
    is_image = isinstance(plan.shape, ImageShape)
    reference = manifest["reference"]
    rate = contract["sfreq_hz"]
    filtering = contract["filter"]
    steps = []
    if contract["mapper"] is not None:
        steps.append("maps the channels")
    if filtering is not None:
        way = {"causal": "forwards", "zero": "forwards and backwards"}
        steps.append(f"filters {way[filtering['phase']]}")
    steps.append("scales and quantises")
    peak = plan.peak
    return _TEXT.format(
        title=f"EMG network for a GAP9, {shape['n_classes']} classes",
        version=manifest["created_by"]["version"],
        n_channels=contract["n_channels"],
        n_times=contract["n_times"],
        rate="rate not stated" if rate is None else f"{rate:g} Hz",
        preprocessing=f"The program {', then '.join(steps)}.",
        output=_OUTPUT["images" if is_image else "tokens"],
        reference=_REFERENCE[reference["source"]].format(reference["n_windows"]),
        classes=", ".join(map(_label, manifest["classes"]["values"])),
        l1=peak["L1"],
        l2=peak["L2"] + sum(constant_bytes(plan).values()),
        l3=peak["L3"],
        error=f"{manifest['estimates']['published']['cycles_error_share']:.0%}",
        notice=manifest["weights"]["notice"],
    )
