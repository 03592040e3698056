"""What a graph expects and gives, stored in its file as texts."""

import json
from dataclasses import dataclass

import numpy as np
from sklearn.base import is_classifier

from ._onnx_session import get_property, load_model, set_property
from ._onnx_steps import fitted_steps
from ._onnx_verification import LABELS, METHOD

__all__ = ["GraphContract", "read_contract", "store_contract"]

_UNIT = "as in fit"


@dataclass(frozen=True)
class GraphContract:
    """What windows a graph expects, and what it gives.

    Parameters
    ----------
    method : str
        What it computes: "predict_proba", "decision_function", "predict" or
        "transform" of the estimator.
    shape : tuple of int
        Form of a window in the graph: (n_channels, n_times), or (n_channels *
        n_times,) of an estimator fitted on tables.
    n_channels, n_times : int or None
        Electrodes and samples of a window; None if no step knows them.
    sfreq : float or None
        Sampling rate of the windows in Hz, from the first step that was told; None
        if none was.
    unit : str
        "as in fit": nothing tells the unit, but filters, scaling and network were
        fitted to one, and windows must have the same.
    classes : list or None
        Labels in the order of the probabilities; None if there are none.
    weights : str or None
        Name of the weights that the network started from; None without a network.
    licence : str or None
        Their licence; None if it is not known.
    version : str
        Version of sktinymyo that made the graph.

    Examples
    --------
    >>> from sktinymyo.export.onnx import GraphContract
    >>> print(GraphContract("transform", (8, 40), 8, 40, 200.0, "as in fit", None,
    ...                     None, None, "0.1"))
    windows (n_windows, 8, 40): 8 channels, 40 samples at 200 Hz, unit as in fit; ...
    """

    method: str
    shape: tuple
    n_channels: int | None
    n_times: int | None
    sfreq: float | None
    unit: str
    classes: list | None
    weights: str | None
    licence: str | None
    version: str

    def __str__(self):
        """Return the contract in one sentence."""
        shape = ", ".join(map(str, ("n_windows", *self.shape)))
        parts = []
        if self.n_channels is not None:
            rate = "" if self.sfreq is None else f" at {self.sfreq:g} Hz"
            parts.append(f"{self.n_channels} channels, {self.n_times} samples{rate}")
        text = f"windows ({shape}): {', '.join([*parts, f'unit {self.unit}'])}"
        text += f"; gives {self.method}"
        if self.classes is not None:
            text += f" of {self.classes}"
        if self.weights is not None:
            licence = self.licence or "not stated"
            text += f"; weights {self.weights}, licence {licence}"
        return text


def read_contract(model):
    """Return what a graph of :func:`to_onnx` expects and gives.

    Any program finds the same texts in the file, as metadata under names that start
    with "sktinymyo.", such as "sktinymyo.sfreq".

    Parameters
    ----------
    model : onnx.ModelProto, str or path
        A graph, or the file that holds it.

    Returns
    -------
    contract : GraphContract or None
        None if the graph is not one of :func:`to_onnx`.

    Examples
    --------
    >>> import numpy as np
    >>> from sktinymyo import EMGFilter
    >>> from sktinymyo.export.onnx import read_contract, to_onnx
    >>> X = np.random.default_rng(0).normal(size=(8, 2, 50))
    >>> contract = read_contract(to_onnx(EMGFilter(sfreq=1000).fit(X), X))
    >>> contract.sfreq, contract.n_channels, contract.n_times
    (1000.0, 2, 50)
    """
    model = load_model(model)
    method = get_property(model, METHOD)
    if method is None:
        return None
    dims = model.graph.input[0].type.tensor_type.shape.dim
    n_channels, n_times, sfreq, classes = (
        _read(model, f"sktinymyo.{name}")
        for name in ("n_channels", "n_times", "sfreq", "classes")
    )
    unit, weights, licence, version = (
        get_property(model, f"sktinymyo.{name}")
        for name in ("unit", "weights_name", "licence", "version")
    )
    return GraphContract(
        method=method,
        shape=tuple(dim.dim_value for dim in dims)[1:],
        n_channels=n_channels,
        n_times=n_times,
        sfreq=sfreq,
        unit=unit or _UNIT,
        classes=classes,
        weights=weights,
        licence=licence,
        version=version,
    )


def _read(model, key):
    """Return a number or a list stored as JSON, or None."""
    text = get_property(model, key)
    try:
        return None if text is None else json.loads(text)
    except ValueError as error:
        raise ValueError(
            f"the text {key!r} in the graph is damaged ({error}); make the graph again "
            "with to_onnx."
        ) from error


def store_contract(model, estimator, method, numbered=False):
    """Store in a graph what it is and whose licence its weights have.

    Parameters
    ----------
    model : onnx.ModelProto
        The graph.
    estimator : fitted estimator or Pipeline
        What it was made from.
    method : str
        Which method of it the graph computes.
    numbered : bool, default=False
        Whether its labels are numbers of classes in place of labels.
    """
    from .. import __version__

    model.producer_name, model.producer_version = "sktinymyo", __version__
    entries = {"version": __version__, "unit": _UNIT}
    set_property(model, METHOD, method)
    if is_classifier(estimator):
        set_property(model, LABELS, "numbers" if numbered else "labels")
        entries["classes"] = json.dumps(np.asarray(estimator.classes_).tolist())
    dims = model.graph.input[0].type.tensor_type.shape.dim
    form = _form([dim.dim_value for dim in dims][1:], estimator)
    if form is not None:
        entries |= {"n_channels": str(form[0]), "n_times": str(form[1])}
    for step in _all_steps(estimator):
        sfreq = getattr(step, "sfreq_in", getattr(step, "sfreq", None))
        if sfreq is not None:
            entries.setdefault("sfreq", repr(float(sfreq)))
        card = vars(step).get("weights_card_")
        if card is not None:
            entries |= {"weights": card.summary(), "weights_name": card.name}
            if card.licence is not None:
                entries["licence"] = card.licence
    for name, text in entries.items():
        set_property(model, f"sktinymyo.{name}", text)


def _form(shape, estimator):
    """Return channels and samples of the windows of a graph, if they are known."""
    if len(shape) == 2:
        return shape
    forms = (
        (int(step.n_channels_in_), int(step.n_times_in_))
        for step in _all_steps(estimator)
        if hasattr(step, "n_channels_in_")
    )
    first = next(forms, None)
    # The first step may be given some of the columns only.
    return first if first is not None and first[0] * first[1] == shape[0] else None


def _all_steps(estimator):
    """Yield all steps in order, also those within a vote or a calibration."""
    for _, step, _ in fitted_steps(estimator):
        yield step
        for member in _members(step):
            yield from _all_steps(member)


def _members(step):
    """Yield the fitted estimators that an estimator of scikit-learn holds."""
    kept = vars(step)
    if "calibrated_classifiers_" in kept:
        yield from (pair.estimator for pair in kept["calibrated_classifiers_"])
    elif isinstance(kept.get("estimators_"), list):
        yield from (each for each in kept["estimators_"] if not isinstance(each, str))
    elif "estimator_" in kept:
        yield kept["estimator_"]
