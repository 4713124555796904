"""Octaves, and crops out of them, against plain arithmetic."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from mien.faces.pyramid import Pyramid


def ramp(height: int, width: int) -> NDArray[np.uint8]:
    """Red is x and green is y, both of the pixel's centre."""
    y, x = np.mgrid[0:height, 0:width]
    return np.stack([x, y, np.zeros_like(x)], axis=2).astype(np.uint8)


def cut(pixels: NDArray[np.uint8], square: tuple[float, float, float, float]) -> NDArray[np.uint8]:
    (crop,) = Pyramid(pixels, smallest=24).crop(np.array([square], np.float32), 24)
    return np.asarray(crop, np.uint8)


def test_octaves_average_squares_of_pixels() -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (48, 64, 3), dtype=np.uint8)
    octaves = Pyramid(pixels, smallest=16).octaves
    assert [octave.shape[:2] for octave in octaves] == [(48, 64), (24, 32), (12, 16)]
    exact = pixels.reshape(12, 4, 16, 4, 3).mean(axis=(1, 3))
    assert np.abs(octaves[2] - exact).max() <= 1.5  # rounded twice


@pytest.mark.parametrize("size", [(1, 1), (5, 2000), (333, 77)])
def test_any_shape_is_halved_to_the_end(size: tuple[int, int]) -> None:
    octaves = Pyramid(np.full((*size, 3), 90, np.uint8), smallest=12).octaves
    assert max(octaves[-1].shape[:2]) <= 12
    assert all((octave == 90).all() for octave in octaves)


@pytest.mark.parametrize(
    ("left", "top", "side"), [(20, 30, 24), (20.5, 30.25, 24), (100, 60, 48), (64, 32, 96), (7, 9, 12)]
)
def test_a_crop_samples_the_centres_of_its_pixels(left: float, top: float, side: float) -> None:
    crop = cut(ramp(200, 240), (left, top, left + side, top + side))
    centres = (np.arange(1, 23) + 0.5) * side / 24 - 0.5
    assert np.abs(crop[12, 1:-1, 0] - (left + centres)).max() <= 1.5
    assert np.abs(crop[1:-1, 12, 1] - (top + centres)).max() <= 1.5


def test_outside_the_picture_is_black() -> None:
    crop = cut(np.full((100, 100, 3), 200, np.uint8), (-24, 30, 24, 78))
    assert (crop[:, :11] == 0).all()
    assert (crop[:, 13:] == 200).all()


def test_wider_than_opencv_warps() -> None:
    pixels = np.zeros((30, 40_000, 3), np.uint8)
    pixels[:, 39_000:] = 255
    edge = cut(pixels, (38_988, 0, 39_012, 24))
    assert (edge[:, :11] == 0).all()
    assert (edge[:, 13:] == 255).all()
