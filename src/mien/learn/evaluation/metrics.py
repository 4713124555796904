"""Figures of merit, with intervals that know that near-identical pictures are not independent.

Every metric is a pure function `metric(prediction, truth, weights=None)` of arrays [N]. With weights [R, N], how often
each row counts in each of R resamples, it returns R values at once; this is what makes a bootstrap of thousands of rows
take well under a second.

True ages may be known only within bounds: `truth` is then [N, 2], the lowest and the highest age that each face may
have. An answer between them is right as far as the label says; outside, the nearer bound counts.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from mien.native import Record, written

Array = NDArray[Any]
Weights = NDArray[np.floating[Any]] | None

_CELLS = 200_000  # rows x resamples at once: few enough to stay in the cache


class Metric(Protocol):
    """What `bootstrap` takes: a figure of predictions [N] or [N, K] against truth [N]."""

    def __call__(self, prediction: Array, truth: Array, weights: Weights = None, /) -> Any:
        """A number, or one for each row of weights [R, N]."""
        ...


@dataclass(frozen=True, slots=True)
class Interval(Record):
    """A figure with its bootstrap interval; NaN where it is undefined."""

    value: float = field(metadata=written(digits=5))
    low: float = field(metadata=written(digits=5))
    high: float = field(metadata=written(digits=5))

    @classmethod
    def from_dict(cls, record: Mapping[str, float | None]) -> Interval:
        """Reads what `to_dict` wrote."""
        ends = (record["value"], record["low"], record["high"])
        return cls(*(math.nan if end is None else float(end) for end in ends))


def distance(years: Array, ages: Array) -> Array:
    """How many years each answer [N] lies above the true age [N], or outside of its bounds [N, 2]; below 0 if under.

    >>> distance(np.array([25.0, 33.0]), np.array([[20, 29], [40, 49]])).tolist()
    [0.0, -7.0]
    """
    return years - (ages if ages.ndim == 1 else np.clip(years, ages[:, 0], ages[:, 1]))


def mae(years: Array, ages: Array, weights: Weights = None) -> Any:
    """Mean absolute error in years.

    >>> float(mae(np.array([20.0, 33.5]), np.array([21, 33])))
    0.75
    """
    return _mean(np.abs(distance(years, ages)), weights)


def mae_of_middle(years: Array, ages: Array, weights: Weights = None) -> Any:
    """Mean distance from the middle of bounds [N, 2], in years; where bounds are wide, most of it may be their width.

    >>> float(mae_of_middle(np.array([25.0, 33.0]), np.array([[20, 29], [40, 49]])))
    6.0
    """
    return _mean(np.abs(years - (ages if ages.ndim == 1 else ages.mean(axis=1))), weights)


def mse(years: Array, ages: Array, weights: Weights = None) -> Any:
    """Mean squared error, in years squared.

    >>> float(mse(np.array([20.0, 37.0]), np.array([21, 30])))
    25.0
    """
    return _mean(distance(years, ages) ** 2, weights)


def rmse(years: Array, ages: Array, weights: Weights = None) -> Any:
    """Root of the mean squared error, in years.

    >>> float(rmse(np.array([20.0, 37.0]), np.array([21, 30])))
    5.0
    """
    return np.sqrt(mse(years, ages, weights))


def bias(years: Array, ages: Array, weights: Weights = None) -> Any:
    """Mean signed error in years; above 0 where faces are taken for older than they are.

    >>> float(bias(np.array([25.0, 33.0]), np.array([21, 35])))
    1.0
    """
    return _mean(distance(years, ages), weights)


def cs(years: Array, ages: Array, weights: Weights = None, *, k: float = 5) -> Any:
    """Cumulative score: share of faces whose age is missed by at most k years (Geng et al., TPAMI 2007).

    >>> float(cs(np.array([26.0, 41.0]), np.array([21, 35])))
    0.5
    """
    return _mean(np.abs(distance(years, ages)) <= k, weights)


cs5 = partial(cs, k=5)


def coverage(ends: Array, ages: Array, weights: Weights = None) -> Any:
    """Share of ages within their interval [N, 2], ends included; of bounds, of those that the interval reaches into.

    >>> float(coverage(np.array([[18.5, 30.0], [40.0, 44.0]]), np.array([30, 50])))
    0.5
    """
    low, high = (ages, ages) if ages.ndim == 1 else (ages[:, 0], ages[:, 1])
    return _mean((ends[:, 0] <= high) & (low <= ends[:, 1]), weights)


def width(ends: Array, ages: Array, weights: Weights = None) -> Any:
    """Mean width of intervals [N, 2] in years; the ages do not matter.

    >>> float(width(np.array([[18.5, 30.0], [40.0, 44.0]]), np.array([30, 50])))
    7.75
    """
    return _mean(ends[:, 1] - ends[:, 0], weights)


def accuracy(female: Array, is_female: Array, weights: Weights = None) -> Any:
    """Share of right genders; a probability of "female" of at least 0.5 says female.

    >>> float(accuracy(np.array([0.9, 0.4, 0.5, 0.7]), np.array([1, 0, 1, 0])))
    0.75
    """
    return _mean((female >= 0.5) == (is_female > 0), weights)


def precision(female: Array, is_female: Array, weights: Weights = None) -> Any:
    """Share of women among those taken for women; NaN if there are none.

    >>> float(precision(np.array([0.9, 0.4, 0.5, 0.7]), np.array([1, 0, 1, 0])).round(4))
    0.6667
    """
    said, true = female >= 0.5, is_female > 0
    return _ratio(_sum(said & true, weights), _sum(said, weights))


def recall(female: Array, is_female: Array, weights: Weights = None) -> Any:
    """Share of women that are taken for women; NaN if there are none.

    >>> float(recall(np.array([0.9, 0.4, 0.5, 0.7]), np.array([1, 1, 1, 0])).round(4))
    0.6667
    """
    said, true = female >= 0.5, is_female > 0
    return _ratio(_sum(said & true, weights), _sum(true, weights))


def f1(female: Array, is_female: Array, weights: Weights = None) -> Any:
    """Harmonic mean of precision and recall, "female" being the positive class.

    >>> float(f1(np.array([0.9, 0.4, 0.5, 0.7]), np.array([1, 0, 1, 0])))
    0.8
    """
    said, true = female >= 0.5, is_female > 0
    return _ratio(2 * _sum(said & true, weights), _sum(said, weights) + _sum(true, weights))


def auc(female: Array, is_female: Array, weights: Weights = None) -> Any:
    """Area under the ROC curve: how often a woman gets a higher probability than a man; ties count half.

    >>> float(auc(np.array([0.9, 0.4, 0.5, 0.7]), np.array([1, 0, 1, 0])))
    0.75
    """
    order = np.argsort(female, kind="stable")
    if not len(order):
        return _ratio(_sum(female, weights), _sum(female, weights))
    starts = np.flatnonzero(np.diff(female[order], prepend=-np.inf))
    each = np.ones((1, len(order))) if weights is None else weights[:, order]
    women = np.add.reduceat(each * (is_female[order] > 0), starts, axis=1)
    men = np.add.reduceat(each, starts, axis=1) - women
    below = np.cumsum(men, axis=1) - men / 2
    area = _ratio((women * below).sum(axis=1), women.sum(axis=1) * men.sum(axis=1))
    return area[0] if weights is None else area


def ece(female: Array, is_female: Array, weights: Weights = None, *, bins: int = 15) -> Any:
    """Expected calibration error of the gender label's probability, over equal bins (Guo et al., ICML 2017).

    >>> float(ece(np.array([0.9, 0.9, 0.1, 0.1]), np.array([1, 1, 0, 1])).round(4))
    0.15
    """
    confidence = np.maximum(female, 1 - female)
    right = (female >= 0.5) == (is_female > 0)
    at = np.minimum((confidence * bins).astype(np.intp), bins - 1)
    gaps = np.zeros((len(at), bins))
    gaps[np.arange(len(at)), at] = right - confidence
    total = _sum(np.ones(len(at)), weights)
    return _ratio(np.abs(_sum(gaps, weights)).sum(axis=-1), total)


def bootstrap(
    metrics: Mapping[str, Metric],
    prediction: Array,
    truth: Array,
    groups: Array,
    *,
    n: int = 1000,
    seed: int = 0,
    level: float = 0.95,
) -> dict[str, Interval]:
    """Metrics with percentile intervals of a cluster bootstrap (Davison and Hinkley, "Bootstrap Methods", 1997, 3.8).

    Args:
        metrics: by name.
        prediction: [N] or [N, K].
        truth: [N].
        groups: [N] names; rows of one group are drawn together, a row with an empty name on its own.
        n: resamples.
        seed: same seed, same intervals.
        level: share of resamples inside the interval.

    Returns:
        For each name the value on all rows and its interval.
    """
    draws: dict[str, list[Array]] = {name: [] for name in metrics}
    for weights in resamples(groups, n, seed):
        for name, metric in metrics.items():
            draws[name].append(metric(prediction, truth, weights))
    return {name: _interval(metric(prediction, truth), draws[name], level) for name, metric in metrics.items()}


def paired_bootstrap(
    metric: Metric,
    first: Array,
    second: Array,
    truth: Array,
    groups: Array,
    *,
    n: int = 1000,
    seed: int = 0,
    level: float = 0.95,
) -> Interval:
    """How much more the metric is with the second model's predictions than with the first's, on the same rows.

    Both are measured on the same resamples, so that what makes a picture hard for both cancels out.
    """
    draws = [metric(second, truth, w) - metric(first, truth, w) for w in resamples(groups, n, seed)]
    return _interval(metric(second, truth) - metric(first, truth), draws, level)


def resamples(groups: Array, n: int, seed: int) -> Iterator[NDArray[np.float64]]:
    """How often each row counts in each of n resamples of whole groups: arrays [R, N], n rows in all.

    Each resample draws as many groups as there are, with replacement, so its size varies a little with theirs.
    """
    singles = np.flatnonzero(groups == "")
    names, member = np.unique(groups, return_inverse=True)
    member[singles] = len(names) + np.arange(len(singles))
    _, member = np.unique(member, return_inverse=True)
    clusters = int(member.max(initial=-1)) + 1
    rng = np.random.default_rng(seed)
    step = max(1, _CELLS // max(1, len(groups)))
    for start in range(0, n if clusters else 0, step):
        rows = min(step, n - start)
        drawn = rng.integers(clusters, size=(rows, clusters)) + clusters * np.arange(rows)[:, None]
        counts = np.bincount(drawn.ravel(), minlength=rows * clusters).reshape(rows, clusters)
        yield counts[:, member].astype(np.float64)


def _interval(value: Any, draws: list[Array], level: float) -> Interval:
    values = np.concatenate(draws) if draws else np.empty(0)
    values = values[np.isfinite(values)]
    if not len(values) or not np.isfinite(value):
        return Interval(float(value), math.nan, math.nan)
    low, high = np.quantile(values, [(1 - level) / 2, (1 + level) / 2])
    return Interval(float(value), float(low), float(high))


def _sum(values: Array, weights: Weights) -> Any:
    values = values.astype(np.float64)
    return values.sum(axis=0) if weights is None else weights @ values


def _mean(values: Array, weights: Weights) -> Any:
    return _ratio(_sum(values, weights), _sum(np.ones(len(values)), weights))


def _ratio(above: Array, below: Array) -> Any:
    shape = np.broadcast_shapes(np.shape(above), np.shape(below))
    return np.divide(above, below, out=np.full(shape, np.nan), where=np.asarray(below) > 0)
