"""Losses that a small network learns from a large one by."""

import torch
from torch import nn
from torch.nn import functional as F

from ._layers import linear, reset_linear

__all__ = ["FeatureMatching", "softened_divergence"]


def softened_divergence(logits, teacher_logits, temperature=1.0):
    """Return how far softened answers are from a teacher's, for every window.

    The Kullback-Leibler divergence between the softened probabilities, times the
    squared temperature, which keeps the size of the gradients [1]_.

    Parameters
    ----------
    logits : tensor of shape (n_windows, n_classes)
        Of the student.
    teacher_logits : tensor of shape (n_windows, n_classes)
        Of the teacher; a constant added to a row changes nothing, so that logarithms
        of probabilities will do.
    temperature : float, default=1.0
        What both are divided by before the softmax; above 1, the small probabilities
        count more.

    Returns
    -------
    divergence : tensor of float32, shape (n_windows,)

    References
    ----------
    .. [1] G. Hinton, O. Vinyals, J. Dean, "Distilling the Knowledge in a Neural
       Network", arXiv:1503.02531.

    Examples
    --------
    >>> import torch
    >>> from sktinymyo.nn import softened_divergence
    >>> same = torch.tensor([[2.0, 0.0]])
    >>> softened_divergence(same, same + 1.0, temperature=3.0)
    tensor([0.])
    """
    student = F.log_softmax(logits.float() / temperature, dim=-1)
    teacher = F.log_softmax(teacher_logits.float() / temperature, dim=-1)
    divergence = (teacher.exp() * (teacher - student)).sum(dim=-1)
    return temperature**2 * divergence


class FeatureMatching(nn.Module):
    """Distance of a student's features, linearly projected, from a teacher's.

    The projection learns beside the student and is of no use after.

    Parameters
    ----------
    n_student, n_teacher : int
        Features of a window on either side.
    generator : torch.Generator or None, default=None
        Source of the initial values; None is torch's global generator.

    References
    ----------
    A. Romero et al., "FitNets: Hints for Thin Deep Nets", arXiv:1412.6550.

    Examples
    --------
    >>> import torch
    >>> from sktinymyo.nn import FeatureMatching
    >>> FeatureMatching(4, 16)(torch.zeros(2, 4), torch.ones(2, 16))
    tensor([1., 1.], grad_fn=<MeanBackward1>)
    """

    def __init__(self, n_student, n_teacher, *, generator=None):
        super().__init__()
        self.projection = linear(n_student, n_teacher)
        reset_linear(self.projection, generator)

    def forward(self, features, teacher_features):
        """Return the mean squared difference (B,).

        Parameters
        ----------
        features : tensor of shape (B, n_student) or (B, n_student, ...)
            Averaged over the axes after the second, such as time.
        teacher_features : tensor of shape (B, n_teacher)
            Should be standardised, so that none counts more than others.
        """
        if features.ndim > 2:
            features = features.flatten(2).mean(dim=2)
        difference = self.projection(features).float() - teacher_features
        return torch.square(difference).mean(dim=1)
