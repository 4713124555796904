"""Does the crop contract hold end to end? Chips padded into pictures, found again by a detector, cut out and estimated.

Each chip becomes the middle part of a picture of twice its side, at a random size and place, so that the detector has
to find it and alignment has to undo both. The surroundings continue the chip's border, heavily blurred: mid-grey would
frame the face with a hard edge that no photograph has, and a mirrored border would show half faces that are not there.
The chip is enlarged by 1 to 1.5 and never reduced, so whatever accuracy is lost is lost by detection and alignment.
"""

from __future__ import annotations

import os
import zlib
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from mien.arrays import Mask, Pixels
from mien.errors import PhotoError
from mien.estimate.calibrate import expectation
from mien.faces import Detection, Detector
from mien.faces.align import align, resize_chip
from mien.learn.data.manifest import Manifest
from mien.learn.data.predictions import AnswerCollector, ChipEstimator, Predictions, each_picture
from mien.learn.evaluation import metrics
from mien.learn.evaluation.evaluate import markdown, true_ages
from mien.learn.evaluation.metrics import Interval, Metric
from mien.native import UNWRITTEN, Record, also, written
from mien.results import Box

CANVAS = 2.0
SCALES = (1.0, 1.5)


@dataclass(frozen=True)
class CropEffect:
    """One metric on the same faces, taken whole and through the detector.

    Attributes:
        n: faces.
        whole: of the chips as they are.
        through: of the chips padded, detected and aligned.
        difference: through minus whole, from a paired bootstrap.
    """

    n: int
    whole: Interval
    through: Interval
    difference: Interval


@dataclass(frozen=True)
class ThroughReport(Record):
    """What padding, detecting and aligning cost.

    Attributes:
        detector: its name.
        pictures: how many were read.
        missed: files whose face was not found.
        whole: predictions of the chips as they are.
        mae: of age in years, over the faces "found" and over "all", where a missed face is taken whole.
        accuracy: of gender, likewise.
    """

    detector: str
    pictures: int
    missed: tuple[str, ...] = field(metadata=written("missed_files"))
    whole: Predictions = field(metadata=UNWRITTEN)
    mae: dict[str, CropEffect]
    accuracy: dict[str, CropEffect]

    @property
    @also("missed", before="missed")
    def misses(self) -> int:
        """How many faces were not found."""
        return len(self.missed)

    def to_table(self) -> str:
        """Markdown: what was found, and what it cost."""
        found = self.pictures - len(self.missed)
        rows = [("figure", "faces", "whole", f"through {self.detector}", "difference")]
        for figure, style, comparisons in (("MAE", "{:.3f}", self.mae), ("gender", "{:.2%}", self.accuracy)):
            signed = style.replace(":", ":+")
            for name, c in comparisons.items():
                change = f"{signed.format(c.difference.value)} [{signed.format(c.difference.low)}, "
                change += f"{signed.format(c.difference.high)}]"
                values = style.format(c.whole.value), style.format(c.through.value)
                rows.append((f"{figure}, {name}", str(c.n), *values, change))
        head = f"{self.detector} found {found} of {self.pictures} padded chips, missed {len(self.missed)} (taken whole)"
        return "\n".join([head, "", *markdown(rows)])


def predict_through(
    detector: Detector,
    estimator: ChipEstimator,
    manifest: Manifest,
    *,
    model: str = "",
    threads: int = 2,
    batch_size: int = 32,
    seed: int = 0,
    resamples: int = 1000,
    progress: Callable[[int], None] = lambda done: None,
) -> tuple[Predictions, ThroughReport]:
    """Run a model over chips that a detector first has to find in larger pictures.

    Args:
        detector: finds the faces; called from several threads.
        estimator: the model; its contract says how faces are aligned.
        manifest: of aligned chips; missing pictures are passed over.
        model: a name to keep with the predictions.
        threads: that decode, pad, detect and align.
        batch_size: chips handed to the model at once.
        seed: of the places and sizes.
        resamples: of the bootstrap.
        progress: told how many pictures were done since the last call.

    Returns:
        The predictions, in which a missed face is taken whole, and the comparison with all chips taken whole.
    """
    contract = estimator.contract

    def cut(file: str, pixels: Pixels) -> tuple[Pixels, Pixels | None]:
        picture, place = pad(pixels, np.random.default_rng([seed, zlib.crc32(os.fsencode(file))]))
        face = matching(detector.detect(picture), place)
        return resize_chip(pixels, contract), None if face is None else align(picture, face, contract)

    through, whole = AnswerCollector(estimator, batch_size), AnswerCollector(estimator, batch_size)
    missed: list[str] = []
    for file, chips in each_picture(manifest.present(), cut, threads):
        if isinstance(chips, PhotoError):
            through.add(file, chips)
        else:
            whole.add(file, chips[0])
            if chips[1] is None:
                missed.append(file)
            through.add(file, chips[0] if chips[1] is None else chips[1])
        progress(1)
    found_again, as_they_are = through.predictions(model), whole.predictions(model)
    report = crop_effects(
        as_they_are, found_again, tuple(missed), manifest, detector=detector.name, resamples=resamples
    )
    return found_again, report


def pad(chip: Pixels, rng: np.random.Generator) -> tuple[Pixels, Box]:
    """A picture around a chip, by one interpolation.

    Args:
        chip: RGB uint8 [H, W, 3].
        rng: decides the size and the place.

    Returns:
        RGB uint8 [2 sH, 2 sW, 3] for a scale s, and where the chip lies in it.
    """
    height, width = chip.shape[:2]
    scale = rng.uniform(*SCALES)
    size = round(CANVAS * scale * width), round(CANVAS * scale * height)
    left, top = rng.uniform(0, size[0] - scale * width), rng.uniform(0, size[1] - scale * height)
    # pixel centres: the chip's left edge, at -0.5, comes to lie at left - 0.5
    matrix = np.array([[scale, 0, left + (scale - 1) / 2], [0, scale, top + (scale - 1) / 2]])
    sharp = cv2.warpAffine(chip, matrix, size, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    picture = cv2.GaussianBlur(sharp, (0, 0), 0.08 * scale * width)
    inside = np.s_[round(top) : round(top + scale * height), round(left) : round(left + scale * width)]
    picture[inside] = sharp[inside]
    return picture.astype(np.uint8), Box(left, top, left + scale * width, top + scale * height)


def matching(detections: list[Detection], place: Box) -> Detection | None:
    """The detection that overlaps the chip's place best, of those that hold its centre; None if there is none."""
    x, y = (place.left + place.right) / 2, (place.top + place.bottom) / 2
    holding = [d for d in detections if d.box.left <= x <= d.box.right and d.box.top <= y <= d.box.bottom]
    return max(holding, key=lambda detection: overlap(detection.box, place), default=None)


def overlap(first: Box, second: Box) -> float:
    """Intersection over union of two boxes.

    >>> overlap(Box(0, 0, 2, 2), Box(1, 0, 3, 2))
    0.3333333333333333
    """
    wide = max(0.0, min(first.right, second.right) - max(first.left, second.left))
    high = max(0.0, min(first.bottom, second.bottom) - max(first.top, second.top))
    union = first.width * first.height + second.width * second.height - wide * high
    return wide * high / union if union > 0 else 0.0


def crop_effects(
    whole: Predictions,
    through: Predictions,
    missed: tuple[str, ...],
    manifest: Manifest,
    *,
    detector: str,
    resamples: int = 1000,
) -> ThroughReport:
    """Measure two predictions of the same pictures, in the same order, over the faces found and over all."""
    faces = manifest.named(whole.files)
    parts = {"found": ~np.isin(whole.files, np.array(missed, dtype=np.str_)), "all": np.ones(len(faces), np.bool_)}
    years = expectation(whole.pmf), expectation(through.pmf)
    female, ages = (whole.female, through.female), true_ages(faces)

    def pair(metric: Metric, sides: tuple[NDArray[Any], NDArray[Any]], labels: NDArray[Any], known: Mask) -> CropEffect:
        before, after = (side[known].astype(np.float64) for side in sides)
        truth, twins = labels[known].astype(np.float64), faces.twins[known]
        before_alone = metrics.bootstrap({"": metric}, before, truth, twins, n=resamples)[""]
        after_alone = metrics.bootstrap({"": metric}, after, truth, twins, n=resamples)[""]
        difference = metrics.paired_bootstrap(metric, before, after, truth, twins, n=resamples)
        return CropEffect(int(known.sum()), before_alone, after_alone, difference)

    mae: dict[str, CropEffect] = {}
    accuracy: dict[str, CropEffect] = {}
    for name, rows in parts.items():
        if (aged := rows & faces.aged).any():
            mae[name] = pair(metrics.mae, years, ages, aged)
        if (gendered := rows & (faces.female >= 0)).any():
            accuracy[name] = pair(metrics.accuracy, female, faces.female, gendered)
    return ThroughReport(detector, len(faces), missed, whole, mae, accuracy)
