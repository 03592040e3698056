"""Checkpoints of a run of pretraining: tensors and plain JSON, nothing pickled."""

import json
import reprlib
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from .._files import replaced_file

__all__ = ["load_checkpoint", "save_checkpoint"]

_VERSION = "2"
# What AdamW keeps of a parameter.
_MOMENTS = ("step", "exp_avg", "exp_avg_sq")
# The rate has fallen to nearly zero by the end that a run was planned for.
_TO_TRAIN_LONGER = (
    " To train longer, save_pretrained the finished run and start another from it with "
    "weights=folder."
)
# What users know entries of the identity as, where that is not their name.
_KNOWN_AS = {
    "lengths": "n_times",
    "max_steps": "max_steps (or max_epochs and the number of windows)",
    "precision": "precision ('auto' follows the device)",
    "seed": "random_state",
    "start": "weights (sum of squares at the start)",
    "tokens_per_call": "device (tokens_per_call follows it)",
    "data": "the recordings, labels or groups, or how they are cut and scaled (digest)",
}


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
        Recipe, model and data of the run; a run with others refuses the checkpoint.
    step : int
        Steps done.
    history : list of dict
        Rows of the log.
    """
    optimizer = getattr(optimizer, "optimizer", optimizer)
    tensors = {f"model.{name}": value for name, value in model.state_dict().items()}
    for name, parameter in _trained(model):
        for key in _MOMENTS:
            tensors[f"optimizer.{key}.{name}"] = optimizer.state[parameter][key]
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
    # A run may be killed often; all its halves of files have the same name.
    with replaced_file(path, path.with_name(path.name + ".part")) as draft:
        save_file(tensors, draft, metadata=metadata)


def load_checkpoint(path, model, optimizer, identity, columns):
    """Put a checkpoint into a model and an optimiser.

    Parameters
    ----------
    path, model, optimizer, identity
        As in :func:`save_checkpoint`.
    columns : list of str
        What every row of the log holds.

    Returns
    -------
    step : int
        Steps done.
    history : list of dict
        Rows of the log.

    Raises
    ------
    ValueError
        If the file cannot be read, is damaged, or was written by a run with another
        recipe, other data or another model; model and optimiser are then unchanged.
    """
    unreadable = (
        f"the checkpoint {str(path)!r} cannot be read ({{}}). Delete it, or name "
        "another folder, to start anew."
    )
    try:
        with safe_open(path, "pt", device="cpu") as file:
            metadata = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}
        if metadata.get("version") != _VERSION:
            raise ValueError(f"version {metadata.get('version')!r}")
        step = int(metadata["step"])
        stored = json.loads(metadata["identity"])
        if not isinstance(stored, dict):
            raise ValueError("it does not say to which run it belongs")
        history = json.loads(metadata["history"])
        _check_history(history, columns)
    except (OSError, SafetensorError, KeyError, ValueError, RecursionError) as error:
        raise ValueError(unreadable.format(error)) from error
    present = json.loads(json.dumps(identity))
    if stored != present:
        changed = [
            f"{_KNOWN_AS.get(name, name)}: {reprlib.repr(stored.get(name))} then, "
            f"{reprlib.repr(present.get(name))} now"
            for name in [*present, *(stored.keys() - present.keys())]
            if stored.get(name) != present.get(name)
        ]
        planned = stored.get("max_steps")
        longer = type(planned) is int and planned < present["max_steps"]
        raise ValueError(
            f"the checkpoint {str(path)!r} belongs to another run; what differs: "
            f"{'; '.join(changed)}. Restore what it was, or name another folder."
            f"{_TO_TRAIN_LONGER if longer else ''}"
        )
    try:
        _check_state(tensors, model, step, present["max_steps"])
    except ValueError as error:
        raise ValueError(unreadable.format(error)) from error
    model.load_state_dict(
        {name: tensors[f"model.{name}"] for name in model.state_dict()}
    )
    for name, parameter in _trained(model):
        # The fused optimiser counts its steps beside the parameter as well.
        optimizer.state[parameter] = {
            key: tensors[f"optimizer.{key}.{name}"].to(parameter.device)
            for key in _MOMENTS
        }
    return step, history


def _trained(model):
    """Yield (name, parameter) of what is trained."""
    for name, parameter in model.named_parameters():
        if parameter.requires_grad:
            yield name, parameter


def _check_history(history, columns):
    rows = history if isinstance(history, list) else [history]
    for row in rows:
        if not isinstance(row, dict) or row.keys() != set(columns):
            raise ValueError(f"a row of its log does not hold {columns}")
        if not all(type(value) in (int, float) for value in row.values()):
            raise ValueError("a row of its log holds something else than numbers")


def _check_state(tensors, model, step, max_steps):
    """Refuse tensors that do not belong to the model and a step of its run.

    The fused optimiser looks at no shape: with smaller moments it would write
    beyond their end.
    """
    if not 1 <= step <= max_steps:
        raise ValueError(f"step {step} of a run of {max_steps}")
    wanted = {f"model.{name}": value for name, value in model.state_dict().items()}
    for name, parameter in _trained(model):
        for key in _MOMENTS:
            counter = torch.tensor(0.0, dtype=torch.float32)
            wanted[f"optimizer.{key}.{name}"] = counter if key == "step" else parameter
    if differing := sorted(wanted.keys() ^ tensors.keys()):
        raise ValueError(f"missing or unexpected: {', '.join(differing[:4])}")
    for name, value in wanted.items():
        found = tensors[name]
        if (found.shape, found.dtype) != (value.shape, value.dtype):
            raise ValueError(
                f"{name} has the shape {tuple(found.shape)} and type {found.dtype}, "
                f"not {tuple(value.shape)} and {value.dtype}"
            )
        if not found.isfinite().all():
            raise ValueError(f"{name} holds NaN or infinity")
        if name.startswith("optimizer.exp_avg_sq.") and (found < 0).any():
            raise ValueError(f"{name} holds negative squares")
        if name.startswith("optimizer.step.") and not 1 <= found <= step:
            raise ValueError(f"{name} is {found:g}, of {step} steps")
