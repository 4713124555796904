"""Pictures by their structure, for hypothesis: every part is one that a reader knows, few of them say what is true."""

from __future__ import annotations

import importlib
import struct
import zlib
from contextlib import suppress

from hypothesis import strategies as st
from tests.photos.costly_files import box, boxes, chunk, saved, segment

SIDES = st.sampled_from([0, 1, 7, 64, 1000, 7000, 65_535, 1 << 20, (1 << 31) - 1, (1 << 32) - 1])
COUNTS = st.sampled_from([0, 1, 2, 3, 255, 4096, 65_535, 1 << 18, (1 << 32) - 1])
BLOCKS = st.sampled_from([0, 1, 8, 100, 10_000, 200_000])
TIMES = st.sampled_from([1, 1, 2, 30, 1000, 9000])
MOST_BYTES = 20 << 20
"""Of a file: what the service takes."""


def repeated(part: bytes, times: int) -> bytes:
    """A part again and again, as often as a file has room for."""
    return part * max(1, min(times, MOST_BYTES // max(1, len(part))))


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


ISO = {"AVIF": saved("AVIF", quality=50)}
with suppress(ImportError):
    importlib.import_module("pillow_heif").register_heif_opener()
    ISO["HEIF"] = saved("HEIF", quality=50)


@st.composite
def isos(draw: st.DrawFn, form: str) -> bytes:
    """AVIF or HEIC whose boxes come again and again, larger and smaller than they are."""

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
            times = draw(st.sampled_from([1, 1, 1, 1, 2, 300]))
            parts.append(repeated(box(name, inner), times))
        return b"".join(parts)[:MOST_BYTES]

    return changed(ISO[form], 0) + bytes(draw(BLOCKS))


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


@st.composite
def gifs(draw: st.DrawFn) -> bytes:
    """GIF with extensions and frames again and again, on canvases of any size, smaller and larger than the frames."""
    sides = SIDES.map(lambda side: side & 0xFFFF)
    table = draw(st.sampled_from([0, 0x80, 0x87]))
    parts = [b"GIF89a", struct.pack("<HHBBB", draw(sides), draw(sides), table, 0, 0)]
    parts.append(bytes(3 << ((table & 7) + 1) if table else 0))
    for _ in range(draw(st.integers(0, 4))):
        blocks = st.sampled_from([b"", b"\1a", b"\xff" + bytes(255)])
        extra = b"\x21" + draw(st.sampled_from([b"\xf9\4\1\0\0\0", b"\xfe", b"\xff\x0bNETSCAPE2.0"]))
        frame = b"\x2c" + struct.pack("<4HB", *(draw(sides) for _ in range(4)), draw(st.sampled_from([0, 0x40, 0x80])))
        codes = bytes([draw(st.integers(0, 13))]) + draw(blocks) * draw(TIMES)
        parts.append(repeated(draw(st.sampled_from([extra, frame + codes])) + draw(blocks) + b"\0", draw(TIMES)))
    return b"".join(parts) + b";"


JPEG_2000 = saved("JPEG2000", no_jp2=True)


@st.composite
def jpegs_2000(draw: st.DrawFn) -> bytes:
    """JPEG 2000 with other sizes, tiles, levels and layers than it has, its segments again and again."""
    data, at, parts = JPEG_2000, 2, [JPEG_2000[:2]]
    while data[at + 1] not in {0x90, 0xD9}:
        size = 2 + int.from_bytes(data[at + 2 : at + 4])
        part = bytearray(data[at : at + size])
        if part[1] == 0x51 and draw(st.booleans()):
            struct.pack_into(
                ">8I", part, 6, *(draw(SIDES) for _ in range(2)), 0, 0, *(draw(SIDES) for _ in range(2)), 0, 0
            )
        elif draw(st.booleans()):
            part[draw(st.integers(4, size - 1))] = draw(st.integers(0, 255))
        parts.append(repeated(bytes(part), draw(TIMES)))
        at += size
    rest = bytearray(data[at:])
    for _ in range(draw(st.integers(0, 3))):
        rest[draw(st.integers(0, len(rest) - 1))] = draw(st.integers(0, 255))
    return b"".join(parts) + bytes(rest[:-2]) * draw(TIMES) + b"\xff\xd9"


@st.composite
def psds(draw: st.DrawFn) -> bytes:
    """Photoshop files whose sections are longer, shorter and more than they say."""
    numbers = draw(st.sampled_from([1, 3, 4, 56])), draw(SIDES), draw(SIDES), draw(st.sampled_from([1, 8, 16]))
    parts = [b"8BPS", struct.pack(">H6xHIIHH", 1, *numbers, draw(st.sampled_from([0, 1, 3, 4])))]
    resource = b"8BIM" + struct.pack(">HHI", draw(st.sampled_from([1005, 1039, 1057, 1058])), 0, 4) + bytes(4)
    for inner in (b"", resource * draw(TIMES), bytes(draw(BLOCKS))):
        parts += [struct.pack(">I", draw(st.sampled_from([len(inner), len(inner), 0, (1 << 32) - 1]))), inner]
    packed = draw(st.sampled_from([b"", b"\x81\0", b"\x7f" + bytes(128)])) * draw(TIMES)
    return b"".join(parts) + struct.pack(">H", draw(st.sampled_from([0, 1, 2]))) + packed


@st.composite
def bitmaps(draw: st.DrawFn) -> bytes:
    """BMP, and PNM, PAM and PFM, of any size, plain and packed."""
    wide, high = draw(SIDES), draw(SIDES)
    if draw(st.booleans()):
        depth, packing = draw(st.sampled_from([(1, 0), (4, 2), (8, 1), (8, 0), (16, 3), (24, 0), (32, 0), (32, 3)]))
        head = struct.pack("<IIIHHIIiiII", 40, wide, high, 1, depth, packing, 0, 1, 1, draw(COUNTS), 0)
        rows = draw(st.sampled_from([b"", b"\xff\1", b"\0\2\xff\xff", b"\0\0"])) * draw(TIMES)
        return b"BM" + struct.pack("<IHHI", 54 + len(rows), 0, 0, draw(st.sampled_from([54, 1078]))) + head + rows
    blank = draw(st.sampled_from([b" ", b"\n", b"#\n", b" " * 10_000, b"# a\n" * 10_000]))
    most = draw(st.sampled_from([b"1", b"255", b"65535", b"1.0", b"0", b"-1.0"]))
    mark = draw(st.sampled_from([b"P1", b"P2", b"P3", b"P4", b"P5", b"P6", b"Pf", b"PF"]))
    rows = draw(st.sampled_from([b"", b"0 ", b"\0", b"9" * 100])) * draw(TIMES)
    return blank.join([mark, str(wide).encode(), str(high).encode(), most, rows])


FILES: dict[str, st.SearchStrategy[bytes]] = {
    "tiff": tiffs(),
    "png": pngs(),
    "jpeg": jpegs(),
    "iso": isos("AVIF"),
    **({"heif": isos("HEIF")} if "HEIF" in ISO else {}),
    "webp": webps(),
    "gif": gifs(),
    "jpeg2000": jpegs_2000(),
    "psd": psds(),
    "bitmap": bitmaps(),
}
FILES = {name: files.map(lambda data: data[:MOST_BYTES]) for name, files in FILES.items()}
