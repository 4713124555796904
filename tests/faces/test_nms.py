"""Suppression at once must answer as suppression one by one."""

from __future__ import annotations

from typing import Literal

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mien.faces.nms import suppress

How = Literal["union", "smaller"]
Corners = list[float]


def one_by_one(boxes: list[Corners], scores: list[float], threshold: float, how: How) -> list[int]:
    """The textbook's loop."""
    left = sorted(range(len(scores)), key=lambda k: (-scores[k], k))
    kept: list[int] = []
    while left:
        best = left.pop(0)
        kept.append(best)
        left = [k for k in left if overlap(boxes[best], boxes[k], how) <= threshold]
    return kept


def overlap(a: Corners, b: Corners, how: How) -> float:
    width = max(0, min(a[2], b[2]) - max(a[0], b[0]))
    height = max(0, min(a[3], b[3]) - max(a[1], b[1]))
    areas = [(box[2] - box[0]) * (box[3] - box[1]) for box in (a, b)]
    shared = width * height
    return shared / (min(areas) if how == "smaller" else sum(areas) - shared)


corner, length = st.integers(0, 30), st.integers(1, 20)
candidates = st.lists(st.tuples(corner, corner, length, length, st.sampled_from([0.2, 0.5, 0.7])), max_size=25)


@settings(deadline=None)
@given(candidates, st.sampled_from([0.0, 0.3, 0.45, 0.71]), st.sampled_from(["union", "smaller"]))
def test_answers_as_the_loop_does(
    candidates: list[tuple[int, int, int, int, float]], threshold: float, how: How
) -> None:
    boxes = np.array([(x, y, x + w, y + h) for x, y, w, h, _ in candidates], np.float32).reshape(-1, 4)
    scores = np.array([row[4] for row in candidates], np.float32)
    assert suppress(boxes, scores, threshold, how).tolist() == one_by_one(
        boxes.tolist(), scores.tolist(), threshold, how
    )


def test_a_suppressed_box_suppresses_nothing() -> None:
    chain = np.array([(0, 0, 10, 10), (4, 0, 14, 10), (8, 0, 18, 10)], np.float32)
    assert suppress(chain, np.array([0.9, 0.8, 0.7], np.float32), 0.3).tolist() == [0, 2]


@pytest.mark.parametrize(("how", "stay"), [("union", [0, 1]), ("smaller", [0])])
def test_a_nested_box_goes_only_relative_to_the_smaller(how: How, stay: list[int]) -> None:
    nested = np.array([(0, 0, 40, 40), (10, 10, 20, 20)], np.float32)
    assert suppress(nested, np.array([0.9, 0.8], np.float32), 0.5, how).tolist() == stay
