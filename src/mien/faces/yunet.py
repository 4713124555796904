"""YuNet: one small network over the whole picture, from an ONNX file the user names.

Wu, Peng and Yu, "YuNet: A Tiny Millisecond-level Face Detector", Machine Intelligence Research 20, 2023. It runs in
ONNX Runtime and answers as OpenCV's FaceDetectorYN does, which threads cannot share and which refuses files of dynamic
input size (OpenCV 4.14: "dynamic 'zero' shapes are not supported").
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

import cv2
import numpy as np
from numpy.typing import NDArray

from mien.arrays import Singles
from mien.errors import ModelError, UsageError
from mien.faces import Detection, DetectorOptions, collect
from mien.faces.nms import suppress
from mien.faces.session import open_session
from mien.runtime import external_data
from mien.runtime.sessions import NOT_A_NETWORK, Session

STRIDES = (8, 16, 32)
OUTPUTS = [f"{kind}_{stride}" for stride in STRIDES for kind in ("cls", "obj", "bbox", "kps")]
# True faces of our photos score 0.85 and more, others at most 0.85, few of them above 0.8.
THRESHOLD = 0.8
MOST_CANDIDATES = 2000
OVERLAP = 0.45  # of the smaller box; for equal boxes an IoU of 0.3, OpenCV's default
FINEST_FACE = 20  # pixels at which the network is still sure of a face
COARSE_SIDE = 480  # it misses faces larger than this, so larger pictures are looked at in this size too


class YuNet:
    """Boxes, scores and five landmarks, by the network in `options.weights`."""

    name: ClassVar[str] = "yunet"
    aligned: ClassVar[bool] = False
    sure: ClassVar[float] = 0.88

    def __init__(self, options: DetectorOptions) -> None:
        if options.weights is None:
            raise UsageError(
                "the yunet detector needs its ONNX file: give --weights FILE (weights=... in Python), for example "
                "face_detection_yunet_2023mar.onnx of OpenCV's model zoo"
            )
        if not options.weights.is_file():
            raise ModelError(f"there is no YuNet file at {options.weights}: --weights must name an ONNX file")
        self._options = options
        self._threshold = THRESHOLD if options.threshold is None else options.threshold
        self._net = _open(options.weights, options.threads)

    def __reduce__(self) -> tuple[Any, ...]:
        assert self._options.weights is not None
        return YuNet, (replace(self._options, weights=self._options.weights.absolute()),)

    def detect(self, pixels: NDArray[np.uint8], min_face: float | None = None) -> list[Detection]:
        """Faces of an RGB picture [H, W, 3], largest box first."""
        height, width = pixels.shape[:2]
        fine = min(1.0, FINEST_FACE / (min_face or self._options.min_face))
        scales = [fine]
        if max(height, width) * fine > COARSE_SIDE * 4 / 3:
            scales.append(COARSE_SIDE / max(height, width))
        parts = [_look(self._net, pixels, scale, self._threshold) for scale in scales]
        boxes, scores, points = (np.concatenate(arrays) for arrays in zip(*parts, strict=True))
        likeliest = np.argsort(-scores, kind="stable")[:MOST_CANDIDATES]
        boxes, scores, points = boxes[likeliest], scores[likeliest], points[likeliest]
        best = suppress(boxes, scores, OVERLAP, relative_to="smaller")
        return collect(self._options, (height, width), boxes[best], scores[best], points[best], min_face=min_face)


def _open(path: Path, threads: int) -> Session:
    refusal = f"{path} is no YuNet model: --weights must name a YuNet file, with outputs cls_8 to kps_32"
    external_data.check_alone(path.absolute().read_bytes(), refusal)
    try:
        net = open_session(path.read_bytes(), threads)
    except NOT_A_NETWORK as error:
        raise ModelError(refusal) from error
    if not set(OUTPUTS) <= {output.name for output in net.get_outputs()}:
        raise ModelError(refusal)
    return net


def _look(net: Session, pixels: NDArray[np.uint8], scale: float, threshold: float) -> tuple[Singles, Singles, Singles]:
    """Boxes [N, 4], scores [N] and landmarks [N, 5, 2], in pixels of the picture, seen at one scale."""
    height, width = pixels.shape[:2]
    entry = net.get_inputs()[0]
    fixed_height, fixed_width = entry.shape[2:]
    if isinstance(fixed_height, int) and isinstance(fixed_width, int):
        scale = min(scale, fixed_height / height, fixed_width / width)
    rows, columns = max(round(height * scale), 1), max(round(width * scale), 1)
    small = cv2.resize(pixels, (columns, rows), interpolation=cv2.INTER_AREA) if scale < 1 else pixels
    # The picture lies in the top left corner of a black one whose sides the strides divide.
    frame = [
        fixed if isinstance(fixed, int) else -(-side // 32) * 32
        for fixed, side in ((fixed_height, rows), (fixed_width, columns))
    ]
    blob = np.zeros((1, 3, *frame), np.float32)
    blob[0, :, :rows, :columns] = small[:, :, ::-1].transpose(2, 0, 1)  # the network was trained on BGR, 0 to 255
    boxes, scores, points = _decode(net.run(OUTPUTS, {entry.name: blob}), frame[1], threshold)
    unit = np.array([width / columns, height / rows], np.float32)
    return boxes * np.tile(unit, 2), scores, points * unit


def _decode(outputs: list[Singles], width: int, threshold: float) -> tuple[Singles, Singles, Singles]:
    """Every cell's answer is relative to the cell and counts in strides; sizes are logarithms."""
    boxes, scores, points = [], [], []
    for index, stride in enumerate(STRIDES):
        face, thing, place, marks = (output[0] for output in outputs[4 * index : 4 * index + 4])
        score = np.sqrt(np.clip(face[:, 0], 0, 1) * np.clip(thing[:, 0], 0, 1))
        kept = np.flatnonzero(score >= threshold)
        cell = np.stack([kept % (width // stride), kept // (width // stride)], axis=1).astype(np.float32)
        centre, half = cell + place[kept, :2], np.exp(place[kept, 2:]) / 2
        boxes.append(stride * np.hstack([centre - half, centre + half]))
        scores.append(score[kept])
        points.append(stride * (cell[:, np.newaxis] + marks[kept].reshape(-1, 5, 2)))
    return np.concatenate(boxes), np.concatenate(scores), np.concatenate(points)
