"""From an integer program and its memory plan to C sources and ``weights.bin``.

What depends on the network is data: ``net.h`` holds its sizes, ``net.c`` its tables.
The engine that reads them, the kernels and the machines are the same files for every
network and are copied from the folder ``sources``.
"""

from importlib import resources

import numpy as np

from .._integer.image_program import ImageShape
from .._integer.program import trace_names
from ._makefile import IMAGE_SOURCES, PROGRAM_SOURCES, render_makefile
from ._tables import step_tables

__all__ = ["generate_sources", "pack_weights"]

# MOST_DEPTH of product.c.
MOST_DEPTH = 4096
# Constants in L2 that steps look up.
_ENCODER_PLACES = ("channel_vectors", "rotation", "exp_table")
_IMAGE_PLACES = ("exp_table",)
_CELLS = "extern const int16_t net_cells[NET_CELLS]"


def generate_sources(program, plan, *, vectors=None):
    """Write everything that is compiled for a network.

    Parameters
    ----------
    program : IntegerProgram
        The network.
    plan : MemoryPlan
        Where its tensors lie, for the same shape.
    vectors : tuple of (ndarray, ndarray) or None, default=None
        int8 windows (n, n_channels, n_times) and their int32 logits (n, n_classes):
        linked into the program for the chip, which compares its results with them.
        None links none.

    Returns
    -------
    files : dict of str to bytes
        Contents by path: ``src/...``, ``weights.bin`` and ``Makefile``.

    Raises
    ------
    ValueError
        If the plan is for a network of another shape, a layer is too deep, or the
        vectors do not fit.

    Examples
    --------
    >>> import numpy as np
    >>> from sktinymyo.export._integer.program import (
    ...     IntegerProgram, Preprocess, ProgramShape, expected_arrays)
    >>> from sktinymyo.export.gap9._plan import plan_program
    >>> shape = ProgramShape(
    ...     n_channels=2, n_times=40, patch_size=20, n_patches=2, embed_dim=8,
    ...     n_heads=2, head_dim=4, mlp_dim=16, depth=1, n_classes=3, table_length=2,
    ... )
    >>> arrays = {
    ...     name: np.ones(size, dtype)
    ...     for name, (dtype, size) in expected_arrays(shape).items()
    ... }
    >>> program = IntegerProgram(shape, arrays, Preprocess(n_channels_in=2))
    >>> files = generate_sources(program, plan_program(shape))
    >>> "src/net.c" in files, "src/engine.c" in files
    (True, True)
    """
    if plan.shape != program.shape:
        raise ValueError(
            f"the plan is for {plan.shape}, the program has {program.shape}; plan the "
            "memory of this program with plan_program(program.shape)."
        )
    _check_depth(plan)
    folder = resources.files(__package__) / "sources"
    is_image = isinstance(program.shape, ImageShape)
    sources = IMAGE_SOURCES if is_image else PROGRAM_SOURCES
    files = {
        f"src/{entry.name}": entry.read_bytes()
        for entry in folder.iterdir()
        if entry.name in sources
        or (entry.name.startswith("hal_") and entry.name.endswith(".c"))
        or entry.name.endswith(".h")
    }
    windows, logits = _checked_vectors(program.shape, vectors)
    texts = {
        "src/net.h": _header(program, plan),
        "src/net.c": _tables(program, plan),
        "src/vectors.h": _vectors_header(len(windows)),
        "src/vectors.c": _vectors(program.shape, windows, logits),
        "Makefile": render_makefile(sources),
    }
    files |= {name: text.encode() for name, text in texts.items()}
    return files | {"weights.bin": pack_weights(program, plan)}


def pack_weights(program, plan):
    """Return the contents of ``weights.bin``: constants at the places of the plan.

    Parameters
    ----------
    program : IntegerProgram
        Its constants.
    plan : MemoryPlan
        Its `weights` say where they lie.

    Returns
    -------
    packed : bytes
        Little-endian, row by row; gaps are zeros.
    """
    packed = bytearray(plan.peak["L3"])
    for name, (offset, size) in plan.weights.items():
        array = program.arrays[name]
        data = array.astype(array.dtype.newbyteorder("<")).tobytes()
        if len(data) != size:
            raise ValueError(
                f"the plan has {size} bytes for the array {name!r} of {len(data)} "
                "bytes; plan the memory of this program."
            )
        packed[offset : offset + size] = data
    return bytes(packed)


def _check_depth(plan):
    """Refuse sums that are longer than the host's copies of their operands."""
    for step in plan.steps:
        # The head reads its operands where they lie.
        depth = 0 if step.kind == "head" else step.parameters.get("n_in", 0)
        depth = max(depth, step.parameters.get("key_block", 0))
        if depth > MOST_DEPTH:
            raise ValueError(
                f"the layer {step.layer!r} adds {depth} products; the C program adds "
                f"at most {MOST_DEPTH}. Use a narrower network."
            )


def _checked_vectors(shape, vectors):
    """Return windows and logits, none of each if there are no vectors."""
    if vectors is None:
        none = np.empty((0, shape.n_channels, shape.n_times), dtype=np.int8)
        return none, np.empty((0, shape.n_classes), dtype=np.int32)
    windows, logits = (np.asarray(array) for array in vectors)
    expected = (len(windows), shape.n_channels, shape.n_times)
    if (
        windows.shape != expected
        or logits.shape != (len(windows), shape.n_classes)
        or (windows.dtype, logits.dtype) != (np.int8, np.int32)
    ):
        raise ValueError(
            f"vectors are {windows.dtype} of shape {windows.shape} and {logits.dtype} "
            f"of shape {logits.shape}; they must be int8 (n, {shape.n_channels}, "
            f"{shape.n_times}) and int32 (n, {shape.n_classes})."
        )
    return windows, logits


def _header(program, plan):
    """Return net.h: sizes as macros, and what net.c defines."""
    shape, before = program.shape, program.preprocess
    is_image = isinstance(shape, ImageShape)
    own = _image_sizes(program) if is_image else _encoder_sizes(shape)
    sections = 0 if before.sos is None else len(before.sos)
    zero_phase = bool(sections) and before.phase == "zero"
    sizes = {
        "CHANNELS": shape.n_channels,
        "TIMES": shape.n_times,
        **own,
        "POOLED": shape.n_pooled,
        "CLASSES": shape.n_classes,
        "CHANNELS_IN": before.n_channels_in,
        "MAPPED": int(before.mapper is not None),
        "SECTIONS": sections,
        "ZERO_PHASE": int(zero_phase),
        "PADDING": before.pad_length if zero_phase else 0,
        "WEIGHTS_BYTES": plan.peak["L3"],
        "STEPS": len(plan.steps),
        "TRANSFERS": len(plan.transfers),
        # A slot serves the constants that stay, also if nothing else is streamed.
        "PIECES": max((len(t.pieces) for t in plan.transfers), default=1),
        "RESIDENTS": len(plan.resident),
        "LAYERS": len(trace_names(shape)),
    }
    macros = "\n".join(f"#define NET_{name} {size}" for name, size in sizes.items())
    constants = _IMAGE_PLACES if is_image else _ENCODER_PLACES
    places = ", ".join(f"net_{name}" for name in constants)
    cells = "\n/* Channel of every cell; -1 is none. */\n" + _CELLS + ";\n"
    return f"""/* Sizes of the network. Generated; see net.c. */
#ifndef NET_H
#define NET_H

#include "program.h"

{macros}

/* Cores that share a tile. */
#ifndef NET_CORES
#define NET_CORES 8
#endif

/* Bytes of the arenas: the peaks of the plan. */
#ifndef NET_L1_BYTES
#define NET_L1_BYTES {plan.peak["L1"]}
#endif
#ifndef NET_L2_BYTES
#define NET_L2_BYTES {plan.peak["L2"]}
#endif

extern const net_step net_steps[NET_STEPS];
extern const net_transfer net_transfers[];
extern const net_piece net_pieces[];
extern const net_piece net_residents[NET_RESIDENTS];
extern const char *const net_layers[NET_LAYERS];

/* Places in L2. */
extern const uint32_t net_slabs[2];
extern const uint32_t net_input, net_logits;
extern const uint32_t {places};

/* The preprocessing; what it does not have is zeros. */
extern const float net_mapper[][NET_CHANNELS_IN];
extern const float net_sections[NET_SECTIONS + 1][6];
extern const float net_initial_state[NET_SECTIONS + 1][2];
extern const float net_input_scale[NET_CHANNELS];
extern const float net_input_offset[NET_CHANNELS];
{cells if is_image else ""}
#endif
"""


def _encoder_sizes(shape):
    return {
        "PATCH_SIZE": shape.patch_size,
        "PATCHES": shape.n_patches,
        "TOKENS": shape.n_tokens,
        "WIDTH": shape.embed_dim,
        "HEADS": shape.n_heads,
        "HEAD_DIM": shape.head_dim,
        "HIDDEN": shape.mlp_dim,
        "TABLE_LENGTH": shape.table_length,
        "INPUT_BYTES": shape.n_tokens * shape.patch_size,
    }


def _image_sizes(program):
    shape = program.shape
    return {
        "VOTING": shape.n_voting,
        "CELLS": shape.n_cells,
        "WIDTH": shape.n_pooled,
        "INPUT_ZERO": int(program.arrays["input.zero"]),
        "INPUT_BYTES": shape.n_cells,
    }


def _tables(program, plan):
    """Return net.c."""
    places = "\n".join(
        f" * {name:<32} {offset:>9} {size:>9}"
        for name, (offset, size) in plan.weights.items()
    )
    tables = step_tables(program, plan)
    return f"""/* Generated from an integer program and its memory plan.
 *
 * weights.bin: array, offset and size in bytes
{places}
 */
#include "net.h"

{tables}
{_places(program.shape, plan)}

{_preprocessing(program)}{_cells(program)}"""


def _cells(program):
    """Return the map from cells to channels of a network for images."""
    if not isinstance(program.shape, ImageShape):
        return ""
    cells = _initialiser(program.arrays["cells"].ravel(), str)
    return f"{_CELLS.removeprefix('extern ')} =\n    {cells};\n"


def _places(shape, plan):
    """Return the constants that name places in L2."""
    is_image = isinstance(shape, ImageShape)
    names = ("input", "logits", *(_IMAGE_PLACES if is_image else _ENCODER_PLACES))
    # There are no slab buffers if all constants stay.
    offsets = {buffer.name: buffer.offset for buffer in plan.buffers}
    slabs = ", ".join(str(offsets.get(f"slab{index}", 0)) for index in range(2))
    lines = [f"const uint32_t net_slabs[2] = {{{slabs}}};"]
    lines += [f"const uint32_t net_{n} = {plan.buffer(n).offset};" for n in names]
    return "\n".join(lines)


def _preprocessing(program):
    """Return the float32 constants, written without rounding."""
    before, arrays = program.preprocess, program.arrays
    mapper = before.mapper
    if mapper is None:
        # Read by nobody; a row, for C has no empty arrays.
        mapper = np.zeros((1, before.n_channels_in))
    # One row more than there are sections: C has no empty arrays.
    sections, state = np.zeros((1, 6)), np.zeros((1, 2))
    if before.sos is not None:
        sections = np.concatenate([before.sos, sections])
        state = np.concatenate([before.initial_state, state])
    tables = {
        "net_mapper[][NET_CHANNELS_IN]": mapper,
        "net_sections[NET_SECTIONS + 1][6]": sections,
        "net_initial_state[NET_SECTIONS + 1][2]": state,
        "net_input_scale[NET_CHANNELS]": arrays["input.scale"],
        "net_input_offset[NET_CHANNELS]": arrays["input.offset"],
    }
    return "".join(
        f"const float {name} = {_initialiser(values, _float)};\n"
        for name, values in tables.items()
    )


def _float(value):
    """Return a float32 in hexadecimal: exact, as the decimal form need not be."""
    return float(np.float32(value)).hex() + "f"


def _initialiser(values, write):
    """Return nested braces with the values of an array, one row a line."""
    if np.ndim(values) > 1:
        return "{\n" + ",\n".join(_initialiser(row, write) for row in values) + "}"
    return "{" + ", ".join(write(value) for value in values) + "}"


def _vectors_header(n_vectors):
    """Return vectors.h."""
    return f"""/* Windows and their logits, for a device without files. Generated. */
#ifndef VECTORS_H
#define VECTORS_H

#include "net.h"

#define NET_VECTORS {n_vectors}

extern const int8_t net_vector_input[NET_VECTORS + 1][NET_CHANNELS * NET_TIMES];
extern const int32_t net_vector_logits[NET_VECTORS + 1][NET_CLASSES];

#endif
"""


def _vectors(shape, windows, logits):
    """Return vectors.c; one row of zeros stands behind, for C has no empty arrays."""
    inputs = windows.reshape(len(windows), shape.n_channels * shape.n_times)
    inputs = np.concatenate([inputs, np.zeros((1, inputs.shape[1]), dtype=np.int8)])
    results = np.concatenate([logits, np.zeros((1, shape.n_classes), np.int32)])
    return f"""#include "vectors.h"

const int8_t net_vector_input[NET_VECTORS + 1][NET_CHANNELS * NET_TIMES] =
    {_initialiser(inputs, str)};

const int32_t net_vector_logits[NET_VECTORS + 1][NET_CLASSES] =
    {_initialiser(results, str)};
"""
