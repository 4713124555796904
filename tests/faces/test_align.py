"""The crop contract: a known similarity is recovered, nothing aliases, and a box alone does nearly as well."""

from __future__ import annotations

import math

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from mien.faces import Detection, create
from mien.faces.align import CropContract, align, points_in_box, resize_chip, similarity, warp
from mien.results import Box

Pixels = NDArray[np.uint8]
Points = NDArray[np.float64]

CONTRACT = CropContract.utkface(96)


def pattern(x: Points, y: Points) -> Pixels:
    """A smooth picture that can be drawn anywhere: its colours are functions of the place on the chip."""
    waves = [np.sin(x / 9 + 1), np.sin(y / 11 + 2), np.sin((x + y) / 13)]
    return np.asarray(np.clip(np.round(127.5 + 110 * np.stack(waves, axis=-1)), 0, 255), np.uint8)


def centres(height: int, width: int) -> tuple[Points, Points]:
    y, x = np.mgrid[0:height, 0:width] + 0.5
    return x, y


def face(points: Points) -> Detection:
    return Detection(Box(0, 0, 1, 1), 1.0, tuple((float(x), float(y)) for x, y in points))


@settings(max_examples=40, deadline=None)
@given(
    scale=st.floats(0.35, 4.0),
    turn=st.floats(-math.pi, math.pi),
    shift=st.tuples(st.floats(-20, 20), st.floats(-20, 20)),
)
def test_alignment_recovers_a_known_similarity(scale: float, turn: float, shift: tuple[float, float]) -> None:
    side = math.ceil(96 * scale * 1.5) + 60
    linear = scale * np.array([[math.cos(turn), -math.sin(turn)], [math.sin(turn), math.cos(turn)]])
    offset = np.array([side / 2, side / 2]) + shift - linear @ (48, 48)
    landmarks = np.array(CONTRACT.landmarks) @ linear.T + offset  # where the chip's points lie in the photo

    x, y = centres(side, side)
    back = np.linalg.inv(linear)
    on_chip = back @ (np.stack([x.ravel(), y.ravel()]) - offset[:, None])
    photo = pattern(on_chip[0].reshape(x.shape), on_chip[1].reshape(x.shape))

    matrix = similarity(landmarks, np.array(CONTRACT.landmarks))
    np.testing.assert_allclose(matrix[:, :2], back, atol=1e-9)
    np.testing.assert_allclose(landmarks @ matrix[:, :2].T + matrix[:, 2], CONTRACT.landmarks, atol=1e-9)

    error = np.abs(align(photo, face(landmarks), CONTRACT).astype(float) - pattern(*centres(96, 96)))
    inside = error[8:-8, 8:-8]
    # A picture coarser than the chip has lost detail; half a pixel astray would mean errors of 6 on average.
    assert inside.mean() < (2.0 if scale >= 1 else 5.0)


def test_noisy_points_give_the_least_squares_similarity() -> None:
    rng = np.random.default_rng(1)
    source, target = rng.normal(size=(5, 2)), rng.normal(size=(5, 2))
    matrix = similarity(source, target)
    # Linear least squares over (a, b, tx, ty) with x' = a x - b y + tx, y' = b x + a y + ty.
    rows = [row for x, y in source for row in ((x, -y, 1, 0), (y, x, 0, 1))]
    a, b, tx, ty = np.linalg.lstsq(np.array(rows), target.ravel(), rcond=None)[0]
    np.testing.assert_allclose(matrix, [[a, -b, tx], [b, a, ty]], atol=1e-12)


def test_points_on_one_spot_are_no_error() -> None:
    chip = align(np.full((50, 50, 3), 77, np.uint8), face(np.full((5, 2), 20.0)), CONTRACT)
    assert chip.shape == (96, 96, 3)
    assert (chip == 77).all()


@pytest.mark.parametrize("shrink", [1.6, 2.5, 4.0, 7.3])
def test_a_fine_grating_becomes_grey_not_stripes(shrink: float) -> None:
    """Stripes of 2.4 pixels cannot be shown at these sizes; what is left of them is aliasing."""
    x, _ = centres(900, 900)
    grating = np.repeat(np.asarray(127.5 + 120 * np.sin(2 * np.pi * x / 2.4), np.uint8)[:, :, None], 3, axis=2)
    matrix = np.array([[1 / shrink, 0, -3.3], [0, 1 / shrink, -3.3]])
    plain = cv2.warpAffine(grating, matrix, (96, 96), flags=cv2.INTER_LINEAR)
    ours = warp(grating, matrix, 96)
    assert ours[10:-10, 10:-10].std() < 0.55 * plain[10:-10, 10:-10].std()


def test_shrinking_averages_areas() -> None:
    noise = np.random.default_rng(2).integers(0, 256, (384, 384, 3), dtype=np.uint8)
    exact = noise.reshape(96, 4, 96, 4, 3).mean(axis=(1, 3))
    ours = warp(noise, np.array([[0.25, 0, 0], [0, 0.25, 0]]), 96)
    assert np.abs(ours - exact).max() <= 1


def test_outside_the_photo_its_border_repeats() -> None:
    photo = np.full((60, 60, 3), 10, np.uint8)
    photo[:, -1] = (250, 0, 0)
    for scale in (1.0, 0.3):
        chip = warp(photo, np.array([[scale, 0, 0], [0, scale, 0]]), 96)
        assert (np.abs(chip[:, 70:].astype(int) - (250, 0, 0)) <= (0 if scale == 1 else 180)).all()
        assert (chip[:5, :5] == 10).all()


def test_a_photo_wider_than_opencv_warps() -> None:
    photo = np.zeros((100, 40_000, 3), np.uint8)
    photo[:, 39_000:] = 255
    chip = warp(photo, np.array([[1.0, 0, -38_952], [0, 1, 0]]), 96)
    assert (chip[:, :48] == 0).all()
    assert (chip[:, 48:] == 255).all()


def test_a_box_alone_cuts_nearly_as_landmarks_do(hopper: Pixels, astronaut: Pixels) -> None:
    for photo in (hopper, astronaut):
        (marked,) = create("mtcnn").detect(photo)
        (boxed,) = create("haar").detect(photo)
        assert marked.landmarks is not None
        eyes = math.dist(marked.landmarks[0], marked.landmarks[1])
        guess = np.array(points_in_box(boxed.box))
        assert np.abs(guess.mean(axis=0) - np.mean(marked.landmarks, axis=0)).max() < 0.25 * eyes
        assert 0.75 < math.dist(guess[0], guess[1]) / eyes < 1.25
        assert align(photo, boxed, CONTRACT).shape == (96, 96, 3)


@pytest.mark.parametrize("size", [(200, 200), (96, 96), (40, 50), (300, 120)])
def test_a_whole_chip_only_changes_size(size: tuple[int, int]) -> None:
    x, y = centres(*size)
    chip = resize_chip(pattern(x * 96 / size[1], y * 96 / size[0]), CONTRACT)
    assert chip.shape == (96, 96, 3)
    assert np.abs(chip.astype(float) - pattern(*centres(96, 96)))[3:-3, 3:-3].mean() < 4


def test_a_contract_survives_json() -> None:
    assert CropContract.from_dict(CONTRACT.to_dict()) == CONTRACT
    eyes = np.array(CropContract.utkface(192).landmarks[:2]) / 192
    np.testing.assert_allclose(eyes, np.array(CropContract.utkface().landmarks[:2]) / 200)


@pytest.mark.parametrize("record", [{"size": 0, "landmarks": [[1, 2]] * 5}, {"size": 96, "landmarks": [[1, 2]] * 4}])
def test_a_contract_that_cannot_be_is_refused(record: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="5 landmarks"):
        CropContract.from_dict(record)
