"""TIFF directories (Adobe TIFF 6.0, 1992), in which EXIF data and TIFF pictures are written.

Pillow warns of much in them that is harmless and gives up on some of it, and warnings cannot be caught safely where
several threads decode. So the turn of a photo is read here, and Pillow gets TIFF pictures with a directory that holds
only what their pixels need.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

from mien.errors import PhotoUnsupported

_SIZES = {1: 1, 3: 2, 4: 4, 5: 8, 7: 1, 16: 8}
"""Bytes of a value of each type used here: byte, short, long, rational, undefined, long8."""

_MOST_VALUES = 1 << 20
_MOST_SAMPLES = 6

_SUBFILE, _WIDTH, _ORIENTATION, _SAMPLES = 254, 256, 274, 277
_SINGLE = frozenset({_WIDTH, 257, 259, 262, 266, _SAMPLES, 278, 284, 292, 293, 317, 322, 323, 512, 513, 514, 515, 531})
_SEVERAL = frozenset({258, 273, 279, 320, 324, 325, 338, 339, 347, 519, 520, 521, 529, 530, 532})
_PIXELS = _SINGLE | _SEVERAL


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


def _directory(data: bytes, layout: _Layout) -> dict[int, _Field]:
    """Tag -> (type, values as written) of the first directory, leaving out what is malformed or not used here."""
    (at,) = struct.unpack_from(layout.pointer, data, layout.first)
    (total,) = struct.unpack_from(layout.total, data, at)
    at += struct.calcsize(layout.total)
    step = struct.calcsize(layout.entry)
    fields: dict[int, _Field] = {}
    for place in range(at, min(at + total * step, len(data) - step + 1), step):
        tag, kind, count, value = struct.unpack_from(layout.entry, data, place)
        if kind not in _SIZES or not 0 < count <= _MOST_VALUES or tag in fields:
            continue
        length = count * _SIZES[kind]
        if length > len(value):
            (start,) = struct.unpack(layout.pointer, value)
            value = data[start : start + length]
        if len(value) >= length:
            fields[tag] = kind, value[:length]
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
        kind, value = _directory(block, layout)[_ORIENTATION]
    except (KeyError, ValueError, OverflowError, struct.error):
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
    """
    layout = _Layout.of(data)
    found = _directory(data, layout)
    if _SUBFILE in found and layout.number(*found[_SUBFILE]) & 1:
        raise PhotoUnsupported("raw data of a camera cannot be read: export the photo as JPEG or PNG")
    fields = {tag: found[tag] for tag in sorted(_PIXELS & found.keys())}
    fields |= {tag: (kind, value[: _SIZES[kind]]) for tag, (kind, value) in fields.items() if tag in _SINGLE}
    if _SAMPLES in fields and layout.number(*fields[_SAMPLES]) > _MOST_SAMPLES:
        raise ValueError(f"more than {_MOST_SAMPLES} samples a pixel")
    start = len(data) + len(data) % 2
    header = data[: layout.first] + struct.pack(layout.pointer, start)
    body = data[len(header) :] + b"\0" * (start - len(data))
    return header + body + _written(fields, layout, start)


def _written(fields: dict[int, _Field], layout: _Layout, start: int) -> bytes:
    """A directory that lies at byte `start`, followed by the values that do not fit into its entries."""
    width = struct.calcsize(layout.pointer)
    entries, values = [struct.pack(layout.total, len(fields))], b""
    after = start + struct.calcsize(layout.total) + len(fields) * struct.calcsize(layout.entry) + width
    for tag, (kind, value) in fields.items():
        stored = value
        if len(value) > width:
            stored = struct.pack(layout.pointer, after + len(values))
            values += value + b"\0" * (len(value) % 2)
        entries.append(struct.pack(layout.entry, tag, kind, len(value) // _SIZES[kind], stored))
    return b"".join([*entries, b"\0" * width, values])
