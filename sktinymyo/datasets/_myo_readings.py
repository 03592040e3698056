"""myo-readings-dataset: rest and seven gestures, three sessions, both hands."""

import warnings
from functools import partial

import numpy as np
import pandas as pd

from .._validation import check_choice
from ._bunch import (
    SetFacts,
    build_bunch,
    check_flag,
    label_runs,
    refuse_for_whole_files,
    select_items,
    select_rows,
    standard_filters,
)
from ._files import DatasetFormatError, FileReader, read_text_table, scan, whole_labels
from ._one_subject_myo import MYO_UNIT

TARGET_NAMES = (
    "Hibernation (rest)",
    "Flexion",
    "Extension",
    "Radial deviation",
    "Ulnar deviation",
    "Pronation",
    "Supination",
    "Fist",
)

FACTS = SetFacts(
    name="myo_readings",
    description="""
myo-readings-dataset: Myo armband (8 dry bipolar channels, about 200 Hz), rest and
seven gestures, 41 participants with three or more sessions. A file is one minute of
one gesture: the label changes between rest and the gesture every 5 s, by the cue
(the reaction time is inside). Known faults of the source, mended by default: files of
participants 69069 and 55555 (left hand) repeat every fifth row; five files have torn
lines; the labels of 69069-1/3.txt are those of another gesture; participants 32185,
46666 and 60186 have 225 to 240 rows per second.
""",
    sfreq=200.0,
    n_channels=8,
    unit=MYO_UNIT,
    target_names=TARGET_NAMES,
    license="MIT",
    citation="aljazfrancic/myo-readings-dataset (GitHub)",
    source="https://github.com/aljazfrancic/myo-readings-dataset",
)

EXPECTED = (
    "the folders _readings_right_hand and/or _readings_left_hand with files "
    "12345-1/0.txt (participant-session/gesture)"
)
GET = f"fetch_myo_readings() downloads it from {FACTS.source}."

_LAYOUT = "9 comma-separated numbers (8 channels and the label)"
# More unreadable lines than this per file are not a slip of the recorder.
_MOST_TORN_LINES = 5
# Share of rows equal to the row before where the recorder repeated every fifth one
# (files without the fault have next to none, a dead signal has nearly all).
_REPEATED_SHARE = (0.1, 0.3)
# Participants whose files have 225 to 240 rows per second.
_OTHER_RATE = ("R32185", "R46666", "R60186")


def _read_table(path, repair):
    """Return the rows of one file and the number of unreadable lines."""
    n_torn = 0
    try:
        table = read_text_table(path, columns=9, layout=_LAYOUT)
    except DatasetFormatError:
        if not repair:
            raise
        table, n_torn = _read_line_by_line(path)
    if repair and len(table) > 1:
        fresh = np.r_[True, (table[1:, :8] != table[:-1, :8]).any(axis=1)]
        if _REPEATED_SHARE[0] < np.mean(~fresh) < _REPEATED_SHARE[1]:
            table = table[fresh]
    return table, n_torn


def _read_line_by_line(path):
    """Return the whole lines of a file in which some are torn."""
    rows, torn = [], []
    text = path.read_text(encoding="utf-8", errors="replace")
    for number, line in enumerate(text.splitlines(), 1):
        try:
            row = [int(cell) for cell in line.split(",")]
        except ValueError:
            row = []
        if len(row) == 9:
            rows.append(row)
        else:
            torn.append(number)
    if not rows or len(torn) > _MOST_TORN_LINES:
        raise DatasetFormatError(
            f"{path} has {len(torn)} unreadable lines (the first is "
            f"{torn[0] if torn else 1}); expected lines with {_LAYOUT}."
        )
    return np.asarray(rows, dtype=np.float32), len(torn)


def _read_channels(path, repair):
    return _read_table(path, repair)[0][:, :8]


def load_myo_readings(
    folder,
    *,
    hand=None,
    curated=False,
    subjects=None,
    sessions=None,
    repetitions=None,
    gestures=None,
    segment=True,
    repair=True,
    lazy=False,
):
    r"""Load myo-readings-dataset from a local folder.

    Parameters
    ----------
    folder : str or path
        Folder that holds ``_readings_right_hand`` and/or
        ``_readings_left_hand``.
    hand : {"right", "left"} or None, default=None
        Hand to load; None loads both.
    curated : bool, default=False
        Only the sessions that the authors list in ``curated.txt``.
    subjects : str, list or None, default=None
        Participants, "R" or "L" (hand) and their number, such as "R10000".
    sessions : int, list or None, default=None
        Sessions as numbered by the authors (mostly 1 to 3).
    repetitions : int, list or None, default=None
        Repetitions inside a file, from 0 (only with ``segment=True``).
    gestures : int, str, list or None, default=None
        Gestures by code or name. Codes do not change.
    segment : bool, default=True
        True cuts every file where its label changes: one recording and one
        target each. False gives whole files; `target` is then a list of labels
        per sample, and `gestures` selects files.
    repair : bool, default=True
        True mends known faults of the source: leaves out up to five torn lines
        of a file, removes rows that repeat the row before where the recorder
        did so at every fifth row, and leaves out files whose labels contradict
        their name and (unless named in `subjects`) participants R32185, R46666
        and R60186, who have 225 to 240 rows per second. False takes files as
        they are, and a torn line is an error.
    lazy : bool, default=False
        Read the samples when a recording is accessed (the labels are read at
        once). The whole set takes 380 MB in memory.

    Returns
    -------
    bunch : Bunch
        ``recordings`` (arrays (8, n_times), ADC counts at 200 Hz), ``target``,
        ``target_names``, ``groups``, ``meta`` (with ``hand`` and
        ``file_gesture``, the gesture of the file) and the origin of the set, as
        described in :mod:`sktinymyo.datasets`.

    Raises
    ------
    DatasetNotFoundError
        If the folder is missing or holds no file of the set.
    DatasetFormatError
        If a file does not hold 9 columns of finite numbers.

    Warns
    -----
    UserWarning
        If lines or files were left out.

    References
    ----------
    .. [1] Layout and protocol: README of the repository.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> from sktinymyo.datasets import load_myo_readings
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     session = Path(folder, "_readings_right_hand/12345-1")
    ...     session.mkdir(parents=True)
    ...     rows = "1,2,3,4,5,6,7,8,0\n" * 5 + "1,2,3,4,5,6,7,8,2\n" * 4
    ...     _ = (session / "2.txt").write_text(rows)
    ...     bunch = load_myo_readings(folder)
    >>> [recording.shape for recording in bunch.recordings], bunch.target
    ([(8, 5), (8, 4)], array([0, 2]))
    """
    check_choice("hand", hand, (None, "right", "left"))
    check_flag("segment", segment)
    check_flag("repair", repair)
    refuse_for_whole_files(segment, repetitions=repetitions)
    found = scan(
        folder,
        "_readings_*_hand/*-*/*.txt",
        r"_readings_(?P<hand>right|left)_hand/(?P<number>\d+)-(?P<session>\d+)/"
        r"(?P<target>[0-7])\.txt",
        set_name="myo-readings-dataset",
        expected=EXPECTED,
        get=GET,
    )
    files = pd.DataFrame([fields for _, fields in found])
    files["path"] = [path for path, _ in found]
    files["subject"] = [
        f"{hand[0].upper()}{path.parent.name.split('-')[0]}"
        for path, hand in zip(files["path"], files["hand"], strict=True)
    ]
    files["gesture"] = [TARGET_NAMES[code] for code in files["target"]]
    files["file_gesture"] = files["gesture"]
    files = files.drop(columns="number")
    if curated:
        listed = _read_curated(found[0][0].parents[2])
        names = [path.parent.name for path in files["path"]]
        files = files.loc[np.isin(names, listed)]
    if repair and subjects is None:
        files = files.loc[~files["subject"].isin(_OTHER_RATE)]
    # Rest lies in every file: with segments, gestures are selected after cutting.
    files = select_rows(
        files,
        standard_filters(
            subjects,
            sessions,
            None,
            None if segment else gestures,
            hand=(hand, ("hand",)),
        ),
    )
    files, labels = _read_labels(files, repair)
    meta, items, target = label_runs(files, labels, TARGET_NAMES, segment=segment)
    if segment:
        filters = standard_filters(None, None, repetitions, gestures)
        meta, items = select_items(meta, items, filters)
    read = FileReader(partial(_read_channels, repair=repair))
    return build_bunch(FACTS, meta, read, items, lazy=lazy, target=target)


def _read_labels(files, repair):
    """Return the usable files and their labels per sample."""
    labels, usable, n_torn, contradicting = [], [], 0, []
    for file in files.itertuples():
        table, torn = _read_table(file.path, repair)
        n_torn += torn
        codes = whole_labels(table[:, 8], file.path, "the label (column 9)", 7)
        fits = not repair or set(np.unique(codes)) <= {0, file.target}
        usable.append(fits)
        if fits:
            labels.append(codes)
        else:
            contradicting.append("/".join(file.path.parts[-2:]))
    if n_torn:
        warnings.warn(
            f"{n_torn} torn lines were left out of {len(files)} files.",
            UserWarning,
            stacklevel=3,
        )
    if contradicting:
        warnings.warn(
            "left out because the labels contradict the name of the file: "
            f"{', '.join(contradicting)}.",
            UserWarning,
            stacklevel=3,
        )
    if not labels:
        raise DatasetFormatError(
            f"no file of {files['path'][0].parent} has labels that fit its name."
        )
    return files.loc[usable].reset_index(drop=True), labels


def _read_curated(folder):
    path = folder / "curated.txt"
    if not path.is_file():
        raise DatasetFormatError(
            f"curated=True needs the list {path}, which is missing; pass curated=False."
        )
    lines = path.read_text(encoding="utf-8").splitlines()
    return [line.strip() for line in lines if line.strip()]
