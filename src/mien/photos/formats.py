"""Which kind of file some bytes are. Their first ones say so; the suffixes of files are not believed."""

from __future__ import annotations

import re
import struct

from mien.errors import NotAnImage, PhotoError, PhotoUnsupported

READABLE = "JPEG, PNG, GIF, WebP, BMP, TIFF, AVIF, PNM, JPEG 2000, PSD or HEIC"

_AVIF = frozenset({b"avif", b"avis"})
_HEIF = frozenset({b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"hevm", b"hevs", b"mif1", b"msf1"})
_BMP_HEADERS = frozenset({12, 40, 52, 56, 64, 108, 124})
_MAGIC = {
    b"\xff\xd8\xff": "JPEG",
    b"\x89PNG\r\n\x1a\n": "PNG",
    b"GIF87a": "GIF",
    b"GIF89a": "GIF",
    b"II*\0": "TIFF",
    b"MM\0*": "TIFF",
    b"II+\0": "TIFF",
    b"MM\0+": "TIFF",
    b"\0\0\0\x0cjP  ": "JPEG2000",
    b"\xff\x4f\xff\x51": "JPEG2000",
    b"\0\0\0\x0cJXL ": "JXL",
    b"\xff\x0a": "JXL",
    b"8BPS\0\1": "PSD",
    b"P7\n": "PAM",
}
_UNSUPPORTED = {
    b"8BPS\0\2": "large Photoshop (PSB)",
    b"\0\0\1\0": "icon",
}
_OTHER = {
    b"%PDF": "a PDF document",
    b"%!PS": "a PostScript document",
    b"PK\3\4": "a ZIP archive or an office document",
    b"\x1f\x8b": "a gzip archive",
    b"7z\xbc\xaf": "a 7-Zip archive",
    b"Rar!": "a RAR archive",
    b"<": "a web page or other XML text",
    b"\xef\xbb\xbf<": "a web page or other XML text",
}
_BINARY = re.compile(rb"[\0-\x08\x0e-\x1a\x1c-\x1f]")


def sniff(data: bytes) -> str | None:
    """Name of the picture format that the first bytes announce; None for everything else.

    >>> sniff(b"GIF89a..."), sniff(b"BMW.jpg"), sniff(b"%PDF-1.7")
    ('GIF', None, None)
    """
    for magic, name in _MAGIC.items():
        if data.startswith(magic):
            return name
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return "WEBP"
    if data[4:8] == b"ftyp":
        return _brand(data)
    if data[:2] == b"BM" and int.from_bytes(data[14:18], "little") in _BMP_HEADERS:
        return "BMP"
    if re.match(rb"P(?:[456]\s|[123]\s+[#\d])", data):  # P1 to P3 are text, of numbers
        return "PNM"
    return "PAM" if re.match(rb"P[Ff]\s+\d", data) else None


def _brand(data: bytes) -> str | None:
    """AVIF or HEIF from the brands of an ISO base media file (ISO/IEC 14496-12, box `ftyp`); None for a film."""
    (size,) = struct.unpack(">I", data[:4])
    major, others = data[8:12], {data[at : at + 4] for at in range(16, min(size, 128), 4)}
    if major in _AVIF or (major in {b"mif1", b"msf1"} and others & _AVIF):
        return "AVIF"
    return "HEIF" if major in _HEIF or others & _HEIF else None


def describe(data: bytes) -> str | None:
    """What bytes that are no picture look like; None where nothing is known of them."""
    start = data[:64].lstrip()
    for magic, words in _OTHER.items():
        if start.startswith(magic):
            return words
    return "a film or sound" if data[4:8] == b"ftyp" else None


def is_text(head: bytes) -> bool:
    """Whether the first bytes are text: of no known format and free of control characters."""
    return sniff(head) is None and describe(head) is None and not _BINARY.search(head)


def rejection(data: bytes) -> PhotoError:
    """The error for bytes in which `sniff` sees no picture, with what they look like."""
    for magic, name in _UNSUPPORTED.items():
        if data.startswith(magic):
            return PhotoUnsupported(f"{name} pictures cannot be read: save it as JPEG or PNG")
    words = describe(data) or ("plain text" if is_text(data[:4096]) else "data of an unknown kind")
    return NotAnImage(f"this is no picture, it looks like {words}: give a photo as {READABLE}")
