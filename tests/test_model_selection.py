"""Recordings stay on one side; scores come out tidy; leaks are named."""

import warnings

import numpy as np
import pandas as pd
import pytest
import sklearn
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.base import BaseEstimator, ClassifierMixin, clone
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.model_selection import (
    GridSearchCV,
    GroupKFold,
    KFold,
    LeaveOneGroupOut,
    ShuffleSplit,
    StratifiedGroupKFold,
    StratifiedKFold,
    TimeSeriesSplit,
    cross_val_score,
)
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sktinymyo.exceptions import LeakageWarning
from sktinymyo.model_selection import (
    GroupedByRecording,
    LeaveRepetitionsOut,
    check_no_overlap,
    cross_validate_windows,
    guard_splits,
)


def make_meta(
    n_subjects=3, n_repetitions=4, n_gestures=2, n_windows=3, *, restart=False
):
    """Meta of windows with 50 % overlap; `restart` numbers recordings per person."""
    rows = []
    for subject in range(n_subjects):
        number = 0
        for repetition in range(n_repetitions):
            for gesture in range(n_gestures):
                name = number if restart else f"{subject}-{number}"
                rows += [
                    (name, subject, 0, repetition, gesture, 0.1 * k)
                    for k in range(n_windows)
                ]
                number += 1
    columns = ["recording", "subject", "session", "repetition", "gesture", "onset"]
    return pd.DataFrame(rows, columns=columns)


def make_windows(meta, shift=3.0, seed=0):
    generator = np.random.default_rng(seed)
    y = meta["gesture"].to_numpy()
    X = generator.normal(size=(len(meta), 4)) + shift * y[:, None]
    return X, y


def assert_apart(train, test, meta):
    """Independent of the code under test: plain sets of identities."""
    identity = list(zip(meta["subject"], meta["recording"], strict=True))
    assert not {identity[i] for i in train} & {identity[i] for i in test}


metas = st.builds(
    make_meta,
    n_subjects=st.integers(1, 4),
    n_repetitions=st.integers(2, 6),
    n_gestures=st.integers(1, 3),
    n_windows=st.integers(1, 4),
    restart=st.booleans(),
)


@settings(max_examples=60, deadline=None)
@given(
    meta=metas,
    seed=st.integers(0, 1000),
    per_subject=st.booleans(),
    chronological=st.booleans(),
    data=st.data(),
)
def test_repetitions_properties(meta, seed, per_subject, chronological, data):
    """Apart, each window tested once, deterministic, blind to the order of rows."""
    meta = meta.sample(frac=1, random_state=seed).reset_index(drop=True)
    n_repetitions = meta["repetition"].nunique()
    largest = n_repetitions - chronological
    n_splits = data.draw(
        st.none() | st.integers(1 if chronological else 2, largest), label="n_splits"
    )
    splitter = LeaveRepetitionsOut(
        n_splits, chronological=chronological, per_subject=per_subject
    )
    splits = list(splitter.split(meta, groups=meta))
    assert len(splits) == splitter.get_n_splits(meta, groups=meta)
    n_persons = meta["subject"].nunique() if per_subject else 1
    assert len(splits) == n_persons * (n_splits or largest)
    tested = np.concatenate([test for _, test in splits])
    assert len(np.unique(tested)) == len(tested)
    for train, test in splits:
        assert train.size and test.size
        assert_apart(train, test, meta)
        both = meta.iloc[np.concatenate([train, test])]
        assert not per_subject or both["subject"].nunique() == 1
        if chronological:
            last = meta.iloc[train].groupby("subject")["repetition"].max()
            first = meta.iloc[test].groupby("subject")["repetition"].min()
            assert (last < first).all()
        elif not per_subject:
            assert len(both) == len(meta)
    if not chronological:
        assert len(tested) == len(meta)
    for (train, test), again in zip(
        splits, splitter.split(meta, groups=meta), strict=True
    ):
        assert np.array_equal(train, again[0]) and np.array_equal(test, again[1])


@settings(max_examples=40, deadline=None)
@given(
    meta=metas,
    seed=st.integers(0, 1000),
    inner=st.sampled_from(
        [
            KFold(2),
            KFold(2, shuffle=True, random_state=1),
            StratifiedKFold(2, shuffle=True, random_state=2),
            LeaveOneGroupOut(),
        ]
    ),
)
def test_grouped_by_recording_properties(meta, seed, inner):
    meta = meta.sample(frac=1, random_state=seed).reset_index(drop=True)
    y = meta["gesture"].to_numpy()
    groups = "repetition" if isinstance(inner, LeaveOneGroupOut) else None
    splitter = GroupedByRecording(inner, groups=groups)
    splits = list(splitter.split(meta, y, meta))
    assert len(splits) == splitter.get_n_splits(meta, y, meta)
    tested = np.concatenate([test for _, test in splits])
    assert np.array_equal(np.sort(tested), np.arange(len(meta)))
    for train, test in splits:
        assert_apart(train, test, meta)
        assert len(train) + len(test) == len(meta)


def test_grouped_by_recording_deals_recordings_as_the_inner_splitter():
    meta = make_meta(n_subjects=4, n_windows=3, restart=True)
    y = meta["gesture"].to_numpy()
    first = meta.drop_duplicates(["subject", "recording"])
    inner = StratifiedGroupKFold(2, shuffle=True, random_state=0)
    expected = inner.split(first, first["gesture"], first["subject"])
    got = GroupedByRecording(inner, groups="subject").split(meta, y, meta)
    for (train, test), (mine, theirs) in zip(expected, got, strict=True):
        assert np.array_equal(mine[::3] // 3, train)
        assert np.array_equal(theirs[::3] // 3, test)
        assert not set(meta["subject"][mine]) & set(meta["subject"][theirs])
    ordered = GroupedByRecording(TimeSeriesSplit(3)).split(meta, y, meta)
    assert all(train.max() < test.min() for train, test in ordered)


def test_repetitions_of_a_published_protocol():
    meta = make_meta(n_subjects=2, n_repetitions=6)
    ((train, test),) = LeaveRepetitionsOut(test_repetitions=[1, 4]).split(
        meta, groups=meta
    )
    assert set(meta["repetition"][test]) == {1, 4}
    assert set(meta["repetition"][train]) == {0, 2, 3, 5}
    ((train, test),) = LeaveRepetitionsOut(
        test_repetitions=[3, 4], chronological=True
    ).split(meta, groups=meta)
    assert set(meta["repetition"][train]) == {0, 1, 2}
    meta["session"] = meta["repetition"] // 3
    meta["repetition"] %= 3
    splitter = LeaveRepetitionsOut(
        test_repetitions=[(1, 2)], by=["session", "repetition"]
    )
    ((train, test),) = splitter.split(meta, groups=meta)
    assert len(test) == len(meta) / 6 and set(meta["session"][test]) == {1}


def test_plain_arrays_as_groups():
    repetition = np.repeat([3, 1, 2], 2)
    splits = list(LeaveRepetitionsOut().split(repetition, groups=repetition))
    assert [test.tolist() for _, test in splits] == [[2, 3], [4, 5], [0, 1]]
    assert LeaveRepetitionsOut(2).get_n_splits() == 2


@pytest.mark.parametrize(
    ("splitter", "change", "error", "message"),
    [
        (
            LeaveRepetitionsOut(),
            lambda m: None,
            ValueError,
            "needs groups.*groups=meta",
        ),
        (LeaveRepetitionsOut(), lambda m: m[:-1], ValueError, "23 rows.*24 windows"),
        (LeaveRepetitionsOut(), lambda m: m[["recording"]], ValueError, "no column"),
        (LeaveRepetitionsOut(), lambda m: m.to_numpy(), ValueError, "shape"),
        (
            LeaveRepetitionsOut(),
            lambda m: m.assign(repetition=np.nan),
            ValueError,
            "missing values",
        ),
        (
            LeaveRepetitionsOut(),
            lambda m: m.assign(repetition=1),
            ValueError,
            r"(?s)1 different values of 'repetition'.*signal\.split_recordings",
        ),
        (LeaveRepetitionsOut(1), lambda m: m, ValueError, "n_splits.*>= 2.*got 1"),
        (LeaveRepetitionsOut(2.0), lambda m: m, TypeError, "n_splits"),
        (LeaveRepetitionsOut(9), lambda m: m, ValueError, "subject .* has 4"),
        (
            LeaveRepetitionsOut(2, test_repetitions=[1]),
            lambda m: m,
            ValueError,
            "exclude each other",
        ),
        (LeaveRepetitionsOut(test_repetitions=3), lambda m: m, TypeError, "list"),
        (LeaveRepetitionsOut(test_repetitions=[9]), lambda m: m, ValueError, "occurs"),
        (
            LeaveRepetitionsOut(per_subject=True),
            lambda m: m.assign(subject=None),
            ValueError,
            "per_subject=True needs",
        ),
        (
            LeaveRepetitionsOut(),
            lambda m: m.assign(recording=0),
            ValueError,
            "windows in both training and test.*recording 0",
        ),
        (GroupedByRecording(5), lambda m: m, TypeError, "not a splitter"),
        (
            GroupedByRecording(GroupKFold(2), groups="onset"),
            lambda m: m,
            ValueError,
            "changes within a recording",
        ),
    ],
)
def test_splitters_refuse(splitter, change, error, message):
    meta = make_meta(n_subjects=1)
    with pytest.raises(error, match=message):
        list(splitter.split(meta, meta["gesture"], change(meta)))


def test_splitters_are_those_of_scikit_learn():
    """repr, clone, use in searches, and groups requested without asking."""
    inner = KFold(2)
    for splitter in (LeaveRepetitionsOut(2, by="session"), GroupedByRecording(inner)):
        assert repr(clone(splitter, safe=False)) == repr(splitter)
        assert splitter.get_metadata_routing().split.requests["groups"] is True
    assert repr(LeaveRepetitionsOut(2)).startswith(
        "LeaveRepetitionsOut(by='repetition'"
    )
    meta = make_meta()
    X, y = make_windows(meta)
    model = LinearDiscriminantAnalysis()
    cv = LeaveRepetitionsOut(per_subject=True)
    scores = cross_val_score(model, X, y, cv=cv, groups=meta)
    assert scores.shape == (12,) and scores.min() > 0.8
    search = GridSearchCV(
        LogisticRegression(), {"C": [0.1, 1]}, cv=clone(cv, safe=False)
    )
    with sklearn.config_context(enable_metadata_routing=True):
        search.fit(X, y, groups=meta)
        again = cross_val_score(model, X, y, cv=cv, params={"groups": meta})
    assert search.n_splits_ == 12
    assert np.array_equal(scores, again)


def test_check_no_overlap_lists_recordings_and_counts_shared_samples():
    meta = make_meta(n_subjects=1, n_repetitions=6, n_windows=4)
    with pytest.raises(ValueError, match=r"12 recording.*0-0.*and 2 more.*By|Split"):
        check_no_overlap(meta.index % 2 == 0, meta.index % 2 == 1, meta)
    one = meta[:4]
    check_no_overlap([0, 1], [2, 3], one, window=0.1, level="samples")
    with pytest.raises(ValueError, match="1 of 2 test windows share samples"):
        check_no_overlap([0, 1], [2, 3], one, window=0.2, level="samples")
    with pytest.raises(ValueError, match="0 of 2 test windows share samples"):
        check_no_overlap([0, 1], [2, 3], one, window=0.1)
    # The same number in another person's folder is another recording.
    check_no_overlap([0], [8], make_meta(2, 2, 2, 2, restart=True))
    for arguments, message in [
        (([0], [9], one), "9"),
        (([0.5], [1], one), "one-dimensional array of window numbers"),
        (([True], [1], one), "mask"),
        (([0], [1], one.drop(columns="recording")), "recording"),
    ]:
        with pytest.raises(ValueError, match=message):
            check_no_overlap(*arguments)
    with pytest.raises(ValueError, match=r"signal\.split_recordings"):
        check_no_overlap([0], [0], meta)
    with pytest.raises(ValueError, match="needs window="):
        check_no_overlap([0], [1], one, level="samples")
    with pytest.raises(TypeError, match="DataFrame"):
        check_no_overlap([0], [1], one.to_numpy())


@settings(max_examples=60, deadline=None)
@given(
    starts=st.lists(st.integers(0, 40), min_size=2, max_size=12, unique=True),
    length=st.integers(1, 12),
    sfreq=st.sampled_from([200.0, 460.0, 1000.0, 2048.0]),
    data=st.data(),
)
def test_shared_samples_agree_with_sets_of_samples(starts, length, sfreq, data):
    side = data.draw(
        st.lists(st.booleans(), min_size=len(starts), max_size=len(starts))
    )
    meta = pd.DataFrame({"recording": 0, "onset": np.array(starts) / sfreq})
    side = np.array(side)

    def samples(rows):
        return {s + k for s in np.array(starts)[rows] for k in range(length)}

    shared = bool(samples(side) & samples(~side))
    try:
        check_no_overlap(side, ~side, meta, window=length / sfreq, level="samples")
        refused = False
    except ValueError:
        refused = True
    assert refused == shared


def test_guard_splits():
    meta = make_meta()
    y = meta["gesture"].to_numpy()
    splits = guard_splits(GroupKFold(3), meta, groups="subject", y=y)
    expected = GroupKFold(3).split(meta, y, meta["subject"])
    for (train, test), (mine, theirs) in zip(splits, expected, strict=True):
        assert np.array_equal(train, mine) and np.array_equal(test, theirs)
    assert len(guard_splits(LeaveRepetitionsOut(), meta)) == 4
    assert len(guard_splits(GroupKFold(3), meta, groups=["subject", "gesture"])) == 3
    assert len(guard_splits(GroupKFold(4), meta, groups=meta["repetition"])) == 4
    X, _ = make_windows(meta)
    assert cross_val_score(LogisticRegression(), X, y, cv=splits).shape == (3,)
    for cv in (5, KFold(2, shuffle=True), ShuffleSplit(1), [([0], [1])]):
        with pytest.raises(ValueError, match="windows in both training and test"):
            guard_splits(cv, meta, y=y)
    with pytest.raises(ValueError, match="no splits"):
        guard_splits([], meta)
    with pytest.raises(ValueError, match=r"no column\(s\) \['person'\]"):
        guard_splits(GroupKFold(2), meta, groups="person")


def test_cross_validate_agrees_with_scikit_learn():
    meta = make_meta(n_subjects=4)
    X, y = make_windows(meta, shift=0.7)
    model = make_pipeline(StandardScaler(), LogisticRegression())
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        scores = cross_validate_windows(
            model, X, y, meta, cv=GroupKFold(2), score_per="fold"
        )
        people = cross_validate_windows(model, X, y, meta, cv=GroupKFold(2))
    for name in ("accuracy", "balanced_accuracy", "f1_macro"):
        expected = cross_val_score(
            model, X, y, cv=GroupKFold(2), groups=meta["subject"], scoring=name
        )
        assert np.allclose(scores[name], expected)
    assert set(people["subject"]) == {0, 1, 2, 3}
    mean = people.groupby("fold")["accuracy"].mean()
    assert np.allclose(mean, scores["accuracy"])
    assert list(people.columns[:6]) == [
        "fold", "subject", "n_train", "n_test", "fit_time", "score_time",
    ]  # fmt: skip
    parallel = cross_validate_windows(model, X, y, meta, cv=GroupKFold(2), n_jobs=2)
    assert np.allclose(parallel["accuracy"], people["accuracy"])


def test_a_model_per_person():
    meta = make_meta(n_subjects=3)
    X, y = make_windows(meta, shift=0.7)
    model = LinearDiscriminantAnalysis()
    scores = cross_validate_windows(model, X, y, meta, within="subject")
    pooled = cross_val_score(
        model, X, y, cv=LeaveRepetitionsOut(per_subject=True), groups=meta
    )
    assert np.allclose(scores["accuracy"], pooled)
    assert scores.groupby("subject")["fold"].agg(list).tolist() == [[0, 1, 2, 3]] * 3
    assert (scores["n_train"] + scores["n_test"] == 24).all()
    half = cross_validate_windows(
        model, X, y, meta, within="subject", cv=GroupKFold(2), scoring="accuracy"
    )
    assert len(half) == 6 and list(half.columns)[-1] == "accuracy"


class Recorder(ClassifierMixin, BaseEstimator):
    """Checks what fit receives."""

    def fit(self, X, y, sample_weight=None, flag=None):
        assert len(sample_weight) == len(y) and flag == "yes"
        assert set(np.unique(sample_weight)) == set(np.unique(X))
        self.classes_ = np.unique(y)
        return self

    def predict(self, X):
        return np.full(len(X), self.classes_[0])


def test_fit_parameters_are_cut_and_the_estimator_is_left_alone():
    meta = make_meta()
    weight = np.arange(len(meta), dtype=float)
    model = Recorder()
    scores = cross_validate_windows(
        model,
        weight[:, None],
        meta["gesture"],
        meta,
        fit_params={"sample_weight": weight, "flag": "yes"},
        scoring=lambda estimator, X, y: 7.0,
    )
    assert (scores["score"] == 7).all()
    assert not hasattr(model, "classes_")


def test_regression_and_three_dimensions():
    meta = make_meta()
    X, y = make_windows(meta)
    scores = cross_validate_windows(Ridge(), X, X @ np.arange(8).reshape(4, 2), meta)
    assert (scores["r2"] > 0.9).all()
    assert (scores["neg_mean_absolute_error"] < 0).all()


@pytest.mark.filterwarnings("ignore:A single label was found")
@pytest.mark.parametrize(
    "cv", [5, KFold(5), ShuffleSplit(2, random_state=0), [([0, 3], [1, 4])]]
)
def test_leaks_are_warned_about(cv):
    meta = make_meta()
    X, y = make_windows(meta)
    with pytest.warns(LeakageWarning, match="both sides.*GroupedByRecording") as caught:
        cross_validate_windows(LogisticRegression(), X, y, meta, cv=cv)
    (leak,) = [w for w in caught if issubclass(w.category, LeakageWarning)]
    assert leak.filename == __file__


def test_no_warning_where_nothing_leaks():
    meta = make_meta(n_windows=1)
    X, y = make_windows(meta)
    with warnings.catch_warnings():
        warnings.simplefilter("error", LeakageWarning)
        # One window a recording: plain folds are fine.
        cross_validate_windows(LogisticRegression(), X, y, meta, cv=KFold(3))
        cross_validate_windows(
            LogisticRegression(), X, y, meta, cv=GroupedByRecording(StratifiedKFold(2))
        )
        cross_validate_windows(
            LogisticRegression(), X, y, meta.drop(columns="subject"), groups="recording"
        )


def test_cross_validation_refuses():
    meta = make_meta()
    X, y = make_windows(meta)
    model = LogisticRegression()
    for arguments, options, message in [
        ((X[:-1], y, meta), {}, "X has 71 windows, but meta has 72 rows"),
        ((X, y[:-1], meta), {}, "y has 71"),
        ((X, y, meta), {"score_per": "window"}, "score_per"),
        ((X, y, meta), {"within": "person"}, "no column"),
        ((X, y, meta.assign(subject=None)), {"within": "subject"}, "missing values"),
        ((X, y, meta.assign(recording=0, subject=0)), {}, "single group"),
        ((X, y, meta), {"groups": [1, 2]}, "one value for each"),
    ]:
        with pytest.raises(ValueError, match=message):
            cross_validate_windows(model, *arguments, **options)
