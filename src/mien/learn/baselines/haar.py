"""Haar-like features: differences of the mean grey of neighbouring rectangles, through the integral image.

Papageorgiou, Oren and Poggio, "A general framework for object detection" (ICCV 1998); Viola and Jones, "Rapid object
detection using a boosted cascade of simple features" (CVPR 2001).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mien.arrays import Singles
from mien.learn.baselines.grey_chips import FLAT
from mien.learn.baselines.method import Grey

Numbers = NDArray[np.intp]

KINDS: tuple[tuple[tuple[int, ...], ...], ...] = (
    ((1, -1),),
    ((1,), (-1,)),
    ((1, -2, 1),),
    ((1,), (-2,), (1,)),
    ((1, -1), (-1, 1)),
)
"""Weights of equal rectangles, by rows: two beside each other, two stacked, three, three stacked, a chequerboard.

They add up to 0, so that a flat chip has no features."""

AT_ONCE = 256
"""Chips whose integral images and features are in work at a time."""


@dataclass(frozen=True)
class HaarFeatures:
    """A list of F features of chips of one size.

    Attributes:
        size: side of the chips.
        kind: index into `KINDS`, [F].
        top: row of the upper left corner, [F].
        left: its column, [F].
        height: of one rectangle, [F].
        width: of one rectangle, [F].
    """

    size: int
    kind: Numbers
    top: Numbers
    left: Numbers
    height: Numbers
    width: Numbers

    def __len__(self) -> int:
        return len(self.kind)

    @classmethod
    def draw(cls, count: int, size: int, seed: int) -> HaarFeatures:
        """Draw features: first the kind, then the height and width of a rectangle, then the place, each uniformly.

        A longer draw with the same seed begins with the shorter one. Features are alike if they agree in all; those
        drawn before are drawn anew.
        """
        rng = np.random.default_rng(seed)
        drawn: dict[tuple[int, int, int, int, int], None] = {}  # in order
        while len(drawn) < count:
            kind = int(rng.integers(len(KINDS)))
            down, across = len(KINDS[kind]), len(KINDS[kind][0])
            height, width = int(rng.integers(1, size // down + 1)), int(rng.integers(1, size // across + 1))
            top = int(rng.integers(size - down * height + 1))
            left = int(rng.integers(size - across * width + 1))
            drawn[kind, top, left, height, width] = None
        return cls(size, *np.array(list(drawn), dtype=np.intp).reshape(-1, 5).T)

    def __call__(self, grey: Grey) -> Singles:
        """Map grey chips [N, S, S] to features [N, F].

        A feature is the weighted sum of the rectangles' mean greys over the standard deviation of the chip's grey, the
        normalisation for light of Viola and Jones.
        """
        values = np.empty((len(grey), len(self)), np.float32)
        for start in range(0, len(grey), AT_ONCE):
            part = slice(start, start + AT_ONCE)
            self._fill(values[part], grey[part])
        return values

    def _fill(self, values: Singles, grey: Grey) -> None:
        table = integral(grey).reshape(len(grey), -1)
        scale = 1 / np.maximum(grey.std(axis=(1, 2), dtype=np.float32), FLAT)
        for number, rows in enumerate(KINDS):
            of_kind = np.flatnonzero(self.kind == number)
            total = np.zeros((len(grey), len(of_kind)), np.float32)
            for (down, across), weight in corners(rows):
                place = (self.top + down * self.height) * (self.size + 1) + self.left + across * self.width
                total += weight * table[:, place[of_kind]]
            area = (self.height * self.width)[of_kind].astype(np.float32)
            values[:, of_kind] = total / area * scale[:, None]


def integral(grey: Grey) -> Singles:
    """Sums of all pixels above and to the left, [N, S + 1, S + 1]; exact in float32 for chips below 256 pixels."""
    table = np.zeros((len(grey), grey.shape[1] + 1, grey.shape[2] + 1), np.float32)
    table[:, 1:, 1:] = grey.cumsum(axis=1, dtype=np.int32).cumsum(axis=2, dtype=np.int32)
    return table


def corners(rows: tuple[tuple[int, ...], ...]) -> list[tuple[tuple[int, int], int]]:
    """Weights of the integral image at the corners of rectangles with these weights; corners without any left out.

    >>> corners(((1, -1),))
    [((0, 0), 1), ((0, 1), -2), ((0, 2), 1), ((1, 0), -1), ((1, 1), 2), ((1, 2), -1)]
    """
    around = np.pad(np.array(rows), 1)
    weights = np.diff(np.diff(around, axis=0), axis=1)
    return [((int(i), int(j)), int(weights[i, j])) for i, j in np.argwhere(weights)]
