"""CIIL: two Myo studies, minimal training data and electrode shift."""

import pandas as pd

from .._validation import check_choice
from ._bunch import SetFacts, build_bunch, in_order, select_rows, standard_filters
from ._files import FileReader, scan
from ._one_subject_myo import GUIDED_NAMES, MYO_UNIT, read_myo_table

_PARTS = {"MinimalTrainingData": "minimal", "ElectrodeShift": "shift"}
# People of the two studies are numbered from 0 in both; the shift study gets its
# own hundred so that a number means one person.
_FIRST_SUBJECT = {"minimal": 0, "shift": 100}

FACTS = SetFacts(
    name="ciil",
    description="""
CIIL: Myo armband (8 dry bipolar channels, 200 Hz), five gestures. Part "minimal":
11 people (subjects 0-10), session 0 = one second of training data per gesture,
session t + 1 = test trial t. Part "shift": 21 people (subjects 100-120), session
0 = training before the armband was moved, session t + 1 = trial t after it.
OneSubjectMyo is contained (minimal, subject 1, sessions 2 to 7).
""",
    sfreq=200.0,
    n_channels=8,
    unit=MYO_UNIT,
    target_names=GUIDED_NAMES,
    license="none stated in the repository",
    citation=(
        "Campbell et al., context-informed incremental learning: "
        "https://ieeexplore.ieee.org/abstract/document/10394393 (minimal training "
        "data); https://link.springer.com/article/10.1186/s12984-024-01355-4 "
        "(electrode shift)"
    ),
    source="https://github.com/LibEMG/CIILData",
)

EXPECTED = (
    "the folders MinimalTrainingData and ElectrodeShift with files "
    "subject2/train/R_0_C_0.csv, subject2/test/trial_0/R_0_C_0.csv, "
    "subject14/training/R_0_C_0.csv, subject14/trial_1/R_0_C_0.csv"
)
GET = f"fetch_ciil() downloads it from {FACTS.source}."


def load_ciil(
    folder,
    *,
    part=None,
    subjects=None,
    sessions=None,
    repetitions=None,
    gestures=None,
    lazy=False,
):
    r"""Load CIIL from a local folder.

    Parameters
    ----------
    folder : str or path
        Folder that holds ``MinimalTrainingData`` and/or ``ElectrodeShift``.
    part : {"minimal", "shift"} or None, default=None
        Study to load; None loads both.
    subjects : int, list or None, default=None
        People: 0 to 10 (minimal), 100 to 120 (shift: number of the folder plus
        100, because both studies count from 0).
    sessions : int, list or None, default=None
        0 is the training data, t + 1 is trial t.
    repetitions : int, list or None, default=None
        Repetitions inside a trial, from 0.
    gestures : int, str, list or None, default=None
        Gestures by code or name. Codes do not change.
    lazy : bool, default=False
        Read each file when its recording is accessed.

    Returns
    -------
    bunch : Bunch
        ``recordings`` (2260 arrays (8, n_times), ADC counts at 200 Hz),
        ``target``, ``target_names``, ``groups``, ``meta`` (with ``part``) and
        the origin of the set, as described in :mod:`sktinymyo.datasets`.

    Raises
    ------
    DatasetNotFoundError
        If the folder is missing or holds no file of the set.
    DatasetFormatError
        If a file does not hold 8 columns of finite numbers.

    References
    ----------
    .. [1] File names: LibEMG, ``libemg/_datasets/ciil.py``. Classes 3 and 4
       follow the ``metadata.json`` files (3 = extension, 4 = flexion).

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> from sktinymyo.datasets import load_ciil
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     trial = Path(folder, "ElectrodeShift/subject14/trial_1")
    ...     trial.mkdir(parents=True)
    ...     _ = (trial / "R_0_C_0.csv").write_text("1,2,3,4,5,6,7,8\n" * 5)
    ...     bunch = load_ciil(folder)
    >>> bunch.groups, bunch.meta["session"].tolist()
    (array([114]), [2])
    """
    check_choice("part", part, (None, "minimal", "shift"))
    found = scan(
        folder,
        [
            "MinimalTrainingData/subject*/train/R_*_C_*.csv",
            "MinimalTrainingData/subject*/test/trial_*/R_*_C_*.csv",
            "ElectrodeShift/subject*/training/R_*_C_*.csv",
            "ElectrodeShift/subject*/trial_*/R_*_C_*.csv",
        ],
        r"(?P<part>\w+)/subject(?P<subject>\d+)/"
        r"(?:train|training|(?:test/)?trial_(?P<trial>\d+))/"
        r"R_(?P<repetition>\d+)_C_(?P<target>[0-4])\.csv",
        set_name="CIIL",
        expected=EXPECTED,
        get=GET,
    )
    rows = []
    for path, fields in found:
        study = _PARTS[fields["part"]]
        trial = fields.pop("trial")
        fields |= {
            "part": study,
            "subject": fields["subject"] + _FIRST_SUBJECT[study],
            "session": 0 if trial is None else trial + 1,
            "gesture": GUIDED_NAMES[fields["target"]],
            "path": path,
        }
        rows.append(fields)
    meta = select_rows(
        in_order(pd.DataFrame(rows)),
        standard_filters(
            subjects, sessions, repetitions, gestures, part=(part, ("part",))
        ),
    )
    items = [(path,) for path in meta.pop("path")]
    return build_bunch(FACTS, meta, FileReader(read_myo_table), items, lazy=lazy)
