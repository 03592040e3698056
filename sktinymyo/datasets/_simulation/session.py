"""One session after the other: contractions, potentials, artefacts."""

from dataclasses import dataclass, field

import numpy as np

from ..._validation import check_number
from .artefacts import add_artefacts, make_amplifier
from .common import (
    BODY,
    PATTERN,
    RECORDING,
    SESSION,
    check_names,
    n_samples,
    sample_control,
)
from .forearm import MUSCLE_NAMES, make_person
from .synergies import (
    CONTROL_RATE,
    GESTURES,
    band_noise,
    common_drive,
    hold_envelope,
    person_patterns,
)
from .synthesis import Fatigue, contract, control_times, render

__all__ = [
    "Made",
    "Performance",
    "choose_gestures",
    "perform_gesture",
    "record_gestures",
    "record_session",
]


def choose_gestures(n_gestures, gestures):
    """Return the names of the gestures asked for by number or by name."""
    if gestures is not None:
        return check_names("gestures", gestures, tuple(GESTURES))
    check_number(
        "n_gestures", n_gestures, minimum=1, maximum=len(GESTURES), integer=True
    )
    return tuple(GESTURES)[:n_gestures]


def perform_gesture(pattern, effort, duration, rng):
    """Draw the excitation of the muscles in one repetition of a gesture.

    Parameters
    ----------
    pattern : ndarray of shape (n_muscles,)
        Synergy of the person.
    effort : float
        Of the strongest muscle, fraction of the maximum.
    duration : float
        Of the recording, s.
    rng : numpy.random.Generator
        Source of the differences between repetitions.

    Returns
    -------
    excitation : ndarray of shape (n_muscles, n_control)
        At the control times.
    done : float
        Effort of this repetition.
    onset : float
        When the movement begins, s.
    """
    effort = effort * np.exp(rng.normal(0, 0.2))
    weights = pattern * np.exp(rng.normal(0, 0.25, len(pattern)))
    # A little of every muscle joins in, differently each time.
    weights = weights + 0.05 * rng.exponential(size=len(pattern)) * pattern.any()
    onset = rng.uniform(0.02, 0.08) * min(duration, 3.0)
    rise = rng.uniform(0.08, 0.16) * min(duration, 3.0)
    # Muscles of one movement do not start at the same instant.
    lag = rng.uniform(0, 0.04, len(pattern))[:, None]
    # Some give up a little before the end of the recording.
    release = duration - min(duration, 3.0) * rng.uniform(-0.08, 0.06)
    fall = 0.1 * min(duration, 3.0)
    envelope = hold_envelope(control_times(duration) - lag, onset, rise, release, fall)
    # Nobody holds a posture still: the shares of the muscles wander.
    shape = (len(pattern), len(control_times(duration)))
    wander = np.exp(0.15 * band_noise(shape, CONTROL_RATE, (0.1, 0.8), rng))
    activation = np.clip(effort * weights[:, None] * envelope * wander, 0, 0.95)
    return common_drive(activation, rng), effort, onset


@dataclass
class Made:
    """What has been simulated so far, one entry per recording.

    Parameters
    ----------
    rows : list of dict
        For the data frame `meta`.
    recordings, excitation, fatigue, dead, contractions : list
        Signals (n_channels, n_times), excitation (n_muscles, n_times), fatigue
        at the end (n_muscles,), dead channels, spikes.
    people : list of Person
        One per subject.
    """

    rows: list = field(default_factory=list)
    recordings: list = field(default_factory=list)
    excitation: list = field(default_factory=list)
    fatigue: list = field(default_factory=list)
    dead: list = field(default_factory=list)
    contractions: list = field(default_factory=list)
    people: list = field(default_factory=list)


@dataclass(frozen=True)
class Performance:
    """What a person does in one recording.

    Parameters
    ----------
    excitation : ndarray of shape (n_muscles, n_control)
        At the control times.
    movements : tuple of float
        When the arm begins to move, s.
    rng : numpy.random.Generator
        Stream of the recording, for spikes and noise.
    """

    excitation: np.ndarray
    movements: tuple
    rng: np.random.Generator


def record_session(
    made, person, electrodes, amplifier, performances, *, duration, sfreq, fatigue
):
    """Record what a person does with electrodes on the arm, and append it.

    Parameters
    ----------
    made : Made
        Extended in place, except for its rows.
    person, electrodes, amplifier : Person, Electrodes, Amplifier
        Who, where and with what.
    performances : list of Performance
        In the order in which they are done.
    duration, sfreq, fatigue : float
        Of each recording, s; sampling rate, Hz; limit of the fatigue.
    """
    state = Fatigue(fatigue, len(MUSCLE_NAMES))
    contractions = []
    for performance in performances:
        course = state.advance(performance.excitation)
        contractions.append(
            contract(person, performance.excitation, course, performance.rng)
        )
        made.excitation.append(sample_control(performance.excitation, duration, sfreq))
        made.fatigue.append(course[:, -1])
        made.dead.append(tuple(int(channel) for channel in amplifier.dead))
    made.contractions.extend(contractions)
    n_times = n_samples(duration, sfreq)
    potentials = render(person, electrodes, contractions, n_times, sfreq)
    for index, performance in enumerate(performances):
        made.recordings.append(
            add_artefacts(
                potentials[index],
                sfreq,
                amplifier,
                performance.rng,
                movements=performance.movements,
                start=index * duration,
            )
        )


def record_gestures(
    streams,
    names,
    wear,
    *,
    counts,
    body,
    amplifier,
    duration,
    sfreq,
    effort,
    fatigue,
    variation,
):
    """Record gestures of several people.

    Parameters
    ----------
    streams : Streams
        Random streams.
    names : sequence of str
        Gestures.
    wear : callable
        ``wear(person, rng)`` gives the electrodes of a session and the angle
        (rad) by which they are turned.
    counts : tuple of 3 int
        Subjects, sessions, repetitions.
    body, amplifier : dict
        Further parameters of :func:`make_person` and :func:`make_amplifier`.
    duration, sfreq, effort, fatigue, variation : float
        As in :func:`make_gestures`.

    Returns
    -------
    made : Made
    """
    n_subjects, n_sessions, n_repetitions = counts
    codes = [list(GESTURES).index(name) for name in names]
    made = Made()
    for subject in range(n_subjects):
        person = make_person(streams.rng(subject, BODY), variation=variation, **body)
        made.people.append(person)
        patterns, habits = person_patterns(
            names,
            lambda code, subject=subject: streams.rng(subject, PATTERN, code),
            variation,
        )
        for session in range(n_sessions):
            rng = streams.rng(subject, SESSION, session)
            electrodes, turned = wear(person, rng)
            contacts = make_amplifier(electrodes.angle, rng, **amplifier)
            performances = []
            for repetition in range(n_repetitions):
                for code, name, pattern, habit in zip(
                    codes, names, patterns, habits, strict=True
                ):
                    rng = streams.rng(subject, RECORDING, session, repetition, code)
                    excitation, done, onset = perform_gesture(
                        pattern, effort * habit, duration, rng
                    )
                    moves = name != "rest"
                    performances.append(
                        Performance(excitation, (onset,) if moves else (), rng)
                    )
                    made.rows.append(
                        {
                            "subject": subject,
                            "session": session,
                            "repetition": repetition,
                            "gesture": name,
                            "effort": done if moves else 0.0,
                            "movement_onset": onset if moves else np.nan,
                            "rotation": np.rad2deg(turned),
                            "fat": person.limb.fat,
                        }
                    )
            record_session(
                made,
                person,
                electrodes,
                contacts,
                performances,
                duration=duration,
                sfreq=sfreq,
                fatigue=fatigue,
            )
    return made
