"""Draws explanations: the face, the map laid over it with a legend, and the numbers behind it, a row for each face.

Colours can be told apart with any kind of colour vision: blue for what speaks for younger (or "male"), orange for older
(or "female"); the face below is grey, so that neither comes from the skin.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import cv2
import numpy as np
from PIL import Image, ImageDraw, ImageFont

from mien.arrays import Doubles, Pixels
from mien.estimate.explain import Explanation, toward

SIDE = 360
"""Side of a face in the drawing, pixels."""

MARGIN, LEGEND, NUMBERS = 28, 64, 400
PAPER, INK, GREY, TRACK = (255, 255, 255), (28, 32, 38), (112, 118, 126), (232, 235, 238)
BLUE, ORANGE = (0, 90, 181), (220, 90, 0)
STRONGEST = 0.85
"""Opacity of the strongest place of a map."""

Colour = tuple[int, int, int]


def draw(chips: Pixels, explanations: Sequence[Explanation], titles: Sequence[str]) -> Pixels:
    """Draw faces below one another.

    Args:
        chips: uint8 [N, S, S, 3] RGB, N at least 1.
        explanations: of these chips.
        titles: a line above each.

    Returns:
        RGB uint8 [H, W, 3].
    """
    rows = [_row(*parts) for parts in zip(chips, explanations, titles, strict=True)]
    return np.concatenate(rows)


def heat(chip: Pixels, weights: Doubles) -> Pixels:
    """A map over its face.

    Args:
        chip: uint8 [S, S, 3] RGB.
        weights: [H, H] contributions; the strongest place gets the full colour.

    Returns:
        RGB uint8 [H, H, 3]: grey where nothing contributes, orange above 0 and blue below.
    """
    side = len(weights)
    enlarged = np.asarray(cv2.resize(chip, (side, side), interpolation=cv2.INTER_CUBIC), np.uint8)
    light = cv2.cvtColor(enlarged, cv2.COLOR_RGB2GRAY).astype(np.float64)
    face = (60 + 0.76 * light)[..., None]  # neither black nor white, so that a tint shows everywhere
    strongest = float(np.abs(weights).max()) or 1.0
    return _tinted(face, weights / strongest)


def _tinted(below: Doubles, weights: Doubles) -> Pixels:
    """Weights -1 to 1 as a layer of colour over grey [H, W, 1]."""
    tint = np.where((weights >= 0)[..., None], np.array(ORANGE), np.array(BLUE))
    cover = STRONGEST * np.abs(weights)[..., None]
    # the tint keeps some of the light and shade of the face below
    shaded = tint * (0.45 + 0.55 * below / 255) + 0.12 * (below - 128)
    return np.clip((1 - cover) * below + cover * shaded, 0, 255).round().astype(np.uint8)


def _row(chip: Pixels, explanation: Explanation, title: str) -> Pixels:
    width = 4 * MARGIN + 2 * SIDE + NUMBERS
    head = round(2.4 * MARGIN)
    page = Image.new("RGB", (width, head + SIDE + LEGEND), PAPER)
    ink = ImageDraw.Draw(page)
    ink.text((MARGIN, head / 2), _fitting(title, width - 2 * MARGIN), INK, font=_font(20), anchor="lm")
    plain = cv2.resize(chip, (SIDE, SIDE), interpolation=cv2.INTER_CUBIC)
    page.paste(Image.fromarray(np.asarray(plain, np.uint8)), (MARGIN, head))
    left = 2 * MARGIN + SIDE
    weights = _directed(explanation)
    page.paste(Image.fromarray(heat(chip, weights)), (left, head))
    _legend(page, explanation, float(np.abs(weights).max()), (left, head + SIDE + 12))
    _numbers(ink, explanation, left + SIDE + MARGIN, head)
    return np.asarray(page)


def _fitting(title: str, width: int) -> str:
    """A long title loses its beginning, a long file name most of all."""
    font = _font(20)
    if font.getlength(title) <= width:
        return title
    while title and font.getlength(f"...{title}") > width:
        title = title[1:]
    return f"...{title}"


def _directed(explanation: Explanation) -> Doubles:
    """The map with the sign of what it speaks for; one without signs speaks for one side only."""
    weights = explanation.pixels(SIDE)
    return weights if explanation.signed or explanation.value >= explanation.veiled else -weights


def _legend(page: Image.Image, explanation: Explanation, strongest: float, corner: tuple[int, int]) -> None:
    left, top = corner
    ramp = np.linspace(-1, 1, SIDE)
    bar = _tinted(np.full((12, SIDE, 1), 160.0), np.tile(ramp, (12, 1)))
    ends, start = (f"{-strongest:+.2g}", f"{strongest:+.2g}"), 0
    if not explanation.signed:  # only one half is used
        start = SIDE // 2 if explanation.value >= explanation.veiled else 0
        bar = bar[:, start : start + SIDE // 2]
        ends = ("", "")
    page.paste(Image.fromarray(bar), (left + start, top))
    ink, font = ImageDraw.Draw(page), _font(14)
    low, high = toward(explanation.target, below=True), toward(explanation.target, below=False)
    line = top + 26
    if explanation.signed or start == 0:
        ink.text((left, line), f"{low} {ends[0]}".rstrip(), GREY, font=font, anchor="lm")
    if explanation.signed or start:
        ink.text((left + SIDE, line), f"{ends[1]} {high}".lstrip(), GREY, font=font, anchor="rm")
    middle = {"age": "years", "gender": "log-odds"}[explanation.target] if explanation.signed else ""
    ink.text((left + SIDE / 2, line), f"0 {middle}".rstrip(), GREY, font=font, anchor="mm")


def _numbers(ink: ImageDraw.ImageDraw, explanation: Explanation, left: int, top: int) -> None:
    """A table: each part of the face, its share of the map as a bar, and what the answer is without it."""
    small, font = _font(13), _font(16)
    step = SIDE / (len(explanation.regions) + 2.2)
    columns = (left + 112, left + 258, left + NUMBERS - MARGIN)
    y = top + 0.35 * step
    ink.text((columns[0], y), "share of the map", GREY, font=small, anchor="lm")
    hidden = "age" if explanation.target == "age" else "female"
    ink.text((columns[2], y), f"{hidden} when blurred", GREY, font=small, anchor="rm")
    longest = max(region.share for region in explanation.regions) or 1.0
    full = columns[1] - columns[0] - 48
    for number, region in enumerate(explanation.regions):
        y = top + (number + 1.3) * step
        ink.text((left, y), region.name, INK, font=font, anchor="lm")
        box = (columns[0], y - 7, columns[0] + full, y + 7)
        ink.rectangle(box, fill=TRACK)
        above, below = (columns[0] + full * side / longest for side in explanation.sides(region))
        _bar(ink, (columns[0], above), (y - 7, y + 7), ORANGE)
        _bar(ink, (above, above + below - columns[0]), (y - 7, y + 7), BLUE)
        ink.text((columns[1], y), f"{100 * region.share:.0f} %", INK, font=font, anchor="rm")
        ink.text((columns[2], y), explanation.changed(region.hidden), INK, font=font, anchor="rm")
    y = top + (len(explanation.regions) + 1.6) * step
    ink.line((left, y - step / 2, columns[2], y - step / 2), fill=TRACK, width=2)
    ink.text((left, y), "everything", INK, font=font, anchor="lm")
    ink.text((columns[2], y), explanation.changed(explanation.veiled), INK, font=font, anchor="rm")


def _bar(ink: ImageDraw.ImageDraw, across: tuple[float, float], down: tuple[float, float], colour: Colour) -> None:
    left, right = (round(edge) for edge in across)
    if right > left:
        ink.rectangle((left, down[0], right - 1, down[1]), fill=colour)


@lru_cache(maxsize=8)
def _font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(size)
