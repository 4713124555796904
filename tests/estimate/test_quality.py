from __future__ import annotations

import math
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image

from mien.estimate.quality import (
    DULLEST,
    SMALLEST,
    doubtful,
    eye_distance,
    eye_distance_of_chip,
    judge,
    sharpness,
    turn,
)
from mien.faces.align import CropContract
from mien.learn.evaluation.poor_views import TINIEST, poor_view
from mien.results import Point, Quality

CONTRACT = CropContract.utkface(192)
FACE = np.array([(-32, -36, 0), (32, -36, 0), (0, 2, -44), (-28, 38, 0), (28, 38, 0)], np.float64)
"""Eyes, tip of the nose (before the others by 0.6 times the height) and corners of the mouth of a head, in mm."""


def seen(yaw: float, roll: float = 0.0, scale: float = 1.0) -> list[Point]:
    """The head turned by degrees, as a camera far away sees it."""
    a, b = math.radians(yaw), math.radians(roll)
    x = FACE[:, 0] * math.cos(a) - FACE[:, 2] * math.sin(a)
    y = FACE[:, 1]
    turned = np.column_stack([x * math.cos(b) - y * math.sin(b), x * math.sin(b) + y * math.cos(b)])
    return [(float(u), float(v)) for u, v in 100 + scale * turned]


@settings(derandomize=True, deadline=None)
@given(st.floats(-60, 60), st.floats(-40, 40), st.floats(0.1, 20))
def test_the_turn_of_a_head_is_read_whatever_its_tilt_and_size(yaw: float, roll: float, scale: float) -> None:
    assert turn(seen(yaw, roll, scale)) == pytest.approx(yaw, abs=4)


def test_points_that_make_no_face_are_turned_away() -> None:
    assert turn([(5.0, 5.0)] * 5) == 90


@settings(derandomize=True, deadline=None)
@given(st.floats(0.1, 10))
def test_eyes_are_measured_in_pixels_of_the_photo(scale: float) -> None:
    points = [(scale * x, scale * y) for x, y in CONTRACT.landmarks]
    assert eye_distance(points, CONTRACT) == pytest.approx(scale * 76.99, rel=1e-3)


def test_a_profile_is_not_taken_for_a_small_face() -> None:
    frontal, side = (eye_distance(seen(yaw), CONTRACT) for yaw in (0, 50))
    drawn = seen(50)
    assert drawn[1][0] - drawn[0][0] < 0.65 * 64
    assert side > 0.75 * frontal


def portrait(examples: Path) -> NDArray[np.uint8]:
    with Image.open(examples / "hopper.jpg") as photo:
        return np.asarray(photo.convert("RGB").crop((160, 110, 383, 333)).resize((192, 192)))


def test_blur_takes_sharpness_and_light_does_not(examples: Path) -> None:
    chip = portrait(examples)
    blurred = [sharpness(np.asarray(cv2.GaussianBlur(chip, (0, 0), s), np.uint8)) for s in (1, 2, 4, 8)]
    assert sharpness(chip) > blurred[0] > blurred[1] > blurred[2] > blurred[3]
    darker = (chip * 0.5).astype(np.uint8)
    assert sharpness(darker) == pytest.approx(sharpness(chip), rel=0.1)
    assert sharpness(np.full((64, 64, 3), 90, np.uint8)) == 0


def test_flags_say_what_is_wrong(examples: Path) -> None:
    chip = portrait(examples)
    good = judge(chip, 80, 3)
    assert good.flags == ()
    assert good.sharpness > DULLEST
    dull = np.asarray(cv2.GaussianBlur(chip, (0, 0), 8), np.uint8)
    bad = judge(dull, SMALLEST - 1, -70)
    assert bad.flags == ("small", "blurred", "turned")
    assert judge(chip, 80, None).flags == ()
    assert doubtful([good, bad]).tolist() == [False, True]
    assert eye_distance_of_chip(96, CONTRACT) == pytest.approx(38.5, rel=1e-2)
    assert Quality(1.234, 0.56789, None, ("small",)).to_dict() == {
        "eyes": 1.2,
        "sharpness": 0.5679,
        "turn": None,
        "flags": ["small"],
    }


def test_poor_views_are_dull_or_coarse_and_repeat_by_seed(examples: Path) -> None:
    chip = portrait(examples)
    views = [poor_view(chip, CONTRACT, np.random.default_rng(seed)) for seed in range(20)]
    assert all(view.shape == chip.shape for view in views)
    assert np.median([sharpness(view) for view in views]) < 0.75 * sharpness(chip)
    again = poor_view(chip, CONTRACT, np.random.default_rng(7))
    assert np.array_equal(again, views[7])
    assert len({view.tobytes() for view in views}) > 10  # small ones differ by whole pixels of their side
    assert TINIEST < SMALLEST
