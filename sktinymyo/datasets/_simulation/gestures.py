"""Gestures recorded with an armband."""

import numpy as np

from ..._validation import check_choice
from .common import Streams, build_bunch, check_common, check_dead
from .electrodes import make_armband
from .session import choose_gestures, record_gestures

__all__ = ["make_gestures"]


def make_gestures(
    n_subjects=4,
    n_gestures=5,
    n_repetitions=6,
    n_sessions=1,
    duration=3.0,
    n_channels=8,
    sfreq=200,
    *,
    gestures=None,
    effort=0.3,
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
    """Simulate hand gestures recorded with an armband on the forearm.

    One recording holds one repetition of one gesture: a short rest, the rise
    of the contraction, and the hold to the end of the recording. The signal is
    the sum of the action potentials of some hundred motor units in twelve
    muscles, as the electrodes see them through fat and skin.

    Parameters
    ----------
    n_subjects : int, default=4
        People. They differ in anatomy (size of the arm, fat, place and size of
        muscles), in synergies, effort and in how they wear the armband.
    n_gestures : int, default=5
        The first so many of: rest, fist, open_hand, wrist_flexion,
        wrist_extension, radial_deviation, ulnar_deviation, pronation,
        supination, pinch, point, thumb_up.
    n_repetitions : int, default=6
        Of every gesture in a session.
    n_sessions : int, default=1
        The armband is put on anew for each.
    duration : float, default=3.0
        Of a recording, s; at least 0.25.
    n_channels : int, default=8
        Electrodes evenly around the forearm, 2 to 64. Channel 0 lies near the
        middle of the palmar side, the next ones follow towards the thumb.
    sfreq : float, default=200
        Sampling rate, Hz, 100 to 20000. The default is that of the Myo
        armband. Motor units fire on a grid of 2 kHz or finer whatever the
        rate; below 2 kHz nothing above 0.44 `sfreq` is left.
    gestures : sequence of str or None, default=None
        Names instead of `n_gestures`.
    effort : float, default=0.3
        Mean activation of the strongest muscle, fraction of the maximum;
        people and repetitions scatter around it.
    montage : {"bipolar", "average"}, default="bipolar"
        Two poles 15 mm apart along the arm, or single electrodes against the
        mean of all.
    fatigue : float, default=0.3
        State that a muscle approaches with work, 0 (none) to 1 (conduction
        velocity 30 % lower). The default is mild: a session of short holds.
    person_variation : float, default=1.0
        Scale of the differences between people, 0 to 2; 0 makes their anatomy
        and synergies alike.
    electrode_shift : float, default=8.0
        Standard deviation of the armband's rotation from session to session,
        mm around the arm; along the arm it is half as much.
    fat : float or None, default=None
        Thickness of the fat under the skin, mm; None draws it for each person
        (median 2.8).
    line_freq : float or None, default=50.0
        Of the mains, Hz; None leaves hum out.
    line_noise : float, default=3.0
        Root mean square of the hum at `line_freq`, uV.
    noise : float, default=4.0
        Root mean square of the amplifier's noise, uV.
    motion_artefacts : float, default=40.0
        Mean size of the transients when the arm moves, uV.
    n_dead_channels : int, default=0
        Channels without contact in each session, chosen at random.
    n_motor_units : int, default=50
        Per muscle. Real muscles have more; the fibres of these are divided
        among fewer units.
    random_state : int, RandomState instance or None, default=None
        The same int gives identical recordings. Every subject, session,
        repetition and gesture has its own stream: asking for more subjects,
        sessions or repetitions does not change the others.

    Returns
    -------
    bunch : sklearn.utils.Bunch
        `recordings` (list of float32 arrays (n_channels, n_times) in uV),
        `sfreq`, `target` (one integer per recording), `target_names`,
        `groups` (subject), `meta` (one row per recording: recording, subject,
        session, repetition, gesture, effort, movement_onset in s, rotation of
        the armband in degrees, fat in mm), `excitation` (list of float32
        arrays (n_muscles, n_times), fraction of the maximum before fatigue),
        `muscle_names`, `fatigue` (n_recordings, n_muscles; at the end of each
        recording), `dead_channels` (one tuple per recording), and the usual
        `channel_names`, `n_channels`, `unit`, `DESCR`, `license`, `citation`,
        `source`. Recordings are in the order in which they would have been
        made: subject, session, repetition, gesture.

    Raises
    ------
    ValueError, TypeError
        If a parameter is outside the range given here.

    See Also
    --------
    make_kinematics : Free movement with joint angles as the target.
    make_hdsemg : The same forearm under a grid of electrodes.

    References
    ----------
    Fuglevand AJ, Winter DA, Patla AE (1993). Models of recruitment and rate
    coding organization in motor-unit pools. J Neurophysiol 70:2470-2488,
    Methods. Farina D, Mesin L, Martina S, Merletti R (2004). A surface EMG
    generation model with multilayer cylindrical description of the volume
    conductor. IEEE Trans Biomed Eng 51:415-426, section II. Dimitrov GV,
    Dimitrova NA (1998). Med Eng Phys 20:374-381. d'Avella A, Saltiel P, Bizzi E
    (2003). Nat Neurosci 6:300-308. De Luca CJ (1984). Crit Rev Biomed Eng
    11:251-279.

    Examples
    --------
    >>> from sktinymyo.datasets import make_gestures
    >>> data = make_gestures(
    ...     n_subjects=1, n_gestures=2, n_repetitions=2, duration=0.5, random_state=0
    ... )
    >>> len(data.recordings), data.recordings[0].shape
    (4, (8, 100))
    >>> [data.target_names[code] for code in data.target]
    ['rest', 'fist', 'rest', 'fist']
    """
    names = choose_gestures(n_gestures, gestures)
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

    def wear(person, rng):
        turn, slide = rng.normal(0, electrode_shift, 2) * (1.0, 0.5)
        rotation = person.rotation + turn / person.limb.radius
        return make_armband(n_channels, montage, rotation, slide), rotation

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
    return build_bunch(
        made.rows,
        made.recordings,
        sfreq=sfreq,
        target=np.tile(np.arange(len(names)), len(made.rows) // len(names)),
        target_names=names,
        title=f"Simulated hand gestures, {n_channels} channels around the forearm",
        excitation=made.excitation,
        fatigue=np.array(made.fatigue, dtype=np.float32),
        dead_channels=made.dead,
    )
