from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mien.errors import UsageError
from mien.results import Box
from mien.video.tracker import Tracker, TrackerOptions, nearness

RATE = 25.0
coordinates = st.floats(0, 500, allow_nan=False)
boxes = st.builds(
    lambda x, y, w, h: Box(x, y, x + w, y + h), coordinates, coordinates, st.floats(1, 200), st.floats(1, 200)
)


def at(x: float, y: float, side: float = 50.0) -> Box:
    return Box(x - side / 2, y - side / 2, x + side / 2, y + side / 2)


def numbers(tracker: Tracker, found: list[Box], index: int) -> list[int | None]:
    return [path.number for path in tracker.update(found, index, index / RATE)[0]]


def test_a_track_is_born_after_some_frames() -> None:
    tracker = Tracker(TrackerOptions(birth=3))
    assert [numbers(tracker, [at(100, 100)], index) for index in range(4)] == [[None], [None], [1], [1]]
    assert tracker.born == 1


def test_a_flicker_is_no_track() -> None:
    tracker = Tracker(TrackerOptions(birth=3))
    for index in range(30):
        assert numbers(tracker, [at(100, 100)] if index % 3 else [], index) in ([], [None])
    assert tracker.close() == []


def test_a_track_outlasts_being_hidden_but_not_for_ever() -> None:
    tracker = Tracker(TrackerOptions(survive=1.0))
    for index in range(10):
        numbers(tracker, [at(100 + 4 * index, 100)], index)
    for index in range(10, 25):
        assert tracker.update([], index, index / RATE) == ([], [])
    assert numbers(tracker, [at(190, 100)], 25) == [1]
    for index in range(26, 51):
        assert tracker.update([], index, index / RATE)[1] == []
    ended = tracker.update([], 51, 51 / RATE)[1]
    assert [(path.number, path.first, path.last, path.hits) for path in ended] == [(1, (0, 0.0), (25, 1.0), 11)]
    assert tracker.open == []


def test_a_rate_slower_than_survival_still_follows() -> None:
    tracker = Tracker(TrackerOptions(birth=1, survive=0.5))
    assert [tracker.update([at(100, 100)], index, 2.0 * index)[0][0].number for index in range(4)] == [1, 1, 1, 1]


@pytest.mark.parametrize("speed", [2.0, 6.0, 12.0])
def test_faces_that_pass_each_other_keep_their_numbers(speed: float) -> None:
    rng = np.random.default_rng(1)
    tracker = Tracker()
    for index in range(round(400 / speed)):
        jitter = rng.normal(0, 1.0, 4)
        left = at(100 + speed * index + jitter[0], 200 + jitter[1])
        right = at(500 - speed * index + jitter[2], 225 + jitter[3])  # their boxes overlap by half as they pass
        found = [left, right] if index % 2 else [right, left]
        seen = numbers(tracker, found, index)
        if index >= 2:
            assert seen == ([2, 1] if index % 2 else [1, 2])


def test_one_hides_the_other_as_they_pass() -> None:
    tracker = Tracker()
    for index in range(100):
        left, right = at(100 + 4 * index, 200), at(500 - 4 * index, 210)
        hidden = nearness(left, right) > 0.3
        seen = numbers(tracker, [left] if hidden else [left, right], index)
        if index >= 2:
            assert seen == [1] if hidden else [1, 2]


def test_a_face_elsewhere_is_another() -> None:
    tracker = Tracker(TrackerOptions(birth=1))
    assert numbers(tracker, [at(100, 100)], 0) == [1]
    assert numbers(tracker, [at(400, 100)], 1) == [2]
    assert numbers(tracker, [at(400, 100, side=150)], 2) == [3]  # nobody comes so near in one frame


def test_numbers_go_on_from_an_earlier_run() -> None:
    assert numbers(Tracker(TrackerOptions(birth=1), born=7), [at(1, 1)], 0) == [8]


def test_closing_ends_all_tracks_in_order() -> None:
    tracker = Tracker(TrackerOptions(birth=1))
    tracker.update([at(100 * place, 50) for place in range(1, 4)], 0, 0.0)
    assert [path.number for path in tracker.close()] == [1, 2, 3]
    assert tracker.close() == []


@given(st.lists(st.lists(boxes, max_size=6), max_size=12))
@settings(deadline=None)
def test_each_box_has_one_path_and_each_path_one_box(frames: list[list[Box]]) -> None:
    tracker = Tracker(TrackerOptions(birth=2, survive=0.1))
    ended: list[int | None] = []
    for index, found in enumerate(frames):
        paths, over = tracker.update(found, index, index / RATE)
        assert len(paths) == len({id(path) for path in paths}) == len(found)
        assert all(path.last == (index, index / RATE) for path in paths)
        ended += [path.number for path in over]
    ended += [path.number for path in tracker.close()]
    assert sorted(number or 0 for number in ended) == list(range(1, tracker.born + 1))  # each ends once


@given(boxes, boxes)
def test_nearness_is_symmetric_and_best_for_equals(a: Box, b: Box) -> None:
    assert nearness(a, b) == pytest.approx(nearness(b, a))
    assert -1 <= nearness(a, b) <= nearness(a, a) + 1e-9
    assert math.isclose(nearness(a, a), 1.0, rel_tol=1e-6)


@pytest.mark.parametrize("wrong", [{"birth": 0}, {"survive": -1.0}, {"survive": math.inf}, {"nearness": 1.0}])
def test_impossible_options(wrong: dict[str, float]) -> None:
    with pytest.raises(UsageError):
        TrackerOptions(**wrong)  # type: ignore[arg-type]
