"""Viola and Jones's boosted cascade of Haar-like features, with the file OpenCV ships.

Viola and Jones, "Rapid Object Detection using a Boosted Cascade of Simple Features", CVPR 2001. It sees frontal faces
only and finds no landmarks: `mien.faces.align` then works from the box.
"""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any, ClassVar

import cv2
import numpy as np
from numpy.typing import NDArray

from mien.errors import ModelError
from mien.faces import BELOW, Detection, DetectorOptions, collect
from mien.names import plain_name

CASCADE = Path(cv2.__file__).parent / "data" / "haarcascade_frontalface_alt2.xml"
SCALE_STEP = 1.1
EVEN_ODDS = 4  # windows; of the faces of our photos 40 of 43 have as many, and two places that are no faces
THRESHOLD = 0.5


class Haar:
    """Square boxes; the score of n agreeing windows is n / (n + 4)."""

    name: ClassVar[str] = "haar"
    aligned: ClassVar[bool] = False
    sure: ClassVar[float] = 0.8

    def __init__(self, options: DetectorOptions) -> None:
        if not CASCADE.is_file():
            raise ModelError(f"OpenCV's file {CASCADE} is missing: pip install 'opencv-python-headless<5'")
        self._options = options
        self._threshold = THRESHOLD if options.threshold is None else options.threshold
        self._local = threading.local()

    def __reduce__(self) -> tuple[Any, ...]:
        return Haar, (self._options,)

    def detect(self, pixels: NDArray[np.uint8], min_face: float | None = None) -> list[Detection]:
        """Faces of an RGB picture [H, W, 3], largest box first."""
        side = self._options.min_face if min_face is None else round(BELOW * min_face)
        squares, windows = self._cascade().detectMultiScale2(
            cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY), SCALE_STEP, minNeighbors=1, minSize=(side, side)
        )
        corners = np.asarray(squares, np.float32).reshape(-1, 4)
        count = np.asarray(windows, np.float32).reshape(-1)
        score = count / (count + EVEN_ODDS)
        boxes = np.hstack([corners[:, :2], corners[:, :2] + corners[:, 2:]])
        kept = score >= self._threshold
        return collect(self._options, pixels.shape[:2], boxes[kept], score[kept], min_face=min_face)

    def _cascade(self) -> cv2.CascadeClassifier:
        """One per thread: a classifier keeps the picture it works on."""
        if not hasattr(self._local, "cascade"):
            with plain_name(CASCADE, ModelError) as name:
                self._local.cascade = cv2.CascadeClassifier(name)
        cascade: cv2.CascadeClassifier = self._local.cascade
        return cascade
