"""The chips of faces that were found, cut again from the decoded picture: what the model saw."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from mien.faces import Detection
from mien.faces.align import align, resize_chip
from mien.results import Box, Face

if TYPE_CHECKING:
    from mien.analyzer import Analyzer
    from mien.photos.decode import Picture


def cut(analyzer: Analyzer, faces: Sequence[Face], picture: Picture) -> NDArray[np.uint8]:
    """Chips uint8 [N, S, S, 3] of faces, whose boxes and points are in pixels of the full-size photo."""
    contract, scale = analyzer.estimator.contract, picture.scale
    chips = []
    for face in faces:
        if analyzer.detector.aligned:
            chips.append(resize_chip(picture.pixels, contract))
            continue
        box = Box(face.box.left * scale, face.box.top * scale, face.box.right * scale, face.box.bottom * scale)
        landmarks = face.landmarks and tuple((x * scale, y * scale) for x, y in face.landmarks)
        chips.append(align(picture.pixels, Detection(box, face.score, landmarks), contract))
    return np.asarray(chips, np.uint8).reshape(-1, contract.size, contract.size, 3)
