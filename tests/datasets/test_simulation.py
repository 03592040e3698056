"""The simulators as a user calls them: form, repeatability, realism."""

import inspect

import numpy as np
import pytest
from scipy import signal
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis

from sktinymyo.datasets._simulation import (
    make_gestures,
    make_hdsemg,
    make_kinematics,
)

SMALL = {"n_subjects": 1, "duration": 0.5, "n_motor_units": 8, "random_state": 0}
CLEAN = {"line_freq": None, "noise": 0.5, "motion_artefacts": 0, "line_noise": 0}


def median_frequency(recording, sfreq):
    frequency, power = signal.welch(recording, sfreq, nperseg=int(sfreq / 2))
    share = np.cumsum(power, axis=-1) / power.sum(axis=-1, keepdims=True)
    return frequency[(share < 0.5).sum(axis=-1)]


def level(recording):
    return np.sqrt((recording.astype(float) ** 2).mean(axis=1))


def features(windows):
    steps = np.diff(windows)
    crossings = (np.diff(np.signbit(windows)) != 0).mean(axis=-1)
    turns = (np.diff(np.signbit(steps)) != 0).mean(axis=-1)
    parts = [np.abs(windows).mean(-1), np.abs(steps).mean(-1), crossings, turns]
    return np.concatenate([*parts, np.log(windows.var(-1) + 1e-6)], axis=1)


def feature_table(data, window=0.2, step=0.1):
    X, rows = [], []
    n_times, n_step = round(window * data.sfreq), round(step * data.sfreq)
    for index, recording in enumerate(data.recordings):
        cut = np.lib.stride_tricks.sliding_window_view(recording, n_times, axis=1)
        cut = cut[:, ::n_step].transpose(1, 0, 2)
        X.append(features(cut))
        rows.extend([index] * len(cut))
    rows = np.array(rows)
    return np.concatenate(X), rows, data.target[rows], data.meta.iloc[rows]


# --------------------------------------------------------------------- form


@pytest.mark.parametrize("make", [make_gestures, make_kinematics, make_hdsemg])
def test_bunch_has_what_every_data_set_has(make):
    options = {"grid": (3, 4), "sfreq": 1000} if make is make_hdsemg else {}
    data = make(n_repetitions=2, n_sessions=2, **SMALL, **options)
    n_times = round(0.5 * data.sfreq)
    assert len(data.recordings) == len(data.meta) == len(data.target)
    assert list(data.meta.columns[:5]) == [
        *("recording", "subject", "session", "repetition", "gesture")
    ]
    assert data.unit == "uV" and data.source == "simulated"
    assert data.n_channels == len(data.channel_names)
    for recording, excitation in zip(data.recordings, data.excitation, strict=True):
        assert recording.shape == (data.n_channels, n_times)
        assert recording.dtype == np.float32 and np.isfinite(recording).all()
        assert recording.flags.c_contiguous
        assert excitation.shape == (len(data.muscle_names), n_times)
        assert excitation.dtype == np.float32
        assert excitation.min() >= 0 and excitation.max() <= 1
    np.testing.assert_array_equal(data.groups, data.meta["subject"])
    assert data.fatigue.shape == (len(data.recordings), len(data.muscle_names))
    assert "Fuglevand" in data.DESCR and data.license and data.citation
    if make is make_kinematics:
        assert [one.shape for one in data.target] == [(n_times, 3)] * 4
        assert {one.dtype for one in data.target} == {np.dtype("float32")}
    else:
        names = [data.target_names[code] for code in data.target]
        assert names == list(data.meta["gesture"])


def test_the_gestures_and_channels_asked_for_are_made():
    data = make_gestures(
        gestures=["pinch", "rest"], n_channels=5, n_repetitions=1, sfreq=500, **SMALL
    )
    assert data.target_names == ["pinch", "rest"]
    assert data.recordings[0].shape == (5, 250)
    assert data.meta["effort"][1] == 0 and np.isnan(data.meta["movement_onset"][1])
    every = make_gestures(n_gestures=12, n_repetitions=1, **SMALL)
    assert len(set(every.meta["gesture"])) == 12


@pytest.mark.parametrize("make", [make_gestures, make_kinematics, make_hdsemg])
@pytest.mark.parametrize(
    ("name", "value", "error"),
    [
        ("n_subjects", 0, ValueError),
        ("n_repetitions", 1.5, TypeError),
        ("n_sessions", "2", TypeError),
        ("duration", 0.1, ValueError),
        ("sfreq", 50, ValueError),
        ("sfreq", np.nan, ValueError),
        ("effort", 0, ValueError),
        ("effort", 1.2, ValueError),
        ("fatigue", -0.1, ValueError),
        ("montage", "ring", ValueError),
        ("fat", 40, ValueError),
        ("line_freq", 0, ValueError),
        ("noise", -1, ValueError),
        ("n_dead_channels", 64, ValueError),
        ("n_dead_channels", True, TypeError),
        ("n_motor_units", 2, ValueError),
        ("person_variation", 3, ValueError),
    ],
)
def test_bad_parameters_are_named(make, name, value, error):
    with pytest.raises(error, match=name):
        make(**{name: value})


@pytest.mark.parametrize(
    ("make", "options", "error"),
    [
        (make_gestures, {"n_gestures": 13}, ValueError),
        (make_gestures, {"gestures": ["fist", "wave"]}, ValueError),
        (make_gestures, {"gestures": ["fist", "fist"]}, ValueError),
        (make_gestures, {"gestures": "fist"}, TypeError),
        (make_gestures, {"n_channels": 1}, ValueError),
        (make_kinematics, {"joints": ["elbow"]}, ValueError),
        (make_kinematics, {"joints": []}, ValueError),
        (make_kinematics, {"electromechanical_delay": 2}, ValueError),
        (make_hdsemg, {"grid": (8, 8, 2)}, TypeError),
        (make_hdsemg, {"grid": 64}, TypeError),
        (make_hdsemg, {"grid": (1, 8), "montage": "differential"}, ValueError),
        (make_hdsemg, {"grid": (8, 40)}, ValueError),
        (make_hdsemg, {"inter_electrode_distance": 0}, ValueError),
        (make_hdsemg, {"grid_angle": np.inf}, ValueError),
        (make_hdsemg, {"return_spikes": 1}, TypeError),
    ],
)
def test_bad_parameters_of_one_simulator_are_named(make, options, error):
    with pytest.raises(error, match=next(iter(options))):
        make(**options)


def test_every_parameter_is_documented():
    for make in (make_gestures, make_kinematics, make_hdsemg):
        text = make.__doc__.split("Returns\n")[0]
        for name in inspect.signature(make).parameters:
            assert name in text, (make.__name__, name)


# ------------------------------------------------------------- repeatability


@pytest.mark.parametrize("make", [make_gestures, make_kinematics, make_hdsemg])
def test_same_seed_same_bits(make):
    options = {"grid": (2, 2), "sfreq": 512} if make is make_hdsemg else {}
    options = SMALL | {"n_repetitions": 1} | options
    first, second = make(**options), make(**options)
    other = make(**options | {"random_state": 1})
    for one, two, three in zip(
        first.recordings, second.recordings, other.recordings, strict=True
    ):
        np.testing.assert_array_equal(one, two)
        assert not np.array_equal(one, three)
    np.testing.assert_array_equal(first.target[0], second.target[0])


@pytest.mark.parametrize("make", [make_gestures, make_kinematics])
def test_more_people_sessions_and_repetitions_leave_the_others_alone(make):
    few = make(n_repetitions=1, **SMALL)
    more = make(n_repetitions=2, n_sessions=2, **SMALL | {"n_subjects": 2})
    meta = more.meta
    first = (meta.subject == 0) & (meta.session == 0) & (meta.repetition == 0)
    for one, index in zip(few.recordings, np.flatnonzero(first), strict=True):
        np.testing.assert_array_equal(one, more.recordings[index])


def test_random_state_may_be_a_generator_of_numpy_and_leaves_the_global_one():
    options = {"n_gestures": 1, "n_repetitions": 1} | SMALL
    before = np.random.get_state()[1].copy()  # noqa: NPY002
    one, two = (
        make_gestures(**options | {"random_state": np.random.RandomState(5)})
        for _ in range(2)
    )
    np.testing.assert_array_equal(one.recordings[0], two.recordings[0])
    np.testing.assert_array_equal(before, np.random.get_state()[1])  # noqa: NPY002


# ------------------------------------------------------------------- realism


@pytest.fixture(scope="module")
def armband():
    return make_gestures(n_subjects=6, n_motor_units=25, random_state=1)


def test_gestures_are_told_apart_within_a_person_and_less_well_across(armband):
    X, _, y, meta = feature_table(armband)
    subject, odd = meta["subject"].to_numpy(), meta["repetition"].to_numpy() % 2 == 1
    within, across = [], []
    for person in np.unique(subject):
        mine = subject == person
        model = LinearDiscriminantAnalysis()
        model.fit(X[mine & ~odd], y[mine & ~odd])
        within.append(model.score(X[mine & odd], y[mine & odd]))
        model.fit(X[~mine], y[~mine])
        across.append(model.score(X[mine], y[mine]))
    assert 0.82 < np.mean(within) < 0.985
    assert 0.4 < np.mean(across) < np.mean(within) - 0.1


def test_a_shifted_armband_costs_accuracy():
    def across_sessions(shift):
        data = make_gestures(
            *(2, 5, 3, 2, 2.0),
            electrode_shift=shift,
            n_motor_units=20,
            random_state=3,
        )
        X, _, y, meta = feature_table(data)
        subject, session = meta["subject"].to_numpy(), meta["session"].to_numpy()
        scores = []
        for person in range(2):
            first = (subject == person) & (session == 0)
            second = (subject == person) & (session == 1)
            model = LinearDiscriminantAnalysis().fit(X[first], y[first])
            scores.append(model.score(X[second], y[second]))
        return np.mean(scores)

    assert across_sessions(40.0) < across_sessions(0.0) - 0.1


def test_signal_of_the_armband_has_the_size_of_real_ones(armband):
    size = np.array([level(one).max() for one in armband.recordings])
    active = armband.target > 0
    assert 30 < np.median(size[active]) < 600
    assert np.median(size[~active]) < 15


def test_amplitude_grows_with_effort():
    sizes = []
    for effort in (0.05, 0.1, 0.2, 0.4, 0.8):
        data = make_gestures(
            n_repetitions=2,
            gestures=["fist", "wrist_extension"],
            effort=effort,
            fatigue=0,
            **SMALL | {"duration": 2.0, "n_motor_units": 25},
            **CLEAN,
        )
        sizes.append(np.mean([level(one[:, 200:]) for one in data.recordings]))
    assert (np.diff(sizes) > 0).all() and sizes[-1] > 5 * sizes[0]


@pytest.mark.parametrize("sfreq", [1000, 2048])
def test_spectrum_is_that_of_surface_emg(sfreq):
    data = make_gestures(
        1, n_repetitions=2, sfreq=sfreq, duration=1.5, random_state=2, **CLEAN
    )
    active = [r for r, code in zip(data.recordings, data.target, strict=True) if code]
    strongest = [one[level(one).argmax(), sfreq // 2 :] for one in active]
    frequency = [median_frequency(one, sfreq) for one in strongest]
    assert 50 < np.median(frequency) < 150
    assert min(frequency) > 35 and max(frequency) < 180


def test_fatigue_compresses_the_spectrum():
    options = {
        "gestures": ["wrist_extension"],
        "n_repetitions": 1,
        "duration": 40.0,
        "effort": 0.6,
        "grid": (3, 3),
        "sfreq": 1024,
        "montage": "differential",
        "n_motor_units": 30,
        "random_state": 0,
    }
    change = {}
    for fatigue in (0.0, 1.0):
        recording = make_hdsemg(fatigue=fatigue, **options, **CLEAN).recordings[0]
        early = median_frequency(recording[:, 1024:7168], 1024).mean()
        late = median_frequency(recording[:, -6144:], 1024).mean()
        change[fatigue] = late / early
    # A conduction velocity 30 % lower is the limit, not yet reached.
    assert 0.7 < change[1.0] < 0.9
    assert 0.93 < change[0.0] < 1.07


def test_fat_weakens_the_signal():
    thin, thick = (
        make_gestures(
            gestures=["wrist_extension"], n_repetitions=1, fat=fat, **SMALL, **CLEAN
        ).recordings[0]
        for fat in (1.0, 9.0)
    )
    assert level(thick).max() < 0.5 * level(thin).max()


def test_people_differ_only_as_much_as_asked():
    options = {"gestures": ["wrist_extension"], "n_repetitions": 4, "duration": 1.0}
    options |= {"n_subjects": 3, "electrode_shift": 0, "random_state": 0} | CLEAN
    options["n_motor_units"] = 20

    def spread(variation):
        data = make_gestures(person_variation=variation, **options)
        sizes = np.array([np.log(level(one[:, 80:])) for one in data.recordings])
        means = sizes.reshape(3, 4, -1).mean(axis=1)
        return (means - means.mean(axis=1, keepdims=True)).std(axis=0).mean()

    assert spread(0.0) < 0.6 * spread(1.0)


def test_hum_and_dead_channels_arrive_in_the_recordings():
    data = make_gestures(
        gestures=["rest"],
        n_repetitions=1,
        line_freq=60,
        line_noise=20,
        n_dead_channels=2,
        **SMALL | {"duration": 4.0},
    )
    frequency, power = signal.welch(data.recordings[0], 200, nperseg=400)
    alive = np.setdiff1d(np.arange(8), data.dead_channels[0])
    assert len(data.dead_channels[0]) == 2
    assert (frequency[power[alive].argmax(axis=1)] == 60).all()
    assert level(data.recordings[0])[list(data.dead_channels[0])].max() < 3


def test_muscles_work_before_the_joint_moves():
    delay = 0.07
    data = make_kinematics(
        1,
        1,
        duration=40.0,
        joints=["wrist_flexion"],
        random_state=4,
        electromechanical_delay=delay,
    )
    names = data.muscle_names
    angle = data.target[0][:, 0].astype(float)
    excitation = data.excitation[0][[names.index("FCR"), names.index("ECR")]]
    torque = excitation[0] / excitation[0].max() - excitation[1] / excitation[1].max()
    lags = np.arange(0, 60)
    score = [np.corrcoef(torque[: -lag or None], angle[lag:])[0, 1] for lag in lags]
    best = lags[np.argmax(score)] / data.sfreq
    # Viscosity and inertia put the torque further ahead than the delay alone.
    assert delay <= best <= delay + 0.2 and max(score) > 0.8
    assert data.meta["electromechanical_delay"][0] == delay
    flexed = angle > 25
    sizes = [level(data.recordings[0][:, part]) for part in (flexed, angle < -25)]
    assert not np.allclose(
        sizes[0] / sizes[0].max(), sizes[1] / sizes[1].max(), atol=0.3
    )


def test_angles_stay_in_range_and_move_smoothly():
    data = make_kinematics(1, 2, duration=10.0, n_motor_units=8, random_state=0)
    for angles in data.target:
        low, high = angles.min(axis=0), angles.max(axis=0)
        assert (low > [-61, -21, -1]).all() and (high < [71, 36, 86]).all()
        assert (high - low > 5).all()
        assert np.abs(np.diff(angles, axis=0)).max() * data.sfreq < 700


def test_joint_angles_can_be_regressed():
    data = make_kinematics(1, 4, random_state=0)
    X, y = [], []
    for recording, angles in zip(data.recordings, data.target, strict=True):
        cut = np.lib.stride_tricks.sliding_window_view(recording, 50, axis=1)[:, ::20]
        X.append(np.sqrt((cut**2).mean(-1)).T)
        y.append(angles[49::20][: len(X[-1])])
    from sklearn.ensemble import RandomForestRegressor

    model = RandomForestRegressor(30, random_state=0)
    model.fit(np.concatenate(X[:3]), np.concatenate(y[:3]))
    assert 0.3 < model.score(X[3], y[3]) < 0.97


# --------------------------------------------------------------------- grids


@pytest.fixture(scope="module")
def spikes():
    return make_hdsemg(
        gestures=["wrist_extension"],
        n_repetitions=1,
        duration=8.0,
        grid=(5, 4),
        sfreq=1000,
        effort=0.25,
        fatigue=0,
        n_motor_units=40,
        return_spikes=True,
        random_state=0,
        **CLEAN,
    )


def test_spike_trains_follow_the_size_principle(spikes):
    units, trains = spikes.motor_units, spikes.spike_trains[0]
    assert len(units) == len(trains) == 12 * 40
    counts = np.array([len(train) for train in trains])
    driven = spikes.excitation[0].mean(axis=1).argmax()
    mine = (units["muscle"] == spikes.muscle_names[driven]).to_numpy()
    active = counts[mine] > 8
    last = np.flatnonzero(active).max()
    assert active[:last].all() and 5 < active.sum() < 40
    threshold = units["threshold"].to_numpy()[mine]
    reached = spikes.excitation[0][driven].max()
    assert threshold[last] <= reached
    rate = counts[mine][active] / 8.0
    assert rate.max() <= 36
    assert rate[0] > rate[-1]


def test_spike_trains_vary_like_real_ones(spikes):
    ratios = []
    for train in spikes.spike_trains[0]:
        assert ((train >= 0) & (train < 8)).all() and (np.diff(train) > 0).all()
        steady = train[train > 1.5]
        if len(steady) > 60:
            intervals = np.diff(steady)
            ratios.append(intervals.std() / intervals.mean())
    assert len(ratios) > 20 and 0.14 < np.median(ratios) < 0.25


def test_spike_trigger_finds_the_action_potential(spikes):
    # Averaging around the spikes of a large unit near the grid must leave its
    # action potential; around shuffled times it must not.
    units, recording = spikes.motor_units, spikes.recordings[0]
    counts = np.array([len(train) for train in spikes.spike_trains[0]])
    near = (units["depth"] < 14) & (np.abs(units["angle"] - 150) < 35) & (counts > 50)
    unit = units.loc[near, "n_fibres"].idxmax()
    times = spikes.spike_trains[0][unit]
    times = times[times < 7.9]

    def average(when):
        start = (when * 1000).astype(int)
        return np.mean([recording[:, at : at + 40] for at in start], axis=0)

    shuffled = np.random.default_rng(0).uniform(0, 7.9, len(times))
    assert np.abs(average(times)).max() > 3 * np.abs(average(shuffled)).max()


def test_grid_geometry_and_differences():
    options = {"grid": (4, 3), "gestures": ["fist"], "n_repetitions": 1} | SMALL
    options |= {"inter_electrode_distance": 8.0, "sfreq": 500}
    single = make_hdsemg(**options)
    double = make_hdsemg(montage="differential", **options)
    assert single.grid == (4, 3) and double.grid == (3, 3)
    rows = single.recordings[0].reshape(4, 3, -1)
    np.testing.assert_allclose(
        double.recordings[0].reshape(3, 3, -1), np.diff(rows, axis=0), rtol=1e-6
    )
    assert "spike_trains" not in single
    positions = single.channel_positions.reshape(4, 3, 2)
    np.testing.assert_allclose(np.diff(positions[0, :, 0]), 8)
    np.testing.assert_allclose(np.diff(positions[:, 0, 1]), 8)
    np.testing.assert_allclose(positions.mean(axis=(0, 1)), 0, atol=1e-12)


def test_neighbours_of_a_grid_are_alike_and_the_far_side_is_not():
    data = make_hdsemg(
        gestures=["wrist_extension"],
        n_repetitions=1,
        grid=(1, 10),
        sfreq=1000,
        inter_electrode_distance=12.0,
        **SMALL | {"n_motor_units": 30},
        **CLEAN,
    )
    correlation = np.corrcoef(data.recordings[0])
    assert np.diag(correlation, 1).mean() > 0.6
    assert np.diag(correlation, 1).mean() > np.abs(np.diag(correlation, 7)).mean() + 0.2
