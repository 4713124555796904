"""Where the labels of boxes go, on a picture and on the page: `service/static/js/plates.js` does the same.

Each takes the place above, below or inside its own frame that covers least of others. In a crowd where those are all
taken it moves away from its frame, step by step, until it covers no other label.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from operator import itemgetter

from mien.results import Box

_OVER_LABEL, _OVER_FACE, _PER_PLACE, _PER_STEP = 8.0, 2.0, 0.01, 0.2
_STEPS = 6
"""How many half labels a label may move away to each side."""

_second = itemgetter(1)


def places(
    labels: Sequence[tuple[float, float]], boxes: Sequence[Box], size: tuple[float, float], gap: float
) -> list[Box]:
    """The places of labels.

    Args:
        labels: width and height of each.
        boxes: the frame of each, in the same units.
        size: width and height of the picture, which no label leaves unless it is larger.
        gap: between a frame and a label above or below it.

    Returns:
        For each label the box that it takes; corners are whole numbers apart from the label's own size.
    """
    placed: list[Box] = []
    for mine, (label, box) in enumerate(zip(labels, boxes, strict=True)):
        others = [other for index, other in enumerate(boxes) if index != mine]
        near = [
            (plate, (_cost(plate, placed, others) + shared(plate, box)) / _area(plate) + reluctance)
            for plate, reluctance in _near(label, box, size, gap)
        ]
        best = min(near, key=_second)[0]
        if _overlaps(best, placed):
            further = [
                (plate, _cost(plate, placed, others) / _area(plate) + reluctance)
                for plate, reluctance in _further(label, box, size)
            ]
            free = [place for place in (*near, *further) if not _overlaps(place[0], placed)]
            best = min(free, key=_second)[0] if free else best
        placed.append(best)
    return placed


def shared(a: Box, b: Box) -> float:
    """Area that two boxes have in common.

    >>> shared(Box(0, 0, 4, 4), Box(2, 3, 9, 9)), shared(Box(0, 0, 1, 1), Box(1, 0, 2, 1))
    (2, 0.0)
    """
    width = min(a.right, b.right) - max(a.left, b.left)
    height = min(a.bottom, b.bottom) - max(a.top, b.top)
    return width * height if width > 0 and height > 0 else 0.0


def _near(label: tuple[float, float], box: Box, size: tuple[float, float], gap: float) -> Iterator[tuple[Box, float]]:
    """Above, below and inside the frame, flush with its left side, in its middle, flush with its right side."""
    width, height = label
    columns = (box.left, (box.left + box.right - width) / 2, box.right - width)
    rows = (box.top - height - gap, box.bottom + gap, box.bottom - height - gap, box.top + gap)
    for preference, (top, left) in enumerate((top, left) for top in rows for left in columns):
        yield _within(left, top, label, size), _PER_PLACE * preference


def _further(label: tuple[float, float], box: Box, size: tuple[float, float]) -> Iterator[tuple[Box, float]]:
    """Around the middle of the frame, by half labels."""
    width, height = label
    x, y = (box.left + box.right - width) / 2, (box.top + box.bottom - height) / 2
    for down in range(-_STEPS, _STEPS + 1):
        for right in range(-_STEPS, _STEPS + 1):
            plate = _within(x + right * width / 2, y + down * height / 2, label, size)
            yield plate, _PER_STEP * (abs(right) + abs(down))


def _within(left: float, top: float, label: tuple[float, float], size: tuple[float, float]) -> Box:
    x, y = (
        max(0.0, min(float(math.floor(edge + 0.5)), whole - mine))
        for edge, whole, mine in zip((left, top), size, label, strict=True)
    )
    return Box(x, y, x + label[0], y + label[1])


def _overlaps(plate: Box, placed: Sequence[Box]) -> bool:
    return any(shared(plate, other) > 0 for other in placed)


def _cost(plate: Box, placed: Sequence[Box], others: Sequence[Box]) -> float:
    return _OVER_LABEL * _common(plate, placed) + _OVER_FACE * _common(plate, others)


def _common(plate: Box, others: Sequence[Box]) -> float:
    total = 0.0
    for other in others:  # added one by one as on the page, where `sum` would round less
        total += shared(plate, other)
    return total


def _area(plate: Box) -> float:
    return max(plate.width * plate.height, 1e-9)
