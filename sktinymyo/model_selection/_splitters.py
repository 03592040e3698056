"""Splitters that read the meta frame and keep recordings together."""

import numpy as np
from sklearn.model_selection import BaseCrossValidator
from sklearn.utils.multiclass import type_of_target
from sklearn.utils.validation import _num_samples

from .._validation import check_number
from ._overlap import (
    _check_meta,
    _codes,
    _columns,
    _group_values,
    _named_subjects,
    _names,
    _recording_codes,
    check_no_overlap,
)


class _MetaSplitter(BaseCrossValidator):
    """Base of the splitters that read the meta frame given as `groups`."""

    # scikit-learn's documented way to request metadata by default.
    __metadata_request__split = {"groups": True}

    def split(self, X, y=None, groups=None):
        """Generate the window numbers of training and test side of each fold.

        Parameters
        ----------
        X : array-like of shape (n_windows, ...)
            Windows; only their number is used.
        y : array-like of shape (n_windows,) or None, default=None
            Targets.
        groups : pandas.DataFrame or array-like of shape (n_windows,)
            The meta frame of the windows, or one column of it, see the class.

        Yields
        ------
        train : ndarray of int
            Windows to train on.
        test : ndarray of int
            Windows to test on; none of their recordings is in `train`.

        Raises
        ------
        ValueError
            If groups are missing or do not fit, or if windows of one recording
            would fall on both sides.
        """
        n_windows = _num_samples(X)
        meta = self._meta_of(groups)
        _check_meta(meta, n_windows)
        for train, test in self._folds(meta, y):
            if "recording" in meta.columns:
                check_no_overlap(train, test, meta)
            yield train, test

    def _meta_of(self, groups):
        """Return `groups` as a frame; a plain array becomes its one column."""
        import pandas as pd

        if groups is None:
            raise ValueError(
                f"{type(self).__name__} needs groups: pass the meta frame of "
                f"sliding_windows (groups=meta), or the {self._column} of each window."
            )
        if hasattr(groups, "columns"):
            return groups
        values = np.asarray(groups)
        if values.ndim != 1:
            raise ValueError(
                f"groups has shape {values.shape}; pass the meta frame or one value "
                "per window."
            )
        return pd.DataFrame({self._column: values})


def _advice(order):
    """Say how a long recording gets repetitions, where there is only one."""
    if np.unique(order).size > 1:
        return ""
    return (
        " Continuous recordings with a label per sample are cut into repetitions by "
        "sktinymyo.signal.split_recordings(...), before sliding_windows."
    )


class LeaveRepetitionsOut(_MetaSplitter):
    """Train on some repetitions of every person and test on the others.

    The honest split within persons: all windows of one repetition stay
    together. In scikit-learn's functions give the meta frame of
    :func:`sktinymyo.sliding_windows` as ``groups``.

    Parameters
    ----------
    n_splits : int or None, default=None
        Number of folds. The repetitions of each person, in order, are cut into
        that many blocks of neighbours, and each block is the test side once.
        None leaves out one repetition at a time.
    test_repetitions : list or None, default=None
        Values of the column `by` to test on; makes a single fold (for published
        protocols with fixed repetitions). A person may lack some of them.
        Excludes `n_splits`.
    chronological : bool, default=False
        Train only on what was recorded before the test side, as in real use: a
        decoder is calibrated first and used later. The first block is then only
        trained on. ``n_splits=1`` trains on the first half and tests on the
        second.
    per_subject : bool, default=False
        False puts all persons into each fold (one model for everybody). True
        makes folds of one person each (one model per person), so that
        ``cross_val_score`` and ``GridSearchCV`` evaluate personal models.
    by : str or list of str, default="repetition"
        Column(s) of meta that number the repetitions; ``"session"`` leaves out
        sessions, ``["session", "repetition"]`` orders by both.

    See Also
    --------
    GroupedByRecording : Any other splitter of scikit-learn, by recording.
    cross_validate_windows : Scores as a frame; ``within="subject"`` for personal
        models.

    Notes
    -----
    `groups` may also be a plain array with the repetition of each window; there
    is then neither person nor recording to look at.

    References
    ----------
    .. [1] Atzori, M. et al. "Electromyography data for non-invasive
       naturally-controlled robotic hand prostheses." Scientific Data 1, 140053
       (2014), section "Technical Validation": training and test data are
       different repetitions.

    Examples
    --------
    >>> import pandas as pd
    >>> from sktinymyo.model_selection import LeaveRepetitionsOut
    >>> meta = pd.DataFrame({
    ...     "recording": [0, 0, 1, 1, 2, 2], "repetition": [1, 1, 2, 2, 3, 3]})
    >>> for train, test in LeaveRepetitionsOut().split(meta, groups=meta):
    ...     print(train, test)
    [2 3 4 5] [0 1]
    [0 1 4 5] [2 3]
    [0 1 2 3] [4 5]
    >>> splitter = LeaveRepetitionsOut(n_splits=1, chronological=True)
    >>> for train, test in splitter.split(meta, groups=meta):
    ...     print(train, test)
    [0 1 2 3] [4 5]
    """

    _column = "repetition"

    def __init__(
        self,
        n_splits=None,
        *,
        test_repetitions=None,
        chronological=False,
        per_subject=False,
        by="repetition",
    ):
        self.n_splits = n_splits
        self.test_repetitions = test_repetitions
        self.chronological = chronological
        self.per_subject = per_subject
        self.by = by

    def get_n_splits(self, X=None, y=None, groups=None):
        """Return the number of folds.

        Parameters
        ----------
        X, y : object
            Ignored.
        groups : pandas.DataFrame or array-like, default=None
            As in `split`; needed with ``n_splits=None`` and with
            ``per_subject=True``.

        Returns
        -------
        n_splits : int
        """
        self._check_parameters()
        if not self.per_subject:
            if self.test_repetitions is not None:
                return 1
            if self.n_splits is not None:
                return self.n_splits
        return len(self._folds(self._meta_of(groups)))

    def _check_parameters(self):
        smallest = 1 if self.chronological else 2
        check_number(
            "n_splits",
            self.n_splits,
            minimum=smallest,
            integer=True,
            none_allowed=True,
        )
        if self.test_repetitions is not None and np.ndim(self.test_repetitions) == 0:
            raise TypeError(
                f"test_repetitions={self.test_repetitions!r} must be a list of values "
                f"of {self.by!r}, or None."
            )
        if self.n_splits is not None and self.test_repetitions is not None:
            raise ValueError(
                f"n_splits={self.n_splits!r} and test_repetitions="
                f"{self.test_repetitions!r} exclude each other; pass one of them."
            )

    def _folds(self, meta, y=None):
        self._check_parameters()
        by = _columns(self.by)
        _check_meta(meta, columns=by)
        if meta[by].isna().any().any():
            raise ValueError(
                f"meta has missing values in {by}; every window needs its repetition. "
                "Pass it to sliding_windows with meta=."
            )
        if self.per_subject and not _named_subjects(meta):
            raise ValueError(
                "per_subject=True needs the column 'subject' without missing values "
                "in groups; pass the meta frame of sliding_windows."
            )
        persons = (
            _codes(meta, "subject")
            if _named_subjects(meta)
            else np.zeros(len(meta), dtype=int)
        )
        if not self.per_subject:
            return self._folds_of(meta, persons, np.arange(len(meta)), "")
        folds = []
        for person in np.unique(persons):
            rows = np.flatnonzero(persons == person)
            name = f" of subject {meta['subject'].iloc[rows[0]]!r}"
            folds += self._folds_of(meta.iloc[rows], persons[rows], rows, name)
        return folds

    def _folds_of(self, meta, persons, rows, name):
        """Folds of these rows; `name` says whose they are, for messages."""
        order = _codes(meta, self.by)
        if self.test_repetitions is not None:
            block = self._asked_for(meta, order, name)
            tested = [1]
        else:
            block, n_blocks = self._blocks(meta, order, persons)
            tested = range(1 if self.chronological else 0, n_blocks)
        folds = []
        for number in tested:
            train = block < number if self.chronological else block != number
            train, test = rows[train & (block >= 0)], rows[block == number]
            if not (train.size and test.size):
                side = "test" if train.size else "training"
                raise ValueError(
                    f"A fold{name} has no {side} windows: there are "
                    f"{np.unique(order).size} different values of {self.by!r} in "
                    f"groups. Check {self!r}.{_advice(order)}"
                )
            folds.append((train, test))
        if not folds:
            raise ValueError(
                f"The windows{name} hold a single value of {self.by!r}; leaving "
                f"repetitions out needs two or more.{_advice(order)}"
            )
        return folds

    def _asked_for(self, meta, order, name):
        """Block 1 for the repetitions to test, 0 for training, -1 for neither."""
        by = _columns(self.by)
        values = list(meta[by].itertuples(index=False, name=None))
        if len(by) == 1:
            wanted = {(value,) for value in self.test_repetitions}
        else:
            wanted = {tuple(value) for value in self.test_repetitions}
        known = set(values)
        if not wanted & known:
            raise ValueError(
                f"test_repetitions={self.test_repetitions!r}: none of them occurs in "
                f"{self.by!r}{name}, which holds {sorted(known, key=str)[:20]}."
            )
        tested = np.fromiter((value in wanted for value in values), dtype=bool)
        block = tested.astype(int)
        if self.chronological:
            block[~tested & (order > order[tested].min())] = -1
        return block

    def _blocks(self, meta, order, persons):
        """Block of every window: neighbouring repetitions, for each person."""
        if self.n_splits is None:
            return order, order.max() + 1
        n_blocks = self.n_splits + bool(self.chronological)
        block = np.empty(len(order), dtype=int)
        for person in np.unique(persons):
            mine = persons == person
            levels, inverse = np.unique(order[mine], return_inverse=True)
            if levels.size < n_blocks:
                who = (
                    f"subject {meta['subject'].to_numpy()[mine][0]!r} has"
                    if _named_subjects(meta)
                    else "there are"
                )
                raise ValueError(
                    f"n_splits={self.n_splits} needs {n_blocks} repetitions, but {who} "
                    f"{levels.size} in {self.by!r}; pass a smaller n_splits."
                )
            parts = np.array_split(np.arange(levels.size), n_blocks)
            numbers = np.repeat(np.arange(n_blocks), [len(part) for part in parts])
            block[mine] = numbers[inverse]
        return block, n_blocks


class GroupedByRecording(_MetaSplitter):
    """Let any splitter of scikit-learn deal whole recordings, not windows.

    The inner splitter sees one row per recording (with the most frequent label
    of its windows); its decision then holds for all windows of the recording.

    Parameters
    ----------
    splitter : splitter
        For example ``StratifiedKFold(5, shuffle=True, random_state=0)``,
        ``ShuffleSplit(10)``, ``TimeSeriesSplit(3)`` or
        ``StratifiedGroupKFold(5)``. Recordings come in the order of their first
        window.
    groups : str, list of str or None, default=None
        Column(s) of meta that an inner splitter with groups keeps together, for
        example ``"subject"``.

    See Also
    --------
    LeaveRepetitionsOut : Train on some repetitions, test on the others.

    Notes
    -----
    In scikit-learn's functions give the meta frame as ``groups``, or a plain
    array with the recording of each window.

    Examples
    --------
    >>> import pandas as pd
    >>> from sklearn.model_selection import KFold
    >>> from sktinymyo.model_selection import GroupedByRecording
    >>> splitter = GroupedByRecording(KFold(2))
    >>> recording = [5, 5, 7, 7, 8, 9]
    >>> for train, test in splitter.split(recording, groups=recording):
    ...     print(train, test)
    [4 5] [0 1 2 3]
    [0 1 2 3] [4 5]
    """

    _column = "recording"

    def __init__(self, splitter, *, groups=None):
        self.splitter = splitter
        self.groups = groups

    def get_n_splits(self, X=None, y=None, groups=None):
        """Return the number of folds.

        Parameters
        ----------
        X : object
            Ignored.
        y : array-like of shape (n_windows,) or None, default=None
            As in `split`.
        groups : pandas.DataFrame or array-like, default=None
            As in `split`; needed only where the inner splitter needs data to
            count its folds.

        Returns
        -------
        n_splits : int
        """
        self._check_splitter()
        if groups is None:
            return self.splitter.get_n_splits()
        _, *arguments = self._per_recording(self._meta_of(groups), y)
        return self.splitter.get_n_splits(*arguments)

    def _check_splitter(self):
        if not (
            hasattr(self.splitter, "split") and hasattr(self.splitter, "get_n_splits")
        ):
            raise TypeError(
                f"splitter={self.splitter!r} is not a splitter; pass an object such as "
                "StratifiedKFold(5)."
            )

    def _per_recording(self, meta, y):
        """Return the recording of each window, and X, y, groups per recording."""
        codes = _recording_codes(meta)
        _, first = np.unique(codes, return_index=True)
        labels = None
        if y is not None and type_of_target(y) in ("binary", "multiclass"):
            _check_meta(meta, len(y))
            classes, inverse = np.unique(np.asarray(y), return_inverse=True)
            counts = np.zeros((len(first), len(classes)), dtype=int)
            np.add.at(counts, (codes, inverse), 1)
            labels = classes[counts.argmax(axis=1)]
        values = None
        if self.groups is not None:
            values = _group_values(self.groups, meta)
            if (values != values[first][codes]).any():
                mixed = np.flatnonzero(values != values[first][codes])
                raise ValueError(
                    f"groups={self.groups!r} changes within a recording: "
                    f"{_names(meta, mixed)}. Name columns that are constant in each "
                    "recording."
                )
            values = values[first]
        return codes, np.zeros((len(first), 1), dtype=np.int8), labels, values

    def _folds(self, meta, y=None):
        self._check_splitter()
        codes, X, labels, values = self._per_recording(meta, y)
        arguments = (X, labels) if values is None else (X, labels, values)
        for train, test in self.splitter.split(*arguments):
            yield (
                np.flatnonzero(np.isin(codes, train)),
                np.flatnonzero(np.isin(codes, test)),
            )
