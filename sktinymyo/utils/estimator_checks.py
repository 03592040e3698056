"""Checks that an estimator of EMG windows must pass beside scikit-learn's.

scikit-learn's own checks know tables only. They cannot see that windows of
4 channels x 30 samples are not windows of 3 x 40, that a network was trained
in place, that a fifth of the windows was held back, or that the caller's
torch generator was moved. These checks can. Use both::

    from sklearn.utils.estimator_checks import parametrize_with_checks
    from sktinymyo.utils.estimator_checks import parametrize_with_windows_checks

    @parametrize_with_checks([MyClassifier()])
    def test_scikit_learn(estimator, check):
        check(estimator)

    @parametrize_with_windows_checks([MyClassifier()])
    def test_windows(estimator, check):
        check(estimator)

Every check is a function ``check_windows_*(name, estimator)`` that raises an
``AssertionError`` which says what was seen. Give instances that fit in a
fraction of a second: each check fits several times, on 18 windows or so.
"""

from functools import partial

from . import _fit_checks, _input_checks, _output_checks, _seed_checks
from ._fit_checks import *  # noqa: F403
from ._input_checks import *  # noqa: F403
from ._output_checks import *  # noqa: F403
from ._seed_checks import *  # noqa: F403

_CHECK_NAMES = sorted(
    name
    for module in (_fit_checks, _input_checks, _output_checks, _seed_checks)
    for name in module.__all__
)

__all__ = [
    "check_windows_estimator",
    "parametrize_with_windows_checks",
    "windows_checks",
    *_CHECK_NAMES,
]


def windows_checks(estimator):
    """List the checks that apply to an estimator.

    Parameters
    ----------
    estimator : estimator
        Instance of a classifier, regressor or transformer of windows.

    Returns
    -------
    checks : list of callable
        Functions of ``(name, estimator)``, in alphabetical order.

    Raises
    ------
    TypeError
        If a class is given instead of an instance.

    Examples
    --------
    >>> from sklearn.dummy import DummyClassifier
    >>> from sktinymyo.utils.estimator_checks import windows_checks
    >>> [check.__name__ for check in windows_checks(DummyClassifier())][:2]
    ['check_windows_accepted', 'check_windows_all_used']
    """
    if isinstance(estimator, type):
        raise TypeError(
            f"estimator must be an instance, such as {estimator.__name__}(); got the "
            "class."
        )
    checks = [globals()[name] for name in _CHECK_NAMES]
    return [check for check in checks if check.applies(estimator)]


def check_windows_estimator(estimator, *, expected_failed_checks=None, on_fail="raise"):
    """Run every check that applies to an estimator.

    Parameters
    ----------
    estimator : estimator
        Instance of a classifier, regressor or transformer of windows. It is
        cloned for every fit and not changed.
    expected_failed_checks : dict of str to str or None, default=None
        Names of checks that are known to fail, each with the reason. One that
        passes all the same is reported as a failure, so that the list stays
        true.
    on_fail : {"raise", "return"}, default="raise"
        Raise at the first failure, or run on and tell it in the results.

    Returns
    -------
    results : list of dict
        One for each check, with the keys `check_name`, `status` ("passed",
        "failed" or "xfail") and `exception` (or None).

    Raises
    ------
    AssertionError
        If a check fails and ``on_fail="raise"``.
    TypeError
        If a class is given instead of an instance.
    ValueError
        If `on_fail` is neither of the two, or `expected_failed_checks` names a
        check that does not apply.

    Examples
    --------
    >>> from sklearn.dummy import DummyClassifier
    >>> from sktinymyo.utils.estimator_checks import check_windows_estimator
    >>> results = check_windows_estimator(DummyClassifier(), on_fail="return")
    >>> results[0]["check_name"], results[0]["status"]
    ('check_windows_accepted', 'failed')
    """
    if on_fail not in ("raise", "return"):
        raise ValueError(f"on_fail must be 'raise' or 'return'; got {on_fail!r}.")
    expected = _expected(estimator, expected_failed_checks)
    name = type(estimator).__name__
    results = []
    for check in windows_checks(estimator):
        known = check.__name__ in expected
        error = None
        try:
            check(name, estimator)
        except Exception as raised:
            error = raised
            if on_fail == "raise" and not known:
                raise
        if known and error is None:
            error = AssertionError(
                f"{name}: {check.__name__} was expected to fail "
                f"({expected[check.__name__]}), but it passes."
            )
            known = False
            if on_fail == "raise":
                raise error
        status = "passed" if error is None else "xfail" if known else "failed"
        results.append(
            {"check_name": check.__name__, "status": status, "exception": error}
        )
    return results


def parametrize_with_windows_checks(estimators, *, expected_failed_checks=None):
    """Decorate a pytest function so that it runs once for each check.

    Parameters
    ----------
    estimators : list of estimator
        Instances; give settings with which they fit in a fraction of a second.
    expected_failed_checks : callable or None, default=None
        Takes an estimator and returns a dictionary of the names of checks that
        are known to fail, each with the reason; these are marked as expected
        failures, strictly: one that passes is an error.

    Returns
    -------
    decorator : pytest.MarkDecorator
        For a function of ``(estimator, check)`` that calls ``check(estimator)``.

    Raises
    ------
    TypeError
        If a class is given instead of an instance.
    ValueError
        If `expected_failed_checks` names a check that does not apply.

    Examples
    --------
    >>> from sklearn.dummy import DummyClassifier
    >>> from sktinymyo.utils.estimator_checks import parametrize_with_windows_checks
    >>> @parametrize_with_windows_checks([DummyClassifier()])
    ... def test_windows(estimator, check):
    ...     check(estimator)
    """
    import pytest

    parameters = []
    for estimator in estimators:
        known = None
        if expected_failed_checks is not None:
            known = expected_failed_checks(estimator)
        expected = _expected(estimator, known)
        name = type(estimator).__name__
        for check in windows_checks(estimator):
            marks = ()
            if check.__name__ in expected:
                marks = pytest.mark.xfail(reason=expected[check.__name__], strict=True)
            parameters.append(
                pytest.param(
                    estimator,
                    partial(check, name),
                    marks=marks,
                    id=f"{name}-{check.__name__}",
                )
            )
    return pytest.mark.parametrize("estimator, check", parameters)


def _expected(estimator, expected_failed_checks):
    """Validate the dictionary of expected failures."""
    expected = dict(expected_failed_checks or {})
    names = {check.__name__ for check in windows_checks(estimator)}
    unknown = sorted(set(expected) - names)
    if unknown:
        raise ValueError(
            f"expected_failed_checks names {', '.join(unknown)}, but the checks for "
            f"{type(estimator).__name__} are: {', '.join(sorted(names))}."
        )
    return expected
