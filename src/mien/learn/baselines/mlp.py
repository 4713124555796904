"""A shallow multi-layer perceptron on the pixels of a small chip: one hidden layer, scikit-learn's."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from sklearn.neural_network import MLPClassifier

from mien.arrays import Singles
from mien.learn.baselines.grey_chips import PixelFeatures
from mien.learn.baselines.method import Candidate, Labels, Linear


@dataclass(frozen=True)
class _Layers:
    """A hidden layer of rectified units, then a linear one."""

    hidden: Linear
    output: Linear

    @property
    def parameters(self) -> int:
        return self.hidden.weights.size + self.hidden.bias.size + self.output.parameters

    @property
    def multiply_adds(self) -> int:
        return self.parameters

    def scores(self, features: Singles) -> Singles:
        return self.output.scores(np.maximum(self.hidden.scores(features), 0))


@dataclass(frozen=True)
class MlpPixels(PixelFeatures):
    """One hidden layer on standardised pixels; its width and its epochs are chosen.

    Attributes:
        size: side of the chips.
        widths: units of the hidden layer, tried in this order.
        epochs: most of them; each is a point of the grid.
        decay: L2 penalty.
        rate: first learning rate of Adam.
    """

    title: ClassVar[str] = "Shallow MLP on pixels"
    choices: ClassVar[tuple[str, ...]] = (
        "32 x 32 grey pixels, each chip with mean 0 and standard deviation 1",
        "one hidden layer of rectified units, Adam, cross-entropy; stopped at its best epoch on the validation fold",
        "the age is the expectation over the 24 classes",
    )

    size: int = 32
    widths: tuple[int, ...] = (64, 256)
    epochs: int = 25
    decay: float = 1e-2
    rate: float = 5e-4

    def grid(self, features: Singles, labels: Labels, seed: int) -> Iterator[Candidate]:
        """The network after each epoch, for each width."""
        classes = np.unique(labels)
        for width in self.widths:
            chance = np.random.RandomState(seed)  # an object, not a number: else each epoch has the same order
            net = MLPClassifier((width,), alpha=self.decay, learning_rate_init=self.rate, random_state=chance)
            for epoch in range(1, self.epochs + 1):
                net.partial_fit(features, labels, classes=classes)
                (first, second), (bias, last) = net.coefs_, net.intercepts_
                layers = _Layers(Linear(first.copy(), bias.copy()), Linear.of(second.T.copy(), last.copy()))
                yield Candidate({"hidden": width, "epochs": epoch}, layers)
