"""What a classical method offers, and what its classifiers share."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray
from sklearn.exceptions import ConvergenceWarning

from mien.arrays import Singles

Task = Literal["gender", "age"]
Grey = NDArray[np.uint8]
Labels = NDArray[np.intp]


class Classifier(Protocol):
    """A fitted classifier of K classes."""

    @property
    def parameters(self) -> int:
        """Numbers it has learned."""
        ...

    @property
    def multiply_adds(self) -> int:
        """An estimate of its multiplications with addition a chip, features not counted."""
        ...

    def scores(self, features: Singles) -> Singles:
        """Map features [N, F] to scores [N, K]; their softmax, scaled, gives probabilities."""
        ...


class Candidate(NamedTuple):
    """One point of a method's grid: what was set, perhaps what came of it, and the classifier."""

    settings: dict[str, Any]
    classifier: Classifier


class Method(Protocol):
    """A classical method, a frozen dataclass whose fields are its settings and the grid of those that are chosen.

    Attributes:
        title: what to call it in tables.
        choices: sentences that name what no paper settles and how we read it.
        size: side of the chips, in pixels.
    """

    title: ClassVar[str]
    choices: ClassVar[tuple[str, ...]]

    @property
    def size(self) -> int:
        """Side of the chips it takes, in pixels."""
        ...

    @property
    def multiply_adds(self) -> int:
        """An estimate of the multiplications with addition of the features of one chip."""
        ...

    def features(self, grey: Grey) -> Singles:
        """Map grey chips [N, S, S] to features [N, F] that depend on no label and no other chip."""
        ...

    def grid(self, features: Singles, labels: Labels, seed: int) -> Iterator[Candidate]:
        """Fit a classifier for each point of the grid, the simplest first.

        Args:
            features: [N, F] of the training faces.
            labels: [N], classes from 0 to K - 1, each of which occurs.
            seed: of all chance.
        """
        ...


@dataclass(frozen=True)
class Linear:
    """Scores x W + b.

    Attributes:
        weights: [F, K].
        bias: [K].
        reference: whether the score of the first class is 0 always, and not learned.
    """

    weights: Singles
    bias: Singles
    reference: bool = False

    @classmethod
    def of(cls, coef: NDArray[Any], intercept: NDArray[Any]) -> Linear:
        """From scikit-learn's arrays [K, F] and [K], or [1, F] and [1] for two classes: the score of the second."""
        if reference := len(coef) == 1:
            coef, intercept = np.vstack([np.zeros_like(coef), coef]), np.append(np.zeros_like(intercept), intercept)
        return cls(coef.T.astype(np.float32), intercept.astype(np.float32), reference)

    @classmethod
    def fitted(cls, model: Any, features: Singles, labels: Labels) -> Linear:
        """What a linear model of scikit-learn learns, whether or not it converges: the validation fold judges."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            model.fit(features, labels)
        return cls.of(model.coef_, model.intercept_)

    @property
    def parameters(self) -> int:
        """Weights and biases."""
        return int((self.weights.shape[1] - self.reference) * (self.weights.shape[0] + 1))

    @property
    def multiply_adds(self) -> int:
        """One a weight."""
        return self.parameters

    def scores(self, features: Singles) -> Singles:
        """Map [N, F] to [N, K]."""
        return features @ self.weights + self.bias
