"""From excitation to potentials: spikes convolved with action potentials."""

from dataclasses import dataclass

import numpy as np
from scipy import signal, sparse

from .motor_units import firing_rates, spike_times
from .synergies import CONTROL_RATE
from .volume_conduction import TRAVEL_STEP, unit_potentials

__all__ = [
    "Contraction",
    "Fatigue",
    "contract",
    "control_times",
    "fatigue_course",
    "render",
]

LEAD = 0.15  # s simulated before a recording, so that it starts in mid-activity
TAIL = 0.10  # s simulated after it, for the filter that looks ahead
VELOCITY_LOSS = 0.30  # of the conduction velocity at full fatigue
RATE_LOSS = 0.15  # of the firing rates at full fatigue
EXTRA_DRIVE = 0.25  # excitation added at full fatigue to keep the force
N_AHEAD = 8  # output samples that the decimation filter looks ahead
FATIGUE_STEP = 0.1  # action potentials are computed anew at every such step


class Fatigue:
    """Work that the muscles of a person have done since the session began.

    The state of a muscle approaches `limit` with a time constant of 15 s of
    maximal excitation and does not recover between recordings.

    Parameters
    ----------
    limit : float
        Fatigue after endless work, 0 (none) to 1 (conduction velocity 30 %
        lower, firing rates 15 % lower, excitation 25 % higher for the same
        task).
    n_muscles : int
        Number of muscles.

    References
    ----------
    De Luca CJ (1984). Myoelectrical manifestations of localized muscular
    fatigue in humans. Crit Rev Biomed Eng 11:251-279. Merletti R, Knaflitz M,
    De Luca CJ (1990). Myoelectric manifestations of fatigue in voluntary and
    electrically elicited contractions. J Appl Physiol 69:1810-1820.
    """

    def __init__(self, limit, n_muscles):
        self.limit = limit
        self.work = np.zeros(n_muscles)

    def advance(self, excitation):
        """Fatigue during a recording; the work done is added.

        Parameters
        ----------
        excitation : ndarray of shape (n_muscles, n_times)
            At ``CONTROL_RATE``.

        Returns
        -------
        fatigue : ndarray of shape (n_muscles, n_times)
        """
        work = self.work[:, None] + np.cumsum(excitation, axis=1) / CONTROL_RATE
        self.work = work[:, -1]
        return fatigue_course(work, self.limit)


def fatigue_course(work, limit):
    """Fatigue after an amount of work (seconds of maximal excitation)."""
    return limit * (1 - np.exp(-np.asarray(work) / 15.0))


@dataclass(frozen=True)
class Contraction:
    """Spikes of all motor units in one recording.

    Parameters
    ----------
    unit : ndarray of shape (n_spikes,), int
        Index over the units of all muscles.
    time : ndarray of shape (n_spikes,)
        s after the start of the recording; some lie before or after it.
    fatigue : ndarray of shape (n_spikes,)
        Of the muscle at that time.
    """

    unit: np.ndarray
    time: np.ndarray
    fatigue: np.ndarray


def control_times(duration):
    """Return the times (s) of excitations, from `LEAD` before the recording on."""
    return np.arange(-LEAD, duration + TAIL, 1 / CONTROL_RATE)


def contract(person, excitation, fatigue, rng):
    """Let the motor units of a person fire.

    Parameters
    ----------
    person : Person
        The forearm.
    excitation : ndarray of shape (n_muscles, n_times)
        At the control times.
    fatigue : ndarray of shape (n_muscles, n_times)
        State of the muscles.
    rng : numpy.random.Generator
        Source of the spikes.

    Returns
    -------
    contraction : Contraction
    """
    driven = np.minimum(excitation * (1 + EXTRA_DRIVE * fatigue), 1.0)
    rates = np.concatenate(
        [
            firing_rates(pool, drive) * (1 - RATE_LOSS * tired)
            for pool, drive, tired in zip(person.pools, driven, fatigue, strict=True)
        ]
    )
    variability = np.concatenate([pool.variability for pool in person.pools])
    # Units that never fire are left out of the work, not of the draws.
    active = np.flatnonzero(rates.any(axis=1))
    if len(active) == 0:
        nothing = np.zeros(0)
        return Contraction(nothing.astype(int), nothing, nothing)
    unit, time = spike_times(rates[active], 1 / CONTROL_RATE, variability[active], rng)
    unit = active[unit]
    sample = np.minimum((time * CONTROL_RATE).astype(int), fatigue.shape[1] - 1)
    return Contraction(unit, time - LEAD, fatigue[unit // person.n_units, sample])


def _templates(potentials, velocity, sfreq, n_phases):
    """Sample the action potentials for every place of a spike between samples.

    A spike falls between two samples of the output. Instead of simulating at a
    high rate and decimating the whole recording, each action potential is
    low-pass filtered and decimated once per position of the spike between the
    samples, which gives the same numbers.

    Returns
    -------
    templates : ndarray of shape (n_lags, n_units * n_phases, n_channels)
        Filtered ones begin `N_AHEAD` samples before the spike.
    """
    n_units, n_channels, n_travel = potentials.shape
    fine = sfreq * n_phases
    step = velocity * 1e3 / fine / TRAVEL_STEP
    n_fine = int(np.ceil((n_travel - 1) / step.min()))
    place = np.arange(n_fine) * step[:, None]
    index = np.minimum(place.astype(int), n_travel - 2)
    share = np.where(place <= n_travel - 1, place - index, np.nan).astype(np.float32)
    waves = np.empty((n_units, n_channels, n_fine), dtype=np.float32)
    for unit in range(n_units):
        wave = potentials[unit]
        left = wave[:, index[unit]]
        waves[unit] = left + (wave[:, index[unit] + 1] - left) * share[unit]
    np.nan_to_num(waves, copy=False)
    if n_phases > 1:
        taps = signal.firwin(
            2 * N_AHEAD * n_phases + 1, 0.44 * sfreq, fs=fine, window=("kaiser", 6.0)
        )
        taps = taps.astype(np.float32)[None, None]
        waves = signal.fftconvolve(waves, taps, axes=-1).astype(np.float32)
    n_lags = -(-(waves.shape[-1] + n_phases - 1) // n_phases)
    padded = np.zeros((n_units, n_channels, n_lags * n_phases), dtype=np.float32)
    padded[..., n_phases - 1 : n_phases - 1 + waves.shape[-1]] = waves
    phases = padded.reshape(n_units, n_channels, n_lags, n_phases)[..., ::-1]
    templates = phases.transpose(2, 0, 3, 1).reshape(n_lags, -1, n_channels)
    return np.ascontiguousarray(templates)


def render(person, electrodes, contractions, n_times, sfreq):
    """Potentials at the electrodes of the recordings of one session.

    Parameters
    ----------
    person : Person
        The forearm.
    electrodes : Electrodes
        Where they lie in this session.
    contractions : list of Contraction
        One per recording.
    n_times : int
        Samples of each recording.
    sfreq : float
        Sampling rate, Hz. Spikes are placed at 2 kHz or more, and everything
        above 0.44 `sfreq` is filtered out where that is above `sfreq`.

    Returns
    -------
    recordings : ndarray of shape (n_recordings, n_channels, n_times), float32
        Potentials, uV.
    """
    n_phases = max(1, int(np.ceil(2000.0 / sfreq)))
    velocity = np.concatenate([pool.velocity for pool in person.pools])
    lead = int(np.ceil(LEAD * sfreq)) + 1
    n_rows = lead + n_times + int(np.ceil(TAIL * sfreq)) + 1
    n_recordings, n_channels = len(contractions), len(electrodes.angle)

    unit = np.concatenate([contraction.unit for contraction in contractions])
    time = np.concatenate([contraction.time for contraction in contractions])
    tired = np.concatenate([contraction.fatigue for contraction in contractions])
    sizes = [len(contraction.unit) for contraction in contractions]
    recording = np.repeat(np.arange(n_recordings), sizes)
    fine = np.rint(time * sfreq * n_phases).astype(int)
    row, phase = fine // n_phases + lead, fine % n_phases
    level = np.rint(tired / FATIGUE_STEP).astype(int)

    active, position = np.unique(unit, return_inverse=True)
    if len(active) == 0:
        return np.zeros((n_recordings, n_channels, n_times), dtype=np.float32)
    fibres = person.fibres
    chosen = type(fibres)(
        *(getattr(fibres, name)[active] for name in fibres.__dataclass_fields__)
    )
    potentials = unit_potentials(person.limb, chosen, electrodes, person.table)
    slowest = velocity[active].min() * (1 - VELOCITY_LOSS * level.max() * FATIGUE_STEP)
    longest = potentials.shape[-1] * TRAVEL_STEP / (1e3 * slowest)
    n_rows += int(np.ceil(longest * sfreq)) + 2 * N_AHEAD + 2
    blocks = np.zeros((n_recordings, n_rows, n_channels), dtype=np.float32)
    for step in np.unique(level):
        here = level == step
        slower = 1 - VELOCITY_LOSS * step * FATIGUE_STEP
        used, column = np.unique(position[here], return_inverse=True)
        templates = _templates(
            potentials[used], velocity[active[used]] * slower, sfreq, n_phases
        )
        column = column * n_phases + phase[here]
        for index in np.unique(recording[here]):
            mine = recording[here] == index
            _add_spikes(blocks[index], row[here][mine], column[mine], templates)
    begin = lead + (N_AHEAD if n_phases > 1 else 0)
    return np.ascontiguousarray(blocks[:, begin : begin + n_times].transpose(0, 2, 1))


def _add_spikes(block, row, column, templates):
    """Add the template of each spike to `block`, beginning at its row."""
    n_lags, n_columns, n_channels = templates.shape
    # Stretches of time small enough to stay in the cache, however long the
    # recording is, and none where there are no spikes.
    stretch = max(256, 2**18 // n_channels)
    for start in range(row.min(), row.max() + 1, stretch):
        here = (row >= start) & (row < start + stretch)
        if not here.any():
            continue
        place = row[here] - start, column[here]
        n_here = int(place[0].max()) + 1
        ones = np.ones(len(place[0]), dtype=np.float32)
        spikes = sparse.csr_array((ones, place), shape=(n_here, n_columns))
        for lag in range(n_lags):
            begin = start + lag
            block[begin : begin + n_here] += spikes @ templates[lag]
