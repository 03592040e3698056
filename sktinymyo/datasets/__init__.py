"""Data sets of surface EMG: loaders, downloads and simulators.

Every function returns a :class:`sklearn.utils.Bunch` with the same fields.

================= ============================================================
field             content
================= ============================================================
``recordings``    list of float32 arrays (n_channels, n_times) in ``unit``, or
                  :class:`LazyRecordings` with ``lazy=True``
``sfreq``         sampling rate in Hz
``target``        integer code per recording (array); a list of codes per sample
                  for uncut files; a list of (n_times, k) arrays for regression
``target_names``  names of the codes, or of the k continuous targets
``groups``        subject of every recording, for splits across people
``meta``          data frame, one row per recording: ``recording``, ``subject``,
                  ``session``, ``repetition``, ``gesture`` and what else is known
``n_channels``    number of channels, with ``channel_names``
``unit``          unit of the samples
``DESCR``         description, with ``name``, ``license``, ``citation``, ``source``
================= ============================================================

Windows for any of them::

    X, y, meta = sliding_windows(
        bunch.recordings, bunch.sfreq, 0.2, 0.1, labels=bunch.target, meta=bunch.meta
    )
"""

from ._bunch import LazyRecordings
from ._capgmyo import load_capgmyo
from ._ciil import load_ciil
from ._cote_allard import load_cote_allard
from ._csl_hdemg import load_csl_hdemg
from ._csv import load_csv_folder
from ._download import get_data_home
from ._emg2pose import load_emg2pose
from ._epn612 import load_epn612
from ._fetch import (
    fetch_3dc,
    fetch_ciil,
    fetch_cote_allard,
    fetch_myo_readings,
    fetch_one_subject_myo,
)
from ._files import DatasetFormatError
from ._myo_readings import load_myo_readings
from ._ninapro_db5 import load_ninapro_db5
from ._ninapro_db8 import load_ninapro_db8
from ._one_subject_myo import load_one_subject_myo
from ._packed import list_packed, load_packed
from ._simulation import make_gestures, make_hdsemg, make_kinematics
from ._three_dc import load_3dc
from ._uci import load_uci_emg

__all__ = [
    "DatasetFormatError",
    "LazyRecordings",
    "fetch_3dc",
    "fetch_ciil",
    "fetch_cote_allard",
    "fetch_myo_readings",
    "fetch_one_subject_myo",
    "get_data_home",
    "list_packed",
    "load_3dc",
    "load_capgmyo",
    "load_ciil",
    "load_cote_allard",
    "load_csl_hdemg",
    "load_csv_folder",
    "load_emg2pose",
    "load_epn612",
    "load_myo_readings",
    "load_ninapro_db5",
    "load_ninapro_db8",
    "load_one_subject_myo",
    "load_packed",
    "load_uci_emg",
    "make_gestures",
    "make_hdsemg",
    "make_kinematics",
]
