"""Parts of the simulators against closed forms, brute force and physiology."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import fft, signal, special

from sktinymyo.datasets._simulation.artefacts import add_artefacts, make_amplifier
from sktinymyo.datasets._simulation.electrodes import make_armband, make_grid
from sktinymyo.datasets._simulation.forearm import MUSCLES, make_person
from sktinymyo.datasets._simulation.motor_units import (
    MINIMUM_RATE,
    firing_rates,
    make_pool,
    spike_times,
)
from sktinymyo.datasets._simulation.synergies import (
    CONTROL_RATE,
    band_noise,
    common_drive,
    minimum_jerk,
)
from sktinymyo.datasets._simulation.synthesis import (
    N_AHEAD,
    TRAVEL_STEP,
    Contraction,
    contract,
    control_times,
    fatigue_course,
    render,
)
from sktinymyo.datasets._simulation.volume_conduction import (
    Fibres,
    Limb,
    surface_transfer,
    unit_potentials,
    wavenumbers,
)


def one_fibre(depth, angle=0.0, end_plate=-30.0, distal=80.0, proximal=60.0):
    values = (np.full((1, 1), float(v)) for v in (depth, angle, end_plate))
    ends = (np.full((1, 1), distal), np.full((1, 1), proximal))
    return Fibres(*values, *ends, n_fibres=np.array([100.0]))


def potential_of(fibre, electrodes, limb):
    depths = np.array([fibre.depth[0, 0]])
    table = depths, surface_transfer(limb, depths)
    return unit_potentials(limb, fibre, electrodes, table)[0]


@pytest.fixture(scope="module")
def person():
    return make_person(np.random.default_rng(0), n_motor_units=8)


@pytest.fixture(scope="module")
def pool():
    return make_pool(60, 60_000, 4.0, np.random.default_rng(0))


# ---------------------------------------------------------------- conduction


def test_source_on_the_axis_has_the_closed_form():
    # One conductivity throughout: a point source on the axis of an insulated
    # cylinder gives 1 / (a sigma k I_1(k a)) for the order zero.
    sigma, radius = 1e-4, 40.0
    limb = Limb(radius, fat=3.0, skin=1.0, conductivities=(sigma,) * 4)
    transfer = surface_transfer(limb, np.array([limb.muscle_radius - 1e-9]))
    k = wavenumbers()[1:80]
    expected = 1 / (radius * sigma * k * special.i1(k * radius))
    np.testing.assert_allclose(transfer[0, 0, 1:80], expected, rtol=1e-5)


def test_shallow_source_is_close_to_a_half_space():
    # Near the skin the cylinder is nearly flat: twice the potential of an
    # unbounded medium (differences, as the mean is not defined).
    sigma = 1e-4
    limb = Limb(46.0, fat=1.0, skin=1.0, conductivities=(sigma,) * 4)
    transfer = surface_transfer(limb, np.array([3.0]))[0]
    weight = np.where(np.arange(len(transfer)) == 0, 1, 2) / (2 * np.pi)
    potential = fft.irfft(weight @ transfer)
    distance = np.hypot(5.0, np.array([0, 3, 6, 10]))
    expected = (1 / distance - 1 / np.hypot(5.0, 20)) / (2 * np.pi * sigma)
    np.testing.assert_allclose(
        potential[[0, 3, 6, 10]] - potential[20], expected, rtol=0.15
    )


def test_anisotropic_muscle_conducts_further_along_the_fibres():
    depths = np.array([8.0])
    along = surface_transfer(Limb(40, 3), depths)[0, 0]
    equal = surface_transfer(
        Limb(40, 3, conductivities=(1e-4, 1e-4, 5e-5, 1e-3)), depths
    )[0, 0]
    # Relative to the longest wave, short waves die sooner.
    assert along[40] / along[2] < equal[40] / equal[2]


@pytest.mark.parametrize("velocity", [3.0, 4.0, 5.0])
def test_potential_travels_at_the_conduction_velocity(velocity):
    limb = Limb(40.0, 2.0)
    grid = make_grid((3, 1), 10.0, limb.radius, 0.0, 0.0)
    electrodes = replace(grid, spacing=10.0)
    waves = potential_of(one_fibre(4.0), electrodes, limb)
    fine = np.arange(0, waves.shape[1] - 1, 0.02)
    peaks = [fine[np.interp(fine, np.arange(len(w)), w).argmax()] for w in waves]
    seconds = np.array(peaks) * TRAVEL_STEP * 1e-3 / velocity
    np.testing.assert_allclose(0.020 / (seconds[2] - seconds[0]), velocity, rtol=0.05)


def test_end_of_the_fibre_is_seen_everywhere_at_once():
    limb = Limb(40.0, 2.0)
    # Electrodes beyond the tendon at +50 mm see only standing potentials.
    electrodes = make_grid((3, 1), 15.0, limb.radius, 0.0, 85.0)
    waves = potential_of(one_fibre(4.0, end_plate=-30, distal=80), electrodes, limb)
    peaks = np.abs(waves).argmax(axis=1) * TRAVEL_STEP
    assert np.ptp(peaks) <= 1.5
    np.testing.assert_allclose(peaks, 80, atol=6)


def test_symmetric_fibre_looks_alike_from_both_sides():
    limb = Limb(40.0, 2.0)
    electrodes = make_grid((5, 1), 12.0, limb.radius, 0.0, 0.0)
    fibre = one_fibre(6.0, end_plate=0.0, distal=60.0, proximal=60.0)
    waves = potential_of(fibre, electrodes, limb)
    np.testing.assert_allclose(waves, waves[::-1], atol=1e-4 * np.abs(waves).max())


def test_depth_lowers_blurs_and_slows():
    limb = Limb(40.0, 2.0)
    ring = make_armband(16, "bipolar", 0.0, 0.0)
    peak, width, frequency = [], [], []
    for depth in (2.0, 5.0, 10.0, 18.0):
        waves = potential_of(one_fibre(depth), ring, limb)
        size = np.abs(waves).max(axis=1)
        peak.append(size[0])
        width.append(size[2] / size[0])
        power = np.abs(fft.rfft(waves[0])) ** 2
        frequency.append((np.arange(len(power)) * power).sum() / power.sum())
    assert (np.diff(peak) < 0).all() and peak[0] > 5 * peak[-1]
    assert (np.diff(width) > 0).all()
    assert (np.diff(frequency) < 0).all()


def test_fat_lowers_and_spreads():
    ring = make_armband(16, "bipolar", 0.0, 0.0)
    thin, thick = (
        np.abs(potential_of(one_fibre(4.0), ring, Limb(40.0, fat))).max(axis=1)
        for fat in (1.5, 8.0)
    )
    assert thick[0] < 0.6 * thin[0]
    assert thick[2] / thick[0] > thin[2] / thin[0]


def test_turning_the_armband_turns_the_channels(person):
    spikes = Contraction(np.arange(96), np.full(96, 0.1), np.zeros(96))
    args = ([spikes], 60, 200.0)
    straight = render(person, make_armband(8, "bipolar", 0.0, 0.0), *args)[0]
    turned = render(person, make_armband(8, "bipolar", np.pi / 4, 0.0), *args)[0]
    scale = np.abs(straight).max()
    np.testing.assert_allclose(turned, np.roll(straight, -1, axis=0), atol=1e-5 * scale)


# --------------------------------------------------------------- motor units


def test_small_units_come_first(pool):
    assert (np.diff(pool.threshold) > 0).all() and (np.diff(pool.n_fibres) > 0).all()
    assert pool.n_fibres.sum() == pytest.approx(60_000)
    assert pool.threshold[-1] / pool.threshold[0] == pytest.approx(30, rel=0.1)
    # Exponential: more than half of the units come within a quarter of the range.
    assert (pool.threshold < pool.threshold[-1] / 4).mean() > 0.5
    rates = firing_rates(pool, np.linspace(0, 1, 201))
    recruited = (rates > 0).argmax(axis=1)
    assert (np.diff(recruited) >= 0).all()


def test_firing_rates_stay_within_limits(pool):
    rates = firing_rates(pool, np.linspace(0, 1, 101))
    firing = rates[rates > 0]
    assert firing.min() >= MINIMUM_RATE and firing.max() <= 35
    assert (rates.max(axis=1) >= 25 - 1e-9).all()
    assert (rates[:, 0] == 0).all()
    assert (np.diff(rates, axis=1) >= 0).all()


def test_intervals_are_gaussian_with_the_variation_asked_for():
    rates = np.full((40, 12_000), 15.0)
    variability = np.linspace(0.1, 0.2, 40)
    unit, time = spike_times(rates, 0.005, variability, np.random.default_rng(0))
    for index in (0, 20, 39):
        intervals = np.diff(time[unit == index])
        assert intervals.mean() == pytest.approx(1 / 15, rel=0.03)
        ratio = intervals.std() / intervals.mean()
        assert ratio == pytest.approx(variability[index], rel=0.1)
        assert intervals.min() > 0.015


@settings(max_examples=30, deadline=None)
@given(
    st.lists(st.sampled_from([0.0, 8.0, 20.0, 35.0]), min_size=2, max_size=12),
    st.integers(0, 2**16),
)
def test_units_fire_only_while_driven_and_as_often_as_they_should(levels, seed):
    rates = np.repeat([levels, levels[::-1]], 100, axis=1)
    rng = np.random.default_rng(seed)
    unit, time = spike_times(rates, 0.005, np.array([0.15, 0.2]), rng)
    for row in (0, 1):
        mine = time[unit == row]
        assert (np.diff(mine) > 0).all()
        expected = np.trapezoid(rates[row], dx=0.005)
        assert abs(len(mine) - expected) < 3 + 3 * 0.2 * np.sqrt(expected + 1)
        before = np.floor(mine / 0.005).astype(int)
        after = np.minimum(before + 1, rates.shape[1] - 1)
        assert (np.maximum(rates[row, before], rates[row, after]) > 0).all()


# ------------------------------------------------------------------ synthesis


def test_rendering_equals_adding_up_the_action_potentials(person):
    electrodes = make_armband(4, "bipolar", 0.3, 5.0)
    rng = np.random.default_rng(1)
    unit = np.sort(rng.integers(0, 96, 25))
    spikes = Contraction(unit, rng.integers(0, 800, 25) / 2000.0, np.zeros(25))
    made = render(person, electrodes, [spikes], 1000, 2000.0)[0]
    potentials = unit_potentials(person.limb, person.fibres, electrodes, person.table)
    velocity = np.concatenate([one.velocity for one in person.pools])
    expected = np.zeros_like(made)
    grid = np.arange(potentials.shape[-1]) * TRAVEL_STEP
    for index, start in zip(unit, spikes.time, strict=True):
        travelled = (np.arange(1000) / 2000.0 - start) * velocity[index] * 1e3
        for channel in range(4):
            expected[channel] += np.interp(
                travelled, grid, potentials[index, channel], left=0, right=0
            )
    np.testing.assert_allclose(made, expected, atol=1e-3 * np.abs(expected).max())


def test_low_rates_equal_a_filtered_and_decimated_high_rate(person):
    electrodes = make_armband(4, "bipolar", 0.3, 5.0)
    rng = np.random.default_rng(1)
    spikes = Contraction(
        np.sort(rng.integers(0, 96, 40)), rng.uniform(-0.1, 1.05, 40), np.zeros(40)
    )
    low = render(person, electrodes, [spikes], 200, 200.0)[0]
    high = render(person, electrodes, [spikes], 2100, 2000.0)[0]
    taps = signal.firwin(2 * N_AHEAD * 10 + 1, 88.0, fs=2000, window=("kaiser", 6.0))
    smooth = signal.fftconvolve(high, taps[None], axes=1)[:, N_AHEAD * 10 :]
    # The first samples lack what came before the recording.
    np.testing.assert_allclose(
        low[:, 30:190], smooth[:, 300:1900:10], atol=2e-3 * np.abs(low).max()
    )


def test_nobody_fires_nothing_is_seen(person):
    nothing = np.zeros((len(MUSCLES), len(control_times(0.5))))
    silent = contract(person, nothing, nothing, np.random.default_rng(0))
    assert len(silent.unit) == 0
    made = render(person, make_armband(4, "average", 0, 0), [silent], 100, 200.0)
    assert made.shape == (1, 4, 100) and not made.any()


def test_fatigue_grows_with_work_towards_its_limit():
    course = fatigue_course(np.linspace(0, 200, 50), 0.6)
    assert course[0] == 0 and (np.diff(course) > 0).all()
    assert course[-1] == pytest.approx(0.6, rel=1e-3)
    assert not fatigue_course(np.arange(10), 0.0).any()


# ------------------------------------------------------- drive and artefacts


def test_smooth_movements_start_and_stop_at_rest():
    phase = np.linspace(-0.5, 1.5, 2001)
    course = minimum_jerk(phase)
    assert course[0] == 0 and course[-1] == 1 and (np.diff(course) >= 0).all()
    speed = np.gradient(course, phase)
    assert abs(speed[[500, 1500]]).max() < 1e-3 and speed.max() == pytest.approx(
        1.875, rel=1e-3
    )


def test_noise_stays_in_its_band_with_unit_variance():
    noise = band_noise((50, 4000), 200.0, (1.0, 5.0), np.random.default_rng(0))
    frequency, power = signal.welch(noise, 200.0, nperseg=2000)
    inside = (frequency > 0.8) & (frequency < 5.2)
    assert power[:, inside].sum() > 0.99 * power.sum()
    assert noise.std() == pytest.approx(1, rel=0.05)
    assert not band_noise((1, 20), 200.0, (0.1, 1.0), np.random.default_rng(0)).any()


def test_common_drive_is_shared_and_bounded():
    drive = common_drive(np.full((12, 8000), 0.4), np.random.default_rng(0))
    assert drive.min() >= 0 and drive.max() <= 1
    assert drive.std(axis=1).mean() / drive.mean() == pytest.approx(0.063, rel=0.2)
    slow = signal.sosfiltfilt(
        signal.butter(2, 2.5, fs=CONTROL_RATE, output="sos"), drive
    )
    assert np.corrcoef(slow)[np.triu_indices(12, 1)].mean() > 0.3


def quiet(n_channels=4, **options):
    options = {"noise": 0.0, "line_freq": None, "line_noise": 0.0} | options
    options = {"motion": 0.0, "n_dead": 0} | options
    angle = 2 * np.pi * np.arange(n_channels) / n_channels
    return make_amplifier(angle, np.random.default_rng(0), **options)


@pytest.mark.parametrize("line_freq", [50.0, 60.0])
def test_hum_has_its_peak_at_the_mains_and_odd_harmonics(line_freq):
    amplifier = quiet(line_freq=line_freq, line_noise=5.0)
    rng = np.random.default_rng(0)
    made = add_artefacts(np.zeros((4, 20_000)), 2000.0, amplifier, rng)
    frequency, power = signal.welch(made, 2000.0, nperseg=4000)
    power = power.mean(axis=0)
    assert frequency[power.argmax()] == pytest.approx(line_freq)
    at = [power[np.abs(frequency - line_freq * h).argmin()] for h in (1, 2, 3)]
    assert at[0] > at[2] > at[1]
    assert 2.5 < made.std() < 10


def test_hum_above_nyquist_is_not_folded_back():
    amplifier = quiet(line_freq=60.0, line_noise=5.0)
    made = add_artefacts(
        np.zeros((4, 4000)), 200.0, amplifier, np.random.default_rng(0)
    )
    frequency, power = signal.welch(made, 200.0, nperseg=1000)
    assert power[:, np.abs(frequency - 60) > 3].sum() < 0.01 * power.sum()


def test_movement_artefacts_are_slow_and_leave_no_offset():
    amplifier = quiet(motion=50.0)
    rng = np.random.default_rng(3)
    made = add_artefacts(np.zeros((4, 8000)), 1000.0, amplifier, rng, movements=[1.0])
    assert made[:, 1000:1200].any()
    frequency, power = signal.welch(made, 1000.0, nperseg=4000)
    assert power[:, frequency < 15].sum() > 0.95 * power.sum()
    assert np.abs(made.mean(axis=1)).max() < 0.02 * np.abs(made).max()


def test_dead_channels_lose_the_signal():
    amplifier = quiet(noise=1.0, n_dead=2)
    clean = 100 * np.random.default_rng(1).standard_normal((4, 500))
    made = add_artefacts(clean, 1000.0, amplifier, np.random.default_rng(0))
    alive = np.setdiff1d(np.arange(4), amplifier.dead)
    assert len(amplifier.dead) == 2
    assert made[amplifier.dead].std() < 1 and made[alive].std() > 50
