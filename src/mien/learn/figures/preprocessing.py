"""From a photo to what a network is given, step by step, as a recipe does it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.patches import Rectangle
from numpy.typing import NDArray
from PIL import Image
from torch import nn

from mien.arrays import Pixels
from mien.deploy import centre_square
from mien.errors import UsageError
from mien.faces import Detection, DetectorOptions, create
from mien.faces.align import CropContract, align, resize_chip
from mien.learn.data import detector_boxes
from mien.learn.data.dataset import ShownPart
from mien.learn.figures.architecture import first_input
from mien.learn.recipe import Recipe
from mien.results import Box, Point

CHIP = 200
TITLES = {"mtcnn": "MTCNN", "haar": "Haar"}
FOUND, INK, FAINT, BARS = "#ffd23f", "#222222", "#7d7d78", "#5b8fc7"
CENTRED = frozenset({"separate-cnn"})
"""Networks whose paper deploys them without looking for the face; see `mien.deploy`."""


@dataclass(frozen=True)
class Step:
    """One picture on the way.

    Attributes:
        title: what was done.
        pixels: RGB uint8 [H, W, 3] after it; None for the last step, which shows numbers.
        values: what the first layer is given, where `pixels` is None.
        box: to outline.
        points: to mark.
    """

    title: str
    pixels: Pixels | None
    values: NDArray[np.float32] | None = None
    box: Box | None = None
    points: tuple[Point, ...] = ()


def draw(plan: Recipe, net: nn.Module, photos: Sequence[Pixels]) -> Figure:
    """A row for each photo and a column for each step.

    Args:
        plan: says how faces are cut, whether colour is taken away, and the size.
        net: its network, which normalises.
        photos: RGB uint8 [H, W, 3].

    Raises:
        UsageError: a photo has no face.
    """
    rows = [steps(plan, net, photo) for photo in photos]
    columns = len(rows[0])
    figure = Figure(
        figsize=(0.3 + 2.25 * columns, 0.75 + 2.5 * len(rows)), layout=ConstrainedLayoutEngine(w_pad=0.09, h_pad=0.07)
    )
    grid = figure.subplots(len(rows), columns, squeeze=False)
    for row, axes_row in zip(rows, grid, strict=True):
        for number, (step, axes) in enumerate(zip(row, axes_row, strict=True), start=1):
            if step.values is not None:
                _draw_values(axes, step.values)
            elif step.pixels is not None:
                _draw_picture(axes, step)
            if row is rows[0]:
                axes.set_title(f"{number}  {step.title}", fontsize=9, loc="left", color=INK, pad=7)
    figure.suptitle(
        f"{plan.about.title or plan.name}: from a photo to the network",
        fontsize=13,
        fontweight="bold",
        x=0.01,
        ha="left",
    )
    return figure


def steps(plan: Recipe, net: nn.Module, photo: Pixels) -> list[Step]:
    """What a recipe makes of one photo; the last step is what the network's first layer is given."""
    size, grey = plan.model.size, plan.data.grey
    if plan.model.network in CENTRED:
        done, small = _centred(photo, size)
    else:
        done, chip = _haar(photo) if plan.data.crop == "haar" else _mtcnn(photo)
        if plan.data.crop != "chip":
            chip, step = _cropped(chip, plan.data.crop)
            done.append(step)
        cut = "" if plan.data.crop == "chip" else "cut, "
        small = resize_chip(ShownPart(grey=grey)("", chip), CropContract.utkface(size))
        done.append(Step(f"{cut}resized{', grey' if grey else ''}", small))
    values = first_input(net, torch.from_numpy(np.ascontiguousarray(small))[None])
    return [*done, Step("what layer 1 is given", None, values=values.float().numpy())]


def _centred(photo: Pixels, size: int) -> tuple[list[Step], Pixels]:
    """The way of `mien.deploy`; as it does not look for the face, it is shown with a portrait like for a passport."""
    box = _face(photo, "mtcnn").box
    side, x, y = max(box.width, box.height), (box.left + box.right) / 2, (box.top + box.bottom) / 2
    left, top = max(0, round(x - 0.65 * side)), max(0, round(y - 0.9 * side))
    portrait = photo[top : round(y + 0.9 * side), left : round(x + 0.65 * side)]
    square = centre_square(Image.fromarray(portrait))
    left, top = (portrait.shape[1] - square.width) // 2, (portrait.shape[0] - square.height) // 2
    middle = Box(left, top, left + square.width, top + square.height)
    small = np.array(square.resize((size, size), Image.Resampling.LANCZOS))
    done = [Step("portrait, middle square", portrait, box=middle), Step("cut out", np.array(square))]
    return [*done, Step("Lanczos resize", small)], small


def _mtcnn(photo: Pixels) -> tuple[list[Step], Pixels]:
    face = _face(photo, "mtcnn")
    chip = align(photo, face, CropContract.utkface(CHIP))
    near, moved = _surroundings(photo, face)
    found = Step("MTCNN finds the face", photo, box=face.box)
    marks = Step("its five landmarks", near, box=moved.box, points=moved.landmarks or ())
    aligned = Step("aligned chip", chip, points=CropContract.utkface(CHIP).landmarks)
    return [found, marks, aligned], chip


def _haar(photo: Pixels) -> tuple[list[Step], Pixels]:
    face = _face(photo, "haar")
    chip = align(photo, face, CropContract.utkface(CHIP))
    near, moved = _surroundings(photo, face)
    return [
        Step("Haar finds the face", photo, box=face.box),
        Step("its box", near, box=moved.box),
    ], chip


def _cropped(chip: Pixels, detector: str) -> tuple[Pixels, Step]:
    """A chip cut to what a detector sees in it, and the chip with that box."""
    box = detector_boxes.find_box(chip, create(detector, DetectorOptions(min_face=CHIP // 2)))
    shown = None if box is None else Box(*(min(max(side, 1), CHIP - 1) for side in box))
    return detector_boxes.crop(chip, box), Step(f"{TITLES[detector]}'s box in the chip", chip, box=shown)


def _face(photo: Pixels, detector: str) -> Detection:
    faces = create(detector, DetectorOptions(max_faces=1)).detect(photo)
    if not faces:
        raise UsageError(f"{detector} finds no face in the photo: give another")
    return faces[0]


def _surroundings(photo: Pixels, face: Detection) -> tuple[Pixels, Detection]:
    """A square around a face, enlarged to 300 pixels, and the face in its coordinates."""
    box = face.box
    side = round(1.35 * max(box.width, box.height))
    left, top = round((box.left + box.right - side) / 2), round((box.top + box.bottom - side) / 2)
    edge = max(0, -left, -top, left + side - photo.shape[1], top + side - photo.shape[0])
    wide = cv2.copyMakeBorder(photo, edge, edge, edge, edge, cv2.BORDER_REPLICATE)
    part = wide[top + edge : top + edge + side, left + edge : left + edge + side]
    scale = 300 / side

    def moved(x: float, y: float) -> Point:
        return (x - left) * scale, (y - top) * scale

    near = np.asarray(cv2.resize(part, (300, 300), interpolation=cv2.INTER_CUBIC), np.uint8)
    corners = Box(*moved(box.left, box.top), *moved(box.right, box.bottom))
    marks = None if face.landmarks is None else tuple(moved(x, y) for x, y in face.landmarks)
    return near, Detection(corners, face.score, marks)


def _draw_picture(axes: Axes, step: Step) -> None:
    assert step.pixels is not None
    height, width = step.pixels.shape[:2]
    axes.imshow(step.pixels, extent=(0, width, height, 0), interpolation="nearest" if width < 150 else "lanczos")
    if step.box is not None:
        corner = step.box.left, step.box.top
        axes.add_patch(Rectangle(corner, step.box.width, step.box.height, fill=False, ec="black", lw=3.2, alpha=0.35))
        axes.add_patch(Rectangle(corner, step.box.width, step.box.height, fill=False, ec=FOUND, lw=1.8))
    if step.points:
        x, y = zip(*step.points, strict=True)
        axes.scatter(x, y, s=26, c=FOUND, edgecolors="black", linewidths=0.8, zorder=3)
    axes.set(xlim=(0, width), ylim=(height, 0))
    axes.set_xticks([])
    axes.set_yticks([])
    axes.spines[:].set_visible(False)
    axes.set_xlabel(f"{width}×{height}", fontsize=7.5, color=FAINT)


def _draw_values(axes: Axes, values: NDArray[np.float32]) -> None:
    """How often each value occurs among the pixels of the three channels."""
    axes.hist(values.ravel(), bins=48, color=BARS)
    axes.set_box_aspect(1)
    axes.set_yticks([])
    axes.spines[["left", "top", "right"]].set_visible(False)
    axes.tick_params(labelsize=8, colors=INK)
    shape = "×".join(str(side) for side in values.shape[1:])
    digits = 0 if np.abs(values).max() > 10 else 2
    axes.set_xlabel(
        f"{shape} numbers, {values.min():.{digits}f} to {values.max():.{digits}f}", fontsize=7.5, color=FAINT
    )
