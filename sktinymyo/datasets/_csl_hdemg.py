"""CSL-HDEMG: 27 gestures under a grid of 24 x 7 bipolar channels."""

import numpy as np
import pandas as pd
from scipy.io import whosmat

from ._bunch import SetFacts, build_bunch, in_order, select_items, standard_filters
from ._files import DatasetFormatError, FileReader, as_recording, scan
from ._ninapro import read_variables

_N_RAW = 192
_GRID = (24, 7)
_N_GESTURES = 27
_SOURCE = "http://www.csl.uni-bremen.de/cms/forschung/bewegungserkennung"

FACTS = SetFacts(
    name="csl_hdemg",
    description="""
CSL-HDEMG: five people, five sessions each on different days, 27 gestures of the fingers
and the hand (0 is idle), each ten times a session (idle thirty times), about three
seconds a trial. A grid of 192 electrodes around the upper forearm was read bipolar
along the arm; every eighth difference joins the ends of two rows and is left out here,
so that 24 x 7 channels remain: 24 places around the arm, 7 along it from the elbow to
the hand.
""",
    sfreq=2048.0,
    n_channels=_GRID[0] * _GRID[1],
    unit="as in the file (unit not stated)",
    target_names=("idle", *(f"gesture {k}" for k in range(1, _N_GESTURES))),
    license="none stated (free for research, citation required)",
    citation=(
        "Amma, Krings, Boer & Schultz, Advancing muscle-computer interfaces with "
        "high-density electromyography, CHI 2015"
    ),
    source=_SOURCE,
)


def load_csl_hdemg(
    folder,
    *,
    subjects=None,
    sessions=None,
    repetitions=None,
    gestures=None,
    lazy=False,
):
    """Load CSL-HDEMG from a local folder.

    Parameters
    ----------
    folder : str or path
        Folder that holds ``subject1/session1/gest0.mat`` to
        ``subject5/session5/gest26.mat``.
    subjects : int, list or None, default=None
        People, 1 to 5.
    sessions : int, list or None, default=None
        Sessions, 1 to 5.
    repetitions : int, list or None, default=None
        Trials of a gesture in a session, counted from 1.
    gestures : int, str, list or None, default=None
        Gestures by code, 0 (idle) to 26, or name.
    lazy : bool, default=False
        Read a file when one of its trials is accessed. The whole set takes some 30 GB
        in memory.

    Returns
    -------
    bunch : Bunch
        ``recordings`` (arrays (168, n_times) at 2048 Hz, one a trial), ``target``,
        ``target_names``, ``groups``, ``meta``, ``grid`` = (24, 7) with channel = row *
        7 + column, and the origin of the set, as described in
        :mod:`sktinymyo.datasets`.

    Raises
    ------
    DatasetNotFoundError
        If the folder is missing or holds no file of the set.
    DatasetFormatError
        If a file is damaged or does not hold trials of 192 channels.

    Notes
    -----
    The trials hold the movement into the gesture and out of it. Usual protocols are the
    trials of one session, ``LeaveRepetitionsOut(by="repetition")`` on that session, and
    sessions of one person, ``LeaveRepetitionsOut(by="session", per_subject=True)``.

    References
    ----------
    .. [1] C. Amma, T. Krings, J. Boer, T. Schultz, CHI 2015, and the example script
       that comes with the set: the cell array ``gestures``, the channels left out and
       the order of the rest.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> import numpy as np
    >>> from scipy.io import savemat
    >>> from sktinymyo.datasets import load_csl_hdemg
    >>> trials = np.empty((2, 1), dtype=object)
    >>> trials[0, 0] = trials[1, 0] = np.zeros((192, 50))
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     session = Path(folder, "subject2", "session4")
    ...     session.mkdir(parents=True)
    ...     savemat(session / "gest11.mat", {"gestures": trials})
    ...     bunch = load_csl_hdemg(folder)
    >>> bunch.recordings[1].shape, bunch.target, bunch.meta["repetition"].tolist()
    ((168, 50), array([11, 11]), [1, 2])
    """
    found = scan(
        folder,
        "*/*/*.mat",
        r"subject(?P<subject>\d+)/session(?P<session>\d+)/gest(?P<target>\d+)\.mat",
        set_name="CSL-HDEMG",
        expected="files subject1/session1/gest0.mat, ..., gest26.mat",
        get=f"It must be downloaded by hand: {_SOURCE}.",
    )
    rows, items = [], []
    for path, fields in found:
        if fields["target"] >= _N_GESTURES:
            raise DatasetFormatError(
                f"{path}: gesture {fields['target']} is not one of the {_N_GESTURES} "
                "of CSL-HDEMG, 0 to 26."
            )
        for trial in range(_count_trials(path)):
            rows.append({**fields, "repetition": trial + 1, "_position": len(items)})
            items.append((path, trial))
    meta = pd.DataFrame(rows)
    meta["gesture"] = [FACTS.target_names[code] for code in meta["target"]]
    meta = in_order(meta)
    items = [items[position] for position in meta.pop("_position")]
    filters = standard_filters(subjects, sessions, repetitions, gestures)
    meta, items = select_items(meta, items, filters)
    reader = FileReader(_read_trials, _pick_trial)
    return build_bunch(FACTS, meta, reader, items, lazy=lazy, grid=_GRID)


def _count_trials(path):
    """Return the number of trials of a file without reading them."""
    try:
        shapes = {name: (shape, kind) for name, shape, kind in whosmat(path)}
    except NotImplementedError:
        raise DatasetFormatError(
            f"{path} is a MATLAB 7.3 file; expected version 5 as published by "
            "CSL-HDEMG. Save it with the option -v6 or -v7."
        ) from None
    except Exception as error:
        # Damaged files make the reader raise nearly anything.
        raise DatasetFormatError(
            f"{path} is not a readable .mat file ({type(error).__name__}: {error}); it "
            "is damaged or incomplete."
        ) from None
    shape, kind = shapes.get("gestures", ((), ""))
    n_trials = int(np.prod(shape)) if shape else 0
    if kind != "cell" or not n_trials or max(shape) != n_trials:
        raise DatasetFormatError(
            f"{path} lacks a cell array 'gestures' with one entry a trial; it is "
            "incomplete or not a file of this set."
        )
    return n_trials


def _read_trials(path):
    (cells,) = read_variables(path, ["gestures"], publisher="CSL-HDEMG")
    trials = list(cells.ravel())
    for number, trial in enumerate(trials, start=1):
        if (
            getattr(trial, "ndim", 0) != 2
            or trial.dtype.kind not in "iuf"
            or trial.shape[0] != _N_RAW
            or not trial.shape[1]
        ):
            raise DatasetFormatError(
                f"{path}: trial {number} must be a matrix of {_N_RAW} rows of numbers; "
                f"got {getattr(trial, 'dtype', type(trial))} of shape "
                f"{getattr(trial, 'shape', ())}."
            )
        if not np.isfinite(trial).all():
            raise DatasetFormatError(f"{path}: trial {number} holds NaN or infinity.")
    return trials


def _pick_trial(trials, trial):
    # The last difference of each row of eight ends in the next row.
    kept = np.arange(_N_RAW).reshape(-1, 8)[:, :-1].ravel()
    return as_recording(trials[trial][kept].T)
