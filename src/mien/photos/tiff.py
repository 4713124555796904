"""TIFF directories (Adobe TIFF 6.0, 1992), in which EXIF data and TIFF pictures are written.

Pillow warns of much in them that is harmless and gives up on some of it, and warnings cannot be caught safely where
several threads decode. So the turn of a photo is read here, and Pillow gets TIFF pictures with a directory that holds
only what their pixels need.
"""

from __future__ import annotations

import struct
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate

from mien.errors import PhotoTooCostly, PhotoUnsupported

_SIZES = {1: 1, 3: 2, 4: 4, 5: 8, 7: 1, 13: 4, 16: 8, 18: 8}
"""Bytes of a value of each type used here: byte, short, long, rational, undefined, ifd, long8, ifd8."""

_LETTERS = {1: "B", 3: "H", 4: "I", 13: "I", 16: "Q", 18: "Q"}
"""How `struct` calls the types of whole numbers."""

_MOST_ENTRIES = 4096
_MOST_VALUES = 1 << 18
_MOST_PAGES = 16

_SUBFILE, _OLD_SUBFILE, _ORIENTATION, _SUBPAGES, _INKS, _XMP = 254, 255, 274, 330, 332, 700
_WIDTH, _SAMPLES = 256, 277
_SINGLE = frozenset({256, 257, 259, 262, 266, 277, 278, 284, 292, 293, 317, 322, 323, 512, 513, 514, 515, 531})
_SEVERAL = frozenset({258, 273, 279, 320, 324, 325, 338, 339, 347, 519, 520, 521, 529, 530, 532})
_PIXELS = _SINGLE | _SEVERAL
_LISTS = _SEVERAL | {_SUBPAGES, _XMP}
_USED = _PIXELS | {_SUBFILE, _OLD_SUBFILE, _ORIENTATION, _SUBPAGES, _INKS, _XMP}
_HEIGHT, _ROWS, _PLANES, _TILE_WIDTH, _TILE_HEIGHT = 257, 278, 284, 322, 323
_STRIPS, _TILES = (273, 279), (324, 325)
_COLOURS = 320


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


def _directory(data: bytes, layout: _Layout, wanted: Collection[int], at: int | None = None) -> dict[int, _Field]:
    """Tag -> (type, values as written, none if the file ends before) of a directory.

    Thousands of tags may point at one block of the file, and each would be a copy of it: so only the wanted are read,
    of those with one value only this, and all together have no more bytes than the file. It lies at `at`, by default
    the first one.
    """
    if at is None:
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
        kept = length if tag in _LISTS else _SIZES[kind]
        if start + length > len(source):
            kept = 0
        left -= kept
        if left < 0:
            raise PhotoTooCostly("this TIFF directory is larger than its file, as no photo's is: save it again")
        fields[tag] = kind, source[start : start + kept]
    return fields


@dataclass(frozen=True, slots=True)
class Page:
    """One picture of a TIFF file.

    Attributes:
        data: the whole file.
        layout: how its numbers are written.
        fields: tag -> (type, values as written).
    """

    data: bytes
    layout: _Layout
    fields: dict[int, _Field]

    def numbers(self, tag: int, default: tuple[int, ...] = ()) -> tuple[int, ...]:
        """The whole numbers of a tag; `default` where it is absent or holds something else.

        Raises:
            ValueError: the file ends before them.
        """
        kind, value = self.fields.get(tag, (0, b""))
        if kind not in _LETTERS:
            return default
        if not value:
            raise ValueError(f"the TIFF file ends before the values of its tag {tag}")
        return _numbers(self.layout.order, kind, value)

    def number(self, tag: int, default: int = 0) -> int:
        """The first of them."""
        return self.numbers(tag, (default,))[0]

    @property
    def part(self) -> bool:
        """Whether it says of itself that it is a smaller copy or a mask of another page."""
        return bool(self.number(_SUBFILE) & 0b101) or self.number(_OLD_SUBFILE) == 2 or self.number(262, 1) == 4

    @property
    def orientation(self) -> int | None:
        """How it must be turned to stand upright, 1 to 8; None where it does not say."""
        turn = self.number(_ORIENTATION)
        return turn if 1 <= turn <= 8 else None


def page(data: bytes) -> Page:
    """The picture that a TIFF file is about: the first page that is neither a thumbnail nor a mask.

    Args:
        data: a TIFF file, classic or BigTIFF.

    Raises:
        ValueError, struct.error: there is no directory.
        PhotoUnsupported: the file is a camera's raw data with a preview in front.
    """
    layout = _Layout.of(data)
    (at,) = struct.unpack_from(layout.pointer, data, layout.first)
    waiting, seen = [at], set[int]()
    while waiting and len(seen) < _MOST_PAGES:
        at = waiting.pop(0)
        if not at or at in seen:
            continue
        try:
            found = Page(data, layout, _directory(data, layout, _USED, at))
            (total,) = struct.unpack_from(layout.total, data, at)
            entries = struct.calcsize(layout.total) + total * struct.calcsize(layout.entry)
            further = struct.unpack_from(layout.pointer, data, at + entries) if found.part else ()
            if at + entries > len(data):
                raise struct.error("a directory that breaks off")
        except struct.error:
            if not seen:
                raise
            continue
        seen.add(at)
        if not found.part:
            return found
        waiting += [*further, *found.numbers(_SUBPAGES)[:_MOST_PAGES]]
    raise PhotoUnsupported("raw data of a camera cannot be read: export the photo as JPEG or PNG")


def page_of(tags: Mapping[int, Sequence[int]]) -> Page:
    """A page of these tags and no file."""
    return Page(b"", _Layout("<", big=False), {tag: _longs("<", numbers) for tag, numbers in tags.items()})


def orientation(data: bytes) -> int | None:
    """How a photo must be turned to stand upright, from EXIF data with or without its "Exif" prefix.

    Args:
        data: the block of EXIF data of a picture, or a TIFF file, of which the first page counts.

    Returns:
        1 to 8 as in the EXIF standard (CIPA DC-008, tag Orientation); 1 is upright. None where the data do not say, or
        are something else.
    """
    block = data.removeprefix(b"Exif\0\0")
    try:
        layout = _Layout.of(block)
        kind, value = _directory(block, layout, {_ORIENTATION})[_ORIENTATION]
    except (KeyError, ValueError, OverflowError, struct.error, PhotoTooCostly):
        return None
    turn = layout.number(kind, value)
    return turn if 1 <= turn <= 8 else None


def xmp(found: Page) -> bytes:
    """The XMP packet of a page; empty where there is none."""
    return found.fields.get(_XMP, (0, b""))[1]


def bare(found: Page) -> bytes:
    """A classic TIFF file with a new directory of the fields that the pixels of a page need, and no other pictures.

    Raises:
        ValueError: it lies beyond the 4 GiB of a classic file.
    """
    fields = {tag: found.fields[tag] for tag in _PIXELS & found.fields.keys() if found.fields[tag][1]}
    order = found.layout.order
    _leave_pieces(fields, found.layout)
    if found.number(_SAMPLES, 1) == 1:  # of one sample in planes Pillow makes a negative, or nothing
        fields.pop(_PLANES, None)
    if _COLOURS in fields:
        fields[_COLOURS] = _deep(order, fields[_COLOURS])
    try:
        for tag in [tag for tag, (kind, _) in fields.items() if kind == 16]:
            fields[tag] = _longs(order, _numbers(order, *fields[tag]))
        return _file(order, fields, found.data[8:])
    except struct.error:
        raise ValueError("a TIFF picture beyond the first 4 GiB of its file") from None


def plain(order: str, pieces: Sequence[bytes], tags: Mapping[int, int]) -> bytes:
    """A classic TIFF file of one page, whose strips are given as they are to be stored.

    Args:
        order: "<" or ">".
        pieces: the strips.
        tags: all else that is to be said of the page, one number a tag.
    """
    places = list(accumulate((len(piece) for piece in pieces[:-1]), initial=8))
    told: dict[int, Sequence[int]] = {tag: (number,) for tag, number in tags.items()}
    told |= {273: places, 279: [len(piece) for piece in pieces]}
    return _file(order, {tag: _longs(order, numbers) for tag, numbers in told.items()}, b"".join(pieces))


def _numbers(order: str, kind: int, value: bytes) -> tuple[int, ...]:
    return struct.unpack(f"{order}{len(value) // _SIZES[kind]}{_LETTERS[kind]}", value)


def _deep(order: str, colours: _Field) -> _Field:
    """A palette of 16 bits; old writers kept numbers up to 255 in it, as libtiff's readers know too."""
    kind, value = colours
    numbers = _numbers(order, kind, value) if kind == 3 else ()
    if not numbers or max(numbers) > 255:
        return colours
    return kind, struct.pack(f"{order}{len(numbers)}H", *(257 * number for number in numbers))


def _longs(order: str, numbers: Sequence[int]) -> _Field:
    return 4, struct.pack(f"{order}{len(numbers)}I", *numbers)


def _file(order: str, fields: dict[int, _Field], body: bytes) -> bytes:
    """A classic file: its header, what lies from byte 8 on, and then its only directory."""
    layout = _Layout(order, big=False)
    body += b"\0" * (len(body) % 2)
    start = 8 + len(body)
    header = (b"II*\0" if order == "<" else b"MM\0*") + struct.pack(layout.pointer, start)
    return b"".join([header, body, _written(dict(sorted(fields.items())), layout, start)])


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
