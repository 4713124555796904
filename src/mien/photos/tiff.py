"""TIFF directories (Adobe TIFF 6.0, 1992), in which EXIF data and TIFF pictures are written.

Pillow warns of much in them that is harmless and gives up on some of it, and warnings cannot be caught safely where
several threads decode. So the turn of a photo is read here, and Pillow gets TIFF pictures with a directory that holds
only what their pixels need.
"""

from __future__ import annotations

import struct
from collections.abc import Collection
from dataclasses import dataclass

from mien.errors import PhotoTooCostly, PhotoUnsupported

_SIZES = {1: 1, 3: 2, 4: 4, 5: 8, 7: 1, 16: 8}
"""Bytes of a value of each type used here: byte, short, long, rational, undefined, long8."""

_MOST_ENTRIES = 4096
_MOST_VALUES = 1 << 18
_MOST_SAMPLES = 6

_SUBFILE, _WIDTH, _ORIENTATION, _SAMPLES = 254, 256, 274, 277
_SINGLE = frozenset({_WIDTH, 257, 259, 262, 266, _SAMPLES, 278, 284, 292, 293, 317, 322, 323, 512, 513, 514, 515, 531})
_SEVERAL = frozenset({258, 273, 279, 320, 324, 325, 338, 339, 347, 519, 520, 521, 529, 530, 532})
_PIXELS = _SINGLE | _SEVERAL
_HEIGHT, _ROWS, _PLANES, _TILE_WIDTH, _TILE_HEIGHT = 257, 278, 284, 322, 323
_STRIPS, _TILES = (273, 279), (324, 325)


@dataclass(frozen=True, slots=True)
class _Layout:
    """How numbers are written: byte order, and the wider fields of BigTIFF."""

    order: str
    big: bool

    @classmethod
    def of(cls, data: bytes) -> _Layout:
        orders = {b"II": "<", b"MM": ">"}
        if data[:2] not in orders:
            raise ValueError("no TIFF header")
        order = orders[data[:2]]
        (version,) = struct.unpack_from(f"{order}H", data, 2)
        return cls(order, version == 43)

    @property
    def pointer(self) -> str:
        return self.order + ("Q" if self.big else "I")

    @property
    def entry(self) -> str:
        return self.order + ("HHQ8s" if self.big else "HHI4s")

    @property
    def total(self) -> str:
        return self.order + ("Q" if self.big else "H")

    @property
    def first(self) -> int:
        """Where the header says at which byte the first directory lies."""
        return 8 if self.big else 4

    def number(self, kind: int, value: bytes) -> int:
        """The first of the whole numbers in a field."""
        return int.from_bytes(value[: _SIZES[kind]], "little" if self.order == "<" else "big")


_Field = tuple[int, bytes]


def _directory(data: bytes, layout: _Layout, wanted: Collection[int]) -> dict[int, _Field]:
    """Tag -> (type, values as written) of the first directory, leaving out what is malformed or not wanted.

    Thousands of tags may point at one block of the file, and each would be a copy of it: so only the wanted are read,
    of those with one value only this, and all together have no more bytes than the file.
    """
    (at,) = struct.unpack_from(layout.pointer, data, layout.first)
    (total,) = struct.unpack_from(layout.total, data, at)
    at += struct.calcsize(layout.total)
    step = struct.calcsize(layout.entry)
    fields: dict[int, _Field] = {}
    left = len(data)
    for place in range(at, min(at + min(total, _MOST_ENTRIES) * step, len(data) - step + 1), step):
        tag, kind, count, value = struct.unpack_from(layout.entry, data, place)
        if tag not in wanted or tag in fields or kind not in _SIZES or not 0 < count <= _MOST_VALUES:
            continue
        length, start, source = count * _SIZES[kind], 0, value
        if length > len(value):
            (start,) = struct.unpack(layout.pointer, value)
            source = data
        if start + length > len(source):
            continue
        kept = length if tag in _SEVERAL else _SIZES[kind]
        left -= kept
        if left < 0:
            raise PhotoTooCostly("this TIFF directory is larger than its file, as no photo's is: save it again")
        fields[tag] = kind, source[start : start + kept]
    return fields


def orientation(data: bytes) -> int:
    """How a photo must be turned to stand upright, from EXIF data with or without its "Exif" prefix.

    Args:
        data: a TIFF file or the block of EXIF data of another format; anything else counts as "upright".

    Returns:
        1 to 8 as in the EXIF standard (CIPA DC-008, tag Orientation); 1 is upright.
    """
    block = data.removeprefix(b"Exif\0\0")
    try:
        layout = _Layout.of(block)
        kind, value = _directory(block, layout, {_ORIENTATION})[_ORIENTATION]
    except (KeyError, ValueError, OverflowError, struct.error, PhotoTooCostly):
        return 1
    turn = layout.number(kind, value)
    return turn if 1 <= turn <= 8 else 1


def bare(data: bytes) -> bytes:
    """The same TIFF picture with a new directory of the fields that its pixels need, and no other pictures.

    Args:
        data: a TIFF file, as classic or BigTIFF.

    Raises:
        ValueError, struct.error: there is no directory, or it asks for more samples a pixel than are sensible.
        PhotoUnsupported: the file is a camera's raw data with a preview in front.
        PhotoTooCostly: its directory has more bytes than the file.
    """
    layout = _Layout.of(data)
    found = _directory(data, layout, _PIXELS | {_SUBFILE, _ORIENTATION})
    if _SUBFILE in found and layout.number(*found[_SUBFILE]) & 1:
        raise PhotoUnsupported("raw data of a camera cannot be read: export the photo as JPEG or PNG")
    fields = {tag: found[tag] for tag in sorted(_PIXELS & found.keys())}
    _leave_pieces(fields, layout)
    if _SAMPLES in fields and layout.number(*fields[_SAMPLES]) > _MOST_SAMPLES:
        raise ValueError(f"more than {_MOST_SAMPLES} samples a pixel")
    start = len(data) + len(data) % 2
    header = data[: layout.first] + struct.pack(layout.pointer, start)
    body = data[len(header) :] + b"\0" * (start - len(data))
    return header + body + _written(fields, layout, start)


def _leave_pieces(fields: dict[int, _Field], layout: _Layout) -> None:
    """Leave as many strips or tiles as make up the picture: Pillow decodes each, be it the same a thousand times.

    Args:
        fields: of a directory; changed.
        layout: of the file.
    """

    def number(tag: int, default: int = 1) -> int:
        return max(1, layout.number(*fields[tag]) if tag in fields else default)

    width, height = number(_WIDTH), number(_HEIGHT)
    strips = -(-height // number(_ROWS, height))
    tiles = -(-width // number(_TILE_WIDTH, width)) * -(-height // number(_TILE_HEIGHT, height))
    planes = number(_SAMPLES) if number(_PLANES) == 2 else 1
    for tags, needed in ((_STRIPS, strips), (_TILES, tiles)):
        for tag in fields.keys() & tags:
            kind, value = fields[tag]
            fields[tag] = kind, value[: needed * planes * _SIZES[kind]]


def _written(fields: dict[int, _Field], layout: _Layout, start: int) -> bytes:
    """A directory that lies at byte `start`, followed by the values that do not fit into its entries."""
    width = struct.calcsize(layout.pointer)
    entries, values = [struct.pack(layout.total, len(fields))], []
    after = start + struct.calcsize(layout.total) + len(fields) * struct.calcsize(layout.entry) + width
    for tag, (kind, value) in fields.items():
        stored = value
        if len(value) > width:
            stored = struct.pack(layout.pointer, after)
            values += [value, b"\0" * (len(value) % 2)]
            after += len(value) + len(value) % 2
        entries.append(struct.pack(layout.entry, tag, kind, len(value) // _SIZES[kind], stored))
    return b"".join([*entries, b"\0" * width, *values])
