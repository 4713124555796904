"""LBP histograms and a linear support vector machine.

Ojala, Pietikäinen and Mäenpää, "Multiresolution gray-scale and rotation invariant texture classification with local
binary patterns" (TPAMI 2002); histograms over a grid of cells as in Ahonen, Hadid and Pietikäinen, "Face description
with local binary patterns: application to face recognition" (TPAMI 2006).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from skimage.feature import local_binary_pattern
from sklearn.linear_model import SGDClassifier
from sklearn.svm import LinearSVC

from mien.arrays import Singles
from mien.learn.baselines.method import Candidate, Grey, Labels, Linear

POINTS, RADIUS = 8, 1
PATTERNS = POINTS * (POINTS - 1) + 3
"""58 uniform patterns of eight points, and one label for all others."""


@dataclass(frozen=True)
class LbpSvm:
    """Histograms of uniform patterns in each cell of a grid, their roots fed to a linear SVM.

    Attributes:
        size: side of the chips.
        cells: of the grid, along each side.
        costs: C of the gender SVM, tried in this order.
        penalties: alpha of the age SVM, likewise; C is about 1 / (alpha N).
        epochs: of the age SVM's descent.
    """

    title: ClassVar[str] = "LBP histograms + linear SVM"
    choices: ClassVar[tuple[str, ...]] = (
        "uniform patterns (8 points, radius 1, not rotation invariant: 59 labels) in 7 x 7 cells, as Ahonen et al.",
        "square roots of the histograms: the linear SVM then has the Hellinger kernel",
        "gender: LinearSVC; age: 24 one-against-rest SVMs with hinge loss, by averaged stochastic descent, which "
        "takes a fraction of LinearSVC's time",
        "the age is the expectation over the classes, whose probabilities are a scaled softmax of the margins",
    )

    size: int = 112
    cells: int = 7
    costs: tuple[float, ...] = (0.003, 0.01, 0.03, 0.1)
    penalties: tuple[float, ...] = (3e-3, 1e-3, 3e-4, 1e-4)
    epochs: int = 5

    @property
    def multiply_adds(self) -> int:
        """Four diagonal neighbours of each pixel are interpolated from four pixels."""
        return 4 * 4 * self.size**2

    def features(self, grey: Grey) -> Singles:
        """Map grey chips [N, S, S] to roots of relative frequencies [N, cells x cells x 59]."""
        side = np.arange(self.size) * self.cells // self.size
        first = (side[:, None] * self.cells + side) * PATTERNS  # label 0 of each pixel's cell, [S, S]
        bins = self.cells**2 * PATTERNS
        counts = np.empty((len(grey), bins), np.float32)
        for row, chip in zip(counts, grey, strict=True):
            patterns = local_binary_pattern(chip, POINTS, RADIUS, "nri_uniform")  # type: ignore[no-untyped-call]
            row[:] = np.bincount((first + patterns.astype(np.intp)).ravel(), minlength=bins)
        pixels = np.bincount(first.ravel() // PATTERNS)  # of each cell
        return np.sqrt(counts / np.repeat(pixels, PATTERNS).astype(np.float32))

    def grid(self, features: Singles, labels: Labels, seed: int) -> Iterator[Candidate]:
        """One SVM for each cost, the most regularised first."""
        if labels.max() == 1:
            for cost in self.costs:
                svm = LinearSVC(C=cost, dual=True, tol=1e-2, random_state=seed)
                yield Candidate({"C": cost}, Linear.fitted(svm, features, labels))
        else:
            for alpha in self.penalties:
                svm = SGDClassifier(
                    loss="hinge", alpha=alpha, max_iter=self.epochs, tol=None, average=True, random_state=seed
                )
                yield Candidate({"alpha": alpha}, Linear.fitted(svm, features, labels))
