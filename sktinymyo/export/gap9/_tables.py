"""The tables of ``net.c``: steps, how they are cut, and transfers."""

from .._integer.program import trace_names

__all__ = ["step_tables"]

# Kinds of the plan that have one name in C; the others depend on their parts.
_KINDS = {
    "patch": "STEP_PATCH",
    "layer_norm": "STEP_NORM",
    "attention": "STEP_ATTENTION",
    "projection": "STEP_SUM",
    "hidden": "STEP_HIDDEN",
    "output": "STEP_OUTPUT",
    "pool": "STEP_POOL",
    "head": "STEP_HEAD",
}
# Fields of a layout that have the name of a parameter of the plan.
_CUTS = ("row_tile", "out_tile", "slab", "n_in", "n_out", "key_block", "rotation_rows")
_SLAB = ("weight", "bias", "multiplier", "shift", "table", "gain", "offset")
_L1 = ("input", "output", "weight", "bias", "multiplier", "shift", "vectors")
_L1 += ("rotation", "table", "gain", "offset", "query", "key", "value", "scores")
_L1 += ("accumulators", "sums", "exp_table")


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
    layouts, steps = [], []
    names = trace_names(program.shape)
    for step in plan.steps:
        layout = _layout(step)
        if layout not in layouts:
            layouts.append(layout)
        fields = {
            "kind": _kind(step),
            "layer": names.index(step.layer),
            "cut": f"&layouts[{layouts.index(layout)}]",
            **_tokens(step),
            **_places(step, plan),
            **_scalars(step, program.arrays),
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
            _array("static const net_layout layouts[]", map(_braces, layouts)),
            _array("const net_step net_steps[NET_STEPS]", steps),
            _array("const net_transfer net_transfers[NET_TRANSFERS]", transfers),
            _array("const net_piece net_pieces[]", pieces),
            _array("const net_piece net_residents[NET_RESIDENTS]", residents),
            _array("const char *const net_layers[NET_LAYERS]", quoted),
        ]
    )


def _kind(step):
    if step.kind == "attention_inputs":
        is_value = step.layer.endswith(".value")
        return "STEP_VALUES" if is_value else "STEP_ROTATED"
    return _KINDS[step.kind]


def _layout(step):
    """Return the fields of a net_layout that are not 0."""
    parameters = dict(step.parameters)
    if step.kind == "attention":
        parameters["row_tile"] = parameters["query_rows"]
    if step.kind == "pool":
        parameters["n_out"] = parameters["groups"]
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


def _scalars(step, arrays):
    """Return the constants of a step that are single numbers."""

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
    if step.kind == "hidden":
        return {"zero": int(arrays[f"{layer}.zero"])}
    if step.kind == "pool":
        return {"scale": factor("pool."), "zero": int(arrays["norm.zero"])}
    return {}


def _piece(source, size, target):
    return f"{{{source}, {size}, {target}}}"


def _braces(fields):
    return "{" + ", ".join(f".{name} = {value}" for name, value in fields.items()) + "}"


def _array(declaration, rows):
    return f"{declaration} = {{\n" + "".join(f"    {row},\n" for row in rows) + "};\n"
