"""From any picture that Pillow knows, and any array, to upright RGB uint8 of a sensible size."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageChops

from mien.errors import NotAnImage

_TO_8_BIT = ((np.arange(65536, dtype=np.uint32) * 255 + 32767) // 65535).astype(np.uint8)
_AVERAGED = frozenset({"L", "LA", "RGB", "RGBA", "CMYK", "YCbCr"})
_OVERSHOOT = 1e-3


def rgb(image: Image.Image) -> Image.Image:
    """Any mode of Pillow -> RGB: 16 bits scaled, transparency laid on white, inks mixed.

    Args:
        image: a loaded picture.

    Returns:
        The same picture in mode "RGB".
    """
    if image.mode.startswith(("I", "F")):
        declared = 65535 if image.mode == "I" and image.format in {"PPM", "PNG"} else None
        grey = Image.fromarray(by_range(np.asarray(image), declared)).convert("RGB")
        key = image.info.get("transparency")
        if image.format == "PNG" and isinstance(key, int):
            grey.paste("white", mask=Image.fromarray(np.asarray(image) == key))
        return grey
    if image.mode == "RGBA" and _alpha_unused(image):
        return image.convert("RGBX").convert("RGB")
    if image.mode == "La":
        image = image.convert("LA")
    if image.has_transparency_data:
        rgba = image.convert("RGBA")
        white = Image.new("RGB", rgba.size, "white")
        white.paste(rgba, mask=rgba)
        return white
    if image.mode == "CMYK" and image.format == "JPEG" and "adobe" not in image.info:
        # Adobe writes inks inverted and says so with its marker; Pillow takes every CMYK JPEG for one of Adobe's.
        image = ImageChops.invert(image)
    return image if image.mode == "RGB" else image.convert("RGB")


def _alpha_unused(image: Image.Image) -> bool:
    """Whether the fourth channel of an RGBA image is no transparency.

    An alpha of 0 everywhere in a BMP means that nobody wrote one, as Windows, FFmpeg and OpenCV have it too. The merged
    picture of a PSD lies on white already, and its fourth channel may be somebody's selection.
    """
    return image.format == "PSD" or (image.format in {"BMP", "DIB"} and image.getchannel("A").getextrema() == (0, 0))


def by_range(values: NDArray[Any], full: float | None = None) -> NDArray[np.uint8]:
    """Numbers -> uint8 of the same shape, by the range that they are, or seem to be, meant in.

    Args:
        values: 16 bits, 32 bits or floating point.
        full: what white is; None for the least of 1 (of floating point), 255, 65535 and their largest that holds them.
    """
    if values.dtype.itemsize == 2:
        return np.take(_TO_8_BIT, values)
    ranges = (1, 255, 65535) if values.dtype.kind == "f" else (255, 65535)
    finite: NDArray[np.float32] = np.nan_to_num(values.astype(np.float32), posinf=0.0, neginf=0.0)
    top = float(finite.max(initial=0))
    full = full or next((end for end in ranges if top <= end), top)
    return (np.clip(finite, 0, full) * (255 / full) + 0.5).astype(np.uint8)


def eight_bit(array: NDArray[Any]) -> NDArray[np.uint8]:
    """Pixels of an array as uint8: 16 bits and 0..1 are scaled to 0..255.

    Args:
        array: uint8, uint16 or floating point of any shape; other whole numbers count as 8 bits where none is above
            255, else as 16 bits.

    Raises:
        NotAnImage: another type, or values outside of its range.
    """
    if array.dtype == np.uint8:
        return array
    if array.dtype.kind == "u" and array.dtype.itemsize == 2:
        return np.take(_TO_8_BIT, array)
    whole = array.dtype.kind in "iu"
    if not whole and not np.issubdtype(array.dtype, np.floating):
        raise NotAnImage(f"pixels must be uint8, uint16 or floating point, not {array.dtype}: convert them first")
    low, high = float(array.min()), float(array.max())
    if whole:
        if low < 0 or high > 65535:
            raise NotAnImage(f"whole numbers must lie in 0..255 or 0..65535, these in {low:g}..{high:g}: give uint8")
        return array.astype(np.uint8) if high <= 255 else np.take(_TO_8_BIT, array)
    if not -_OVERSHOOT <= low <= high <= 1 + _OVERSHOOT:
        raise NotAnImage(
            f"floating point pixels must lie in 0..1, these in {low:g}..{high:g}: divide by 255 or give uint8"
        )
    return np.clip(array * 255.0 + 0.5, 0, 255).astype(np.uint8)


def fitted(size: tuple[int, int], side: int | None) -> tuple[int, int]:
    """Width and height with the longer one at most `side`.

    >>> fitted((4000, 3000), 2048), fitted((640, 480), 2048), fitted((9000, 1), 100)
    ((2048, 1536), (640, 480), (100, 1))
    """
    longer = max(size)
    if side is None or longer <= side:
        return size
    return max(1, round(size[0] * side / longer)), max(1, round(size[1] * side / longer))


def average(image: Image.Image, size: tuple[int, int]) -> Image.Image:
    """Shrink by a whole factor towards `size`, never below it, before colours are converted: huge pictures fit so.

    Args:
        image: a loaded picture; one in a mode that cannot be averaged comes back as it is.
        size: width and height wanted.
    """
    factor = min(image.width // size[0], image.height // size[1])
    if factor < 2 or image.mode not in _AVERAGED or "transparency" in image.info:
        return image
    smaller = image.reduce(factor)
    smaller.format = image.format
    return smaller


def shrink(pixels: NDArray[np.uint8], size: tuple[int, int]) -> NDArray[np.uint8]:
    """Area-averaged to width and height `size`; the same array where it has that size."""
    if (pixels.shape[1], pixels.shape[0]) == size:
        return pixels
    return cv2.resize(pixels, size, interpolation=cv2.INTER_AREA).astype(np.uint8, copy=False)


def turn(pixels: NDArray[np.uint8], orientation: int) -> NDArray[np.uint8]:
    """Upright pixels from those stored with an EXIF orientation.

    Args:
        pixels: [H, W, 3].
        orientation: 1 to 8; 1 is upright, 3 upside down, 6 and 8 lie on a side, the others are mirrored as well.

    Returns:
        [H, W, 3], or [W, H, 3] for 5 to 8, contiguous.
    """
    turned = cv2.transpose(pixels) if orientation >= 5 else pixels
    flip = {2: 1, 3: -1, 4: 0, 6: 1, 7: -1, 8: 0}.get(orientation)
    return np.ascontiguousarray(turned if flip is None else cv2.flip(turned, flip), np.uint8)
