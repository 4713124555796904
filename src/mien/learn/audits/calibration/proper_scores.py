"""How good probabilities are in themselves: scores that only the truth makes best (Gneiting and Raftery, JASA 2007).

Figures of genders are metrics as in `mien.learn.evaluation.metrics`; those of ages are given face by face.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from mien.arrays import Doubles
from mien.estimate.calibrate import AGES, cumulative
from mien.learn.evaluation.metrics import Array, Weights

LEAST = 1e-7
"""A probability below this counts as this, so that one mistake of a certain model is not worth infinitely many."""


def brier(female: Array, is_female: Array, weights: Weights = None) -> Any:
    """Mean squared error of the probability of "female" (Brier, Monthly Weather Review, 1950); 0 is best.

    >>> float(brier(np.array([0.9, 0.4]), np.array([1, 0])).round(4))
    0.085
    """
    return mean((female - (is_female > 0)) ** 2, weights)


def log_loss(female: Array, is_female: Array, weights: Weights = None) -> Any:
    """Mean negative logarithm of the probability of the labelled gender; 0 is best, 0.69 is a coin.

    >>> float(log_loss(np.array([0.5, 0.5]), np.array([1, 0])).round(4))
    0.6931
    """
    given = np.where(is_female > 0, female, 1 - female)
    return mean(-np.log(np.clip(given, LEAST, 1)), weights)


def crps(pmf: Array, ages: Array) -> Doubles:
    """Continuous ranked probability score of each age distribution, in years; 0 is best.

    It is the absolute error where all the mass lies on one age, and less where doubt was in place (Gneiting and
    Raftery, JASA 2007, 4.2).

    Args:
        pmf: [N, 117].
        ages: [N] whole years.

    >>> pmf = np.zeros((2, 117)); pmf[0, 30] = 1; pmf[1, [25, 35]] = 0.5
    >>> crps(pmf, np.array([33, 35])).tolist()
    [3.0, 2.5]
    """
    reached = np.arange(AGES) >= np.asarray(ages)[:, None]
    score: Doubles = ((cumulative(pmf)[:, 1:] - reached) ** 2).sum(axis=1)
    return score


def pit(pmf: Array, ages: Array, bins: int = 10) -> Doubles:
    """Where in its distribution each true age lies: shares [N, bins] of equal slices of the mass, young to old.

    The mass of the true age itself spreads over the slices it covers (the non-randomised probability integral
    transform: Czado, Gneiting and Held, Biometrics 2009). An honest model has the same mean in each slice; a mean that
    is high at both ends tells of too narrow distributions, in the middle of too wide ones.

    Args:
        pmf: [N, 117].
        ages: [N] whole years.
        bins: number of slices.

    >>> pit(np.full((1, 117), 1 / 117), np.array([0]), 3).round(4).tolist()
    [[1.0, 0.0, 0.0]]
    """
    rows, label = np.arange(len(ages)), np.asarray(ages).astype(np.intp)
    cdf = cumulative(pmf)
    below, above = cdf[rows, label][:, None], cdf[rows, label + 1][:, None]
    edges = np.linspace(0, 1, bins + 1)
    step = above - below
    reached = np.divide(edges - below, step, out=(edges > below).astype(np.float64), where=step > 0).clip(0, 1)
    reached[:, 0], reached[:, -1] = 0, 1
    shares: Doubles = np.diff(reached, axis=1)
    return shares


def mean(values: Array, weights: Weights = None) -> Any:
    """Mean of values [N], or one for each row of weights [R, N]; NaN of none."""
    values = np.asarray(values, np.float64)
    above, below = (values.sum(), len(values)) if weights is None else (weights @ values, weights.sum(axis=1))
    return np.divide(above, below, out=np.full(np.shape(above), np.nan), where=np.asarray(below) > 0)
