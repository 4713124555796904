"""A picture halved again and again, so that shrinking any part of it costs little and does not alias."""

from __future__ import annotations

import math

import cv2
import numpy as np
from numpy.typing import NDArray


class Pyramid:
    """Octaves of one picture: octave k is the picture averaged over squares of 2^k pixels.

    Shrinking straight from the full picture reads all of it for every level of a cascade and for every large candidate;
    on a 640x480 photo that alone took longer than the networks.
    """

    def __init__(self, pixels: NDArray[np.uint8], smallest: int) -> None:
        """Halves until neither side is longer than `smallest`."""
        self.height, self.width = pixels.shape[:2]
        self.octaves = [pixels]
        while max(pixels.shape[:2]) > smallest:
            pixels = _halve(pixels)
            self.octaves.append(pixels)

    def shrink(self, width: int, height: int) -> NDArray[np.uint8]:
        """The whole picture at this size, from the smallest octave that is at least as large."""
        octave = math.floor(math.log2(max(min(self.width / width, self.height / height), 1)))
        octave = min(octave, len(self.octaves) - 1)
        return np.asarray(cv2.resize(self.octaves[octave], (width, height), interpolation=cv2.INTER_AREA), np.uint8)

    def crop(self, squares: NDArray[np.float32], size: int) -> NDArray[np.uint8]:
        """Square parts, each brought to `size` pixels in one bilinear warp; black outside the picture.

        The octave nearest in resolution is read, so a warp shrinks or enlarges by at most the root of two.

        Args:
            squares: [N, 4] left, top, right, bottom, of equal width and height.
            size: side of the crops.

        Returns:
            [N, size, size, 3].
        """
        crops = np.empty((len(squares), size, size, 3), dtype=np.uint8)
        for crop, (left, top, right, _) in zip(crops, squares.tolist(), strict=True):
            step = max(right - left, 1.0) / size
            octave = min(max(round(math.log2(step)), 0), len(self.octaves) - 1)
            source, unit = self.octaves[octave], 2.0**octave
            # OpenCV warps no picture of more than 32,767 pixels a side: give it the part in question.
            x, y = (
                int(min(max(edge // unit - 2, 0), limit - 1))
                for edge, limit in ((left, source.shape[1]), (top, source.shape[0]))
            )
            part = source[y : y + 2 * size, x : x + 2 * size]
            # The centre of crop pixel u is left + (u + 0.5) * step in the picture; OpenCV counts from the centre of the
            # first pixel.
            matrix = np.array(
                [
                    [step / unit, 0, (left + step / 2) / unit - 0.5 - x],
                    [0, step / unit, (top + step / 2) / unit - 0.5 - y],
                ]
            )
            cv2.warpAffine(part, matrix, (size, size), dst=crop, flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP)
        return crops


def _halve(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    height, width = pixels.shape[:2]
    if height % 2 or width % 2:
        pixels = cv2.copyMakeBorder(pixels, 0, height % 2, 0, width % 2, cv2.BORDER_REPLICATE)  # type: ignore[assignment]
    size = (pixels.shape[1] // 2, pixels.shape[0] // 2)
    return np.asarray(cv2.resize(pixels, size, interpolation=cv2.INTER_AREA), dtype=np.uint8)
