"""Averages over all views of one face: age distributions and genders, weighted by the quality of each view."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from mien.estimate.calibrate import AGES, Calibration, expectation, intervals, median
from mien.estimate.quality import DULLEST, SMALLEST
from mien.results import Age, Face, Gender, Quality

FLAGGED = 0.2
"""A view that is small, blurred or turned counts so much of what it would for each of these flags."""

LEAST_WEIGHT = 0.001


def weight(quality: Quality) -> float:
    """Weight of a view, above 0 to 1: 1 is frontal, sharp and of twice the size at which a face is "small".

    >>> weight(Quality(eyes=40, sharpness=0.4, turn=0.0))
    1.0
    >>> weight(Quality(eyes=40, sharpness=0.4, turn=60.0, flags=("turned",)))
    0.05
    """
    size = min(1.0, quality.eyes / (2 * SMALLEST))
    detail = min(1.0, quality.sharpness / (2 * DULLEST))
    facing = math.cos(math.radians(min(90.0, abs(quality.turn or 0.0)))) ** 2
    return max(LEAST_WEIGHT, round(size * detail * facing * FLAGGED ** len(quality.flags), 6))


@dataclass(slots=True)
class Average:
    """The views of one track, added up; its size does not grow with their number.

    The distributions are mixed, not multiplied: the errors of a model on the views of one person are much alike, so a
    hundred of them are no hundred independent witnesses, and the average must not become surer than its parts.

    Attributes:
        views: how many.
    """

    views: int = 0
    _weight: float = 0.0
    _pmf: NDArray[np.float64] = field(default_factory=lambda: np.zeros(AGES))
    _female: float = 0.0
    _flagged: float = 0.0

    def add(self, face: Face) -> None:
        """Take one view."""
        share = weight(face.quality)
        self.views += 1
        self._weight += share
        self._pmf += share * np.asarray(face.age.pmf)
        self._female += share * face.gender.female
        self._flagged += share * bool(face.quality.flags)

    @property
    def quality(self) -> float:
        """Mean weight of the views, 0 to 1."""
        return self._weight / self.views if self.views else 0.0

    def age(self, level: float, calibration: Calibration) -> Age:
        """The averaged age, its interval wide where most of the weight lies on poor views."""
        pmf = (self._pmf / self._weight)[None]
        low, high = intervals(pmf, level, calibration, np.array([2 * self._flagged > self._weight]))
        years, middle = float(expectation(pmf)[0]), float(median(pmf)[0])
        return Age(years, middle, float(low[0]), float(high[0]), level, tuple(pmf[0].tolist()))

    def gender(self, abstain: float) -> Gender:
        """The averaged gender, "uncertain" where its probability is below `abstain`."""
        return Gender(min(1.0, self._female / self._weight), abstain)
