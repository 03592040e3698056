"""Tools for those who write estimators of their own on EMG windows.

:mod:`sktinymyo.utils.estimator_checks` holds checks that an estimator of
windows must pass, beside those of scikit-learn.
"""

__all__ = ["estimator_checks"]


def __getattr__(name):
    if name == "estimator_checks":
        import importlib

        return importlib.import_module(f"{__name__}.estimator_checks")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
