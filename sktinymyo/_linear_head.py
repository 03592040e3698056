"""The linear head of a classifier, solved on embeddings that stay as they are."""

import warnings

import numpy as np
import torch
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from threadpoolctl import threadpool_limits

__all__ = ["moments", "scale_inputs", "set_linear", "solve_head", "unscale_inputs"]

# C of LogisticRegression times the windows, on standardised embeddings: the same
# penalty beside the mean loss of many windows and of few. Chosen by
# tests/benchmarks/recipes.py on people who appear in no other benchmark; weaker
# penalties learn the training people by heart.
_STRENGTH = 3.0
_MOST_ITERATIONS = 500
_CHUNK = 4096
_VALUES_WORTH_THREADS = 4_000_000


def moments(features, rows, weights):
    """Return weighted mean and standard deviation of columns, in bounded memory.

    Parameters
    ----------
    features : ndarray of shape (n_windows, n_features)
        Embeddings.
    rows : ndarray of int
        Windows to learn from.
    weights : ndarray of shape (n_windows,)
        Weight of every window.

    Returns
    -------
    mean, std : ndarray of float32, shape (n_features,)
        A column that does not vary has the standard deviation 1.
    """
    chunks = [rows[at : at + _CHUNK] for at in range(0, len(rows), _CHUNK)]
    total = weights[rows].sum(dtype=np.float64)
    mean = sum(weights[chunk] @ features[chunk].astype(np.float64) for chunk in chunks)
    mean /= total
    variance = sum(
        weights[chunk] @ np.square(features[chunk] - mean) for chunk in chunks
    )
    std = np.sqrt(variance / total)
    std[std <= 1e-6] = 1.0
    return mean.astype(np.float32), std.astype(np.float32)


def solve_head(features, codes, weights, n_classes):
    """Return the weights and biases of a penalised logistic regression.

    Parameters
    ----------
    features : ndarray of float32, shape (n_windows, n_features)
        Embeddings, standardised.
    codes : ndarray of int, shape (n_windows,)
        Number of the class of every window.
    weights : ndarray of shape (n_windows,)
        Weight of every window.
    n_classes : int
        Classes of the head; those that `codes` lacks get zeros.

    Returns
    -------
    weight : ndarray of float32, shape (n_classes, n_features)
    bias : ndarray of float32, shape (n_classes,)
    """
    weight = np.zeros((n_classes, features.shape[1]), dtype=np.float32)
    bias = np.zeros(n_classes, dtype=np.float32)
    present = np.unique(codes)
    if len(present) == 1:
        return weight, bias
    strength = _STRENGTH / weights.sum(dtype=np.float64)
    model = LogisticRegression(C=strength, max_iter=_MOST_ITERATIONS)
    # Threads that share little work wait for one another on a busy machine.
    n_threads = 1 if features.size < _VALUES_WORTH_THREADS else None
    with warnings.catch_warnings(), threadpool_limits(n_threads, user_api="blas"):
        # Tuning goes on from here, so that the last digits do not matter.
        warnings.simplefilter("ignore", ConvergenceWarning)
        model.fit(features, codes, sample_weight=weights)
    if len(present) == 2:
        # One logit of the second class becomes two of the same difference.
        weight[present] = np.outer([-0.5, 0.5], model.coef_[0])
        bias[present] = np.array([-0.5, 0.5]) * model.intercept_[0]
    else:
        weight[present] = model.coef_
        bias[present] = model.intercept_
    return weight, bias


@torch.no_grad()
def set_linear(linear, weight, bias):
    """Give a linear layer these values."""
    linear.weight.copy_(torch.from_numpy(weight))
    linear.bias.copy_(torch.from_numpy(bias))


@torch.no_grad()
def scale_inputs(linear, mean, std):
    """Change a layer of features so that it takes standardised ones."""
    device = linear.weight.device
    linear.bias += linear.weight @ torch.from_numpy(mean).to(device)
    linear.weight *= torch.from_numpy(std).to(device)


@torch.no_grad()
def unscale_inputs(linear, mean, std):
    """Change a layer of standardised features so that it takes plain ones."""
    device = linear.weight.device
    linear.weight /= torch.from_numpy(std).to(device)
    linear.bias -= linear.weight @ torch.from_numpy(mean).to(device)
