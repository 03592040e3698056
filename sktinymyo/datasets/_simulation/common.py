"""What the simulators share: random streams, checks, and the Bunch."""

import numbers

import numpy as np
from sklearn.utils import Bunch, check_random_state

from ..._validation import check_number
from .forearm import MUSCLE_NAMES
from .synergies import CONTROL_RATE
from .synthesis import control_times

__all__ = [
    "Streams",
    "build_bunch",
    "check_common",
    "check_dead",
    "check_names",
    "n_samples",
    "sample_control",
]

BODY, PATTERN, SESSION, RECORDING = range(4)

LICENSE = "No rights reserved: computed, not recorded (CC0-1.0)."
CITATION = (
    "Fuglevand AJ, Winter DA, Patla AE (1993). J Neurophysiol 70:2470-2488; "
    "Farina D, Mesin L, Martina S, Merletti R (2004). IEEE Trans Biomed Eng "
    "51:415-426."
)
METHOD = """\
Each of twelve forearm muscles has a pool of motor units with exponential
recruitment thresholds and sizes and Gaussian intervals between spikes
(Fuglevand, Winter and Patla 1993). Their action potentials travel from the end
plates to the tendons of fibres inside a cylinder of muscle, fat and skin
(Dimitrov and Dimitrova 1998; Farina, Mesin, Martina and Merletti 2004). Muscles
are driven by synergies, which differ between people as their anatomy does.
Fatigue slows conduction and firing. Hum, movement artefacts, drift and noise
are added. The forearm is a straight cylinder without bone, fibres run parallel
to it, muscles do not move under the skin, and there is no force feedback."""


class Streams:
    """Independent random streams by key, all from one `random_state`.

    A stream depends on `random_state` and its key alone. More subjects,
    sessions, repetitions or gestures therefore leave the draws of the others
    as they were.

    Parameters
    ----------
    random_state : int, RandomState instance or None
        As in scikit-learn.
    """

    def __init__(self, random_state):
        draws = check_random_state(random_state).randint(0, 2**31 - 1, size=4)
        self.entropy = [int(draw) for draw in draws]

    def rng(self, *key):
        """Return the generator of a key (non-negative integers)."""
        sequence = np.random.SeedSequence(self.entropy, spawn_key=key)
        return np.random.default_rng(sequence)


def check_common(parameters):
    """Refuse values of the parameters that the simulators share.

    Parameters
    ----------
    parameters : dict
        Name -> value.
    """
    at_least_one = {"minimum": 1, "integer": True}
    limits = {
        "n_subjects": at_least_one,
        "n_repetitions": at_least_one,
        "n_sessions": at_least_one,
        "duration": {"minimum": 0.25},
        "sfreq": {"minimum": 100, "maximum": 20_000},
        "n_motor_units": {"minimum": 5, "maximum": 1000, "integer": True},
        "n_channels": {"minimum": 2, "maximum": 64, "integer": True},
        "effort": {"minimum": 0, "maximum": 1, "include_minimum": False},
        "fatigue": {"minimum": 0, "maximum": 1},
        "fat": {"minimum": 0.5, "maximum": 15, "none_allowed": True},
        "person_variation": {"minimum": 0, "maximum": 2},
        "electrode_shift": {"minimum": 0, "maximum": 60},
        "line_freq": {"minimum": 0, "include_minimum": False, "none_allowed": True},
        "line_noise": {"minimum": 0},
        "noise": {"minimum": 0},
        "motion_artefacts": {"minimum": 0},
        "inter_electrode_distance": {"minimum": 1, "maximum": 40},
    }
    for name, value in parameters.items():
        check_number(name, value, **limits[name])


def check_dead(n_dead, n_channels):
    """Refuse a number of dead channels that leaves none alive."""
    check_number("n_dead_channels", n_dead, minimum=0, integer=True)
    if n_dead >= n_channels:
        raise ValueError(
            f"n_dead_channels={n_dead} must be smaller than the number of channels, "
            f"{n_channels}."
        )


def check_names(name, values, known):
    """Return names as a tuple; refuse unknown, repeated or no names."""
    accepted = ", ".join(repr(choice) for choice in known)
    if isinstance(values, (str, numbers.Number)) or not np.iterable(values):
        raise TypeError(
            f"{name} must be a sequence of names; got {values!r}. Known: {accepted}."
        )
    values = tuple(values)
    unknown = [value for value in values if value not in known]
    if not values or unknown or len(set(values)) < len(values):
        raise ValueError(
            f"{name}={values!r} is not accepted; pass one or more different names "
            f"of: {accepted}."
        )
    return values


def n_samples(duration, sfreq):
    """Whole samples of a duration."""
    return round(duration * sfreq)


def sample_control(values, duration, sfreq):
    """Carry control signals (n_signals, n_control) to the recording's samples."""
    given = control_times(duration)
    wanted = np.arange(n_samples(duration, sfreq)) / sfreq
    index = (wanted - given[0]) * CONTROL_RATE
    left = np.minimum(index.astype(int), len(given) - 2)
    share = index - left
    sampled = values[:, left] * (1 - share) + values[:, left + 1] * share
    return sampled.astype(np.float32)


def build_bunch(rows, recordings, *, sfreq, target, target_names, title, **extra):
    """Assemble the Bunch of a simulator.

    Parameters
    ----------
    rows : list of dict
        One per recording: subject, session, repetition, gesture and more.
    recordings : list of ndarray
        (n_channels, n_times), float32, uV.
    sfreq : float
        Sampling rate, Hz.
    target : ndarray or list of ndarray
        One per recording.
    target_names : list of str
        Classes or outputs.
    title : str
        First line of the description.
    **extra : object
        Further fields.

    Returns
    -------
    bunch : Bunch
    """
    # Not needed before data are made, and slow to load.
    import pandas as pd

    meta = pd.DataFrame(rows)
    meta.insert(0, "recording", np.arange(len(rows)))
    n_channels = len(recordings[0])
    fields = {
        "channel_names": [f"ch{k}" for k in range(1, n_channels + 1)],
        "muscle_names": list(MUSCLE_NAMES),
    }
    return Bunch(
        **fields | extra,
        recordings=recordings,
        sfreq=float(sfreq),
        target=target,
        target_names=list(target_names),
        groups=meta["subject"].to_numpy(),
        meta=meta,
        n_channels=n_channels,
        unit="uV",
        DESCR=f"{title}\n\n{METHOD}\n",
        license=LICENSE,
        citation=CITATION,
        source="simulated",
    )
