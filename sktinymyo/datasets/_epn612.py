"""EMG-EPN-612: 612 people, five gestures and none, .json files of a Myo."""

import json

import numpy as np
import pandas as pd

from .._validation import check_choice
from ._bunch import (
    SetFacts,
    build_bunch,
    check_flag,
    select_items,
    select_rows,
    standard_filters,
)
from ._files import DatasetFormatError, FileReader, as_recording, natural_sorted, scan
from ._one_subject_myo import MYO_UNIT

TARGET_NAMES = ("noGesture", "fist", "waveIn", "waveOut", "open", "pinch")
_SECTIONS = ("trainingSamples", "testingSamples")
_CHANNELS = tuple(f"ch{k}" for k in range(1, 9))
# Both folders count their users from 1.
_FIRST_SUBJECT = {"training": 0, "testing": 306}

FACTS = SetFacts(
    name="epn612",
    description="""
EMG-EPN-612: 612 people (subjects 1-306 of the training folder, 307-612 of the testing
folder), Myo armband (8 dry bipolar channels, 200 Hz), five gestures and noGesture,
recordings of 5 s with one gesture of about 1 to 2 s inside. Session 0 holds the
samples for training, session 1 those for testing; the latter have no published labels
in the testing folder and are left out there.
""",
    sfreq=200.0,
    n_channels=8,
    unit=MYO_UNIT,
    target_names=TARGET_NAMES,
    license="CC BY 4.0 (Zenodo record)",
    citation="Benalcazar et al., EMG-EPN-612 Dataset, doi:10.5281/zenodo.4421500, 2020",
    source="https://doi.org/10.5281/zenodo.4421500",
)

EXPECTED = "files trainingJSON/user1/user1.json and/or testingJSON/user1/user1.json"


def _read_user(path):
    """Parse the file of one person into {section: {key: sample}}."""
    try:
        content = json.loads(path.read_text(encoding="utf-8-sig"))
    except (ValueError, RecursionError) as error:
        raise DatasetFormatError(
            f"{path} is not valid JSON ({error}); it is damaged or incomplete."
        ) from None
    if not isinstance(content, dict) or not any(key in content for key in _SECTIONS):
        raise DatasetFormatError(
            f"{path} holds neither {' nor '.join(_SECTIONS)}; it is not a file of "
            "EMG-EPN-612."
        )
    sections = {}
    for section in _SECTIONS:
        samples = content.get(section, {})
        if not isinstance(samples, dict) or not all(
            isinstance(sample, dict) for sample in samples.values()
        ):
            raise DatasetFormatError(
                f"{path}: {section} must map idx_1, idx_2, ... to recordings."
            )
        sections[section] = {
            key: _convert(path, section, key, samples[key])
            for key in natural_sorted(samples)
            if "gestureName" in samples[key]
        }
    return sections


def _convert(path, section, key, sample):
    """Turn the lists of one sample into (table, gesture, start, stop)."""
    where = f"{path}: {section}/{key}"
    gesture = sample["gestureName"]
    if gesture not in TARGET_NAMES:
        raise DatasetFormatError(
            f"{where} has the gesture {gesture!r}; expected one of {TARGET_NAMES}."
        )
    emg = sample.get("emg")
    try:
        table = np.asarray([emg[name] for name in _CHANNELS], dtype=np.float32).T
    except (TypeError, KeyError, ValueError, OverflowError):
        table = None
    if table is None or table.ndim != 2 or not table.size:
        raise DatasetFormatError(
            f"{where} must hold emg with the equally long lists ch1 to ch8 of numbers."
        )
    if not np.isfinite(table).all():
        raise DatasetFormatError(f"{where}: emg holds NaN or infinity.")
    start, stop = _marked(where, sample, len(table))
    return table, gesture, start, stop


def _marked(where, sample, n_times):
    """Return the samples marked as the gesture, the whole without a mark."""
    truth = sample.get("groundTruth")
    if not truth:
        return 0, n_times
    try:
        marked = np.flatnonzero(np.asarray(truth, dtype=float))
    except (TypeError, ValueError):
        raise DatasetFormatError(
            f"{where}: groundTruth must be a list of 0 and 1."
        ) from None
    if not len(marked) or marked[0] >= n_times:
        return 0, n_times
    return int(marked[0]), min(int(marked[-1]) + 1, n_times)


def _pick(sections, section, key, segment):
    table, _, start, stop = sections[section][key]
    return as_recording(table[start:stop] if segment else table)


def load_epn612(
    folder,
    *,
    part=None,
    subjects=None,
    sessions=None,
    repetitions=None,
    gestures=None,
    segment=True,
    lazy=False,
):
    """Load EMG-EPN-612 from a local folder.

    Parameters
    ----------
    folder : str or path
        Folder that holds ``trainingJSON`` and/or ``testingJSON``.
    part : {"training", "testing"} or None, default=None
        Folder to load; None loads both.
    subjects : int, list or None, default=None
        People: 1 to 306 (training folder), 307 to 612 (testing folder: number
        of the user plus 306, because both folders count from 1). Only their
        files are read.
    sessions : int, str, list or None, default=None
        0 or "trainingSamples", 1 or "testingSamples".
    repetitions : int, list or None, default=None
        Running number of a gesture inside person and session, from 0.
    gestures : int, str, list or None, default=None
        Gestures by code or name. Codes do not change.
    segment : bool, default=True
        True cuts each recording to the part that the authors marked as the
        gesture (``groundTruth``); recordings without a mark stay whole. False
        keeps the 5 s, most of which is rest, under the name of the gesture.
    lazy : bool, default=False
        Keep only labels and read each recording on access. Every file is
        still read once now. The whole set takes several GB in memory.

    Returns
    -------
    bunch : Bunch
        ``recordings`` (arrays (8, n_times), ADC counts at 200 Hz), ``target``,
        ``target_names``, ``groups``, ``meta`` (with ``part``, ``session_name``,
        and ``gesture_start`` and ``gesture_stop``, the marked part in seconds)
        and the origin of the set, as described in :mod:`sktinymyo.datasets`.

    Raises
    ------
    DatasetNotFoundError
        If the folder is missing or holds no file of the set.
    DatasetFormatError
        If a file is not JSON or not laid out as documented.

    References
    ----------
    .. [1] Layout: description of the Zenodo record, doi:10.5281/zenodo.4421500.

    Examples
    --------
    >>> import json, tempfile
    >>> from pathlib import Path
    >>> from sktinymyo.datasets import load_epn612
    >>> sample = {"gestureName": "fist", "groundTruth": [0, 1, 1, 0],
    ...           "emg": {f"ch{k}": [1, 2, 3, 4] for k in range(1, 9)}}
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     user = Path(folder, "trainingJSON/user1")
    ...     user.mkdir(parents=True)
    ...     content = {"trainingSamples": {"idx_1": sample}, "testingSamples": {}}
    ...     _ = (user / "user1.json").write_text(json.dumps(content))
    ...     bunch = load_epn612(folder)
    >>> bunch.recordings[0][0], bunch.meta["gesture"][0]
    (array([2., 3.], dtype=float32), 'fist')
    """
    check_choice("part", part, (None, "training", "testing"))
    check_flag("segment", segment)
    found = scan(
        folder,
        [f"{name}JSON/user*/user*.json" for name in _FIRST_SUBJECT],
        r"(?P<part>training|testing)JSON/user(?P<subject>\d+)/user\d+\.json",
        set_name="EMG-EPN-612",
        expected=EXPECTED,
        get=f"It must be downloaded by hand: {FACTS.source}.",
    )
    files = pd.DataFrame([fields for _, fields in found])
    files["path"] = [path for path, _ in found]
    files["subject"] += files["part"].map(_FIRST_SUBJECT)
    files = select_rows(files, standard_filters(subjects, part=(part, ("part",))))
    rows, items, recordings = [], [], []
    for file in files.itertuples():
        sections = _read_user(file.path)
        for row, item in _list_samples(file, sections, segment):
            rows.append(row)
            items.append(item)
            # Parsing is the slow part: the samples are taken in the same pass.
            recordings.append(None if lazy else _pick(sections, *item[1:]))
    if not rows:
        raise DatasetFormatError(f"no labelled recording in the files of {folder}.")
    meta, selected = select_items(
        pd.DataFrame(rows),
        items if lazy else recordings,
        standard_filters(None, sessions, repetitions, gestures),
    )
    # What was read already needs no second reading.
    read = FileReader(_read_user, _pick) if lazy else _as_is
    return build_bunch(FACTS, meta, read, selected, lazy=lazy)


def _as_is(recording):
    return recording


def _list_samples(file, sections, segment):
    """Yield the description and the item of every labelled sample of a person."""
    for number, section in enumerate(_SECTIONS):
        counts = {}
        for key, (_, gesture, start, stop) in sections[section].items():
            count = counts.get(gesture, 0)
            counts[gesture] = count + 1
            row = {
                "subject": file.subject,
                "part": file.part,
                "session": number,
                "session_name": section,
                "repetition": count,
                "gesture": gesture,
                "target": TARGET_NAMES.index(gesture),
                "gesture_start": start / FACTS.sfreq,
                "gesture_stop": stop / FACTS.sfreq,
            }
            yield row, (file.path, section, key, segment)
