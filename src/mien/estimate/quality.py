"""Quality of the view of a face: its size in the photo, its sharpness, and its turn in degrees.

Estimates of small, blurred and turned faces are worse than the model knows, because it learned from few of them. They
are flagged, and their intervals are widened by what was learned on such faces (`Calibration.doubtful`).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import cv2
import numpy as np
from numpy.typing import NDArray

from mien.faces.align import CropContract, similarity
from mien.results import Point, Quality

SMALLEST = 16.0
"""Pixels between the eyes of a frontal face below which it is "small": there the MAE of mien-m is a seventh up."""

DULLEST = 0.14
"""Sharpness below which a chip is "blurred": 1.5 % of UTKFace's are, and 97 % of them under a Gaussian blur of 3.5
pixels (at a side of 192), where the MAE of mien-m is a third up."""

MOST_TURNED = 35.0
"""Degrees of turn to either side above which a face is "turned"."""

FLAGS = ("small", "blurred", "turned")

VAGUE = "vague"
"""Flag of a face whose age can be almost any, so that it is perhaps none: a knee, a drawing, the back of a head."""

WIDEST = 60.0
"""Years that the 90 % interval of a face has at most, lest it be "vague"."""

VAGUE_SENTENCE = "its age could be almost any: the model cannot tell, and perhaps this is no face"

_NOSE_DEPTH = 0.6
"""How far the tip of the nose lies before the line from the eyes to the mouth, in lengths of that line (R_n of Gee and
Cipolla)."""


def judge(chip: NDArray[np.uint8], eyes: float, turned: float | None) -> Quality:
    """Quality of one face.

    Args:
        chip: RGB uint8 [S, S, 3], cut to the contract.
        eyes: pixels between the eyes in the photo, as `eye_distance` gives them.
        turned: degrees, as `turn` gives them; None where the detector finds no landmarks.

    Returns:
        The measures, and what of `FLAGS` holds.
    """
    sharp = sharpness(chip)
    found = (eyes < SMALLEST, sharp < DULLEST, turned is not None and abs(turned) > MOST_TURNED)
    return Quality(eyes, sharp, turned, tuple(flag for flag, holds in zip(FLAGS, found, strict=True) if holds))


def marked(quality: Quality, width: float) -> Quality:
    """The quality with the flag "vague" where the 90 % interval is so many years wide.

    >>> marked(Quality(40.0, 0.4, None), 99.0).flags, marked(Quality(40.0, 0.4, None), 20.0).flags
    (('vague',), ())
    """
    return replace(quality, flags=(*quality.flags, VAGUE)) if width > WIDEST else quality


def eye_distance(landmarks: Sequence[Point], contract: CropContract) -> float:
    """Pixels between the eyes that this face would have if it looked at the camera.

    All five points count, so that a face in profile, whose eyes lie close together, does not pass for a small one.

    >>> contract = CropContract.utkface()
    >>> round(eye_distance([(2 * x, 2 * y) for x, y in contract.landmarks], contract), 1)
    160.4
    """
    matrix = similarity(np.array(landmarks), np.array(contract.landmarks))
    return _eyes(contract) / math.hypot(matrix[0, 0], matrix[1, 0])


def eye_distance_of_chip(side: float, contract: CropContract) -> float:
    """Distance between the eyes in pixels on a picture of `side` pixels that is an aligned chip already."""
    return _eyes(contract) * side / contract.size


def turn(landmarks: Sequence[Point]) -> float:
    """About how many degrees a face is turned, from where the nose lies between eyes and mouth.

    The tip of the nose stands before the plane of eyes and mouth, so that it moves to one side as the head turns (Gee
    and Cipolla, "Determining the gaze of faces in images", Image and Vision Computing 1994).

    Args:
        landmarks: left eye, right eye, nose, left and right mouth corner as seen in the picture.

    Returns:
        Degrees, above 0 to the right of the picture; 90 where the points make no face.

    >>> turn([(60, 60), (140, 60), (100, 105), (65, 140), (135, 140)])
    0.0
    """
    points = np.asarray(landmarks, np.float64)
    eyes, mouth = points[:2].mean(axis=0), points[3:].mean(axis=0)
    down = mouth - eyes
    height = float(np.hypot(*down))
    if height == 0:
        return 90.0
    right = np.array([down[1], -down[0]]) / height
    offset = float((points[2] - (eyes + mouth) / 2) @ right)
    return math.degrees(math.asin(max(-1.0, min(1.0, offset / (_NOSE_DEPTH * height)))))


def sharpness(chip: NDArray[np.uint8]) -> float:
    """Fine detail in the inner part of a chip, as a share of the coarser detail there.

    What differs between blurs of 1 and 2 pixels, over what differs between 2 and 8 (at a side of 192): a ratio of two
    bands of the picture, so that neither light nor contrast matters, as they do for the usual variance of the
    Laplacian.
    """
    grey = cv2.cvtColor(chip, cv2.COLOR_RGB2GRAY).astype(np.float32)
    border, unit = len(grey) // 8, max(0.5, len(grey) / 192)  # a blur of much less than a pixel does nothing
    inner = grey[border:-border, border:-border] if border else grey
    fine, middle, coarse = (cv2.GaussianBlur(inner, (0, 0), blur * unit) for blur in (1, 2, 8))
    rest = float((middle - coarse).std())
    return 0.0 if rest < 1e-3 else float((fine - middle).std()) / rest


def _eyes(contract: CropContract) -> float:
    left, right = contract.landmarks[:2]
    return math.dist(left, right)


def doubtful(qualities: Sequence[Quality]) -> NDArray[np.bool_]:
    """[N] whether each face has a flag."""
    return np.array([bool(quality.flags) for quality in qualities], dtype=np.bool_)
