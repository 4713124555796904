"""Which box of this frame is the face of which box before: constant motion, overlap and distance.

A few lines of our own, in the manner of SORT (Bewley et al., "Simple Online and Realtime Tracking", ICIP 2016) without
its Kalman filter: norfair 2.3.0 holds numpy below 2 and builds filterpy from source, supervision 0.31 brings scipy,
matplotlib and PyAV, trackers 2.6 also OpenCV 5. No appearance is compared, so no embedding of a face ever exists.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

from mien.errors import UsageError
from mien.results import Box

POSITION_GAIN, VELOCITY_GAIN, SIZE_GAIN = 0.85, 0.4, 0.5
"""Shares of what was not foreseen that go into position, velocity and size (an alpha-beta filter)."""

COAST = 0.7
"""Seconds of its motion that a face which is not seen goes on at most: people stop and turn."""

MOST_GROWTH = 2.0
"""A box does not become a box of more than so many times its side, or less than that part of it."""


@dataclass(frozen=True, slots=True)
class TrackerOptions:
    """Options of the tracker.

    Attributes:
        birth: so many frames in a row must show a face before it is a track: false faces flicker.
        survive: seconds that a track outlasts its face being hidden.
        nearness: least `nearness` of a box to where its track was expected.
    """

    birth: int = 3
    survive: float = 1.0
    nearness: float = 0.0

    def __post_init__(self) -> None:
        if self.birth < 1:
            raise UsageError(f"a track is born after 1 frame or more, not {self.birth}", option="birth")
        if not (math.isfinite(self.survive) and self.survive >= 0):
            raise UsageError(f"the seconds a track survives must be 0 or more, not {self.survive}", option="survive")
        if not -1 <= self.nearness < 1:
            raise UsageError(f"the least nearness must lie between -1 and 1, not {self.nearness}")


@dataclass(eq=False, slots=True)
class Path:
    """The path of one face through the frames.

    Attributes:
        number: of the track, from 1 in the order of birth; None before it is born.
        hits: frames that showed it.
        first: index and seconds of the first of them.
        last: of the latest.
    """

    first: tuple[int, float]
    last: tuple[int, float]
    centre: tuple[float, float]
    size: tuple[float, float]
    velocity: tuple[float, float] = (0.0, 0.0)
    hits: int = 1
    number: int | None = None

    def expected(self, seconds: float) -> Box:
        """The expected box at a time, in pixels."""
        ahead = COAST * -math.expm1(-(seconds - self.last[1]) / COAST)
        x, y = (at + speed * ahead for at, speed in zip(self.centre, self.velocity, strict=True))
        width, height = self.size
        return Box(x - width / 2, y - height / 2, x + width / 2, y + height / 2)

    def see(self, box: Box, index: int, seconds: float) -> None:
        """Its face is seen in this box."""
        elapsed = max(seconds - self.last[1], 1e-6)
        foreseen = _centre(self.expected(seconds))
        missed = [now - then for now, then in zip(_centre(box), foreseen, strict=True)]
        self.centre = (foreseen[0] + POSITION_GAIN * missed[0], foreseen[1] + POSITION_GAIN * missed[1])
        gain = VELOCITY_GAIN / elapsed
        self.velocity = (self.velocity[0] + gain * missed[0], self.velocity[1] + gain * missed[1])
        width, height = self.size
        self.size = (width + SIZE_GAIN * (box.width - width), height + SIZE_GAIN * (box.height - height))
        self.last = (index, seconds)
        self.hits += 1


@dataclass(slots=True)
class Tracker:
    """Follows boxes through frames; holds what is open now and nothing of the past.

    Attributes:
        options: how.
        born: how many tracks there were so far.
        open: tracks that are or may be still in view, and candidates.
    """

    options: TrackerOptions = field(default_factory=TrackerOptions)
    born: int = 0
    open: list[Path] = field(default_factory=list)

    def update(self, boxes: Sequence[Box], index: int, seconds: float) -> tuple[list[Path], list[Path]]:
        """Take the boxes of one frame.

        Args:
            boxes: of the faces found, in any order.
            index: of the frame.
            seconds: its time, later than that of the frame before.

        Returns:
            The path of each box, and the tracks that ended before this frame, in the order of birth.
        """
        pairs = self._paired(boxes, seconds)
        seen = []
        for position, box in enumerate(boxes):
            path = pairs.get(position)
            if path is None:
                path = Path((index, seconds), (index, seconds), _centre(box), (box.width, box.height))
                self.open.append(path)
            else:
                path.see(box, index, seconds)
            if path.number is None and path.hits >= self.options.birth:
                self.born += 1
                path.number = self.born
            seen.append(path)
        ended = [path for path in self.open if path.number is not None and self._lost(path, index, seconds)]
        self.open = [path for path in self.open if not self._lost(path, index, seconds)]
        return seen, sorted(ended, key=_number)

    def close(self) -> list[Path]:
        """End all tracks, in the order of birth."""
        ended = [path for path in self.open if path.number is not None]
        self.open = []
        return sorted(ended, key=_number)

    def _lost(self, path: Path, index: int, seconds: float) -> bool:
        """A candidate must be seen in each frame, a track within its time."""
        if path.last[0] == index:
            return False
        return path.number is None or seconds - path.last[1] > self.options.survive

    def _paired(self, boxes: Sequence[Box], seconds: float) -> dict[int, Path]:
        """Tracks before candidates, and of each the nearest pair first, which is hardly worse than the best sum."""
        offers = []
        for order, path in enumerate(self.open):
            expected = path.expected(seconds)
            for position, box in enumerate(boxes):
                near = nearness(expected, box)
                if near >= self.options.nearness and _alike(expected, box):
                    offers.append((path.number is None, -near, order, position))
        pairs: dict[int, Path] = {}
        taken: set[int] = set()
        for _, _, order, position in sorted(offers):
            if order not in taken and position not in pairs:
                taken.add(order)
                pairs[position] = self.open[order]
        return pairs


def nearness(a: Box, b: Box) -> float:
    """Overlap over union, less the squared distance of the centres over the squared diagonal of the box around both.

    1 for equal boxes, towards -1 the further apart; unlike the overlap alone it still tells near from far where boxes
    do not touch (Zheng et al., "Distance-IoU Loss", AAAI 2020).

    >>> nearness(Box(0, 0, 10, 10), Box(0, 0, 10, 10))
    1.0
    >>> round(nearness(Box(0, 0, 10, 10), Box(20, 0, 30, 10)), 2)
    -0.4
    """
    width = max(0.0, min(a.right, b.right) - max(a.left, b.left))
    height = max(0.0, min(a.bottom, b.bottom) - max(a.top, b.top))
    union = a.width * a.height + b.width * b.height - width * height
    diagonal = math.hypot(max(a.right, b.right) - min(a.left, b.left), max(a.bottom, b.bottom) - min(a.top, b.top))
    if union <= 0 or diagonal <= 0:
        return -1.0
    return width * height / union - (math.dist(_centre(a), _centre(b)) / diagonal) ** 2


def _alike(a: Box, b: Box) -> bool:
    sides = sorted(math.sqrt(max(0.0, box.width * box.height)) for box in (a, b))
    return sides[1] <= MOST_GROWTH * sides[0]


def _centre(box: Box) -> tuple[float, float]:
    return (box.left + box.right) / 2, (box.top + box.bottom) / 2


def _number(path: Path) -> int:
    return path.number or 0
