"""OneSubjectMyo: one person, five gestures, a Myo armband."""

from functools import partial

import pandas as pd

from ._bunch import SetFacts, build_bunch, select_rows, standard_filters
from ._files import FileReader, read_text_table, scan

MYO_UNIT = "ADC count (int8, Myo)"
MYO_LAYOUT = "8 comma-separated numbers, one per channel"
GUIDED_NAMES = (
    "Hand close",
    "Hand open",
    "No motion",
    "Wrist extension",
    "Wrist flexion",
)

FACTS = SetFacts(
    name="one_subject_myo",
    description="""
OneSubjectMyo: one person, Myo armband (8 dry bipolar channels, 200 Hz), five
gestures held for 3 s, six trials with two repetitions each. The recordings are
also part of CIIL (minimal training data, subject 1, sessions 2 to 7): do not mix
the two. The continuous file stream/raw_emg.csv has no labels and is not loaded.
""",
    sfreq=200.0,
    n_channels=8,
    unit=MYO_UNIT,
    target_names=GUIDED_NAMES,
    license="none stated in the repository",
    citation="LibEMG, https://libemg.github.io/libemg/",
    source="https://github.com/LibEMG/OneSubjectMyoDataset",
)

EXPECTED = "files trial_1/R_0_C_0.csv, ..., trial_6/R_1_C_4.csv"
GET = f"fetch_one_subject_myo() downloads it (1 MB) from {FACTS.source}."

read_myo_table = partial(read_text_table, columns=8, layout=MYO_LAYOUT)


def load_one_subject_myo(
    folder, *, sessions=None, repetitions=None, gestures=None, lazy=False
):
    r"""Load OneSubjectMyo from a local folder.

    Parameters
    ----------
    folder : str or path
        Folder that holds ``trial_1`` to ``trial_6``.
    sessions : int, list or None, default=None
        Trials to load (1 to 6); None loads all.
    repetitions : int, list or None, default=None
        Repetitions to load (0, 1); None loads all.
    gestures : int, str, list or None, default=None
        Gestures by code or name; None loads all. Codes do not change.
    lazy : bool, default=False
        Read each file when its recording is accessed.

    Returns
    -------
    bunch : Bunch
        ``recordings`` (60 arrays (8, n_times), ADC counts at 200 Hz),
        ``target``, ``target_names``, ``groups``, ``meta`` and the origin of the
        set, as described in :mod:`sktinymyo.datasets`.

    Raises
    ------
    DatasetNotFoundError
        If the folder is missing or holds no file of the set.
    DatasetFormatError
        If a file does not hold 8 columns of finite numbers.

    Notes
    -----
    Class 3 is wrist extension and class 4 wrist flexion, as in the
    ``metadata.json`` of every trial; some readers list them the other way
    round.

    References
    ----------
    .. [1] File names: LibEMG, ``libemg/_datasets/one_subject_myo.py``.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> from sktinymyo.datasets import load_one_subject_myo
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     trial = Path(folder) / "trial_1"
    ...     trial.mkdir()
    ...     _ = (trial / "R_0_C_2.csv").write_text("1,2,3,4,5,6,7,8\n" * 5)
    ...     bunch = load_one_subject_myo(folder)
    >>> bunch.recordings[0].shape, bunch.target_names[bunch.target[0]]
    ((8, 5), 'No motion')
    """
    found = scan(
        folder,
        "trial_*/R_*_C_*.csv",
        r"trial_(?P<session>\d+)/R_(?P<repetition>\d+)_C_(?P<target>[0-4])\.csv",
        set_name="OneSubjectMyo",
        expected=EXPECTED,
        get=GET,
    )
    meta = pd.DataFrame([{"subject": 1, **fields} for _, fields in found])
    meta["gesture"] = [GUIDED_NAMES[code] for code in meta["target"]]
    meta["path"] = [path for path, _ in found]
    meta = select_rows(meta, standard_filters(None, sessions, repetitions, gestures))
    items = [(path,) for path in meta.pop("path")]
    return build_bunch(FACTS, meta, FileReader(read_myo_table), items, lazy=lazy)
