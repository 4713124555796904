"""How large a photo must be to see the faces wanted, and which way up: what `Analyzer.look` decides.

A big photo is searched at a reduced size first. Only where small faces turn up there is it decoded anew and
searched at a size that shows them well, once: portraits, the most frequent big photos, pay little for the crowds.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from mien.errors import PhotoTooCostly, UsageError
from mien.faces import Detection, Detector, DetectorOptions
from mien.photos.decode import FIRST_SIDE, DecodeOptions, Fit, Picture
from mien.photos.pixels import turn
from mien.results import Box

Rotation: TypeAlias = Literal["auto", 0, 90, 180, 270]

ROTATIONS: tuple[Rotation, ...] = ("auto", 0, 90, 180, 270)
LEAST_FACE = DetectorOptions().min_face
SHARE = 1 / 80
"""Without another wish, faces are looked for down to this share of a photo's longer side, but not below 30 pixels."""

_FINEST = 25  # pixels of the smallest face in the first look
_CLEAR = 40  # a face of fewer pixels in the first look asks for a second one
_SECOND = 50  # pixels of the smallest face in the second look
_NEARLY = 0.8  # of a photo's size are no reason to reduce it
_THOROUGH = 0.7  # how much smaller the faces are that this look is out for, so as to lose none of the smallest
_SLACK = 0.8  # of the default's smallest face: boxes of small faces are that uncertain
_LEAST_SEEN = 12  # pixels; no detector sees smaller ones
_TURNS = {90: 6, 180: 3, 270: 8}  # degrees clockwise -> EXIF's number for that


def smallest(min_face: int | None, side: int) -> float:
    """Pixels of the smallest face to look for in a photo whose longer side is `side`.

    >>> smallest(None, 640), smallest(None, 4000), smallest(20, 4000)
    (30.0, 50.0, 20.0)
    """
    return float(max(LEAST_FACE, side * SHARE) if min_face is None else min_face)


def most_pixels(min_face: int | None, limits: DecodeOptions) -> int:
    """Pixels of the largest picture in which faces are looked for, reduced as it may be.

    >>> most_pixels(None, DecodeOptions()), most_pixels(None, DecodeOptions(target_side=1000))
    (16000000, 1000000)
    """
    closest = round(_SECOND / SHARE) if min_face is None else None
    side = closest if limits.target_side == "auto" else limits.target_side
    return limits.max_pixels if side is None else min(limits.max_pixels, side**2)


def see(
    open_at: Callable[[Fit], Picture],
    detector: Detector,
    min_face: int | None,
    limits: DecodeOptions,
    rotate: Rotation,
) -> tuple[Picture, Picture, list[Detection], int]:
    """Find the faces of a photo at the size and in the turn that show them.

    Where the larger size takes more than decoding may, the first look counts.

    Args:
        open_at: decodes the photo, given to which side to reduce it.
        detector: finds faces.
        min_face: smallest face in pixels of the photo; None for the default, see `smallest`.
        limits: `target_side` may fix the size; then the default of `min_face` is 30 pixels of the reduced picture.
        rotate: degrees to turn it by, or "auto".

    Returns:
        The picture; the same turned; its faces in pixels of the latter; and by how many degrees it is turned.
    """
    fixed = limits.target_side != "auto" or detector.aligned
    picture = open_at(Fit(limits.side) if fixed else _first(min_face))
    look = partial(_detect, detector, min_face, fixed)
    turned, found, degrees = _turned(picture, detector, look, rotate)
    if not fixed and picture.scale < 1 and any(longer(face) < _CLEAR for face in found):
        try:
            larger = open_at(_second(min_face, max(picture.width, picture.height)))
        except PhotoTooCostly:
            larger = picture
        if larger.scale > picture.scale:
            picture, turned = larger, rotated(larger, degrees)
            found = look(turned, _THOROUGH)
    if not fixed:
        found = [face for face in found if _wanted(face, picture, min_face)]
    return picture, turned, found, degrees


def _first(min_face: int | None) -> Fit:
    """The size of the first look; the default's smallest face has 25 pixels at 2,048 or less."""
    return Fit(FIRST_SIDE, 0.0 if min_face is None else _FINEST / min_face)


def _second(min_face: int | None, side: int) -> Fit:
    """The size of the second look at a photo whose longer side is `side`."""
    wanted = max(FIRST_SIDE, round(side * _SECOND / smallest(min_face, side)))
    return Fit(wanted if wanted < _NEARLY * side else None)


def _turned(
    picture: Picture, detector: Detector, look: Callable[[Picture], list[Detection]], rotate: Rotation
) -> tuple[Picture, list[Detection], int]:
    """The turn that shows faces: the one asked for, or upright, or else the one in which the surest face is seen."""
    if rotate != "auto":
        turned = rotated(picture, rotate)
        return turned, look(turned), rotate
    best = picture, look(picture), 0
    surest: float | None = getattr(detector, "sure", None)
    if surest is None or _certainty(best[1]) >= surest:
        return best
    for degrees in _TURNS:
        turned = rotated(picture, degrees)
        found = look(turned)
        if (certainty := _certainty(found)) >= surest:
            best, surest = (turned, found, degrees), certainty
    return best


def _detect(
    detector: Detector, min_face: int | None, fixed: bool, picture: Picture, share: float = 1.0
) -> list[Detection]:
    """Faces of a picture; `share`: how much smaller the faces are that are looked for than those wanted."""
    least = share * smallest(min_face, max(picture.width, picture.height)) * picture.scale
    if (fixed and min_face is None) or least == (min_face or LEAST_FACE):  # the detector's own
        return detector.detect(picture.pixels)
    return detector.detect(picture.pixels, max(least, _LEAST_SEEN))


def _wanted(face: Detection, picture: Picture, min_face: int | None) -> bool:
    """Whether a face is as large as asked for; the default is none to the pixel, as boxes are not."""
    least = smallest(min_face, max(picture.width, picture.height)) * picture.scale
    slack = _SLACK if min_face is None and least > LEAST_FACE * picture.scale else 1
    return longer(face) >= slack * least


def longer(face: Detection) -> float:
    """The longer side of a face's box."""
    return max(face.box.width, face.box.height)


def _certainty(found: Sequence[Detection]) -> float:
    """The best score; a detector that gives none is sure."""
    return max((1.0 if face.score is None else face.score for face in found), default=-1.0)


def rotated(picture: Picture, degrees: int) -> Picture:
    """A picture turned clockwise by 0, 90, 180 or 270 degrees."""
    if not degrees:
        return picture
    pixels: NDArray[np.uint8] = turn(picture.pixels, _TURNS[degrees])
    width, height = (picture.width, picture.height) if degrees == 180 else (picture.height, picture.width)
    return replace(picture, pixels=pixels, width=width, height=height)


def turned_back(face: Detection, degrees: int, width: float, height: float) -> Detection:
    """A face of a picture turned clockwise -> the same face in the picture as it was, which is width x height."""

    def back(x: float, y: float) -> tuple[float, float]:
        return {0: (x, y), 90: (y, height - x), 180: (width - x, height - y), 270: (width - y, x)}[degrees]

    box = face.box
    (left, top), (right, bottom) = back(box.left, box.top), back(box.right, box.bottom)
    landmarks = face.landmarks and tuple(back(x, y) for x, y in face.landmarks)
    corners = Box(min(left, right), min(top, bottom), max(left, right), max(top, bottom))
    return Detection(corners, face.score, landmarks)


def check_min_face(min_face: int | None) -> None:
    """Check the smallest face to look for, in pixels.

    Raises:
        UsageError: below 12 pixels.
    """
    if min_face is not None:
        DetectorOptions(min_face=min_face)


def check_rotation(rotate: object) -> None:
    """Check a rotation.

    Raises:
        UsageError: neither "auto" nor a quarter turn.
    """
    if rotate not in ROTATIONS or isinstance(rotate, bool):
        raise UsageError(f"rotate is {rotate!r}: give auto, 0, 90, 180 or 270")
