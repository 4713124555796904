"""JPEG files that end too early: what there is of the picture, where that is most of it.

The rule: a baseline picture counts where at least three quarters of its rows can be decoded; a progressive one where
every coefficient of every component has come at least once, so that only its refinement is missing. The rest of a
baseline picture is filled by libjpeg with the last colours.
"""

from __future__ import annotations

import io
from collections.abc import Callable
from contextlib import suppress

import numpy as np
from PIL import Image, JpegImagePlugin

from mien.photos.containers import JPEG_MARKER, STRIP

ENOUGH = 0.75
"""Share of the rows that must be there."""

_END = b"\xff\xd9"
_ALL = frozenset(range(64))


def salvage(data: bytes, draft: Callable[[Image.Image], None]) -> tuple[Image.Image, bool] | None:
    """Decode a JPEG whose end is missing.

    Args:
        data: the file.
        draft: sets the size to decode at.

    Returns:
        The loaded image, and whether some of it is missing; None where less than the rule asks for is there, or the
        fault is another one.
    """
    bare, _ = STRIP["JPEG"](data)
    if _END in bare[-2:] or b"\xff\xda" not in bare:
        return None
    if JpegImagePlugin.JpegImageFile(io.BytesIO(bare)).info.get("progressive"):
        missing = 1.0 if not _all_begun(bare) else 0.5 * (1 - ENOUGH)
    else:
        missing = _missing_rows(bare, draft)
    if missing > 1 - ENOUGH:
        return None
    image: Image.Image = JpegImagePlugin.JpegImageFile(io.BytesIO(bare + _END))
    draft(image)
    image.load()
    return image, missing > 0


def _missing_rows(bare: bytes, draft: Callable[[Image.Image], None]) -> float:
    """Share of the rows that cannot be decoded: those that are left of a pattern laid beneath the picture."""
    image = JpegImagePlugin.JpegImageFile(io.BytesIO(bare))
    draft(image)
    channels = len(image.getbands())
    row = np.random.default_rng(0).integers(0, 256, (1, image.width, channels), np.uint8)
    pattern = np.repeat(row, image.height, axis=0)
    beneath = Image.frombytes(image.mode, image.size, pattern.tobytes())
    image.im = beneath.im
    with suppress(OSError):
        image.load()
    left = (np.asarray(beneath).reshape(image.height, -1) == pattern.reshape(image.height, -1)).all(axis=1)
    return float(left.mean())


def _all_begun(bare: bytes) -> bool:
    """Whether each coefficient of each component of a progressive JPEG (ITU-T T.81, annex G) has come once, whole."""
    components: set[int] = set()
    come: dict[int, set[int]] = {}
    waiting: tuple[list[int], range] | None = None
    at = 2
    while found := JPEG_MARKER.search(bare, at):
        if waiting is not None:  # what follows a scan shows that it is whole
            for component in waiting[0]:
                come.setdefault(component, set()).update(waiting[1])
            waiting = None
        marker, start = bare[found.end() - 1], found.end()
        length = int.from_bytes(bare[start : start + 2], "big")
        part = bare[start + 2 : start + length]
        if len(part) < length - 2:
            break
        if marker in {0xC2, 0xCA}:
            components = {part[place] for place in range(6, len(part), 3)}
        elif marker == 0xDA:
            count = part[0]
            first, last, high = part[1 + 2 * count : 4 + 2 * count]
            if high >> 4 == 0:
                waiting = [part[1 + 2 * place] for place in range(count)], range(first, last + 1)
        at = start + length
    return bool(components) and all(come.get(component, set()) >= _ALL for component in components)
