"""NinaPro DB8: finger kinematics from 16 wireless sensors."""

import warnings
from functools import partial

import numpy as np

from .._validation import check_choice
from ._bunch import (
    LazyRecordings,
    SetFacts,
    build_bunch,
    check_flag,
    label_runs,
    refuse_for_whole_files,
    select_items,
    select_rows,
    standard_filters,
)
from ._files import FileReader
from ._ninapro import (
    LICENSE,
    file_table,
    read_emg,
    read_labels,
    read_matrix,
    scan_mat,
)

_DB8_NAMES = (
    "Rest",
    "Thumb flexion/extension",
    "Thumb abduction/adduction",
    "Index finger flexion/extension",
    "Middle finger flexion/extension",
    "Ring and little finger flexion/extension",
    "Index pointer",
    "Cylindrical grip",
    "Lateral grip",
    "Tripod grip",
)
_N_GLOVE = 18
_DOA_NAMES = (
    "thumb rotation",
    "thumb flexion",
    "index flexion",
    "middle flexion",
    "ring and little flexion",
)
# Weight of each of the 18 glove sensors in the five degrees of actuation.
_DOA_WEIGHTS = {
    0: {0: 0.639, 1: 0.383, 3: -0.639, 16: -0.19},
    1: {2: 1.0},
    2: {4: 0.4, 5: 0.6},
    3: {6: 0.4, 7: 0.6},
    4: {9: 0.1667, 10: 0.3333, 12: 0.1667, 13: 0.3333},
}

FACTS = SetFacts(
    name="ninapro_db8",
    description="""
NinaPro DB8: 10 able-bodied people and two with an amputation (subjects 11, 12), 16
Delsys Trigno sensors, nine single-finger and functional movements of both hands with
a data glove of 18 sensors on the other hand. Acquisitions (sessions) 1 and 2 have ten
repetitions of each movement, acquisition 3 two: the authors train on 1 and 2 and test
on 3. EMG was sampled at 1111 Hz; the files hold all signals at 2000 Hz, so the upper
part of the band is empty. The labels follow the cue: the authors advise against using
them as targets.
""",
    sfreq=2000.0,
    n_channels=16,
    unit="as in the file (unit not stated)",
    target_names=_DB8_NAMES,
    license=LICENSE,
    citation=(
        "Krasoulis, Vijayakumar & Nazarpour, Effect of user practice on prosthetic "
        "finger control with an intuitive myoelectric decoder, Front. Neurosci. "
        "13:891, 2019"
    ),
    source="https://ninapro.hevs.ch/instructions/DB8.html",
)


def _map_glove(glove, start, stop, weights):
    """Return glove angles, or degrees of actuation when weights are given."""
    angles = glove[start:stop]
    return np.ascontiguousarray(angles if weights is None else angles @ weights)


def _doa_matrix():
    weights = np.zeros((_N_GLOVE, len(_DOA_NAMES)), dtype=np.float32)
    for degree, sensors in _DOA_WEIGHTS.items():
        for sensor, weight in sensors.items():
            weights[sensor, degree] = weight
    return weights


def load_ninapro_db8(
    folder,
    *,
    subjects=None,
    sessions=None,
    repetitions=None,
    gestures=None,
    target="glove",
    segment=False,
    lazy=False,
):
    """Load NinaPro DB8 from a local folder, for regression of finger movement.

    Parameters
    ----------
    folder : str or path
        Folder that holds ``S1_E1_A1.mat`` and so on, directly or in folders.
    subjects : int, list or None, default=None
        People, 1 to 12.
    sessions : int, list or None, default=None
        Acquisitions 1 to 3.
    repetitions : int, list or None, default=None
        Repetitions (only with ``segment=True``).
    gestures : int, str, list or None, default=None
        Movements by code (0 to 9) or name (only with ``segment=True``).
    target : {"glove", "doa"}, default="glove"
        Continuous targets: the 18 calibrated glove sensors in degrees, or the
        five degrees of actuation of a hand prosthesis that the authors compute
        from them by fixed weights [1]_.
    segment : bool, default=False
        False gives one recording per file: continuous targets need no cuts.
        True cuts at every change of movement or repetition.
    lazy : bool, default=False
        Read EMG and glove when a recording is accessed; `target` is then lazy
        too. The whole set takes more than 10 GB in memory.

    Returns
    -------
    bunch : Bunch
        ``recordings`` (arrays (16, n_times) at 2000 Hz), ``target`` (one array
        (n_times, 18) or (n_times, 5) per recording), ``target_names``,
        ``groups``, ``meta`` (session = acquisition) and the origin of the set,
        as described in :mod:`sktinymyo.datasets`.

    Raises
    ------
    DatasetNotFoundError
        If the folder is missing or holds no file of the set.
    DatasetFormatError
        If a file is damaged, or a variable is missing or misshapen.

    Warns
    -----
    UserWarning
        If glove data holds NaN (kept, so that times stay right).

    References
    ----------
    .. [1] Krasoulis, Vijayakumar & Nazarpour, Front. Neurosci. 13:891, 2019,
       Materials and Methods; the weights as used by LibEMG,
       ``libemg/_datasets/nina_pro.py``.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> import numpy as np
    >>> from scipy.io import savemat
    >>> from sktinymyo.datasets import load_ninapro_db8
    >>> labels = np.zeros((12, 1))
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     savemat(Path(folder, "S3_E1_A2.mat"), {"emg": np.ones((12, 16)),
    ...         "glove": np.ones((12, 18)), "restimulus": labels,
    ...         "rerepetition": labels})
    ...     bunch = load_ninapro_db8(folder, target="doa")
    >>> bunch.recordings[0].shape, bunch.target[0].shape, bunch.groups
    ((16, 12), (12, 5), array([3]))
    """
    check_choice("target", target, ("glove", "doa"))
    check_flag("segment", segment)
    refuse_for_whole_files(segment, repetitions=repetitions, gestures=gestures)
    check_flag("lazy", lazy)
    files = file_table(scan_mat(folder, FACTS)).drop(columns="exercise")
    files = select_rows(files, standard_filters(subjects, sessions))
    labelled = [read_labels(path, "restimulus", 9) for path in files["path"]]
    meta, items, _ = label_runs(
        files,
        [codes for codes, _ in labelled],
        _DB8_NAMES,
        segment=segment,
        repetitions=[numbers for _, numbers in labelled],
    )
    if segment:
        filters = standard_filters(None, None, repetitions, gestures)
        meta, items = select_items(meta, items, filters)
    else:
        items = [
            (*item, 0, len(codes))
            for item, (codes, _) in zip(items, labelled, strict=True)
        ]
    weights = None if target == "glove" else _doa_matrix()
    reader = FileReader(_read_glove, partial(_map_glove, weights=weights))
    targets = LazyRecordings(items, reader)
    bunch = build_bunch(
        FACTS,
        meta,
        FileReader(read_emg),
        items,
        lazy=lazy,
        target=targets if lazy else list(targets),
    )
    bunch.target_names = (
        [f"glove sensor {k} (degree)" for k in range(1, _N_GLOVE + 1)]
        if weights is None
        else list(_DOA_NAMES)
    )
    return bunch


def _read_glove(path):
    glove = read_matrix(path, "glove", _N_GLOVE)
    n_bad = int((~np.isfinite(glove)).any(axis=1).sum())
    if n_bad:
        warnings.warn(
            f"{path}: {n_bad} samples of the glove hold NaN or infinity; leave the "
            "windows with them out before fitting.",
            UserWarning,
            stacklevel=2,
        )
    return glove
