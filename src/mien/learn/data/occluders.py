"""Things in front of a face, drawn where the geometry of the chips has its eyes, nose and mouth.

Coordinates are those of a 200-pixel chip (`mien.faces.align.UTKFACE_POINTS`), scaled to the chip at hand. Colours are
drawn by chance from what such things usually have; shapes follow the level alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import cv2
import numpy as np
from numpy.typing import NDArray

from mien.arrays import Pixels
from mien.faces.align import UTKFACE_POINTS, UTKFACE_SIZE

Colour = tuple[int, int, int]
Shape = Sequence[tuple[float, float]]

FINE = 4  # shapes are drawn so many times larger and averaged, so that edges are soft and move by parts of a pixel

LEFT_EYE, RIGHT_EYE, NOSE, LEFT_MOUTH, RIGHT_MOUTH = UTKFACE_POINTS

MASKS: tuple[Colour, ...] = ((150, 190, 215), (235, 235, 232), (40, 42, 48), (170, 200, 180))
LENSES: tuple[Colour, ...] = ((18, 18, 20), (45, 32, 22), (25, 38, 32))
HATS: tuple[Colour, ...] = ((58, 40, 30), (30, 42, 70), (120, 110, 95), (110, 30, 34), (25, 25, 28))


def eyes(pixels: Pixels, level: float, rng: np.random.Generator) -> Pixels:
    """A black bar over both eyes, `level` high, from temple to temple."""
    y = (LEFT_EYE[1] + RIGHT_EYE[1]) / 2
    return _covered(pixels, _bar(20, y - level / 2, 180, y + level / 2), (0, 0, 0))


def mouth(pixels: Pixels, level: float, rng: np.random.Generator) -> Pixels:
    """A black bar over the mouth, `level` high."""
    y = (LEFT_MOUTH[1] + RIGHT_MOUTH[1]) / 2
    return _covered(pixels, _bar(40, y - level / 2, 160, y + level / 2), (0, 0, 0))


def mask(pixels: Pixels, level: float, rng: np.random.Generator) -> Pixels:
    """A face mask from the cheeks to below the chin, pulled up to y = `level` on the nose: over the mouth first."""
    colour = MASKS[int(rng.integers(len(MASKS)))]
    middle, side = NOSE[0], level + 14
    edge = [(28, side), (60, level + 4), (middle, level), (140, level + 4), (172, side)]
    under = [(168, 165), (150, 190), (125, 204), (middle, 208), (75, 204), (50, 190), (32, 165)]
    worn = _covered(pixels, [*edge, *under], colour)
    shade: Colour = tuple(round(0.8 * value) for value in colour)  # type: ignore[assignment]
    for share in (0.35, 0.55, 0.75):  # the folds
        y = level + share * (200 - level)
        worn = _covered(worn, _bar(48, y - 0.8, 152, y + 0.8), shade)
    return worn


def sunglasses(pixels: Pixels, level: float, rng: np.random.Generator) -> Pixels:
    """Sunglasses whose lenses and frame take `level` of what is behind them."""
    colour = LENSES[int(rng.integers(len(LENSES)))]
    shapes = [_lens(LEFT_EYE, -1), _lens(RIGHT_EYE, 1)]
    y = LEFT_EYE[1] - 6
    shapes += [_bar(88, y - 3, 112, y + 3), _bar(0, y - 5, 30, y + 1), _bar(170, y - 5, 200, y + 1)]
    return _blended(
        pixels, np.maximum.reduce([_coverage(pixels, shape) for shape in shapes]) * np.float32(level), colour
    )


def hat(pixels: Pixels, level: float, rng: np.random.Generator) -> Pixels:
    """A hat pulled down to y = `level`: crown, brim, and its shadow on the forehead."""
    colour = HATS[int(rng.integers(len(HATS)))]
    band: Colour = tuple(round(0.55 * value) for value in colour)  # type: ignore[assignment]
    soft = cv2.GaussianBlur(_coverage(pixels, _arc(level + 10)), (0, 0), 4 * _unit(pixels)[0])
    worn = _blended(pixels, np.float32(0.45) * np.asarray(soft, np.float32), (0, 0, 0))
    worn = _covered(worn, _arc(level), colour)
    return _covered(worn, [*_arc(level)[2:], *reversed([(x, y - 5) for x, y in _arc(level)[2:]])], band)


def _lens(eye: tuple[float, float], outward: int) -> Shape:
    """The outline of one lens: wide above, round below."""
    x, y = eye[0] + 2 * outward, eye[1] + 3
    angles = np.linspace(0, 2 * np.pi, 48, endpoint=False)
    power = 2 / 2.8  # between an ellipse and a rectangle
    return [
        (
            float(x + 31 * np.sign(np.cos(a)) * abs(np.cos(a)) ** power),
            float(y + 22 * np.sign(np.sin(a)) * abs(np.sin(a)) ** power),
        )
        for a in angles
    ]


def _arc(level: float) -> list[tuple[float, float]]:
    """All above a brim that bends down to `level` in the middle; the upper corners come first."""
    brim = [(float(x), float(level - 10 * ((x - 100) / 100) ** 2)) for x in np.linspace(204, -4, 32)]
    return [(-4.0, -4.0), (204.0, -4.0), *brim]


def _bar(left: float, top: float, right: float, bottom: float) -> Shape:
    return [(left, top), (right, top), (right, bottom), (left, bottom)]


def _covered(pixels: Pixels, shape: Shape, colour: Colour) -> Pixels:
    return _blended(pixels, _coverage(pixels, shape), colour)


def _blended(pixels: Pixels, share: NDArray[np.float32], colour: Colour) -> Pixels:
    """Each pixel replaced by a colour as far as its share [H, W] says."""
    there = share[..., None]
    return (pixels * (1 - there) + np.array(colour, np.float32) * there + 0.5).astype(np.uint8)


def _coverage(pixels: Pixels, shape: Shape) -> NDArray[np.float32]:
    """Share [H, W] of each pixel of the chip that a polygon covers."""
    height, width = pixels.shape[:2]
    return _drawn(height, width, tuple(shape))


@lru_cache(maxsize=128)
def _drawn(height: int, width: int, shape: tuple[tuple[float, float], ...]) -> NDArray[np.float32]:
    """The same for a size: all chips of an audit are covered in the same few ways."""
    # fillPoly counts from pixel centres and paints the outline too: half a fine pixel is taken off
    corners = np.array(shape, np.float64) * (width / UTKFACE_SIZE, height / UTKFACE_SIZE) * FINE - 0.5
    fine = np.zeros((height * FINE, width * FINE), np.uint8)
    cv2.fillPoly(fine, [np.round(corners).astype(np.int32)], 255)
    share = np.asarray(cv2.resize(fine, (width, height), interpolation=cv2.INTER_AREA), np.float32) / np.float32(255)
    share.flags.writeable = False
    return share


def _unit(pixels: Pixels) -> tuple[float, float]:
    """Pixels of this chip a pixel of a 200-pixel chip, across and down."""
    height, width = pixels.shape[:2]
    return width / UTKFACE_SIZE, height / UTKFACE_SIZE
