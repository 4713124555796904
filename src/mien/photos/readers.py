"""Pillow's readers, each opened so that it neither warns nor raises anything but a `PhotoError`."""

from __future__ import annotations

import ctypes
import importlib
import io
import re
import struct
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import cache

from PIL import (
    AvifImagePlugin,
    BmpImagePlugin,
    GifImagePlugin,
    Image,
    ImageFile,
    Jpeg2KImagePlugin,
    JpegImagePlugin,
    PngImagePlugin,
    PpmImagePlugin,
    PsdImagePlugin,
    TiffImagePlugin,
    WebPImagePlugin,
    features,
)

from mien.errors import PhotoTooCostly, PhotoTooLarge, PhotoTruncated, PhotoUnsupported, install
from mien.photos import cost, netpbm, tiff, tiff_kinds, tiff_samples, turns
from mien.photos.containers import STRIP, jpeg_scans

_DAMAGE = (
    ArithmeticError,
    AssertionError,
    AttributeError,
    EOFError,
    LookupError,
    OSError,
    RuntimeError,
    SyntaxError,
    TypeError,
    ValueError,
    struct.error,
    zlib.error,
)
"""What Pillow's readers raise for damaged files, as fuzzing shows."""

# Called without Image.open: it warns of large pictures, and warnings cannot be caught safely among threads.
_PLUGINS: dict[str, Callable[[io.BytesIO], ImageFile.ImageFile]] = {
    "JPEG": JpegImagePlugin.JpegImageFile,
    "PNG": PngImagePlugin.PngImageFile,
    "GIF": GifImagePlugin.GifImageFile,
    "BMP": BmpImagePlugin.BmpImageFile,
    "WEBP": WebPImagePlugin.WebPImageFile,
    "AVIF": AvifImagePlugin.AvifImageFile,
    "PNM": PpmImagePlugin.PpmImageFile,
    "JPEG2000": Jpeg2KImagePlugin.Jpeg2KImageFile,
    "PSD": PsdImagePlugin.PsdImageFile,
}
_CODECS = {"WEBP": "webp", "JPEG2000": "jpg_2000"}
_PSD_KINDS = frozenset({(1, 0), (8, 0), (8, 1), (8, 2), (8, 3), (8, 4), (8, 8)})
_MOST_SCANS = 100
_RARE = re.compile(r"unsupported|cannot handle|unable to determine|unknown (?:pixel|image) mode", re.IGNORECASE)
"""How Pillow's readers begin to say that a picture is whole but nothing that they know."""


def open_image(data: bytes, name: str, most: int, memory: int | None = None) -> tuple[Image.Image, int]:
    """Read the header of a photo; some kinds are decoded at once.

    Args:
        data: the encoded photo.
        name: its format, as `sniff` says it.
        most: pixels allowed.
        memory: bytes that those may take which are decoded at once; None for any number.

    Returns:
        The image, and its orientation, 1 to 8. To be used within `damage_told`.

    Raises:
        PhotoTooLarge: more pixels, or a JPEG that goes over them a thousand times.
        PhotoTooCostly: more memory than it may take, or more pieces than any photo has.
        PhotoUnsupported: a format that needs something which is not installed.
    """
    if name == "TIFF":
        return _open_tiff(data, most, memory)
    if name == "PAM":
        header = netpbm.header(data)
        _check_size(header.width, header.height, most)
        cost.check_size((header.width, header.height), cost.OF_NUMBERS, len(data), memory)
        return header.read(), 1
    if name == "PSD":
        _check_psd(data)
    bare, orientation = STRIP[name](data) if name in STRIP else (data, 1)
    image = _reader(name)(io.BytesIO(bare))
    _check_size(*image.size, most)
    if name == "AVIF":
        # Pillow gives the turn that is a property of the picture as EXIF data of its own making.
        orientation = tiff.orientation(image.info.get("exif", b"")) or 1
    if name == "JXL":
        orientation = turns.of_jpeg_xl(image)
    if name == "JPEG" and jpeg_scans(bare) > _MOST_SCANS:
        raise PhotoTooLarge("this JPEG builds up in more steps than any photo does: save it again")
    return image, orientation


def _open_tiff(data: bytes, most: int, memory: int | None) -> tuple[Image.Image, int]:
    """The same for TIFF, whose kinds not all are Pillow's."""
    page = tiff.page(data)
    # Pillow's reader warns above this, and refuses at twice as much.
    _check_size(*tiff_samples.size(page), min(most, Image.MAX_IMAGE_PIXELS or most))
    way = tiff_kinds.reader(page)
    hush_libtiff()
    orientation = turns.of_tiff(page)
    if way == "samples":
        cost.check_size(tiff_samples.size(page), cost.OF_NUMBERS, len(data), memory)
        return tiff_samples.read(page), orientation
    return TiffImagePlugin.TiffImageFile(io.BytesIO(tiff.bare(page))), orientation


def check_pillow_reads(image: TiffImagePlugin.TiffImageFile) -> None:
    """Refuse an image that Pillow has opened, or will, from a TIFF file of a kind that it misreads.

    Raises:
        PhotoUnsupported: it is of such a kind.
    """
    tags = {tag: image.tag_v2[tag] for tag in tiff_kinds.TAGS if tag in image.tag_v2}
    page = tiff.page_of({tag: value if isinstance(value, tuple) else (value,) for tag, value in tags.items()})
    kind = tiff_kinds.kind_of(page)
    single_plane = kind.samples == 1 and page.number(284, 1) == 2 and kind.bits != 8
    if single_plane or tiff_kinds.misread(kind, big_endian=image.tag_v2.prefix == b"MM"):
        raise PhotoUnsupported("Pillow misreads TIFF pictures of this kind: give the file or its bytes instead")


@cache
def hush_libtiff() -> None:
    """Keep libtiff from writing of damaged files to standard error, where they are told of by Pillow's exceptions too.

    Its handlers are the process's. Where libtiff cannot be reached (linked into Pillow, as on Windows), it stays loud.
    """
    try:
        library = ctypes.CDLL(importlib.import_module("PIL._imaging").__file__)
        for handler in (library.TIFFSetErrorHandler, library.TIFFSetWarningHandler):
            handler.argtypes, handler.restype = [ctypes.c_void_p], ctypes.c_void_p
            handler(None)
    except (AttributeError, OSError):
        return


def _reader(name: str) -> Callable[[io.BytesIO], Image.Image]:
    """What opens a format, unless it is not installed."""
    if name == "HEIF":
        try:
            import pillow_heif
        except ImportError:
            raise PhotoUnsupported(f"HEIC photos need the extra 'heif': {install('heif')}") from None
        plugin: Callable[[io.BytesIO], Image.Image] = pillow_heif.HeifImageFile
        return plugin
    if name == "JXL":
        return _jpeg_xl()
    if (name in _CODECS and not features.check(_CODECS[name])) or (name == "AVIF" and not AvifImagePlugin.SUPPORTED):
        raise PhotoUnsupported(f"{name} photos need a newer Pillow: pip install --upgrade pillow")
    return _PLUGINS[name]


def _jpeg_xl() -> Callable[[io.BytesIO], Image.Image]:
    """What a plugin for JPEG XL has registered with Pillow; the best known one is looked for."""
    if "JXL" not in Image.OPEN:
        with suppress(ImportError):
            importlib.import_module("pillow_jxl")
    if "JXL" not in Image.OPEN:
        raise PhotoUnsupported("JPEG XL photos need a plugin of Pillow: pip install pillow-jxl-plugin")
    factory = Image.OPEN["JXL"][0]
    return lambda stream: factory(stream, "")


def _check_psd(data: bytes) -> None:
    """Refuse Photoshop files (by Adobe's specification, 2019) without a merged picture that Pillow knows.

    Raises:
        PhotoUnsupported: more than 8 bits, rare colours, or layers alone.
        struct.error: the file breaks off.
    """
    depth, mode, colours = struct.unpack_from(">HHI", data, 22)
    if (depth, mode) not in _PSD_KINDS:
        raise PhotoUnsupported(f"Photoshop files of {depth} bits and colour mode {mode} cannot be read: save it as PNG")
    at = 30 + colours
    (length,) = struct.unpack_from(">I", data, at)
    found = re.search(rb"8BIM\x04\x21\0\0.{4}.{4}(.)", data[at + 4 : at + 4 + length], re.DOTALL)
    if found and found[1] == b"\0":
        raise PhotoUnsupported(
            "this Photoshop file holds layers alone: save it with 'maximize compatibility', or as PNG"
        )


def _check_size(width: int, height: int, most: int) -> None:
    if width * height > most:
        raise PhotoTooLarge(
            f"the photo has {width} x {height} pixels, more than the limit of {most:,}: make it smaller"
        )


@contextmanager
def damage_told(name: str) -> Iterator[None]:
    """Whatever Pillow raises for a damaged file becomes a `PhotoError`."""
    try:
        yield
    except Image.DecompressionBombError:
        raise PhotoTooLarge("the photo has more pixels than fit into memory: make it smaller") from None
    except MemoryError:
        raise PhotoTooCostly("decoding this photo takes more memory than it may: save it again, smaller") from None
    except _DAMAGE as error:
        if isinstance(error, NotImplementedError) or _RARE.match(str(error)):
            raise PhotoUnsupported(f"{name} pictures of this kind cannot be read ({error}): save it as PNG") from error
        detail = f" ({error})" if isinstance(error, OSError | SyntaxError | ValueError) and str(error) else ""
        raise PhotoTruncated(
            f"this {name} picture breaks off or is damaged{detail}: copy it again, or save it as PNG"
        ) from error
