"""What of an estimator has no form in a graph, found before anything is converted."""

from sklearn.compose import ColumnTransformer
from sklearn.pipeline import FeatureUnion, Pipeline
from sklearn.preprocessing import FunctionTransformer

from ..exceptions import UnsupportedStepError
from ._onnx_converters import OWN_STEPS
from ._onnx_features import COUNTS, unknown_features

__all__ = [
    "allowed_options",
    "check_steps",
    "counting_features",
    "fitted_steps",
    "last_step",
    "simplified",
]


def simplified(estimator):
    """Return what predicts, without what does nothing.

    Parameters
    ----------
    estimator : fitted estimator
        Of a search its best estimator is taken; steps of pipelines that are None,
        "passthrough" or "drop" are left out, since skl2onnx does not know them.

    Returns
    -------
    estimator : fitted estimator
        The steps are those given, not copies.
    """
    while hasattr(estimator, "best_estimator_"):
        estimator = estimator.best_estimator_
    if isinstance(estimator, Pipeline):
        steps = _without(estimator.steps, (None, "passthrough"))
        return Pipeline(steps) if steps else FunctionTransformer()
    if isinstance(estimator, FeatureUnion):
        kept = _without(estimator.transformer_list, ("drop",))
        return FeatureUnion(kept, transformer_weights=estimator.transformer_weights)
    return estimator


def _without(steps, idle):
    return [
        (name, simplified(step))
        for name, step in steps
        if not (step is None or isinstance(step, str)) or step not in idle
    ]


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
        f"{path or 'the estimator'} ({type(step).__name__}): {reason}"
        for path, step, is_end in fitted_steps(estimator)
        if (reason := _reason(step, is_end)) is not None
    ]
    if problems:
        raise UnsupportedStepError(
            f"{len(problems)} step(s) cannot become part of an ONNX graph. "
            + " ".join(problems)
        )


def allowed_options(step):
    """Return the names of the options that skl2onnx takes for a step."""
    from skl2onnx._supported_operators import sklearn_operator_name_map
    from skl2onnx.common._registration import get_converter

    alias = sklearn_operator_name_map.get(type(step))
    options = None if alias is None else get_converter(alias).get_allowed_options()
    return sorted(options or ())


def _walk(estimator, path, is_end):
    if isinstance(estimator, Pipeline):
        last = len(estimator.steps) - 1
        for i, (name, step) in enumerate(estimator.steps):
            yield from _inside(step, f"{path}{name}", is_end and i == last)
    elif isinstance(estimator, FeatureUnion):
        for name, step in estimator.transformer_list:
            yield from _inside(step, f"{path}{name}", False)
    elif isinstance(estimator, ColumnTransformer):
        for name, step, _ in estimator.transformers_:
            yield from _inside(step, f"{path}{name}", False)
    else:
        yield path, estimator, is_end


def _inside(step, path, is_end):
    if step is None or isinstance(step, str):  # "passthrough" of a union
        return
    deeper = isinstance(step, (Pipeline, FeatureUnion, ColumnTransformer))
    yield from _walk(step, f"{path}__" if deeper else path, is_end)


def _reason(step, is_end):
    """Return why a step cannot be converted and what to do, or None."""
    name = type(step).__name__
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
    if name in OWN_STEPS or _known_to_skl2onnx(step):
        return None
    return (
        "skl2onnx has no converter for it. Use a step that it supports "
        "(skl2onnx.supported_converters()), or register one with "
        "skl2onnx.update_registered_converter."
    )


def _known_to_skl2onnx(step):
    from skl2onnx._supported_operators import sklearn_operator_name_map

    return type(step) in sklearn_operator_name_map or hasattr(step, "to_onnx_operator")
