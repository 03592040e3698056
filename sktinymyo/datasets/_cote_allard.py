"""The Myo set of Cote-Allard and others: seven gestures."""

import numpy as np
import pandas as pd

from .._validation import check_choice
from ._bunch import SetFacts, build_bunch, in_order, select_rows, standard_filters
from ._files import DatasetFormatError, FileReader, scan
from ._one_subject_myo import MYO_UNIT

TARGET_NAMES = (
    "Neutral",
    "Radial deviation",
    "Wrist flexion",
    "Ulnar deviation",
    "Wrist extension",
    "Hand close",
    "Hand open",
)
_PARTS = {"EvaluationDataset": "evaluation", "PreTrainingDataset": "pretraining"}
_SESSIONS = {"training0": 0, "Test0": 1, "Test1": 2}
# Byte for byte the recordings of EvaluationDataset/Female0.
_COPIES = tuple(f"PreTrainingDataset/Female{k}" for k in (7, 8, 9))

FACTS = SetFacts(
    name="cote_allard",
    description="""
MyoArmbandDataset (Cote-Allard et al.): Myo armband (8 dry bipolar channels,
200 Hz), seven gestures held for 5 s, four cycles per round. Part "evaluation": 18
people with a training round (session 0) and two test rounds (sessions 1, 2). Part
"pretraining": 19 people with one round. The public files contain copies: the
pretraining participants Female7, Female8 and Female9 are Female0 of the evaluation
part; they are left out by default.
""",
    sfreq=200.0,
    n_channels=8,
    unit=MYO_UNIT,
    target_names=TARGET_NAMES,
    license="GPL-3.0 (LICENSE file of the repository)",
    citation=(
        "Cote-Allard et al., IEEE TNSRE 27(4):760-771, 2019; Cote-Allard et al., "
        "IEEE SMC 2017, pp. 1663-1668"
    ),
    source="https://github.com/UlysseCoteAllard/MyoArmbandDataset",
)

EXPECTED = (
    "the folders EvaluationDataset and PreTrainingDataset with files "
    "Male0/training0/classe_0.dat"
)
GET = f"fetch_cote_allard() downloads it from {FACTS.source}."


def _read_table(path):
    """Read interleaved little-endian int16, 8 channels."""
    content = path.read_bytes()
    if not content or len(content) % 16:
        raise DatasetFormatError(
            f"{path} has {len(content)} bytes; expected a positive multiple of 16 "
            "(8 channels of little-endian int16 per sample). It is damaged or "
            "incomplete."
        )
    return np.frombuffer(content, dtype="<i2").reshape(-1, 8)


def load_cote_allard(
    folder,
    *,
    part=None,
    subjects=None,
    sessions=None,
    repetitions=None,
    gestures=None,
    drop_copies=True,
    lazy=False,
):
    """Load the Myo set of Cote-Allard and others from a local folder.

    Parameters
    ----------
    folder : str or path
        Folder that holds ``EvaluationDataset`` and/or ``PreTrainingDataset``.
    part : {"evaluation", "pretraining"} or None, default=None
        Part to load; None loads both.
    subjects : str, list or None, default=None
        People, such as "EvaluationDataset/Male0" (both parts have a Male0, and
        they are different people).
    sessions : int, str, list or None, default=None
        0 or "training0", 1 or "Test0", 2 or "Test1".
    repetitions : int, list or None, default=None
        Cycles 0 to 3.
    gestures : int, str, list or None, default=None
        Gestures by code or name. Codes do not change.
    drop_copies : bool, default=True
        Leave out the people whose files are copies of another person's. With
        them, scores across people are too good.
    lazy : bool, default=False
        Read each file when its recording is accessed.

    Returns
    -------
    bunch : Bunch
        ``recordings`` (2044 arrays (8, n_times), ADC counts at 200 Hz),
        ``target``, ``target_names``, ``groups``, ``meta`` (with ``part`` and
        ``session_name``) and the origin of the set, as described in
        :mod:`sktinymyo.datasets`.

    Raises
    ------
    DatasetNotFoundError
        If the folder is missing or holds no file of the set.
    DatasetFormatError
        If a file does not hold whole samples of 8 channels.

    References
    ----------
    .. [1] Layout: README of the repository (file ``classe_i.dat`` holds gesture
       i mod 7 of cycle i // 7).

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> import numpy as np
    >>> from sktinymyo.datasets import load_cote_allard
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     round_ = Path(folder, "EvaluationDataset/Male0/Test0")
    ...     round_.mkdir(parents=True)
    ...     np.arange(40, dtype="<i2").tofile(round_ / "classe_8.dat")
    ...     bunch = load_cote_allard(folder)
    >>> bunch.meta[["session", "repetition", "gesture"]].values.tolist()
    [[1, 1, 'Radial deviation']]
    """
    check_choice("part", part, (None, "evaluation", "pretraining"))
    found = scan(
        folder,
        [f"{name}/*/*/classe_*.dat" for name in _PARTS],
        r"(?P<subject>(?P<part>\w+)/(?:Fem|M)ale\d+)/"
        r"(?P<session_name>training0|Test0|Test1)/classe_(?P<index>\d|1\d|2[0-7])\.dat",
        set_name="MyoArmbandDataset",
        expected=EXPECTED,
        get=GET,
    )
    meta = pd.DataFrame([fields for _, fields in found])
    meta["path"] = [path for path, _ in found]
    meta["part"] = meta["part"].map(_PARTS)
    meta["session"] = meta["session_name"].map(_SESSIONS)
    meta["repetition"], meta["target"] = meta["index"] // 7, meta["index"] % 7
    meta["gesture"] = [TARGET_NAMES[code] for code in meta["target"]]
    meta = meta.drop(columns="index")
    if drop_copies:
        meta = meta.loc[~meta["subject"].isin(_COPIES)]
    meta = select_rows(
        in_order(meta),
        standard_filters(
            subjects, sessions, repetitions, gestures, part=(part, ("part",))
        ),
    )
    items = [(path,) for path in meta.pop("path")]
    return build_bunch(FACTS, meta, FileReader(_read_table), items, lazy=lazy)
