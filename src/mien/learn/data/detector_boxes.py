"""Where a detector sees the face in each chip: boxes found once and kept, never pictures.

Viola and Jones, "Rapid Object Detection using a Boosted Cascade of Simple Features", CVPR 2001 (`haar`); Zhang et al.,
"Joint Face Detection and Alignment using Multi-task Cascaded Convolutional Networks", IEEE SPL 2016 (`mtcnn`).

The chips of UTKFace are as tight as a detector's box: Haar's is 205 of 200 pixels wide in the median. On the bare chip
the cascade therefore finds only 66 % of the faces (of 500 of the validation fold), and those a fifth too small (160),
because no larger window fits. So a margin that continues the chip's border is laid around it first, as in
`mien.learn.evaluation.through_detector`; with it 99 % are found, as large as in a whole photo. `margin=0` is the other
reading. A crop never reaches beyond the chip. Haar takes 8 ms a chip on one core, MTCNN 6.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import cv2
import numpy as np

from mien import __version__
from mien.arrays import Pixels
from mien.errors import DataError, PhotoError
from mien.faces import Detector, DetectorOptions, create
from mien.learn.data.manifest import Manifest
from mien.learn.data.predictions import each_picture
from mien.unfinished import begin

Corners = tuple[float, float, float, float]
"""Left, top, right, bottom in pixels of the chip; a box may reach beyond it."""

MARGIN = 0.25
"""Share of the chip's side laid around it before a detector looks."""

LEAST_SIDE = 0.5
"""A box whose mean side is under this share of the chip's is not believed: an eye, a mouth, a face in the background.
On 500 chips of the validation fold Haar's smallest is 0.70 and MTCNN's 0.85, so this leaves out what is no face."""

MOST_OFF = 0.3
"""Nor is a box whose centre lies further from the chip's middle, along either side, than this share of it; on the same
chips Haar's reach 0.15, and MTCNN's, which follows profiles, 0.27."""

MIN_FACE = 12  # below this no detector sees faces
REPORT_EVERY = 2000
COLUMNS = ("source", "file", "bytes", "left", "top", "right", "bottom")

_Key = tuple[str, str, int]  # in the cache: the data set, the file's name and its size, so that another file is not it
_Cache = dict[_Key, Corners | None]


@dataclass(frozen=True)
class Boxes:
    """What was found in the pictures of a manifest.

    Attributes:
        found: by file name the box of the face, or None where nothing believable was found: the whole chip is used.
        unreadable: pictures that could not be decoded and why; they have no box and are no misses.
        detector: its name.
    """

    found: Mapping[str, Corners | None]
    unreadable: Mapping[str, str]
    detector: str

    @property
    def misses(self) -> int:
        """How many pictures have no believable face."""
        return sum(box is None for box in self.found.values())

    def sees(self, file: str) -> bool:
        """Whether a picture of the manifest is no miss; one that could not be decoded is none."""
        return file not in self.found or self.found[file] is not None

    def crop(self, file: str, pixels: Pixels) -> Pixels:
        """The face of a picture of the manifest, given its pixels; the whole chip where none was found."""
        return crop(pixels, self.found.get(file))


def find_boxes(
    manifest: Manifest,
    detector: str,
    *,
    cache: Path | None = None,
    threads: int = 2,
    margin: float = MARGIN,
    report: Callable[[str], None] = lambda line: None,
) -> Boxes:
    """Find the face in each chip of a manifest, or read where it was found before.

    Args:
        manifest: of chips, each of one face; missing pictures are passed over.
        detector: "haar" or "mtcnn".
        cache: CSV file of boxes. What it lacks is found and added; boxes of another mien are found anew. It is written
            whole or not at all.
        threads: that decode and detect.
        margin: share of the chip's side laid around it first.
        report: told how far it is, in lines.

    Raises:
        UsageError: no such detector.
        DataError: two pictures have one name, or the cache is none, or that of another detector or margin.
    """
    faces = manifest.present()
    names = faces.files.tolist()
    if len(set(names)) < len(names):
        raise DataError("two pictures have the same name: find the faces of one data set at a time")
    known = {} if cache is None else _read(cache, detector, margin)
    sizes = [path.stat().st_size for path in faces.paths]
    keys: dict[str, _Key] = dict(zip(names, zip(faces.source.tolist(), names, sizes, strict=True), strict=True))
    lacking = faces.take(np.array([key not in known for key in keys.values()], dtype=np.bool_))
    create(detector)  # an unknown name is told before any picture is read

    @lru_cache(maxsize=8)
    def finder(side: int) -> Detector:
        return create(detector, DetectorOptions(min_face=max(MIN_FACE, int(LEAST_SIDE * side))))

    fresh: _Cache = {}
    unreadable: dict[str, str] = {}
    looks = each_picture(lacking, lambda file, pixels: find_box(pixels, finder(min(pixels.shape[:2])), margin), threads)
    for done, (file, box) in enumerate(looks, start=1):
        if isinstance(box, PhotoError):
            unreadable[file] = str(box)
        else:
            fresh[keys[file]] = box
        if done % REPORT_EVERY == 0:
            report(f"{detector}: looked at {done} of {len(lacking)} chips")
    if cache is not None and fresh:
        _write(cache, known | fresh, detector, margin)
    merged = known | fresh
    boxes = Boxes({name: merged[key] for name, key in keys.items() if key in merged}, unreadable, detector)
    report(f"{detector}: no face in {boxes.misses} of {len(boxes.found)} chips, which are used whole")
    return boxes


def find_box(pixels: Pixels, detector: Detector, margin: float = MARGIN) -> Corners | None:
    """The largest believable face of a chip RGB uint8 [H, W, 3], to a tenth of a pixel; None where there is none.

    Args:
        pixels: the chip.
        detector: may be shared between threads; its `min_face` should be below half of the chip.
        margin: share of the chip's side laid around it first.
    """
    height, width = pixels.shape[:2]
    picture, edge = _with_margin(pixels, round(margin * max(height, width)))
    for face in detector.detect(picture):
        left, top, right, bottom = (
            face.box.left - edge,
            face.box.top - edge,
            face.box.right - edge,
            face.box.bottom - edge,
        )
        if _believable((left, top, right, bottom), height, width):
            return round(left, 1), round(top, 1), round(right, 1), round(bottom, 1)
    return None


def crop(pixels: Pixels, box: Corners | None) -> Pixels:
    """The square around a box, as much of it as the chip can hold.

    The square has the box's centre and mean side. One larger than the chip becomes as large as the chip; one that
    reaches over an edge is moved inside, so that a face keeps its proportions.

    Args:
        pixels: RGB uint8 [H, W, 3].
        box: where the face is; None for the whole chip.

    Returns:
        A view [S, S, 3], or the chip itself.

    >>> crop(np.zeros((200, 200, 3), np.uint8), (10, -20, 190, 160)).shape
    (180, 180, 3)
    """
    if box is None:
        return pixels
    height, width = pixels.shape[:2]
    left, top, right, bottom = box
    side = max(1, min(round((right - left + bottom - top) / 2), height, width))
    x = min(max(round((left + right - side) / 2), 0), width - side)
    y = min(max(round((top + bottom - side) / 2), 0), height - side)
    return pixels[y : y + side, x : x + side]


def in_large_files(manifest: Manifest, min_bytes: int) -> Manifest:
    """The rows whose files have at least so many bytes, and those whose files are missing.

    One of the published systems leaves out files under 5 kB as spoilt; half of the chips of UTKFace are smaller than
    that and well, so `data.min_bytes` is 0 in every recipe of ours.
    """
    kept = [
        not there or path.stat().st_size >= min_bytes
        for path, there in zip(manifest.paths, manifest.exists.tolist(), strict=True)
    ]
    return manifest.take(np.array(kept, dtype=np.bool_))


def _believable(box: Corners, height: int, width: int) -> bool:
    left, top, right, bottom = box
    side = (right - left + bottom - top) / 2
    off = abs((left + right) / 2 - width / 2) / width, abs((top + bottom) / 2 - height / 2) / height
    return side >= LEAST_SIDE * min(height, width) and max(off) <= MOST_OFF


def _with_margin(pixels: Pixels, edge: int) -> tuple[Pixels, int]:
    """The chip in a margin that continues its border, blurred so that no streak looks like a feature."""
    if edge == 0:
        return pixels, 0
    height, width = pixels.shape[:2]
    wide = cv2.copyMakeBorder(pixels, edge, edge, edge, edge, cv2.BORDER_REPLICATE)
    blur = 2 * (max(height, width) // 12) + 1
    picture = np.asarray(cv2.blur(wide, (blur, blur)), np.uint8)
    picture[edge : edge + height, edge : edge + width] = pixels
    return picture, edge


def _header(detector: str, margin: float) -> str:
    return f"# faces seen by {detector}, margin {margin:g}, mien "


def _read(cache: Path, detector: str, margin: float) -> _Cache:
    """Boxes found before; none where there is no file yet, or one that another version of mien wrote."""
    if not cache.exists():
        return {}
    known: _Cache = {}
    try:
        with cache.open(newline="", encoding="utf-8") as file:
            title = file.readline().rstrip("\r\n")
            if not title.startswith(_header(detector, margin)):
                raise DataError(f"{cache} does not hold boxes of {detector} with margin {margin:g}: give another file")
            if title != _header(detector, margin) + __version__:
                return {}
            for row in csv.DictReader(file):
                sides = [row[name] for name in COLUMNS[3:]]
                known[row["source"], row["file"], int(row["bytes"])] = _corners(sides) if any(sides) else None
    except (OSError, UnicodeDecodeError, KeyError, TypeError, ValueError, csv.Error) as error:
        raise DataError(f"{cache} is damaged and can be deleted: {error!r}") from error
    return known


def _corners(sides: list[str]) -> Corners:
    left, top, right, bottom = map(float, sides)
    return left, top, right, bottom


def _write(cache: Path, boxes: _Cache, detector: str, margin: float) -> None:
    cache.parent.mkdir(parents=True, exist_ok=True)
    part, stream = begin(cache)
    with stream, io.TextIOWrapper(stream, encoding="utf-8", newline="") as file:
        file.write(_header(detector, margin) + __version__ + "\n")
        writer = csv.writer(file)
        writer.writerow(COLUMNS)
        writer.writerows(
            [*key, *(box or ("", "", "", ""))] for key, box in sorted(boxes.items(), key=lambda item: item[0])
        )
    part.replace(cache)
