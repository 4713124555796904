"""The boxes of AVIF and HEIC (ISO/IEC 14496-12 and 23008-12): what they claim, checked before a decoder believes it.

A box of a few bytes can name the same bytes of the file thousands of times, or give one property to thousands of items;
decoders make a copy each time.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator

from mien.errors import PhotoTooCostly

_MOST_BOXES = 10_000
_MOST_BYTES = {b"moov": 1 << 20, b"meta": 1 << 18, b"iloc": 1 << 17, b"iref": 1 << 15, b"ipma": 1 << 15}
"""Of the boxes that say what the others are. A photo of 200 megapixels in 800 tiles has a `meta` of some 40,000; where
entries of a few bytes make items, libavif looks through all of them for each."""
_MOST_EXTENTS = 20_000
_DATA = frozenset({b"idat", b"mdat", b"free", b"skip"})


def check(data: bytes) -> None:
    """Refuse a file that takes much more to read than it has bytes.

    Args:
        data: an AVIF or HEIC file; what is malformed is left to its decoder to refuse.

    Raises:
        PhotoTooCostly: its description is larger than that of any photo, or its items have more bytes than the file.
    """
    try:
        for name, start, end in _boxes(data, 0, len(data)):
            if name == b"moov":
                _check_size(name, end - start)
            if name == b"meta":
                _check_meta(data, start + 4, end)
    except (struct.error, IndexError):
        return


def _check_meta(data: bytes, start: int, end: int) -> None:
    """Check the boxes within the box `meta`."""
    inner = list(_boxes(data, start, end))
    _check_size(b"meta", sum(stop - begin for name, begin, stop in inner if name not in _DATA))
    for name, begin, stop in inner:
        _check_size(name, stop - begin)
        if name == b"iprp":
            for kind, at, after in _boxes(data, begin, stop):
                _check_size(kind, after - at)
        if name == b"iloc" and _located(data[begin:stop]) > 2 * len(data):
            raise PhotoTooCostly("the parts of this picture have more bytes than its file: save it again")


def _check_size(name: bytes, size: int) -> None:
    if size > _MOST_BYTES.get(name, size):
        raise PhotoTooCostly("this picture has a longer description than any photo: save it again")


def _boxes(data: bytes, at: int, end: int) -> Iterator[tuple[bytes, int, int]]:
    """Name, first byte and end of the contents of each box in a part of a file."""
    count = 0
    while at + 8 <= end:
        size, name = struct.unpack_from(">I4s", data, at)
        start = at + 8
        if size == 1:
            (size,) = struct.unpack_from(">Q", data, start)
            start += 8
        stop = end if size == 0 else min(end, at + size)
        if stop < start:
            return
        yield name, start, stop
        at = stop
        count += 1
        if count > _MOST_BOXES:
            raise PhotoTooCostly("this picture is cut into more pieces than any photo: save it again")


def _located(iloc: bytes) -> int:
    """Bytes of all items together, as the box `iloc` locates them."""
    version, sizes = iloc[0], int.from_bytes(iloc[4:6])
    offset_size, length_size, base_size, index_size = sizes >> 12, sizes >> 8 & 15, sizes >> 4 & 15, sizes & 15
    wide = version == 2
    count = int.from_bytes(iloc[6 : 10 if wide else 8])
    at = 10 if wide else 8
    before = (4 if wide else 2) + (2 if version else 0) + 2 + base_size
    step = (index_size if version else 0) + offset_size + length_size
    total = extents = 0
    for _ in range(count):
        at += before
        if at + 2 > len(iloc):
            break
        several = int.from_bytes(iloc[at : at + 2])
        at += 2
        extents += several
        if extents > _MOST_EXTENTS:
            raise PhotoTooCostly("this picture is cut into more pieces than any photo: save it again")
        for _ in range(several if step else 0):
            at += step
            total += int.from_bytes(iloc[at - length_size : at])
    return total
