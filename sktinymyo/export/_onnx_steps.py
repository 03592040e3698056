"""What of an estimator has no form in a graph, found before anything is converted."""

import copy

import numpy as np
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import VotingClassifier
from sklearn.pipeline import FeatureUnion, Pipeline
from sklearn.preprocessing import FunctionTransformer

from ..exceptions import UnsupportedStepError, WindowsError
from ._onnx_converters import OWN_STEPS
from ._onnx_features import COUNTS, unknown_features
from ._onnx_windows import written_shape

__all__ = [
    "KNOWN_LAST",
    "allowed_options",
    "beginnings",
    "check_input",
    "check_steps",
    "counting_features",
    "fitted_steps",
    "last_step",
    "simplified",
]


# Estimators for the end of a Pipeline that were tried, for messages.
KNOWN_LAST = (
    "LogisticRegression, LinearDiscriminantAnalysis, LinearSVC, RidgeClassifier, "
    "RandomForestClassifier, KNeighborsClassifier, MLPClassifier, Ridge and SVR"
)
_ACCEPTED = (
    "Accepted are ChannelMapper, ChannelScaler, EMGFilter, EMGResampler, "
    "TimeDomainFeatures, TinyMyoEmbedder, TinyMyoClassifier, TinyMyoRegressor, "
    "AllConvNetClassifier, "
    "Pipeline, FeatureUnion, and what skl2onnx converts of scikit-learn (list: "
    "skl2onnx.supported_converters(True)), such as StandardScaler, PCA and, at the "
    f"end, {KNOWN_LAST}. "
)


def simplified(estimator):
    """Return what predicts, without what does nothing.

    Parameters
    ----------
    estimator : fitted estimator
        Of a search its best estimator is taken, of a distilled classifier its student;
        steps of pipelines that are None, "passthrough" or "drop" are left out, since
        skl2onnx does not know them.

    Returns
    -------
    estimator : fitted estimator
        The steps are those given, not copies.
    """
    while hasattr(estimator, "best_estimator_") or hasattr(estimator, "cv_results_"):
        if not hasattr(estimator, "best_estimator_"):
            raise UnsupportedStepError(
                f"{type(estimator).__name__} was fitted with refit=False and holds no "
                "estimator; fit one with its best_params_, and export that."
            )
        estimator = estimator.best_estimator_
    if hasattr(estimator, "student_"):
        return simplified(estimator.student_)
    if isinstance(estimator, Pipeline):
        steps = _without(estimator.steps, (None, "passthrough"))
        return Pipeline(steps) if steps else FunctionTransformer()
    if isinstance(estimator, FeatureUnion):
        kept = _without(estimator.transformer_list, ("drop",))
        return FeatureUnion(kept, transformer_weights=estimator.transformer_weights)
    if isinstance(estimator, VotingClassifier) and estimator.flatten_transform:
        # Of no effect on what it predicts, but skl2onnx refuses it.
        estimator = copy.copy(estimator).set_params(flatten_transform=False)
        estimator.estimators_ = [simplified(each) for each in estimator.estimators_]
    return estimator


def _without(steps, idle):
    return [
        (name, simplified(step))
        for name, step in steps
        if not (step is None or isinstance(step, str)) or step not in idle
    ]


def beginnings(estimator):
    """Yield (name of the last step, Pipeline up to it), the shortest first."""
    if isinstance(estimator, Pipeline):
        steps = list(_flat(estimator.steps, ""))
        for n in range(1, len(steps) + 1):
            yield steps[n - 1][0], Pipeline(steps[:n])


def _flat(steps, path):
    for name, step in steps:
        if isinstance(step, Pipeline):
            yield from _flat(step.steps, f"{path}{name}__")
        else:
            yield f"{path}{name}", step


def check_input(estimator, X):
    """Refuse windows of another form than the first steps were fitted on.

    Parameters
    ----------
    estimator : fitted estimator or Pipeline
        What is to be exported.
    X : ndarray
        Windows.

    Raises
    ------
    WindowsError
        If the form is another one.
    """
    for path, step in _first_steps(estimator, ""):
        if hasattr(step, "input_ndim_"):
            form = (step.n_channels_in_, step.n_times_in_)
            if step.input_ndim_ == 2:
                form = (form[0] * form[1],)
        elif X.ndim == 2 and hasattr(step, "n_features_in_"):
            form = (step.n_features_in_,)
        else:
            continue
        if X.shape[1:] != form:
            name = type(step).__name__
            raise WindowsError(
                f"X has the shape {written_shape(X.shape[1:])}, but "
                f"{f'{path!r} ({name})' if path else name} was fitted on windows of "
                f"the shape {written_shape(form)}; pass windows of that form."
            )


def _first_steps(estimator, path):
    """Yield (path, step) of what takes the windows themselves."""
    if isinstance(estimator, Pipeline):
        name, step = estimator.steps[0]
        yield from _first_steps(step, f"{path}{'__' if path else ''}{name}")
    elif isinstance(estimator, FeatureUnion):
        for name, step in estimator.transformer_list:
            yield from _first_steps(step, f"{path}{'__' if path else ''}{name}")
    elif not isinstance(estimator, (str, type(None))):
        yield path, estimator


def last_step(estimator):
    """Return the estimator that makes the output of a Pipeline."""
    is_pipeline = isinstance(estimator, Pipeline)
    return last_step(estimator.steps[-1][1]) if is_pipeline else estimator


def fitted_steps(estimator):
    """Yield (path, step, whether it is the end) of all that makes a Pipeline."""
    yield from _walk(estimator, "", True)


def counting_features(estimator):
    """Return the names of features that jump where a sample is close to a limit.

    "votes" stands for the votes of an AllConvNetClassifier.
    """
    names = set()
    for _, step, _ in fitted_steps(estimator):
        if type(step).__name__ == "TimeDomainFeatures":
            names.update(name for name in step.features_ if name in COUNTS)
        if type(step).__name__ == "AllConvNetClassifier" and step.vote != 1:
            names.add("votes")
    return sorted(names)


def check_steps(estimator):
    """Refuse steps that cannot be converted, all of them in one message.

    Parameters
    ----------
    estimator : fitted estimator or Pipeline
        What is to be exported; converters must have been registered.

    Raises
    ------
    UnsupportedStepError
        If a step has no converter.
    """
    problems = [
        f"{repr(path) if path else 'the estimator'} ({type(step).__name__}): {reason}"
        for path, step, is_end in _walk(estimator, "", True, columns=True)
        if (reason := _reason(step, is_end)) is not None
    ]
    if problems:
        raise UnsupportedStepError(
            f"{len(problems)} step(s) cannot become part of an ONNX graph:\n"
            + "".join(f"  * {problem}\n" for problem in problems)
            + _ACCEPTED
            + "What cannot be converted runs in Python: export the steps behind it."
        )


def allowed_options(step):
    """Return the names of the options that skl2onnx takes for a step."""
    from skl2onnx._supported_operators import sklearn_operator_name_map
    from skl2onnx.common._registration import get_converter

    alias = sklearn_operator_name_map.get(type(step))
    options = None if alias is None else get_converter(alias).get_allowed_options()
    return sorted(options or ())


def _walk(estimator, path, is_end, columns=False):
    if isinstance(estimator, Pipeline):
        last = len(estimator.steps) - 1
        for i, (name, step) in enumerate(estimator.steps):
            yield from _inside(step, f"{path}{name}", is_end and i == last, columns)
    elif isinstance(estimator, FeatureUnion):
        for name, step in estimator.transformer_list:
            yield from _inside(step, f"{path}{name}", False, columns)
    elif isinstance(estimator, ColumnTransformer):
        if columns:
            yield path.removesuffix("__"), estimator, is_end
        for name, step, _ in estimator.transformers_:
            yield from _inside(step, f"{path}{name}", False, columns)
    else:
        yield path, estimator, is_end


def _inside(step, path, is_end, columns):
    if step is None or isinstance(step, str):  # "passthrough" of a union
        return
    deeper = isinstance(step, (Pipeline, FeatureUnion, ColumnTransformer))
    yield from _walk(step, f"{path}__" if deeper else path, is_end, columns)


def _chosen(step):
    """Yield the columns that a ColumnTransformer takes, by name or number."""
    for _, _, columns in step.transformers_:
        yield from np.atleast_1d(columns) if not isinstance(columns, slice) else ()


def _reason(step, is_end):
    """Return why a step cannot be converted and what to do, or None."""
    name = type(step).__name__
    if isinstance(step, ColumnTransformer):
        if any(isinstance(chosen, str) for chosen in _chosen(step)):
            return (
                "it chooses columns by name, and a graph takes one array; choose them "
                "by number."
            )
        return None
    if name == "ArmbandAlignedClassifier":
        return (
            "the turn of an armband is found from many windows together, and a graph "
            "treats each by itself. Export its estimator_ and turn the channels before "
            "it, for example with ChannelMapper(order=...)."
        )
    if name == "TimeDomainFeatures" and (missing := unknown_features(step)):
        return f"no ONNX operators for {', '.join(missing)}; leave them out."
    if name == "TinyMyoClassifier" and not is_end:
        return (
            "a graph gives its labels, not the embedding that later steps need. Save "
            "its encoder with save_weights and use it in a TinyMyoEmbedder."
        )
    if name == "AllConvNetClassifier" and not is_end:
        return "a graph gives its votes, not what later steps need; leave these out."
    if isinstance(step, FunctionTransformer) and step.func is not None:
        return (
            f"a graph cannot hold the function {_name_of(step.func)}. Apply it to the "
            "windows before, or fit a Pipeline without it."
        )
    if name in OWN_STEPS or _known_to_skl2onnx(step):
        return None
    return (
        "skl2onnx has no converter for it. Take another step in its place, or register "
        "one with skl2onnx.update_registered_converter."
    )


def _name_of(function):
    return getattr(function, "__name__", repr(function))


def _known_to_skl2onnx(step):
    from skl2onnx._supported_operators import sklearn_operator_name_map

    return type(step) in sklearn_operator_name_map or hasattr(step, "to_onnx_operator")
