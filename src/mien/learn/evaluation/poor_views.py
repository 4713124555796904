"""Small and blurred copies of held-out chips: what intervals of faces of poor quality are learned from.

Turned faces cannot be made from a picture; they take the intervals learned from these.
"""

from __future__ import annotations

import os
import zlib
from collections.abc import Callable

import cv2
import numpy as np
from numpy.typing import NDArray

from mien.arrays import Pixels
from mien.estimate.quality import SMALLEST
from mien.faces.align import CropContract, resize_chip
from mien.learn.data.manifest import Manifest
from mien.learn.data.predictions import AnswerCollector, ChipEstimator, Predictions, each_picture

TINIEST = 6.0
"""Pixels between the eyes of the smallest copies; no detector finds much smaller faces."""

BLURS = (0.015, 0.035)
"""Spread of the blur, in sides of the chip: 3 to 7 pixels at 192."""


def poor_view(chip: Pixels, contract: CropContract, rng: np.random.Generator) -> Pixels:
    """A chip as if its face were small in the photo, or out of focus; either with a chance of a half.

    Args:
        chip: RGB uint8 [S, S, 3].
        contract: its geometry, at whatever size.
        rng: source of all chance.
    """
    side = len(chip)
    if rng.random() < 0.5:
        blurred = cv2.GaussianBlur(chip, (0, 0), rng.uniform(*BLURS) * side)
        return np.asarray(blurred, np.uint8)
    (left, _), (right, _) = contract.landmarks[:2]
    small = max(4, round(rng.uniform(TINIEST, SMALLEST) * contract.size / (right - left)))
    shrunk = cv2.resize(chip, (small, small), interpolation=cv2.INTER_AREA)
    return np.asarray(cv2.resize(shrunk, (side, side), interpolation=cv2.INTER_LINEAR), np.uint8)


def predict_poor_views(
    estimator: ChipEstimator,
    faces: Manifest,
    *,
    threads: int = 2,
    progress: Callable[[int], None] = lambda done: None,
) -> Predictions:
    """Answers for one poor view of each picture of a manifest; the same each time."""
    contract = estimator.contract

    def spoilt(file: str, pixels: NDArray[np.uint8]) -> Pixels:
        rng = np.random.default_rng([0, zlib.crc32(os.fsencode(file))])
        return resize_chip(poor_view(pixels, contract, rng), contract)

    answers = AnswerCollector(estimator, 32)
    for file, chip in each_picture(faces.present(), spoilt, threads):
        answers.add(file, chip)
        progress(1)
    return answers.predictions("")
