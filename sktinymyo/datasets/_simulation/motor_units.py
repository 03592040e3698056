"""Motor units of a muscle: size principle, firing rates and spike times."""

from dataclasses import dataclass

import numpy as np

__all__ = ["MotorUnitPool", "firing_rates", "make_pool", "spike_times"]

MINIMUM_RATE = 8.0  # impulses per second at recruitment
PEAK_RATES = (35.0, 25.0)  # of the first and of the last unit recruited
THRESHOLD_RANGE = 30.0  # last over first recruitment threshold
FIBRE_RANGE = 40.0  # largest over smallest innervation number


@dataclass(frozen=True)
class MotorUnitPool:
    """Motor units in the order of their recruitment, arrays of (n_units,).

    Parameters
    ----------
    threshold : ndarray
        Excitation (fraction of the maximum) at which a unit begins to fire.
    peak_rate : ndarray
        Highest firing rate, impulses per second.
    gain : float
        Growth of the rate with excitation, impulses per second per maximum.
    n_fibres : ndarray
        Innervation number.
    velocity : ndarray
        Conduction velocity of the rested fibres, m/s.
    variability : ndarray
        Coefficient of variation of the intervals between spikes.
    """

    threshold: np.ndarray
    peak_rate: np.ndarray
    gain: float
    n_fibres: np.ndarray
    velocity: np.ndarray
    variability: np.ndarray


def make_pool(n_units, total_fibres, mean_velocity, rng, last_threshold=0.6):
    """Draw the motor units of one muscle.

    Thresholds and innervation numbers grow exponentially with the order of
    recruitment: many small units come first, few large ones last. Conduction
    velocity grows with size.

    Parameters
    ----------
    n_units : int
        Number of motor units.
    total_fibres : float
        Fibres of the muscle, shared out among the units.
    mean_velocity : float
        Mean conduction velocity of the muscle, m/s.
    rng : numpy.random.Generator
        Source of the spread between units.
    last_threshold : float, default=0.6
        Excitation at which the last unit is recruited; beyond it force grows
        by rate alone, as in most limb muscles.

    Returns
    -------
    pool : MotorUnitPool

    References
    ----------
    Fuglevand AJ, Winter DA, Patla AE (1993). Models of recruitment and rate
    coding organization in motor-unit pools. J Neurophysiol 70:2470-2488,
    Methods (recruitment threshold, rate coding, twitch range). Andreassen S,
    Arendt-Nielsen L (1987). Muscle fibre conduction velocity in motor units of
    the human anterior tibial muscle. J Physiol 391:561-571.
    """
    order = np.arange(1, n_units + 1) / n_units
    threshold = last_threshold * THRESHOLD_RANGE ** (order - 1.0)
    first, last = PEAK_RATES
    n_fibres = FIBRE_RANGE**order
    n_fibres = n_fibres * total_fibres / n_fibres.sum()
    velocity = mean_velocity + 1.0 * (order - 0.5) + rng.normal(0, 0.15, n_units)
    return MotorUnitPool(
        threshold=threshold,
        peak_rate=first + (last - first) * threshold / last_threshold,
        gain=(last - MINIMUM_RATE) / (1.0 - last_threshold),
        n_fibres=n_fibres,
        velocity=np.clip(velocity, 2.8, 6.0),
        variability=rng.uniform(0.15, 0.20, n_units),
    )


def firing_rates(pool, excitation):
    """Compute the firing rates of a pool under a common excitation.

    Parameters
    ----------
    pool : MotorUnitPool
        The units.
    excitation : ndarray of shape (n_times,)
        Fraction of the maximum, 0 to 1.

    Returns
    -------
    rates : ndarray of shape (n_units, n_times)
        Impulses per second; 0 below the recruitment threshold, then from the
        minimum linearly up to the peak rate of the unit.
    """
    above = np.asarray(excitation) - pool.threshold[:, None]
    rates = np.minimum(MINIMUM_RATE + pool.gain * above, pool.peak_rate[:, None])
    return np.where(above >= 0, rates, 0.0)


def spike_times(rates, step, variability, rng):
    """Draw spike times of many units from their rates.

    A spike falls whenever the integral of the rate has grown by a Gaussian
    interval of mean one. While the rate is constant the intervals therefore
    are Gaussian with the coefficient of variation asked for.

    Parameters
    ----------
    rates : ndarray of shape (n_units, n_times)
        Impulses per second.
    step : float
        Time between the samples of `rates`, s.
    variability : ndarray of shape (n_units,)
        Coefficient of variation of the intervals.
    rng : numpy.random.Generator
        Source of the intervals and of the phase at the start.

    Returns
    -------
    unit : ndarray of shape (n_spikes,), int
        Which unit fired; ascending.
    time : ndarray of shape (n_spikes,)
        When, s after the first sample; ascending within a unit.

    References
    ----------
    Fuglevand, Winter and Patla (1993), Methods (variability of discharge: a
    Gaussian, cut where it would run into the preceding spike).
    """
    n_units, n_times = rates.shape
    integral = np.zeros((n_units, n_times))
    np.cumsum((rates[:, 1:] + rates[:, :-1]) * (step / 2), axis=1, out=integral[:, 1:])
    total = integral[:, -1]
    n_intervals = int(np.ceil(total.max() * 1.3)) + 8
    deviate = np.clip(rng.standard_normal((n_units, n_intervals)), -3.5, 3.5)
    intervals = 1.0 + variability[:, None] * deviate
    intervals[:, 0] *= rng.random(n_units)
    count = np.cumsum(intervals, axis=1)
    unit, which = np.nonzero(count < total[:, None])
    # The integrals are strung together into one rising curve (one more than
    # its total apart), so that a single interpolation inverts all of them.
    start = np.concatenate([[0.0], np.cumsum(total + 1.0)[:-1]])
    # Without excitation the integral stands still; the tiny slope keeps the
    # curve invertible.
    rising = integral + np.arange(n_times) * 1e-9
    offset = np.arange(n_units) * (n_times * step)
    position = np.interp(
        count[unit, which] + start[unit],
        (rising + start[:, None]).ravel(),
        (np.arange(n_times) * step + offset[:, None]).ravel(),
    )
    return unit, position - offset[unit]
