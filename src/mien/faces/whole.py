"""No search: the picture already is an aligned chip, as in most data sets of faces."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from mien.faces import Detection, DetectorOptions
from mien.results import Box


class Whole:
    """One face in every picture, as large as the picture; limits and thresholds do not apply."""

    name: ClassVar[str] = "whole"
    aligned: ClassVar[bool] = True
    sure: ClassVar[float] = 0.0

    def __init__(self, options: DetectorOptions) -> None:
        self._options = options

    def detect(self, pixels: NDArray[np.uint8], min_face: float | None = None) -> list[Detection]:
        """The picture [H, W, 3] as one detection, without score and landmarks."""
        height, width = pixels.shape[:2]
        return [Detection(Box(0.0, 0.0, float(width), float(height)), score=None, landmarks=None)]
