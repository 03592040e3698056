"""What every loader shares: facts of a set, lazy recordings, selection, Bunch."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np
import pandas as pd
from sklearn.utils import Bunch

from ._files import natural_key, natural_sorted, runs, show_some

META_COLUMNS = ("recording", "subject", "session", "repetition", "gesture")


@dataclass(frozen=True)
class SetFacts:
    """What is true of every recording of a data set."""

    name: str
    description: str
    sfreq: float
    n_channels: int
    unit: str
    target_names: tuple
    license: str
    citation: str
    source: str
    channel_names: tuple = field(default=())

    def __post_init__(self):
        if not self.channel_names:
            names = tuple(f"ch{k}" for k in range(1, self.n_channels + 1))
            object.__setattr__(self, "channel_names", names)


class LazyRecordings(Sequence):
    """Recordings that are read from their files when they are accessed.

    Behaves like a list of arrays: ``len``, indexing, iteration; a slice gives
    another lazy sequence. Nothing is kept between accesses except the last
    recordings read from a file that holds several. Instances can be pickled
    and sent to other processes (the files must be reachable there).

    Parameters
    ----------
    items : sequence
        One description per recording, handed to `read`.
    read : callable
        ``read(item)`` returns a float32 array (n_channels, n_times).

    Examples
    --------
    >>> import numpy as np
    >>> from sktinymyo.datasets import LazyRecordings
    >>> recordings = LazyRecordings([10, 20], lambda n_times: np.zeros((8, n_times)))
    >>> len(recordings), recordings[1].shape
    (2, (8, 20))
    """

    def __init__(self, items, read):
        self._items = list(items)
        self._read = read

    def __len__(self):
        return len(self._items)

    def __getitem__(self, index):
        if isinstance(index, slice):
            return LazyRecordings(self._items[index], self._read)
        return self._read(self._items[index])

    def __repr__(self):
        return f"LazyRecordings({len(self)} recordings)"


def as_choices(value):
    """Return a filter as a list of strings, None when everything is wanted."""
    if value is None:
        return None
    if isinstance(value, str) or not isinstance(value, Iterable):
        value = [value]
    choices = [str(choice) for choice in value]
    if not choices:
        raise ValueError(
            "an empty selection was given; pass None to select everything."
        )
    return choices


def select_rows(meta, filters):
    """Return the rows whose columns hold the values asked for.

    Values are compared as text, so that 1, ``"1"`` and numpy integers agree.

    Parameters
    ----------
    meta : DataFrame
        One row per recording.
    filters : dict
        Parameter name -> (wanted values or None, column names in which a
        value may be found, the first present one serves the message).

    Returns
    -------
    DataFrame
        Selected rows, index renewed.
    """
    keep = np.ones(len(meta), dtype=bool)
    for parameter, (wanted, columns) in filters.items():
        choices = as_choices(wanted)
        if choices is None:
            continue
        present = [column for column in columns if column in meta]
        if not present:
            raise ValueError(
                f"{parameter}={wanted!r} cannot be used: this set has no column "
                f"{columns[0]!r}."
            )
        texts = [meta[column].astype(str) for column in present]
        known = set().union(*(set(text) for text in texts))
        unknown = [choice for choice in choices if choice not in known]
        if unknown:
            available = natural_sorted(set(texts[-1]))
            raise ValueError(
                f"{parameter}={wanted!r}: {unknown} not found. Available: "
                f"{show_some(available, 40)}."
            )
        matches = np.zeros(len(meta), dtype=bool)
        for text in texts:
            matches |= text.isin(choices).to_numpy()
        keep &= matches
    if not keep.any():
        given = {
            name: value for name, (value, _) in filters.items() if value is not None
        }
        raise ValueError(
            f"no recording fits all of {given} together; loosen one of them."
        )
    return meta.loc[keep].reset_index(drop=True)


def in_order(meta):
    """Return the rows by subject, session, repetition and gesture."""

    def key(column):
        return column.map(natural_key) if column.name == "subject" else column

    columns = ["subject", "session", "repetition", "target"]
    return meta.sort_values(columns, key=key, kind="stable", ignore_index=True)


def select_items(meta, items, filters):
    """Select rows as `select_rows` does, and the items that belong to them."""
    meta = select_rows(meta.assign(_position=np.arange(len(meta))), filters)
    return meta, [items[position] for position in meta.pop("_position")]


def standard_filters(
    subjects=None, sessions=None, repetitions=None, gestures=None, **extra
):
    """Return the filters that most loaders share, for `select_rows`."""
    filters = {
        "subjects": (subjects, ("subject_name", "subject")),
        "sessions": (sessions, ("session_name", "session")),
        "repetitions": (repetitions, ("repetition",)),
        "gestures": (gestures, ("target", "gesture")),
    }
    filters.update(extra)
    return filters


def check_flag(name, value):
    """Raise a TypeError unless `value` is True or False."""
    if not isinstance(value, (bool, np.bool_)):
        raise TypeError(f"{name} must be True or False; got {value!r}.")


def refuse_for_whole_files(segment, **filters):
    """Raise a ValueError when parts of files are asked for but files stay whole."""
    given = [name for name, value in filters.items() if value is not None]
    if not segment and given:
        raise ValueError(
            f"{', '.join(given)} cannot select parts of files with segment=False; pass "
            "segment=True, or select by the labels per sample afterwards."
        )


def label_runs(files, labels, names, *, segment, repetitions=None, skip=()):
    """Turn files with one label per sample into recordings.

    Parameters
    ----------
    files : DataFrame
        One row per file, with the column path.
    labels : list of ndarray of shape (n_times,)
        Codes per sample, one array per file.
    names : sequence of str
        Name of every code.
    segment : bool
        True gives one recording per run of equal labels, False whole files.
    repetitions : list of ndarray of shape (n_times,) or None, default=None
        Repetition per sample; a run also ends where it changes. None counts
        the runs of every label inside a file from 0.
    skip : tuple of int, default=()
        Codes whose runs are left out (only with segments).

    Returns
    -------
    meta : DataFrame
        One row per recording.
    items : list of tuple
        ``(path, start, stop)`` or ``(path,)``.
    target : list of ndarray or None
        Codes per sample of whole files; None when `meta` has them.
    """
    if not segment:
        meta = files.assign(repetition=0)
        return meta.drop(columns="path"), [(path,) for path in meta["path"]], labels
    rows, items = [], []
    for k, row in enumerate(files.to_dict("records")):
        path = row.pop("path")
        columns = [labels[k]] if repetitions is None else [labels[k], repetitions[k]]
        counts = {}
        for start, stop in zip(*runs(np.stack(columns, axis=1)), strict=True):
            code = int(labels[k][start])
            if code in skip:
                continue
            count = counts.get(code, 0)
            counts[code] = count + 1
            number = count if repetitions is None else int(repetitions[k][start])
            change = {"target": code, "gesture": names[code], "repetition": number}
            rows.append(row | change)
            items.append((path, int(start), int(stop)))
    return pd.DataFrame(rows), items, None


def build_bunch(facts, meta, read, items, *, lazy, target=None, **extra):
    """Assemble the Bunch that every loader returns.

    Parameters
    ----------
    facts : SetFacts
        Sampling rate, unit, names and origin.
    meta : DataFrame
        One row per recording with the columns subject, session, repetition,
        gesture, and target (integer codes) for classification.
    read : callable
        ``read(item)`` -> float32 array (n_channels, n_times).
    items : sequence
        One item per row of `meta`.
    lazy : bool
        Read on access instead of now.
    target : list of ndarray or None, default=None
        Continuous targets; None takes the column target of `meta`.
    **extra : object
        Further fields of the Bunch.

    Returns
    -------
    Bunch
    """
    check_flag("lazy", lazy)
    meta = meta.reset_index(drop=True)
    if target is None:
        target = meta["target"].to_numpy(dtype=np.int64)
    meta = meta.drop(columns="target", errors="ignore")
    meta["recording"] = np.arange(len(meta))
    others = [column for column in meta.columns if column not in META_COLUMNS]
    meta = meta[[*META_COLUMNS, *others]]
    recordings = LazyRecordings(items, read)
    return Bunch(
        recordings=recordings if lazy else list(recordings),
        sfreq=float(facts.sfreq),
        target=target,
        target_names=list(facts.target_names),
        groups=meta["subject"].to_numpy(),
        meta=meta,
        n_channels=facts.n_channels,
        channel_names=list(facts.channel_names),
        unit=facts.unit,
        name=facts.name,
        DESCR=facts.description.strip() + "\n",
        license=facts.license,
        citation=facts.citation,
        source=facts.source,
        **extra,
    )
