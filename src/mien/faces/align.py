"""The crop contract, and cutting a face out of a photo so that it holds.

A chip shows every face in the same place: both eyes, the nose and the corners of the mouth lie as near as a similarity
(rotation, one scale, shift) can bring them to the points of the contract. Models are trained on such chips and answer
well only on such chips, so the contract is stored with the model. Coordinates are continuous, as in `mien.faces`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from mien.faces import Detection
from mien.native import Record
from mien.results import Box, Point

UTKFACE_SIZE = 200
UTKFACE_POINTS: tuple[Point, ...] = ((59.9, 56.9), (140.1, 56.9), (100, 105.3), (64.2, 139.8), (135.8, 139.8))
"""Left eye, right eye, nose, left and right mouth corner on the 200-pixel chips of UTKFace.

Medians of what our MTCNN sees on 394 padded chips and their mirror images, spread by 1.5 % about their centre: the
points of single faces scatter, which makes a least-squares similarity shrink, and the median face shall keep its size.
"""

BOX_CENTRE: Point = (100, 83.5)
BOX_SIDE = 216
"""Where Haar's square box lies on such a chip: midway between its medians on 246 padded chips (82; 209) and, seen from
MTCNN's landmarks, on 43 faces of photos (85; 223)."""


LARGEST_CHIP = 1024
"""Pixels along a side: the largest chips of published networks have 600."""


@dataclass(frozen=True, slots=True)
class CropContract(Record):
    """Geometry of a chip.

    Attributes:
        size: side in pixels.
        landmarks: left eye, right eye, nose, left and right mouth corner on a chip of that size.
    """

    size: int
    landmarks: tuple[Point, ...]

    @classmethod
    def utkface(cls, size: int = UTKFACE_SIZE) -> CropContract:
        """The geometry of UTKFace's chips, scaled.

        >>> CropContract.utkface(400).landmarks[2]
        (200.0, 210.6)
        """
        scale = size / UTKFACE_SIZE
        return cls(size, tuple((x * scale, y * scale) for x, y in UTKFACE_POINTS))

    @classmethod
    def from_dict(cls, record: dict[str, Any]) -> CropContract:
        """Read what `to_dict` gave.

        Raises:
            ValueError: these are not five points, or the size is no positive number of pixels.
        """
        size, points = record["size"], record["landmarks"]
        if not isinstance(size, int) or isinstance(size, bool) or not 1 <= size <= LARGEST_CHIP:
            size = None
        if size is None or len(points) != len(UTKFACE_POINTS):
            points_wanted = len(UTKFACE_POINTS)
            raise ValueError(f"a contract has a size of 1 to {LARGEST_CHIP} whole pixels and {points_wanted} landmarks")
        landmarks = tuple((float(x), float(y)) for x, y in points)
        if not all(abs(number) <= 10 * size for point in landmarks for number in point):  # nor is one no number
            raise ValueError("the landmarks of a contract lie on the chip or near it")
        return cls(size, landmarks)


def align(pixels: NDArray[np.uint8], detection: Detection, contract: CropContract) -> NDArray[np.uint8]:
    """Cut one face.

    Args:
        pixels: RGB [H, W, 3].
        detection: the face, in pixels of this array.
        contract: where its points shall lie.

    Returns:
        RGB chip uint8 [size, size, 3]; what lies outside the photo repeats its border.
    """
    points = detection.landmarks or points_in_box(detection.box)
    return warp(pixels, similarity(np.array(points), np.array(contract.landmarks)), contract.size)


def similarity(source: NDArray[np.floating[Any]], target: NDArray[np.floating[Any]]) -> NDArray[np.float64]:
    """The similarity that brings points nearest to others, in least squares, without mirroring.

    Umeyama, "Least-squares estimation of transformation parameters between two point patterns", TPAMI 13(4), 1991.

    Args:
        source: points [N, 2], N >= 2.
        target: where they shall go, [N, 2].

    Returns:
        Matrix [2, 3]: scaled rotation and shift. Points that all fall on one spot are taken there unscaled.
    """
    source, target = np.asarray(source, np.float64), np.asarray(target, np.float64)
    centre, goal = source.mean(axis=0), target.mean(axis=0)
    a, b = source - centre, target - goal
    spread = (a**2).sum()
    if spread == 0:
        linear = np.eye(2)
    else:  # in the plane the best scaled rotation is a quotient of complex numbers
        cosine, sine = (a * b).sum() / spread, (a[:, 0] * b[:, 1] - a[:, 1] * b[:, 0]).sum() / spread
        linear = np.array([[cosine, -sine], [sine, cosine]])
        if math.hypot(cosine, sine) == 0:
            linear = np.eye(2)
    return np.column_stack([linear, goal - linear @ centre])


def warp(pixels: NDArray[np.uint8], matrix: NDArray[np.float64], size: int) -> NDArray[np.uint8]:
    """Picture under a similarity, cut to [size, size, 3] at the origin.

    One interpolation. Where a face is shrunk, plain bilinear sampling would skip pixels and show stripes and grain that
    are not in the face, and texture is what tells age. So the part of the photo under the chip is first averaged over
    whole squares of pixels, as many as fit into a chip pixel; what is left to shrink, less than by two, is sampled
    four times a chip pixel and averaged. That takes about a millisecond, however large the face.
    """
    scale = math.hypot(matrix[0, 0], matrix[1, 0])
    linear, shift = matrix[:, :2], matrix[:, 2]
    square = max(math.floor(1 / scale + 1e-6), 1)
    pixels, corner = _averaged(pixels, matrix, size, square)
    linear, shift = linear * square, shift + linear @ corner
    samples = 2 if scale * square < 1 - 1e-6 else 1
    # OpenCV counts from pixel centres, (0, 0) being that of the first pixel: half a pixel off on either side.
    centred = np.column_stack([samples * linear, samples * (linear @ (0.5, 0.5) + shift) - 0.5])
    side = size * samples
    fine = cv2.warpAffine(pixels, centred, (side, side), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    if samples > 1:
        fine = cv2.resize(fine, (size, size), interpolation=cv2.INTER_AREA)
    return np.asarray(fine, np.uint8)


def _averaged(
    pixels: NDArray[np.uint8], matrix: NDArray[np.float64], size: int, square: int
) -> tuple[NDArray[np.uint8], NDArray[np.float64]]:
    """The part of a photo under a chip, averaged over squares of `square` pixels, and its top left corner (x, y)."""
    height, width = pixels.shape[:2]
    corners = np.array([(0, 0), (size, 0), (0, size), (size, size)], np.float64)
    under = np.linalg.solve(matrix[:, :2], (corners - matrix[:, 2]).T).T
    limit = np.array([width, height])
    low = np.clip(np.floor(under.min(axis=0)) - square, 0, limit - 1).astype(int)
    high = np.clip(np.ceil(under.max(axis=0)) + square, low + 1, limit).astype(int)
    part = pixels[low[1] : high[1], low[0] : high[0]]
    if square > 1:
        lacking = -(high - low) % square  # at the right and lower edge of the photo the border repeats, as in the warp
        part = np.asarray(cv2.copyMakeBorder(part, 0, lacking[1], 0, lacking[0], cv2.BORDER_REPLICATE), np.uint8)
        columns, rows = part.shape[1] // square, part.shape[0] // square
        part = np.asarray(cv2.resize(part, (columns, rows), interpolation=cv2.INTER_AREA), np.uint8)
    return part, low.astype(np.float64)


def points_in_box(box: Box) -> tuple[Point, ...]:
    """The five points that a frontal face in this box has on average; for detectors that give no landmarks.

    The box is taken as the square around its centre with its mean side, since faces are cut by one scale.
    """
    unit = (box.width + box.height) / 2 / BOX_SIDE
    left = (box.left + box.right) / 2 - BOX_CENTRE[0] * unit
    top = (box.top + box.bottom) / 2 - BOX_CENTRE[1] * unit
    return tuple((left + x * unit, top + y * unit) for x, y in UTKFACE_POINTS)


def resize_chip(pixels: NDArray[np.uint8], contract: CropContract) -> NDArray[np.uint8]:
    """A picture that is an aligned chip already, at the size of the contract.

    Args:
        pixels: RGB [H, W, 3]; a picture that is not square is squeezed.
        contract: gives the size.
    """
    if pixels.shape[:2] == (contract.size, contract.size):
        return pixels
    shrinks = min(pixels.shape[:2]) >= contract.size
    way = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(pixels, (contract.size, contract.size), interpolation=way), np.uint8)
