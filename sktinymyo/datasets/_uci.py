"""UCI "EMG data for gestures": 36 people, seven gestures, .txt files of a Myo."""

import numpy as np
import pandas as pd

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
from ._files import DatasetFormatError, FileReader, scan, whole_labels

TARGET_NAMES = (
    "Unmarked",
    "Rest",
    "Fist",
    "Wrist flexion",
    "Wrist extension",
    "Radial deviation",
    "Ulnar deviation",
    "Extended palm",
)
_LAYOUT = "10 tab-separated numbers (time in ms, 8 channels, class) below one header"

FACTS = SetFacts(
    name="uci_emg",
    description="""
UCI "EMG data for gestures": 36 people, Myo armband (8 dry bipolar channels), two
series of six or seven gestures held for 3 s with pauses of 3 s. The files have one row
per millisecond, although the armband measures 200 times per second: neighbouring rows
repeat. "Extended palm" was not made by everyone. Class 0 is unmarked: it is left out
by default.
""",
    sfreq=1000.0,
    n_channels=8,
    unit="as in the file (unit not stated)",
    target_names=TARGET_NAMES,
    license="CC BY 4.0 (UCI repository)",
    citation=(
        "Lobov et al., Latent Factors Limiting the Performance of sEMG-Interfaces, "
        "Sensors 18(4):1122, 2018, doi:10.3390/s18041122"
    ),
    source="https://archive.ics.uci.edu/dataset/481/emg+data+for+gestures",
)


def _read_table(path):
    try:
        frame = pd.read_csv(
            path, sep="\t", skiprows=1, header=None, dtype=np.float64, compression=None
        )
    except (ValueError, OverflowError) as error:
        raise DatasetFormatError(
            f"{path} is not a table of numbers ({error}); expected lines with "
            f"{_LAYOUT}."
        ) from None
    if frame.shape[1] != 10:
        raise DatasetFormatError(
            f"{path} has {frame.shape[1]} columns; expected lines with {_LAYOUT}."
        )
    table = frame.to_numpy()
    # A published file ends in the middle of its last line.
    if len(table) and not np.isfinite(table[-1]).all():
        table = table[:-1]
    if not len(table) or not np.isfinite(table).all():
        raise DatasetFormatError(
            f"{path} holds missing or non-finite values; expected lines with {_LAYOUT}."
        )
    return table


def _read_channels(path):
    return _read_table(path)[:, 1:9]


def load_uci_emg(
    folder,
    *,
    subjects=None,
    sessions=None,
    repetitions=None,
    gestures=None,
    segment=True,
    unmarked=False,
    lazy=False,
):
    r"""Load the UCI set "EMG data for gestures" from a local folder.

    Parameters
    ----------
    folder : str or path
        Folder that holds ``01`` to ``36``, or the folder above
        (``EMG_data_for_gestures-master``).
    subjects : int, list or None, default=None
        People, 1 to 36.
    sessions : int, list or None, default=None
        Series 1 and 2.
    repetitions : int, list or None, default=None
        Running number of a gesture inside a file, from 0 (only with
        ``segment=True``).
    gestures : int, str, list or None, default=None
        Gestures by code (1 to 7) or name (only with ``segment=True``). Codes
        do not change.
    segment : bool, default=True
        True cuts at every change of the class: one recording and one target
        each. False gives whole files; `target` is then a list of codes per
        sample.
    unmarked : bool, default=False
        Keep the stretches of class 0, the transitions between gestures.
    lazy : bool, default=False
        Read the samples when a recording is accessed (the classes are read at
        once).

    Returns
    -------
    bunch : Bunch
        ``recordings`` (arrays (8, n_times) at 1000 rows per second),
        ``target``, ``target_names``, ``groups``, ``meta`` and the origin of the
        set, as described in :mod:`sktinymyo.datasets`.

    Raises
    ------
    DatasetNotFoundError
        If the folder is missing or holds no file of the set.
    DatasetFormatError
        If a file does not hold 10 columns of finite numbers.

    References
    ----------
    .. [1] Layout: README of the set.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> from sktinymyo.datasets import load_uci_emg
    >>> rows = "".join(f"{t}\t" + "1e-05\t" * 8 + f"{t // 4}\n" for t in range(12))
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     Path(folder, "01").mkdir()
    ...     file = Path(folder, "01", "1_raw_data_13-12_22.03.16.txt")
    ...     _ = file.write_text("time\tchannel1\tclass\n" + rows)
    ...     bunch = load_uci_emg(folder)
    >>> bunch.target, bunch.recordings[0].shape
    (array([1, 2]), (8, 4))
    """
    check_flag("segment", segment)
    refuse_for_whole_files(segment, repetitions=repetitions, gestures=gestures)
    check_flag("unmarked", unmarked)
    found = scan(
        folder,
        ["*/*_raw_data_*.txt", "EMG_data_for_gestures-master/*/*_raw_data_*.txt"],
        r"(?:EMG_data_for_gestures-master/)?(?P<subject>\d+)/"
        r"(?P<session>\d+)_raw_data_.*\.txt",
        set_name="UCI EMG data for gestures",
        expected="files 01/1_raw_data_13-12_22.03.16.txt (person / series)",
        get=f"It must be downloaded by hand: {FACTS.source}.",
    )
    files = pd.DataFrame([fields for _, fields in found])
    files["path"] = [path for path, _ in found]
    files["gesture"] = "all"
    files = select_rows(files, standard_filters(subjects, sessions))
    labels = [
        whole_labels(_read_table(path)[:, 9], path, "class (column 10)", 7)
        for path in files["path"]
    ]
    meta, items, target = label_runs(
        files,
        labels,
        TARGET_NAMES,
        segment=segment,
        skip=() if unmarked else (0,),
    )
    if segment:
        if not items:
            raise DatasetFormatError(f"no marked gesture in the files of {folder}.")
        filters = standard_filters(None, None, repetitions, gestures)
        meta, items = select_items(meta, items, filters)
    read = FileReader(_read_channels)
    return build_bunch(FACTS, meta, read, items, lazy=lazy, target=target)
