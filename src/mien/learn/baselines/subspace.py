"""Eigenface and Fisherface: principal components of the pixels, and what tells classes apart among them.

Turk and Pentland, "Eigenfaces for recognition" (Journal of Cognitive Neuroscience, 1991); Belhumeur, Hespanha and
Kriegman, "Eigenfaces vs. Fisherfaces: recognition using class specific linear projection" (TPAMI 1997).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import ClassVar

import numpy as np
from sklearn.decomposition import PCA
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import KNeighborsClassifier

from mien.arrays import Singles
from mien.learn.baselines.grey_chips import PixelFeatures
from mien.learn.baselines.method import Candidate, Classifier, Labels, Linear

FAINT = 1e-6
"""Share of the first component's variance below which a component is rounding error, and not blown up."""


@dataclass(frozen=True)
class _Projection:
    """Centred, projected on axes, then classified."""

    mean: Singles
    axes: Singles
    classifier: Classifier

    @property
    def parameters(self) -> int:
        return self.mean.size + self.axes.size + self.classifier.parameters

    @property
    def multiply_adds(self) -> int:
        return self.axes.size + self.classifier.multiply_adds

    def scores(self, features: Singles) -> Singles:
        return self.classifier.scores(np.asarray((features - self.mean) @ self.axes, np.float32))


@dataclass(frozen=True)
class _Neighbours:
    """The shares of the classes among the nearest faces, and all faces to look among."""

    search: KNeighborsClassifier
    shape: tuple[int, int]

    @property
    def parameters(self) -> int:
        return self.shape[0] * self.shape[1]

    @property
    def multiply_adds(self) -> int:
        return self.parameters

    def scores(self, features: Singles) -> Singles:
        share = self.search.predict_proba(features)
        return np.asarray(np.log(np.maximum(share, 0.5 / self.search.n_neighbors)), np.float32)


@dataclass(frozen=True)
class Eigenface(PixelFeatures):
    """Whitened principal components, classified in one of three ways.

    Attributes:
        size: side of the chips.
        components: how many to keep, tried in this order.
        neighbours: faces that vote.
    """

    title: ClassVar[str] = "Eigenface: PCA"
    choices: ClassVar[tuple[str, ...]] = (
        "48 x 48 grey pixels, each chip with mean 0 and standard deviation 1; components are whitened",
        "the papers leave the classifier open for classes that are not persons: the nearest class mean (Turk and "
        "Pentland's), the nearest faces' vote and logistic regression are tried, and the validation fold chooses",
        "the age is the expectation over the 24 classes",
    )

    size: int = 48
    components: tuple[int, ...] = (50, 100, 200, 400)
    neighbours: int = 31

    def grid(self, features: Singles, labels: Labels, seed: int) -> Iterator[Candidate]:
        """Each classifier on each number of components."""
        classifiers: dict[str, Callable[[Singles, Labels], Classifier]] = {
            "nearest mean": _nearest_mean,
            "nearest faces": self._nearest_faces,
            "logistic regression": partial(Linear.fitted, LogisticRegression(C=1.0, max_iter=200)),
        }
        for mean, axes, faces in _subspaces(features, self.components, min(features.shape) - 1):
            for name, fit in classifiers.items():
                settings = {"components": axes.shape[1], "classifier": name}
                yield Candidate(settings, _Projection(mean, axes, fit(faces, labels)))

    def _nearest_faces(self, faces: Singles, labels: Labels) -> Classifier:
        search = KNeighborsClassifier(min(self.neighbours, len(faces)), algorithm="brute").fit(faces, labels)
        return _Neighbours(search, (faces.shape[0], faces.shape[1]))


@dataclass(frozen=True)
class Fisherface(PixelFeatures):
    """Principal components, then linear discriminants.

    Attributes:
        size: side of the chips.
        components: how many principal ones to keep, tried in this order.
    """

    title: ClassVar[str] = "Fisherface: PCA + LDA"
    choices: ClassVar[tuple[str, ...]] = (
        "48 x 48 grey pixels, each chip with mean 0 and standard deviation 1",
        "nearest class mean among the discriminants, with the classes' shares as priors",
        "the age is the expectation over the 24 classes",
    )

    size: int = 48
    components: tuple[int, ...] = (50, 100, 200, 400, 800)

    def grid(self, features: Singles, labels: Labels, seed: int) -> Iterator[Candidate]:
        """One discriminant analysis for each number of components."""
        spare = len(features) - len(np.unique(labels))  # with more components than this, classes have no spread
        most = max(1, min(spare, features.shape[1] - 1))
        for mean, axes, faces in _subspaces(features, self.components, most):
            yield Candidate({"components": axes.shape[1]}, _Projection(mean, axes, discriminants(faces, labels)))


def _subspaces(features: Singles, components: tuple[int, ...], most: int) -> Iterator[tuple[Singles, Singles, Singles]]:
    """For each number of components, at most `most`: the mean [F], whitening axes [F, C] and projected faces [N, C]."""
    counts = sorted({min(count, most) for count in components})
    pca = PCA(counts[-1], svd_solver="covariance_eigh").fit(features)
    variance = np.maximum(pca.explained_variance_, FAINT * pca.explained_variance_[0])
    axes = (pca.components_.T / np.sqrt(variance)).astype(np.float32)
    mean = pca.mean_.astype(np.float32)
    faces = (features - mean) @ axes
    for count in counts:
        yield mean, np.ascontiguousarray(axes[:, :count]), np.ascontiguousarray(faces[:, :count])


def discriminants(faces: Singles, labels: Labels) -> Linear:
    """Linear discriminant analysis: classes are normal with their own means and the covariance within classes.

    scikit-learn's says the same; its singular values of all faces do not always converge in float32, and take ten times
    longer in float64.

    Args:
        faces: [N, C].
        labels: [N], from 0 to K - 1.

    Returns:
        Log-likelihoods of classes with their priors, less what all classes share.
    """
    counts = np.bincount(labels)
    centred = faces.astype(np.float64)
    means = np.stack([centred[labels == label].mean(axis=0) for label in range(len(counts))])
    centred -= means[labels]
    within = centred.T @ centred / len(faces)
    weights = np.linalg.pinv(within, hermitian=True) @ means.T
    bias = np.log(counts / len(faces)) - (means.T * weights).sum(axis=0) / 2
    return Linear(weights.astype(np.float32), bias.astype(np.float32))


def _nearest_mean(faces: Singles, labels: Labels) -> Linear:
    """Scores of classes by the distance of their means: -|x - m|^2 / 2 without |x|^2, which all classes share."""
    means = np.stack([faces[labels == label].mean(axis=0) for label in np.unique(labels)])
    return Linear(means.T.copy(), -(means**2).sum(axis=1) / 2)
