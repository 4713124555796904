"""Where the names of points stand in a drawing: beside their point where there is room, else further off on a line."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

Box = tuple[float, float, float, float]
"""Left, top, right, bottom."""

Spot = tuple[float, float]

LETTER, HEIGHT, DOT = 6.4, 13.0, 6.5
"""Pixels: mean width of a letter, height of a line, half of what a dot takes up."""

_FAR = (0.0, 9.0, 18.0, 30.0, 44.0, 60.0, 80.0, 104.0)
_TURNS = 24
_STEP = 3.0
_OVER_LINE, _LINE_OVER_BOX = 40.0, 70.0


@dataclass(frozen=True, slots=True)
class PlacedName:
    """A placed name: the left end and middle of its line, and the end of a line from the point where it is far."""

    left: float
    middle: float
    leader: Spot | None


def place(points: Sequence[Spot], names: Sequence[str], bounds: Box) -> list[PlacedName | None]:
    """Place names one after the other, so the first ones have the best places.

    Args:
        points: centres of the dots.
        names: of the points.
        bounds: that no name may leave.

    Returns:
        For each point its label, None where none fits.
    """
    boxes: list[Box] = [(x - DOT, y - DOT, x + DOT, y + DOT) for x, y in points]
    lines: list[Spot] = []
    placed: list[PlacedName | None] = []
    for point, name in zip(points, names, strict=True):
        found = _best(point, _width(name), bounds, boxes, lines)
        placed.append(found)
        if found is not None:
            boxes.append(_box(found, _width(name)))
            lines += _along(point, found.leader)
    return placed


def _width(name: str) -> float:
    """Of a name; the few pixels more are for a short one of wide letters."""
    return LETTER * len(name) + 4


def _best(point: Spot, width: float, bounds: Box, boxes: Sequence[Box], lines: Sequence[Spot]) -> PlacedName | None:
    """The cheapest place; one over a dot or another name is none."""
    cheapest, best = math.inf, None
    for far in _FAR:
        if far > cheapest:
            break
        for turn in range(_TURNS):
            label, slant = _at(point, width, far, 2 * math.pi * turn / _TURNS)
            box = _box(label, width)
            inside = bounds[0] <= box[0] and bounds[1] <= box[1] and box[2] <= bounds[2] and box[3] <= bounds[3]
            if not inside or any(_meet(box, other) for other in boxes):
                continue
            cost = far + slant + _OVER_LINE * any(_holds(box, spot) for spot in lines)
            way = [spot for spot in _along(point, label.leader) if math.dist(spot, point) > DOT + _STEP]
            cost += _LINE_OVER_BOX * sum(any(_holds(other, spot) for spot in way) for other in boxes)
            if cost < cheapest:
                cheapest, best = cost, label
    return best


def _at(point: Spot, width: float, far: float, angle: float) -> tuple[PlacedName, float]:
    """The label in a direction, and what it costs to stand there: right is best, then left, then above and below."""
    across, up = math.cos(angle), math.sin(angle)
    x = point[0] + across * (DOT + 2 + far) + width / 2 * max(-1.0, min(1.0, 1.5 * across))
    y = point[1] + up * (DOT + far) + HEIGHT / 2 * up
    label = PlacedName(x - width / 2, y, None)
    box = _box(label, width)
    end = (min(max(point[0], box[0]), box[2]), min(max(point[1], y - 2), y + 2))
    leader = end if math.dist(end, point) > DOT + 8 else None
    return PlacedName(label.left, label.middle, leader), 4 * (1 - across) / 2 + 4 * abs(up)


def _box(label: PlacedName, width: float) -> Box:
    return (label.left, label.middle - HEIGHT / 2, label.left + width, label.middle + HEIGHT / 2)


def _meet(one: Box, other: Box) -> bool:
    return one[0] < other[2] and other[0] < one[2] and one[1] < other[3] and other[1] < one[3]


def _holds(box: Box, spot: Spot) -> bool:
    return box[0] <= spot[0] <= box[2] and box[1] <= spot[1] <= box[3]


def _along(point: Spot, end: Spot | None) -> list[Spot]:
    """Spots on the line from a point to the end of its leader."""
    if end is None:
        return []
    steps = max(1, int(math.dist(point, end) / _STEP))
    return [
        (point[0] + (end[0] - point[0]) * at / steps, point[1] + (end[1] - point[1]) * at / steps)
        for at in range(steps + 1)
    ]
