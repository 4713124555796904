"""TIFF pictures of whole numbers in any layout (1 to 16 bits, planes, white as zero, extra samples), and of floats.

Strips and tiles are unpacked by libtiff, through Pillow, which is told that they are grey bytes; what the bytes mean is
worked out here, by Adobe's TIFF 6.0 (1992).
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, TiffImagePlugin

from mien.errors import PhotoTooCostly, PhotoTooLarge
from mien.photos import tiff
from mien.photos.tiff_kinds import COLOURS, FLOAT, Kind, kind_of

_BAND = 4 << 20
"""Bytes that are unpacked together, if a strip or tile is not larger."""

_LARGEST = 64 << 20
"""Bytes of one compressed strip or tile; Pillow warns of larger pictures."""


@dataclass(frozen=True, slots=True)
class _Pieces:
    """The strips or tiles of a picture or of one of its planes.

    Attributes:
        stored: where each lies and how many bytes it has.
        width: pixels across.
        height: rows of each, of a strip but for the last.
        across: how many lie side by side.
    """

    stored: list[tuple[int, int]]
    width: int
    height: int
    across: int


def read(page: tiff.Page) -> Image.Image:
    """Decode a page.

    Args:
        page: one that `tiff_kinds.reader` gives to this module, of a size that fits into memory.

    Returns:
        An image of mode L, LA, La, RGB, RGBA, RGBa, CMYK or F.

    Raises:
        ValueError, OSError: the file is damaged.
        PhotoTooLarge: a compressed strip or tile is too large.
        PhotoTooCostly: its strips or tiles have more bytes than the file.
    """
    kind = kind_of(page)
    width, height = size(page)
    if kind.format == FLOAT:
        return _floats(page, kind)
    colours = COLOURS[kind.photometric]
    alpha = next(
        (at for at, meaning in enumerate(kind.extra, colours) if meaning in {1, 2} and at < kind.samples), None
    )
    wanted = [*range(colours), *([] if alpha is None or colours == 4 else [alpha])]
    pixels = np.empty((height, width, len(wanted)), np.uint8)
    full = (1 << kind.bits) - 1
    scale = ((np.arange(full + 1, dtype=np.uint32) * 255 + full // 2) // full).astype(np.uint8)
    for plane in range(kind.samples) if kind.planes else [None]:
        if plane is not None and plane not in wanted:
            continue
        together = kind.samples if plane is None else 1
        for top, left, samples in _bands(page, kind, plane, together):
            part = np.take(scale, samples[: height - top, : width - left])
            place = pixels[top : top + part.shape[0], left : left + part.shape[1]]
            if plane is None:
                place[...] = part[..., wanted]
            else:
                place[..., wanted.index(plane)] = part[..., 0]
    if kind.photometric == 0:
        np.subtract(255, pixels[..., :1], out=pixels[..., :1])
    mode = {1: "L", 3: "RGB", 4: "CMYK"}[colours]
    if len(wanted) > colours:
        assert alpha is not None
        mode += "a" if kind.extra[alpha - colours] == 1 else "A"
    return Image.frombytes(mode, (width, height), pixels.tobytes())


def _floats(page: tiff.Page, kind: Kind) -> Image.Image:
    width, height = size(page)
    values = np.empty((height, width), np.float32)
    for top, left, samples in _bands(page, kind, None, 1):
        part = samples[: height - top, : width - left, 0]
        values[top : top + part.shape[0], left : left + part.shape[1]] = part
    return Image.fromarray(values)


def size(page: tiff.Page) -> tuple[int, int]:
    """Width and height of a page.

    Raises:
        ValueError: it has none.
    """
    width, height = page.number(256), page.number(257)
    if not (width and height):
        raise ValueError("a TIFF picture without a size")
    return width, height


def _bands(page: tiff.Page, kind: Kind, plane: int | None, together: int) -> Iterator[tuple[int, int, NDArray[Any]]]:
    """Runs of strips, or tiles: first row, first column, and samples [rows, columns, together]."""
    _, height = size(page)
    pieces = _pieces(page, kind, plane, together)
    row = -(-pieces.width * together * kind.bits // 8)
    at_once = max(1, _BAND // (row * pieces.height)) if pieces.across == 1 else pieces.across
    for first in range(0, len(pieces.stored), at_once):
        stored = pieces.stored[first : first + at_once]
        top = first // pieces.across * pieces.height
        tiled = bool(page.number(322))
        rows = len(stored) * pieces.height if tiled else min(len(stored) * pieces.height, height - top)
        values = _values(_unpacked(page, kind, stored, (row, rows), pieces.height), page, kind, pieces.width, together)
        if tiled:
            for number in range(len(stored)):
                down, along = divmod(first + number, pieces.across)
                tile = values[number * pieces.height : (number + 1) * pieces.height]
                yield down * pieces.height, along * pieces.width, tile
        else:
            yield top, 0, values


def _pieces(page: tiff.Page, kind: Kind, plane: int | None, together: int) -> _Pieces:
    width, height = size(page)
    if page.number(322):
        across = -(-width // page.number(322))
        places, counts = page.numbers(324), page.numbers(325)
        found = _Pieces([], page.number(322), page.number(323), across)
        number = across * -(-height // max(found.height, 1))
    else:
        places, counts = page.numbers(273), page.numbers(279)
        found = _Pieces([], width, min(page.number(278, height), height), 1)
        number = -(-height // max(found.height, 1))
        if not counts and kind.compression == 1:
            counts = tuple(-(-width * together * kind.bits // 8) * found.height for _ in places)
    if not found.height:
        raise ValueError("strips or tiles without rows")
    start = number * (plane or 0)
    stored = list(zip(places[start : start + number], counts[start : start + number], strict=False))
    if len(stored) < number:
        raise ValueError("strips or tiles are missing")
    if sum(count for _, count in stored) > 2 * len(page.data):
        raise PhotoTooCostly("the strips of this TIFF picture have more bytes than its file: save it again")
    row = -(-found.width * together * kind.bits // 8)
    if row * found.height <= _BAND:
        return _Pieces(stored, found.width, found.height, found.across)
    if kind.compression == 1 and not page.number(322):
        return _finer(stored, found, row, height)
    if row * found.height > _LARGEST:
        raise PhotoTooLarge("this TIFF picture is compressed in one huge piece: save it as PNG or JPEG")
    return _Pieces(stored, found.width, found.height, found.across)


def _finer(stored: list[tuple[int, int]], found: _Pieces, row: int, height: int) -> _Pieces:
    """Uncompressed strips cut into lower ones."""
    low = max(1, _BAND // row)
    if len(stored) > 1:  # so that only the last of them is lower than the others
        low = next(rows for rows in range(low, 0, -1) if found.height % rows == 0)
    cut = []
    for number, (place, _) in enumerate(stored):
        rows = min(found.height, height - number * found.height)
        cut += [(place + top * row, min(low, rows - top) * row) for top in range(0, rows, low)]
    return _Pieces(cut, found.width, low, 1)


def _unpacked(
    page: tiff.Page, kind: Kind, stored: list[tuple[int, int]], shape: tuple[int, int], height: int
) -> NDArray[np.uint8]:
    """The bytes of some strips or tiles below each other, [rows, bytes a row]; `shape` is width and height of that."""
    if any(not count or place + count > len(page.data) for place, count in stored):
        raise ValueError("a strip or tile lies outside of the file")
    tags = {256: shape[0], 257: shape[1], 258: 8, 259: kind.compression, 262: 1, 277: 1, 278: height}
    if kind.reversed:
        tags[266] = 2
    pieces = [page.data[place : place + count] for place, count in stored]
    with TiffImagePlugin.TiffImageFile(io.BytesIO(tiff.plain(page.layout.order, pieces, tags))) as image:
        image.load()
        return np.asarray(image)


def _values(raw: NDArray[np.uint8], page: tiff.Page, kind: Kind, width: int, together: int) -> NDArray[Any]:
    """Bytes -> samples [rows, width, together]."""
    across = width * together
    if kind.format == FLOAT:
        return _real(raw, page, kind, across)[..., np.newaxis]
    values: NDArray[Any]
    if kind.bits == 8:
        values = raw[:, :across]
    elif kind.bits == 16:
        values = raw[:, : 2 * across].copy().view(f"{page.layout.order}u2").astype(np.uint16, copy=False)
    else:
        bits = np.unpackbits(raw, axis=1)[:, : across * kind.bits].reshape(len(raw), across, kind.bits)
        values = np.zeros((len(raw), across), np.uint16)
        for place in range(kind.bits):
            values = (values << 1) | bits[..., place]
    values = values.reshape(len(raw), width, together)
    if kind.predictor == 2:
        values = np.cumsum(values, axis=1, dtype=values.dtype)
    return values


def _real(raw: NDArray[np.uint8], page: tiff.Page, kind: Kind, across: int) -> NDArray[np.float32]:
    """Bytes -> floating point numbers [rows, across]; predictor 3 is that of Adobe's technical note 3 (2005)."""
    if kind.predictor == 3:  # the first bytes of all numbers of a row, then the second ones, as differences
        apart = np.cumsum(raw[:, : 4 * across], axis=1, dtype=np.uint8).reshape(len(raw), 4, across)
        return np.ascontiguousarray(apart.transpose(0, 2, 1)).view(">f4")[..., 0].astype(np.float32)
    return raw[:, : 4 * across].copy().view(f"{page.layout.order}f4").astype(np.float32, copy=False)
