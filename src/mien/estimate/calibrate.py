"""From a raw age distribution to one that can be trusted: temperatures, point estimates, conformal intervals.

Ages are whole years and class `k` is centred on the label `k`: its mass is spread evenly over `[k - 0.5, k + 0.5]`. The
expectation and the median are therefore on the scale of the labels and may be compared with them directly.

Temperatures follow Guo et al., "On Calibration of Modern Neural Networks" (ICML 2017). Intervals follow split conformal
prediction (Lei et al., "Distribution-Free Predictive Inference for Regression", JASA 2018). They take the likeliest
ages first, which makes them the shortest ones (highest density regions: Hyndman, The American Statistician, 1996): the
score of an age is the mass of the likelier ages and half its own. They are Mondrian (Vovk et al., "Algorithmic Learning
in a Random World", 2005, 4.5): each band of estimated ages has its own masses, and so have faces that are too small,
blurred or turned. `mien.learn.evaluation.calibration_fit` learns all of it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mien.arrays import Doubles, Floats
from mien.errors import ModelError
from mien.native import Record

OLDEST = 116
AGES = OLDEST + 1

_EDGES = np.arange(AGES + 1) - 0.5
FLOOR = 1e-30

Pairs = tuple[tuple[float, float], ...]


@dataclass(frozen=True, slots=True)
class Band:
    """Faces of about one estimated age, whose intervals are learned by themselves.

    Attributes:
        first: expected age in years from which on a face belongs here; the next band ends it.
        masses: as in `Calibration`.
    """

    first: float
    masses: Pairs


@dataclass(frozen=True, slots=True)
class Calibration(Record):
    """Calibration of a model, learned on held-out faces: temperatures and masses of intervals.

    Attributes:
        age_temperature: the age distribution becomes `p ** (1 / T)`, normalised; above 1 it widens.
        gender_temperature: divides the log-odds of "female".
        masses: pairs (level, mass): the likeliest ages that hold `mass` of the distribution hold the true age of a
            share `level` of faces. Ascending; between the pairs, and to (0, 0) and (1, 1), linear.
        bands: the same for faces of about one estimated age, in ascending order; a face below the first of them, or any
            face where there are none, takes the masses above.
        doubtful: the same for faces of poor quality (see `mien.estimate.quality`); they take the larger of this mass
            and their band's. Empty where it was never learned.
    """

    age_temperature: float
    gender_temperature: float
    masses: Pairs
    bands: tuple[Band, ...] = ()
    doubtful: Pairs = ()

    @classmethod
    def identity(cls) -> Calibration:
        """Takes the model at its word."""
        return cls(1.0, 1.0, ())

    @classmethod
    def from_dict(cls, record: Mapping[str, Any]) -> Calibration:
        """The calibration that a record of `to_dict` describes.

        Raises:
            ModelError: where a field is absent or impossible.
        """
        try:
            age, gender = float(record["age_temperature"]), float(record["gender_temperature"])
            pairs = _pairs(record["masses"])
            bands = tuple(Band(float(b["first"]), _pairs(b["masses"])) for b in record.get("bands", ()))
            doubtful = _pairs(record.get("doubtful", ()))
        except (AttributeError, KeyError, TypeError, ValueError, OverflowError) as error:
            raise ModelError(f"the calibration of the model is malformed: {error!r:.200}") from error
        if not all(math.isfinite(t) and t > 0 for t in (age, gender)):
            raise ModelError(f"the temperatures of the model's calibration must be above 0: {age}, {gender}")
        for table in (pairs, doubtful, *(band.masses for band in bands)):
            grid = [(0.0, 0.0), *table, (1.0, 1.0)]
            if not all(below[0] < above[0] and below[1] <= above[1] for below, above in pairwise(grid)):
                raise ModelError("the levels and masses of the model's calibration must ascend within 0 to 1")
        if not (
            all(math.isfinite(band.first) for band in bands)
            and all(below.first < above.first for below, above in pairwise(bands))
        ):
            raise ModelError("the age bands of the model's calibration must ascend")
        return cls(age, gender, pairs, bands, doubtful)

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
            ages = np.exp(log_softmax(np.log(np.maximum(ages, FLOOR)) / self.age_temperature))
        genders = np.asarray(female, np.float64)
        if self.gender_temperature != 1.0:
            genders = _sigmoid(logit(genders) / self.gender_temperature)
        return ages.astype(np.float32), genders.astype(np.float32)

    def mass(self, level: float) -> float:
        """Mass of the interval that holds the true age of a share `level` of all faces.

        >>> Calibration(1.0, 1.0, ((0.8, 0.7), (0.9, 0.84))).mass(0.9)
        0.84
        """
        return _read(self.masses, level)

    def masses_for(self, level: float, years: Doubles, doubtful: NDArray[np.bool_] | None = None) -> Doubles:
        """Masses that the intervals of single faces must hold, [N].

        Args:
            level: share of faces whose true age the interval is to hold.
            years: [N] their expected ages.
            doubtful: [N] whether a face is of poor quality; None: none of them.

        Returns:
            [N] masses.
        """
        tables = [self.masses, *(band.masses for band in self.bands)]
        rows = np.searchsorted([band.first for band in self.bands], years, side="right")
        masses: Doubles = np.array([_read(table, level) for table in tables])[rows]
        if doubtful is not None and self.doubtful:
            masses = np.where(doubtful, np.maximum(masses, _read(self.doubtful, level)), masses)
        return masses


def interval(pmf: Floats, level: float, calibration: Calibration) -> tuple[float, float]:
    """Ages between which the true one lies with probability `level`.

    Args:
        pmf: [117] distribution, already scaled by the calibration's temperature.
        level: share of faces whose true age the interval is to hold, above 0 and below 1.
        calibration: says how much of the distribution that takes.

    Returns:
        Lower and upper end in years, within 0 to 116.
    """
    low, high = intervals(np.asarray(pmf)[None], level, calibration)
    return float(low[0]), float(high[0])


def intervals(
    pmf: Floats, level: float, calibration: Calibration, doubtful: NDArray[np.bool_] | None = None
) -> tuple[Doubles, Doubles]:
    """Vector form of `interval`: [N, 117] -> two arrays [N]; `doubtful` [N] marks faces of poor quality."""
    if not 0 < level < 1:
        raise ValueError(f"the level of an interval lies between 0 and 1, not {level}")
    years = expectation(pmf)
    mass = calibration.masses_for(level, years, doubtful)
    inside = _score_of_each_age(pmf) <= mass[:, None]
    low, high = inside.argmax(axis=1), OLDEST - inside[:, ::-1].argmax(axis=1)
    some = inside.any(axis=1)
    return np.minimum(np.where(some, low, years), years), np.maximum(np.where(some, high, years), years)


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
    cdf = cumulative(pmf)
    middle: Doubles = (_quantile(cdf, 0.5, last=False) + _quantile(cdf, 0.5, last=True)) / 2
    return middle


def scores(pmf: Floats, ages: NDArray[Any]) -> Doubles:
    """Conformal scores [N]: mass of the ages likelier than the true one, and half its own.

    The true age lies inside `interval(pmf, level, calibration)` where its score is at most the mass that the
    calibration has for this face; it may also lie between two separate regions that the interval spans.
    """
    rows, labels = np.arange(len(ages)), np.asarray(ages).astype(np.intp)
    picked: Doubles = _score_of_each_age(pmf)[rows, labels]
    return picked


def _score_of_each_age(pmf: Floats) -> Doubles:
    """[N, 117] -> [N, 117]: the mass of all likelier ages, and half of the age's own."""
    mass = np.asarray(pmf, np.float64) @ _SMOOTHING
    mass /= mass.sum(axis=1, keepdims=True)
    order = np.argsort(-mass, axis=1, kind="stable")
    ordered = np.take_along_axis(mass, order, axis=1)
    out = np.empty_like(mass)
    np.put_along_axis(out, order, np.cumsum(ordered, axis=1) - ordered / 2, axis=1)
    return np.minimum(out, 1.0)  # what rounding adds would keep ages out of an interval of all the mass


def _smoothing() -> Doubles:
    """[117, 117] kernel: stated ages are themselves a guess and heap at round numbers, the more the older the face."""
    years = np.arange(AGES)
    spread = np.clip(0.1 * years, 0.05, 3.0)[:, None]
    weights = np.exp(-0.5 * ((years - years[:, None]) / spread) ** 2)
    kernel: Doubles = weights / weights.sum(axis=1, keepdims=True)
    return kernel


def cumulative(pmf: Floats) -> Doubles:
    """[N, 117] -> [N, 118]: the distribution function at the edges of the years, from exactly 0 to exactly 1."""
    cdf = np.zeros((len(pmf), AGES + 1))
    np.cumsum(pmf, axis=1, dtype=np.float64, out=cdf[:, 1:])
    cdf /= cdf[:, -1:]
    return cdf


def _quantile(cdf: Doubles, q: float, *, last: bool) -> Doubles:
    """The first (or last) age [N] where each distribution function equals q, within 0 to 116.

    The two differ where no mass lies between two ages.
    """
    before = cdf <= q if last else cdf < q
    right = np.clip(before.sum(axis=1), 1, AGES)
    rows = np.arange(len(cdf))
    below, above = cdf[rows, right - 1], cdf[rows, right]
    step = above - below
    share = np.divide(q - below, step, out=np.full(len(cdf), float(last)), where=step > 0)
    ages: Doubles = np.clip(_EDGES[right - 1] + np.clip(share, 0.0, 1.0), 0.0, float(OLDEST))
    return ages


def log_softmax(logits: Doubles) -> Doubles:
    """Logarithm of the softmax over the last axis."""
    shifted = logits - logits.max(axis=-1, keepdims=True)
    out: Doubles = shifted - np.log(np.exp(shifted).sum(axis=-1, keepdims=True))
    return out


def logit(probability: Doubles) -> Doubles:
    """Log-odds of a probability, finite even at 0 and 1."""
    inside = np.clip(probability, 1e-7, 1 - 1e-7)
    out: Doubles = np.log(inside) - np.log1p(-inside)
    return out


def _sigmoid(log_odds: Doubles) -> Doubles:
    out: Doubles = 0.5 * (1 + np.tanh(log_odds / 2))
    return out


def _read(table: Pairs, level: float) -> float:
    levels, masses = zip((0.0, 0.0), *table, (1.0, 1.0), strict=True)
    return float(np.interp(level, levels, masses))


def _pairs(record: Any) -> Pairs:
    return tuple((float(level), float(mass)) for level, mass in record)


_SMOOTHING = _smoothing()
