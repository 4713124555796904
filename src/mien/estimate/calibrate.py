"""From a raw age distribution to one that can be trusted: temperatures, point estimates, conformal intervals.

Ages are whole years and class `k` is centred on the label `k`: its mass is spread evenly over `[k - 0.5, k + 0.5]`. The
expectation, the median and the ends of an interval are therefore on the scale of the labels and may be compared with
them directly, and the cumulative distribution at a label is `F(k) = p_0 + ... + p_(k-1) + p_k / 2`.

Temperatures follow Guo et al., "On Calibration of Modern Neural Networks" (ICML 2017). Intervals follow split conformal
prediction (Lei et al., "Distribution-Free Predictive Inference for Regression", JASA 2018) with the score
`|2 F(y) - 1|`, the mass of the smallest central interval that reaches the true age `y`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mien.errors import ModelError

OLDEST = 116
AGES = OLDEST + 1
LEVELS = (0.5, 0.6, 0.7, 0.75, 0.8, 0.85, 0.9, 0.925, 0.95, 0.975, 0.99)

_EDGES = np.arange(AGES + 1) - 0.5
_FLOOR = 1e-30
_TEMPERATURES = (0.05, 20.0)

Floats = NDArray[np.floating[Any]]
Doubles = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Calibration:
    """What a model learned on held-out faces about its own confidence.

    Attributes:
        age_temperature: the age distribution becomes `p ** (1 / T)`, normalised; above 1 it widens.
        gender_temperature: divides the log-odds of "female".
        central_mass: pairs (level, mass): the central interval that holds `mass` of the distribution holds the true age
            of a share `level` of faces. Ascending; between the pairs, and to (0, 0) and (1, 1), linear.
    """

    age_temperature: float
    gender_temperature: float
    central_mass: tuple[tuple[float, float], ...]

    @classmethod
    def identity(cls) -> Calibration:
        """Takes the model at its word."""
        return cls(1.0, 1.0, ())

    @classmethod
    def from_dict(cls, record: Mapping[str, Any]) -> Calibration:
        """Reads what `to_dict` wrote.

        Raises:
            ModelError: where a field is absent or impossible.
        """
        try:
            age, gender = float(record["age_temperature"]), float(record["gender_temperature"])
            pairs = tuple((float(level), float(mass)) for level, mass in record["central_mass"])
        except (KeyError, TypeError, ValueError) as error:
            raise ModelError(f"the calibration of the model is malformed: {error!r}") from error
        if not all(math.isfinite(t) and t > 0 for t in (age, gender)):
            raise ModelError(f"the temperatures of the model's calibration must be above 0: {age}, {gender}")
        grid = [(0.0, 0.0), *pairs, (1.0, 1.0)]
        if not all(below[0] < above[0] and below[1] <= above[1] for below, above in pairwise(grid)):
            raise ModelError("the levels and masses of the model's calibration must ascend within 0 to 1")
        return cls(age, gender, pairs)

    def to_dict(self) -> dict[str, Any]:
        """Native types for config.json."""
        return {
            "age_temperature": self.age_temperature,
            "gender_temperature": self.gender_temperature,
            "central_mass": [list(pair) for pair in self.central_mass],
        }

    def apply(self, pmf: Floats, female: Floats) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Scales raw outputs by the two temperatures.

        Args:
            pmf: [..., 117] age distributions.
            female: [...] probabilities of "female".

        Returns:
            Both, calibrated, in the shapes given. Neither the most likely age nor the gender label changes.
        """
        ages = np.asarray(pmf, np.float64)
        if self.age_temperature != 1.0:
            ages = np.exp(_log_softmax(np.log(np.maximum(ages, _FLOOR)) / self.age_temperature))
        genders = np.asarray(female, np.float64)
        if self.gender_temperature != 1.0:
            genders = _sigmoid(_logit(genders) / self.gender_temperature)
        return ages.astype(np.float32), genders.astype(np.float32)

    def mass(self, level: float) -> float:
        """Mass of the central interval that holds the true age of a share `level` of faces.

        >>> Calibration(1.0, 1.0, ((0.8, 0.7), (0.9, 0.84))).mass(0.9)
        0.84
        """
        levels, masses = zip((0.0, 0.0), *self.central_mass, (1.0, 1.0), strict=True)
        return float(np.interp(level, levels, masses))


def interval(pmf: Floats, level: float, calibration: Calibration) -> tuple[float, float]:
    """Ages between which the true one lies with probability `level`.

    Args:
        pmf: [117] distribution, already scaled by the calibration's temperature.
        level: share of faces whose true age the interval is to hold, above 0 and below 1.
        calibration: its `mass` says how much of the distribution that takes.

    Returns:
        Lower and upper end in years, within 0 to 116.
    """
    low, high = intervals(np.asarray(pmf)[None], level, calibration)
    return float(low[0]), float(high[0])


def intervals(pmf: Floats, level: float, calibration: Calibration) -> tuple[Doubles, Doubles]:
    """Vector form of `interval`: [N, 117] -> two arrays [N]."""
    if not 0 < level < 1:
        raise ValueError(f"the level of an interval lies between 0 and 1, not {level}")
    mass = calibration.mass(level)
    cdf = _cumulative(pmf)
    return _quantile(cdf, (1 - mass) / 2, last=False), _quantile(cdf, (1 + mass) / 2, last=True)


def summarise(pmf: Floats) -> tuple[float, float]:
    """Point estimates of one distribution [117].

    Returns:
        Expectation and median, in years.
    """
    batch = np.asarray(pmf)[None]
    return float(expectation(batch)[0]), float(median(batch)[0])


def expectation(pmf: Floats) -> Doubles:
    """Mean ages [N] of distributions [N, 117]: the estimate with the least squared error."""
    mass = np.asarray(pmf, np.float64)
    years: Doubles = mass @ np.arange(AGES) / mass.sum(axis=1)
    return years


def median(pmf: Floats) -> Doubles:
    """Median ages [N] of distributions [N, 117]: the estimate with the least absolute error."""
    cdf = _cumulative(pmf)
    middle: Doubles = (_quantile(cdf, 0.5, last=False) + _quantile(cdf, 0.5, last=True)) / 2
    return middle


def scores(pmf: Floats, ages: NDArray[Any]) -> Doubles:
    """Conformal scores [N]: mass of the smallest central interval of each [117] distribution that reaches its age.

    The true age lies inside `interval(pmf, level, calibration)` exactly where its score is at most
    `calibration.mass(level)`.
    """
    rows, labels = np.arange(len(ages)), np.asarray(ages).astype(np.intp)
    cdf = _cumulative(pmf)
    at_label = (cdf[rows, labels] + cdf[rows, labels + 1]) / 2
    return np.abs(2 * at_label - 1)


def fit(pmf: Floats, female: Floats, ages: NDArray[Any], is_female: NDArray[Any]) -> Calibration:
    """Learns a calibration from faces that the model was not trained on.

    The temperatures minimise the negative log likelihood. Then the masses are finite-sample quantiles of the scores,
    rank `ceil((n + 1) * level)` of `n`. One temperature learned from the same faces does not disturb them noticeably.

    Args:
        pmf: [N, 117] raw age distributions.
        female: [N] raw probabilities of "female".
        ages: [N] true ages in whole years, NaN where unknown.
        is_female: [N] 1 female, 0 male, below 0 unknown.

    Returns:
        The calibration; a part without any label stays as the model has it.
    """
    ages, is_female = np.asarray(ages, np.float64), np.asarray(is_female)
    known, gendered = np.isfinite(ages), is_female >= 0
    age_temperature = gender_temperature = 1.0
    masses: tuple[tuple[float, float], ...] = ()
    if gendered.any():
        log_odds = _logit(np.asarray(female, np.float64)[gendered]) * np.where(is_female[gendered] > 0, 1, -1)
        gender_temperature = _temperature(lambda t: float(np.logaddexp(0, -log_odds / t).mean()))
    if known.any():
        logs = np.log(np.maximum(np.asarray(pmf, np.float64)[known], _FLOOR))
        label = ages[known].astype(np.intp)
        rows = np.arange(len(label))
        age_temperature = _temperature(lambda t: -float(_log_softmax(logs / t)[rows, label].mean()))
        ordered = np.sort(scores(np.exp(_log_softmax(logs / age_temperature)), ages[known]))
        masses = tuple((level, _conformal_quantile(ordered, level)) for level in LEVELS)
    return Calibration(age_temperature, gender_temperature, masses)


def _conformal_quantile(ordered: Doubles, level: float) -> float:
    """The ceil((n + 1) level)-th smallest score; 1 (every age) where so few faces cannot warrant the level."""
    rank = math.ceil((len(ordered) + 1) * level)
    return 1.0 if rank > len(ordered) else float(ordered[rank - 1])


def _cumulative(pmf: Floats) -> Doubles:
    """[N, 117] -> [N, 118]: the distribution function at the edges of the years, from exactly 0 to exactly 1."""
    cdf = np.zeros((len(pmf), AGES + 1))
    np.cumsum(pmf, axis=1, dtype=np.float64, out=cdf[:, 1:])
    cdf /= cdf[:, -1:]
    return cdf


def _quantile(cdf: Doubles, q: float, *, last: bool) -> Doubles:
    """The first (or last) age [N] where each distribution function equals q, within 0 to 116.

    The two differ where no mass lies between two ages; an interval takes the outer one on either side, so that it holds
    exactly the ages whose score is at most its mass.
    """
    before = cdf <= q if last else cdf < q
    right = np.clip(before.sum(axis=1), 1, AGES)
    rows = np.arange(len(cdf))
    below, above = cdf[rows, right - 1], cdf[rows, right]
    step = above - below
    share = np.divide(q - below, step, out=np.full(len(cdf), float(last)), where=step > 0)
    ages: Doubles = np.clip(_EDGES[right - 1] + np.clip(share, 0.0, 1.0), 0.0, float(OLDEST))
    return ages


def _temperature(loss: Callable[[float], float]) -> float:
    """Minimiser of a loss that is convex in 1 / T, by golden-section search over log T."""
    ratio = (math.sqrt(5) - 1) / 2
    low, high = map(math.log, _TEMPERATURES)
    while high - low > 1e-4:
        left, right = high - ratio * (high - low), low + ratio * (high - low)
        if loss(math.exp(left)) < loss(math.exp(right)):
            high = right
        else:
            low = left
    return round(math.exp((low + high) / 2), 4)


def _log_softmax(logits: Doubles) -> Doubles:
    shifted = logits - logits.max(axis=-1, keepdims=True)
    out: Doubles = shifted - np.log(np.exp(shifted).sum(axis=-1, keepdims=True))
    return out


def _logit(probability: Doubles) -> Doubles:
    inside = np.clip(probability, 1e-7, 1 - 1e-7)
    out: Doubles = np.log(inside) - np.log1p(-inside)
    return out


def _sigmoid(log_odds: Doubles) -> Doubles:
    out: Doubles = 0.5 * (1 + np.tanh(log_odds / 2))
    return out
