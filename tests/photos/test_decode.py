"""Decoding: sizes and limits, damage, things that are no photos, threads."""

from __future__ import annotations

import io
import json
import struct
import sys
import zipfile
import zlib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageOps

from mien.errors import NotAnImage, PhotoEmpty, PhotoTooLarge, PhotoTruncated, PhotoUnsupported, UsageError
from mien.photos import DecodeOptions, decode, from_pil
from mien.photos.tiff import orientation

GOLDEN = Path(__file__).parents[1] / "golden"
NAMES = sorted(
    name for name in json.loads((GOLDEN / "expected.json").read_text()) if not name.endswith((".heic", ".json", ".py"))
)
CUT = (
    *("orientation_1.jpg", "progressive.jpg", "plain.gif", "rgb.bmp", "rgb.tif", "lzw.tif", "jpeg.tif"),
    *("plain.webp", "lossless.webp", "plain.avif", "rgb.ppm", "rgb_16.png"),
)
FULL = DecodeOptions(target_side=None)


def golden(name: str) -> bytes:
    return (GOLDEN / name).read_bytes()


def encode(pixels: NDArray[Any] | Image.Image, form: str, **options: Any) -> bytes:
    image = pixels if isinstance(pixels, Image.Image) else Image.fromarray(pixels)
    out = io.BytesIO()
    image.save(out, form, **options)
    return out.getvalue()


def halves(width: int, height: int) -> NDArray[np.uint8]:
    """Red on the left, blue on the right."""
    pixels = np.zeros((height, width, 3), np.uint8)
    pixels[:, : width // 2, 0] = pixels[:, width // 2 :, 2] = 200
    return pixels


def exif(turn: int) -> bytes:
    return b"Exif\0\0MM\0*\0\0\0\x08\0\x01" + struct.pack(">HHIHHI", 0x0112, 3, 1, turn, 0, 0)


class TestSize:
    def test_small_photos_keep_every_pixel(self) -> None:
        pixels = np.random.default_rng(1).integers(0, 256, (37, 53, 3), np.uint8)
        picture = decode(encode(pixels, "PNG"))
        np.testing.assert_array_equal(picture.pixels, pixels)
        assert (picture.width, picture.height, picture.scale) == (53, 37, 1.0)

    @pytest.mark.parametrize("form", ["JPEG", "PNG"])
    @pytest.mark.parametrize(("width", "height"), [(4200, 300), (300, 4200), (2100, 90), (9000, 40)])
    def test_huge_photos_are_reduced_and_say_so(self, form: str, width: int, height: int) -> None:
        picture = decode(encode(halves(width, height), form))
        shown_height, shown_width = picture.pixels.shape[:2]
        assert 1800 <= max(shown_width, shown_height) <= 2048
        assert (picture.width, picture.height) == (width, height)
        assert (shown_width, shown_height) == pytest.approx((width * picture.scale, height * picture.scale), abs=1)
        np.testing.assert_allclose(picture.pixels[shown_height // 2, shown_width // 4], (200, 0, 0), atol=4)
        np.testing.assert_allclose(picture.pixels[shown_height // 2, shown_width * 3 // 4], (0, 0, 200), atol=4)

    def test_reducing_and_turning_go_together(self) -> None:
        picture = decode(encode(halves(600, 300), "JPEG", exif=exif(6)), DecodeOptions(target_side=100))
        assert (picture.width, picture.height) == (300, 600)
        assert picture.pixels.shape[0] > picture.pixels.shape[1]
        np.testing.assert_allclose(picture.pixels[20, 25], (200, 0, 0), atol=4)
        np.testing.assert_allclose(picture.pixels[-20, 25], (0, 0, 200), atol=4)

    def test_reducing_averages_rather_than_skips(self) -> None:
        stripes = np.zeros((40, 4096), np.uint8)
        stripes[:, ::2] = 255
        picture = decode(encode(stripes, "PNG"), DecodeOptions(target_side=512))
        assert picture.pixels.shape == (5, 512, 3)
        np.testing.assert_allclose(picture.pixels, 127.5, atol=1)

    @pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "I;16", "F", "LAB"])
    def test_every_mode_is_reduced_alike(self, mode: str) -> None:
        grey = Image.new("L", (500, 250), 255)
        image = {
            "I;16": lambda: Image.fromarray(np.full((250, 500), 65535, np.uint16)),
            "F": lambda: Image.fromarray(np.full((250, 500), 1, np.float32)),
            "LAB": lambda: grey.convert("RGB").convert("LAB"),
            "CMYK": lambda: grey.convert("RGB").convert("CMYK"),
        }.get(mode, lambda: grey.convert(mode))()
        picture = decode(encode(image, "TIFF"), DecodeOptions(target_side=100))
        assert picture.pixels.shape == (50, 100, 3)
        assert (picture.width, picture.height) == (500, 250)
        assert picture.pixels.min() >= 250

    def test_hidden_colours_do_not_bleed(self) -> None:
        pixels = np.zeros((64, 4096, 4), np.uint8)
        pixels[:, ::2] = 255  # white and solid beside black and clear
        assert decode(encode(pixels, "PNG"), DecodeOptions(target_side=300)).pixels.min() >= 254

    def test_full_size_on_request(self) -> None:
        assert decode(encode(halves(3000, 20), "JPEG"), FULL).pixels.shape == (20, 3000, 3)

    def test_pixels_cannot_be_written(self) -> None:
        for name in ("orientation_1.jpg", "orientation_6.jpg", "rgba.png"):
            with pytest.raises(ValueError, match="read-only"):
                decode(golden(name)).pixels[0, 0] = 0


class TestBitDepth:
    def test_16_bits_are_scaled_and_rounded(self) -> None:
        values = np.linspace(0, 65535, 400).astype(np.uint16).reshape(20, 20)
        for form in ("PNG", "TIFF"):
            pixels = decode(encode(values, form)).pixels
            np.testing.assert_array_equal(pixels, np.repeat(np.rint(values / 257).astype(np.uint8)[..., None], 3, 2))

    @pytest.mark.parametrize("full", [1, 255, 65535, 1e9])
    def test_floating_point_is_read_in_the_range_it_reaches(self, full: float) -> None:
        values = np.linspace(0, full, 256).astype(np.float32).reshape(16, 16)
        pixels = decode(encode(values, "TIFF")).pixels
        np.testing.assert_allclose(pixels[..., 1], np.arange(256).reshape(16, 16), atol=1)

    def test_floats_that_are_no_numbers_are_black(self) -> None:
        values = np.array([[np.nan, np.inf, -np.inf, 1, 0.5, -3e38]], np.float32)
        assert decode(encode(values, "TIFF")).pixels[0, :, 0].tolist() == [0, 0, 0, 255, 128, 0]


class TestOrientation:
    @pytest.mark.parametrize("endian", ["<", ">"])
    @pytest.mark.parametrize("kind", ["H", "I", "B"])
    def test_read_from_any_byte_order_and_whole_number(self, endian: str, kind: str) -> None:
        number = {"B": 1, "H": 3, "I": 4}[kind]
        value = struct.pack(endian + kind, 6).ljust(4, b"\0")
        head = (b"II*\0" if endian == "<" else b"MM\0*") + struct.pack(endian + "IH", 8, 1)
        block = head + struct.pack(endian + "HHI", 0x0112, number, 1) + value + bytes(4)
        assert orientation(block) == orientation(b"Exif\0\0" + block) == 6

    @pytest.mark.parametrize("turn", [0, 9, 65535])
    def test_impossible_ones_count_as_upright(self, turn: int) -> None:
        assert orientation(exif(turn)) is None

    def test_the_first_exif_block_of_a_jpeg_counts(self) -> None:
        jpeg = encode(halves(64, 32), "JPEG", exif=exif(6))
        at = jpeg.index(b"Exif\0\0") - 4
        second = b"\xff\xe1" + struct.pack(">H", len(exif(3)) + 2) + exif(3)
        end = at + 2 + int.from_bytes(jpeg[at + 2 : at + 4])
        assert decode(jpeg[:end] + second + jpeg[end:]).pixels.shape == (64, 32, 3)


def xmp(turn: int, *, element: bool = False, prefix: str = "tiff") -> bytes:
    told = f"<{prefix}:Orientation>{turn}</{prefix}:Orientation>" if element else ""
    attribute = "" if element else f' {prefix}:Orientation="{turn}"'
    return f'<x:xmpmeta xmlns:{prefix}="http://ns.adobe.com/tiff/1.0/"{attribute}>{told}</x:xmpmeta>'.encode()


def png_with(*chunks: tuple[bytes, bytes]) -> bytes:
    data = encode(halves(64, 32), "PNG")
    told = [
        struct.pack(">I4s", len(body), name) + body + struct.pack(">I", zlib.crc32(name + body))
        for name, body in chunks
    ]
    return data[:33] + b"".join(told) + data[33:]


def raw_profile(turn: int, name: bytes = b"exif") -> bytes:
    block = exif(turn)
    return b"\n%s\n%8d\n%s\n" % (name, len(block), block.hex().encode())


class TestWhereTheTurnIsTold:
    """A picture of 64 x 32 that stands 32 x 64 once it is turned."""

    @pytest.mark.parametrize(
        "chunk",
        [
            (b"zTXt", b"Raw profile type exif\0\0" + zlib.compress(raw_profile(6))),
            (b"tEXt", b"Raw profile type exif\0" + raw_profile(6)),
            (b"iTXt", b"Raw profile type exif\0\1\0\0\0" + zlib.compress(raw_profile(6))),
            (b"zTXt", b"Raw profile type APP1\0\0" + zlib.compress(raw_profile(6, b"APP1"))),
            (b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0" + xmp(6)),
            (b"iTXt", b"XML:com.adobe.xmp\0\1\0\0\0" + zlib.compress(xmp(6, element=True, prefix="t"))),
        ],
    )
    def test_in_text_of_png(self, chunk: tuple[bytes, bytes]) -> None:
        assert decode(png_with(chunk)).pixels.shape == (64, 32, 3)

    @pytest.mark.parametrize("turn", range(1, 9))
    @pytest.mark.parametrize("way", ["exif", "APP1", "bare", "upper", "xmp", "raw xmp"])
    def test_every_turn_shows_the_pixels_that_exif_itself_would(self, turn: int, way: str) -> None:
        """Hexadecimal with and without its name in front, in either case, and XMP alone."""
        block = exif(turn)[6:] if way == "bare" else exif(turn)
        text = block.hex().upper() if way == "upper" else block.hex()
        name = b"APP1" if way == "APP1" else b"exif"
        chunk = (b"zTXt", b"Raw profile type %s\0\0" % name
                 + zlib.compress(b"\n%s\n%8d\n%s\n" % (name, len(block), text.encode())))  # fmt: skip
        if way == "xmp":
            chunk = (b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0" + xmp(turn))
        elif way == "raw xmp":
            packet = xmp(turn)
            text_of_it = b"\nxmp\n%8d\n%s\n" % (len(packet), packet.hex().encode())
            chunk = (b"zTXt", b"Raw profile type xmp\0\0" + zlib.compress(text_of_it))
        shown = decode(png_with(chunk)).pixels
        np.testing.assert_array_equal(shown, decode(png_with((b"eXIf", exif(turn)[6:]))).pixels)
        upright = Image.fromarray(halves(64, 32))
        upright.getexif()[0x0112] = turn
        np.testing.assert_array_equal(shown, np.asarray(ImageOps.exif_transpose(upright)))

    @pytest.mark.parametrize(("first", "second", "wins"), [(6, 3, 6), (3, 6, 3), (1, 8, 1)])
    def test_where_text_and_xmp_disagree(self, first: int, second: int, wins: int) -> None:
        text = (b"tEXt", b"Raw profile type exif\0" + raw_profile(first))
        packet = (b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0" + xmp(second))
        meant = decode(png_with((b"eXIf", exif(wins)[6:]))).pixels
        np.testing.assert_array_equal(decode(png_with(text, packet)).pixels, meant)
        np.testing.assert_array_equal(decode(png_with(packet, text)).pixels, meant)

    def test_in_xmp_of_jpeg_webp_and_tiff(self) -> None:
        for form in ("JPEG", "WEBP"):
            assert decode(encode(halves(64, 32), form, xmp=xmp(8))).pixels.shape == (64, 32, 3)
        assert decode(encode(halves(64, 32), "TIFF", tiffinfo={700: xmp(8)})).pixels.shape == (64, 32, 3)

    def test_exif_wins_over_a_profile_in_text_and_that_over_xmp(self) -> None:
        own, text = (b"eXIf", exif(1)[6:]), (b"tEXt", b"Raw profile type exif\0" + raw_profile(6))
        packet = (b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0" + xmp(1))
        assert decode(png_with(text, own, packet)).pixels.shape == (32, 64, 3)
        assert decode(png_with(packet, text)).pixels.shape == (64, 32, 3)
        assert decode(encode(halves(64, 32), "JPEG", exif=exif(1), xmp=xmp(6))).pixels.shape == (32, 64, 3)

    @pytest.mark.parametrize(
        "body",
        [b"Raw profile type exif\0\0junk", b"Raw profile type exif\0\0" + zlib.compress(b"\nexif\n 9\nxy"), b"x"],
    )
    def test_damaged_text_says_nothing(self, body: bytes) -> None:
        assert decode(png_with((b"zTXt", body))).pixels.shape == (32, 64, 3)

    def test_pil_images_alike(self) -> None:
        data = png_with((b"zTXt", b"Raw profile type exif\0\0" + zlib.compress(raw_profile(6))))
        with Image.open(io.BytesIO(data)) as image:
            np.testing.assert_array_equal(from_pil(image).pixels, decode(data).pixels)


@pytest.mark.parametrize("bits", [1, 2, 4, 8, 16])
def test_the_transparent_grey_of_png_is_white_at_any_depth(bits: int) -> None:
    full = (1 << bits) - 1
    values = np.array([0, full, full // 3, full // 2 + 1, 0, full // 3, full, 0])
    key = int(values[2])
    row = np.packbits(((values[:, None] >> np.arange(bits)[::-1]) & 1).astype(np.uint8)).tobytes()
    header = struct.pack(">IIBBBBB", len(values), 1, bits, 0, 0, 0, 0)
    data = b"\x89PNG\r\n\x1a\n"
    for name, body in (
        (b"IHDR", header),
        (b"tRNS", struct.pack(">H", key)),
        (b"IDAT", zlib.compress(b"\0" + row)),
        (b"IEND", b""),
    ):
        data += struct.pack(">I4s", len(body), name) + body + struct.pack(">I", zlib.crc32(name + body))
    meant = np.where(values == key, 255, np.rint(values * 255 / full))
    np.testing.assert_allclose(decode(data).pixels[0, :, 0], meant, atol=1)


class TestNetpbm:
    @pytest.mark.parametrize(
        ("data", "pixels"),
        [
            (b"P1\n# bits\n2 2\n1 0\n01", [[[0], [255]], [[255], [0]]]),
            (b"P2 2 1 15 0 5", [[[0], [85]]]),
            (b"P3 1 2 255 1 2 3 4 5 6", [[[1, 2, 3]], [[4, 5, 6]]]),
            (b"P7\nWIDTH 1\nHEIGHT 2\nDEPTH 1\nMAXVAL 1023\nTUPLTYPE GRAYSCALE\nENDHDR\n\0\0\3\xff", [[[0]], [[255]]]),
            (b"P7\nWIDTH 1\nHEIGHT 1\nDEPTH 4\nMAXVAL 255\nTUPLTYPE RGB_ALPHA\nENDHDR\n\1\2\3\xff", [[[1, 2, 3]]]),
            (b"P7\nDEPTH 1\nWIDTH 2\nHEIGHT 1\nMAXVAL 1\nTUPLTYPE BLACKANDWHITE\nENDHDR\n\0\1", [[[0], [255]]]),
            (b"Pf 1 2 -1.0\n" + struct.pack("<2f", 1, 0.2), [[[51]], [[255]]]),
            (b"P2\n2 2\n# a comment\n255\n0 51\n102 255\n", [[[0], [51]], [[102], [255]]]),
            (b"Pf\n2 1\n1.0\n" + struct.pack(">2f", 0.4, 1), [[[102], [255]]]),
            (b"PF 1 2 1.0\n" + struct.pack(">6f", 1, 0, 0.2, 0, 1, 0), [[[0, 255, 0]], [[255, 0, 51]]]),
        ],
    )
    def test_text_any_samples_and_floats(self, data: bytes, pixels: list[Any]) -> None:
        np.testing.assert_array_equal(decode(data).pixels, np.broadcast_to(pixels, (*np.shape(pixels)[:2], 3)))
        with pytest.raises(PhotoTruncated):
            decode(data[:-1] if data[1:2] in b"7fF" else data[:8])


@pytest.mark.parametrize("kind", [np.uint8, np.uint16])
def test_jpeg_2000(kind: Any) -> None:
    values = np.arange(256).reshape(16, 16)
    data = encode((values * (np.iinfo(kind).max // 255)).astype(kind), "JPEG2000")
    np.testing.assert_allclose(decode(data).pixels[..., 0], values, atol=1)


@pytest.mark.parametrize("planes", [1, 3])
def test_the_merged_picture_of_photoshop_in_grey_and_colour(planes: int) -> None:
    mode = {1: 1, 3: 3}[planes]
    data = bytearray(psd(8, mode, bytes(range(6 * planes))))
    data[12:14] = struct.pack(">H", planes)
    pixels = decode(bytes(data)).pixels
    meant = np.arange(6 * planes).reshape(planes, 2, 3).transpose(1, 2, 0)
    np.testing.assert_array_equal(pixels, np.broadcast_to(meant, (2, 3, 3)))


def test_the_merged_picture_of_photoshop() -> None:
    pixels = decode(psd(8, 3, bytes(range(24)))).pixels
    np.testing.assert_array_equal(pixels[0], [[0, 6, 12], [1, 7, 13], [2, 8, 14]])


class TestLimits:
    @pytest.mark.parametrize(
        "name", ["rgb.png", "orientation_6.jpg", "plain.gif", "rgb.bmp", "lossless.webp", "rgb.tif"]
    )
    def test_pixels_are_counted_before_decoding(self, name: str) -> None:
        with pytest.raises(PhotoTooLarge, match=r"pixels, more than the limit of 1,535"):
            decode(golden(name), DecodeOptions(max_pixels=48 * 32 - 1))
        assert decode(golden(name), DecodeOptions(max_pixels=48 * 32)).width in {32, 48}

    def test_bombs_are_refused_from_their_header(self) -> None:
        header = struct.pack(">IIBBBBB", 50_000, 50_000, 8, 2, 0, 0, 0)
        bomb = golden("rgb.png")[:12] + b"IHDR" + header + struct.pack(">I", zlib.crc32(b"IHDR" + header))
        with pytest.raises(PhotoTooLarge, match="50000 x 50000"):
            decode(bomb + golden("rgb.png")[33:])
        jpeg = golden("progressive.jpg")
        at = jpeg.index(b"\xff\xc2") + 5
        with pytest.raises(PhotoTooLarge, match="65000 x 64000"):
            decode(jpeg[:at] + struct.pack(">HH", 64_000, 65_000) + jpeg[at + 4 :])
        gif = golden("plain.gif")
        with pytest.raises(PhotoTooLarge, match="60000 x 60000"):
            decode(gif[:6] + struct.pack("<HH", 60_000, 60_000) + gif[10:])

    def test_pillows_own_limit_neither_warns_nor_counts(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 1000)  # Pillow warns of 48 x 32 pixels then
        for name in NAMES:
            if name.endswith(".tif"):
                with pytest.raises(PhotoTooLarge, match="limit of 1,000"):
                    decode(golden(name))
            else:
                assert {decode(golden(name)).width, decode(golden(name)).height} == {48, 32}

    def test_progressive_jpeg_of_endless_steps(self) -> None:
        jpeg = golden("progressive.jpg")
        last = jpeg.rindex(b"\xff\xda")
        with pytest.raises(PhotoTooLarge, match="steps"):
            decode(jpeg[:last] + jpeg[last:-2] * 300 + jpeg[-2:])
        assert decode(jpeg[:last] + jpeg[last:-2] * 3 + jpeg[-2:]).width == 48

    def test_bytes_are_counted(self) -> None:
        data = golden("rgb.png")
        with pytest.raises(PhotoTooLarge, match="146 bytes, more than the limit of 145"):
            decode(data, DecodeOptions(max_bytes=145))
        assert decode(data, DecodeOptions(max_bytes=146)).width == 48

    def test_gif_with_a_frame_beyond_its_canvas(self) -> None:
        gif = golden("plain.gif")
        picture = decode(gif[:6] + struct.pack("<HH", 10, 10) + gif[10:])
        assert (picture.width, picture.height) == (48, 32)


class TestDamage:
    @pytest.mark.parametrize("share", [0.3, 0.6, 0.85])
    @pytest.mark.parametrize("name", CUT)
    def test_cut_short(self, name: str, share: float) -> None:
        data = golden(name)
        with pytest.raises(PhotoTruncated, match="copy it again") as caught:
            decode(data[: int(len(data) * share)])
        assert caught.value.kind == "truncated"

    def test_jpeg_without_its_end(self) -> None:
        whole, cut = decode(golden("orientation_1.jpg")), decode(golden("orientation_1.jpg")[:-2])
        np.testing.assert_array_equal(cut.pixels, whole.pixels)
        assert (whole.incomplete, cut.incomplete) == (False, True)

    @pytest.mark.parametrize("options", [{}, {"subsampling": 0}, {"restart_marker_rows": 1}, {"mode": "L"}])
    @pytest.mark.parametrize("side", [None, 100])
    def test_a_jpeg_that_lacks_little_is_used_and_one_that_lacks_much_is_not(
        self, options: dict[str, Any], side: int | None
    ) -> None:
        noise = np.random.default_rng(5).integers(0, 256, (25, 20, 3), np.uint8)
        image = Image.fromarray(noise).resize((320, 400)).convert(options.get("mode", "RGB"))
        data = encode(image, "JPEG", **{name: value for name, value in options.items() if name != "mode"})
        whole, limits = decode(data, DecodeOptions(target_side=side)), DecodeOptions(target_side=side)
        cut = decode(data[: int(len(data) * 0.9)], limits)
        assert cut.incomplete
        same = np.abs(cut.pixels.astype(int) - whole.pixels).max(axis=(1, 2)) <= 2
        assert 0.75 <= same.mean() < 1
        assert same[: int(same.sum()) - 2].all()  # from the top
        for share in (0.6, 0.3):
            with pytest.raises(PhotoTruncated):
                decode(data[: int(len(data) * share)], limits)

    def test_a_progressive_jpeg_without_its_refinement_is_used(self) -> None:
        noise = np.random.default_rng(5).integers(0, 256, (25, 20, 3), np.uint8)
        data = encode(Image.fromarray(noise).resize((320, 400)), "JPEG", progressive=True, quality=92)
        whole, cut = decode(data), decode(data[:-200])
        assert cut.incomplete
        assert np.abs(cut.pixels.astype(int) - whole.pixels).mean() < 2
        with pytest.raises(PhotoTruncated):
            decode(data[: len(data) // 5])

    @pytest.mark.parametrize("cut", [2, 200, 1000])
    @pytest.mark.parametrize("options", [{}, {"progressive": True, "quality": 92}, {"mode": "L"}])
    def test_the_upper_rows_of_a_jpeg_without_its_last_bytes(self, cut: int, options: dict[str, Any]) -> None:
        noise = np.random.default_rng(6).integers(0, 256, (25, 20, 3), np.uint8)
        image = Image.fromarray(noise).resize((640, 800)).convert(options.get("mode", "RGB"))
        data = encode(image, "JPEG", **{name: value for name, value in options.items() if name != "mode"})
        whole, part = decode(data), decode(data[:-cut])
        assert (whole.incomplete, part.incomplete) == (False, True)
        away = np.abs(part.pixels.astype(int) - whole.pixels)
        if options.get("progressive"):
            assert away.mean() < 2
        else:
            assert away[: 3 * len(away) // 4].max() <= 2

    def test_bits_flipped_inside_compressed_pixels(self) -> None:
        data = bytearray(golden("rgb_16.png"))
        middle = data.index(b"IDAT") + 40
        data[middle : middle + 20] = bytes(20)
        with pytest.raises(PhotoTruncated, match="PNG"):
            decode(bytes(data))

    @pytest.mark.parametrize("name", ["orientation_1.jpg", "rgb.png", "plain.gif", "rgb.bmp", "rgb.tif", "plain.webp"])
    def test_what_follows_the_picture_does_not_matter(self, name: str) -> None:
        np.testing.assert_array_equal(decode(golden(name) + b"\xff\xd9junk").pixels, decode(golden(name)).pixels)

    def test_empty(self) -> None:
        with pytest.raises(PhotoEmpty, match="no bytes"):
            decode(b"")

    @pytest.mark.parametrize("name", ["rgb.png", "orientation_1.jpg", "rgb.tif", "rgb.bmp", "plain.gif", "plain.webp"])
    def test_header_alone(self, name: str) -> None:
        with pytest.raises(PhotoTruncated):
            decode(golden(name)[:20])

    def test_tiff_with_too_many_samples_is_refused_in_silence(self, caplog: pytest.LogCaptureFixture) -> None:
        data = bytearray(golden("rgb.tif"))
        at = data.index(struct.pack("<HHI", 277, 3, 1))
        data[at + 8 : at + 10] = struct.pack("<H", 99)
        with pytest.raises(PhotoUnsupported, match="99 samples"):
            decode(bytes(data))
        assert caplog.records == []


def psd(bits: int, mode: int, pixels: bytes = b"") -> bytes:
    return b"8BPS" + struct.pack(">H6xHIIHH", 1, 4, 2, 3, bits, mode) + bytes(12) + b"\0\0" + pixels


def bmp(bits: int, masks: tuple[int, int, int], compression: int = 3, header: int = 40, alpha: int = 0) -> bytes:
    """4 x 2 pixels of value 0x20406080 down to smaller ones, as far as the bits go; rows from the bottom up."""
    head = struct.pack("<IiiHHIIiiII", header, 4, 2, 1, bits, compression, 0, 0, 0, 0, 0) + struct.pack("<3I", *masks)
    head += struct.pack("<I", alpha) if header > 40 else b""
    head += bytes(max(header - len(head), 0))
    pixels = bytes([10, 20, 30, 0] * 8)
    return b"BM" + struct.pack("<IHHI", 14 + len(head) + len(pixels), 0, 0, 14 + len(head)) + head + pixels


@pytest.mark.parametrize("header", [56, 108, 124])
@pytest.mark.parametrize(
    ("masks", "alpha", "rgb"),
    [
        ((0xFF0000, 0xFF00, 0xFF), 0xFF000000, (30, 20, 10)),
        ((0xFF, 0xFF00, 0xFF0000), 0xFF000000, (10, 20, 30)),
    ],
)
def test_bmp_without_any_alpha_is_opaque(
    header: int, masks: tuple[int, int, int], alpha: int, rgb: tuple[int, int, int]
) -> None:
    data = bmp(32, masks, header=header, alpha=alpha)
    assert (decode(data).pixels == rgb).all()
    half = bytearray(data)
    half[-1] = 128  # somebody wrote an alpha: it counts
    assert (decode(bytes(half)).pixels[1, 0] == 255).all()


@pytest.mark.parametrize("down", [False, True])
@pytest.mark.parametrize(("header", "compression"), [(40, 0), (40, 3), (52, 3), (108, 0), (108, 3), (124, 0), (124, 3)])
def test_bmp_of_32_bits_whose_fourth_byte_is_0(*, header: int, compression: int, down: bool) -> None:
    """Six pixels of six colours: BI_RGB and BITFIELDS, headers of every age, rows up or down."""
    rgb = np.random.default_rng(4).integers(0, 256, (2, 3, 3), np.uint8)
    stored = np.zeros((2, 3, 4), np.uint8)
    stored[..., :3] = (rgb if down else rgb[::-1])[..., ::-1]
    head = struct.pack("<IiiHHIIiiII", header, 3, -2 if down else 2, 1, 32, compression, 24, 0, 0, 0, 0)
    if compression == 3:
        head += struct.pack("<3I", 0xFF0000, 0xFF00, 0xFF)
    head = (head + (b"\0\0\0\xff" if header > 52 and compression == 3 else b"")).ljust(header, b"\0")
    data = b"BM" + struct.pack("<IHHI", 14 + len(head) + 24, 0, 0, 14 + len(head)) + head + stored.tobytes()
    np.testing.assert_array_equal(decode(data).pixels, rgb)


def jpeg_frame(marker: int, bits: int, components: int) -> bytes:
    part = bytes([bits, 0, 8, 0, 8, components]) + b"\1\x11\0" * components
    return b"\xff\xd8\xff" + bytes([marker]) + struct.pack(">H", len(part) + 2) + part


def archive() -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as file:
        file.writestr("photo.jpg", golden("orientation_1.jpg"))
    return out.getvalue()


class TestNoPhoto:
    @pytest.mark.parametrize(
        ("data", "words"),
        [
            (b"Dear all,\nthe photo is attached.\n", "plain text"),
            (b"\xef\xbb\xbfname;age\n", "plain text"),
            (b"<?xml version='1.0'?><dataset/>", "XML"),
            (b"\n\n  <!DOCTYPE html><html></html>", "web page"),
            (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "XML"),
            (b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n", "PDF"),
            (archive(), "ZIP"),
            (b"\0\0\0\x18ftypmp42\0\0\0\0mp42isom", "film"),
            (b"BMW.jpg\nBMX.jpg and more lines", "plain text"),
            ("Grüße".encode("utf-16"), "unknown kind"),
            (bytes(range(255, -1, -1)), "unknown kind"),
            (b"\xff", "unknown kind|plain text"),
        ],
    )
    def test_says_what_it_looks_like(self, data: bytes, words: str) -> None:
        with pytest.raises(NotAnImage, match=rf"looks like .*({words}).*: give a photo as JPEG, PNG"):
            decode(data)

    @pytest.mark.parametrize(
        ("data", "words"),
        [
            (b"8BPS\0\2", r"Photoshop \(PSB\) pictures cannot be read: save it as JPEG"),
            (b"\0\0\1\0", "icon pictures cannot be read"),
            (psd(16, 3), "Photoshop files of 16 bits"),
            (bmp(16, (0xF00, 0xF0, 0xF)), "BMP pictures of this kind"),
            (bmp(32, (0x3FF00000, 0xFFC00, 0x3FF)), "BMP pictures of this kind"),
            (bmp(32, (0, 0, 0), compression=5), "BMP pictures of this kind"),
            (jpeg_frame(0xC1, 12, 3), "JPEG pictures of 12 bits"),
            (jpeg_frame(0xC3, 8, 3), "lossless"),
            (jpeg_frame(0xC0, 8, 2), "JPEG pictures of 2 components"),
            (
                b"P7\nWIDTH 1\nHEIGHT 1\nDEPTH 4\nMAXVAL 255\nTUPLTYPE CMYK\nENDHDR\n1234",
                "PAM pictures of the kind 'CMYK'",
            ),
        ],
    )
    def test_undamaged_kinds_that_cannot_be_read(self, data: bytes, words: str) -> None:
        with pytest.raises(PhotoUnsupported, match=words):
            decode(data)

    @pytest.mark.parametrize("data", [b"\0\0\0\x0cJXL \r\n\x87\n", b"\xff\x0a\xfa\x1f"])
    def test_a_plugin_for_jpeg_xl_is_named_and_used(self, data: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setitem(sys.modules, "pillow_jxl", None)
        monkeypatch.delitem(Image.OPEN, "JXL", raising=False)
        with pytest.raises(PhotoUnsupported, match="pip install pillow-jxl-plugin"):
            decode(data)
        monkeypatch.setitem(Image.OPEN, "JXL", (lambda stream, name: Image.new("RGB", (3, 2), "red"), None))
        assert decode(data).pixels.shape == (2, 3, 3)

    @pytest.mark.parametrize(("jpeg", "shape"), [(True, (3, 2, 3)), (False, (2, 3, 3))])
    def test_exif_of_jpeg_xl_counts_for_a_jpeg_in_it_alone(
        self, jpeg: bool, shape: tuple[int, ...], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def opened(stream: Any, name: str) -> Image.Image:
            image = Image.new("RGB", (3, 2), "red")
            image.info["exif"] = exif(6)
            image.jpeg, image.format = jpeg, "JXL"  # type: ignore[attr-defined]
            return image

        monkeypatch.setitem(Image.OPEN, "JXL", (opened, None))
        assert decode(b"\xff\x0a\xfa\x1f").pixels.shape == shape
        assert from_pil(opened(None, "")).pixels.shape == shape

    def test_camera_raw_is_not_taken_for_its_preview(self) -> None:
        preview = encode(Image.new("RGB", (16, 12)), "TIFF", tiffinfo={254: 1})
        with pytest.raises(PhotoUnsupported, match="raw"):
            decode(preview)

    def test_missing_codec(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("PIL.AvifImagePlugin.SUPPORTED", False)
        with pytest.raises(PhotoUnsupported, match="newer Pillow"):
            decode(golden("plain.avif"))

    def test_the_brand_decides_between_avif_and_heic(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setitem(sys.modules, "pillow_heif", None)
        for brands in (b"heic\0\0\0\0mif1", b"mif1\0\0\0\0heic", b"msf1\0\0\0\0hevc"):
            with pytest.raises(PhotoUnsupported, match="HEIC"):
                decode(b"\0\0\0\x14ftyp" + brands)
        with pytest.raises(PhotoTruncated, match="AVIF"):
            decode(b"\0\0\0\x14ftypmif1\0\0\0\0avif")


def test_plain_photos_are_as_pillow_has_them(shared: Path) -> None:
    photos = sorted((shared / "photos" / "dlib_faces").glob("*.jpg"))
    assert photos
    for path in photos:
        with Image.open(path) as image:
            np.testing.assert_array_equal(decode(path.read_bytes(), FULL).pixels, np.asarray(image.convert("RGB")))


def test_many_threads_see_the_same_pixels() -> None:
    alone = {name: decode(golden(name)).pixels for name in NAMES}
    with ThreadPoolExecutor(8) as pool:
        together = list(pool.map(lambda name: (name, decode(golden(name)).pixels), NAMES * 5))
    assert len(together) == 5 * len(NAMES)
    for name, pixels in together:
        np.testing.assert_array_equal(pixels, alone[name])


@pytest.mark.parametrize("limit", ["max_pixels", "max_bytes", "target_side"])
def test_limits_below_one_are_refused(limit: str) -> None:
    with pytest.raises(UsageError, match=f"{limit} must be 1 or more, not 0"):
        DecodeOptions(**{limit: 0})
