"""CapgMyo: images of a grid of 8 x 16 electrodes around the forearm."""

import numpy as np
import pandas as pd

from .._validation import check_choice
from ._bunch import SetFacts, build_bunch, in_order, select_items, standard_filters
from ._files import DatasetFormatError, FileReader, scan
from ._ninapro import read_mat

_HAND_NAMES = (
    "Thumb up",
    "Index and middle extended, others flexed",
    "Ring and little flexed, others extended",
    "Thumb opposing base of little finger",
    "Fingers abducted",
    "Fist",
    "Pointing index",
    "Extended fingers adducted",
)
_FINGER_NAMES = (
    "Index flexion",
    "Index extension",
    "Middle flexion",
    "Middle extension",
    "Ring flexion",
    "Ring extension",
    "Little finger flexion",
    "Little finger extension",
    "Thumb adduction",
    "Thumb abduction",
    "Thumb flexion",
    "Thumb extension",
)
_NAMES = {"a": _HAND_NAMES, "b": _HAND_NAMES, "c": _FINGER_NAMES}
_PEOPLE = {
    "a": "18 people, one session",
    "b": "10 people, two sessions on different days",
    "c": "10 people, one session",
}
_GRID = (16, 8)
_N_CHANNELS = 128
_SOURCE = "http://zju-capg.org/myo/data"


def _facts(database):
    return SetFacts(
        name=f"capgmyo_db{database}",
        description=f"""
CapgMyo DB-{database} ({_PEOPLE[database]}): gestures recorded with 128 electrodes on
the forearm, eight modules of 8 x 2 side by side, as an image of 16 x 8. Every gesture
was held ten times; the preprocessed files hold the middle second of each (1000 frames
at 1000 Hz), with the band of 45 to 55 Hz removed. The set was recorded between 20 and
380 Hz and is scaled to -1 ... 1, which stands for -2.5 ... 2.5 mV.
""",
        sfreq=1000.0,
        n_channels=_N_CHANNELS,
        unit="2.5 mV (values from -1 to 1)",
        target_names=_NAMES[database],
        license="none stated (free for research, citation required)",
        citation=(
            "Geng et al., Gesture recognition by instantaneous surface EMG images, "
            "Sci. Rep. 6:36571, 2016 (DB-a); Du et al., Surface EMG-based "
            "inter-session gesture recognition enhanced by deep domain adaptation, "
            "Sensors 17(3):458, 2017 (DB-b, DB-c)"
        ),
        source=_SOURCE,
    )


def load_capgmyo(
    folder,
    database,
    *,
    subjects=None,
    sessions=None,
    repetitions=None,
    gestures=None,
    lazy=False,
):
    """Load the preprocessed trials of CapgMyo from a local folder.

    Parameters
    ----------
    folder : str or path
        Folder of one database that holds ``001-001-001.mat`` (subject, gesture,
        trial) and so on, directly or in folders such as ``dba-preprocessed-001``.
    database : {"a", "b", "c"}
        Which of the three it is: the files do not tell. DB-a has 18 people and 8
        gestures, DB-b 10 people in two sessions and the same gestures, DB-c 10 people
        and 12 finger movements.
    subjects : int, list or None, default=None
        People. In DB-b the authors number wearings: 1 and 2 are the sessions of person
        1, 3 and 4 those of person 2, and so on; here people and sessions are told
        apart, and the column ``wearing`` of `meta` has the authors' number.
    sessions : int, list or None, default=None
        Sessions, 1 or (DB-b) 1 and 2.
    repetitions : int, list or None, default=None
        Trials, 1 to 10.
    gestures : int, str, list or None, default=None
        Gestures by code (from 0; the authors count from 1) or name.
    lazy : bool, default=False
        Read each file when its recording is accessed; DB-a takes 0.7 GB in memory.

    Returns
    -------
    bunch : Bunch
        ``recordings`` (arrays (128, n_times) at 1000 Hz, one a trial), ``target``,
        ``target_names``, ``groups``, ``meta``, ``grid`` = (16, 8) with channel = row *
        8 + column, and the origin of the set, as described in
        :mod:`sktinymyo.datasets`. The contractions of maximal force (gestures 100 and
        101) are left out.

    Raises
    ------
    DatasetNotFoundError
        If the folder is missing or holds no file of the set.
    DatasetFormatError
        If a file is damaged, has not 128 columns of finite numbers, or the gesture of
        its name is not one of the database.

    Notes
    -----
    The protocol of the authors for DB-a trains on the odd trials of each person and
    tests on the even ones:
    ``LeaveRepetitionsOut(test_repetitions=[2, 4, 6, 8, 10], per_subject=True)``.

    References
    ----------
    .. [1] W. Geng et al., Scientific Reports 6:36571, 2016; Y. Du et al., Sensors
       17(3):458, 2017.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> import numpy as np
    >>> from scipy.io import savemat
    >>> from sktinymyo.datasets import load_capgmyo
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     savemat(Path(folder, "004-003-010.mat"), {"data": np.zeros((1000, 128))})
    ...     bunch = load_capgmyo(folder, "b")
    >>> bunch.recordings[0].shape, bunch.groups, bunch.meta["session"].tolist()
    ((128, 1000), array([2]), [2])
    """
    check_choice("database", database, tuple(_NAMES))
    facts = _facts(database)
    found = scan(
        folder,
        ["*.mat", "*/*.mat", "*/*/*.mat"],
        r"(?:.*/)?(?P<wearing>\d{3})-(?P<gesture>0\d{2})-(?P<repetition>\d{3})\.mat",
        set_name=f"CapgMyo DB-{database}",
        expected="files 001-001-001.mat (subject, gesture, trial), also in folders",
        get=f"It must be downloaded by hand: {_SOURCE} (preprocessed data).",
    )
    names = _NAMES[database]
    for path, fields in found:
        if not 1 <= fields["gesture"] <= len(names):
            raise DatasetFormatError(
                f"{path}: gesture {fields['gesture']} is not one of the {len(names)} "
                f"of CapgMyo DB-{database}; pass another database or folder."
            )
    meta = pd.DataFrame([fields for _, fields in found])
    meta["target"] = meta["gesture"] - 1
    meta["gesture"] = [names[code] for code in meta["target"]]
    # Two wearings a person in DB-b.
    per_person = 2 if database == "b" else 1
    meta["subject"] = (meta["wearing"] - 1) // per_person + 1
    meta["session"] = (meta["wearing"] - 1) % per_person + 1
    meta["_position"] = np.arange(len(meta))
    meta = in_order(meta)
    items = [(found[position][0],) for position in meta.pop("_position")]
    filters = standard_filters(subjects, sessions, repetitions, gestures)
    meta, items = select_items(meta, items, filters)
    return build_bunch(
        facts, meta, FileReader(_read_trial), items, lazy=lazy, grid=_GRID
    )


def _read_trial(path):
    (table,) = read_mat(path, ["data"], publisher="CapgMyo")
    if table.shape[1] != _N_CHANNELS:
        raise DatasetFormatError(
            f"{path}: data must have {_N_CHANNELS} columns; got shape {table.shape}."
        )
    if not np.isfinite(table).all():
        raise DatasetFormatError(f"{path}: data holds NaN or infinity.")
    return table.astype(np.float32, copy=False)
