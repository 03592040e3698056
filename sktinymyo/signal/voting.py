"""Majority votes of successive decisions."""

import numpy as np

from .._validation import check_number

__all__ = ["majority_vote"]


def majority_vote(labels, recordings=None, n_frames=40):
    """Smooth labels by the majority of the last so many within a recording.

    The post-processing of gesture recognition from single samples in time: the
    decision at a sample is the label that was given most often among this sample and
    those before it, as a controller would decide [1]_.

    Parameters
    ----------
    labels : array-like of shape (n_labels,)
        Decisions in the order of time, of any type that can be sorted.
    recordings : array-like of shape (n_labels,) or None, default=None
        Recording of every decision; a new vote begins wherever it changes. None means
        that all belong to one.
    n_frames : int or None, default=40
        Decisions of one vote. At the beginning of a recording there are fewer. None
        takes the vote of the whole recording and gives it to all its decisions, those
        at its beginning too.

    Returns
    -------
    voted : ndarray of shape (n_labels,)
        Of equal counts, the label that was given last wins.

    Raises
    ------
    ValueError
        If `recordings` has another length, or `n_frames` is below one.

    References
    ----------
    .. [1] W. Geng et al., "Gesture recognition by instantaneous surface EMG images",
       Scientific Reports 6:36571, 2016: 40 frames on CapgMyo, and 150.

    Examples
    --------
    >>> from sktinymyo.signal import majority_vote
    >>> majority_vote(list("aabaabbb"), n_frames=3)
    array(['a', 'a', 'a', 'a', 'a', 'a', 'b', 'b'], dtype='<U1')
    >>> majority_vote(list("aabaabbb"), recordings=[0] * 5 + [1] * 3, n_frames=None)
    array(['a', 'a', 'a', 'a', 'a', 'b', 'b', 'b'], dtype='<U1')
    """
    check_number("n_frames", n_frames, minimum=1, integer=True, none_allowed=True)
    labels = np.asarray(labels)
    if labels.ndim != 1:
        raise ValueError(
            f"labels must have one dimension, one decision each; got shape "
            f"{labels.shape}."
        )
    if recordings is None:
        borders = np.empty(0, dtype=np.intp)
    else:
        recordings = np.asarray(recordings)
        if recordings.shape != labels.shape:
            raise ValueError(
                f"recordings must name one recording for each of the {len(labels)} "
                f"labels; got shape {recordings.shape}."
            )
        borders = np.flatnonzero(recordings[1:] != recordings[:-1]) + 1
    if not len(labels):
        return labels.copy()
    classes, codes = np.unique(labels, return_inverse=True)
    voted = [_vote(part, len(classes), n_frames) for part in np.split(codes, borders)]
    return classes[np.concatenate(voted)]


def _vote(codes, n_classes, n_frames):
    """Return the winner at every decision of one recording."""
    n_codes = len(codes)
    at = np.arange(n_codes)
    given = np.zeros((n_codes + 1, n_classes), dtype=np.int64)
    given[at + 1, codes] = 1
    counts = given.cumsum(axis=0)
    # The place of a label's last decision decides between equal counts.
    last = np.maximum.accumulate(given * np.arange(n_codes + 1)[:, np.newaxis], axis=0)
    if n_frames is None:
        winner = (counts[-1] * (n_codes + 1) + last[-1]).argmax()
        return np.full(n_codes, winner)
    since = counts[1:] - counts[np.maximum(at + 1 - n_frames, 0)]
    return (since * (n_codes + 1) + last[1:]).argmax(axis=1)
