"""Labels of boxes: the page lays them out alike (tests/service/test_page.py)."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from mien.drawing.plates import places, shared
from mien.results import Box


def test_a_label_stands_above_its_frame_where_there_is_room() -> None:
    assert places([(60, 20)], [Box(100, 100, 180, 200)], (400, 300), 5) == [Box(100, 75, 160, 95)]


def test_a_crowd_of_forty_has_no_label_over_another() -> None:
    boxes = [Box(40 * x + 5, 40 * y + 5, 40 * x + 35, 40 * y + 38) for y in range(5) for x in range(8)]
    found = places([(50, 18)] * 40, boxes, (320, 300), 3)
    assert not any(shared(one, other) for at, one in enumerate(found) for other in found[:at])


@given(
    st.lists(
        st.tuples(st.integers(-20, 320), st.integers(-20, 220), st.integers(5, 90), st.integers(5, 90)), max_size=9
    ),
    st.integers(10, 100),
)
def test_no_label_leaves_the_picture(corners: list[tuple[int, int, int, int]], width: int) -> None:
    boxes = [Box(x, y, x + wide, y + high) for x, y, wide, high in corners]
    for label in places([(width, 20)] * len(boxes), boxes, (300, 200), 4):
        assert label.left >= 0
        assert label.top >= 0
        assert label.right <= 300
        assert label.bottom <= 200
        assert (label.width, label.height) == (width, 20)
