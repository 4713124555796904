"""At which size and in which turn photos are searched."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image

from mien.faces import Detection, create
from mien.looking import Rotation, rotated, see, smallest, turned_back
from mien.photos import DecodeOptions, from_array
from mien.photos.decode import Picture
from mien.results import Box

RED, GREEN, BLUE = (200, 0, 0), (0, 200, 0), (0, 0, 200)


class Patches:
    """Finds red squares over blue ones, heads over shoulders, upright only; a green corner makes it unsure."""

    name: ClassVar[str] = "patches"
    aligned: ClassVar[bool] = False
    sure: ClassVar[float] = 0.9

    def __init__(self) -> None:
        self.looks: list[tuple[tuple[int, ...], float | None]] = []

    def detect(self, pixels: NDArray[np.uint8], min_face: float | None = None) -> list[Detection]:
        self.looks.append((pixels.shape, min_face))
        red, blue = (np.argwhere(pixels[..., channel] > 100) for channel in (0, 2))
        if not len(red) or red[:, 0].mean() >= blue[:, 0].mean():
            return []
        (top, left), (bottom, right) = red.min(axis=0), red.max(axis=0) + 1
        score = 0.5 if (pixels[..., 1] > 100).any() else 0.95
        return [Detection(Box(left, top, right, bottom), score, ((float(left), float(top)),) * 5)]


def scene(width: int, height: int, side: int, *, unsure: bool = False) -> NDArray[np.uint8]:
    """A square face of `side` pixels at 100, 100, upright."""
    pixels = np.zeros((height, width, 3), np.uint8)
    pixels[100 : 100 + side, 100 : 100 + side] = RED
    pixels[100 + side : 100 + 2 * side, 100 : 100 + side] = BLUE
    if unsure:
        pixels[-60:, -60:] = GREEN
    return pixels


def look(
    pixels: NDArray[np.uint8],
    detector: Patches,
    min_face: int | None = None,
    rotate: Rotation = "auto",
    limits: DecodeOptions | None = None,
) -> tuple[Picture, list[Detection], int]:
    def open_at(reduce: Callable[[int], int | None]) -> Picture:
        return from_array(pixels, reduce=reduce)

    picture, _, found, degrees = see(open_at, detector, min_face, limits or DecodeOptions(), rotate)
    return picture, found, degrees


class TestSize:
    def test_small_photos_are_looked_at_once_as_the_detector_would(self) -> None:
        detector = Patches()
        picture, (face,), _ = look(scene(640, 480, 40), detector)
        assert detector.looks == [((480, 640, 3), None)]
        assert (picture.scale, face.box) == (1, Box(100, 100, 140, 140))

    def test_big_ones_with_large_faces_are_reduced_once(self) -> None:
        detector = Patches()
        picture, found, _ = look(scene(4096, 3072, 400), detector)
        assert [shape for shape, _ in detector.looks] == [(1536, 2048, 3)]
        assert (picture.scale, len(found)) == (0.5, 1)

    def test_a_small_face_asks_for_a_closer_look(self) -> None:
        detector = Patches()
        picture, (face,), _ = look(scene(4096, 3072, 60), detector)
        assert [shape for shape, _ in detector.looks] == [(1536, 2048, 3), (3072, 4096, 3)]
        assert (picture.scale, face.box) == (1, Box(100, 100, 160, 160))

    @pytest.mark.parametrize(("min_face", "side"), [(25, 4096), (40, 2560), (300, 2048)])
    def test_the_reduction_follows_from_the_smallest_face(self, min_face: int, side: int) -> None:
        detector = Patches()
        look(scene(4096, 1024, 400), detector, min_face)
        assert [shape[1] for shape, _ in detector.looks] == [side]

    @pytest.mark.parametrize(
        ("limits", "side"), [(DecodeOptions(target_side=1024), 1024), (DecodeOptions(target_side=None), 4096)]
    )
    def test_a_fixed_size_is_kept(self, limits: DecodeOptions, side: int) -> None:
        detector = Patches()
        _, found, _ = look(scene(4096, 1024, 100), detector, limits=limits)
        assert [(shape[1], least) for shape, least in detector.looks] == [(side, None)]
        assert len(found) == 1

    @pytest.mark.parametrize(("side", "found"), [(40, 0), (50, 1)])
    def test_no_face_below_the_share_that_is_promised(self, side: int, found: int) -> None:
        assert len(look(scene(4096, 1024, side), Patches())[1]) == found
        assert len(look(scene(4096, 1024, side), Patches(), 30)[1]) == 1

    def test_the_share(self) -> None:
        assert [smallest(None, side) for side in (100, 2400, 4000, 8000)] == [30, 30, 50, 100]


class TestTurn:
    @pytest.mark.parametrize("degrees", [0, 90, 180, 270])
    def test_faces_that_lie_are_found_and_told_in_pixels_as_given(self, degrees: int) -> None:
        upright = scene(640, 480, 60)
        given = np.rot90(upright, degrees // 90)  # anticlockwise
        picture, (face,), turned = look(np.ascontiguousarray(given), Patches())
        assert turned == degrees
        back = turned_back(face, degrees, picture.width, picture.height).box
        part = picture.pixels[int(back.top) : int(back.bottom), int(back.left) : int(back.right)]
        assert part.shape == (60, 60, 3)
        assert (part == RED).all()

    def test_a_sure_face_upright_costs_one_look(self) -> None:
        detector = Patches()
        look(scene(640, 480, 60), detector)
        assert len(detector.looks) == 1

    def test_an_unsure_one_stays_where_no_turn_is_surer(self) -> None:
        detector = Patches()
        _, (face,), turned = look(scene(640, 480, 60, unsure=True), detector)
        assert (len(detector.looks), turned, face.score) == (4, 0, 0.5)

    @pytest.mark.parametrize("rotate", [0, 90, 180, 270])
    def test_a_turn_may_be_asked_for(self, rotate: Rotation) -> None:
        detector = Patches()
        _, found, turned = look(scene(640, 480, 60), detector, rotate=rotate)
        assert (len(detector.looks), turned, len(found)) == (1, rotate, int(rotate == 0))

    @settings(max_examples=40, deadline=None, derandomize=True)
    @given(st.sampled_from([0, 90, 180, 270]), st.integers(2, 30), st.integers(2, 30), st.floats(0, 1), st.floats(0, 1))
    def test_a_point_comes_back_to_where_it_was(
        self, degrees: int, width: int, height: int, x: float, y: float
    ) -> None:
        given = from_array(np.zeros((height, width, 3), np.uint8))
        spot = given.pixels.copy()
        row, column = int(y * (height - 1)), int(x * (width - 1))
        spot[row, column] = 255
        seen = rotated(from_array(spot), degrees)
        ((down, along),) = np.argwhere(seen.pixels[..., 0])
        assert (seen.width, seen.height) == (seen.pixels.shape[1], seen.pixels.shape[0])
        face = Detection(Box(along, down, along + 1, down + 1), 1.0, None)
        assert turned_back(face, degrees, width, height).box == Box(column, row, column + 1, row + 1)


@pytest.mark.parametrize("turn", [90, 180, 270])
def test_the_default_detector_finds_a_portrait_in_any_turn(examples: Path, turn: int) -> None:
    with Image.open(examples / "hopper.jpg") as image:
        pixels = np.asarray(image.convert("RGB").rotate(turn, expand=True))
    picture, _, found, degrees = see(
        lambda reduce: from_array(pixels, reduce=reduce), create("mtcnn"), None, DecodeOptions(), "auto"
    )
    assert degrees == turn
    assert len(found) == 1
    assert picture.pixels.shape == pixels.shape


def heads(examples: Path, side: int) -> tuple[list[Image.Image], Image.Image]:
    """The two portraits' heads with faces of so many pixels, and one portrait whole."""
    found = []
    for name in ("astronaut.jpg", "hopper.jpg"):
        with Image.open(examples / name) as image:
            portrait = image.convert("RGB")
        box = create("mtcnn").detect(np.asarray(portrait))[0].box
        longer = max(box.width, box.height)
        left, top = round(box.left - longer / 2), round(box.top - longer / 2)
        around = portrait.crop((left, top, left + round(2 * longer), top + round(2 * longer)))
        found.append(around.resize((2 * side, 2 * side), Image.Resampling.LANCZOS))
    return found, portrait


def seen_in(photo: Image.Image) -> tuple[Picture, list[Detection]]:
    pixels = np.asarray(photo)
    picture, _, found, _ = see(
        lambda reduce: from_array(pixels, reduce=reduce), create("mtcnn"), None, DecodeOptions(), "auto"
    )
    return picture, found


@pytest.mark.parametrize("which", [0, 1])
def test_a_single_small_face_beside_a_large_one(examples: Path, which: int) -> None:
    small, portrait = heads(examples, 51)
    photo = Image.new("RGB", (4000, 3000), (110, 120, 130))
    photo.paste(portrait.resize((1800, 2109)), (150, 600))
    photo.paste(small[which], (3000, 1211))
    picture, found = seen_in(photo)
    assert picture.scale == 1
    large, single = found
    assert large.box.width > 500
    assert (single.box.left + single.box.right) / 2 == pytest.approx(3051, abs=12)
    assert (single.box.top + single.box.bottom) / 2 == pytest.approx(1262, abs=12)


def test_a_crowd_of_small_faces_in_a_big_photo(examples: Path) -> None:
    """Known faces 50 pixels high in a photo of 4,000 x 1,200: the size that is promised."""
    small, _ = heads(examples, 51)
    crowd = Image.new("RGB", (4000, 1200), (110, 120, 130))
    places = [(x, y) for y in range(5, 1000, 200) for x in range(10, 3800, 160)]
    for number, place in enumerate(places):
        crowd.paste(small[number % 2], place)
    picture, found = seen_in(crowd)
    seen = {(round(face.box.left - 10) // 160, round(face.box.top - 5) // 200) for face in found}
    assert picture.scale == 1
    assert len(seen) >= 0.95 * len(places)
