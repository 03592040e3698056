"""What the .mat files of all NinaPro sets share."""

import numpy as np
import pandas as pd
from scipy.io import loadmat

from ._files import DatasetFormatError, scan, whole_labels

LICENSE = "see the NinaPro site (free for research, citation required)"
_PATTERN = (
    r"(?:.*/)?[Ss](?P<subject>\d+)_[Ee](?P<exercise>\d+)_[Aa](?P<acquisition>\d+)\.mat"
)


def scan_mat(folder, facts):
    """Find the .mat files of a set; unpacked archives make folders of their own."""
    title = facts.name.replace("ninapro_db", "NinaPro DB")
    return scan(
        folder,
        ["*.mat", "*/*.mat", "*/*/*.mat"],
        _PATTERN,
        set_name=title,
        expected="files S1_E1_A1.mat (subject, exercise, acquisition), also in folders",
        get=f"It must be downloaded by hand: {facts.source} (unpack the .zip files).",
    )


def read_variables(path, names, publisher="NinaPro"):
    """Read variables of a .mat file (version 5); nothing in it is executed."""
    try:
        content = loadmat(path, variable_names=names)
    except NotImplementedError:
        raise DatasetFormatError(
            f"{path} is a MATLAB 7.3 file; expected version 5 as published by "
            f"{publisher}. Save it with the option -v6 or -v7."
        ) from None
    except Exception as error:
        # Damaged files make the reader raise nearly anything.
        raise DatasetFormatError(
            f"{path} is not a readable .mat file ({type(error).__name__}: {error}); it "
            "is damaged or incomplete."
        ) from None
    missing = [name for name in names if name not in content]
    if missing:
        raise DatasetFormatError(
            f"{path} lacks the variable(s) {', '.join(missing)}; it is incomplete or "
            "not a file of this set."
        )
    return [content[name] for name in names]


def read_mat(path, names, publisher="NinaPro"):
    """Read matrices of numbers of a .mat file (version 5)."""
    arrays = read_variables(path, names, publisher)
    for name, array in zip(names, arrays, strict=True):
        if array.ndim != 2 or array.dtype.kind not in "iufb" or not array.size:
            raise DatasetFormatError(
                f"{path}: {name} must be a matrix of numbers; got {array.dtype} of "
                f"shape {array.shape}."
            )
    return arrays


def read_matrix(path, name, n_columns):
    """Read one variable with a known number of columns as float32."""
    (table,) = read_mat(path, [name])
    if table.shape[1] != n_columns:
        raise DatasetFormatError(
            f"{path}: {name} must have {n_columns} columns; got shape {table.shape}."
        )
    return table.astype(np.float32, copy=False)


def read_emg(path):
    """Read the 16 channels, which must be finite."""
    table = read_matrix(path, "emg", 16)
    if not np.isfinite(table).all():
        raise DatasetFormatError(f"{path}: emg holds NaN or infinity.")
    return table


def read_labels(path, labels, highest):
    """Return movement and repetition per sample, refined or by the cue."""
    names = ["restimulus", "rerepetition"]
    if labels == "stimulus":
        names = ["stimulus", "repetition"]
    codes, repetitions = (
        whole_labels(column, path, name, limit)
        for column, name, limit in zip(
            read_mat(path, names), names, (highest, 1000), strict=True
        )
    )
    # Some files end their variables a few samples apart.
    n_times = min(len(codes), len(repetitions))
    return codes[:n_times], _fill_rest(codes[:n_times], repetitions[:n_times])


def _fill_rest(codes, repetitions):
    """Give rest the repetition of the movement before it (at the start: after)."""
    moving = np.flatnonzero(codes > 0)
    if not len(moving):
        return np.zeros_like(repetitions)
    last = np.searchsorted(moving, np.arange(len(codes)), side="right") - 1
    filled = repetitions[moving[np.maximum(last, 0)]]
    return np.where(codes > 0, repetitions, filled)


def file_table(found):
    """Return one row per file."""
    files = pd.DataFrame([fields for _, fields in found])
    files["path"] = [path for path, _ in found]
    files["session"] = files.pop("acquisition")
    files["gesture"] = "all"
    return files
