"""TIFF of every layout, written by tifffile: the pixels that were meant, or a refusal as unsupported."""

from __future__ import annotations

import io
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image

from mien.errors import PhotoTruncated, PhotoUnsupported
from mien.photos import DecodeOptions, decode, from_pil

FULL = DecodeOptions(target_side=None)
RNG = np.random.default_rng(3)
LAYOUTS = {"minisblack": 1, "miniswhite": 1, "rgb": 3, "separated": 4}


def written(pixels: NDArray[Any], **options: Any) -> bytes:
    out = io.BytesIO()
    tifffile.imwrite(out, pixels, **options)
    return out.getvalue()


def stored(shown: NDArray[Any], kind: str) -> NDArray[Any]:
    """Samples from 0 to 1 as numbers of a type, in the whole of its range."""
    dtype = np.dtype(kind)
    if dtype.kind == "f":
        return shown.astype(dtype)
    limits = np.iinfo(dtype)
    return np.asarray(np.rint(limits.min + shown * (int(limits.max) - int(limits.min))), dtype)


def rgb_of(samples: NDArray[Any], photometric: str) -> NDArray[Any]:
    """What samples from 0 to 1 mean, [H, W, 3] from 0 to 255."""
    if photometric == "miniswhite":
        samples = 1 - samples
    if photometric == "separated":
        samples = (1 - samples[..., :3]) * (1 - samples[..., 3:])
    return np.asarray(255 * np.repeat(samples, 3 // samples.shape[2], axis=2))


@settings(max_examples=150, deadline=None, derandomize=True)
@given(
    size=st.tuples(st.integers(1, 40), st.integers(1, 40)),
    kind=st.sampled_from(["u1", "u1", "u2", "u2", "u4", "i1", "i2", "i4", "f2", "f4", "f8"]),
    photometric=st.sampled_from(sorted(LAYOUTS)),
    planes=st.booleans(),
    alpha=st.sampled_from([None, "unspecified", "unassalpha"]),
    order=st.sampled_from("<>"),
    compression=st.sampled_from([None, "zlib", "lzma"]),
    predictor=st.booleans(),
    tile=st.sampled_from([None, (16, 16), (32, 16)]),
    rows=st.integers(1, 50),
    big=st.booleans(),
)
def test_truth_or_unsupported(  # noqa: PLR0917
    size: tuple[int, int],
    kind: str,
    photometric: str,
    planes: bool,
    alpha: str | None,
    order: Any,
    compression: Any,
    predictor: bool,
    tile: Any,
    rows: int,
    big: bool,
) -> None:
    colours = LAYOUTS[photometric]
    samples = RNG.integers(0, 256, (*size, colours + (alpha is not None))) / 255
    pixels = stored(samples, kind)
    options: dict[str, Any] = {"tile": tile} if tile else {"rowsperstrip": rows}
    if alpha:
        options["extrasamples"] = [alpha]
    if compression == "zlib" and predictor and kind[0] != "f":
        options["predictor"] = 2
    if pixels.shape[2] == 1:
        pixels = pixels[..., 0]
    elif planes:
        pixels, options["planarconfig"] = np.moveaxis(pixels, 2, 0), "separate"
    else:
        options["planarconfig"] = "contig"
    data = written(pixels, photometric=photometric, byteorder=order, compression=compression, bigtiff=big, **options)
    try:
        shown = decode(data, FULL).pixels
    except PhotoUnsupported:
        assert kind not in {"u1", "u2"}
        return
    meant = rgb_of(samples[..., :colours], photometric)
    if alpha == "unassalpha" and photometric != "separated":
        meant = meant * samples[..., -1:] + 255 * (1 - samples[..., -1:])
    np.testing.assert_allclose(shown, meant, atol=2)


@pytest.mark.parametrize("bits", [2, 4, 6, 10, 12, 14])
@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("white", [False, True])
def test_packed_samples(bits: int, order: str, white: bool) -> None:
    """Samples of odd depths lie bit by bit behind each other, the highest first, and rows begin with a byte."""
    values = RNG.integers(0, 1 << bits, (9, 13))
    packed = np.packbits(((values[..., None] >> np.arange(bits)[::-1]) & 1).astype(np.uint8).reshape(9, -1), axis=1)
    from mien.photos.tiff import plain

    tags = {256: 13, 257: 9, 258: bits, 259: 1, 262: 0 if white else 1, 277: 1, 278: 4}
    strips = [packed[top : top + 4].tobytes() for top in (0, 4, 8)]
    shown = decode(plain(order, strips, tags), FULL).pixels[..., 0]
    meant = values * 255 / ((1 << bits) - 1)
    np.testing.assert_allclose(shown, 255 - meant if white else meant, atol=1)


REVERSED = bytes(int(f"{byte:08b}"[::-1], 2) for byte in range(256))


@settings(max_examples=150, deadline=None, derandomize=True)
@given(
    size=st.tuples(st.integers(1, 30), st.integers(1, 30)),
    bits=st.integers(1, 16),
    photometric=st.sampled_from([0, 1, 2, 5]),
    planes=st.booleans(),
    order=st.sampled_from("<>"),
    packed=st.booleans(),
    reverse=st.booleans(),
    rows=st.integers(1, 40),
    turn=st.sampled_from([1, 1, 6]),
)
def test_any_depth(  # noqa: PLR0917
    size: tuple[int, int],
    bits: int,
    photometric: int,
    planes: bool,
    order: str,
    packed: bool,
    reverse: bool,
    rows: int,
    turn: int,
) -> None:
    """Depths that tifffile does not write, bit by bit."""
    from mien.photos.tiff import plain

    height, width = size
    colours = {0: 1, 1: 1, 2: 3, 5: 4}[photometric]
    values = RNG.integers(0, 1 << bits, (height, width, colours))

    def stored_strip(part: NDArray[Any]) -> bytes:
        if bits in {8, 16}:
            data = part.astype(f"{order}u{bits // 8}").tobytes()
        else:
            lines = ((part.reshape(len(part), -1, 1) >> np.arange(bits)[::-1]) & 1).astype(np.uint8)
            data = np.packbits(lines.reshape(len(part), -1), axis=1).tobytes()
        data = zlib.compress(data) if packed else data
        return data.translate(REVERSED) if reverse else data

    parts = np.moveaxis(values, 2, 0)[..., None] if planes else values[None]
    strips = [stored_strip(part[top : top + rows]) for part in parts for top in range(0, height, rows)]
    tags = {256: width, 257: height, 258: bits, 259: 8 if packed else 1, 262: photometric, 266: 2 if reverse else 1}
    tags |= {274: turn, 277: colours, 278: rows, 284: 2 if planes else 1}
    shown = decode(plain(order, strips, tags), FULL).pixels
    name = {0: "miniswhite", 1: "minisblack", 2: "rgb", 5: "separated"}[photometric]
    meant = rgb_of(values / ((1 << bits) - 1), name)
    np.testing.assert_allclose(shown, np.rot90(meant, -1) if turn == 6 else meant, atol=2)


@pytest.mark.parametrize("compression", ["tiff_lzw", "packbits", "tiff_deflate"])
def test_planes_and_depth_under_any_compression(compression: str) -> None:
    """Strips that Pillow has packed as grey bytes, put together as 16-bit planes."""
    from mien.photos.tiff import page, plain

    values = RNG.integers(0, 65536, (3, 8, 10)).astype("<u2")
    strips, method = [], 0
    for plane in values:
        out = io.BytesIO()
        Image.fromarray(plane.view(np.uint8).reshape(8, 20)).save(out, "TIFF", compression=compression)
        found = page(out.getvalue())
        method = found.number(259)
        at, count = found.number(273), found.number(279)
        strips.append(out.getvalue()[at : at + count])
    tags = {256: 10, 257: 8, 258: 16, 259: method, 262: 2, 277: 3, 278: 8, 284: 2}
    np.testing.assert_allclose(decode(plain("<", strips, tags), FULL).pixels, values.transpose(1, 2, 0) / 257, atol=1)


@pytest.mark.parametrize("order", ["<", ">"])
def test_floating_point_predictor(order: str) -> None:
    values = np.linspace(0, 1, 15 * 11, dtype=np.float32).reshape(15, 11)
    out = io.BytesIO()
    Image.fromarray(values).save(out, "TIFF", compression="tiff_adobe_deflate", tiffinfo={317: 3})
    np.testing.assert_allclose(decode(out.getvalue()).pixels[..., 0], values * 255, atol=1)
    data = written(values, photometric="minisblack", byteorder=order, compression="zlib")
    np.testing.assert_allclose(decode(data).pixels[..., 0], values * 255, atol=1)


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("unit", [1, 257])
def test_palettes_of_8_and_of_16_bits(order: Any, unit: int) -> None:
    colours, places = RNG.integers(0, 256, (3, 256)), RNG.integers(0, 256, (9, 12))
    data = written(
        places.astype(np.uint8), photometric="palette", colormap=(colours * unit).astype(np.uint16), byteorder=order
    )
    np.testing.assert_allclose(decode(data).pixels, colours.T[places], atol=1)


@pytest.mark.parametrize("bits", [8, 16])
@pytest.mark.parametrize("compression", [1, 32773])
def test_a_predictor_that_readers_disagree_on_is_not_guessed_at(bits: int, compression: int) -> None:
    from mien.photos.tiff import plain

    tags = {256: 4, 257: 1, 258: bits, 259: compression, 262: 1, 277: 1, 278: 1, 317: 2}
    with pytest.raises(PhotoUnsupported, match="predictor 2 without"):
        decode(plain("<", [bytes(bits // 2)], tags))


class TestPages:
    RGB = RNG.integers(0, 256, (24, 32, 3), np.uint8)

    @pytest.mark.parametrize("thumbnails", [1, 2])
    @pytest.mark.parametrize("big", [False, True])
    def test_the_full_size_page_counts(self, thumbnails: int, big: bool) -> None:
        out = io.BytesIO()
        with tifffile.TiffWriter(out, bigtiff=big) as pages:
            for _ in range(thumbnails):
                pages.write(self.RGB[::4, ::4], photometric="rgb", subfiletype=1)
            pages.write(self.RGB, photometric="rgb", subfiletype=0)
        np.testing.assert_array_equal(decode(out.getvalue()).pixels, self.RGB)

    def test_a_mask_in_front_is_no_picture(self) -> None:
        out = io.BytesIO()
        with tifffile.TiffWriter(out, byteorder="<") as pages:
            pages.write(self.RGB[..., 0], photometric="minisblack", subfiletype=2)
            pages.write(self.RGB, photometric="rgb", subfiletype=0)
        page, mask = (b"\xfe\0\4\0\1\0\0\0" + bytes([kind]) for kind in (2, 4))
        data = out.getvalue().replace(page, mask)
        assert mask in data
        np.testing.assert_array_equal(decode(data).pixels, self.RGB)

    def test_pages_that_lead_to_each_other(self) -> None:
        data = bytearray(written(self.RGB, photometric="rgb", subfiletype=1, byteorder="<", metadata=None))
        (at,) = np.frombuffer(data, "<u4", 1, 4)
        (count,) = np.frombuffer(data, "<u2", 1, int(at))
        place = int(at) + 2 + 12 * int(count)
        data[place : place + 4] = data[4:8]
        with pytest.raises(PhotoUnsupported, match="raw data"):
            decode(bytes(data))


@pytest.mark.parametrize("photometric", [32803, 34892, 9, 32844])
def test_what_no_reader_knows_is_unsupported(photometric: int) -> None:
    data = written(np.zeros((8, 8), np.uint8), photometric="minisblack", byteorder="<")
    at = data.index(b"\x06\x01\x03\0\x01\0\0\0") + 8
    with pytest.raises(PhotoUnsupported):
        decode(data[:at] + photometric.to_bytes(2, "little") + data[at + 2 :])


@pytest.mark.parametrize("compression", [33003, 33005, 34712, 50001, 34887, 52546])
@pytest.mark.parametrize("order", ["<", ">"])
def test_pictures_of_other_formats_inside_are_unsupported(compression: int, order: str) -> None:
    """JPEG 2000, WebP, LERC and JPEG XL: nothing is damaged, so nobody is told to copy it again."""
    from mien.photos.tiff import plain

    tags = {256: 4, 257: 4, 258: 8, 259: compression, 262: 2, 277: 3, 278: 4}
    with pytest.raises(PhotoUnsupported, match=f"compression {compression}") as raised:
        decode(plain(order, [bytes(48)], tags))
    assert "copy it again" not in str(raised.value)


@pytest.mark.parametrize("kind", ["f2", "f4", "f8"])
@pytest.mark.parametrize("order", ["<", ">"])
def test_colours_in_floating_point_are_unsupported(kind: str, order: Any) -> None:
    data = written(RNG.random((8, 9, 3)).astype(kind), photometric="rgb", byteorder=order)
    with pytest.raises(PhotoUnsupported, match="floating point"):
        decode(data)


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("alpha", [1.0, 0.5, 0.0])
def test_16_bit_grey_with_alpha(order: Any, alpha: float) -> None:
    grey = RNG.random((8, 9))
    pixels = stored(np.dstack([grey, np.full_like(grey, alpha)]), "u2")
    data = written(pixels, photometric="minisblack", planarconfig="contig", extrasamples=["unassalpha"],
                   byteorder=order)  # fmt: skip
    meant = 255 * (grey * alpha + 1 - alpha)
    np.testing.assert_allclose(decode(data).pixels[..., 0], meant, atol=1)


@pytest.mark.parametrize("kind", ["u1", "u2"])
@pytest.mark.parametrize("photometric", ["minisblack", "miniswhite", "rgb"])
def test_bigtiff_in_big_endian_order_is_read_without_a_word(
    kind: str, photometric: str, capfd: pytest.CaptureFixture[str]
) -> None:
    samples = RNG.integers(0, 256, (9, 8, LAYOUTS[photometric])) / 255
    pixels = stored(samples, kind)
    data = written(
        pixels if photometric == "rgb" else pixels[..., 0], photometric=photometric, byteorder=">", bigtiff=True
    )
    assert data[:4] == b"MM\0+"
    np.testing.assert_allclose(decode(data).pixels, rgb_of(samples, photometric), atol=1)
    assert capfd.readouterr() == ("", "")


def test_shared_bigtiff_of_motorola(shared: Path) -> None:
    data = (shared / "cases" / "BigTIFFMotorola.tif").read_bytes()
    np.testing.assert_allclose(decode(data).pixels, tifffile.imread(io.BytesIO(data)), atol=1)


@pytest.mark.parametrize("compression", ["tiff_lzw", "tiff_adobe_deflate", "jpeg"])
def test_libtiff_is_silent(compression: str, capfd: pytest.CaptureFixture[str]) -> None:
    out = io.BytesIO()
    Image.fromarray(TestPages.RGB).save(out, "TIFF", compression=compression)
    data = bytearray(out.getvalue())
    data[20:200] = bytes(180)
    with pytest.raises(PhotoTruncated):
        decode(bytes(data))
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize("kind", ["i1", "i2", "<i4", "<u4"])
def test_pil_images_of_signed_and_of_32_bit_numbers_are_refused(kind: str) -> None:
    data = written(stored(RNG.random((20, 30)), kind), photometric="minisblack", byteorder="<")
    with Image.open(io.BytesIO(data)) as image, pytest.raises(PhotoUnsupported, match="misreads"):
        from_pil(image)


@pytest.mark.parametrize("number", [2, 5, 6])
def test_whole_numbers_that_are_signed_or_complex_are_refused(number: int) -> None:
    from mien.photos.tiff import plain

    tags = {256: 4, 257: 1, 258: 16, 259: 1, 262: 1, 277: 1, 278: 1, 339: number}
    with pytest.raises(PhotoUnsupported, match=r"signed|complex"):
        decode(plain("<", [bytes(8)], tags))


def test_pil_images_that_pillow_has_misread_are_refused(tmp_path: Path) -> None:
    grey = RNG.integers(0, 65536, (20, 30)).astype(np.uint16)
    with Image.open(io.BytesIO(written(grey, photometric="minisblack"))) as image:
        np.testing.assert_allclose(from_pil(image).pixels[..., 0], grey / 257, atol=1)
    with (
        Image.open(io.BytesIO(written(grey, photometric="miniswhite"))) as image,
        pytest.raises(PhotoUnsupported, match="give the file"),
    ):
        from_pil(image)
