"""High-density recordings with a grid of electrodes."""

import numbers

import numpy as np

from ..._validation import check_choice, check_number
from .common import Streams, build_bunch, check_common, check_dead
from .electrodes import make_grid
from .forearm import MUSCLE_NAMES
from .session import choose_gestures, record_gestures

__all__ = ["make_hdsemg"]


def _check_grid(grid, montage, distance):
    if (
        not isinstance(grid, (tuple, list))
        or len(grid) != 2
        or not all(
            isinstance(size, numbers.Integral) and not isinstance(size, bool)
            for size in grid
        )
    ):
        raise TypeError(
            f"grid must be a pair of whole numbers (n_rows, n_columns); got {grid!r}."
        )
    n_rows, n_columns = grid
    fewest = 2 if montage == "differential" else 1
    if n_rows < fewest or n_columns < 1 or not 2 <= n_rows * n_columns <= 512:
        raise ValueError(
            f"grid={grid!r} is not accepted: it needs at least {fewest} row(s) for "
            f"montage={montage!r}, one column, and 2 to 512 electrodes."
        )
    if n_columns * distance > 200 or n_rows * distance > 200:
        raise ValueError(
            f"grid={grid!r} with inter_electrode_distance={distance!r} is larger than "
            "a forearm: rows and columns may span 200 mm at most."
        )


def make_hdsemg(
    n_subjects=1,
    n_gestures=5,
    n_repetitions=2,
    n_sessions=1,
    duration=3.0,
    grid=(8, 8),
    sfreq=2048,
    *,
    inter_electrode_distance=10.0,
    grid_angle=150.0,
    montage="monopolar",
    gestures=None,
    effort=0.3,
    fatigue=0.3,
    person_variation=1.0,
    electrode_shift=5.0,
    fat=None,
    line_freq=50.0,
    line_noise=6.0,
    noise=4.0,
    motion_artefacts=40.0,
    n_dead_channels=0,
    n_motor_units=100,
    return_spikes=False,
    random_state=None,
):
    """Simulate high-density EMG: a grid of small electrodes on the forearm.

    The same people, gestures and motor units as in :func:`make_gestures`, seen
    by monopolar electrodes a few millimetres in size; on request with the
    spike train of every motor unit, the truth that a decomposition looks for.

    Parameters
    ----------
    n_subjects : int, default=1
        People.
    n_gestures : int, default=5
        As in :func:`make_gestures`.
    n_repetitions : int, default=2
        Of every gesture in a session.
    n_sessions : int, default=1
        The grid is put on anew for each.
    duration : float, default=3.0
        Of a recording, s; at least 0.25.
    grid : tuple of 2 int, default=(8, 8)
        Rows along the arm (from the elbow to the hand) and columns around it
        (towards the thumb on the palmar side); 2 to 512 electrodes.
    sfreq : float, default=2048
        Sampling rate, Hz, 100 to 20000; the default is usual for grids.
    inter_electrode_distance : float, default=10.0
        From one electrode to the next, mm, 1 to 40.
    grid_angle : float, default=150.0
        Where the middle of the grid lies, degrees: 0 is the middle of the
        palmar side, positive towards the thumb. The default is over the wrist
        and finger extensors.
    montage : {"monopolar", "differential"}, default="monopolar"
        Against a distant reference, or the difference of each electrode and
        the next one towards the hand: one row less.
    gestures : sequence of str or None, default=None
        Names instead of `n_gestures`; ``("wrist_extension",)`` with a long
        `duration` is a fatiguing contraction.
    effort, fatigue, person_variation : optional
        As in :func:`make_gestures`.
    electrode_shift : float, default=5.0
        Standard deviation of the place of the grid from session to session,
        mm around the arm; along the arm it is half as much.
    fat, line_freq : optional
        As in :func:`make_gestures`.
    line_noise : float, default=6.0
        Root mean square of the hum, uV; monopolar leads pick up more than
        bipolar ones.
    noise : optional
        As in :func:`make_gestures`.
    motion_artefacts : float, default=40.0
        Mean size of the transients when the arm moves, uV.
    n_dead_channels : int, default=0
        Electrodes without contact in each session.
    n_motor_units : int, default=100
        Per muscle; more than for an armband, because a grid can tell single
        ones.
    return_spikes : bool, default=False
        Return spike trains and a table of the motor units as well.
    random_state : int, RandomState instance or None, default=None
        As in :func:`make_gestures`.

    Returns
    -------
    bunch : sklearn.utils.Bunch
        As from :func:`make_gestures`, and `grid` (rows and columns of the
        channels), `channel_positions` (n_channels, 2): mm around and along the
        arm from the middle of the grid. Channel = row * n_columns + column.
        With `return_spikes` also `spike_trains` (per recording a list with the
        spike times, s, of every motor unit) and `motor_units` (DataFrame, in
        the order of those lists, block by block for each subject: subject,
        muscle, unit, threshold, n_fibres, velocity in m/s, depth below the
        skin in mm, angle in degrees).

    Raises
    ------
    ValueError, TypeError
        If a parameter is outside the range given here.

    References
    ----------
    As in :func:`make_gestures`; spatial filters of grids: Farina D, Merletti R
    (2001). IEEE Trans Biomed Eng 48:637-646, section II.

    Examples
    --------
    >>> from sktinymyo.datasets import make_hdsemg
    >>> data = make_hdsemg(
    ...     gestures=["wrist_extension"], n_repetitions=1, duration=0.5, grid=(4, 3),
    ...     n_motor_units=10, return_spikes=True, random_state=0,
    ... )
    >>> data.recordings[0].shape, data.recordings[0].reshape(4, 3, -1).shape
    ((12, 1024), (4, 3, 1024))
    >>> len(data.spike_trains[0]) == len(data.motor_units) == 12 * 10
    True
    """
    names = choose_gestures(n_gestures, gestures)
    check_common(
        {
            "n_subjects": n_subjects,
            "n_repetitions": n_repetitions,
            "n_sessions": n_sessions,
            "duration": duration,
            "sfreq": sfreq,
            "inter_electrode_distance": inter_electrode_distance,
            "effort": effort,
            "fatigue": fatigue,
            "person_variation": person_variation,
            "electrode_shift": electrode_shift,
            "fat": fat,
            "line_freq": line_freq,
            "line_noise": line_noise,
            "noise": noise,
            "motion_artefacts": motion_artefacts,
            "n_motor_units": n_motor_units,
        }
    )
    check_choice("montage", montage, ("monopolar", "differential"))
    if not isinstance(return_spikes, (bool, np.bool_)):
        raise TypeError(f"return_spikes must be True or False; got {return_spikes!r}.")
    check_number("grid_angle", grid_angle, minimum=-360, maximum=360)
    _check_grid(grid, montage, inter_electrode_distance)
    n_rows, n_columns = grid
    check_dead(n_dead_channels, n_rows * n_columns)

    def wear(person, rng):
        turn, slide = rng.normal(0, electrode_shift, 2) * (1.0, 0.5)
        angle = np.deg2rad(grid_angle) + turn / person.limb.radius
        electrodes = make_grid(
            grid, inter_electrode_distance, person.limb.radius, angle, slide
        )
        return electrodes, angle

    made = record_gestures(
        Streams(random_state),
        names,
        wear,
        counts=(n_subjects, n_sessions, n_repetitions),
        body={"n_motor_units": n_motor_units, "fat": fat},
        amplifier={
            "noise": noise,
            "line_freq": line_freq,
            "line_noise": line_noise,
            "motion": motion_artefacts,
            "n_dead": n_dead_channels,
        },
        duration=duration,
        sfreq=sfreq,
        effort=effort,
        fatigue=fatigue,
        variation=person_variation,
    )
    recordings = made.recordings
    if montage == "differential":
        recordings = [
            np.diff(recording.reshape(n_rows, n_columns, -1), axis=0).reshape(
                (n_rows - 1) * n_columns, -1
            )
            for recording in recordings
        ]
        n_rows -= 1
    along = (np.arange(n_rows) - (n_rows - 1) / 2) * inter_electrode_distance
    around = (np.arange(n_columns) - (n_columns - 1) / 2) * inter_electrode_distance
    positions = np.stack([np.tile(around, n_rows), np.repeat(along, n_columns)], 1)
    spikes = _spikes(made, duration) if return_spikes else {}
    return build_bunch(
        made.rows,
        recordings,
        sfreq=sfreq,
        target=np.tile(np.arange(len(names)), len(made.rows) // len(names)),
        target_names=names,
        title=f"Simulated high-density EMG, {n_rows} x {n_columns} channels",
        grid=(n_rows, n_columns),
        channel_positions=positions,
        excitation=made.excitation,
        fatigue=np.array(made.fatigue, dtype=np.float32),
        dead_channels=made.dead,
        **spikes,
    )


def _spikes(made, duration):
    """Collect the spike trains and describe the motor units."""
    import pandas as pd

    trains, tables = [], []
    for contraction in made.contractions:
        inside = (contraction.time >= 0) & (contraction.time < duration)
        unit, time = contraction.unit[inside], contraction.time[inside]
        n_units = len(MUSCLE_NAMES) * made.people[0].n_units
        borders = np.cumsum(np.bincount(unit, minlength=n_units))[:-1]
        # Spikes are sorted by unit, and by time within each.
        trains.append(np.split(time, borders))
    for subject, person in enumerate(made.people):
        pools, fibres, limb = person.pools, person.fibres, person.limb
        tables.append(
            pd.DataFrame(
                {
                    "subject": subject,
                    "muscle": np.repeat(MUSCLE_NAMES, person.n_units),
                    "unit": np.tile(np.arange(person.n_units), len(pools)),
                    "threshold": np.concatenate([pool.threshold for pool in pools]),
                    "n_fibres": fibres.n_fibres,
                    "velocity": np.concatenate([pool.velocity for pool in pools]),
                    "depth": fibres.depth.mean(axis=1) + limb.fat + limb.skin,
                    "angle": np.rad2deg(fibres.angle.mean(axis=1)),
                }
            )
        )
    return {
        "spike_trains": trains,
        "motor_units": pd.concat(tables, ignore_index=True),
    }
