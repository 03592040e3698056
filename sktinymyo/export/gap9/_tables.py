"""The tables of ``net.c``: steps, how they are cut, and transfers."""

from .._integer.program import trace_names

__all__ = ["constant_bytes", "step_tables"]

# Kinds of the plan that have one name in C; the others depend on their parts.
_KINDS = {
    "patch": "STEP_PATCH",
    "layer_norm": "STEP_NORM",
    "attention": "STEP_ATTENTION",
    "projection": "STEP_SUM",
    "hidden": "STEP_HIDDEN",
    "output": "STEP_OUTPUT",
    "pool": "STEP_POOL",
    "convolution": "STEP_CONVOLUTION",
    "head": "STEP_HEAD",
}
# Fields of a layout that have the name of a parameter of the plan.
_CUTS = ("row_tile", "out_tile", "slab", "n_in", "n_out", "key_block", "rotation_rows")
_CUTS += ("stays",)
_CONVOLUTION = ("channels", "map_rows", "map_columns", "out_columns")
_CONVOLUTION += ("kernel_rows", "kernel_columns", "row_stride", "column_stride")
_CONSTANTS = ("weight", "bias", "multiplier", "shift")
_SLAB = ("weight", "bias", "multiplier", "shift", "table", "gain", "offset")
_L1 = ("input", "output", "weight", "bias", "multiplier", "shift", "vectors")
_L1 += ("rotation", "table", "gain", "offset", "query", "key", "value", "scores")
_L1 += ("accumulators", "sums", "exp_table")

# Bytes of the structures of program.h where a pointer has 32 bits.
_LAYOUT_BYTES, _STEP_BYTES, _TRANSFER_BYTES, _PIECE_BYTES = 136, 72, 8, 12
_CONVOLUTION_BYTES = 36
_POINTER_BYTES = 4
# Before and behind the arena, see memory.c.
_GUARD_BYTES = 2 * 64


def constant_bytes(plan, n_vectors=0):
    """Return the bytes beside the arena that the program keeps in L2, by name.

    Parameters
    ----------
    plan : MemoryPlan
    n_vectors : int, default=0
        Windows of ``vectors.c``, which only the program that tests the chip links.

    Returns
    -------
    sizes : dict of str to int
        "tables" of ``net.c`` without those of the preprocessing, "guards" of the
        arena, and "vectors".
    """
    shape = plan.shape
    layouts = {
        (*_layout(s, plan).items(), *_convolution(s).items()) for s in plan.steps
    }
    convolutions = {tuple(_convolution(s).items()) for s in plan.steps} - {()}
    pieces = sum(len(transfer.pieces) for transfer in plan.transfers)
    names = trace_names(shape)
    tables = len(layouts) * _LAYOUT_BYTES + len(plan.steps) * _STEP_BYTES
    tables += len(plan.transfers) * _TRANSFER_BYTES
    tables += (pieces + len(plan.resident)) * _PIECE_BYTES
    tables += len(convolutions) * _CONVOLUTION_BYTES
    tables += sum(_POINTER_BYTES + len(name) + 1 for name in names)
    window = shape.n_channels * shape.n_times + 4 * shape.n_classes
    # One row of zeros stands behind the windows.
    vectors = (n_vectors + 1) * window if n_vectors else 0
    return {"tables": tables, "guards": _GUARD_BYTES, "vectors": vectors}


def step_tables(program, plan):
    """Write the tables that say what the engine does.

    Parameters
    ----------
    program : IntegerProgram
        Its scalar constants stand in the steps.
    plan : MemoryPlan
        Steps, transfers and places.

    Returns
    -------
    text : str
        Definitions in C.
    """
    layouts, convolutions, steps = [], [], []
    names = trace_names(program.shape)
    for step in plan.steps:
        layout, size = _layout(step, plan), _convolution(step)
        if size:
            convolutions += [size] if size not in convolutions else []
            place = convolutions.index(size)
            layout["convolution"] = f"&convolutions[{place}]"
        if layout not in layouts:
            layouts.append(layout)
        fields = {
            "kind": _kind(step),
            "layer": names.index(step.layer),
            "cut": f"&layouts[{layouts.index(layout)}]",
            **_tokens(step),
            **_places(step, plan),
            **_scalars(step, program),
        }
        steps.append(_braces(fields))
    residents = [
        _piece(*plan.weights[array], plan.buffer(buffer).offset)
        for buffer, array in plan.resident.items()
    ]
    pieces, transfers = [], []
    for transfer in plan.transfers:
        transfers.append(f"{{{len(pieces)}, {len(transfer.pieces)}}}")
        pieces += [_piece(p.source, p.size, p.target) for p in transfer.pieces]
    quoted = [f'"{name}"' for name in names]
    return "\n".join(
        [
            *(
                [_array("static const net_convolution convolutions[]", sizes)]
                if (sizes := [_braces(size) for size in convolutions])
                else []
            ),
            _array("static const net_layout layouts[]", map(_braces, layouts)),
            _array("const net_step net_steps[NET_STEPS]", steps),
            _array("const net_transfer net_transfers[]", transfers or ["{0, 0}"]),
            _array("const net_piece net_pieces[]", pieces or [_piece(0, 0, 0)]),
            _array("const net_piece net_residents[NET_RESIDENTS]", residents),
            _array("const char *const net_layers[NET_LAYERS]", quoted),
        ]
    )


def _kind(step):
    if step.kind == "attention_inputs":
        is_value = step.layer.endswith(".value")
        return "STEP_VALUES" if is_value else "STEP_ROTATED"
    return _KINDS[step.kind]


def _convolution(step):
    """Return the fields of a net_convolution; none for other steps."""
    if step.kind != "convolution":
        return {}
    fields = {name: step.parameters[name] for name in _CONVOLUTION}
    return fields | {"l1_map": step.l1["map"][0]}


def _layout(step, plan):
    """Return the fields of a net_layout that are not 0."""
    parameters = dict(step.parameters)
    if step.kind == "attention":
        parameters["row_tile"] = parameters["query_rows"]
    if step.kind == "pool":
        parameters["n_out"] = parameters["groups"]
    if "stays" in parameters:
        for name in _CONSTANTS:
            place = plan.buffer(f"{step.layer}.{name}").offset
            parameters[f"slab_{name}"] = place
    fields = {name: parameters.get(name, 0) for name in _CUTS}
    fields |= {f"slab_{name}": parameters.get(f"slab_{name}", 0) for name in _SLAB}
    fields |= {f"l1_{name}": step.l1.get(name, (0, 0))[0] for name in _L1}
    return {name: value for name, value in fields.items() if value}


def _tokens(step):
    parameters = step.parameters
    count = parameters.get("group_rows", parameters.get("token_count", 0))
    start = parameters.get("token_start", 0)
    fields = {"token_start": start, "token_count": count}
    if step.kind in ("attention", "attention_inputs"):
        # Columns of the head in the layer, also for parts that are stored by heads.
        width = parameters.get("head_dim", parameters.get("n_out"))
        fields["output_start"] = parameters["head"] * width
    return fields


def _places(step, plan):
    """Return the places in L2."""
    place = {role: plan.buffer(name).offset for role, name in step.buffers.items()}
    place["input"] = place.pop("query", place.get("input"))
    return {
        role: place[role]
        for role in ("input", "output", "key", "value")
        if role in place
    }


def _scalars(step, program):
    """Return the constants of a step that are single numbers."""
    arrays = program.arrays

    def factor(prefix):
        numbers = (arrays[f"{prefix}multiplier"], arrays[f"{prefix}shift"])
        return "{" + ", ".join(str(int(number)) for number in numbers) + "}"

    layer = step.layer
    if step.kind == "layer_norm":
        fields = {name: int(arrays[f"{layer}.{name}"]) for name in ("zero", "shift")}
        return fields | {"epsilon": f"UINT64_C({int(arrays[f'{layer}.epsilon'])})"}
    if step.kind == "attention":
        return {
            "scale": factor(f"{layer}.exp_"),
            "out_scale": factor(f"{layer}.out_"),
        }
    if step.kind in ("projection", "output"):
        return {"scale": factor(f"{layer}.skip_")}
    if step.kind in ("hidden", "convolution"):
        return {"zero": int(arrays[f"{layer}.zero"])}
    if step.kind == "pool":
        return {
            "scale": factor("pool."),
            "zero": int(arrays[f"{program.shape.pooled_layer}.zero"]),
        }
    return {}


def _piece(source, size, target):
    return f"{{{source}, {size}, {target}}}"


def _braces(fields):
    return "{" + ", ".join(f".{name} = {value}" for name, value in fields.items()) + "}"


def _array(declaration, rows):
    return f"{declaration} = {{\n" + "".join(f"    {row},\n" for row in rows) + "};\n"
