"""What a recording holds besides the muscles: hum, noise, movement, drift."""

from dataclasses import dataclass

import numpy as np

from .synergies import band_noise

__all__ = ["Amplifier", "add_artefacts", "make_amplifier"]


@dataclass(frozen=True)
class Amplifier:
    """Channels of one session.

    Parameters
    ----------
    gain : ndarray of shape (n_channels,)
        Relative to the nominal one.
    noise : ndarray of shape (n_channels,)
        Root mean square of the noise within the band recorded, uV.
    line_freq : float or None
        Of the mains, Hz; None without hum.
    line : ndarray of shape (n_harmonics, n_channels), complex
        Amplitude and phase of the hum and its harmonics, uV.
    motion : float
        Size of movement artefacts, uV.
    angle : ndarray of shape (n_channels,)
        Of the electrodes around the limb, rad.
    coupling : ndarray of shape (n_channels,)
        How much of a movement artefact a channel sees.
    dead : ndarray of int
        Channels without contact.
    """

    gain: np.ndarray
    noise: np.ndarray
    line_freq: float | None
    line: np.ndarray
    motion: float
    angle: np.ndarray
    coupling: np.ndarray
    dead: np.ndarray


def make_amplifier(angle, rng, *, noise, line_freq, line_noise, motion, n_dead):
    """Draw contacts and hum of one session.

    Parameters
    ----------
    angle : ndarray of shape (n_channels,)
        Of the electrodes around the limb, rad.
    rng : numpy.random.Generator
        Source.
    noise, line_noise, motion : float
        Root mean square of the noise and of the hum, size of movement
        artefacts, uV.
    line_freq : float or None
        Of the mains, Hz.
    n_dead : int
        Channels that lose contact.

    Returns
    -------
    amplifier : Amplifier

    References
    ----------
    Clancy EA, Morin EL, Merletti R (2002). Sampling, noise-reduction and
    amplitude estimation issues in surface electromyography. J Electromyogr
    Kinesiol 12:1-16, sections 2 and 3.
    """
    n_channels = len(angle)
    contact = np.exp(rng.normal(0, 0.3, n_channels))
    # Hum enters through the difference of the contacts, the fundamental most;
    # even harmonics are weak.
    share = np.array([1.0, 0.08, 0.3, 0.03, 0.15])[:, None]
    phase = rng.uniform(0, 2 * np.pi, (len(share), 1))
    phase = phase + rng.normal(0, 0.4, (1, n_channels))
    line = np.sqrt(2) * line_noise * share * contact * np.exp(1j * phase)
    return Amplifier(
        gain=np.exp(rng.normal(0, 0.04, n_channels)),
        noise=noise * np.sqrt(contact),
        line_freq=line_freq,
        line=line,
        motion=motion,
        angle=angle,
        coupling=np.exp(rng.normal(0, 0.5, n_channels)),
        dead=np.sort(rng.permutation(n_channels)[:n_dead]),
    )


def _motion(times, events, amplifier, rng):
    """Potentials of a skin that is pulled: a fast rise and a slow return."""
    n_channels = len(amplifier.angle)
    signal = np.zeros((n_channels, len(times)))
    for event in events:
        # Neighbouring channels are pulled alike; the sides of the arm are not.
        pull = np.cos(amplifier.angle - rng.uniform(0, 2 * np.pi))
        pull = (pull + rng.normal(0, 0.3, n_channels)) * amplifier.coupling
        size = amplifier.motion * rng.exponential()
        rise = rng.uniform(0.02, 0.06)
        back = rng.uniform(0.06, 0.2)
        since = np.maximum(times - event, 0.0)
        course = np.exp(-since / back) - np.exp(-since / rise)
        # A capacitive input lets no steady voltage through: the course swings
        # below zero and its area vanishes.
        course -= (since / back) * np.exp(-since / back) * (1 - rise / back)
        signal += size * pull[:, None] * course
    return signal


def add_artefacts(recording, sfreq, amplifier, rng, movements=(), start=0.0):
    """Turn potentials at the skin into what an amplifier delivers.

    Parameters
    ----------
    recording : ndarray of shape (n_channels, n_times)
        Potentials, uV.
    sfreq : float
        Sampling rate, Hz.
    amplifier : Amplifier
        Channels of the session.
    rng : numpy.random.Generator
        Source.
    movements : sequence of float, default=()
        Times at which the arm moves, s; further movement artefacts fall at
        random, one in ten seconds.
    start : float, default=0.0
        Time of the first sample in the session, s: the hum goes on between
        recordings.

    Returns
    -------
    recording : ndarray of shape (n_channels, n_times), float32
    """
    n_channels, n_times = recording.shape
    times = np.arange(n_times) / sfreq
    signal = recording * amplifier.gain[:, None]
    white = rng.standard_normal((n_channels, n_times))
    slow = band_noise((n_channels, n_times), sfreq, (0.05, 8.0), rng)
    signal += amplifier.noise[:, None] * (0.95 * white + 0.3 * slow)

    if amplifier.line_freq is not None:
        swell = 1 + 0.1 * band_noise((1, n_times), sfreq, (0.05, 1.0), rng)
        for harmonic, amplitude in enumerate(amplifier.line, start=1):
            frequency = amplifier.line_freq * harmonic
            if frequency >= 0.48 * sfreq:
                break
            turns = np.exp(2j * np.pi * frequency * (times + start))
            signal += swell * (amplitude[:, None] * turns).real

    if amplifier.motion > 0:
        n_random = rng.poisson(n_times / sfreq / 10)
        events = [*movements, *rng.uniform(0, n_times / sfreq, n_random)]
        signal += _motion(times, events, amplifier, rng)
    # Electrode potentials drift.
    drift = band_noise((n_channels, n_times), sfreq, (0.02, 0.5), rng)
    signal += 0.5 * amplifier.noise[:, None] * drift
    if len(amplifier.dead):
        noise = rng.standard_normal((len(amplifier.dead), n_times))
        signal[amplifier.dead] = 0.2 * amplifier.noise.mean() * noise
    return signal.astype(np.float32)
