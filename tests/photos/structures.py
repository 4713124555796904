"""Pictures by their structure, for hypothesis: every part is one that a reader knows, few of them say what is true."""

from __future__ import annotations

import struct
import zlib

from hypothesis import strategies as st
from tests.photos.costly_files import box, boxes, chunk, saved, segment

SIDES = st.sampled_from([0, 1, 7, 64, 1000, 7000, 65_535, 1 << 20, (1 << 31) - 1, (1 << 32) - 1])
COUNTS = st.sampled_from([0, 1, 2, 3, 255, 4096, 65_535, 1 << 18, (1 << 32) - 1])
BLOCKS = st.sampled_from([0, 1, 8, 100, 10_000, 200_000])
TIMES = st.sampled_from([1, 1, 2, 30, 1000, 9000])


@st.composite
def tiffs(draw: st.DrawFn) -> bytes:
    """TIFF, classic in both byte orders, or big; values anywhere, most of them in one block."""
    order, big = draw(st.sampled_from("<>")), draw(st.booleans())
    entry, pointer, total = ("HHQQ", "Q", "Q") if big else ("HHII", "I", "H")
    most = (1 << (64 if big else 32)) - 1
    width, height = draw(SIDES), draw(SIDES)
    fields = {256: (4, 1, width), 257: (4, 1, height), 258: (3, 1, 8), 259: (3, 1, draw(st.sampled_from([1, 5, 7, 8])))}
    fields |= {262: (3, 1, draw(st.sampled_from([0, 1, 2, 3, 5, 6]))), 277: (3, 1, draw(st.sampled_from([1, 3, 4, 6])))}
    for tag in draw(
        st.lists(st.sampled_from([254, 258, 273, 274, 278, 279, 284, 317, 320, 322, 323, 324, 325, 338, 347]))
    ):
        kind = draw(st.sampled_from([1, 2, 3, 4, 5, 7, 12, 13, 16, 99]))
        fields[tag] = kind, min(most, draw(COUNTS)), min(most, draw(SIDES | st.integers(0, 300)))
    count = draw(COUNTS)
    more = [(tag, (16, count, 8)) for tag in range(1000, 1000 + draw(TIMES))]
    rows = [struct.pack(order + entry, tag, *values) for tag, values in [*sorted(fields.items()), *more]]
    block = bytes(draw(BLOCKS))
    mark = b"II" if order == "<" else b"MM"
    head = mark + struct.pack(order + "H", 43 if big else 42) + (struct.pack(order + "HH", 8, 0) if big else b"")
    start = len(head) + struct.calcsize(order + pointer)
    return b"".join(
        [
            head,
            struct.pack(order + pointer, start + len(block)),
            block,
            struct.pack(order + total, len(rows) % 65_536),
            *rows,
        ]
    ) + bytes(8)


@st.composite
def pngs(draw: st.DrawFn) -> bytes:
    """PNG with the chunks in any number; pixels that unpack to more or less than they should."""
    header = struct.pack(
        ">IIBBBBB", draw(SIDES), draw(SIDES), draw(st.sampled_from([1, 2, 4, 8, 16])),
        draw(st.sampled_from([0, 2, 3, 4, 6])), 0, 0, draw(st.integers(0, 1)),
    )  # fmt: skip
    pixels = zlib.compress(bytes(draw(st.sampled_from([0, 10, 1000, 1_000_000, 9_000_000]))))
    parts = [chunk(b"IHDR", header)]
    for name in draw(
        st.lists(st.sampled_from([b"PLTE", b"tRNS", b"eXIf", b"zTXt", b"iTXt", b"iCCP", b"acTL", b"IDAT"]), max_size=6)
    ):
        inner = draw(st.sampled_from([b"", bytes(768), b"a\0\0" + zlib.compress(bytes(1 << 24))]) | tiffs())
        parts += [chunk(name, inner)] * draw(TIMES if len(inner) < 800 else st.just(1))
    cut = draw(st.sampled_from([3, 5000]))
    parts += [chunk(b"IDAT", pixels[at : at + cut * 100]) for at in range(0, len(pixels), cut * 100)]
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts) + chunk(b"IEND", b"")


@st.composite
def jpegs(draw: st.DrawFn) -> bytes:
    """JPEG, baseline and progressive, of another size than it has, with segments and scans again and again."""
    progressive = draw(st.booleans())
    small = saved("JPEG", side=16, quality=50, progressive=progressive, subsampling=draw(st.sampled_from([0, 2])))
    at, parts = 2, []
    while small[at + 1] != 0xDA:
        size = 2 + int.from_bytes(small[at + 2 : at + 4])
        part = small[at : at + size]
        if part[1] in {0xC0, 0xC2}:
            part = part[:5] + struct.pack(">HH", draw(SIDES) & 0xFFFF, draw(SIDES) & 0xFFFF) + part[9:]
        parts += [part] * draw(st.sampled_from([1, 1, 1, 1, 2, 1000]))
        at += size
    for _ in range(draw(st.integers(0, 3))):
        extra = segment(draw(st.sampled_from([0xDB, 0xDD, 0xE0, 0xE1, 0xE2, 0xFE, 0xC4])), draw(st.binary(max_size=70)))
        parts += [extra] * draw(TIMES)
    scan = segment(0xDA, bytes([1, 1, 0]) + draw(st.sampled_from([b"\0\0\1", b"\0\0\x10", b"\0\x3f\0", b"\1\x3f\0"])))
    scan += draw(st.binary(max_size=20))
    return b"\xff\xd8" + b"".join(parts) + draw(st.sampled_from([b"", small[at:-2]])) + scan * draw(TIMES) + b"\xff\xd9"


ISO = {form: saved(form, quality=50) for form in ("AVIF",)}


@st.composite
def isos(draw: st.DrawFn) -> bytes:
    """AVIF whose boxes come again and again, larger and smaller than they are."""

    def changed(data: bytes, depth: int) -> bytes:
        parts = []
        for name, inner in boxes(data):
            prefix = 4 if name == b"meta" else 0
            if name in {b"meta", b"iprp", b"ipco"} and depth < 3:
                inner = inner[:prefix] + changed(inner[prefix:], depth + 1)  # noqa: PLW2901
            elif draw(st.booleans()) and inner:
                spot = draw(st.integers(0, min(len(inner), 40) - 1))
                inner = inner[:spot] + draw(st.sampled_from([b"\0", b"\xff", b"\x7f\xff\xff\xff"])) + inner[spot + 1 :]  # noqa: PLW2901
            inner += draw(st.sampled_from([b"", b"", b"", bytes(100), b"\0\1\xff" + b"\1" * 255]))  # noqa: PLW2901
            parts += [box(name, inner)] * draw(st.sampled_from([1, 1, 1, 1, 2, 300]))
        return b"".join(parts)

    return changed(ISO["AVIF"], 0) + bytes(draw(BLOCKS))


@st.composite
def webps(draw: st.DrawFn) -> bytes:
    """WebP with EXIF data, chunks again and again, and other sizes."""
    data = saved("WEBP", lossless=draw(st.booleans()))[12:]
    spot = draw(st.integers(0, min(40, len(data)) - 1))
    if draw(st.booleans()):
        data = data[:spot] + draw(st.binary(min_size=1, max_size=3)) + data[spot + 1 :]
    exif = draw(tiffs() | st.just(b""))
    parts = data * draw(st.sampled_from([1, 1, 30])) + b"EXIF" + struct.pack("<I", len(exif)) + exif
    return b"RIFF" + struct.pack("<I", len(parts) + 4) + b"WEBP" + parts


FILES = {"tiff": tiffs(), "png": pngs(), "jpeg": jpegs(), "iso": isos(), "webp": webps()}
