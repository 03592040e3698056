"""Activation of the forearm muscles in gestures and joint movements."""

import numpy as np
from scipy import fft

from .forearm import MUSCLE_NAMES

__all__ = [
    "CONTROL_RATE",
    "GESTURES",
    "JOINTS",
    "band_noise",
    "common_drive",
    "hold_envelope",
    "joint_patterns",
    "minimum_jerk",
    "person_patterns",
]

CONTROL_RATE = 200.0  # Hz of excitations; nothing in them is faster than 12 Hz

# Muscles that work in a gesture, relative to the strongest. Wrist extensors
# steady the wrist when fingers close, flexors when they open.
GESTURES = {
    "rest": {},
    "fist": {"FDS": 1, "FDP": 0.9, "FPL": 0.7, "ECR": 0.5, "FCU": 0.35, "ECU": 0.35}
    | {"FCR": 0.3, "EDC": 0.3, "PT": 0.15},
    "open_hand": {"EDC": 1, "EPL": 0.8, "ECU": 0.4, "ECR": 0.3, "FCU": 0.2},
    "wrist_flexion": {"FCR": 1, "FCU": 0.9, "FDS": 0.35, "PT": 0.2},
    "wrist_extension": {"ECR": 1, "ECU": 0.8, "EDC": 0.5},
    "radial_deviation": {"ECR": 0.9, "FCR": 0.8, "EPL": 0.4, "BR": 0.3},
    "ulnar_deviation": {"ECU": 0.95, "FCU": 0.9, "EDC": 0.1},
    "pronation": {"PT": 1, "FCR": 0.3, "BR": 0.2},
    "supination": {"SUP": 1, "BR": 0.35, "EPL": 0.25, "ECR": 0.2},
    "pinch": {"FPL": 1, "FDS": 0.6, "FDP": 0.4, "ECR": 0.35, "EPL": 0.2},
    "point": {"FPL": 0.7, "FDS": 0.6, "FDP": 0.6, "EDC": 0.6, "ECR": 0.2},
    "thumb_up": {"EPL": 1, "FDS": 0.6, "FDP": 0.6, "ECU": 0.3, "BR": 0.15},
}

# Joint: (lowest and highest angle in degrees, muscles towards the highest,
# muscles towards the lowest).
JOINTS = {
    "wrist_flexion": (
        (-60.0, 70.0),
        {"FCR": 1, "FCU": 0.9, "FDS": 0.3},
        {"ECR": 1, "ECU": 0.8, "EDC": 0.4},
    ),
    "wrist_deviation": (
        (-20.0, 35.0),
        {"ECU": 1, "FCU": 0.9},
        {"ECR": 0.9, "FCR": 0.8, "EPL": 0.3},
    ),
    "finger_flexion": (
        (0.0, 85.0),
        {"FDS": 1, "FDP": 0.9, "ECR": 0.25},
        {"EDC": 1, "FCU": 0.15},
    ),
    "thumb_flexion": (
        (0.0, 50.0),
        {"FPL": 1},
        {"EPL": 1, "ECU": 0.1},
    ),
    "pronation": (
        (-70.0, 70.0),
        {"PT": 1, "FCR": 0.2},
        {"SUP": 1, "BR": 0.3},
    ),
}


def _vector(weights):
    return np.array([weights.get(name, 0.0) for name in MUSCLE_NAMES], dtype=float)


def _personal(pattern, rng, variation):
    """Change a pattern as it differs from one person to the next.

    The strongest muscle has weight one again.
    """
    others = 0.1 * rng.exponential(size=len(pattern))
    change = np.clip(rng.normal(0, 0.5, len(pattern)), -1.0, 1.0)
    changed = (pattern + variation * others) * np.exp(variation * change)
    return changed / changed.max() if changed.any() else changed


def person_patterns(gestures, rng_of, variation=1.0):
    """Synergy of each gesture for one person.

    A gesture is one fixed pattern over the muscles, scaled by a common time
    course. People share the anatomy of the pattern, not its weights: each
    weight is multiplied by a log-normal factor, and antagonists join in a
    little.

    Parameters
    ----------
    gestures : sequence of str
        Names from ``GESTURES``.
    rng_of : callable
        ``rng_of(index)`` gives the generator of the gesture at an index of
        ``GESTURES``, so that a pattern does not depend on which others are
        asked for.
    variation : float, default=1.0
        Scale of the differences between people.

    Returns
    -------
    patterns : ndarray of shape (n_gestures, n_muscles)
        The strongest muscle of a person has weight one; zero for rest.
    effort : ndarray of shape (n_gestures,)
        How hard the person does the gesture, relative to the others.

    References
    ----------
    d'Avella A, Saltiel P, Bizzi E (2003). Combinations of muscle synergies in
    the construction of a natural motor behavior. Nat Neurosci 6:300-308.
    """
    names = list(GESTURES)
    patterns = np.zeros((len(gestures), len(MUSCLE_NAMES)))
    effort = np.ones(len(gestures))
    for row, gesture in enumerate(gestures):
        rng = rng_of(names.index(gesture))
        drawn = _personal(_vector(GESTURES[gesture]), rng, variation)
        effort[row] = np.exp(variation * rng.normal(0, 0.25))
        if gesture != "rest":
            patterns[row] = drawn
    return patterns, effort


def joint_patterns(joints, rng_of, variation=1.0):
    """Patterns of the muscles that turn each joint up and down.

    Parameters
    ----------
    joints : sequence of str
        Names from ``JOINTS``.
    rng_of : callable
        As in :func:`person_patterns`.
    variation : float, default=1.0
        Scale of the differences between people.

    Returns
    -------
    up, down : ndarray of shape (n_joints, n_muscles)
    """
    names = list(JOINTS)
    up, down = [], []
    for joint in joints:
        rng = rng_of(names.index(joint))
        _, towards, back = JOINTS[joint]
        up.append(_personal(_vector(towards), rng, variation))
        down.append(_personal(_vector(back), rng, variation))
    return np.array(up), np.array(down)


def minimum_jerk(phase):
    """Course of the smoothest movement from 0 to 1 while `phase` goes from 0 to 1.

    References
    ----------
    Flash T, Hogan N (1985). The coordination of arm movements: an
    experimentally confirmed mathematical model. J Neurosci 5:1688-1703.
    """
    x = np.clip(phase, 0.0, 1.0)
    return x**3 * (10 - 15 * x + 6 * x**2)


def hold_envelope(times, onset, rise, release, fall):
    """Rise, hold and release of a contraction.

    Parameters
    ----------
    times : ndarray
        s.
    onset, release : float
        When the rise and the fall begin, s.
    rise, fall : float
        How long they last, s.

    Returns
    -------
    envelope : ndarray
        Between 0 and 1.
    """
    down = minimum_jerk((times - release) / fall)
    return minimum_jerk((times - onset) / rise) * (1 - down)


def band_noise(shape, rate, band, rng):
    """Gaussian noise of unit variance within a band of frequencies.

    Parameters
    ----------
    shape : tuple
        Last axis is time.
    rate : float
        Samples per second.
    band : tuple of 2 float
        Hz.
    rng : numpy.random.Generator
        Source.

    Returns
    -------
    noise : ndarray of `shape`
    """
    n_times = shape[-1]
    # Twice the length, so that the end does not run back into the beginning.
    n_period = fft.next_fast_len(2 * n_times, real=True)
    frequencies = fft.rfftfreq(n_period, 1 / rate)
    inside = (frequencies >= band[0]) & (frequencies <= band[1])
    n_lines = int(inside.sum())
    spectrum = np.zeros((*shape[:-1], len(frequencies)), dtype=complex)
    if n_lines == 0:
        return np.zeros(shape)
    draws = rng.standard_normal((2, *shape[:-1], n_lines))
    spectrum[..., inside] = (draws[0] + 1j * draws[1]) * (
        n_period / 2 / np.sqrt(n_lines)
    )
    return fft.irfft(spectrum, n=n_period, axis=-1)[..., :n_times]


def common_drive(activation, rng, tone=0.004):
    """Add the fluctuations that all units of a muscle share.

    Slow ones (below 2.5 Hz, 6 % of the activation, half of them common to the
    whole forearm) and physiological tremor (8 to 12 Hz, 2 %).

    Parameters
    ----------
    activation : ndarray of shape (n_muscles, n_times)
        At ``CONTROL_RATE``, fraction of the maximum.
    rng : numpy.random.Generator
        Source.
    tone : float, default=0.004
        Activation at rest.

    Returns
    -------
    excitation : ndarray of shape (n_muscles, n_times)
        Between 0 and 1.

    References
    ----------
    De Luca CJ, LeFever RS, McCue MP, Xenakis AP (1982). Control scheme
    governing concurrently active human motor units during voluntary
    contractions. J Physiol 329:129-142.
    """
    slow = band_noise((len(activation) + 1, activation.shape[1]), *_SLOW, rng)
    tremor = band_noise(activation.shape, *_TREMOR, rng)
    drive = 0.06 * (slow[1:] + slow[0]) / np.sqrt(2) + 0.02 * tremor
    return np.clip((activation + tone) * (1 + drive), 0.0, 1.0)


_SLOW = (CONTROL_RATE, (0.1, 2.5))
_TREMOR = (CONTROL_RATE, (8.0, 12.0))
