"""Photos on their way from the detector to the results: faces cut to chips, and estimates put beside them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mien.arrays import Singles
from mien.estimate.bundle import BundleConfig
from mien.estimate.calibrate import Calibration, expectation, intervals, median
from mien.estimate.estimator import Estimates
from mien.estimate.quality import doubtful, eye_distance, eye_distance_of_chip, judge, marked, turn
from mien.faces import Detection
from mien.faces.align import CropContract, align, points_in_box, resize_chip
from mien.options import LEVEL, Options, PhotoRequest
from mien.photos.decode import Picture
from mien.results import Age, Box, Face, Failure, Gender, Photo, Quality
from mien.runtime.pauses import pause


@dataclass(slots=True)
class Draft:
    """One photo on its way: decoded, with its faces found and cut, or failed.

    Attributes:
        source: its name.
        picture: the decoded picture, where it was asked for.
        width: pixels of the upright photo at full size; None where it could not be decoded.
        height: likewise.
        detections: the faces, in pixels of the full-size photo.
        chips: uint8 [S, S, 3] RGB, one a face.
        qualities: one a face.
        scale: size of the picture in which faces were looked for, relative to the photo; None where there was none.
        turned: degrees by which it was turned clockwise for that.
        incomplete: whether the file ends before all of the picture has come.
        error: why there is nothing of all this.
        request: what is wanted of this photo alone.
    """

    source: str
    picture: Picture | None = None
    width: int | None = None
    height: int | None = None
    detections: list[Detection] = field(default_factory=list)
    chips: list[NDArray[np.uint8]] = field(default_factory=list)
    qualities: list[Quality] = field(default_factory=list)
    scale: float | None = None
    turned: int = 0
    incomplete: bool = False
    error: Failure | None = None
    request: PhotoRequest = field(default_factory=PhotoRequest)


def cut_chips(
    picture: Picture,
    found: Sequence[Detection],
    source: str,
    contract: CropContract,
    request: PhotoRequest,
    *,
    aligned: bool,
) -> Draft:
    """Cut the faces of a decoded picture to chips and judge these.

    Args:
        picture: decoded.
        found: its faces, in pixels of `picture`, largest first.
        source: its name.
        contract: geometry of the chips.
        request: what is wanted of this photo; of its faces no more are cut.
        aligned: the picture is a chip already.
    """
    found = found[: request.max_faces]
    if aligned:
        chips = [resize_chip(picture.pixels, contract) for _ in found]
        eyes = [eye_distance_of_chip(min(picture.pixels.shape[:2]), contract) for _ in found]
    else:
        chips = [_cut(picture, face, contract) for face in found]
        eyes = [eye_distance(face.landmarks or points_in_box(face.box), contract) for face in found]
    turns = [None if face.landmarks is None else turn(face.landmarks) for face in found]
    return Draft(
        source,
        width=picture.width,
        height=picture.height,
        detections=[_to_photo(face, picture.scale) for face in found],
        chips=chips,
        qualities=[judge(*measures) for measures in zip(chips, eyes, turns, strict=True)],
        scale=picture.scale,
        incomplete=picture.incomplete,
        request=request,
    )


def _cut(picture: Picture, face: Detection, contract: CropContract) -> NDArray[np.uint8]:
    pause()
    return align(picture.pixels, face, contract)


def results(estimates: Estimates, drafts: Sequence[Draft], config: BundleConfig, options: Options) -> list[Photo]:
    """The network's answers for the chips of some photos, in order, put beside each photo.

    Args:
        estimates: for all chips of the drafts, one after the other.
        drafts: the photos.
        config: of the model.
        options: of the analyzer; what a draft's request says goes before them.
    """
    calibration = config.calibration or Calibration.identity()
    low, high = _intervals(estimates.pmf, drafts, calibration, options.level)
    pmf, widths = estimates.pmf, _widths(estimates.pmf, drafts, calibration)
    columns = (expectation(pmf), median(pmf), low, high, pmf, estimates.female, widths)
    rows = zip(*(column.tolist() for column in columns), strict=True)
    return [_photo(draft, islice(rows, len(draft.chips)), config.name, options) for draft in drafts]


def _intervals(
    pmf: Singles, drafts: Sequence[Draft], calibration: Calibration, usual: float
) -> tuple[NDArray[Any], NDArray[Any]]:
    """Age intervals of all faces, each at the level of its photo."""
    poor = doubtful([quality for draft in drafts for quality in draft.qualities])
    levels = np.array([draft.request.level or usual for draft in drafts for _ in draft.chips])
    low, high = np.zeros(len(pmf)), np.zeros(len(pmf))
    for level in np.unique(levels):
        at = levels == level
        low[at], high[at] = intervals(pmf[at], float(level), calibration, poor[at])
    return low, high


def _widths(pmf: Singles, drafts: Sequence[Draft], calibration: Calibration) -> NDArray[Any]:
    """Years that the intervals of all faces span at the usual level, whatever level was asked for."""
    poor = doubtful([quality for draft in drafts for quality in draft.qualities])
    low, high = intervals(pmf, LEVEL, calibration, poor)
    return high - low


def _photo(draft: Draft, rows: Iterable[tuple[Any, ...]], model: str, options: Options) -> Photo:
    level = draft.request.level or options.level
    abstain = draft.request.abstain or options.abstain
    faces = tuple(
        Face(
            box=found.box,
            score=found.score,
            landmarks=found.landmarks,
            age=Age(years, mid, low, high, level=level, pmf=tuple(pmf)),
            gender=Gender(female, abstain),
            quality=marked(quality, width),
        )
        for found, quality, (years, mid, low, high, pmf, female, width) in zip(
            draft.detections, draft.qualities, rows, strict=True
        )
    )
    told = draft.scale, draft.turned, draft.incomplete
    return Photo(draft.source, model, draft.width, draft.height, faces, draft.error, *told)


def _to_photo(face: Detection, scale: float) -> Detection:
    """Coordinates in the decoded picture -> in the full-size photo."""
    box = Box(face.box.left / scale, face.box.top / scale, face.box.right / scale, face.box.bottom / scale)
    landmarks = face.landmarks and tuple((x / scale, y / scale) for x, y in face.landmarks)
    return Detection(box, face.score, landmarks)
