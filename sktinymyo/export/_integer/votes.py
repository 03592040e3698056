"""Votes of the samples of a window, in integers: the specification of ``vote.c``.

For every voting sample with the logits l_k (int32, in units of 2**-16):

* its vote goes to the first of the largest logits;
* ``t_k = max l - l_k`` (uint32), ``e_k = exp_table[min((t_k + 256) >> 9, 1023)]``,
  ``Z = sum e_k``, ``p_k = floor(2**16 * e_k / Z)`` in uint32: its probabilities.
  ``exp_table[i] = round(65535 * exp(-i / 128))``, uint16; the last entry, for all that
  is 8 or more below the largest, is 0.

Over the n samples V_k counts the votes and P_k adds up the probabilities, in int64. The
scores are int32 in units of 2**-30: ``P_k << 14`` for n = 1, else
``floor(((V_k * n << 16) + P_k << 14) / (n * (n + 1)))``: the share of the votes, where
the mean of the probabilities counts as one vote more. The class is the first of the
largest scores.
"""

import numpy as np

from .arithmetic import EXP_STEPS_PER_NAT, EXP_TABLE_LENGTH

__all__ = ["SCORE_UNIT", "count_votes", "vote_table"]

SCORE_UNIT = 2.0**-30


def vote_table():
    """Return ``round(65535 * exp(-i / 128))`` for the 1024 steps of a softmax.

    The last entry is 0. In 8 bits, as in the attention, the small probabilities of many
    classes would be lost.

    Returns
    -------
    table : ndarray of uint16, shape (1024,)
    """
    steps = np.arange(EXP_TABLE_LENGTH) / EXP_STEPS_PER_NAT
    table = np.rint(65535 * np.exp(-steps)).astype(np.uint16)
    table[-1] = 0
    return table


def count_votes(logits, exp_table):
    """Return the scores of windows.

    Parameters
    ----------
    logits : ndarray of int32, shape (n_windows, n_voting, n_classes)
        Of every voting sample.
    exp_table : ndarray of uint16, shape (1024,)
        From :func:`vote_table`.

    Returns
    -------
    scores : ndarray of int32, shape (n_windows, n_classes)
        In units of 2**-30.

    Examples
    --------
    >>> import numpy as np
    >>> from sktinymyo.export._integer.votes import SCORE_UNIT, count_votes, vote_table
    >>> logits = np.array([[[0, 65536], [0, 65536], [3 * 65536, 0]]], dtype=np.int32)
    >>> (count_votes(logits, vote_table()) * SCORE_UNIT).round(2)
    array([[0.37, 0.63]])
    """
    logits = logits.astype(np.int64)
    n_voting, n_classes = logits.shape[1:]
    distance = logits.max(axis=2, keepdims=True) - logits
    weights = exp_table[np.minimum((distance + 256) >> 9, 1023)].astype(np.int64)
    sums = ((weights << 16) // weights.sum(axis=2, keepdims=True)).sum(axis=1)
    if n_voting == 1:
        return (sums << 14).astype(np.int32)
    winners = logits.argmax(axis=2)[:, :, np.newaxis]
    votes = (winners == np.arange(n_classes)).sum(axis=1)
    totals = (votes * n_voting << 16) + sums << 14
    return (totals // (n_voting * (n_voting + 1))).astype(np.int32)
