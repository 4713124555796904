"""Whatever the bytes: a picture or a `PhotoError`, no other exception and no warning (an error here)."""

from __future__ import annotations

import io
import json
from datetime import timedelta
from pathlib import Path

import numpy as np
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from PIL import Image, ImageOps

from mien.errors import NotAnImage, PhotoEmpty, PhotoTooCostly, PhotoTooLarge, PhotoTruncated, PhotoUnsupported
from mien.photos import DecodeOptions, decode
from mien.photos.tiff import orientation

GOLDEN = Path(__file__).parents[1] / "golden"
SEEDS = {name: (GOLDEN / name).read_bytes() for name in sorted(json.loads((GOLDEN / "expected.json").read_text()))}
MAGIC = [data[:count] for data in SEEDS.values() for count in (4, 12, 40)]
SMALL = DecodeOptions(max_pixels=1_000_000)

fuzz = settings(
    max_examples=100,
    deadline=timedelta(seconds=20),
    derandomize=True,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)


def attempt(data: bytes) -> None:
    try:
        picture = decode(data, SMALL)
    except (PhotoEmpty, NotAnImage, PhotoTruncated, PhotoTooCostly, PhotoTooLarge, PhotoUnsupported):
        return
    assert picture.pixels.dtype == np.uint8
    assert picture.pixels.shape[2] == 3
    assert max(picture.pixels.shape) <= 2048
    assert picture.width * picture.height <= SMALL.max_pixels


@fuzz
@given(st.binary(max_size=400))
def test_random_bytes(data: bytes) -> None:
    attempt(data)


@fuzz
@given(st.sampled_from(MAGIC), st.binary(max_size=400))
def test_random_bytes_that_begin_like_a_picture(magic: bytes, data: bytes) -> None:
    attempt(magic + data)


@st.composite
def damaged(draw: st.DrawFn, names: list[str]) -> bytes:
    """A golden picture with bytes overwritten, inserted and removed, most of them in its headers, and cut."""
    data = bytearray(SEEDS[draw(st.sampled_from(names))])
    for _ in range(draw(st.integers(1, 6))):
        at = draw(st.integers(0, min(len(data), draw(st.sampled_from([64, 300, 10_000]))) - 1))
        extreme = st.sampled_from([b"\xff\xff\xff\xff", b"\x7f\xff\xff\xff", b"\0\0\0\0", b"\xff\xff\xff\x7f"])
        new = draw(st.binary(max_size=6) | extreme)
        data[at : at + draw(st.integers(0, 6))] = new
        if not data:
            return b""
    return bytes(data[: draw(st.integers(1, len(data)))]) if draw(st.booleans()) else bytes(data)


@fuzz
@given(damaged([name for name in SEEDS if name.endswith(".jpg")]))
def test_damaged_jpeg(data: bytes) -> None:
    attempt(data)


@fuzz
@given(damaged([name for name in SEEDS if name.endswith(".png")]))
def test_damaged_png(data: bytes) -> None:
    attempt(data)


@fuzz
@given(damaged([name for name in SEEDS if not name.endswith((".png", ".jpg", ".tif"))]))
def test_damaged_others(data: bytes) -> None:
    attempt(data)


@fuzz
@given(damaged([name for name in SEEDS if name.endswith(".tif")]))
def test_damaged_tiff(data: bytes) -> None:
    attempt(data)


@fuzz
@given(st.sampled_from(["Exif\0\0", ""]), st.sampled_from([b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"]), st.binary())
def test_random_exif(prefix: str, head: bytes, data: bytes) -> None:
    assert orientation(prefix.encode() + head + data) in {None, *range(1, 9)}


@settings(max_examples=30, deadline=None, derandomize=True)
@given(arrays(np.uint8, st.tuples(st.integers(1, 9), st.integers(1, 9), st.just(3))), st.integers(1, 8))
def test_any_picture_comes_back_upright(pixels: np.ndarray, turn: int) -> None:
    tags = Image.Exif()
    tags[0x0112] = turn
    for form, options in (("PNG", {"exif": tags}), ("TIFF", {"tiffinfo": {0x0112: turn}})):
        out = io.BytesIO()
        Image.fromarray(pixels).save(out, form, **options)
        with Image.open(out) as image:
            expected = np.asarray(ImageOps.exif_transpose(image))
        np.testing.assert_array_equal(decode(out.getvalue()).pixels, expected)
