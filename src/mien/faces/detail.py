"""Where a picture has detail enough for a face: smooth parts (sky, walls, what is out of focus) need no look."""

from __future__ import annotations

from collections.abc import Iterator

import cv2
import numpy as np
from numpy.typing import NDArray

# A face of 12 pixels has a dozen pixels that differ from one of their neighbours by 59 of 255 or more, at half the
# light by 27 (the least of 184 chips of UTKFace that P-Net sees).
_STEP = 24
_PIXELS = 12
_WIDE, _HIGH = 32, 16  # pixels of a block, which is looked at whole or not at all


def busy_parts(picture: NDArray[np.uint8], window: int, stride: int) -> Iterator[tuple[int, int, int, int]]:
    """The parts of a picture where a window may hold a face.

    Args:
        picture: [H, W, 3].
        window: side of the window in pixels.
        stride: its step; blocks are multiples of it.

    Yields:
        Left, top, right and bottom of parts, each of which is to be seen by all windows that begin in it. None touches
        another from above or below.
    """
    grey = cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY)
    steps = cv2.morphologyEx(grey, cv2.MORPH_GRADIENT, np.ones((3, 3), np.uint8)) >= _STEP
    counts = cv2.boxFilter(
        steps.astype(np.float32), -1, (window, window), anchor=(0, 0), normalize=False, borderType=cv2.BORDER_CONSTANT
    )
    busy = counts[::stride, ::stride] >= _PIXELS
    wide, high = _WIDE // stride, _HIGH // stride
    framed = np.pad(busy, ((0, -busy.shape[0] % high), (0, -busy.shape[1] % wide)))
    blocks = framed.reshape(framed.shape[0] // high, high, framed.shape[1] // wide, wide).any(axis=(1, 3))
    for column, rows in enumerate(np.asarray(blocks).T):
        edges = np.flatnonzero(np.diff(np.pad(rows.astype(np.int8), 1)))
        for top, bottom in edges.reshape(-1, 2).tolist():
            yield column * _WIDE, top * _HIGH, (column + 1) * _WIDE, bottom * _HIGH
