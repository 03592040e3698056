"""Cross-validation on windows: guarded splits and a tidy frame of scores."""

import time
import warnings

import numpy as np
from sklearn.base import clone, is_classifier
from sklearn.metrics import check_scoring
from sklearn.model_selection import GroupKFold, check_cv
from sklearn.utils import _safe_indexing
from sklearn.utils.parallel import Parallel, delayed
from sklearn.utils.validation import _num_samples

from .._validation import check_choice
from ..exceptions import LeakageWarning
from ._overlap import (
    _check_meta,
    _codes,
    _group_values,
    _indices,
    _named_subjects,
    _names,
    _recording_codes,
    _shared,
    check_no_overlap,
)
from ._splitters import LeaveRepetitionsOut, _MetaSplitter

_CLASSIFICATION_SCORES = ("accuracy", "balanced_accuracy", "f1_macro")
_REGRESSION_SCORES = ("r2", "neg_mean_absolute_error")


def guard_splits(
    cv, meta, *, y=None, groups="recording", window=None, level="recording"
):
    """Make the splits of `cv` and refuse them if a recording is on both sides.

    The result can be given as ``cv=`` to every function of scikit-learn.

    Parameters
    ----------
    cv : int, splitter or iterable of (train, test)
        As in :func:`sklearn.model_selection.cross_val_score`.
    meta : pandas.DataFrame
        One row per window, see :func:`check_no_overlap`.
    y : array-like of shape (n_windows,) or None, default=None
        Targets, for splitters that stratify.
    groups : str, list of str or array-like, default="recording"
        Column(s) of `meta`, or values, that a splitter with groups keeps
        together. The splitters of this module take what they need from `meta`.
    window : float or None, default=None
        Length of the windows in seconds, see :func:`check_no_overlap`.
    level : {"recording", "samples"}, default="recording"
        See :func:`check_no_overlap`.

    Returns
    -------
    splits : list of (ndarray, ndarray)
        Window numbers of training and test side of every fold.

    Raises
    ------
    ValueError
        If any fold has windows of one recording on both sides.

    Examples
    --------
    >>> import pandas as pd
    >>> from sklearn.model_selection import GroupKFold
    >>> from sktinymyo.model_selection import guard_splits
    >>> meta = pd.DataFrame({"recording": [0, 0, 1, 1], "subject": [1, 1, 2, 2]})
    >>> splits = guard_splits(GroupKFold(2), meta, groups="subject")
    >>> [test.tolist() for train, test in splits]
    [[2, 3], [0, 1]]
    """
    _check_meta(meta, columns=["recording"])
    if y is not None:
        _check_meta(meta, _num_samples(y))
    splits = _make_splits(cv, meta, y, groups, classifier=True)
    for train, test in splits:
        check_no_overlap(train, test, meta, window=window, level=level)
    return splits


def _make_splits(cv, meta, y, groups, *, classifier):
    """List the splits of an int, a splitter or an iterable."""
    splitter = check_cv(cv, y, classifier=classifier)
    placeholder = np.zeros((len(meta), 1), dtype=np.int8)
    if isinstance(splitter, _MetaSplitter):
        splits = splitter.split(placeholder, y, meta)
    elif _wants_groups(splitter):
        splits = splitter.split(placeholder, y, _group_values(groups, meta))
    else:
        splits = splitter.split(placeholder, y)
    splits = [
        (_indices("train", train, len(meta)), _indices("test", test, len(meta)))
        for train, test in splits
    ]
    if not splits:
        raise ValueError(f"cv={cv!r} made no splits; pass at least one.")
    return splits


def _wants_groups(splitter):
    """Return True if the splitter asks for groups, as scikit-learn's do."""
    request = getattr(splitter, "get_metadata_routing", None)
    if request is None:
        return True
    return request().split.requests.get("groups") is True


def _fit_and_score(estimator, X, y, train, test, parts, scorer, fit_params):
    """Fit one clone and score each part of the test side."""
    parameters = {
        name: value
        if value is None or isinstance(value, str) or np.ndim(value) == 0
        else _safe_indexing(value, train)
        for name, value in fit_params.items()
    }
    model = clone(estimator)
    started = time.perf_counter()
    model.fit(_safe_indexing(X, train), _safe_indexing(y, train), **parameters)
    fit_time = time.perf_counter() - started
    rows = []
    for name, windows in parts:
        started = time.perf_counter()
        scores = scorer(model, _safe_indexing(X, windows), _safe_indexing(y, windows))
        rows.append(
            {
                "subject": name,
                "n_train": len(train),
                "n_test": len(windows),
                "fit_time": fit_time,
                "score_time": time.perf_counter() - started,
                **scores,
            }
        )
    return rows


def cross_validate_windows(
    estimator,
    X,
    y,
    meta,
    *,
    cv=None,
    groups=None,
    within=None,
    scoring=None,
    score_per="subject",
    fit_params=None,
    n_jobs=None,
):
    """Cross-validate on windows, with recordings kept together.

    Parameters
    ----------
    estimator : estimator
        Cloned for every fold, so that scalers and filters inside a Pipeline are
        fitted on the training side only.
    X : array-like of shape (n_windows, n_channels, n_times) or (n_windows, k)
        Windows.
    y : array-like of shape (n_windows,) or (n_windows, ...)
        Targets.
    meta : pandas.DataFrame
        One row per window, as returned by
        :func:`sktinymyo.sliding_windows`.
    cv : int, splitter, iterable of (train, test) or None, default=None
        None means unseen persons: ``GroupKFold`` with up to five folds over
        `groups`; with `within`, one repetition left out at a time
        (``LeaveRepetitionsOut()``). The splitters of this module read `meta`.
    groups : str, list of str, array-like or None, default=None
        What splitters with groups keep together: column(s) of `meta` or values.
        None means ``"subject"`` where there are two or more, else
        ``"recording"``; with `within` always ``"recording"``.
    within : str or None, default=None
        Column of `meta`, usually ``"subject"``: a model for each value, trained
        and tested on its windows alone.
    scoring : str, list, tuple, dict, callable or None, default=None
        As in :func:`sklearn.model_selection.cross_validate`. None means
        accuracy, balanced accuracy and macro-F1 for classifiers (EMG sets are
        rarely balanced, accuracy alone flatters the rest class) and R2 and the
        negated mean absolute error for regressors.
    score_per : {"subject", "fold"}, default="subject"
        A row for every person on the test side (people differ far more than
        folds do), or one for the whole test side.
    fit_params : dict or None, default=None
        Passed to ``fit``; arrays are cut to the training windows.
    n_jobs : int or None, default=None
        Folds computed at the same time.

    Returns
    -------
    scores : pandas.DataFrame
        Tidy: columns fold, subject, n_train, n_test, fit_time and score_time (s),
        and one per score.

    Raises
    ------
    ValueError
        If the lengths of X, y and meta differ or columns are missing.

    Warns
    -----
    LeakageWarning
        If the splits (for example of ``KFold``, ``ShuffleSplit`` or an integer
        `cv`) put windows of one recording on both sides.

    See Also
    --------
    guard_splits : Refuse such splits instead of warning.

    Examples
    --------
    >>> import numpy as np
    >>> import pandas as pd
    >>> from sklearn.linear_model import LogisticRegression
    >>> from sktinymyo.model_selection import cross_validate_windows
    >>> rng = np.random.default_rng(0)
    >>> y = np.tile([0, 1], 60)
    >>> X = rng.normal(size=(120, 4)) + 2 * y[:, None]
    >>> meta = pd.DataFrame({"recording": np.arange(120) // 5 * 2 + y,
    ...                      "subject": np.arange(120) // 40})
    >>> scores = cross_validate_windows(LogisticRegression(), X, y, meta)
    >>> scores[["fold", "subject", "n_test"]]
       fold  subject  n_test
    0     0        2      40
    1     1        1      40
    2     2        0      40
    >>> bool((scores["accuracy"] > 0.9).all())
    True
    """
    import pandas as pd

    check_choice("score_per", score_per, ("subject", "fold"))
    _check_meta(meta, columns=["recording"])
    for name, values in (("X", X), ("y", y)):
        if _num_samples(values) != len(meta):
            raise ValueError(
                f"{name} has {_num_samples(values)} windows, but meta has "
                f"{len(meta)} rows; pass one row per window."
            )
    if scoring is None:
        scoring = (
            _CLASSIFICATION_SCORES if is_classifier(estimator) else _REGRESSION_SCORES
        )
    if isinstance(scoring, str):
        scoring = (scoring,)
    scorer = check_scoring(estimator, scoring=scoring)
    score = scorer if not callable(scoring) else lambda *a: {"score": scorer(*a)}

    jobs = []
    leaking = np.empty(0, dtype=np.intp)
    codes = _recording_codes(meta)
    classifier = is_classifier(estimator)
    for rows in _subsets(meta, within):
        mine = meta.iloc[rows]
        splits = _make_splits(
            _default_cv(cv, mine, groups, within),
            mine,
            _safe_indexing(y, rows),
            _default_groups(groups, mine, rows, within),
            classifier=classifier,
        )
        for fold, (train, test) in enumerate(splits):
            train, test = rows[train], rows[test]
            leaking = np.union1d(leaking, _shared(codes, train, test))
            jobs.append((fold, train, test, _parts(meta, test, score_per)))
    if leaking.size:
        warnings.warn(
            f"cv={cv!r} puts windows of {np.unique(codes[leaking]).size} recording(s) "
            "on both sides of a split, so the scores will be too good "
            f"({_names(meta, leaking)}). Use cv=GroupedByRecording(...) around it, "
            "LeaveRepetitionsOut(...), or GroupKFold with groups='recording' or "
            "'subject'.",
            LeakageWarning,
            stacklevel=2,
        )
    results = Parallel(n_jobs=n_jobs)(
        delayed(_fit_and_score)(
            estimator, X, y, train, test, parts, score, dict(fit_params or {})
        )
        for _, train, test, parts in jobs
    )
    return pd.DataFrame(
        [
            {"fold": fold, **row}
            for (fold, *_), rows in zip(jobs, results, strict=True)
            for row in rows
        ]
    )


def _subsets(meta, within):
    """Rows that are cross-validated together."""
    if within is None:
        return [np.arange(len(meta))]
    _check_meta(meta, columns=[within])
    if meta[within].isna().any():
        raise ValueError(
            f"within={within!r}: meta has missing values in this column; every window "
            "needs one."
        )
    codes = _codes(meta, within)
    return [np.flatnonzero(codes == code) for code in np.unique(codes)]


def _default_groups(groups, meta, rows, within):
    """Return the groups of these rows, with the default of the docstring."""
    if groups is None:
        several = _named_subjects(meta) and meta["subject"].nunique() > 1
        return "subject" if several and within is None else "recording"
    if not isinstance(groups, str) and len(groups) > rows.max():
        return np.asarray(groups)[rows]
    return groups


def _default_cv(cv, meta, groups, within):
    """Return the splitter to use where the caller gave none."""
    if cv is not None:
        return cv if hasattr(cv, "split") or isinstance(cv, int) else list(cv)
    if within is not None:
        return LeaveRepetitionsOut()
    values = _group_values(
        _default_groups(groups, meta, np.arange(len(meta)), within), meta
    )
    n_groups = np.unique(values).size
    if n_groups < 2:
        raise ValueError(
            f"groups={groups!r} holds a single group, which cannot be on both sides; "
            "pass groups='recording', or cv=."
        )
    return GroupKFold(min(5, n_groups))


def _parts(meta, test, score_per):
    """Name and windows of every row of the result that a fold makes."""
    subjects = meta["subject"].iloc[test] if _named_subjects(meta) else None
    if subjects is None:
        return [(None, test)]
    if score_per == "fold":
        return [(subjects.iloc[0] if subjects.nunique() == 1 else None, test)]
    return [
        (name, test[(subjects == name).to_numpy()])
        for name in subjects.drop_duplicates()
    ]
