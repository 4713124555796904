"""What goes wrong with pictures of faces, in five severities each: pure functions of a chip.

After Hendrycks and Dietterich, "Benchmarking neural network robustness to common corruptions and perturbations" (ICLR
2019), whose severities are for 224-pixel photos; ours are for faces that fill a 200-pixel chip, and lengths scale with
it. Occluders lie where the geometry of the chips has eyes and mouth (`mien.learn.data.occluders`).

Severity 1 is what a viewer just notices, 3 an ordinary bad photo, 5 hardly usable. `Corruption.levels` holds the five
strengths, in the unit its `unit` names; chance (the direction of a shadow, which way a face is turned) comes from the
generator alone and is the same at every severity.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from mien.arrays import Floats, Pixels
from mien.errors import UsageError
from mien.faces.align import UTKFACE_SIZE
from mien.learn.data import occluders, prints
from mien.learn.data.prints import as_pixels, unit

Work = Callable[[Pixels, float, np.random.Generator], Pixels]

SEVERITIES = (1, 2, 3, 4, 5)
_VALUES = np.arange(256) / 255.0


@dataclass(frozen=True, slots=True)
class Corruption:
    """One way to spoil a chip.

    Attributes:
        family: light, blur, quality, occlusion, geometry, colour or prints; none has the name of a corruption.
        apply: from RGB uint8 [H, W, 3], a level and a generator to the same shape.
        levels: strength of each severity.
        unit: what a level says.
    """

    family: str
    apply: Work
    levels: tuple[float, float, float, float, float]
    unit: str


def corrupt(pixels: Pixels, name: str, severity: int, rng: np.random.Generator) -> Pixels:
    """A spoilt copy of a chip; the same generator state gives the same copy.

    Args:
        pixels: RGB uint8 [H, W, 3], an aligned chip.
        name: one of `CORRUPTIONS`.
        severity: 1 to 5.
        rng: source of all chance.

    Returns:
        RGB uint8 [H, W, 3].

    Raises:
        UsageError: no such corruption or severity.
    """
    if name not in CORRUPTIONS:
        raise UsageError.unknown("corruption", name, CORRUPTIONS)
    if severity not in SEVERITIES:
        raise UsageError(f"severity is {severity}: give 1 (slight) to 5 (hardly usable)")
    corruption = CORRUPTIONS[name]
    return corruption.apply(pixels, corruption.levels[severity - 1], rng)


def chosen(wanted: Iterable[str] | None = None) -> list[str]:
    """Names of corruptions from names and families, in the order of `CORRUPTIONS`; all for None.

    Raises:
        UsageError: one is neither.

    >>> chosen(["blur", "grey"])
    ['gaussian-blur', 'motion-blur', 'defocus', 'grey']
    """
    if wanted is None:
        return list(CORRUPTIONS)
    asked = set(wanted)
    families = {corruption.family for corruption in CORRUPTIONS.values()}
    for name in asked - families - CORRUPTIONS.keys():
        raise UsageError.unknown("corruption or family", name, families | CORRUPTIONS.keys())
    return [name for name, corruption in CORRUPTIONS.items() if asked & {name, corruption.family}]


def _brightness(pixels: Pixels, level: float, rng: np.random.Generator) -> Pixels:
    return _looked_up(pixels, _VALUES + level)


def _contrast(pixels: Pixels, level: float, rng: np.random.Generator) -> Pixels:
    middle = pixels.mean(axis=(0, 1))[:, None] / 255.0
    return _looked_up(pixels, (_VALUES - middle) * level + middle)


def _gamma(pixels: Pixels, level: float, rng: np.random.Generator) -> Pixels:
    return _looked_up(pixels, _VALUES**level)


def _shadow(pixels: Pixels, level: float, rng: np.random.Generator) -> Pixels:
    """A half plane in the dark, its edge soft and through the middle of the face or near it."""
    angle, place = rng.uniform(0, 2 * np.pi), rng.uniform(-0.12, 0.12)
    height, width = pixels.shape[:2]
    y, x = np.mgrid[0:height, 0:width]
    along = ((x + 0.5) / width - 0.5) * np.cos(angle) + ((y + 0.5) / height - 0.5) * np.sin(angle)
    dark = 1 / (1 + np.exp(-(along - place) / 0.03))
    return _bytes(pixels / 255.0 * (1 - level * dark[..., None]))


def _gaussian_blur(pixels: Pixels, level: float, rng: np.random.Generator) -> Pixels:
    return as_pixels(cv2.GaussianBlur(pixels, (0, 0), level * unit(pixels), borderType=cv2.BORDER_REPLICATE))


def _motion_blur(pixels: Pixels, level: float, rng: np.random.Generator) -> Pixels:
    """A straight shake of the camera."""
    angle = rng.uniform(0, np.pi)
    reach = level * unit(pixels) / 2
    half = int(np.ceil(reach))
    line = np.zeros((2 * half + 1,) * 2, np.float32)
    steps = np.linspace(-reach, reach, 8 * half + 1)
    for x, y in zip(half + steps * np.cos(angle), half + steps * np.sin(angle), strict=True):
        line[round(y), round(x)] += 1
    return _filtered(pixels, line)


def _defocus(pixels: Pixels, level: float, rng: np.random.Generator) -> Pixels:
    """A lens out of focus spreads each point over a disc."""
    radius = level * unit(pixels)
    half = int(np.ceil(radius))
    y, x = np.mgrid[-half : half + 1, -half : half + 1]
    return _filtered(pixels, np.clip(radius + 0.5 - np.hypot(x, y), 0, 1).astype(np.float32))


def _noise(pixels: Pixels, level: float, rng: np.random.Generator) -> Pixels:
    return _bytes(pixels / 255.0 + level * rng.standard_normal(pixels.shape))


def _jpeg(pixels: Pixels, level: float, rng: np.random.Generator) -> Pixels:
    _, code = cv2.imencode(".jpg", cv2.cvtColor(pixels, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, int(level)])
    return as_pixels(cv2.imdecode(code, cv2.IMREAD_COLOR_RGB))


def _low_resolution(pixels: Pixels, level: float, rng: np.random.Generator) -> Pixels:
    height, width = pixels.shape[:2]
    small = max(1, round(level * width / UTKFACE_SIZE)), max(1, round(level * height / UTKFACE_SIZE))
    return as_pixels(cv2.resize(cv2.resize(pixels, small, interpolation=cv2.INTER_AREA), (width, height)))


def _rotation(pixels: Pixels, level: float, rng: np.random.Generator) -> Pixels:
    return _moved(pixels, angle=level * rng.choice((-1, 1)))


def _shift(pixels: Pixels, level: float, rng: np.random.Generator) -> Pixels:
    angle = rng.uniform(0, 2 * np.pi)
    return _moved(pixels, shift=(level * np.cos(angle), level * np.sin(angle)))


def _zoom(pixels: Pixels, level: float, rng: np.random.Generator) -> Pixels:
    return _moved(pixels, zoom=level)


def _grey(pixels: Pixels, level: float, rng: np.random.Generator) -> Pixels:
    return _bytes((pixels * (1 - level) + prints.grey(pixels) * level) / 255.0)


def _moved(pixels: Pixels, angle: float = 0, shift: tuple[float, float] = (0, 0), zoom: float = 1) -> Pixels:
    """Turned by degrees and zoomed about the middle, then shifted by shares of the sides; the border repeats."""
    height, width = pixels.shape[:2]
    matrix = cv2.getRotationMatrix2D(((width - 1) / 2, (height - 1) / 2), angle, zoom)
    matrix[:, 2] += shift[0] * width, shift[1] * height
    return as_pixels(
        cv2.warpAffine(pixels, matrix, (width, height), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    )


def _filtered(pixels: Pixels, kernel: NDArray[np.float32]) -> Pixels:
    return as_pixels(cv2.filter2D(pixels, -1, kernel / kernel.sum(), borderType=cv2.BORDER_REPLICATE))


def _looked_up(pixels: Pixels, table: Floats) -> Pixels:
    """Each value replaced by what the table [256] or [3, 256], of values 0..1, has for it."""
    return as_pixels(cv2.LUT(pixels, np.broadcast_to(_bytes(table), (3, 256)).T.reshape(1, 256, 3)))


def _bytes(values: Floats) -> Pixels:
    """From 0..1, cut, to 0..255."""
    return np.asarray(np.clip(values * 255 + 0.5, 0, 255), np.float64).astype(np.uint8)


CORRUPTIONS: dict[str, Corruption] = {
    "darker": Corruption("light", _brightness, (-0.1, -0.2, -0.3, -0.4, -0.5), "added to 0..1"),
    "lighter": Corruption("light", _brightness, (0.1, 0.2, 0.3, 0.4, 0.5), "added to 0..1"),
    "low-contrast": Corruption("light", _contrast, (0.75, 0.55, 0.4, 0.27, 0.15), "factor about the mean"),
    "high-contrast": Corruption("light", _contrast, (1.3, 1.7, 2.2, 3.0, 4.5), "factor about the mean"),
    "gamma-dark": Corruption("light", _gamma, (1.3, 1.7, 2.2, 3.0, 4.0), "exponent of 0..1"),
    "gamma-light": Corruption("light", _gamma, (0.77, 0.6, 0.45, 0.33, 0.25), "exponent of 0..1"),
    "shadow": Corruption("light", _shadow, (0.25, 0.4, 0.55, 0.7, 0.85), "share of the light taken away"),
    "gaussian-blur": Corruption("blur", _gaussian_blur, (1.0, 1.8, 2.8, 4.0, 6.0), "standard deviation, pixels of 200"),
    "motion-blur": Corruption("blur", _motion_blur, (5, 9, 14, 20, 28), "length, pixels of 200"),
    "defocus": Corruption("blur", _defocus, (1.5, 2.5, 4.0, 6.0, 9.0), "radius, pixels of 200"),
    "noise": Corruption("quality", _noise, (0.04, 0.08, 0.12, 0.18, 0.26), "standard deviation of 0..1"),
    "jpeg": Corruption("quality", _jpeg, (30, 20, 12, 8, 5), "quality"),
    "low-resolution": Corruption("quality", _low_resolution, (100, 64, 44, 32, 22), "side, pixels"),
    "eyes": Corruption("occlusion", occluders.eyes, (12, 20, 28, 36, 44), "height of a bar, pixels of 200"),
    "mouth": Corruption("occlusion", occluders.mouth, (18, 28, 38, 48, 58), "height of a bar, pixels of 200"),
    "mask": Corruption("occlusion", occluders.mask, (135, 123, 112, 101, 90), "upper edge, pixels of 200"),
    "sunglasses": Corruption("occlusion", occluders.sunglasses, (0.35, 0.55, 0.75, 0.9, 1.0), "opacity"),
    "hat": Corruption("occlusion", occluders.hat, (10, 18, 26, 34, 42), "lower edge, pixels of 200"),
    "rotation": Corruption("geometry", _rotation, (6, 12, 20, 30, 45), "degrees"),
    "shift": Corruption("geometry", _shift, (0.04, 0.08, 0.13, 0.19, 0.26), "share of the side"),
    "zoom-in": Corruption("geometry", _zoom, (1.08, 1.17, 1.3, 1.5, 1.8), "factor"),
    "zoom-out": Corruption("geometry", _zoom, (0.92, 0.84, 0.74, 0.62, 0.5), "factor"),
    "grey": Corruption("colour", _grey, (0.2, 0.4, 0.6, 0.8, 1.0), "share of the colour taken away"),
    "sepia": Corruption("prints", prints.sepia, (0.2, 0.4, 0.6, 0.8, 1.0), "share of the tone"),
    "faded": Corruption("prints", prints.faded, (0.15, 0.3, 0.5, 0.7, 0.9), "share of the fading"),
    "grain": Corruption("prints", prints.grain, (0.15, 0.3, 0.5, 0.75, 1.0), "share of the strongest"),
    "halftone": Corruption("prints", prints.halftone, (0.15, 0.3, 0.5, 0.75, 1.0), "share of the strongest"),
    "scratches": Corruption("prints", prints.scratches, (0.2, 0.4, 0.6, 0.8, 1.0), "share of the strongest"),
    "print": Corruption("prints", prints.aged, (0.15, 0.3, 0.5, 0.7, 0.9), "strength of all of these together"),
}
"""Name -> corruption, families together."""
