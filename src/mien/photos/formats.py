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
_FILM = {
    **dict.fromkeys((b"ID3\2", b"ID3\3", b"ID3\4", b"fLaC\0"), "sound"),
    b"\x1a\x45\xdf\xa3": "a film",  # Matroska, WebM
    b"FLV\1": "a film",
    b"\0\0\1\xba": "a film",  # MPEG program stream
    b"\0\0\1\xb3": "a film",
    b"OggS\0": "a film or sound",
    b"\x30\x26\xb2\x75\x8e\x66\xcf\x11": "a film or sound",  # Windows Media
}
_ADDRESS = re.compile(rb"\s*(?:\[InternetShortcut\]\s*URL=)?(?:https?|ftp|s3|gs)://\S+\s*(?:\n|$)", re.IGNORECASE)
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
    return _film(data)


def _film(data: bytes) -> str | None:
    """What a container of moving pictures or sound looks like, by the first bytes; None for everything else."""
    for magic, words in _FILM.items():
        if data.startswith(magic):
            return words
    if data[:4] in {b"RIFF", b"FORM"}:
        return {b"AVI ": "a film", b"WAVE": "sound", b"AIFF": "sound", b"AIFC": "sound"}.get(data[8:12])
    if data[4:8] == b"ftyp":
        return "sound" if data[8:12] in {b"M4A ", b"M4B "} else "a film"
    if data[:1] == b"\0" and data[4:8] in {b"moov", b"mdat", b"wide", b"free"}:  # QuickTime of old
        return "a film"
    packets = data[: 3 * 188 + 1 : 188]  # of an MPEG transport stream, each of which begins with 0x47
    return "a film" if len(packets) > 2 and set(packets) == {0x47} else None


def is_text(head: bytes) -> bool:
    """Whether the first bytes are text: of no known format and free of control characters."""
    return sniff(head) is None and describe(head) is None and not _BINARY.search(head)


def rejection(data: bytes) -> PhotoError:
    """The error for bytes in which `sniff` sees no picture, with what they look like."""
    for magic, name in _UNSUPPORTED.items():
        if data.startswith(magic):
            return PhotoUnsupported(f"{name} pictures cannot be read: save it as JPEG or PNG")
    if _ADDRESS.match(data[:4096]):
        return NotAnImage("this is no picture, but the address of something on the network: download that")
    words = describe(data) or ("plain text" if is_text(data[:4096]) else "data of an unknown kind")
    more = "; for videos there is the command mien video" if "film" in words else ""
    return NotAnImage(f"this is no picture, it looks like {words}: give a photo as {READABLE}{more}")
