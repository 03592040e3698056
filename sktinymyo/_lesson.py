"""What a teacher tells a student about windows, and the loss it makes of that."""

from dataclasses import dataclass

import numpy as np
import torch

from .nn import FeatureMatching, softened_divergence

__all__ = ["Lesson", "Tutor"]


@dataclass(frozen=True)
class Lesson:
    """A teacher's answers for the windows that a student is fitted to.

    Students take it in ``_fit_to_teacher(X, y, lesson, sample_weight, groups)`` and
    hand it to the training as ``TrainingData.lesson``.

    Parameters
    ----------
    outputs : ndarray of float32, shape (n_windows, n_classes) or that of the targets
        Logits in the order of the sorted classes, or the teacher's predictions in the
        unit in which the loss compares targets.
    features : ndarray of float32, shape (n_windows, n_features), or None
        Standardised features of the teacher; None leaves them out of the loss.
    labelled : ndarray of bool, shape (n_windows,)
        False: the label of the window is not known and counts for nothing.
    alpha : float
        Share of the teacher's answers in the loss; the labels have the rest.
    temperature : float
        What softens both answers, see :func:`sktinymyo.nn.softened_divergence`.
    feature_weight : float
        Weight of the distance between features.
    repeats : int, default=1
        Rows of the training that stand for one window: the samples of a window whose
        student sees them one by one. Row r takes the answer ``r // repeats``.
    """

    outputs: np.ndarray
    features: np.ndarray | None
    labelled: np.ndarray
    alpha: float
    temperature: float
    feature_weight: float
    repeats: int = 1


class Tutor:
    """The loss of windows under a lesson; it holds what learns beside the student.

    Parameters
    ----------
    lesson : Lesson
        Answers for all windows.
    layer : torch.nn.Module
        Layer of the student whose input is its features: a linear map or a
        convolution. Watched until `close`.
    classifies : bool
        Whether the outputs are logits.
    device : torch.device
        Where the student is.
    generator : torch.Generator
        Source of the projection's initial values, on the CPU.
    """

    def __init__(self, lesson, layer, *, classifies, device, generator):
        self.lesson = lesson
        self.classifies = classifies
        self.device = device
        self.matching = self._watch = None
        if lesson.features is not None and lesson.feature_weight > 0:
            n_student = getattr(layer, "in_features", None) or layer.in_channels
            n_teacher = lesson.features.shape[1]
            matching = FeatureMatching(n_student, n_teacher, generator=generator)
            self.matching = matching.to(device)
            self._watch = layer.register_forward_pre_hook(self._keep)

    def _keep(self, layer, inputs):
        self._features = inputs[0]

    def close(self):
        """Stop watching the student."""
        if self._watch is not None:
            self._watch.remove()

    def named_parameters(self):
        """Return (name, parameter) of the projection."""
        return [] if self.matching is None else list(self.matching.named_parameters())

    def loss(self, rows, output, loss_of_labels):
        """Return the loss of windows (n,), of which the student just answered.

        Parameters
        ----------
        rows : ndarray of int, shape (n,)
            Rows of the training.
        output : tensor of shape (n, ...)
            Answers of the student.
        loss_of_labels : tensor of shape (n,)
            Loss without the teacher.
        """
        lesson = self.lesson
        rows = rows // lesson.repeats
        answers = self._tensor(lesson.outputs[rows])
        if self.classifies:
            distance = softened_divergence(output, answers, lesson.temperature)
        else:
            distance = (output.float() - answers).abs().flatten(1).mean(dim=1)
        labelled = self._tensor(lesson.labelled[rows].astype(np.float32))
        loss = lesson.alpha * distance
        loss = loss + (1 - lesson.alpha) * labelled * loss_of_labels
        if self.matching is not None:
            teacher = self._tensor(lesson.features[rows])
            loss = loss + lesson.feature_weight * self.matching(self._features, teacher)
        return loss

    def _tensor(self, values):
        return torch.from_numpy(values).to(self.device)
