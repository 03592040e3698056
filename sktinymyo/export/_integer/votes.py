"""Votes of the samples of a window, in integers: the specification of ``vote.c``.

For every voting sample with the logits l_k (int32, in units of 2**-16):

* its vote goes to the first of the largest logits;
* ``t_k = max l - l_k`` (uint32), ``e_k = exp_table[min((t_k + 256) >> 9, 1023)]``,
  ``Z = sum e_k``, ``p_k = floor(2**16 * e_k / Z)``: its probabilities in 16 bits.

Over the n samples V_k counts the votes and P_k adds up the probabilities, in int64. The
scores are int32 in units of 2**-30: ``P_k << 14`` for n = 1, else
``floor(((V_k * n << 16) + P_k << 14) / (n * (n + 1)))``: the share of the votes, where
the mean of the probabilities counts as one vote more. The class is the first of the
largest scores.
"""

import numpy as np

__all__ = ["SCORE_UNIT", "count_votes"]

SCORE_UNIT = 2.0**-30


def count_votes(logits, exp_table):
    """Return the scores of windows.

    Parameters
    ----------
    logits : ndarray of int32, shape (n_windows, n_voting, n_classes)
        Of every voting sample.
    exp_table : ndarray of uint8, shape (1024,)
        Of the softmax.

    Returns
    -------
    scores : ndarray of int32, shape (n_windows, n_classes)
        In units of 2**-30.

    Examples
    --------
    >>> import numpy as np
    >>> from sktinymyo.export._integer.arithmetic import exp_table
    >>> logits = np.array([[[0, 65536], [0, 65536], [3 * 65536, 0]]], dtype=np.int32)
    >>> (count_votes(logits, exp_table()) * SCORE_UNIT).round(2)
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
