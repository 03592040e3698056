"""emg2pose: wrist EMG with joint angles of the hand, HDF5 files."""

import numpy as np
import pandas as pd

from .._optional import import_optional
from ._bunch import (
    LazyRecordings,
    SetFacts,
    build_bunch,
    check_flag,
    select_items,
)
from ._files import DatasetFormatError, as_recording, runs, scan

_JOINTS = tuple(
    name
    for finger, joints in {
        "thumb": ("CMC flexion", "CMC abduction", "MCP flexion", "IP flexion"),
        **dict.fromkeys(
            ("index", "middle", "ring", "little"),
            ("MCP abduction", "MCP flexion", "PIP flexion", "DIP flexion"),
        ),
    }.items()
    for name in (f"{finger} {joint} (rad)" for joint in joints)
)
_ATTRIBUTES = ("user", "session", "stage", "side")

FACTS = SetFacts(
    name="emg2pose",
    description="""
emg2pose: 193 people, wristband with 16 channels at 2000 Hz (high-pass filtered by the
authors), 20 joint angles of the hand from motion capture, in 29 kinds of movement
(stages) of about one minute; one file per stage and hand. Joint angles are all zero
where the motion capture failed: those stretches are cut out with segment=True.
""",
    sfreq=2000.0,
    n_channels=16,
    unit="as in the file (unit not stated)",
    target_names=_JOINTS,
    license="CC BY-NC-SA 4.0",
    citation=(
        "Salter et al., emg2pose: A Large and Diverse Benchmark for Surface "
        "Electromyographic Hand Pose Estimation, NeurIPS Datasets and Benchmarks, "
        "2024, arXiv:2412.02725"
    ),
    source="https://github.com/facebookresearch/emg2pose",
)
_WHAT = "the compound data set emg2pose/timeseries with emg (16) and joint_angles (20)"


def _open(path):
    h5py = import_optional("h5py", extra="data", purpose="load_emg2pose")
    try:
        return h5py.File(path, "r")
    except OSError as error:
        raise DatasetFormatError(
            f"{path} is not a readable HDF5 file ({error}); it is damaged or "
            "incomplete."
        ) from None


def _timeseries(path, file):
    """Return the table of one file after checking its columns."""
    try:
        series = file["emg2pose"]["timeseries"]
        shapes = [series.dtype[name].shape for name in ("emg", "joint_angles")]
    except (KeyError, TypeError, AttributeError):
        shapes = None
    if shapes != [(16,), (20,)] or not len(series):
        raise DatasetFormatError(f"{path} does not hold {_WHAT}.")
    return series


def _read_column(path, name, start, stop):
    with _open(path) as file:
        try:
            values = _timeseries(path, file)[name][start:stop]
        except OSError as error:
            raise DatasetFormatError(
                f"{path}: {name} cannot be read ({error}); the file is damaged."
            ) from None
    if not np.isfinite(values).all():
        raise DatasetFormatError(f"{path}: {name} holds NaN or infinity.")
    return values


def _read_emg(item):
    return as_recording(_read_column(item[0], "emg", *item[1:]))


def _read_angles(item):
    return _read_column(item[0], "joint_angles", *item[1:]).astype(np.float32)


def load_emg2pose(
    folder,
    *,
    subjects=None,
    sessions=None,
    stages=None,
    sides=None,
    segment=False,
    minimum_duration=1.0,
    lazy=True,
):
    """Load emg2pose from a local folder, for regression of joint angles.

    Parameters
    ----------
    folder : str or path
        Folder that holds the ``.hdf5`` files.
    subjects : str, list or None, default=None
        People, such as "d387095792".
    sessions : str, list or None, default=None
        Recording sessions.
    stages : str, list or None, default=None
        Kinds of movement.
    sides : str, list or None, default=None
        "left", "right".
    segment : bool, default=False
        True cuts out the stretches without motion capture (all angles zero);
        this reads the angles of every file now.
    minimum_duration : float, default=1.0
        Shortest stretch kept with ``segment=True``, in seconds.
    lazy : bool, default=True
        Read EMG and angles when they are accessed; `target` is then lazy too.
        True, unlike in the other loaders, because the set has 431 GiB.

    Returns
    -------
    bunch : Bunch
        ``recordings`` (arrays (16, n_times) at 2000 Hz), ``target`` (arrays
        (n_times, 20), joint angles in radian), ``target_names``, ``groups``,
        ``meta`` (with ``side``; the gesture is the stage) and the origin of the
        set, as described in :mod:`sktinymyo.datasets`.

    Raises
    ------
    DatasetNotFoundError
        If the folder is missing or holds no .hdf5 file.
    DatasetFormatError
        If a file is damaged or not laid out as documented.
    OptionalDependencyError
        If h5py is missing.

    References
    ----------
    .. [1] Layout: README and ``emg2pose/data.py`` of the repository; order of
       the joints: ``emg2pose/constants.py``.

    Examples
    --------
    >>> from sktinymyo.datasets import load_emg2pose
    >>> bunch = load_emg2pose("emg2pose_dataset_mini")  # doctest: +SKIP
    >>> bunch.recordings[0].shape, bunch.target[0].shape  # doctest: +SKIP
    ((16, 118952), (118952, 20))
    """
    check_flag("segment", segment)
    check_flag("lazy", lazy)
    if not minimum_duration > 0:
        raise ValueError(
            f"minimum_duration must be > 0 seconds; got {minimum_duration!r}."
        )
    found = scan(
        folder,
        ["*.hdf5", "*/*.hdf5"],
        r".*\.hdf5",
        set_name="emg2pose",
        expected=".hdf5 files",
        get=f"It must be downloaded by hand: {FACTS.source}.",
    )
    rows = [_describe(path) for path, _ in found]
    meta, spans = select_items(
        pd.DataFrame(rows),
        [(path, 0, None) for path, _ in found],
        {
            "subjects": (subjects, ("subject",)),
            "sessions": (sessions, ("session",)),
            "stages": (stages, ("gesture",)),
            "sides": (sides, ("side",)),
        },
    )
    items, origin = spans, np.arange(len(spans))
    if segment:
        pieces = [_valid_spans(path, minimum_duration) for path, _, _ in spans]
        items = [item for piece in pieces for item in piece]
        origin = np.repeat(origin, [len(piece) for piece in pieces])
        if not items:
            raise ValueError(
                f"no stretch with joint angles lasts minimum_duration="
                f"{minimum_duration} s; pass a shorter one."
            )
    meta = meta.iloc[origin].reset_index(drop=True)
    meta["repetition"] = meta.groupby(["subject", "session", "gesture", "side"])[
        "side"
    ].cumcount()
    targets = LazyRecordings(items, _read_angles)
    return build_bunch(
        FACTS,
        meta,
        _read_emg,
        items,
        lazy=lazy,
        target=targets if lazy else list(targets),
    )


def _describe(path):
    """Return subject, session, stage and side of one file."""
    with _open(path) as file:
        _timeseries(path, file)
        attributes = file["emg2pose"].attrs
        missing = [name for name in _ATTRIBUTES if name not in attributes]
        if missing:
            raise DatasetFormatError(
                f"{path}: the group emg2pose lacks the attribute(s) "
                f"{', '.join(missing)}."
            )
        user, session, stage, side = (str(attributes[name]) for name in _ATTRIBUTES)
        rate = float(attributes.get("sample_rate", FACTS.sfreq))
    if rate != FACTS.sfreq:
        raise DatasetFormatError(
            f"{path} states a sampling rate of {rate} Hz; expected {FACTS.sfreq} Hz."
        )
    return {
        "subject": user,
        "session": session,
        "gesture": stage,
        "side": side,
        "file": path.name,
    }


def _valid_spans(path, minimum_duration):
    angles = _read_column(path, "joint_angles", 0, None)
    # The tolerance of the authors' own mask of failed frames.
    valid = ~np.isclose(angles, 0.0).all(axis=1)
    shortest = minimum_duration * FACTS.sfreq
    return [
        (path, int(start), int(stop))
        for start, stop in zip(*runs(valid), strict=True)
        if valid[start] and stop - start >= shortest
    ]
