"""Haar-like features agree with a naive sum over rectangles; the draw is a fixed rule."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mien.learn.baselines.haar import KINDS, HaarFeatures, corners, integral

SIZE = 12


def naive(chip: np.ndarray, features: HaarFeatures, number: int) -> float:
    """The definition, rectangle by rectangle."""
    height, width = int(features.height[number]), int(features.width[number])
    total = 0.0
    for i, row in enumerate(KINDS[features.kind[number]]):
        for j, weight in enumerate(row):
            top, left = int(features.top[number]) + i * height, int(features.left[number]) + j * width
            rectangle = chip[top : top + height, left : left + width].astype(float)
            assert rectangle.shape == (height, width), "the feature leaves the chip"
            total += weight * rectangle.mean()
    return float(total / max(chip.std(), 1.0))


@settings(deadline=None, max_examples=30)
@given(st.integers(0, 2**32 - 1), st.integers(0, 2**32 - 1), st.sampled_from([1, 60, 255]))
def test_features_are_those_of_the_definition(draw: int, pixels: int, high: int) -> None:
    chips = np.random.default_rng(pixels).integers(0, high, (3, SIZE, SIZE), dtype=np.uint8, endpoint=True)
    features = HaarFeatures.draw(40, SIZE, draw)
    expected = [[naive(chip, features, number) for number in range(40)] for chip in chips]
    np.testing.assert_allclose(features(chips), expected, rtol=1e-4, atol=1e-4)


def test_all_kinds_are_drawn_and_none_twice() -> None:
    features = HaarFeatures.draw(500, SIZE, 0)
    columns = np.stack([features.kind, features.top, features.left, features.height, features.width], axis=1)
    assert len(np.unique(columns, axis=0)) == len(features) == 500
    assert set(features.kind) == set(range(len(KINDS)))


def test_a_longer_draw_begins_with_the_shorter() -> None:
    short, long = HaarFeatures.draw(50, SIZE, 3), HaarFeatures.draw(80, SIZE, 3)
    chips = np.random.default_rng(0).integers(0, 256, (2, SIZE, SIZE), dtype=np.uint8)
    np.testing.assert_array_equal(long(chips)[:, :50], short(chips))
    assert (HaarFeatures.draw(50, SIZE, 4)(chips) != short(chips)).any()


def test_light_and_contrast_do_not_matter() -> None:
    chips = np.random.default_rng(1).integers(40, 100, (4, SIZE, SIZE), dtype=np.uint8)
    features = HaarFeatures.draw(100, SIZE, 0)
    np.testing.assert_allclose(features(chips * 2 + 10), features(chips), atol=1e-4)
    assert not features(np.full((1, SIZE, SIZE), 200, np.uint8)).any(), "a flat chip has no features"


@pytest.mark.parametrize("kind", range(len(KINDS)))
def test_rectangles_of_a_kind_balance(kind: int) -> None:
    assert sum(weight for _, weight in corners(KINDS[kind])) == 0
    assert np.sum(KINDS[kind]) == 0


def test_the_integral_image_is_exact_for_the_brightest_chip() -> None:
    table = integral(np.full((1, 255, 255), 255, np.uint8))
    assert table[0, -1, -1] == 255**3
    assert not table[0, 0].any()
    assert not table[0, :, 0].any()
