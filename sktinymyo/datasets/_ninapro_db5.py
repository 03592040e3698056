"""NinaPro DB5: 52 movements with two Myo armbands."""

import numpy as np

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
from ._files import FileReader
from ._ninapro import LICENSE, file_table, read_emg, read_labels, scan_mat
from ._one_subject_myo import MYO_UNIT

_EXERCISE_1 = (
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
_EXERCISE_2 = (
    "Thumb up",
    "Extension of index and middle, flexion of the others",
    "Flexion of ring and little finger, extension of the others",
    "Thumb opposing base of little finger",
    "Abduction of all fingers",
    "Fingers flexed together in fist",
    "Pointing index",
    "Adduction of extended fingers",
    "Wrist supination (axis: middle finger)",
    "Wrist pronation (axis: middle finger)",
    "Wrist supination (axis: little finger)",
    "Wrist pronation (axis: little finger)",
    "Wrist flexion",
    "Wrist extension",
    "Wrist radial deviation",
    "Wrist ulnar deviation",
    "Wrist extension with closed hand",
)
_EXERCISE_3 = (
    "Large diameter grasp",
    "Small diameter grasp (power grip)",
    "Fixed hook grasp",
    "Index finger extension grasp",
    "Medium wrap",
    "Ring grasp",
    "Prismatic four fingers grasp",
    "Stick grasp",
    "Writing tripod grasp",
    "Power sphere grasp",
    "Three finger sphere grasp",
    "Precision sphere grasp",
    "Tripod grasp",
    "Prismatic pinch grasp",
    "Tip pinch grasp",
    "Quadpod grasp",
    "Lateral grasp",
    "Parallel extension grasp",
    "Extension type grasp",
    "Power disk grasp",
    "Open a bottle with a tripod grasp",
    "Turn a screw",
    "Cut something",
)
_EXERCISES = {1: _EXERCISE_1, 2: _EXERCISE_2, 3: _EXERCISE_3}

FACTS = SetFacts(
    name="ninapro_db5",
    description="""
NinaPro DB5: 10 people, two Myo armbands (channels 1-8 nearer to the elbow, 9-16
towards the hand and turned by 22.5 degrees), 200 Hz, 52 movements in three exercises
and rest, six repetitions. Labels are the refined ones (restimulus, rerepetition)
unless asked otherwise. Rest between two movements carries the repetition of the
movement before it.
""",
    sfreq=200.0,
    n_channels=16,
    unit=MYO_UNIT,
    target_names=("Rest", *_EXERCISE_1, *_EXERCISE_2, *_EXERCISE_3),
    license=LICENSE,
    citation=(
        "Pizzolato et al., Comparison of six electromyography acquisition setups on "
        "hand movement classification tasks, PLoS ONE 12(10):e0186132, 2017"
    ),
    source="https://ninapro.hevs.ch/instructions/DB5.html",
)


def load_ninapro_db5(
    folder,
    *,
    subjects=None,
    exercises=None,
    repetitions=None,
    gestures=None,
    labels="restimulus",
    segment=True,
    lazy=False,
):
    """Load NinaPro DB5 from a local folder.

    Parameters
    ----------
    folder : str or path
        Folder that holds ``S1_E1_A1.mat`` and so on, directly or in folders.
    subjects : int, list or None, default=None
        People, 1 to 10.
    exercises : int, list or None, default=None
        1: fingers, 2: hand configurations and wrist, 3: grasps.
    repetitions : int, list or None, default=None
        Repetitions, 1 to 6 (only with ``segment=True``).
    gestures : int, str, list or None, default=None
        Gestures by code (0 is rest, 1 to 52) or name (only with
        ``segment=True``). Codes do not change.
    labels : {"restimulus", "stimulus"}, default="restimulus"
        The labels refined afterwards by the authors, or the cue.
    segment : bool, default=True
        True cuts at every change of label or repetition: one recording and one
        target each; rest is a class, and each stretch of rest carries the
        repetition of the movement before it, so that a split by repetition
        keeps neighbours together. False gives whole files; `target` is then a
        list of codes per sample.
    lazy : bool, default=False
        Read the samples when a recording is accessed (the labels are read at
        once).

    Returns
    -------
    bunch : Bunch
        ``recordings`` (arrays (16, n_times), ADC counts at 200 Hz), ``target``,
        ``target_names`` (53), ``groups``, ``meta`` (with ``exercise``; the
        session is the acquisition) and the origin of the set, as described in
        :mod:`sktinymyo.datasets`.

    Raises
    ------
    DatasetNotFoundError
        If the folder is missing or holds no file of the set.
    DatasetFormatError
        If a file is damaged, or a variable is missing or misshapen.

    Notes
    -----
    Labels start from 1 in every exercise of the published files; they are
    moved behind those of the exercises before. Files whose labels already go
    on from exercise to exercise are recognised by their values.

    References
    ----------
    .. [1] Pizzolato et al., PLoS ONE 12(10):e0186132, 2017, Methods.
    .. [2] Names of the movements: Atzori et al., Scientific Data 1:140053,
       2014, Fig. 2.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> import numpy as np
    >>> from scipy.io import savemat
    >>> from sktinymyo.datasets import load_ninapro_db5
    >>> labels = np.repeat([[0], [1], [0]], 4, axis=0)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     savemat(Path(folder, "S1_E2_A1.mat"), {"emg": np.ones((12, 16)),
    ...         "restimulus": labels, "rerepetition": labels})
    ...     bunch = load_ninapro_db5(folder)
    >>> bunch.target, bunch.meta["gesture"][1], bunch.meta["repetition"].tolist()
    (array([ 0, 13,  0]), 'Thumb up', [1, 1, 1])
    """
    check_choice("labels", labels, ("restimulus", "stimulus"))
    check_flag("segment", segment)
    refuse_for_whole_files(segment, repetitions=repetitions, gestures=gestures)
    names = FACTS.target_names
    files = file_table(scan_mat(folder, FACTS))
    files = files.loc[files["exercise"].isin(list(_EXERCISES))]
    files = select_rows(
        files, standard_filters(subjects, exercises=(exercises, ("exercise",)))
    )
    codes, numbers = [], []
    for path, exercise in zip(files["path"], files["exercise"], strict=True):
        first = sum(len(_EXERCISES[k]) for k in range(1, exercise))
        code, number = read_labels(path, labels, len(names) - 1)
        if code.max() <= len(_EXERCISES[exercise]):
            code = np.where(code > 0, code + first, 0)
        codes.append(code)
        numbers.append(number)
    meta, items, target = label_runs(
        files, codes, names, segment=segment, repetitions=numbers
    )
    if segment:
        filters = standard_filters(None, None, repetitions, gestures)
        meta, items = select_items(meta, items, filters)
    else:
        # The labels may be a few samples shorter than the signal.
        items = [(*item, 0, len(code)) for item, code in zip(items, codes, strict=True)]
    read = FileReader(read_emg)
    return build_bunch(FACTS, meta, read, items, lazy=lazy, target=target)
