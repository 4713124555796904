"""Arrays and PIL images as pictures."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageOps

from mien.errors import NotAnImage, PhotoTruncated
from mien.photos import DecodeOptions, decode, from_array, from_pil

GOLDEN = Path(__file__).parents[1] / "golden"
RNG = np.random.default_rng(7)
RGB = RNG.integers(0, 256, (5, 7, 3), np.uint8)
GREY = RNG.integers(0, 256, (5, 7), np.uint8)


class TestArrays:
    def test_rgb_is_taken_without_a_copy_and_cannot_be_written(self) -> None:
        picture = from_array(RGB)
        assert np.shares_memory(picture.pixels, RGB)
        assert not picture.pixels.flags.writeable
        assert RGB.flags.writeable
        assert (picture.width, picture.height, picture.scale) == (7, 5, 1.0)

    def test_bgr_is_turned_round(self) -> None:
        picture = from_array(RGB[..., ::-1], bgr=True)
        np.testing.assert_array_equal(picture.pixels, RGB)
        assert picture.pixels.flags.c_contiguous

    @pytest.mark.parametrize("bgr", [False, True])
    def test_grey_becomes_three_equal_channels(self, bgr: bool) -> None:
        for array in (GREY, GREY[:, :, None]):
            np.testing.assert_array_equal(from_array(array, bgr=bgr).pixels, np.dstack([GREY] * 3))

    def test_alpha_is_laid_on_white(self) -> None:
        alpha = np.full((5, 7, 1), 128, np.uint8)
        expected = np.rint(RGB * (128 / 255) + 127)
        for array, bgr in ((RGB, False), (RGB[..., ::-1], True)):
            pixels = from_array(np.concatenate([array, alpha], 2), bgr=bgr).pixels
            np.testing.assert_allclose(pixels, expected, atol=1)

    @pytest.mark.parametrize("dtype", ["<u2", ">u2", np.float16, np.float32, np.float64])
    def test_other_types_are_scaled(self, dtype: Any) -> None:
        kind = np.dtype(dtype)
        scaled = (RGB.astype(np.float64) * 257 if kind.kind == "u" else RGB / 255).astype(kind)
        np.testing.assert_array_equal(from_array(scaled).pixels, RGB)

    def test_a_little_overshoot_of_interpolation_is_forgiven(self) -> None:
        assert from_array(np.array([[-1e-4, 1.0001]])).pixels[0, :, 0].tolist() == [0, 255]

    def test_views_of_any_layout(self) -> None:
        np.testing.assert_array_equal(from_array(RGB[::-1, ::2]).pixels, RGB[::-1, ::2])
        np.testing.assert_array_equal(from_array(np.asfortranarray(RGB)).pixels, RGB)
        assert from_array(RGB.tolist() and np.asarray(RGB.tolist(), np.uint8)).pixels.shape == (5, 7, 3)

    def test_huge_ones_are_reduced(self) -> None:
        picture = from_array(np.zeros((10, 4096, 3), np.uint8))
        assert (picture.pixels.shape, picture.width, picture.scale) == ((5, 2048, 3), 4096, 0.5)
        assert from_array(np.zeros((10, 4096, 3), np.uint8), target_side=None).pixels.shape == (10, 4096, 3)

    @pytest.mark.parametrize(
        ("array", "words"),
        [
            (RGB.transpose(2, 0, 1), "channels last"),
            (RGB[None], r"not \[1, 5, 7, 3\]"),
            (RGB[:0], "must be"),
            (RGB[..., :2], "must be"),
            (np.uint8(3), "must be"),
            (None, "must be"),
            ("photo.jpg", "must be"),
            ([[1, 2], [3]], "no array of pixels"),
            (RGB.astype(np.int64) * 1000, r"0\.\.65535, these in"),
            (RGB.astype(np.int16) - 300, r"0\.\.255 or"),
            (RGB > 3, "not bool: convert"),
            (RGB.astype(np.float32), "divide by 255"),
            (np.full((5, 7), np.nan), r"0\.\.1"),
            (np.full((5, 7), -1.0), r"0\.\.1"),
        ],
    )
    def test_anything_else_is_refused_with_a_hint(self, array: Any, words: str) -> None:
        with pytest.raises(NotAnImage, match=words):
            from_array(array)


class TestPil:
    @pytest.mark.parametrize(
        "mode", ["1", "L", "LA", "La", "P", "PA", "RGB", "RGBA", "RGBa", "RGBX", "CMYK", "YCbCr", "HSV"]
    )
    def test_every_mode(self, mode: str) -> None:
        white = Image.new("RGB", (6, 4), "white")
        image = {
            "La": lambda: white.convert("LA").convert("La"),
            "PA": lambda: white.convert("RGBA").convert("PA"),
            "RGBa": lambda: white.convert("RGBA").convert("RGBa"),
        }.get(mode, lambda: white.convert(mode))()
        assert image.mode == mode
        picture = from_pil(image)
        assert picture.pixels.shape == (4, 6, 3)
        assert picture.pixels.min() >= 254

    @pytest.mark.parametrize("full", [255, 65535])
    def test_whole_numbers_of_32_bits_are_read_in_the_range_they_reach(self, full: int) -> None:
        values = np.linspace(0, full, 256).round().astype(np.int32).reshape(16, 16)
        meant = np.arange(256).reshape(16, 16)
        np.testing.assert_allclose(from_pil(Image.fromarray(values)).pixels[..., 0], meant, atol=1)
        for kind in (np.int32, np.uint32, np.int64):
            np.testing.assert_allclose(from_array(values.astype(kind)).pixels[..., 0], meant, atol=1)

    @pytest.mark.parametrize("top", [200, 255, 256, 60000])
    @pytest.mark.parametrize("shape", [(16, 16), (16, 16, 1), (16, 16, 3)])
    @pytest.mark.parametrize("kind", ["<i4", ">i4", np.uint32, np.int16, np.int64, np.uint64])
    def test_arrays_of_any_whole_numbers(self, kind: Any, shape: tuple[int, ...], top: int) -> None:
        values = np.random.default_rng(top).integers(0, min(top, np.iinfo(kind).max) + 1, shape)
        values[0, 0] = min(top, np.iinfo(kind).max)
        meant = values if top <= 255 else values / 257
        pixels = from_array(values.astype(kind)).pixels
        np.testing.assert_allclose(pixels, np.broadcast_to(meant.reshape(16, 16, -1), (16, 16, 3)), atol=1)

    @pytest.mark.parametrize("mode", ["I;16", "I;16B"])
    def test_pictures_of_16_bits_in_either_order(self, mode: str) -> None:
        values = np.arange(256).reshape(16, 16) * 257
        data = values.astype(">u2" if mode == "I;16B" else "<u2").tobytes()
        image = Image.frombytes(mode, (16, 16), data)
        np.testing.assert_allclose(from_pil(image).pixels[..., 0], values / 257, atol=1)

    @pytest.mark.parametrize("top", [90, 255])
    def test_mode_i_made_from_a_grey_picture(self, top: int) -> None:
        grey = Image.fromarray((GREY.astype(int) * top // 255).astype(np.uint8))
        np.testing.assert_array_equal(from_pil(grey.convert("I")).pixels[..., 0], np.asarray(grey))

    def test_dark_pictures_of_declared_depth_stay_dark(self) -> None:
        dark = decode(b"P5 2 1 65535\n" + bytes([0, 200, 0, 100])).pixels
        assert dark.max() <= 1

    def test_16_bits_and_floats(self) -> None:
        np.testing.assert_array_equal(from_pil(Image.fromarray(GREY.astype(np.uint16) * 257)).pixels[..., 0], GREY)
        np.testing.assert_array_equal(from_pil(Image.fromarray(np.float32(GREY) / 255)).pixels[..., 0], GREY)

    @pytest.mark.parametrize("turn", range(1, 9))
    def test_exif_is_honoured_once(self, turn: int) -> None:
        image = Image.open(GOLDEN / f"orientation_{turn}.jpg")
        upright = from_pil(image)
        np.testing.assert_array_equal(upright.pixels, np.asarray(ImageOps.exif_transpose(image)))
        np.testing.assert_array_equal(from_pil(ImageOps.exif_transpose(image)).pixels, upright.pixels)

    @pytest.mark.parametrize("name", ["orientation_5.tif", "turned.avif", "orientation_6.png", "orientation_8.webp"])
    def test_same_pixels_as_from_the_bytes(self, name: str) -> None:
        with Image.open(GOLDEN / name) as image:
            np.testing.assert_array_equal(from_pil(image).pixels, decode((GOLDEN / name).read_bytes()).pixels)

    def test_the_callers_image_stays_as_it_is(self) -> None:
        image = Image.new("RGBA", (4096, 8), (9, 9, 9, 0))
        picture = from_pil(image)
        assert (picture.width, picture.pixels.shape) == (4096, (4, 2048, 3))
        assert (image.size, image.mode, image.getpixel((0, 0))) == ((4096, 8), "RGBA", (9, 9, 9, 0))

    def test_damage_shows_when_it_is_loaded(self) -> None:
        data = (GOLDEN / "orientation_1.jpg").read_bytes()
        with Image.open(io.BytesIO(data[:-60])) as image, pytest.raises(PhotoTruncated, match="JPEG"):
            from_pil(image)

    def test_nothing_in_it(self) -> None:
        with pytest.raises(NotAnImage, match="no pixels"):
            from_pil(Image.new("RGB", (0, 5)))


def test_all_ways_in_agree() -> None:
    big = np.repeat(np.repeat(RNG.integers(0, 256, (30, 40, 3), np.uint8), 9, 0), 9, 1)
    out = io.BytesIO()
    Image.fromarray(big).save(out, "PNG")
    pictures: list[NDArray[np.uint8]] = [
        decode(out.getvalue(), DecodeOptions(target_side=150)).pixels,
        from_pil(Image.fromarray(big), target_side=150).pixels,
        from_array(big, target_side=150).pixels,
    ]
    assert {pixels.shape for pixels in pictures} == {(112, 150, 3)}
    for pixels in pictures[1:]:
        np.testing.assert_allclose(pixels.astype(int), pictures[0], atol=1)
