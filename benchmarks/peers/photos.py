"""What is measured on: chips of the test fold put into larger pictures, and whole photos."""

from __future__ import annotations

import os
import xml.etree.ElementTree as ET
import zlib
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from mien.learn.data import readers
from mien.learn.data.manifest import Manifest
from mien.learn.evaluation.through_detector import pad
from mien.results import Box

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
BANDS = {"0-12": (0, 12), "13-19": (13, 19), "20-59": (20, 59), "60+": (60, 116)}
"""Ages from the first to the second, both in it."""

SIZE = 1280, 720
HEIGHTS = 360, 540, 720


@dataclass(frozen=True)
class Chips:
    """Labelled chips as photos.

    Attributes:
        labels: a row each.
        photos: files of the larger pictures, in the order of the rows.
        places: where each chip lies in its picture; None where the largest face of each photograph is meant.
    """

    labels: Manifest
    photos: list[str]
    places: list[Box] | None

    @property
    def chips(self) -> list[str]:
        """Files of the chips themselves."""
        return [str(path) for path in self.labels.paths]


@dataclass(frozen=True)
class Photos:
    """Whole photos.

    Attributes:
        made: 1280x720, one face each.
        taken: real ones, with several faces; none where the data is absent.
        boxes: true boxes in some of the real ones; an empty list where there is no face.
    """

    made: list[str]
    taken: list[str]
    boxes: dict[str, list[Box]]


def sample(labels: Manifest, count: int, seed: int) -> Manifest:
    """So many rows in which each age band and gender has the share that it has in all, as nearly as can be."""
    if count >= len(labels):
        return labels
    rng = np.random.default_rng(seed)
    cells = [np.flatnonzero(in_band(labels, band) & (labels.female == female)) for band in BANDS for female in (0, 1)]
    shares = np.array([len(cell) * count / len(labels) for cell in cells])
    quotas = np.floor(shares).astype(int)
    quotas[np.argsort(quotas - shares, kind="stable")[: count - int(quotas.sum())]] += 1
    chosen = [rng.choice(cell, quota, replace=False) for cell, quota in zip(cells, quotas, strict=True)]
    return labels.take(np.sort(np.concatenate(chosen)))


def in_band(labels: Manifest, band: str) -> NDArray[np.bool_]:
    """Which rows are of an age band."""
    low, high = BANDS[band]
    years = np.floor(labels.middle)
    return (years >= low) & (years <= high)


def chips(data: Path, folder: Path, count: int | None, seed: int) -> Chips:
    """Chips of the test fold, each in a picture of twice its side, at a random size and place.

    Args:
        data: the folder of UTKFace, with `images` and `splits.csv`.
        folder: where to write the pictures.
        count: how many; None for all.
        seed: of the choice, the sizes and the places.
    """
    labels = readers.read(data / "images", data / "splits.csv").select(fold="test").present()
    labels = labels.take(~np.isnan(labels.age) & (labels.female >= 0))
    labels = sample(labels, len(labels) if count is None else count, seed)
    files, places = [], []
    folder.mkdir(parents=True, exist_ok=True)
    for name, path in zip(labels.files.tolist(), labels.paths, strict=True):
        with Image.open(path) as image:
            pixels = np.asarray(image.convert("RGB"))
        picture, place = pad(pixels, np.random.default_rng([seed, zlib.crc32(os.fsencode(name))]))
        file = str(folder / Path(name).name)
        cv2.imwrite(file, picture[:, :, ::-1], [cv2.IMWRITE_JPEG_QUALITY, 95])
        files.append(file)
        places.append(place)
    return Chips(labels, files, places)


def whole_photos(data: Path | None, folder: Path) -> Photos:
    """Made photos from the portraits of examples/, and the real ones of a folder in dlib's form.

    Args:
        data: pictures with `training.xml` and `testing.xml`; None if there is none.
        folder: where to write the made ones.
    """
    taken, boxes = [], {}
    if data is not None:
        taken = [str(path) for path in sorted(data.glob("*.jpg"))]
        boxes = {str(data / "dogs.jpg"): list[Box]()} if (data / "dogs.jpg").exists() else {}
        for table in ("training.xml", "testing.xml"):
            for image in ET.parse(data / table).getroot().iter("image"):
                boxes[str(data / image.attrib["file"])] = [_box(mark.attrib) for mark in image.iter("box")]
    return Photos(_compose(folder), taken, boxes)


def _box(mark: dict[str, str]) -> Box:
    left, top, width, height = (float(mark[key]) for key in ("left", "top", "width", "height"))
    return Box(left, top, left + width, top + height)


def _compose(folder: Path) -> list[str]:
    """Each portrait at three sizes on a ground of its own colours, 1280x720."""
    folder.mkdir(parents=True, exist_ok=True)
    made = []
    for path in sorted(EXAMPLES.glob("*.jpg")):
        portrait = Image.open(path).convert("RGB")
        ground = portrait.resize((16, 9), Image.Resampling.BOX).resize(SIZE, Image.Resampling.BICUBIC)
        for number, height in enumerate(HEIGHTS):
            wide = round(portrait.width * height / portrait.height)
            picture = ground.copy()
            left = (SIZE[0] - wide) * (number + 1) // (len(HEIGHTS) + 1)
            picture.paste(portrait.resize((wide, height), Image.Resampling.LANCZOS), (left, (SIZE[1] - height) // 2))
            file = folder / f"{path.stem}-{height}.jpg"
            picture.save(file, "JPEG", quality=90)
            made.append(str(file))
    return made
