"""Free movement of the hand with joint angles."""

import numpy as np

from ..._validation import check_choice, check_number
from .artefacts import make_amplifier
from .common import (
    BODY,
    PATTERN,
    RECORDING,
    SESSION,
    Streams,
    build_bunch,
    check_common,
    check_dead,
    check_names,
    n_samples,
)
from .electrodes import make_armband
from .forearm import make_person
from .session import Made, Performance, record_session
from .synergies import (
    CONTROL_RATE,
    JOINTS,
    band_noise,
    common_drive,
    joint_patterns,
    minimum_jerk,
)
from .synthesis import control_times

__all__ = ["Movement", "make_kinematics", "make_movement", "muscle_activation"]

# Torque for a joint that goes over half its range: against the stiffness of
# tissue and gravity, viscosity (s) and inertia (s2).
STIFFNESS, VISCOSITY, INERTIA = 0.65, 0.10, 0.008
TREMOR_DEGREES = 0.12


class Movement:
    """Course of one joint: minimum-jerk movements from target to target.

    Parameters
    ----------
    first : float
        Angle before the first movement.
    begins, lasts, targets : list of float
        When each movement begins and how long it lasts, s, and where it goes.
    """

    def __init__(self, first, begins, lasts, targets):
        self.first = first
        self.begins = np.array(begins)
        self.lasts = np.array(lasts)
        self.steps = np.diff([first, *targets])

    def angle(self, times):
        """Angle at `times` (s), degrees."""
        phase = (np.asarray(times)[:, None] - self.begins) / self.lasts
        return self.first + minimum_jerk(phase) @ self.steps


def _neutral(joint):
    """Angle of a relaxed joint, degrees."""
    low, high = JOINTS[joint][0]
    return 0.0 if low < 0 else 0.2 * high


def make_movement(joint, duration, rng):
    """Draw the course of a joint through a recording.

    Parameters
    ----------
    joint : str
        Name from ``JOINTS``.
    duration : float
        s.
    rng : numpy.random.Generator
        Source.

    Returns
    -------
    movement : Movement
        Targets anywhere in the range of the joint, a third of them the
        relaxed angle; movements of 0.45 to 1.4 s with pauses of 0.1 to 1 s.
    """
    low, high = JOINTS[joint][0]
    begins, lasts, targets = [], [], []
    time = rng.uniform(-0.5, 0.5)
    while time < duration + 1.0:
        begins.append(time)
        lasts.append(rng.uniform(0.45, 1.4))
        anywhere = low + (high - low) * rng.beta(0.9, 0.9)
        targets.append(_neutral(joint) if rng.random() < 1 / 3 else anywhere)
        time += lasts[-1] + rng.uniform(0.1, 1.0)
    return Movement(_neutral(joint), begins, lasts, targets)


def muscle_activation(joint, movement, times, delay):
    """Torque that a movement needs, `delay` before it shows in the angle.

    Parameters
    ----------
    joint : str
        Name from ``JOINTS``.
    movement : Movement
        Course of the joint.
    times : ndarray
        Control times, s.
    delay : float
        Electromechanical delay, s.

    Returns
    -------
    torque : ndarray
        Positive towards the highest angle; about one in a brisk movement to the
        end of the range.
    """
    low, high = JOINTS[joint][0]
    centre = _neutral(joint)
    place = (movement.angle(times + delay) - centre) / ((high - low) / 2)
    speed = np.gradient(place, 1 / CONTROL_RATE)
    return (
        STIFFNESS * place
        + VISCOSITY * speed
        + INERTIA * np.gradient(speed, 1 / CONTROL_RATE)
    )


def make_kinematics(
    n_subjects=2,
    n_repetitions=4,
    n_sessions=1,
    duration=20.0,
    n_channels=8,
    sfreq=200,
    *,
    joints=("wrist_flexion", "wrist_deviation", "finger_flexion"),
    effort=0.3,
    electromechanical_delay=None,
    montage="bipolar",
    fatigue=0.3,
    person_variation=1.0,
    electrode_shift=8.0,
    fat=None,
    line_freq=50.0,
    line_noise=3.0,
    noise=4.0,
    motion_artefacts=40.0,
    n_dead_channels=0,
    n_motor_units=50,
    random_state=None,
):
    """Simulate free movement of wrist and fingers with the joint angles.

    Each joint goes from target to target in smooth movements. Muscles give the
    torque that the movement needs, flexors and extensors in turn with some
    co-contraction, and are excited some 65 ms before it shows in the angle.

    Parameters
    ----------
    n_subjects : int, default=2
        People.
    n_repetitions : int, default=4
        Recordings in a session, each with movements of its own.
    n_sessions : int, default=1
        The armband is put on anew for each.
    duration : float, default=20.0
        Of a recording, s; at least 0.25. The default holds about ten movements
        of each joint.
    n_channels : int, default=8
        Electrodes around the forearm.
    sfreq : float, default=200
        Sampling rate of EMG and angles, Hz.
    joints : sequence of str, default=("wrist_flexion", "wrist_deviation", \
            "finger_flexion")
        Outputs, of these and thumb_flexion and pronation. Flexion, ulnar
        deviation and pronation are positive. Joints that are not named stay
        relaxed.
    effort : float, default=0.3
        Activation of the strongest muscle at the end of the range, fraction of
        the maximum.
    electromechanical_delay : float or None, default=None
        From excitation to movement, s, 0 to 0.5; None draws 0.05 to 0.08 for
        each person.
    montage, fatigue, person_variation, electrode_shift, fat : optional
        As in :func:`make_gestures`.
    line_freq, line_noise, noise, motion_artefacts, n_dead_channels : optional
        As in :func:`make_gestures`.
    n_motor_units : int, default=50
        Per muscle.
    random_state : int, RandomState instance or None, default=None
        As in :func:`make_gestures`.

    Returns
    -------
    bunch : sklearn.utils.Bunch
        As from :func:`make_gestures`, with `target` a list of float32 arrays
        (n_times, n_joints) in degrees, `target_names` the joints, and in `meta`
        the `electromechanical_delay` (s) instead of effort and onset; `gesture`
        is "movement" throughout.

    Raises
    ------
    ValueError, TypeError
        If a parameter is outside the range given here.

    References
    ----------
    Flash T, Hogan N (1985). J Neurosci 5:1688-1703 (minimum jerk). Cavanagh PR,
    Komi PV (1979). Electromechanical delay in human skeletal muscle under
    concentric and eccentric contractions. Eur J Appl Physiol 42:159-163. Motor
    units and volume conduction as in :func:`make_gestures`.

    Examples
    --------
    >>> from sktinymyo.datasets import make_kinematics
    >>> data = make_kinematics(
    ...     n_subjects=1, n_repetitions=1, duration=2.0, n_motor_units=10,
    ...     random_state=0,
    ... )
    >>> data.recordings[0].shape, data.target[0].shape
    ((8, 400), (400, 3))
    >>> data.target_names
    ['wrist_flexion', 'wrist_deviation', 'finger_flexion']
    """
    joints = check_names("joints", joints, tuple(JOINTS))
    check_common(
        {
            "n_subjects": n_subjects,
            "n_repetitions": n_repetitions,
            "n_sessions": n_sessions,
            "duration": duration,
            "n_channels": n_channels,
            "sfreq": sfreq,
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
    check_choice("montage", montage, ("bipolar", "average"))
    check_dead(n_dead_channels, n_channels)
    check_number(
        "electromechanical_delay",
        electromechanical_delay,
        minimum=0,
        maximum=0.5,
        none_allowed=True,
    )
    streams = Streams(random_state)
    codes = [list(JOINTS).index(joint) for joint in joints]
    times = np.arange(n_samples(duration, sfreq)) / sfreq
    made, targets = Made(), []
    for subject in range(n_subjects):
        rng = streams.rng(subject, BODY)
        person = make_person(rng, n_motor_units, fat, person_variation)
        drawn = rng.uniform(0.05, 0.08)
        delay = drawn if electromechanical_delay is None else electromechanical_delay
        patterns = joint_patterns(
            joints,
            # Another range of keys than the gestures of the same person.
            lambda code, subject=subject: streams.rng(subject, PATTERN, 1000 + code),
            person_variation,
        )
        for session in range(n_sessions):
            rng = streams.rng(subject, SESSION, session)
            turn, slide = rng.normal(0, electrode_shift, 2) * (1.0, 0.5)
            rotation = person.rotation + turn / person.limb.radius
            electrodes = make_armband(n_channels, montage, rotation, slide)
            amplifier = make_amplifier(
                electrodes.angle,
                rng,
                noise=noise,
                line_freq=line_freq,
                line_noise=line_noise,
                motion=motion_artefacts,
                n_dead=n_dead_channels,
            )
            performances = []
            for repetition in range(n_repetitions):
                key = (subject, RECORDING, session, repetition)
                movements = [
                    make_movement(joint, duration, streams.rng(*key, code))
                    for joint, code in zip(joints, codes, strict=True)
                ]
                rng = streams.rng(*key, 1000)
                performances.append(
                    _perform(joints, movements, patterns, effort, delay, duration, rng)
                )
                angles = np.stack([one.angle(times) for one in movements], axis=1)
                tremor = band_noise(angles.T.shape, sfreq, (8.0, 12.0), rng).T
                targets.append((angles + TREMOR_DEGREES * tremor).astype(np.float32))
                made.rows.append(
                    {
                        "subject": subject,
                        "session": session,
                        "repetition": repetition,
                        "gesture": "movement",
                        "electromechanical_delay": delay,
                        "rotation": np.rad2deg(rotation),
                        "fat": person.limb.fat,
                    }
                )
            record_session(
                made,
                person,
                electrodes,
                amplifier,
                performances,
                duration=duration,
                sfreq=sfreq,
                fatigue=fatigue,
            )
    return build_bunch(
        made.rows,
        made.recordings,
        sfreq=sfreq,
        target=targets,
        target_names=joints,
        title=f"Simulated hand movements, {n_channels} channels around the forearm",
        excitation=made.excitation,
        fatigue=np.array(made.fatigue, dtype=np.float32),
        dead_channels=made.dead,
    )


def _perform(joints, movements, patterns, effort, delay, duration, rng):
    """Draw the excitation of the muscles for the movements of one recording."""
    times = control_times(duration)
    activation = np.zeros((patterns[0].shape[1], len(times)))
    for joint, movement, up, down in zip(joints, movements, *patterns, strict=True):
        torque = muscle_activation(joint, movement, times, delay)
        # Antagonists join in with a tenth of the torque, to stiffen the joint.
        both = 0.1 * np.abs(torque)
        activation += up[:, None] * (np.maximum(torque, 0) + both)
        activation += down[:, None] * (np.maximum(-torque, 0) + both)
    wander = np.exp(0.12 * band_noise(activation.shape, CONTROL_RATE, (0.1, 0.8), rng))
    activation = np.clip(effort * activation * wander, 0.0, 0.95)
    starts = tuple(
        float(begin)
        for movement in movements
        for begin in movement.begins
        # Only abrupt movements pull at the electrodes.
        if 0 <= begin < duration and rng.random() < 0.1
    )
    return Performance(common_drive(activation, rng), starts, rng)
