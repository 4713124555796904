"""Pillow's readers, each opened so that it neither warns nor raises anything but a `PhotoError`."""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from PIL import (
    AvifImagePlugin,
    BmpImagePlugin,
    GifImagePlugin,
    Image,
    ImageFile,
    JpegImagePlugin,
    PngImagePlugin,
    PpmImagePlugin,
    TiffImagePlugin,
    WebPImagePlugin,
)

from mien.errors import PhotoTooCostly, PhotoTooLarge, PhotoTruncated, PhotoUnsupported, install
from mien.photos import tiff
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
    "TIFF": TiffImagePlugin.TiffImageFile,
    "WEBP": WebPImagePlugin.WebPImageFile,
    "AVIF": AvifImagePlugin.AvifImageFile,
    "PNM": PpmImagePlugin.PpmImageFile,
}
_MOST_SCANS = 100


def open_image(data: bytes, name: str, most: int) -> tuple[Image.Image, int]:
    """Read the header of a photo.

    Args:
        data: the encoded photo.
        name: its format, as `sniff` says it.
        most: pixels allowed.

    Returns:
        The image, not yet decoded, and its EXIF orientation, 1 to 8. To be used within `damage_told`.

    Raises:
        PhotoTooLarge: more pixels, or a JPEG that goes over them a thousand times.
        PhotoUnsupported: a format that needs something which is not installed.
    """
    bare, orientation = STRIP[name](data) if name in STRIP else (data, 1)
    if name == "TIFF":
        # Pillow's reader warns above this, and refuses at twice as much.
        most = min(most, Image.MAX_IMAGE_PIXELS or most)
    image = _reader(name)(io.BytesIO(bare))
    _check_size(*image.size, most)
    if name == "AVIF":
        # Pillow gives the turn that is a property of the picture as EXIF data of its own making.
        orientation = tiff.orientation(image.info.get("exif", b""))
    if name == "JPEG" and jpeg_scans(bare) > _MOST_SCANS:
        raise PhotoTooLarge("this JPEG builds up in more steps than any photo does: save it again")
    return image, orientation


def _reader(name: str) -> Callable[[io.BytesIO], Image.Image]:
    """What opens a format, unless it is not installed."""
    if name == "HEIF":
        try:
            import pillow_heif
        except ImportError:
            raise PhotoUnsupported(f"HEIC photos need the extra 'heif': {install('heif')}") from None
        plugin: Callable[[io.BytesIO], Image.Image] = pillow_heif.HeifImageFile
        return plugin
    absent = (name == "AVIF" and not AvifImagePlugin.SUPPORTED) or (name == "WEBP" and not WebPImagePlugin.SUPPORTED)
    if absent:
        raise PhotoUnsupported(f"{name} photos need a newer Pillow: pip install --upgrade pillow")
    return _PLUGINS[name]


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
        detail = f" ({error})" if isinstance(error, OSError | SyntaxError | ValueError) and str(error) else ""
        raise PhotoTruncated(
            f"this {name} picture breaks off, is damaged or of a rare kind{detail}: copy it again, or save it as PNG"
        ) from error
