"""Bytes, arrays and PIL images -> upright RGB uint8: whatever comes becomes a `Picture` or a `PhotoError`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray
from PIL import Image, TiffImagePlugin

from mien.errors import NotAnImage, PhotoEmpty, UsageError
from mien.photos import cost, cut_jpeg, turns
from mien.photos import pixels as px
from mien.photos.formats import rejection, sniff
from mien.photos.item import MAX_BYTES, check_bytes
from mien.photos.readers import check_pillow_reads, damage_told, open_image

# JPEG decodes at 1/2, 1/4 or 1/8, fast. A little less than the side wanted will do, so that a telephone's 4032 x 3024
# are halved.
_ENOUGH = 0.9

FIRST_SIDE = 2048
"""Longer side that big photos are reduced to unless something else is asked for."""


@dataclass(frozen=True, slots=True, eq=False)
class Picture:
    """A decoded photo.

    Attributes:
        pixels: [H, W, 3] uint8, RGB, upright, contiguous, read-only.
        width: pixels across of the full-size upright photo, of which `pixels` may be a reduction.
        height: likewise, down.
        incomplete: whether the file ends before all of the picture has come; see `mien.photos.cut_jpeg`.
    """

    pixels: NDArray[np.uint8]
    width: int
    height: int
    incomplete: bool = False

    @property
    def scale(self) -> float:
        """Size of `pixels` relative to the full-size photo, at most 1; by the longer side, where rounding is least."""
        return float(max(self.pixels.shape[:2]) / max(self.width, self.height))


@dataclass(frozen=True, slots=True)
class DecodeOptions:
    """Limits on photos.

    Attributes:
        max_pixels: width times height of the full-size photo, checked before decoding. TIFF is held to Pillow's own
            `Image.MAX_IMAGE_PIXELS`, 89 million, where that is less.
        max_bytes: size of the encoded photo.
        target_side: photos with a longer side are reduced to it, JPEG already while decoding; None to keep full size.
            "auto": to 2048, and by an analyzer to whatever the smallest face that it looks for needs.
        max_seconds: an analyzer decodes each photo in a process of its own, which is ended after so long, see
            `mien.photos.decoders`; None: in this process, with no limit of time.
        max_memory: bytes that decoding may take, by what the photo's header says; in a process of its own the system
            holds it to that whatever the header says. None for no limit.

    Raises:
        UsageError: a limit below 1, no time at all, or a word other than "auto".
    """

    max_pixels: int = 200_000_000
    max_bytes: int = MAX_BYTES
    target_side: int | Literal["auto"] | None = "auto"
    max_seconds: float | None = None
    max_memory: int | None = None

    def __post_init__(self) -> None:
        for name in ("max_pixels", "max_bytes", "target_side", "max_memory"):
            value = getattr(self, name)
            if value is not None and value != "auto" and (isinstance(value, str) or value < 1):
                raise UsageError(f"{name} must be 1 or more, not {value}")
        if self.max_seconds is not None and not self.max_seconds > 0:
            raise UsageError(f"max_seconds must be above 0, not {self.max_seconds}")

    @property
    def side(self) -> int | None:
        """The longer side that photos are reduced to unless an analyzer asks for another; None for full size."""
        return FIRST_SIDE if self.target_side == "auto" else self.target_side


DEFAULTS = DecodeOptions()


Reduce: TypeAlias = Callable[[int], int | None]
"""From the longer side of a photo to the one that it is to be reduced to; None for full size."""


@dataclass(frozen=True, slots=True)
class Fit:
    """A `Reduce` in two numbers, so that another process can be told.

    Attributes:
        side: longer side that a photo is reduced to; None for full size.
        share: of the photo's own longer side, to which it is reduced at most.
    """

    side: int | None
    share: float = 0.0

    def __call__(self, longer: int) -> int | None:
        """The side that a photo is to be reduced to.

        >>> Fit(2048)(4000), Fit(2048, 0.75)(4000), Fit(None)(4000)
        (2048, 3000, None)
        """
        return None if self.side is None else max(self.side, round(self.share * longer))


def decode(data: bytes, options: DecodeOptions = DEFAULTS, *, reduce: Reduce | None = None) -> Picture:
    """Decode a photo in any of the formats that `mien.photos.formats` knows; the first frame of an animation.

    EXIF orientation is applied, transparency laid on white, CMYK and 16 bits converted; colour profiles are ignored.
    Safe to call from several threads at once, also where warnings are errors.

    Args:
        data: the encoded photo.
        options: limits.
        reduce: in place of `options.target_side`.

    Raises:
        PhotoEmpty: no bytes.
        NotAnImage: bytes of something else.
        PhotoTruncated: a picture that breaks off or is damaged.
        PhotoTooLarge: more bytes or pixels than the options allow.
        PhotoTooCostly: more memory than they allow, or more pieces than any photo has.
        PhotoUnsupported: a format that needs something which is not installed, or that cannot be read.
    """
    if not data:
        raise PhotoEmpty("the photo is empty, it has no bytes: copy or download it again")
    check_bytes(len(data), options.max_bytes)
    name = sniff(data)
    if name is None:
        raise rejection(data)
    with damage_told(name):
        image, orientation = open_image(data, name, options.max_pixels, options.max_memory)
        full = image.size
        side = reduce(max(full)) if reduce else options.side
        if name == "JPEG":
            _draft(image, full, side)
        cost.check(image, full, len(data), options.max_memory)
        if name == "JPEG":
            image, incomplete = _load_jpeg(image, data, full, side)
            return replace(_picture(image, full, side, orientation), incomplete=incomplete)
        image.load()
        return _picture(image, image.size, side, orientation)


def _draft(image: Image.Image, full: tuple[int, int], side: int | None) -> None:
    """Have a JPEG decoded at a reduced size where that will do."""
    image.draft(None, px.fitted(full, side and round(side * _ENOUGH)))


def _load_jpeg(image: Image.Image, data: bytes, full: tuple[int, int], side: int | None) -> tuple[Image.Image, bool]:
    """Decode a JPEG, and tell whether a part of it is missing."""
    try:
        image.load()
    except OSError:
        found = cut_jpeg.salvage(data, lambda another: _draft(another, full, side))
        if found is None:
            raise
        return found
    return image, False


def from_pil(image: Image.Image, *, target_side: int | None = FIRST_SIDE, reduce: Reduce | None = None) -> Picture:
    """A PIL image of any mode as a picture; its EXIF orientation is applied unless Pillow has done so.

    Args:
        image: the image; read from its file if it was not yet.
        target_side: longer side that it is reduced to; None to keep full size.
        reduce: in place of `target_side`.

    Raises:
        NotAnImage: it has no pixels.
        PhotoTruncated: its file breaks off or is damaged.
        PhotoUnsupported: it was opened from a TIFF file of a kind that Pillow misreads.
    """
    if isinstance(image, TiffImagePlugin.TiffImageFile):
        check_pillow_reads(image)
    if reduce:
        target_side = reduce(max(image.size))
    if not all(image.size):
        raise NotAnImage("the image has no pixels")
    with damage_told(image.format or "PIL"):
        image.load()
        orientation = turns.of_pil(image)
        return _picture(image, image.size, target_side, orientation)


def from_array(
    array: Any, *, bgr: bool = False, target_side: int | None = FIRST_SIDE, reduce: Reduce | None = None
) -> Picture:
    """An array as a picture, without a copy where it already is one.

    Args:
        array: [H, W], [H, W, 1], [H, W, 3] or [H, W, 4] (the last of them alpha), as uint8, uint16 or floats in 0..1.
        bgr: the channels are blue, green, red, as OpenCV has them.
        target_side: longer side that it is reduced to; None to keep full size.
        reduce: in place of `target_side`.

    Raises:
        NotAnImage: another shape or type.
    """
    try:
        given = np.asarray(array)
    except ValueError as error:
        raise NotAnImage(f"this makes no array of pixels: {error}") from None
    shape = given.shape
    if given.ndim == 2:
        given = given[:, :, None]
    if given.ndim != 3 or given.shape[2] not in {1, 3, 4} or not given.size:
        hint = ": move the channels last" if len(shape) == 3 and shape[0] in {1, 3, 4} else ""
        raise NotAnImage(f"an array must be [height, width] or [height, width, 1, 3 or 4], not {list(shape)}{hint}")
    channels = px.eight_bit(given)
    if bgr and channels.shape[2] > 1:
        channels = channels[:, :, [2, 1, 0, *range(3, channels.shape[2])]]
    if channels.shape[2] == 1:
        channels = np.repeat(channels, 3, axis=2)
    channels = np.ascontiguousarray(channels)
    size = channels.shape[1], channels.shape[0]
    if reduce:
        target_side = reduce(max(size))
    if channels.shape[2] == 3 and px.fitted(size, target_side) == size:
        return _finished(channels, *size)
    return _picture(Image.fromarray(channels), size, target_side, 1)


def _picture(image: Image.Image, full: tuple[int, int], side: int | None, orientation: int) -> Picture:
    """A loaded image, whose full size as stored is `full`, reduced to a longer side of `side`, in RGB and upright."""
    size = px.fitted(image.size, side)
    pixels = px.shrink(np.asarray(px.rgb(px.average(image, size))), size)
    return _finished(px.turn(pixels, orientation), *(full[::-1] if orientation >= 5 else full))


def _finished(pixels: NDArray[np.uint8], width: int, height: int) -> Picture:
    fixed = pixels.view()
    fixed.flags.writeable = False
    return Picture(fixed, width, height)
