"""Pictures stripped to what their pixels need, and the turn that their metadata ask for.

What is left out (EXIF, comments, colour profiles, later frames) is what Pillow would parse when opening: with warnings
where it is malformed, which threads cannot catch safely, and at times with a refusal of a picture that is whole.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Callable, Iterator
from itertools import repeat

from mien.errors import PhotoTooCostly
from mien.photos import boxes, tiff

Bare = tuple[bytes, int]
"""An encoded picture without its metadata, and its EXIF orientation, 1 to 8."""

_PNG_KEPT = frozenset({b"IHDR", b"PLTE", b"tRNS", b"IDAT", b"IEND"})
# Frame headers, tables, restart interval, JFIF, Adobe's colours; and what may go: EXIF, profiles, comments.
_JPEG_KEPT = frozenset({*range(0xC0, 0xD0), 0xDB, 0xDD, 0xE0, 0xEE} - {0xC8})
_JPEG_DROPPED = frozenset({0xDC, 0xDE, 0xDF, *range(0xE1, 0xF0), 0xFE} - {0xEE})
_MARKER = re.compile(rb"\xff[^\0\1\xd0-\xd8\xff]")
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
    kept, turn, at = [data[:2]], 1, 2
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
        if marker in _JPEG_KEPT:
            kept.append(data[at:end])
        elif turn == 1 and marker == 0xE1 and data.startswith(b"Exif\0\0", at + 4):
            turn = tiff.orientation(data[at + 4 : end])
        at = end
    return b"".join(kept), turn


def _png(data: bytes) -> Bare:
    """PNG (ISO/IEC 15948): header, palette, transparency and the pixels of the default image."""
    kept, turn, at = [data[:8]], 1, 8
    for _ in _pieces("PNG"):
        if at + 8 > len(data):
            break
        length, name = struct.unpack_from(">I4s", data, at)
        end = at + 12 + length
        if name in _PNG_KEPT:
            kept.append(data[at:end])
        elif name == b"eXIf":
            turn = tiff.orientation(data[at + 8 : end - 4])
        at = end
    return b"".join(kept), turn


def _webp(data: bytes) -> Bare:
    """WebP (RFC 9649): as it is, since Pillow does not look into its metadata."""
    at, turn = 12, 1
    for _ in _pieces("WebP"):
        if at + 8 > len(data):
            break
        name, length = struct.unpack_from("<4sI", data, at)
        if name == b"EXIF":
            turn = tiff.orientation(data[at + 8 : at + 8 + length])
        at += 8 + length + length % 2
    return data, turn


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


def _tiff(data: bytes) -> Bare:
    return tiff.bare(data), tiff.orientation(data)


STRIP: dict[str, Callable[[bytes], Bare]] = {
    "JPEG": _jpeg,
    "PNG": _png,
    "GIF": _gif,
    "WEBP": _webp,
    "AVIF": _avif,
    "HEIF": _heif,
    "TIFF": _tiff,
}
"""How to strip each format that has metadata; raises what `readers` takes for damage for a damaged file, and
PhotoTooCostly."""


def jpeg_scans(data: bytes) -> int:
    """How many times a JPEG goes over its pixels; files of a few bytes can ask for thousands of rounds.

    Args:
        data: a JPEG file as `STRIP` leaves it.

    Returns:
        Scans up to the end marker or the end of the data.
    """
    scans, at = 0, 2
    while found := _MARKER.search(data, at):
        marker = data[found.start() + 1]
        if marker == 0xD9:
            break
        scans += marker == 0xDA
        at = found.end() + int.from_bytes(data[found.end() : found.end() + 2])
    return scans
