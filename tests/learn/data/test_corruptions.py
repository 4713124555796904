from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from mien.errors import UsageError
from mien.faces.align import UTKFACE_POINTS
from mien.learn.data import samples
from mien.learn.data.corruptions import CORRUPTIONS, SEVERITIES, chosen, corrupt

Pixels = NDArray[np.uint8]


@pytest.fixture(scope="module")
def portrait() -> Pixels:
    """A real face, aligned: what severities are for."""
    return samples.sample_chip(samples.sample_photo())


@pytest.fixture(scope="module")
def smooth() -> Pixels:
    """A chip of coloured slopes and a few edges, on which every change shows the more the larger it is."""
    y, x = np.mgrid[0:200, 0:200] / 199.0
    chip = np.stack([60 + 120 * x, 70 + 100 * y, 190 - 100 * x * y], axis=-1)
    chip[80:120, 60:140] *= 0.5
    return chip.astype(np.uint8)


@pytest.mark.parametrize("name", CORRUPTIONS)
@pytest.mark.parametrize("shape", [(200, 200), (112, 112), (64, 80)])
def test_same_chance_same_picture_of_the_same_shape(portrait: Pixels, name: str, shape: tuple[int, int]) -> None:
    chip = np.asarray(cv2.resize(portrait, shape[::-1], interpolation=cv2.INTER_AREA), np.uint8)
    before = chip.copy()
    for severity in (1, 5):
        first, second = (corrupt(chip, name, severity, np.random.default_rng(7)) for _ in range(2))
        assert first.dtype == np.uint8
        assert first.shape == chip.shape
        np.testing.assert_array_equal(first, second)
        assert (first != chip).any()
    np.testing.assert_array_equal(chip, before)  # a pure function


@pytest.mark.parametrize("name", [name for name in CORRUPTIONS if name != "print"])
def test_every_severity_changes_more_than_the_one_before(smooth: Pixels, portrait: Pixels, name: str) -> None:
    for seed in range(3):
        on_slopes = [_distance(smooth, name, severity, seed) for severity in SEVERITIES]
        assert on_slopes == sorted(set(on_slopes))
        on_a_face = [_distance(portrait, name, severity, seed) for severity in SEVERITIES]
        assert on_a_face[0] > (0.1 if name == "scratches" else 1)  # thin lines leave most of a face as it was
        assert on_a_face[4] > 1.3 * on_a_face[0]


def test_prints_of_higher_severity_differ_more_on_average(portrait: Pixels) -> None:
    """Not each of them: its parts, one of which blurs what another has added, are drawn by chance."""
    means = [np.mean([_distance(portrait, "print", severity, seed) for seed in range(20)]) for severity in SEVERITIES]
    assert means == sorted(means)
    assert means[4] > 1.5 * means[0]


def test_old_prints_lose_their_colour_or_keep_one_dye(portrait: Pixels) -> None:
    toned = corrupt(portrait, "sepia", 5, np.random.default_rng(0)).astype(int)
    assert (toned[..., 0] >= toned[..., 1]).all()  # browns: red over green over blue
    assert (toned[..., 1] >= toned[..., 2]).all()
    pale = corrupt(portrait, "faded", 5, np.random.default_rng(0))
    assert pale.max(axis=-1).min() > portrait.max(axis=-1).min() + 40  # milky blacks
    assert pale.max() < portrait.max()
    noisy = corrupt(portrait, "grain", 3, np.random.default_rng(0)).astype(int) - portrait
    inside = (portrait > 60).all(axis=-1) & (portrait < 195).all(axis=-1)
    np.testing.assert_allclose(noisy[inside][:, 0], noisy[inside][:, 2], atol=1)  # of the light alone


def test_a_halftone_screen_keeps_the_light(portrait: Pixels) -> None:
    grey = np.full((200, 200, 3), 128, np.uint8)
    screened = corrupt(grey, "halftone", 4, np.random.default_rng(0))
    assert screened.mean() == pytest.approx(128, abs=3)
    assert screened.std() > 5


@pytest.mark.parametrize("name", ["darker", "lighter"])
def test_brightness_moves_every_pixel_by_its_level(name: str) -> None:
    grey = np.full((50, 50, 3), 128, np.uint8)
    level = CORRUPTIONS[name].levels[1]
    np.testing.assert_allclose(corrupt(grey, name, 2, np.random.default_rng(0)), 128 + 255 * level, atol=1)


def test_contrast_keeps_the_mean_and_gamma_the_ends(smooth: Pixels) -> None:
    flat = corrupt(smooth, "low-contrast", 5, np.random.default_rng(0))
    np.testing.assert_allclose(flat.mean(axis=(0, 1)), smooth.mean(axis=(0, 1)), atol=1)
    assert flat.std() < smooth.std()
    ends = np.array([[[0, 0, 0], [255, 255, 255]]], np.uint8)
    for name in ("gamma-dark", "gamma-light"):
        np.testing.assert_array_equal(corrupt(ends, name, 5, np.random.default_rng(0)), ends)


def test_a_shadow_darkens_one_side_only() -> None:
    white = np.full((200, 200, 3), 240, np.uint8)
    shaded = corrupt(white, "shadow", 4, np.random.default_rng(3))[..., 0].astype(float)
    corners = sorted(shaded[[0, 0, -1, -1], [0, -1, 0, -1]])
    assert corners[0] == pytest.approx(240 * 0.3, abs=2)
    assert corners[-1] == pytest.approx(240, abs=2)


@pytest.mark.parametrize("name", ["gaussian-blur", "motion-blur", "defocus"])
def test_blur_keeps_brightness_and_spreads_a_point(name: str) -> None:
    point = np.zeros((201, 201, 3), np.uint8)
    point[95:106, 95:106] = 255
    blurred = corrupt(point, name, 3, np.random.default_rng(1))
    assert blurred.mean() == pytest.approx(point.mean(), rel=0.03)
    reach = [np.count_nonzero(corrupt(point, name, s, np.random.default_rng(1))) for s in (1, 3, 5)]
    assert reach == sorted(set(reach))


@pytest.mark.parametrize(
    ("name", "covered", "free"),
    [("eyes", (0, 1), (3, 4)), ("sunglasses", (0, 1), (2, 3, 4)), ("mouth", (3, 4), (0, 1)), ("mask", (3, 4), (0, 1))],
)
def test_occluders_lie_where_the_contract_says(name: str, covered: tuple[int, ...], free: tuple[int, ...]) -> None:
    for size in (200, 112):
        red = np.tile(np.array([255, 0, 0], np.uint8), (size, size, 1))
        for severity in (3, 5):
            worn = corrupt(red, name, severity, np.random.default_rng(2))
            changed = np.abs(worn.astype(int) - red).sum(axis=-1) > 40
            at = [changed[int(y * size / 200), int(x * size / 200)] for x, y in UTKFACE_POINTS]
            assert all(at[point] for point in covered)
            assert not any(at[point] for point in free)


def test_a_hat_is_above_the_eyes() -> None:
    red = np.tile(np.array([255, 0, 0], np.uint8), (200, 200, 1))
    for severity in SEVERITIES:
        worn = corrupt(red, "hat", severity, np.random.default_rng(2))
        assert (worn[2] != red[2]).any(axis=-1).all()
        np.testing.assert_array_equal(worn[75:], red[75:])


def test_geometry_moves_as_far_as_it_says() -> None:
    dot = np.zeros((200, 200, 3), np.uint8)
    dot[95:105, 145:155] = 255  # 50 right of the middle
    turned = _centre(corrupt(dot, "rotation", 4, np.random.default_rng(0))) - 99.5
    assert abs(np.degrees(np.arctan2(turned[1], turned[0]))) == pytest.approx(30, abs=1)
    shifted = _centre(corrupt(dot, "shift", 2, np.random.default_rng(0))) - (149.5, 99.5)
    assert np.hypot(*shifted) == pytest.approx(0.08 * 200, abs=1)
    nearer = _centre(corrupt(dot, "zoom-in", 3, np.random.default_rng(0))) - 99.5
    assert nearer[0] == pytest.approx(1.3 * 50, abs=1)
    further = _centre(corrupt(dot, "zoom-out", 5, np.random.default_rng(0))) - 99.5
    assert further[0] == pytest.approx(0.5 * 50, abs=1)


def test_grey_has_no_colour_left(portrait: Pixels) -> None:
    grey = corrupt(portrait, "grey", 5, np.random.default_rng(0)).astype(int)
    assert np.ptp(grey, axis=-1).max() <= 1


def test_names_and_severities_are_checked(smooth: Pixels) -> None:
    with pytest.raises(UsageError, match="did you mean 'shadow'"):
        corrupt(smooth, "shadows", 1, np.random.default_rng(0))
    with pytest.raises(UsageError, match="severity is 6"):
        corrupt(smooth, "shadow", 6, np.random.default_rng(0))
    with pytest.raises(UsageError, match="corruption or family 'blurr'"):
        chosen(["blurr"])
    assert chosen(["grey", "light"]) == [*[n for n, c in CORRUPTIONS.items() if c.family == "light"], "grey"]
    assert chosen() == list(CORRUPTIONS)


def test_samples_are_told_of_when_missing(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="give a photo"):
        samples.sample_photo(sample="nobody.jpg")
    with pytest.raises(UsageError, match="no face"):
        samples.sample_chip(np.full((120, 120, 3), 90, np.uint8))


def _distance(chip: Pixels, name: str, severity: int, seed: int) -> float:
    spoilt = corrupt(chip, name, severity, np.random.default_rng(seed))
    return float(np.abs(spoilt.astype(float) - chip).mean())


def _centre(picture: Pixels) -> NDArray[np.float64]:
    """Mean place (x, y) of what is bright."""
    weight = picture[..., 0].astype(np.float64)
    y, x = np.mgrid[0 : picture.shape[0], 0 : picture.shape[1]]
    return np.array([(weight * x).sum() / weight.sum(), (weight * y).sum() / weight.sum()])


def test_no_family_bears_the_name_of_a_corruption() -> None:
    assert CORRUPTIONS.keys().isdisjoint({corruption.family for corruption in CORRUPTIONS.values()} - {"grey"})
