"""Make the odd pictures of this folder, and expected.json with what their pixels must be.

Run: python tests/golden/make.py

All show the same scene: four quadrants, upright 48 x 32. What is expected of a picture follows from the scene and never
from a decoder. The HEIC file is only made where pillow-heif is installed.
"""

from __future__ import annotations

import json
import struct
import zlib
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any, TypeAlias

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

HERE = Path(__file__).parent
WIDTH, HEIGHT = 48, 32
COLOURS = ((230, 30, 40), (30, 200, 60), (30, 60, 220), (240, 220, 40))
ALPHAS = (255, 128, 0, 64)
GREYS = (20, 90, 160, 250)
CENTRES = ((12, 8), (36, 8), (12, 24), (36, 24))

Pixels: TypeAlias = NDArray[np.uint8]
Colours: TypeAlias = tuple[tuple[int, ...], ...]


def quadrants(values: Any, dtype: Any = np.uint8) -> NDArray[Any]:
    """Top left, top right, bottom left and bottom right of the scene filled with four values."""
    corners = np.array(values, dtype).reshape(2, 2, -1)
    return np.repeat(np.repeat(corners, HEIGHT // 2, 0), WIDTH // 2, 1).squeeze()


SCENE = quadrants(COLOURS)
GREY = quadrants(GREYS)
RGBA = np.dstack([SCENE, quadrants(ALPHAS)])
ON_WHITE = tuple(
    tuple(round(value * alpha / 255 + 255 - alpha) for value in colour)
    for colour, alpha in zip(COLOURS, ALPHAS, strict=True)
)
GREY_ON_WHITE = tuple((round(grey * alpha / 255 + 255 - alpha),) * 3 for grey, alpha in zip(GREYS, ALPHAS, strict=True))
AS_GREY = tuple((grey,) * 3 for grey in GREYS)
BLACK_WHITE = ((0,) * 3, (255,) * 3, (255,) * 3, (0,) * 3)


class Album:
    """Writes pictures and keeps what is expected of each."""

    def __init__(self) -> None:
        self.expected: dict[str, dict[str, Any]] = {}

    def expect(self, name: str, colours: Colours = COLOURS, tolerance: int = 0) -> Path:
        """The path of a new picture whose quadrants must have these colours."""
        points = [[*at, *colour] for at, colour in zip(CENTRES, colours, strict=True)]
        self.expected[name] = {"size": [WIDTH, HEIGHT], "points": points, "tolerance": tolerance}
        return HERE / name

    def save(
        self, name: str, image: Image.Image, colours: Colours = COLOURS, tolerance: int = 0, **options: Any
    ) -> None:
        image.save(self.expect(name, colours, tolerance), **options)

    def write(self, name: str, data: bytes, colours: Colours = COLOURS, tolerance: int = 0) -> None:
        self.expect(name, colours, tolerance).write_bytes(data)


def stored(orientation: int, pixels: Pixels = SCENE) -> Pixels:
    """Pixels as they must lie in a file that says this EXIF orientation, to stand upright when shown."""
    turns: dict[int, Callable[[Pixels], Pixels]] = {
        1: lambda upright: upright,
        2: lambda upright: upright[:, ::-1],
        3: lambda upright: upright[::-1, ::-1],
        4: lambda upright: upright[::-1],
        5: lambda upright: upright.transpose(1, 0, 2),
        6: lambda upright: np.rot90(upright, 1),
        7: lambda upright: upright.transpose(1, 0, 2)[::-1, ::-1],
        8: lambda upright: np.rot90(upright, -1),
    }
    return np.ascontiguousarray(turns[orientation](pixels))


def exif(orientation: int) -> bytes:
    """EXIF data with nothing but an orientation."""
    tags = Image.Exif()
    tags[0x0112] = orientation
    return tags.tobytes()


def chunk(name: bytes, data: bytes) -> bytes:
    """A chunk of a PNG file."""
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def encoded(suffix: str, pixels: NDArray[Any], *options: int) -> bytes:
    """A picture written by OpenCV, which Pillow cannot do with 16 bits a channel; channels in OpenCV's order."""
    done, data = cv2.imencode(suffix, pixels, options)
    assert done
    return data.tobytes()


def without_segment(jpeg: bytes, marker: int) -> bytes:
    """A JPEG file without one of its segments."""
    at = jpeg.index(bytes([0xFF, marker]))
    return jpeg[:at] + jpeg[at + 2 + int.from_bytes(jpeg[at + 2 : at + 4]) :]


def jpegs(album: Album) -> None:
    """All orientations, malformed EXIF, grey, inks, progressive, two pictures in one file."""
    fine: dict[str, Any] = {"quality": 95, "subsampling": 0}
    scene = Image.fromarray(SCENE)
    for orientation in range(1, 9):
        image = Image.fromarray(stored(orientation))
        album.save(f"orientation_{orientation}.jpg", image, tolerance=6, exif=exif(orientation), **fine)
    broken = {
        "short": b"Exif\0\0II*\0",
        "far": b"Exif\0\0MM\0*\xff\xff\xff\xf0",
        "lies": b"Exif\0\0II*\0\x08\0\0\0\xff\xff" + b"\x12\x01\x03\0\xff\xff\xff\xff\x06\0\0\0" * 2,
        "noise": b"Exif\0\0" + bytes(range(256)),
        "nine": exif(9),
    }
    for name, block in broken.items():
        album.save(f"exif_{name}.jpg", scene, tolerance=6, exif=block, **fine)
    album.save("grey.jpg", Image.fromarray(GREY), AS_GREY, 3, **fine)
    album.save("progressive.jpg", scene, tolerance=6, progressive=True, **fine)
    inks = scene.convert("CMYK")
    album.save("cmyk_adobe.jpg", inks, tolerance=8, quality=95)
    # Pillow writes inks inverted, as Adobe does; inverted once more and without Adobe's marker they are plain inks.
    path = album.expect("cmyk_plain.jpg", tolerance=8)
    Image.fromarray(255 - np.asarray(inks), "CMYK").save(path, quality=95)
    path.write_bytes(without_segment(path.read_bytes(), 0xEE))
    upside_down = Image.fromarray(stored(3))
    album.save("two_in_one.jpg", scene, tolerance=6, format="MPO", save_all=True, append_images=[upside_down], **fine)


def pngs(album: Album) -> None:
    """16 bits, transparency of every kind, palettes, 1 bit, EXIF, animation."""
    scene = Image.fromarray(SCENE)
    album.save("rgb.png", scene)
    album.write("rgb_16.png", encoded(".png", SCENE[..., ::-1].astype(np.uint16) * 257), tolerance=1)
    album.write("rgba_16.png", encoded(".png", RGBA[..., [2, 1, 0, 3]].astype(np.uint16) * 257), ON_WHITE, 1)
    album.write("grey_16.png", encoded(".png", GREY.astype(np.uint16) * 257), AS_GREY, 1)
    album.save("rgba.png", Image.fromarray(RGBA), ON_WHITE, 1)
    album.save("grey_alpha.png", Image.fromarray(np.dstack([GREY, RGBA[..., 3]])), GREY_ON_WHITE, 1)
    album.save("grey.png", Image.fromarray(GREY), AS_GREY)
    palette = scene.quantize(4)
    album.save("palette.png", palette)
    order = [COLOURS.index(tuple(colour)) for colour in np.array(palette.getpalette()).reshape(-1, 3)[:4].tolist()]
    album.save("palette_alpha.png", palette, ON_WHITE, 1, transparency=bytes(ALPHAS[at] for at in order))
    keyed = (*COLOURS[:3], (255, 255, 255))
    album.save("palette_key.png", palette, keyed, transparency=order.index(3))
    album.save("rgb_key.png", scene, keyed, transparency=COLOURS[3])
    album.save("grey_key.png", Image.fromarray(GREY), (*AS_GREY[:3], (255, 255, 255)), transparency=GREYS[3])
    album.save("one_bit.png", Image.fromarray(quadrants((0, 255, 255, 0))).convert("1"), BLACK_WHITE)
    album.save("orientation_6.png", Image.fromarray(stored(6)), exif=exif(6))
    plain = (HERE / "rgb.png").read_bytes()
    junk = (
        chunk(b"acTL", bytes(8)) + chunk(b"tEXt", b"x" * 9) + chunk(b"zTXt", b"k\0\0" + zlib.compress(bytes(9 << 20)))
    )
    album.write("odd_chunks.png", plain[:33] + junk + chunk(b"eXIf", b"II*\0\xff\xff\xff\xff") + plain[33:])
    album.save("animated.png", scene, save_all=True, append_images=[ImageOps.invert(scene)])


def others(album: Album) -> None:
    """GIF, WebP, AVIF, BMP, PNM and, where it can be written, HEIC."""
    scene, clear = Image.fromarray(SCENE), Image.fromarray(RGBA)
    next_frame = [ImageOps.invert(scene)]
    album.save("plain.gif", scene.quantize(4))
    album.save("animated.gif", scene.quantize(4), save_all=True, append_images=[next_frame[0].quantize(4)])
    palette = scene.quantize(4)
    third = np.array(palette)[-1, 0]
    album.save("clear.gif", palette, (*COLOURS[:2], (255, 255, 255), COLOURS[3]), transparency=int(third))
    album.save("plain.webp", scene, tolerance=12, quality=95)
    album.save("lossless.webp", scene, lossless=True)
    album.save("alpha.webp", clear, ON_WHITE, 1, lossless=True)
    album.save("animated.webp", scene, save_all=True, append_images=next_frame, lossless=True)
    album.save("orientation_8.webp", Image.fromarray(stored(8)), lossless=True, exif=exif(8))
    album.save("plain.avif", scene, tolerance=8, quality=90, subsampling="4:4:4")
    album.save("turned.avif", Image.fromarray(stored(6)), tolerance=8, quality=90, subsampling="4:4:4", exif=exif(6))
    album.save("alpha.avif", clear, ON_WHITE, 8, quality=90, subsampling="4:4:4")
    album.save("rgb.bmp", scene)
    album.save("palette.bmp", scene.quantize(4))
    album.save("rgb.ppm", scene)
    album.write("grey_16.pgm", b"P5 48 32 65535\n" + (GREY.astype(">u2") * 257).astype(">u2").tobytes(), AS_GREY, 1)
    album.save("one_bit.pbm", Image.fromarray(quadrants((0, 255, 255, 0))).convert("1"), BLACK_WHITE)
    if find_spec("pillow_heif"):
        import pillow_heif

        pillow_heif.register_heif_opener()
        for orientation in (1, 6):
            image = Image.fromarray(stored(orientation))
            path = album.expect(f"orientation_{orientation}.heic", tolerance=8)
            image.save(path, quality=90, chroma=444, exif=exif(orientation))


def tiffs(album: Album) -> None:
    """16 bits, floating point, inks, palette, compressed, turned, BigTIFF, with a directory full of oddities."""
    scene = Image.fromarray(SCENE)
    album.save("rgb.tif", scene)
    album.save("lzw.tif", scene, compression="tiff_lzw")
    album.save("jpeg.tif", scene, tolerance=12, compression="jpeg", quality=95)
    album.save("rgba.tif", Image.fromarray(RGBA), ON_WHITE, 1)
    album.save("palette.tif", scene.quantize(4))
    album.save("cmyk.tif", scene.convert("CMYK"), tolerance=1)
    album.save("one_bit.tif", Image.fromarray(quadrants((0, 255, 255, 0))).convert("1"), BLACK_WHITE)
    plain = (cv2.IMWRITE_TIFF_COMPRESSION, 1)
    album.write("rgb_16.tif", encoded(".tiff", SCENE[..., ::-1].astype(np.uint16) * 257, *plain), tolerance=1)
    album.write("grey_16.tif", encoded(".tiff", GREY.astype(np.uint16) * 257), AS_GREY, 1)
    album.save("grey_float.tif", Image.fromarray(GREY.astype(np.float32) / 255), AS_GREY, 1)
    album.save("big.tif", scene, big_tiff=True)
    album.save("orientation_5.tif", Image.fromarray(stored(5)), tiffinfo={0x0112: 5})
    album.save("pages.tif", scene, save_all=True, append_images=[ImageOps.invert(scene)])
    odd = {0x8000: 7, 700: b"not XMP", 34665: 2**31, 33432: "text"}
    album.save("odd_tags.tif", scene, tiffinfo=odd)
    data = bytearray((HERE / "odd_tags.tif").read_bytes())
    at = data.index(struct.pack("<HHI", 0x8000, 3, 1))
    data[at : at + 12] = struct.pack("<HHII", 0x8000, 3, 2**30, 2**31)
    album.write("odd_tags.tif", bytes(data))


def main() -> None:
    """Write everything anew."""
    album = Album()
    for make in (jpegs, pngs, others, tiffs):
        make(album)
    lines = ",\n".join(f"  {json.dumps(name)}: {json.dumps(facts)}" for name, facts in sorted(album.expected.items()))
    (HERE / "expected.json").write_text(f"{{\n{lines}\n}}\n")


if __name__ == "__main__":
    main()
