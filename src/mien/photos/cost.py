"""How much memory a photo takes while it is decoded, as its header lets one expect: pixels alone do not say.

Bytes a pixel were measured at 12 megapixels, as the peak of a process, and rounded up; `tests/photos/test_costly.py`
measures them again.
"""

from __future__ import annotations

from PIL import Image

from mien.errors import PhotoTooCostly

_OF_MODE = {"1": 12, "L": 12, "P": 12, "RGB": 11, "I;16": 20, "I;16B": 20, "I;16L": 20, "I": 23, "F": 23}
_OF_OTHER_MODES = 15
_OF_FORMAT = {"WEBP": 19, "AVIF": 13, "HEIF": 12}
_PLAIN_JPEG, _OF_COMPONENT = 4, 2
"""JPEG is reduced while it is decoded, but all coefficients of a progressive one are kept: two bytes each."""
_JPEG_2000, _OF_ITS_COMPONENT = 9, 4
"""All samples of JPEG 2000 are kept as integers of 32 bits."""

MAX_SIDE = 65_535
"""Pixels along a side: what JPEG and most of the others allow. Each row costs bytes of its own."""


OF_NUMBERS = 24
"""For TIFF and PAM files whose samples are read here."""


def memory(image: Image.Image, full: tuple[int, int], size: int) -> int:
    """Bytes that decoding takes.

    Args:
        image: opened, not yet decoded; a JPEG perhaps with a smaller size, to which it is reduced meanwhile.
        full: its width and height as stored.
        size: bytes of the encoded photo.
    """
    if image.format == "JPEG":
        each = _PLAIN_JPEG if image.size != full else _OF_OTHER_MODES
        each += _OF_COMPONENT * len(image.getbands()) if image.info.get("progressive") else 0
    elif image.format == "JPEG2000":
        each = _JPEG_2000 + _OF_ITS_COMPONENT * (len(image.getbands()) + image.mode.startswith("I;16"))
    else:
        each = _OF_FORMAT.get(image.format or "", _OF_MODE.get(image.mode, _OF_OTHER_MODES))
        if "transparency" in image.info:
            each = max(each, _OF_OTHER_MODES)
    return full[0] * full[1] * each + 2 * size


def check(image: Image.Image, full: tuple[int, int], size: int, most: int | None) -> None:
    """Refuse a photo that takes more memory than allowed.

    Args:
        image: opened, not yet decoded.
        full: its width and height as stored.
        size: bytes of the encoded photo.
        most: bytes allowed; None for any number.

    Raises:
        PhotoTooCostly: it takes more, or has a side that no photo has.
    """
    _check(full, memory(image, full, size), most)


def check_size(full: tuple[int, int], each: int, size: int, most: int | None) -> None:
    """The same for a photo that takes `each` bytes a pixel."""
    _check(full, full[0] * full[1] * each + 2 * size, most)


def _check(full: tuple[int, int], needed: int, most: int | None) -> None:
    if max(full) > MAX_SIDE:
        raise PhotoTooCostly(f"the photo has a side of {max(full):,} pixels, more than {MAX_SIDE:,}: cut it")
    if most is not None and needed > most:
        raise PhotoTooCostly(
            f"decoding the photo takes some {needed >> 20:,} MiB of memory, more than the limit of {most >> 20:,}: "
            "make it smaller, or save it as JPEG"
        )
