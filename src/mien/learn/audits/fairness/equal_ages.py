"""Figures of a group as if its faces had the ages of everybody: direct standardisation over age bands.

Groups of one collection differ in age, and ages differ in difficulty: babies are easy, old people are hard. A group's
faces are weighted so that each age band has the share that it has among all measured faces. A band in which the group
has fewer than `CELL` faces is joined with its neighbours, so that nobody stands for hundreds; within joined bands the
ages may still differ. After the post-stratification of surveys (Holt and Smith, JRSS A 1979).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mien.arrays import Codes, Doubles
from mien.learn.audits.groups import span
from mien.learn.evaluation.evaluate import BANDS

CELL = 5
"""Fewest faces of a group in an age band that may stand for that band."""


@dataclass(frozen=True)
class AgeMix:
    """Weights that give some faces the age mix of the whole.

    Attributes:
        member: [N] class of each face of the whole among the joined bands, -1 where its age is unknown.
        shares: [C] of the classes in the whole.
        joined: names of the classes of more than one band.
    """

    member: Codes
    shares: Doubles
    joined: tuple[str, ...]

    @classmethod
    def of(cls, rows: NDArray[np.bool_], bands: Codes) -> AgeMix:
        """For a group's rows [N], given the bands [N] of all; bands that nobody at all is in play no part."""
        whole = np.bincount(bands[bands >= 0], minlength=len(BANDS))
        kept = np.flatnonzero(whole)
        own = np.bincount(bands[rows & (bands >= 0)], minlength=len(BANDS))[kept]
        classes = [kept[first : last + 1] for first, last in joined(own.tolist(), CELL)]
        lookup = np.full(len(BANDS) + 1, -1, np.intp)  # the last one is for bands of -1
        for at, part in enumerate(classes):
            lookup[part] = at
        shares = np.array([whole[part].sum() / whole.sum() for part in classes])
        return cls(lookup[bands], shares, tuple(span(part[0], part[-1]) for part in classes if len(part) > 1))

    def effective(self, rows: NDArray[np.bool_]) -> float:
        """How many equally weighted faces those of a group are worth (Kish, "Survey Sampling", 1965).

        Args:
            rows: [N], the group's; 0 if it has nobody in some class.
        """
        counts = np.bincount(self.member[rows & (self.member >= 0)], minlength=len(self.shares))
        return float(1 / (self.shares**2 / counts).sum()) if len(counts) and counts.all() else 0.0

    def weigh(self, weights: Doubles, at: Codes) -> Doubles:
        """Turn weights so that each class has its share.

        Args:
            weights: [R, n], how often each face counts in each resample.
            at: [n] rows of these faces in the whole, of known age.

        Returns:
            [R, n]; a class that a resample has lost leaves its share to the others.
        """
        member = self.member[at]
        totals = weights @ np.eye(len(self.shares))[member]
        each = np.divide(self.shares, totals, out=np.zeros_like(totals), where=totals > 0)
        weighed: Doubles = weights * each[:, member]
        return weighed


def joined(counts: Sequence[int], least: int) -> list[tuple[int, int]]:
    """First and last band of classes of neighbours that hold at least so many faces each, or one class of all bands.

    >>> joined([3, 7, 20, 2, 1], 5), joined([1, 1], 5)
    ([(0, 1), (2, 4)], [(0, 1)])
    """
    classes: list[tuple[int, int]] = []
    start = total = 0
    for at, count in enumerate(counts):
        total += count
        if total >= least:
            classes.append((start, at))
            start, total = at + 1, 0
    if start < len(counts):
        classes[-1:] = [(classes[-1][0] if classes else 0, len(counts) - 1)]
    return classes
