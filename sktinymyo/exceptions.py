"""Errors and warnings raised by sktinymyo.

Every error derives from :class:`SktinymyoError` and from the builtin that
scikit-learn users would catch (``ValueError``, ``ImportError``,
``FileNotFoundError``), so that existing ``except`` clauses keep working.
"""

__all__ = [
    "BuildError",
    "BundleError",
    "DatasetNotFoundError",
    "EngineError",
    "LeakageWarning",
    "OptionalDependencyError",
    "PlanError",
    "SktinymyoError",
    "TrainingInterruptedWarning",
    "UnsafeFileError",
    "UnsupportedStepError",
    "WeightsContractWarning",
    "WeightsError",
    "WeightsNotFoundError",
    "WindowsError",
]


class SktinymyoError(Exception):
    """Base class of every error that sktinymyo raises on purpose."""


class WindowsError(SktinymyoError, ValueError):
    """The windows (or a recording) do not have the shape or values required."""


class OptionalDependencyError(SktinymyoError, ImportError):
    """An optional package is missing; the message names the extra to install."""


class WeightsError(SktinymyoError, ValueError):
    """A weights file is damaged or does not fit the architecture asked for."""


class WeightsNotFoundError(SktinymyoError, FileNotFoundError):
    """The weights asked for are neither here nor can they be downloaded."""


class UnsafeFileError(WeightsError):
    """A file that could run code when opened (a pickle) was refused."""


class EngineError(SktinymyoError, RuntimeError):
    """An engine does not compute on this machine what torch computes."""


class DatasetNotFoundError(SktinymyoError, FileNotFoundError):
    """A data set is not in the folder given and may not be downloaded."""


class LeakageWarning(UserWarning):
    """Windows of one recording may fall on both sides of a split."""


class TrainingInterruptedWarning(UserWarning):
    """Training was ended early by the user; the model is usable as it is."""


class WeightsContractWarning(UserWarning):
    """The windows have a sampling rate or channels that the weights never saw.

    Given in `fit` when the estimator is told the rate of its windows (``sfreq=``) and
    the card of the weights says otherwise, or a window is shorter than one patch. The
    message names what was seen, what the weights learned from, and the remedy.
    """


class UnsupportedStepError(SktinymyoError, ValueError):
    """A step of a pipeline has no form on the device or in the graph.

    The message lists every such step and what can take its place.
    """


class PlanError(SktinymyoError, ValueError):
    """A network does not fit the memory; the message names what is too large."""


class BundleError(SktinymyoError, ValueError):
    """A folder is not a bundle, or a bundle is damaged."""


class BuildError(SktinymyoError, RuntimeError):
    """The program could not be compiled or did not run; the message has the output."""
