"""What years and scanners do to printed photographs: pure functions of a chip.

Old photographs reach us as scans of paper. Their colours are gone or were never there (grey, sepia), dyes fade unevenly
(a red or yellow cast, milky blacks, dull whites), the grain of the film and the screen of a printing press lie over the
face, the paper is scratched and dusty, and the scanner blurs. A model that met such pictures of old people alone takes
a child in a grey print for one of them, so they are learned and audited at every age alike
(`mien.learn.data.corruptions`).

A strength runs from 0, as it was, to 1, hardly usable; lengths scale with the chip.
"""

from __future__ import annotations

from typing import Any, cast

import cv2
import numpy as np
from numpy.typing import NDArray

from mien.arrays import Pixels, Singles
from mien.faces.align import UTKFACE_SIZE

SEPIA = np.array([1.0, 0.86, 0.66], np.float32)
"""Colour of a toned print's mid grey, as shares of red, green and blue."""

CASTS = np.array([[1.0, 0.74, 0.68], [1.0, 0.92, 0.62], [0.9, 0.78, 1.0], [0.82, 1.0, 0.9]], np.float32)
"""Dyes that outlast the others, as gains of red, green and blue: reddish, yellow, magenta, greenish."""


def grey(pixels: Pixels) -> Pixels:
    """Without colour, RGB uint8 [H, W, 3]."""
    return as_pixels(cv2.cvtColor(cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY), cv2.COLOR_GRAY2RGB))


def sepia(pixels: Pixels, strength: float, rng: np.random.Generator) -> Pixels:
    """Towards a black and white print with a brown tone."""
    toned = _through(grey(pixels), np.linspace(0, 1, 256)[:, None] ** (1 / SEPIA.astype(np.float64)))
    return as_pixels(cv2.addWeighted(pixels, 1 - strength, toned, strength, 0))


def faded(pixels: Pixels, strength: float, rng: np.random.Generator) -> Pixels:
    """Milky blacks, dull whites, less colour, and one dye that outlasts the others."""
    cast = 1 - strength * rng.uniform(0.4, 1.0) * (1 - CASTS[rng.integers(len(CASTS))].astype(np.float64))
    dull = cv2.addWeighted(pixels, 1 - 0.6 * strength, grey(pixels), 0.6 * strength, 0)
    black, white = 0.38 * strength, 1 - 0.18 * strength
    ramp = np.linspace(0, 1, 256)[:, None] ** np.exp(rng.uniform(-0.3, 0.3) * strength)
    return _through(as_pixels(dull), (black + (white - black) * ramp) * cast)


def grain(pixels: Pixels, strength: float, rng: np.random.Generator) -> Pixels:
    """Grains of silver: noise in the light alone, in clumps of a pixel or two."""
    noise = _clumped(pixels, rng, spread=0.8)
    return _added(pixels, noise * np.float32(26 * strength))


def halftone(pixels: Pixels, strength: float, rng: np.random.Generator) -> Pixels:
    """A printing press: dots on a turned screen, coarser and less blurred the stronger."""
    height, width = pixels.shape[:2]
    period = (2.6 + 2.4 * strength) * unit(pixels)
    angle = rng.uniform(0, np.pi / 2)
    y, x = np.mgrid[0:height, 0:width].astype(np.float32)
    along, across = x * np.cos(angle) + y * np.sin(angle), y * np.cos(angle) - x * np.sin(angle)
    turn = np.float32(2 * np.pi / period)
    screen = (np.cos(along * turn) + np.cos(across * turn)) / 4  # -0.5 to 0.5
    dots = _added(pixels, screen.astype(np.float32) * np.float32(255 * strength))
    return as_pixels(cv2.GaussianBlur(dots, (0, 0), 0.45 * period / 2, borderType=cv2.BORDER_REPLICATE))


def scratches(pixels: Pixels, strength: float, rng: np.random.Generator) -> Pixels:
    """Scratches and creases across the paper, and dust: light on most prints, dark on some."""
    spoilt = pixels.copy()
    height, width = pixels.shape[:2]
    shade = int(rng.integers(200, 256)) if rng.random() < 0.75 else int(rng.integers(0, 60))
    specks = rng.uniform(0, 1, (30, 3)) * (width, height, 2)
    starts, angles = rng.uniform(0, 1, (10, 1, 2)) * (width, height), rng.normal(np.pi / 2, 0.5, 10)
    steps = np.arange(6)[:, None] * rng.uniform(0.03, 0.2, (10, 1, 1)) * height
    lines = starts + steps * np.stack([np.cos(angles), np.sin(angles)], axis=1)[:, None]
    lines += rng.normal(0, 0.008 * height, lines.shape)
    drawn = list(lines[: round(2 + 8 * strength)].round().astype(np.int32))
    cv2.polylines(spoilt, drawn, isClosed=False, color=(shade,) * 3, lineType=cv2.LINE_AA)
    for x, y, radius in specks[: round(30 * strength)].astype(np.int32).tolist():
        cv2.circle(spoilt, (x, y), radius, (shade,) * 3, -1, cv2.LINE_AA)
    cover = 0.5 + 0.5 * strength
    return as_pixels(cv2.addWeighted(spoilt, cover, pixels, 1 - cover, 0))


def scanner_blur(pixels: Pixels, strength: float, rng: np.random.Generator) -> Pixels:
    """A scan out of focus, or of a print of small size."""
    spread = 2.6 * strength * unit(pixels)
    return (
        pixels if spread < 0.2 else as_pixels(cv2.GaussianBlur(pixels, (0, 0), spread, borderType=cv2.BORDER_REPLICATE))
    )


def aged(pixels: Pixels, strength: float, rng: np.random.Generator) -> Pixels:
    """An old print with some of all that, as chance has it: its tone and fading, then blur, screen, scratches, grain.

    Args:
        pixels: RGB uint8 [H, W, 3], an aligned chip.
        strength: 0 to 1, of each part at most.
        rng: source of all chance.

    Returns:
        RGB uint8 [H, W, 3].
    """
    kind, gone = rng.random(), min(1.0, 0.25 + 1.5 * strength)
    if kind < 0.45:
        pixels = as_pixels(cv2.addWeighted(pixels, 1 - gone, grey(pixels), gone, 0))
    elif kind < 0.7:
        pixels = sepia(pixels, gone * rng.uniform(0.5, 1.0), rng)
    pixels = faded(pixels, strength * rng.uniform(0.2, 1.0), rng) if kind >= 0.45 else _greyed(pixels, strength, rng)
    if rng.random() < 0.5:
        pixels = scanner_blur(pixels, strength * rng.uniform(0.1, 1.0), rng)
    if rng.random() < 0.15:
        pixels = halftone(pixels, strength * rng.uniform(0.1, 0.7), rng)
    if rng.random() < 0.3:
        pixels = scratches(pixels, strength * rng.uniform(0.1, 0.8), rng)
    return grain(pixels, strength * rng.uniform(0.0, 0.7), rng) if rng.random() < 0.7 else pixels


def _greyed(pixels: Pixels, strength: float, rng: np.random.Generator) -> Pixels:
    """The fading of a print without colour: blacks, whites and contrast alone."""
    black, white = 0.3 * strength * rng.random(), 1 - 0.25 * strength * rng.random()
    ramp = np.linspace(0, 1, 256)[:, None] ** np.exp(rng.uniform(-0.6, 0.6) * strength)
    return _through(pixels, np.repeat(black + (white - black) * ramp, 3, axis=1))


def _clumped(pixels: Pixels, rng: np.random.Generator, spread: float) -> Singles:
    """Noise [H, W] of variance 1, smoothed over `spread` pixels of 200."""
    noise = rng.standard_normal(pixels.shape[:2], dtype=np.float32)
    smooth = cv2.GaussianBlur(noise, (0, 0), max(0.3, spread * unit(pixels)))
    return cast(Singles, smooth / np.float32(max(float(smooth.std()), 1e-6)))


def _added(pixels: Pixels, light: Singles) -> Pixels:
    """Light [H, W] added to all three colours."""
    return as_pixels(np.clip(pixels + light[..., None], 0, 255).astype(np.uint8))


def _through(pixels: Pixels, table: NDArray[np.floating[Any]]) -> Pixels:
    """Each value replaced by what the table [256, 3], of values 0..1, has for it."""
    return as_pixels(cv2.LUT(pixels, np.clip(table * 255 + 0.5, 0, 255).astype(np.uint8).reshape(1, 256, 3)))


def unit(pixels: Pixels) -> float:
    """Pixels of this chip a pixel of a 200-pixel chip."""
    return float(max(pixels.shape[:2])) / UTKFACE_SIZE


def as_pixels(pixels: Any) -> Pixels:
    """What OpenCV answers, as it is known to be: uint8."""
    return np.asarray(pixels, np.uint8)
