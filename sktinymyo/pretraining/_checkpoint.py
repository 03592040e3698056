"""Checkpoints of a run of pretraining: tensors and plain JSON, nothing pickled."""

import json
import os
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

__all__ = ["load_checkpoint", "save_checkpoint"]

_VERSION = "1"


def _moments(optimizer, model):
    """Yield (name, state) of every parameter that has been trained."""
    for name, parameter in model.named_parameters():
        if state := optimizer.state.get(parameter):
            yield name, state


def save_checkpoint(path, model, optimizer, identity, step, history):
    """Write a checkpoint beside its destination, then rename it.

    Parameters
    ----------
    path : path-like
        File to write; an older one is replaced as a whole or not at all.
    model : torch.nn.Module
        Its tensors are stored as they are, so that a resumed run is exact.
    optimizer : torch.optim.AdamW
        Of the parameters of `model`.
    identity : dict
        Recipe and data of the run; a run with others refuses the checkpoint.
    step : int
        Steps done.
    history : list of dict
        Rows of the log.
    """
    optimizer = getattr(optimizer, "optimizer", optimizer)
    tensors = {f"model.{name}": value for name, value in model.state_dict().items()}
    for name, state in _moments(optimizer, model):
        for key, value in state.items():
            tensors[f"optimizer.{key}.{name}"] = torch.as_tensor(value)
    tensors = {
        name: value.detach().cpu().contiguous().clone()
        for name, value in tensors.items()
    }
    metadata = {
        "version": _VERSION,
        "step": str(step),
        "identity": json.dumps(identity, sort_keys=True),
        "history": json.dumps(history),
    }
    path = Path(path)
    draft = path.with_name(path.name + ".part")
    save_file(tensors, draft, metadata=metadata)
    with draft.open("rb+") as file:
        os.fsync(file.fileno())
    draft.replace(path)


def load_checkpoint(path, model, optimizer, identity):
    """Put a checkpoint into a model and an optimiser.

    Parameters
    ----------
    path, model, optimizer, identity
        As in :func:`save_checkpoint`.

    Returns
    -------
    step : int
        Steps done.
    history : list of dict
        Rows of the log.

    Raises
    ------
    ValueError
        If the file cannot be read, or was written by a run with another recipe,
        other data or another model; model and optimiser are then unchanged.
    """
    device = next(model.parameters()).device
    try:
        with safe_open(path, "pt", device="cpu") as file:
            metadata = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}
        if metadata.get("version") != _VERSION:
            raise ValueError(f"version {metadata.get('version')!r}")
        step = int(metadata["step"])
        stored = json.loads(metadata["identity"])
        history = json.loads(metadata["history"])
    except (OSError, SafetensorError, KeyError, ValueError) as error:
        raise ValueError(
            f"the checkpoint {str(path)!r} cannot be read ({error}). Delete it, or "
            "name another folder, to start anew."
        ) from error
    present = json.loads(json.dumps(identity))
    if stored != present:
        changed = [
            f"{place}.{name}: {stored[place].get(name)!r} then, {value!r} now"
            for place in ("plan",)
            for name, value in present[place].items()
            if stored[place].get(name) != value
        ]
        if stored["data"] != present["data"]:
            changed.append("the recordings")
        raise ValueError(
            f"the checkpoint {str(path)!r} belongs to another run; what differs: "
            f"{'; '.join(changed)}. Restore what it was, or name another folder."
        )
    shapes = {name: tuple(value.shape) for name, value in model.state_dict().items()}
    found = {
        name.removeprefix("model."): tuple(value.shape)
        for name, value in tensors.items()
        if name.startswith("model.")
    }
    if shapes != found:
        raise ValueError(
            f"the checkpoint {str(path)!r} holds another model: the tensors "
            f"{sorted(set(shapes.items()) ^ set(found.items()))[:4]} differ. Restore "
            "the size and the objective, or name another folder."
        )
    model.load_state_dict({name: tensors[f"model.{name}"] for name in shapes})
    for name, parameter in model.named_parameters():
        state = {
            key: tensors[f"optimizer.{key}.{name}"]
            for key in ("step", "exp_avg", "exp_avg_sq")
            if f"optimizer.{key}.{name}" in tensors
        }
        if state:
            for key in ("exp_avg", "exp_avg_sq"):
                state[key] = state[key].to(device)
            optimizer.state[parameter] = state
    return step, history
