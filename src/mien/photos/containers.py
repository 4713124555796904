"""Pictures stripped to what their pixels need, and the turn that their metadata ask for.

What is left out (EXIF, comments, colour profiles, later frames) is what Pillow would parse when opening: with warnings
where it is malformed, which threads cannot catch safely, and at times with a refusal of a picture that is whole.
"""

from __future__ import annotations

import re
import struct
import zlib
from collections.abc import Callable, Iterator
from itertools import repeat

from mien.errors import PhotoTooCostly, PhotoUnsupported
from mien.photos import boxes
from mien.photos.turns import JPEG_XMP, Turns

Bare = tuple[bytes, int]
"""An encoded picture without its metadata, and its orientation, 1 to 8."""

_PNG_KEPT = frozenset({b"IHDR", b"PLTE", b"tRNS", b"IDAT", b"IEND"})
_PNG_TEXT = frozenset({b"tEXt", b"zTXt", b"iTXt"})
# Frame headers, tables, restart interval, JFIF, Adobe's colours; and what may go: EXIF, profiles, comments.
_JPEG_KEPT = frozenset({*range(0xC0, 0xD0), 0xDB, 0xDD, 0xE0, 0xEE} - {0xC8})
_JPEG_DROPPED = frozenset({0xDC, 0xDE, 0xDF, *range(0xE1, 0xF0), 0xFE} - {0xEE})
_JPEG_TABLES = frozenset({0xC4, 0xC8, 0xCC})
_JPEG_RARE = frozenset({0xC3, 0xC5, 0xC6, 0xC7, 0xCB, 0xCD, 0xCE, 0xCF})
JPEG_MARKER = re.compile(rb"\xff[^\0\1\xd0-\xd8\xff]")
"""A marker within the entropy-coded data of a JPEG, or between its segments."""
_SEGMENT = re.compile(b"\xff[" + re.escape(bytes([0xDA, *sorted(_JPEG_KEPT | _JPEG_DROPPED)])) + b"]")
_GIF_BLOCK = re.compile(rb"[\x21\x2c]")
_MOST_PIECES = 50_000
"""Segments, chunks or blocks of a file. A photo of 256 MiB has some 30,000 of 8 KiB; each costs a round of Python."""
_EXIF_ITEM = re.compile(rb"(infe[\2\3].{3}(?:.{4}|.{6}))Exif", re.DOTALL)


def _pieces(name: str) -> Iterator[None]:
    """Counts the pieces of a file, one each time around.

    Raises:
        PhotoTooCostly: there are more than any photo has.
    """
    yield from repeat(None, _MOST_PIECES)
    raise PhotoTooCostly(f"this {name} picture is cut into more pieces than any photo: save it again")


def _jpeg(data: bytes) -> Bare:
    """JPEG (ITU-T T.81): of the segments before the first scan, those that decoding needs."""
    kept, turns, at = [data[:2]], Turns(), 2
    for _ in _pieces("JPEG"):
        found = _SEGMENT.search(data, at)
        if found is None or found.start() + 4 > len(data):
            break
        at, marker = found.start(), data[found.start() + 1]
        if marker == 0xDA:
            kept.append(data[at:])
            break
        length = int.from_bytes(data[at + 2 : at + 4])
        if length < 2:
            raise ValueError("a segment without a length")
        end = at + 2 + length
        if 0xC0 <= marker <= 0xCF and marker not in _JPEG_TABLES:
            _check_frame(marker, data[at + 4 : end])
        if marker in _JPEG_KEPT:
            kept.append(data[at:end])
        elif marker == 0xE1 and data.startswith(b"Exif\0\0", at + 4):
            turns.exif(data[at + 4 : end])
        elif marker == 0xE1 and data.startswith(JPEG_XMP, at + 4):
            turns.xmp(data[at + 4 + len(JPEG_XMP) : end])
        at = end
    return b"".join(kept), turns.upright


def _check_frame(marker: int, frame: bytes) -> None:
    """Refuse what a frame header of JPEG announces and no reader here decodes.

    Raises:
        PhotoUnsupported: more than 8 bits, lossless, in several resolutions, or of 2 or more than 4 components.
    """
    bits, components = frame[0], frame[5]
    if marker in _JPEG_RARE:
        raise PhotoUnsupported("lossless and hierarchical JPEG pictures cannot be read: save it as PNG")
    if bits != 8:
        raise PhotoUnsupported(f"JPEG pictures of {bits} bits a sample cannot be read: save it with 8 bits")
    if components not in {1, 3, 4}:
        raise PhotoUnsupported(f"JPEG pictures of {components} components cannot be read: save it as PNG")


def _png(data: bytes) -> Bare:
    """PNG (ISO/IEC 15948): header, palette, transparency and the pixels of the default image."""
    kept, turns, at = [data[:8]], Turns(), 8
    for _ in _pieces("PNG"):
        if at + 8 > len(data):
            break
        length, name = struct.unpack_from(">I4s", data, at)
        end = at + 12 + length
        if name == b"tRNS":
            kept.append(_png_key(data[at:end], data[24:26]))
        elif name in _PNG_KEPT:
            kept.append(data[at:end])
        elif name == b"eXIf":
            turns.exif(data[at + 8 : end - 4])
        elif name in _PNG_TEXT:
            turns.png_text(name, data[at + 8 : end - 4])
        if name == b"IEND":  # what comes after it is none of the picture's
            break
        at = end
    return b"".join(kept), turns.upright


def _png_key(chunk: bytes, kind: bytes) -> bytes:
    """The chunk of the transparent colour, which Pillow compares to grey of 2 and 4 bits after it has made it 8 bits.

    `kind` is depth and colour type of the picture.
    """
    if kind not in {b"\2\0", b"\4\0"} or len(chunk) != 14:
        return chunk
    full = (1 << kind[0]) - 1
    body = chunk[4:8] + struct.pack(">H", int.from_bytes(chunk[8:10]) % (full + 1) * (255 // full))
    return chunk[:4] + body + struct.pack(">I", zlib.crc32(body))


def _webp(data: bytes) -> Bare:
    """WebP (RFC 9649): as it is, since Pillow does not look into its metadata."""
    at, turns = 12, Turns()
    for _ in _pieces("WebP"):
        if at + 8 > len(data):
            break
        name, length = struct.unpack_from("<4sI", data, at)
        if name == b"EXIF":
            turns.exif(data[at + 8 : at + 8 + length])
        elif name == b"XMP ":
            turns.xmp(data[at + 8 : at + 8 + length])
        at += 8 + length + length % 2
    return data, turns.upright


def _avif(data: bytes) -> Bare:
    """AVIF (its specification, 1.1): the turn is a property of the picture, so that EXIF data count for nothing."""
    boxes.check(data)
    return _EXIF_ITEM.sub(rb"\1none", data), 1


def _heif(data: bytes) -> Bare:
    """HEIF (ISO/IEC 23008-12): as it is; the turn is a property of the picture, which its library applies."""
    boxes.check(data)
    return data, 1


def _gif(data: bytes) -> Bare:
    """GIF (GIF89a, 1990): the first frame with its transparent colour, on a canvas that is large enough for it."""
    width, height, flags = struct.unpack_from("<HHB", data, 6)
    at = 13 + (3 << ((flags & 7) + 1) if flags & 0x80 else 0)
    head, control = data[13:at], b""
    count = _pieces("GIF")
    while data[at] != 0x2C:
        next(count)
        if data[at : at + 3] == b"\x21\xf9\x04":
            control = b"\x21\xf9\x04" + bytes([data[at + 3] & 1, 0, 0, data[at + 6], 0])
        if data[at] == 0x21:
            at += 2
            while data[at]:
                next(count)
                at += 1 + data[at]
        at = _GIF_BLOCK.search(data, at + 1).start()  # type: ignore[union-attr] # no more block is damage too
    left, top, wide, high = struct.unpack_from("<4H", data, at + 1)
    canvas = struct.pack("<HH", max(width, left + wide), max(height, top + high))
    return b"".join([data[:6], canvas, data[10:13], head, control, data[at:]]), 1


STRIP: dict[str, Callable[[bytes], Bare]] = {
    "JPEG": _jpeg,
    "PNG": _png,
    "GIF": _gif,
    "WEBP": _webp,
    "AVIF": _avif,
    "HEIF": _heif,
}
"""How to strip each format that has metadata, but for TIFF (see `tiff`); raises what `readers` takes for damage for a
damaged file, PhotoTooCostly and PhotoUnsupported."""


def jpeg_scans(data: bytes) -> int:
    """How many times a JPEG goes over its pixels; files of a few bytes can ask for thousands of rounds.

    Args:
        data: a JPEG file as `STRIP` leaves it.

    Returns:
        Scans up to the end marker or the end of the data.
    """
    scans, at = 0, 2
    while found := JPEG_MARKER.search(data, at):
        marker = data[found.start() + 1]
        if marker == 0xD9:
            break
        scans += marker == 0xDA
        at = found.end() + int.from_bytes(data[found.end() : found.end() + 2])
    return scans
