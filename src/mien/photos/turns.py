"""Which way is up: what EXIF and XMP data say of it, in whatever way a format keeps them.

Where they disagree, EXIF data of the format's own kind count first, then EXIF data that ImageMagick and Pillow put into
text of PNG, then XMP (the Metadata Working Group's guidelines, 2010, have readers prefer EXIF).
"""

from __future__ import annotations

import re
import zlib

from PIL import Image

from mien.photos import tiff

_MOST_TEXT = 1 << 20
_MOST_PROFILES = 8
"""Texts of a PNG that are looked into: each may unpack to a thousand times its bytes."""
_TIFF_NAMESPACE = b"http://ns.adobe.com/tiff/1.0/"
_PREFIX = re.compile(rb"""xmlns:([\w.-]+)\s*=\s*["']""" + re.escape(_TIFF_NAMESPACE))
_EXIF_PROFILES = frozenset({b"Raw profile type exif", b"Raw profile type APP1"})
_XMP_KEY = b"XML:com.adobe.xmp"
_XMP_PROFILE = b"Raw profile type xmp"
_KEYS = _EXIF_PROFILES | {_XMP_KEY, _XMP_PROFILE}
JPEG_XMP = b"http://ns.adobe.com/xap/1.0/\0"
"""What an APP1 segment of JPEG with XMP begins with."""


def of_xmp(packet: bytes) -> int | None:
    """The orientation in an XMP packet (ISO 16684-1), 1 to 8; None where it has none.

    >>> of_xmp(b'<x xmlns:tiff="http://ns.adobe.com/tiff/1.0/" tiff:Orientation="6"/>')
    6
    """
    declared = _PREFIX.search(packet[:_MOST_TEXT])
    if declared is None:
        return None
    name = re.escape(declared[1]) + rb":Orientation"
    found = re.search(name + rb"""(?:\s*=\s*["']\s*([1-8])\s*["']|\s*>\s*([1-8])\s*</)""", packet[:_MOST_TEXT])
    return int(found[1] or found[2]) if found else None


def of_tiff(page: tiff.Page) -> int:
    """The orientation of a page of a TIFF file, 1 to 8: its own, else the first page's, else by XMP."""
    return page.orientation or tiff.orientation(page.data) or of_xmp(tiff.xmp(page)) or 1


def of_jpeg_xl(image: Image.Image) -> int:
    """The orientation of a JPEG XL image, 1 to 8: its library turns it (ISO 18181-2 has EXIF data count for nothing).

    Where it holds a JPEG file, pillow-jxl-plugin gives this file's picture as it is stored.
    """
    return (tiff.orientation(image.info.get("exif", b"")) or 1) if getattr(image, "jpeg", False) else 1


def of_pil(image: Image.Image) -> int:
    """The orientation of a PIL image that is loaded, 1 to 8, unless Pillow has applied it already."""
    if image.format == "JXL":
        return of_jpeg_xl(image)
    turns = Turns()
    exif, profile = image.info.get("exif"), image.info.get("Raw profile type exif")
    if isinstance(exif, bytes):
        turns.exif(exif)
    if isinstance(profile, str):
        turns.png_text(b"tEXt", b"Raw profile type exif\0" + profile.encode("utf-8", "replace"))
    for name in ("xmp", "XML:com.adobe.xmp") if image.format not in {"AVIF", "HEIF"} else ():
        packet = image.info.get(name)
        turns.xmp(packet.encode("utf-8", "replace") if isinstance(packet, str) else bytes(packet or b""))
    return turns.upright


class Turns:
    """What one picture says of its orientation, collected as it is read; `upright` is the answer, 1 to 8."""

    def __init__(self) -> None:
        self._exif: int | None = None
        self._text: int | None = None
        self._xmp: int | None = None
        self._profiles = 0

    @property
    def upright(self) -> int:
        """The orientation that counts."""
        return self._exif or self._text or self._xmp or 1

    def exif(self, block: bytes) -> None:
        """A block of EXIF data; the first that says something counts."""
        self._exif = self._exif or tiff.orientation(block)

    def xmp(self, packet: bytes) -> None:
        """An XMP packet; likewise."""
        self._xmp = self._xmp or of_xmp(packet)

    def png_text(self, name: bytes, chunk: bytes) -> None:
        """A chunk tEXt, zTXt or iTXt of a PNG file."""
        key, _, rest = chunk.partition(b"\0")
        if key not in _KEYS or self._profiles >= _MOST_PROFILES:
            return
        self._profiles += 1
        if key in _EXIF_PROFILES:
            profile = _profile(_text(name, rest))
            if profile.startswith(JPEG_XMP):
                self.xmp(profile)
            else:
                self._text = self._text or tiff.orientation(profile)
        elif key == _XMP_PROFILE:
            self.xmp(_profile(_text(name, rest)))
        elif key == _XMP_KEY:
            self.xmp(_text(name, rest))


def _text(name: bytes, rest: bytes) -> bytes:
    """The text of a chunk, without its keyword; empty where it is damaged."""
    packed = name == b"zTXt"
    if name == b"zTXt":
        rest = rest[1:]
    elif name == b"iTXt":
        packed, rest = rest[:1] == b"\1", rest[2:].partition(b"\0")[2].partition(b"\0")[2]
    if not packed:
        return rest
    try:
        return zlib.decompressobj().decompress(rest, _MOST_TEXT)
    except zlib.error:
        return b""


def _profile(text: bytes) -> bytes:
    """The bytes in ImageMagick's text: a name and a length, a line each, then hexadecimal digits."""
    parts = text[:_MOST_TEXT].split(maxsplit=2)
    try:
        return bytes.fromhex(parts[2].decode("ascii")) if len(parts) == 3 else b""
    except ValueError:
        return b""
