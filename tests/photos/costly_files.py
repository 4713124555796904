"""Small files that took gigabytes or minutes: each is made anew, small as it is, since most of it repeats itself."""

from __future__ import annotations

import io
import struct
import zlib

from PIL import Image


def tiff(entries: int, block: int, *, first: int = 1000, kind: int = 16, size: int = 8) -> bytes:
    """A TIFF directory with many tags, each of which names the same block of bytes as its value."""
    start = 8 + 2 + entries * 12 + 4
    tags = b"".join(struct.pack("<HHII", first + at, kind, block // size, start) for at in range(entries))
    return b"II*\0" + struct.pack("<IH", 8, entries) + tags + bytes(4) + bytes(block)


def tiff_of_tags_in_use(block: int) -> bytes:
    """Like `tiff`, with tags that pixels need and may have several values."""
    tags = (258, 273, 279, 320, 324, 325, 338, 339, 347, 519, 520, 521, 529, 530, 532)
    start = 8 + 2 + (len(tags) + 2) * 12 + 4
    single = b"".join(struct.pack("<HHII", tag, 4, 1, 64) for tag in (256, 257))
    shared = b"".join(struct.pack("<HHII", tag, 16, block // 8, start) for tag in tags)
    return b"II*\0" + struct.pack("<IH", 8, len(tags) + 2) + single + shared + bytes(4) + bytes(block)


def tiff_of_one_strip(side: int, times: int) -> bytes:
    """A grey TIFF whose only strip is named so many times."""
    pixels = bytes(side * side)
    numbers = struct.pack(f"<{times}I", *[8] * times), struct.pack(f"<{times}I", *[len(pixels)] * times)
    after = 8 + len(pixels)
    fields = [(256, 4, 1, side), (257, 4, 1, side), (258, 3, 1, 8), (259, 3, 1, 1), (262, 3, 1, 1)]
    fields += [(273, 4, times, after), (277, 3, 1, 1), (278, 4, 1, side), (279, 4, times, after + 4 * times)]
    directory = struct.pack("<H", len(fields)) + b"".join(struct.pack("<HHII", *field) for field in fields) + bytes(4)
    return b"II*\0" + struct.pack("<I", after + 8 * times) + pixels + b"".join(numbers) + directory


def chunk(name: bytes, data: bytes) -> bytes:
    """A chunk of a PNG."""
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def png(*more: bytes, side: int = 64) -> bytes:
    """A grey PNG with more chunks after its header."""
    data = saved("PNG", side=side)
    return data[:33] + b"".join(more) + data[33:]


def saved(form: str, *, side: int = 64, mode: str = "RGB", **options: object) -> bytes:
    """A grey picture."""
    stream = io.BytesIO()
    Image.new(mode, (side, side), "grey").save(stream, form, **options)
    return stream.getvalue()


def webp(exif: bytes) -> bytes:
    """A WebP with EXIF data."""
    parts = saved("WEBP")[12:] + b"EXIF" + struct.pack("<I", len(exif)) + exif + b"\0" * (len(exif) % 2)
    return b"RIFF" + struct.pack("<I", len(parts) + 4) + b"WEBP" + parts


def jpeg(*segments: bytes) -> bytes:
    """A JPEG with segments before its own."""
    return b"\xff\xd8" + b"".join(segments) + saved("JPEG")[2:]


def segment(marker: int, data: bytes) -> bytes:
    """A segment of a JPEG."""
    return struct.pack(">BBH", 0xFF, marker, len(data) + 2) + data


def jpeg_of_scans(side: int, scans: int, *, progressive: bool) -> bytes:
    """A JPEG whose scans hold no data: each costs a pass over all blocks."""
    small = saved("JPEG", side=16, quality=50, progressive=progressive, subsampling=0)
    at, head = 2, b"\xff\xd8"
    while small[at + 1] != 0xDA:
        size = 2 + int.from_bytes(small[at + 2 : at + 4])
        part = small[at : at + size]
        head += part[:5] + struct.pack(">HH", side, side) + part[9:] if part[1] in {0xC0, 0xC2} else part
        at += size
    first, more = (b"\0\0\1", b"\0\0\x10") if progressive else (b"\0\x3f\0", b"\0\x3f\0")
    scan = segment(0xDA, bytes([1, 1, 0]) + more)
    return head + segment(0xDA, bytes([1, 1, 0]) + first) + scan * (scans - 1) + b"\xff\xd9"


def box(name: bytes, *parts: bytes) -> bytes:
    """A box of an ISO base media file."""
    data = b"".join(parts)
    return struct.pack(">I4s", 8 + len(data), name) + data


def boxes(data: bytes) -> list[tuple[bytes, bytes]]:
    """The boxes of a file."""
    found, at = [], 0
    while at + 8 <= len(data):
        size, name = struct.unpack_from(">I4s", data, at)
        found.append((name, data[at + 8 : at + size]))
        at += size
    return found


def iso(form: str, *, extents: int = 0, block: int = 0, properties: int = 0) -> bytes:
    """An AVIF or HEIF ("HEIF" needs pillow_heif) that claims much.

    Args:
        form: "AVIF" or "HEIF".
        extents: times that its first item names a block of the file.
        block: bytes of it.
        properties: items that are given 255 properties each.
    """
    data = saved(form, quality=50)
    parts = []
    for name, inner in boxes(data):
        if name == b"meta":
            changed = [box(kind, _claims(kind, rest, extents, block, properties)) for kind, rest in boxes(inner[4:])]
            parts.append(box(b"meta", inner[:4], *changed))
        else:
            parts.append(box(name, inner))
    return b"".join(parts) + box(b"mdat", bytes(block))


def _claims(kind: bytes, rest: bytes, extents: int, block: int, properties: int) -> bytes:
    if kind == b"iloc" and extents:
        return (
            bytes([0, 0, 0, 0, 0x44, 0])
            + struct.pack(">HHHH", 1, 1, 0, extents)
            + struct.pack(">II", 8, block) * extents
        )
    if kind == b"iprp" and properties:
        rows = b"".join(struct.pack(">HB", item + 1, 255) + b"\1" * 255 for item in range(properties))
        named = [box(b"ipma", bytes(4), struct.pack(">I", properties), rows)]
        return b"".join([box(name, inner) for name, inner in boxes(rest) if name != b"ipma"] + named)
    return rest


def everything() -> dict[str, bytes]:
    """All of them by name, each within the 20 MiB that the service takes."""
    exif = tiff(20_000, 500_000)
    return {
        "dir.tif": exif,
        "dir_used.tif": tiff_of_tags_in_use(2_000_000),
        "strips.tif": tiff_of_one_strip(1000, 200_000),
        "exif.png": png(chunk(b"eXIf", exif)),
        "exif_often.png": png(*[chunk(b"eXIf", tiff(4000, 1000))] * 300),
        "chunks.png": png(*[chunk(b"IDAT", b"")] * 1_000_000),
        "row.png": b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", 1, 49_000_000, 8, 0, 0, 0, 0))
        + chunk(b"IDAT", zlib.compress(bytes(1000))) + chunk(b"IEND", b""),
        "exif.webp": webp(exif),
        "exif.jpg": jpeg(*[segment(0xE1, b"Exif\0\0" + tiff(4000, 10_000))] * 300),
        "comments.jpg": jpeg(segment(0xFE, b"") * 4_000_000),
        "fill.jpg": jpeg(b"\xff" * 15_000_000),
        "scans_baseline.jpg": jpeg_of_scans(7000, 20_000, progressive=False),
        "scans_progressive.jpg": jpeg_of_scans(7000, 20_000, progressive=True),
        "extents.avif": iso("AVIF", extents=60_000, block=500_000),
        "properties.avif": iso("AVIF", properties=60_000),
        "blocks.gif": b"GIF89a" + struct.pack("<HHBBB", 9, 9, 0, 0, 0) + b"\x21\xfe" + b"\1a" * 7_000_000 + b"\0;",
    }  # fmt: skip
