from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from mien.drawing.faces import _labels, _places, _scaled, draw
from mien.results import Age, Box, Face, Gender, Photo, Quality


def face(box: Box, years: float = 34.0, female: float = 0.98) -> Face:
    return Face(
        box,
        0.9,
        None,
        Age(years, years, max(0.0, years - 7), years + 8, 0.9, ()),
        Gender(female),
        Quality(60, 0.15, None),
    )


def photo(width: int, height: int, *boxes: Box) -> Photo:
    return Photo("x.jpg", "tiny", width, height, tuple(face(box) for box in boxes))


def canvas(width: int, height: int, grey: int = 128) -> NDArray[np.uint8]:
    return np.full((height, width, 3), grey, np.uint8)


def test_a_photo_without_faces_stays_as_it_is() -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (40, 30, 3), dtype=np.uint8)
    np.testing.assert_array_equal(draw(pixels, photo(30, 40)), pixels)


def test_the_picture_given_is_not_changed() -> None:
    pixels = canvas(640, 480)
    pixels.flags.writeable = False
    drawn = draw(pixels, photo(640, 480, Box(200, 150, 300, 280)))
    assert (pixels == 128).all()
    assert drawn.shape == pixels.shape
    assert drawn.dtype == np.uint8


@pytest.mark.parametrize("grey", [0, 128, 255])
def test_frame_and_plate_stand_out_on_any_background(grey: int) -> None:
    drawn = draw(canvas(640, 480, grey), photo(640, 480, Box(200, 150, 300, 280))).astype(int)
    contrast = np.abs(drawn - grey).max(axis=2)
    assert contrast[155:275, 195:205].max(axis=1).min() > 60  # all along the left side
    plate = drawn[100:148, 180:420].max(axis=2)
    assert plate.max() - plate.min() > 150  # bright text on a dark plate, whatever lies below
    assert (contrast[300:] == 0).all()


def test_boxes_are_those_of_the_full_photo() -> None:
    boxed = Box(2000, 1500, 3000, 2800)
    full, reduced = (
        draw(canvas(640, 480), photo(6400, 4800, boxed)),
        draw(canvas(640, 480), photo(640, 480, Box(200, 150, 300, 280))),
    )
    np.testing.assert_array_equal(full, reduced)


def test_a_stamp_is_enlarged_to_carry_its_label() -> None:
    assert draw(canvas(48, 60), photo(48, 60, Box(10, 10, 30, 36))).shape == (450, 360, 3)
    assert draw(canvas(4, 4000), photo(4, 4000, Box(0, 0, 4, 5))).shape == (4000, 4, 3)


def test_plates_of_neighbours_do_not_overlap() -> None:
    boxes = [Box(100 + 110 * i, 200, 190 + 110 * i, 310) for i in range(8)]
    pictures = photo(1000, 600, *boxes)
    from PIL import Image

    picture = Image.fromarray(canvas(1000, 600))
    labels = _labels(pictures.faces, boxes, [(255, 255, 255)] * 8, picture)
    corners = list(_places(labels, boxes, picture.size, 3))
    plates = [Box(x, y, x + label.width, y + label.height) for label, (x, y) in zip(labels, corners, strict=True)]
    for i, one in enumerate(plates):
        assert one.left >= 0
        assert one.right <= 1000
        for other in plates[:i]:
            assert (
                one.right <= other.left or other.right <= one.left or one.bottom <= other.top or other.bottom <= one.top
            )


numbers = st.floats(-50, 500, allow_nan=False)


@settings(max_examples=40, deadline=None)
@given(
    st.integers(1, 300),
    st.integers(1, 300),
    st.lists(st.tuples(numbers, numbers, st.floats(0, 300), st.floats(0, 300)), max_size=6),
    st.floats(0.2, 1),
)
def test_any_boxes_can_be_drawn(width: int, height: int, corners: list[tuple[float, ...]], scale: float) -> None:
    boxes = [_scaled(Box(x, y, x + w, y + h), 1 / scale) for x, y, w, h in corners]
    drawn = draw(canvas(width, height), photo(round(width / scale) or 1, round(height / scale) or 1, *boxes))
    assert drawn.dtype == np.uint8
    assert drawn.shape[0] >= height
    assert drawn.shape[1] >= width
