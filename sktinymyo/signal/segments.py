"""Cutting continuous recordings where their label changes."""

import math
import warnings
from collections import Counter

import numpy as np

from .._validation import check_number
from .windows import _is_several, _meta_table, _one_per_recording

__all__ = ["split_recordings"]


def split_recordings(
    recordings, labels, meta=None, *, sfreq, minimum_duration=0.0, rest=None
):
    """Cut recordings with a label per sample into one recording per stretch.

    A stretch is a run of samples with the same label: usually one contraction,
    or the rest between two. Stretches are numbered as repetitions, so that a
    long recording per person can be evaluated within the person (train on some
    repetitions, test on others) without windows that lie on both sides.

    Parameters
    ----------
    recordings : array-like of shape (n_channels, n_times), or a sequence of them
        One recording or several. Not modified and not copied.
    labels : array-like of shape (n_times,), or a sequence of them
        Label of every sample: whole numbers or text. For several recordings one
        array each; a single label stands for a whole recording, which is not cut.
    meta : mapping, DataFrame or None, default=None
        What is known of the recordings, as in
        :func:`~sktinymyo.sliding_windows`. Repetitions count for each
        subject and session; without these columns all recordings count as one
        session of one person.
    sfreq : float
        Sampling rate in Hz.
    minimum_duration : float, default=0.0
        Stretches shorter than this, in seconds, are left out and not counted:
        flicker of the labels, or what is too short for a window. 0 keeps all.
    rest : label or None, default=None
        The label of rest, which lies between the movements and so occurs more
        often than any of them. Its stretches get the repetition of the movement
        before them in the recording (those before the first movement, that of
        the first), so that a test side holds the rests of its own movements.
        None counts every label by itself.

    Returns
    -------
    recordings : list of ndarray of shape (n_channels, n_times)
        One per stretch, in order; views of the arrays given.
    labels : ndarray of shape (n_stretches,)
        Label of each.
    meta : DataFrame of n_stretches rows
        Columns ``recording`` (numbered anew from 0), ``subject``, ``session``,
        ``repetition`` (from 0 for each subject, session and label, in order of
        appearance, across recordings; replaces that of `meta`),
        ``source_recording`` (the recording that was cut), ``start`` (of the
        stretch in it, in seconds), then the others of `meta`.

    Raises
    ------
    ValueError
        If labels or `meta` do not fit the recordings, labels are missing or
        fractions, `rest` does not occur, or no stretch is long enough.

    Warns
    -----
    UserWarning
        If ``rest=None`` and one label lies between all the others: it is
        probably rest.

    See Also
    --------
    sktinymyo.sliding_windows : Cut the stretches into windows.
    sktinymyo.model_selection.LeaveRepetitionsOut : Train on some repetitions.

    Notes
    -----
    Two neighbouring stretches still follow each other in time. A contraction
    that flicker of the labels interrupts counts as two repetitions; smooth such
    labels first.

    Examples
    --------
    >>> import numpy as np
    >>> from sktinymyo.signal import split_recordings
    >>> recording = np.zeros((4, 1000), "float32")
    >>> labels = np.repeat(["rest", "fist", "rest", "fist", "rest"], 200)
    >>> parts, y, meta = split_recordings(
    ...     [recording], [labels], {"subject": "anna"}, sfreq=200, rest="rest")
    >>> len(parts), parts[1].shape
    (5, (4, 200))
    >>> meta.assign(label=y)[["subject", "label", "repetition", "start"]]
      subject label  repetition  start
    0    anna  rest           0    0.0
    1    anna  fist           0    1.0
    2    anna  rest           0    2.0
    3    anna  fist           1    3.0
    4    anna  rest           1    4.0
    """
    check_number("sfreq", sfreq, minimum=0, include_minimum=False)
    check_number("minimum_duration", minimum_duration, minimum=0)
    several = _is_several(recordings)
    arrays = [np.asarray(item) for item in (recordings if several else [recordings])]
    if labels is None:
        raise ValueError("labels=None: pass one label for each sample.")
    labels = _one_per_recording(labels, len(arrays), several)
    table = _meta_table(meta, len(arrays), several)
    taken = [name for name in ("source_recording", "start") if name in table.columns]
    if taken:
        raise ValueError(
            f"meta has the column(s) {taken}, which split_recordings writes itself; "
            "rename or drop them."
        )

    stretches = []
    for i, array in enumerate(arrays):
        name = f"[{i}]" if several else ""
        samples = _check_samples(name, array, labels[i])
        borders = np.flatnonzero(samples[1:] != samples[:-1]) + 1
        edges = np.r_[0, borders, len(samples)]
        values = samples[edges[:-1]].tolist()
        stretches += [
            (i, int(start), int(stop), value)
            for start, stop, value in zip(edges[:-1], edges[1:], values, strict=True)
        ]
    if rest is None:
        _announce_rest(stretches)
    elif not any(value == rest for *_, value in stretches):
        seen = sorted({value for *_, value in stretches}, key=str)
        raise ValueError(f"rest={rest!r} is none of the labels {seen[:20]}.")

    # A duration that is a whole number of samples must not gain one by rounding.
    shortest = math.ceil(minimum_duration * sfreq - 1e-6)
    kept = [item for item in stretches if item[2] - item[1] >= shortest]
    if not kept:
        longest = max((stop - start for _, start, stop, _ in stretches), default=0)
        raise ValueError(
            f"minimum_duration={minimum_duration:g} s leaves no stretch: the longest "
            f"lasts {longest / sfreq:g} s; pass a smaller value."
        )

    source = [i for i, *_ in kept]
    persons = [
        tuple(None if value != value else value for value in row)
        for row in table[["subject", "session"]].itertuples(index=False, name=None)
    ]
    frame = table.iloc[source].reset_index(drop=True)
    origin = frame["recording"].to_numpy()
    frame["recording"] = np.arange(len(kept))
    frame["repetition"] = _count_repetitions(kept, persons, rest)
    after = frame.columns.get_loc("repetition") + 1
    frame.insert(after, "source_recording", origin)
    starts = np.array([start for _, start, *_ in kept])
    frame.insert(after + 1, "start", starts / sfreq)
    parts = [arrays[i][:, start:stop] for i, start, stop, _ in kept]
    return parts, np.array([value for *_, value in kept]), frame


def _check_samples(name, recording, labels):
    """Return one label for each sample of a recording."""
    if recording.ndim != 2 or not recording.size:
        raise ValueError(
            f"recordings{name} must have the shape (n_channels, n_times) and hold "
            f"samples; got the shape {recording.shape}."
        )
    n_times = recording.shape[1]
    samples = np.asarray(labels)
    if samples.ndim == 0:
        samples = np.full(n_times, samples)
    if samples.shape != (n_times,):
        raise ValueError(
            f"labels{name} has shape {samples.shape}, but the recording has {n_times} "
            "samples; pass one label for each sample."
        )
    fractions = samples.dtype.kind == "f" and (samples % 1 != 0).any()
    missing = samples.dtype.kind == "O" and any(
        value is None or value != value for value in samples
    )
    if fractions or missing:
        raise ValueError(
            f"labels{name} holds missing values or fractions; labels must be whole "
            "numbers or text, and targets of a regression cannot be split at changes."
        )
    return samples


def _announce_rest(stretches):
    """Warn if every second stretch has the same label, and several others exist."""
    values = [value for *_, value in stretches]
    counts = Counter(values)
    if len(counts) < 3:
        return
    often = max(counts, key=counts.get)
    alone = all(
        often in (before[3], after[3])
        for before, after in zip(stretches, stretches[1:], strict=False)
        if before[0] == after[0]
    )
    others = max(count for value, count in counts.items() if value != often)
    if alone and counts[often] > others:
        warnings.warn(
            f"label {often!r} lies between all the others and looks like rest: it has "
            f"{counts[often]} stretches, the others up to {others}, so its repetitions "
            f"do not go with theirs. Pass rest={often!r}.",
            UserWarning,
            stacklevel=3,
        )


def _count_repetitions(stretches, persons, rest):
    """Count the stretches of each person, session and label from 0."""
    counts, numbers = {}, []
    # Number of the last movement in each recording, and rests that wait for one.
    current, waiting = {}, {}

    def count(i, value):
        key = (persons[i], value)
        counts[key] = counts.get(key, -1) + 1
        return counts[key]

    for place, (i, _, _, value) in enumerate(stretches):
        if rest is not None and value == rest:
            numbers.append(current.get(i))
            if i not in current:
                waiting.setdefault(i, []).append(place)
            continue
        current[i] = count(i, value)
        numbers.append(current[i])
        for earlier in waiting.pop(i, []):
            numbers[earlier] = current[i]
    # Recordings of rest alone have no movement to follow.
    for i, places in waiting.items():
        for place in places:
            numbers[place] = count(i, rest)
    return numbers
