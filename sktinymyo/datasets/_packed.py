"""Packed sets: one compressed .npz of integers per set."""

import os
import zipfile
import zlib
from pathlib import Path

import numpy as np
import pandas as pd

from ..exceptions import DatasetNotFoundError
from ._bunch import SetFacts, build_bunch, select_rows, standard_filters
from ._files import DatasetFormatError, natural_sorted

_VARIABLE = "SKTINYMYO_DATA"
_CODE_COLUMNS = ("subject", "session", "gesture", "repetition")
_OPTIONAL_COLUMNS = ("part", "condition", "file_id")
_NAMED_COLUMNS = ("subject", "session", "part", "condition")
_TEXT_FIELDS = ("device", "license", "source_url", "citation", "notes", "processing")
# Values that the sets keep as scaled integers, with the quantity in their unit.
_TARGET_LABELS = {
    "dutra_grip_force": ["grip force (fraction of the maximum of the recording)"],
    "dymnz_wrist_angle": [
        "flexion(+)/extension(-) (degree)",
        "pronation(+)/supination(-) (degree)",
    ],
}
_GRIDS = {"flexemg_hd64_demo": (16, 4)}


def _packed_folder(folder):
    if folder is None:
        folder = os.environ.get(_VARIABLE)
        if not folder:
            raise DatasetNotFoundError(
                f"folder=None looks into the environment variable {_VARIABLE}, which "
                "is not set. Set it to the folder with the packed .npz files or pass "
                "folder=."
            )
    path = Path(folder).expanduser()
    if not path.is_dir():
        raise DatasetNotFoundError(
            f"folder={str(folder)!r} is not an existing folder; pass the folder with "
            f"the packed .npz files or set {_VARIABLE}."
        )
    return path


def list_packed(folder=None):
    """List the packed sets of a folder.

    Parameters
    ----------
    folder : str, path or None, default=None
        Folder with the packed files; None takes the environment variable
        ``SKTINYMYO_DATA``, so that scripts need no path of one machine.

    Returns
    -------
    list of str
        Names for :func:`load_packed`, sorted.

    Raises
    ------
    DatasetNotFoundError
        If there is no such folder.

    Examples
    --------
    >>> import tempfile
    >>> from sktinymyo.datasets import list_packed
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     list_packed(folder)
    []
    """
    names = (path.stem for path in _packed_folder(folder).glob("*.npz"))
    return natural_sorted(names)


class _Members:
    """Arrays of a packed file, loaded one at a time, every fault a clear error."""

    def __init__(self, path):
        self.path = path
        try:
            self._archive = np.load(path, allow_pickle=False)
        except (zipfile.BadZipFile, ValueError, OSError, EOFError) as error:
            raise DatasetFormatError(
                f"{path} is not a readable .npz archive ({error}); it is damaged or "
                "incomplete: copy it again."
            ) from None
        if not hasattr(self._archive, "files"):
            raise DatasetFormatError(
                f"{path} holds a single array, not a packed set (.npz archive)."
            )

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        self._archive.close()

    def __contains__(self, key):
        return key in self._archive.files

    def __getitem__(self, key):
        if key not in self._archive.files:
            raise DatasetFormatError(
                f"{self.path} lacks the field {key!r}; it is not a packed set. Fields "
                f"found: {', '.join(self._archive.files[:30])}."
            )
        try:
            return self._archive[key]
        except (
            zipfile.BadZipFile,
            zlib.error,
            ValueError,
            OSError,
            EOFError,
            MemoryError,
        ) as error:
            raise DatasetFormatError(
                f"{self.path}: the field {key!r} cannot be read ({error}); the file is "
                "damaged or not a packed set."
            ) from None

    def text(self, key, default=""):
        if key not in self:
            return default
        value = self[key]
        return str(value.item() if value.ndim == 0 else ", ".join(map(str, value)))

    def number(self, key):
        value = self[key]
        if value.ndim or not np.issubdtype(value.dtype, np.number) or not (value > 0):
            raise DatasetFormatError(
                f"{self.path}: the field {key!r} must be one positive number; got "
                f"{value!r}."
            )
        return float(value)

    def codes(self, key, n_recordings=None):
        value = self[key]
        if value.ndim != 1 or not np.issubdtype(value.dtype, np.integer):
            raise DatasetFormatError(
                f"{self.path}: the field {key!r} must be a list of whole numbers; got "
                f"{value.dtype} of shape {value.shape}."
            )
        if n_recordings is not None and len(value) != n_recordings:
            raise DatasetFormatError(
                f"{self.path}: the field {key!r} has {len(value)} values for "
                f"{n_recordings} recordings."
            )
        return value

    def names(self, key, codes):
        values = [str(value) for value in np.atleast_1d(self[key])]
        if len(codes) and (codes.min() < 0 or codes.max() >= len(values)):
            raise DatasetFormatError(
                f"{self.path}: codes {codes.min()}..{codes.max()} do not fit the "
                f"{len(values)} entries of {key!r}."
            )
        return values


def _load_signal(members):
    """Return the integers as (n_channels, n_times), without a float copy."""
    if "signal_lo" in members:
        # int16 kept as two byte planes, which compress better.
        low, signal = members["signal_lo"], members["signal_hi"]
        if low.shape != signal.shape or low.ndim != 2 or low.dtype != np.uint8:
            raise DatasetFormatError(
                f"{members.path}: signal_lo {low.dtype} {low.shape} and signal_hi "
                f"{signal.dtype} {signal.shape} do not fit together."
            )
        signal = signal.astype(np.int16)
        signal <<= 8
        signal |= low
        return signal
    signal = members["signal"]
    if signal.ndim != 2 or not np.issubdtype(signal.dtype, np.integer):
        raise DatasetFormatError(
            f"{members.path}: signal must be whole numbers (n_times, n_channels); got "
            f"{signal.dtype} of shape {signal.shape}."
        )
    return signal.T


class _PackedReader:
    """Decode one recording at a time; pickles as a path, not as samples."""

    def __init__(self, path, scale, signal):
        self._path = path
        self._scale = np.asarray(scale, dtype=np.float64)
        self._signal = signal

    def __getstate__(self):
        return {"_path": self._path, "_scale": self._scale, "_signal": None}

    def __call__(self, item):
        if self._signal is None:
            with _Members(self._path) as members:
                self._signal = _load_signal(members)
        start, length = item
        block = self._signal[:, start : start + length]
        # Each product is rounded once, from float64, to float32.
        recording = np.empty(block.shape, dtype=np.float32)
        np.multiply(block, self._scale[:, None], out=recording, casting="same_kind")
        return recording


def load_packed(
    name,
    folder=None,
    *,
    part=None,
    subjects=None,
    sessions=None,
    repetitions=None,
    gestures=None,
    conditions=None,
    lazy=False,
):
    """Load a packed set: one .npz of integers with labels and origin.

    Parameters
    ----------
    name : str
        Name of the set (see :func:`list_packed`), or the path of a .npz file.
    folder : str, path or None, default=None
        Folder with the packed files; None takes the environment variable
        ``SKTINYMYO_DATA``, so that scripts need no path of one machine.
    part : int, str, list or None, default=None
        Part of a set that has several, by number or full name; None loads all.
    subjects, sessions, repetitions : int, str, list or None, default=None
        Values to keep, by number or (where the set names them) by name.
    gestures : int, str, list or None, default=None
        Gestures to keep, by code or name. Codes do not change, so `target`
        always indexes `target_names`.
    conditions : int, str, list or None, default=None
        Conditions to keep, by number or name, where the set has them.
    lazy : bool, default=False
        False decodes the selection to float32. True keeps the integers (two to
        four times smaller) and decodes each recording on access.

    Returns
    -------
    bunch : Bunch
        ``recordings`` (list of float32 arrays (n_channels, n_times) in
        ``unit``), ``sfreq`` (Hz), ``target`` (integer gesture code per
        recording; for regression sets a list of (n_times, k) float32 arrays),
        ``target_names``, ``groups`` (subject per recording), ``meta`` (one row
        per recording; numbers as in the file and, where the set names them,
        ``subject_name``, ``session_name``, ``part_name``, ``condition_name``),
        ``n_channels``, ``channel_names``, ``unit``, ``DESCR``, ``license``,
        ``citation``, ``source``; for electrode arrays also ``grid`` (rows,
        columns), channels in row-major order.

    Raises
    ------
    DatasetNotFoundError
        If the folder or the set is missing.
    DatasetFormatError
        If the file is damaged or not a packed set.
    ValueError
        If a selection names something the set does not hold.

    Notes
    -----
    Subject numbers are unique over all parts of a set, so ``groups`` never
    joins two people nor splits one.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> import numpy as np
    >>> from sktinymyo.datasets import load_packed
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     np.savez_compressed(
    ...         Path(folder) / "tiny.npz", signal=np.ones((50, 2), np.int8),
    ...         rec_start=[0, 30], rec_len=[30, 20], subject=[1, 2], session=[0, 0],
    ...         gesture=[0, 1], repetition=[0, 0], fs=200.0, scale=[0.5, 0.5],
    ...         unit="mV", gesture_names=["rest", "fist"])
    ...     bunch = load_packed("tiny", folder)
    >>> [recording.shape for recording in bunch.recordings], bunch.groups
    ([(2, 30), (2, 20)], array([1, 2]))
    """
    path = _packed_path(name, folder)
    with _Members(path) as members:
        meta = _read_meta(members)
        target_names = members.names("gesture_names", meta["target"].to_numpy())
        total = int((meta["rec_start"] + meta["rec_len"]).max())
        targets = _read_targets(members, total) if "target" in members else None
        meta = select_rows(
            meta,
            standard_filters(
                subjects,
                sessions,
                repetitions,
                gestures,
                part=(part, ("part_name", "part")),
                conditions=(conditions, ("condition_name", "condition")),
            ),
        )
        signal = _load_signal(members)
        n_channels = len(signal)
        scale = np.atleast_1d(members["scale"])
        if scale.shape != (n_channels,) or not np.isfinite(scale).all():
            raise DatasetFormatError(
                f"{path}: scale must hold {n_channels} finite numbers; got {scale!r}."
            )
        if total > signal.shape[1]:
            raise DatasetFormatError(
                f"{path}: recordings end at sample {total}, but the signal has "
                f"{signal.shape[1]} samples."
            )
        grid = _GRIDS.get(path.stem) if n_channels == 64 else None
        facts = SetFacts(
            name=path.stem,
            description=_describe(members, path.stem),
            sfreq=members.number("fs"),
            n_channels=n_channels,
            unit=members.text("unit"),
            target_names=tuple(target_names),
            license=members.text("license", "not stated"),
            citation=members.text("citation", "not stated"),
            source=members.text("source_url", "not stated"),
            channel_names=tuple(
                f"row{row}_column{column}"
                for row in range(grid[0])
                for column in range(grid[1])
            )
            if grid
            else (),
        )
        labels = None
        if targets is not None:
            labels = _TARGET_LABELS.get(path.stem) or [
                str(label) for label in np.atleast_1d(members["target_names"])
            ]

    items = list(zip(meta.pop("rec_start"), meta.pop("rec_len"), strict=True))
    extra = {"grid": grid} if grid else {}
    if targets is not None:
        targets = [targets[start : start + length].copy() for start, length in items]
    bunch = build_bunch(
        facts,
        meta,
        _PackedReader(path, scale, signal),
        items,
        lazy=lazy,
        target=targets,
        **extra,
    )
    if labels is not None:
        bunch.target_names = labels
    return bunch


def _packed_path(name, folder):
    if str(name).endswith(".npz"):
        path = Path(name).expanduser()
        if path.is_file():
            return path
        raise DatasetNotFoundError(f"name={str(name)!r} is not an existing file.")
    directory = _packed_folder(folder)
    names = list_packed(directory)
    if name not in names:
        raise DatasetNotFoundError(
            f"name={name!r} is not in {str(directory)!r}. Sets there: "
            f"{', '.join(names) or 'none'}."
        )
    return directory / f"{name}.npz"


def _read_meta(members):
    """Return one row per recording, with codes and names."""
    starts = members.codes("rec_start").astype(np.int64)
    lengths = members.codes("rec_len", len(starts)).astype(np.int64)
    if not len(starts) or starts.min() < 0 or lengths.min() < 1:
        raise DatasetFormatError(
            f"{members.path}: rec_start and rec_len must hold at least one recording, "
            "starts from 0 and lengths from 1."
        )
    columns = {key: members.codes(key, len(starts)) for key in _CODE_COLUMNS}
    columns |= {
        key: members.codes(key, len(starts))
        for key in _OPTIONAL_COLUMNS
        if key in members
    }
    for key in _NAMED_COLUMNS:
        if key in columns and f"{key}_names" in members:
            names = members.names(f"{key}_names", columns[key])
            columns[f"{key}_name"] = [names[code] for code in columns[key]]
    meta = pd.DataFrame(columns)
    meta = meta.astype({key: np.int64 for key in meta.columns if key in _INTEGERS})
    names = members.names("gesture_names", columns["gesture"])
    meta["target"] = meta["gesture"]
    meta["gesture"] = [names[code] for code in columns["gesture"]]
    meta["rec_start"], meta["rec_len"] = starts, lengths
    return meta


_INTEGERS = frozenset(_CODE_COLUMNS + _OPTIONAL_COLUMNS)


def _read_targets(members, total):
    target = members["target"]
    if target.ndim != 2 or len(target) < total:
        raise DatasetFormatError(
            f"{members.path}: target must have the shape (n_times >= {total}, k); got "
            f"{target.shape}."
        )
    scaled = target * members.number("target_scale")
    return scaled.astype(np.float32)


def _describe(members, name):
    lines = [f"Packed set {name}."]
    for key in _TEXT_FIELDS:
        if key in members:
            lines.append(f"{key.replace('_url', '')}: {members.text(key)}")
    return "\n".join(lines)
