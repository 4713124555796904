"""Draws what was found onto the photo: a rounded frame around each face and a plate with age, interval and gender."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from mien.drawing.plates import places
from mien.results import Box, Face, Photo, whole

READABLE_SIDE = 360
"""A picture whose shorter side is below it is enlarged, for a label has no room on a stamp."""
LARGEST_SIDE = 2048

WHITE, GREY, INK = (255, 255, 255), (205, 210, 216), (16, 20, 26)
TINTS = ((255, 205, 96), (120, 205, 255), (150, 232, 160), (255, 160, 140), (214, 176, 255), (250, 240, 130))
"""Frame and age share a tint, so that in a crowd each plate is seen to belong to its face."""
PLATE_OPACITY, HALO_OPACITY = 0.82, 0.45
_FINER = 4  # frames and plates are drawn so many times larger and shrunk, for smooth edges; half of it if large

Colour = tuple[int, int, int]
Font = ImageFont.FreeTypeFont | ImageFont.ImageFont
Line = tuple[tuple[str, Colour], ...]


@dataclass(frozen=True, slots=True)
class _Label:
    """Text of one plate, measured: age above gender, or both in one line."""

    lines: tuple[Line, ...]
    font: Font
    pad: int
    leading: int

    def in_one_line(self) -> _Label:
        age, gender = self.lines
        return replace(self, lines=((*age, ("   ·   ", GREY), *gender),))

    @property
    def width(self) -> int:
        return 2 * self.pad + max(round(sum(self.font.getlength(text) for text, _ in line)) for line in self.lines)

    @property
    def height(self) -> int:
        return round(1.3 * self.pad) + self.leading * len(self.lines)


def draw(pixels: NDArray[np.uint8], photo: Photo, *, numbers: Sequence[int] | None = None) -> NDArray[np.uint8]:
    """Annotate a picture.

    Args:
        pixels: uint8 [H, W, 3] RGB, the decoded picture; it may be smaller than the photo.
        photo: its answer, with boxes in pixels of the full-size photo.
        numbers: one for each face, shown on its plate; it also picks the tint, so that a face that is followed through
            a video keeps its own.

    Returns:
        A new RGB array; larger than the picture only where that is very small.
    """
    picture = Image.fromarray(pixels)
    enlarged = min(READABLE_SIDE / min(picture.size), LARGEST_SIDE / max(picture.size))
    if photo.faces and enlarged > 1:
        size = (round(picture.width * enlarged), round(picture.height * enlarged))
        picture = picture.resize(size, Image.Resampling.BICUBIC)
    scale = picture.width / (photo.width or picture.width)
    boxes = [_scaled(face.box, scale) for face in photo.faces]
    stroke = max(2, round((picture.width * picture.height) ** 0.5 / 320))
    tints = [TINTS[index % len(TINTS)] for index in (range(len(boxes)) if numbers is None else numbers)]
    for box, tint in zip(boxes, tints, strict=True):
        _frame(picture, box, stroke, tint)
    labels = _labels(photo.faces, boxes, tints, picture, numbers)
    for label, (left, top) in zip(labels, _places(labels, boxes, picture.size, stroke), strict=True):
        _plate(picture, label, left, top)
    return np.asarray(picture)


def _scaled(box: Box, scale: float) -> Box:
    return Box(box.left * scale, box.top * scale, box.right * scale, box.bottom * scale)


def _labels(
    faces: Sequence[Face],
    boxes: list[Box],
    tints: list[Colour],
    picture: Image.Image,
    numbers: Sequence[int] | None = None,
) -> list[_Label]:
    """One line each where that fits all faces of the picture, else two; the font follows picture and face."""
    labels, fits = [], True
    heads: list[Line] = [()] * len(faces) if numbers is None else [((f"#{n}  ", GREY),) for n in numbers]
    for face, box, tint, head in zip(faces, boxes, tints, heads, strict=True):
        size = round(max(13.0, min((picture.width * picture.height) ** 0.5 / 38, box.width / 5.5)))
        years, low, high = (whole(age) for age in (face.age.years, face.age.low, face.age.high))
        age: Line = (*head, (f"{years}", tint), (f"  ({low}-{high})", GREY))
        gender: Line = ((face.gender.label, WHITE), (f"  {face.gender.percent}", GREY))
        label = _Label((age, gender), _font(size), pad=round(size * 0.5), leading=round(size * 1.22))
        labels.append(label)
        fits &= label.in_one_line().width <= (picture.width if len(faces) == 1 else min(picture.width, 1.6 * box.width))
    return [label.in_one_line() if fits else label for label in labels]


@lru_cache(maxsize=64)
def _font(size: int) -> Font:
    return ImageFont.load_default(size)


def _places(labels: list[_Label], boxes: list[Box], size: tuple[int, int], stroke: int) -> Iterator[tuple[int, int]]:
    """Corner of each plate."""
    for plate in places([(label.width, label.height) for label in labels], boxes, size, 2 * stroke):
        yield round(plate.left), round(plate.top)


def _frame(picture: Image.Image, box: Box, stroke: int, tint: Colour) -> None:
    """A bright rounded frame with a dark halo, so that it shows on snow and at night alike."""
    radius = max(stroke * 2, round(0.08 * min(box.width, box.height)))
    _outline(picture, box, grow=stroke / 2, stroke=2 * stroke, radius=radius, colour=INK, opacity=HALO_OPACITY)
    _outline(picture, box, grow=0, stroke=stroke, radius=radius, colour=tint, opacity=0.95)


def _outline(
    picture: Image.Image, box: Box, *, grow: float, stroke: int, radius: int, colour: Colour, opacity: float
) -> None:
    beyond = 4 * stroke  # what a frame has further outside of the picture need not be drawn
    left, top = (max(-beyond, round(edge - grow) - 1) for edge in (box.left, box.top))
    right, bottom = (
        min(picture.width + beyond, box.right + grow + 1),
        min(picture.height + beyond, box.bottom + grow + 1),
    )
    size = (max(3, round(right - left)), max(3, round(bottom - top)))
    finer = _FINER if max(size) < 512 else 2
    mask = Image.new("L", (size[0] * finer, size[1] * finer))
    shape = (finer, finer, mask.width - 1 - finer, mask.height - 1 - finer)
    ink = round(255 * opacity)
    ImageDraw.Draw(mask).rounded_rectangle(shape, radius * finer, outline=ink, width=stroke * finer)
    picture.paste(colour, (left, top), mask.resize(size, Image.Resampling.BOX))


def _plate(picture: Image.Image, label: _Label, left: int, top: int) -> None:
    size = (label.width, label.height)
    mask = Image.new("L", (size[0] * _FINER, size[1] * _FINER))
    shape = (0, 0, mask.width - 1, mask.height - 1)
    radius = min(label.pad, size[1] // 2) * _FINER
    ImageDraw.Draw(mask).rounded_rectangle(shape, radius, fill=round(255 * PLATE_OPACITY))
    picture.paste(INK, (left, top), mask.resize(size, Image.Resampling.BOX))
    canvas = ImageDraw.Draw(picture)
    for row, line in enumerate(label.lines):
        x = float(left + label.pad)
        middle = top + label.height / 2 + (row - (len(label.lines) - 1) / 2) * label.leading
        for text, colour in line:
            canvas.text((x, middle), text, colour, font=label.font, anchor="lm")
            x += label.font.getlength(text)
