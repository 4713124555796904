"""Finding faces: a detector is chosen by name and imported only then.

Coordinates are continuous and in pixels of the array given: the pixel of row i and column j covers i to i + 1 and j to
j + 1, its centre is x = j + 0.5, y = i + 0.5, and a picture of W columns spans 0 to W. So coordinates of a reduced
picture become those of the full one by multiplication alone.
"""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Protocol, cast

import numpy as np
from numpy.typing import NDArray

from mien.errors import UsageError
from mien.results import Box, Point

DETECTORS: dict[str, str] = {
    "mtcnn": "mien.faces.mtcnn:MTCNN",
    "haar": "mien.faces.haar:Haar",
    "yunet": "mien.faces.yunet:YuNet",
    "whole": "mien.faces.whole:Whole",
}
"""Name -> "module:Class"."""

BELOW = 0.7
"""Share of the smallest face wanted of a picture down to which smaller ones are told."""


@dataclass(frozen=True, slots=True)
class Detection:
    """One face found.

    Attributes:
        box: where it is, inside the picture.
        score: how sure the detector is, 0 to 1; None where it does not say.
        landmarks: left eye, right eye, nose, left and right mouth corner (left as seen in the picture); None where the
            detector finds none.
    """

    box: Box
    score: float | None
    landmarks: tuple[Point, ...] | None


@dataclass(frozen=True, slots=True)
class DetectorOptions:
    """What every detector understands.

    Attributes:
        min_face: smallest face wanted, as the longer side of its box in pixels of the array given. The time per
            photo goes with its inverse square: 15 takes four times as long as 30.
        threshold: least score of a face, 0 to 1; None for the detector's own default.
        max_faces: at most this many faces, the largest; None for all.
        weights: model file of a detector that ships none (yunet).
        threads: threads inside one call of `detect`.
    """

    min_face: int = 30
    threshold: float | None = None
    max_faces: int | None = None
    weights: Path | None = None
    threads: int = 1

    def __post_init__(self) -> None:
        if self.min_face < 12:
            raise UsageError(f"min_face is {self.min_face}: no detector sees faces below 12 pixels")
        if self.threshold is not None and not 0 <= self.threshold <= 1:
            raise UsageError(f"threshold is {self.threshold}: a score lies between 0 and 1")
        if self.max_faces is not None and self.max_faces < 1:
            raise UsageError(f"max_faces is {self.max_faces}: give 1 or more, or nothing for all")
        if self.threads < 1:
            raise UsageError(f"threads is {self.threads}: give 1 or more")


class Detector(Protocol):
    """Finds the faces of one picture; one instance may be shared between threads.

    Attributes:
        name: its key in `DETECTORS`.
        aligned: True where pictures are taken as aligned chips, to be resized rather than warped.
        sure: score from which a face is hardly ever something else; where a detector lacks it, photos are
            never turned for it unless asked.
    """

    name: ClassVar[str]
    aligned: ClassVar[bool]

    def detect(self, pixels: NDArray[np.uint8], min_face: float | None = None) -> list[Detection]:
        """Faces of an RGB picture, largest box first; an empty list where there are none.

        Args:
            pixels: [H, W, 3].
            min_face: smallest face to look for in this picture, in its pixels; of smaller ones those that turn up down
                to 0.7 of it are told too. None for the options', and no smaller ones.
        """
        ...


def create(name: str, options: DetectorOptions | None = None) -> Detector:
    """The detector of that name.

    Raises:
        UsageError: no detector has this name, or it lacks an option it needs.
        ModelError: its model files are missing or cannot be read.
    """
    if name not in DETECTORS:
        raise UsageError.unknown("detector", name, DETECTORS)
    module, _, attribute = DETECTORS[name].partition(":")
    factory = getattr(importlib.import_module(module), attribute)
    return cast(Detector, factory(options or DetectorOptions()))


def collect(
    options: DetectorOptions,
    size: tuple[int, int],
    boxes: NDArray[np.floating[Any]],
    scores: NDArray[np.floating[Any]],
    points: NDArray[np.floating[Any]] | None = None,
    *,
    min_face: float | None = None,
) -> list[Detection]:
    """A detector's arrays as detections: clipped to the picture, `min_face` and `max_faces` applied, largest first.

    Args:
        options: the limits.
        size: height and width of the picture.
        boxes: [N, 4] left, top, right, bottom.
        scores: [N].
        points: [N, 5, 2] landmarks; None where the detector finds none.
        min_face: of this picture, see `Detector.detect`.
    """
    height, width = size
    sides = np.clip(boxes, 0, (width, height, width, height))
    longer = np.maximum(sides[:, 2] - sides[:, 0], sides[:, 3] - sides[:, 1])
    area = (sides[:, 2] - sides[:, 0]) * (sides[:, 3] - sides[:, 1])
    order = np.argsort(-area, kind="stable")
    least = options.min_face if min_face is None else BELOW * min_face
    order = order[(longer[order] >= least) & (area[order] > 0)]
    return [
        Detection(
            box=Box(*sides[k].tolist()),
            score=float(scores[k]),
            landmarks=None if points is None else tuple((x, y) for x, y in points[k].tolist()),
        )
        for k in order[: options.max_faces]
    ]
