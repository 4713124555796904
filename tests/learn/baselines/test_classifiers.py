"""Classifiers taken out of scikit-learn say what scikit-learn says."""

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.neighbors import NearestCentroid
from sklearn.neural_network import MLPClassifier

from mien.arrays import Singles
from mien.learn.baselines.boosting import HaarBoost
from mien.learn.baselines.lbp import PATTERNS, LbpSvm
from mien.learn.baselines.method import Candidate, Labels, Method
from mien.learn.baselines.mlp import MlpPixels
from mien.learn.baselines.subspace import Eigenface, Fisherface, discriminants

BOTH = pytest.mark.parametrize("classes", [2, 5])


def problem(classes: int, features: int = 30) -> tuple[Singles, Labels]:
    rng = np.random.default_rng(classes)
    labels = np.arange(200) % classes
    centres = rng.normal(0, 1, (classes, features))
    return (centres[labels] + rng.normal(0, 1, (200, features))).astype(np.float32), labels.astype(np.intp)


def candidates(method: Method, x: Singles, labels: Labels) -> list[Candidate]:
    return list(method.grid(x, labels, 0))


def probabilities(scores: Singles) -> NDArray[np.float64]:
    mass = np.exp(scores.astype(np.float64) - scores.max(axis=1, keepdims=True))
    shares: NDArray[np.float64] = mass / mass.sum(axis=1, keepdims=True)
    return shares


@BOTH
def test_the_perceptron_after_each_epoch(classes: int) -> None:
    x, labels = problem(classes)
    method = MlpPixels(widths=(8,), epochs=3)
    net = MLPClassifier((8,), alpha=method.decay, learning_rate_init=method.rate, random_state=np.random.RandomState(0))
    found = candidates(method, x, labels)
    assert [settings for settings, _ in found] == [{"hidden": 8, "epochs": epoch} for epoch in (1, 2, 3)]
    for _, classifier in found:
        net.partial_fit(x, labels, classes=np.arange(classes))
        np.testing.assert_allclose(probabilities(classifier.scores(x)), net.predict_proba(x), atol=1e-5)
        outputs = 1 if classes == 2 else classes
        assert classifier.parameters == 30 * 8 + 8 + 8 * outputs + outputs


def test_boosting_stopped_after_each_number_of_rounds() -> None:
    x, labels = problem(2)
    method = HaarBoost(counts=(20, 30), rounds=(5, 12))
    found = candidates(method, x, labels)
    trees = HistGradientBoostingClassifier(
        learning_rate=method.rate,
        max_iter=12,
        max_leaf_nodes=2,
        l2_regularization=method.penalty,
        max_bins=63,
        early_stopping=False,
        random_state=0,
    )
    stages = list(trees.fit(x, labels).staged_decision_function(x))
    for candidate, rounds in zip(found[2:], (5, 12), strict=True):
        np.testing.assert_allclose(candidate.classifier.scores(x)[:, 1], stages[rounds - 1].ravel(), atol=1e-5)
        assert candidate.settings["candidates"] == 30
        assert candidate.settings["rounds"] == rounds
        assert 1 <= candidate.settings["used"] <= rounds, "a stump asks for one feature"
        assert candidate.classifier.parameters == rounds * 4
    asked = x.copy()
    asked[:, 20:] = 0
    np.testing.assert_array_equal(found[1].classifier.scores(asked), found[1].classifier.scores(x))


def test_boosted_classes_use_only_features_that_stumps_selected() -> None:
    x, labels = problem(5)
    found = candidates(HaarBoost(counts=(30,), rounds=(3,), class_rounds=(4,)), x, labels)[0]
    assert found.settings["used"] <= 3
    assert found.classifier.scores(x).shape == (200, 5)
    assert (found.classifier.scores(x).argmax(axis=1) == labels).mean() > 0.4


@BOTH
def test_discriminants_are_those_of_scikit_learn(classes: int) -> None:
    x, labels = problem(classes)
    x, labels = x[30:], np.sort(labels)[30:]  # priors that differ
    shares = probabilities(discriminants(x, labels).scores(x))
    lda = LinearDiscriminantAnalysis(solver="svd").fit(x.astype(np.float64), labels)
    np.testing.assert_allclose(shares, lda.predict_proba(x.astype(np.float64)), atol=1e-4)


@BOTH
def test_fisherface_is_linear_discriminants_of_components(classes: int) -> None:
    x, labels = problem(classes)
    (_, few), (_, all_but_one) = candidates(Fisherface(components=(10, 100)), x, labels)
    lda = LinearDiscriminantAnalysis().fit(x, labels)
    agree = all_but_one.scores(x).argmax(axis=1) == lda.predict(x)
    assert agree.mean() > 0.95, "with nearly all components the projection loses nearly nothing"
    assert few.parameters < all_but_one.parameters


@BOTH
def test_eigenface_tries_three_classifiers(classes: int) -> None:
    x, labels = problem(classes)
    found = candidates(Eigenface(components=(10,), neighbours=5), x, labels)
    assert [settings["classifier"] for settings, _ in found] == ["nearest mean", "nearest faces", "logistic regression"]
    for _, classifier in found:
        assert (classifier.scores(x).argmax(axis=1) == labels).mean() > 0.6
    projection = found[0].classifier
    faces = (x - projection.mean) @ projection.axes  # type: ignore[attr-defined]
    np.testing.assert_allclose(np.cov(faces.T), np.eye(10), atol=1e-2)
    nearest = NearestCentroid().fit(faces, labels).predict(faces)
    np.testing.assert_array_equal(projection.scores(x).argmax(axis=1), nearest)


def test_histograms_of_cells() -> None:
    chips = np.random.default_rng(0).integers(0, 256, (2, 21, 21), dtype=np.uint8)
    chips[1, :, :10] = 7
    histograms = LbpSvm(size=21, cells=2).features(chips) ** 2
    assert histograms.shape == (2, 4 * PATTERNS)
    np.testing.assert_allclose(histograms.reshape(2, 4, PATTERNS).sum(axis=2), 1, rtol=1e-5)
    np.testing.assert_array_equal(histograms[0], LbpSvm(size=21, cells=2).features(chips[:1])[0] ** 2)
    flat = histograms[1].reshape(4, PATTERNS)[0]
    assert flat.max() > 0.7, "within a flat cell all patterns are the same"
