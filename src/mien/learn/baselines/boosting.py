"""Haar-like features and boosting: of thousands of candidate features, each stump takes the one that helps most.

Viola and Jones, "Rapid object detection using a boosted cascade of simple features" (CVPR 2001); gradient boosting
(Friedman, "Greedy function approximation: a gradient boosting machine", Annals of Statistics 2001) takes the place of
AdaBoost, since scikit-learn's sorts all candidates anew each round, which takes hours here.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, ClassVar, TypeAlias

import numpy as np
from numpy.typing import NDArray
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor

from mien.arrays import Singles
from mien.learn.baselines.haar import HaarFeatures
from mien.learn.baselines.method import Candidate, Grey, Labels
from mien.native import UNWRITTEN

Booster: TypeAlias = HistGradientBoostingClassifier | HistGradientBoostingRegressor


@dataclass(frozen=True)
class _Boosted:
    """Trees on some columns of the features."""

    trees: HistGradientBoostingClassifier
    columns: NDArray[np.intp]

    @property
    def parameters(self) -> int:
        """Of each node a feature and a threshold, of each leaf a value."""
        return int(sum(np.where(nodes["is_leaf"], 1, 2).sum() for nodes in _nodes(self.trees)))

    @property
    def multiply_adds(self) -> int:
        """One a tree, the sum; comparisons are not counted."""
        return len(_nodes(self.trees))

    def scores(self, features: Singles) -> Singles:
        said = self.trees.decision_function(features[:, self.columns]).astype(np.float32)
        return said if said.ndim == 2 else np.column_stack([np.zeros_like(said), said])


@dataclass(frozen=True)
class HaarBoost:
    """Boosted stumps for gender; for age boosted stumps that select features, then boosted trees on these.

    Attributes:
        size: side of the chips.
        counts: candidate features, tried in this order; the fewer are the first of the more.
        draw: seed of the candidates.
        rounds: stumps boosted for gender, each a point of the grid; the last also boosts those that select for age.
        class_rounds: likewise of the age classes; each round has a tree a class.
        leaves: of those trees.
        rate: each stump's share, the learning rate.
        class_rate: likewise of the trees of the age classes.
        penalty: L2 on what a leaf says; without it the trees of rare age classes diverge.
    """

    title: ClassVar[str] = "Haar-like features + boosting"
    choices: ClassVar[tuple[str, ...]] = (
        "candidates drawn by a fixed rule from the five kinds of Viola and Jones, at all places and sizes of 64 x 64",
        "gradient boosting with logistic loss in place of AdaBoost: the same stumps, hundreds of times faster",
        "gender: stumps choose among all candidates; age: stumps that regress the class select features, and trees "
        "with a few leaves learn the 24 classes on these",
        "the age is the expectation over the classes",
    )

    size: int = 64
    counts: tuple[int, ...] = (2000, 4000)
    draw: int = 0
    rounds: tuple[int, ...] = (100, 200, 400)
    class_rounds: tuple[int, ...] = (60, 120)
    leaves: int = 4
    rate: float = 0.2
    class_rate: float = 0.1
    penalty: float = 1.0
    _haar: HaarFeatures = field(init=False, repr=False, compare=False, metadata=UNWRITTEN)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_haar", HaarFeatures.draw(max(self.counts), self.size, self.draw))

    @property
    def multiply_adds(self) -> int:
        """The integral image, then about seven corners a candidate."""
        return self.size**2 + 7 * len(self._haar)

    def features(self, grey: Grey) -> Singles:
        """Map grey chips [N, S, S] to all candidate features [N, F]."""
        return self._haar(grey)

    def grid(self, features: Singles, labels: Labels, seed: int) -> Iterator[Candidate]:
        """Some numbers of rounds on each number of candidates."""
        for count in self.counts:
            columns = np.arange(count)
            rounds, leaves, rate = self.rounds, 2, self.rate
            if labels.max() > 1:
                selecting = self._boost(HistGradientBoostingRegressor, max(self.rounds), 2, self.rate, seed)
                selected = _used(selecting.fit(features[:, :count], labels))
                columns = selected if len(selected) else columns  # too few faces for any stump
                rounds, leaves, rate = self.class_rounds, self.leaves, self.class_rate
            trees = self._boost(HistGradientBoostingClassifier, max(rounds), leaves, rate, seed)
            trees.fit(features[:, columns], labels)
            for number in rounds:
                first = _first_rounds(trees, number)
                settings = {"candidates": count, "rounds": number, "used": len(_used(first))}
                yield Candidate(settings, _Boosted(first, columns))

    def _boost(self, kind: type[Booster], rounds: int, leaves: int, rate: float, seed: int) -> Any:
        return kind(
            learning_rate=rate,
            max_iter=rounds,
            max_leaf_nodes=leaves,
            l2_regularization=self.penalty,
            max_bins=63,
            early_stopping=False,
            random_state=seed,
        )


def _nodes(trees: Booster) -> list[NDArray[Any]]:
    """The nodes of each tree. scikit-learn has no public way to them; a test guards this one."""
    return [tree.nodes for round_ in trees._predictors for tree in round_]


def _used(trees: Booster) -> NDArray[np.intp]:
    """The features that some node asks for, ascending."""
    asked = [nodes["feature_idx"][nodes["is_leaf"] == 0] for nodes in _nodes(trees)]
    return np.unique(np.concatenate(asked)).astype(np.intp)


def _first_rounds(trees: HistGradientBoostingClassifier, rounds: int) -> HistGradientBoostingClassifier:
    """The same boosting, stopped earlier."""
    shorter = copy.copy(trees)
    shorter._predictors = trees._predictors[:rounds]
    return shorter
