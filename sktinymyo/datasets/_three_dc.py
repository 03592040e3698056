"""3DC: eleven gestures with the 3DC armband."""

from functools import partial

import pandas as pd

from ._bunch import SetFacts, build_bunch, in_order, select_rows, standard_filters
from ._files import FileReader, read_text_table, scan

TARGET_NAMES = (
    "No motion",
    "Radial deviation",
    "Wrist flexion",
    "Ulnar deviation",
    "Wrist extension",
    "Supination",
    "Pronation",
    "Power grip",
    "Open hand",
    "Chuck grip",
    "Pinch grip",
)

FACTS = SetFacts(
    name="3dc",
    description="""
3DC: 22 participants (21 distinct people, see below), 3DC armband (10 dry channels,
1000 Hz), eleven gestures held for 5 s in cycles of 55 s; four cycles for training
(session 0, repetitions 0-3) and, after a break, four for testing (session 1,
repetitions 4-7). The inertial recordings are not loaded. The public files contain
copies: participant 21 is participant 19, and 13 test recordings of participant 14
are recordings of participant 13; they are left out by default.
""",
    sfreq=1000.0,
    n_channels=10,
    unit="ADC count (not stated by the source)",
    target_names=TARGET_NAMES,
    license="none stated in the repository",
    citation=(
        "Cote-Allard et al., Deep Learning for Electromyographic Hand Gesture Signal "
        "Classification Using Transfer Learning, IEEE TNSRE 27(4):760-771, 2019; "
        "Cote-Allard et al., Front. Bioeng. Biotechnol. 8:158, 2020"
    ),
    source="https://github.com/LibEMG/3DCDataset",
)

EXPECTED = "files Participant1/train/EMG/3dc_EMG_gesture_0_0.txt (cycle, gesture)"
GET = f"fetch_3dc() downloads it from {FACTS.source}."

_read_table = partial(
    read_text_table, columns=10, layout="10 comma-separated numbers, one per channel"
)


def _is_copy(row):
    """Tell whether a row is byte for byte a recording of another participant."""
    return row.subject == 21 or (
        row.subject == 14
        and row.session == 1
        and (row.repetition == 4 or (row.repetition == 5 and row.target < 2))
    )


def load_3dc(
    folder,
    *,
    subjects=None,
    sessions=None,
    repetitions=None,
    gestures=None,
    drop_copies=True,
    lazy=False,
):
    r"""Load 3DC from a local folder.

    Parameters
    ----------
    folder : str or path
        Folder that holds ``Participant1``, ``Participant2``, ...
    subjects : int, list or None, default=None
        Participants, from 1 to 22.
    sessions : int, str, list or None, default=None
        0 or "train", 1 or "test".
    repetitions : int, list or None, default=None
        Cycles: 0 to 3 in the training session, 4 to 7 in the test session.
    gestures : int, str, list or None, default=None
        Gestures by code or name. Codes do not change.
    drop_copies : bool, default=True
        Leave out the files that are byte for byte recordings of another
        participant. With them, scores across people are too good.
    lazy : bool, default=False
        Read each file when its recording is accessed. The whole set takes
        380 MB in memory.

    Returns
    -------
    bunch : Bunch
        ``recordings`` (1835 arrays (10, n_times), ADC counts at 1000 Hz),
        ``target``, ``target_names``, ``groups``, ``meta`` (with
        ``session_name``) and the origin of the set, as described in
        :mod:`sktinymyo.datasets`.

    Raises
    ------
    DatasetNotFoundError
        If the folder is missing or holds no file of the set.
    DatasetFormatError
        If a file does not hold 10 columns of finite numbers.

    References
    ----------
    .. [1] Protocol: README of the repository. File names: LibEMG,
       ``libemg/_datasets/_3DC.py``.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> from sktinymyo.datasets import load_3dc
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     emg = Path(folder, "Participant1/test/EMG")
    ...     emg.mkdir(parents=True)
    ...     line = ",".join("1" * 10)
    ...     _ = (emg / "3dc_EMG_gesture_0_7.txt").write_text(f"{line}\n" * 5)
    ...     bunch = load_3dc(folder)
    >>> bunch.recordings[0].shape, bunch.meta["gesture"][0], bunch.sfreq
    ((10, 5), 'Power grip', 1000.0)
    """
    found = scan(
        folder,
        "Participant*/*/EMG/3dc_EMG_gesture_*_*.txt",
        r"Participant(?P<subject>\d+)/(?P<session_name>train|test)/EMG/"
        r"3dc_EMG_gesture_(?P<repetition>[0-3])_(?P<target>\d|10)\.txt",
        set_name="3DC",
        expected=EXPECTED,
        get=GET,
    )
    meta = pd.DataFrame([fields for _, fields in found])
    meta["path"] = [path for path, _ in found]
    meta["session"] = (meta["session_name"] == "test").astype(int)
    meta["repetition"] += 4 * meta["session"]
    meta["gesture"] = [TARGET_NAMES[code] for code in meta["target"]]
    if drop_copies:
        copies = [_is_copy(row) for row in meta.itertuples()]
        meta = meta.loc[[not copy for copy in copies]]
    meta = select_rows(
        in_order(meta), standard_filters(subjects, sessions, repetitions, gestures)
    )
    items = [(path,) for path in meta.pop("path")]
    return build_bunch(FACTS, meta, FileReader(_read_table), items, lazy=lazy)
