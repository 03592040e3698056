"""A distilled estimator is exported as its student."""

import numpy as np
import pytest
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline

from sktinymyo import (
    ChannelScaler,
    DistilledClassifier,
    TimeDomainFeatures,
    TinyMyoClassifier,
    estimate_gap9,
    to_onnx,
)
from sktinymyo.export.quantize import quantize

pytest.importorskip("skl2onnx")


@pytest.fixture(scope="module")
def pipeline():
    rng = np.random.default_rng(0)
    y = np.arange(60) % 3
    X = rng.standard_normal((60, 4, 60)) * np.array([1.0, 2.7, 6.0])[y, None, None]
    X = X.astype(np.float32)
    teacher = make_pipeline(TimeDomainFeatures(), LinearDiscriminantAnalysis())
    student = TinyMyoClassifier("random", size="nano", max_epochs=3)
    model = DistilledClassifier(teacher, student, random_state=0)
    return make_pipeline(ChannelScaler(), model).fit(X, y), X, y


def test_onnx(pipeline):
    model, X, y = pipeline
    to_onnx(model, X)

    def operators(estimator):
        return [node.op_type for node in to_onnx(estimator, X).graph.node]

    assert operators(model[-1]) == operators(model[-1].student_)
    search = GridSearchCV(model, {"distilledclassifier__alpha": [0.5]}, cv=2)
    to_onnx(search.fit(X, y), X)


def test_integers(pipeline):
    model, X, y = pipeline
    integers = quantize(model, X, y_calib=y)
    assert np.mean(integers.predict(X) == model.predict(X)) > 0.95
    assert estimate_gap9(model).plan.shape.embed_dim == 48
