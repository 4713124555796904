"""Intel's age-gender-recognition-retail-0013 in OpenVINO, behind one of Intel's face detectors.

The files are the user's: `--models DIR` is a folder, searched with all below it, that holds
`age-gender-recognition-retail-0013.xml` and one of the detectors below, each with its `.bin`, as the Open Model Zoo's
downloader lays them out. A face is cut as the Zoo's interactive face detection demo does by default: a square around
the middle of the box, 1.2 times its longer side. Detections under 0.5, the same demo's threshold, do not count.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import openvino  # type: ignore[import-not-found]
from benchmarks.peers.adapters.protocol import Face, Peer, Unusable, face, serve
from numpy.typing import NDArray

ATTRIBUTES = "age-gender-recognition-retail-0013"
DETECTORS = ("face-detection-retail-0004", "face-detection-adas-0001")
"""In order of preference; both answer [1, 1, N, 7]: image, label, score, left, top, right, bottom as shares."""

THRESHOLD = 0.5
ENLARGE = 1.2

Picture = NDArray[np.uint8]


def load(options: argparse.Namespace) -> Peer:
    """Both networks on one thread."""
    if not options.models:
        raise Unusable("files not supplied")
    folder = Path(options.models)
    detectors = [path for name in DETECTORS if (path := find(folder, name))]
    attributes = find(folder, ATTRIBUTES)
    if attributes is None or not (detectors or options.whole):
        wanted = ATTRIBUTES if attributes is None else " or ".join(DETECTORS)
        raise Unusable(f"no {wanted}.xml with its .bin in {folder}")
    core = openvino.Core()
    threads = {"INFERENCE_NUM_THREADS": 1, "NUM_STREAMS": 1}
    estimate = core.compile_model(attributes, "CPU", threads)
    detect = None if options.whole else core.compile_model(detectors[0], "CPU", threads)

    def answer(path: str) -> list[Face]:
        picture = cv2.imread(path)
        if picture is None:
            raise OSError(f"cannot read {path}")
        pixels = picture.astype(np.uint8, copy=False)
        height, width = pixels.shape[:2]
        boxes = [(0.0, 0.0, float(width), float(height))] if detect is None else search(detect, pixels)
        return [attribute(estimate, pixels, box, cut=detect is not None) for box in boxes]

    finder = "" if options.whole else detectors[0].stem + "; "
    return Peer(answer, ("openvino", "opencv-python-headless", "numpy"), f"{finder}INFERENCE_NUM_THREADS=1")


def find(folder: Path, name: str) -> Path | None:
    """The network's file, that of the highest precision if there are several."""
    found = [path for path in sorted(folder.rglob(f"{name}.xml")) if path.with_suffix(".bin").is_file()]
    return min(found, key=lambda path: "FP32" not in path.parts, default=None)


def search(network: Any, picture: Picture) -> list[tuple[float, float, float, float]]:
    """Boxes of faces in pixels."""
    height, width = picture.shape[:2]
    found = network(blob(picture, network.input(0).shape))[network.output(0)].reshape(-1, 7)
    boxes = []
    for image, _, score, *edges in found.tolist():
        if image < 0:  # marks the end of the list
            break
        if score >= THRESHOLD:
            left, top, right, bottom = (min(max(edge, 0.0), 1.0) for edge in edges)
            boxes.append((left * width, top * height, right * width, bottom * height))
    return boxes


def attribute(network: Any, picture: Picture, box: tuple[float, float, float, float], *, cut: bool) -> Face:
    """Age and gender of the face in a box."""
    outputs = network(blob(crop(picture, box) if cut else picture, network.input(0).shape))
    values = [outputs[output].ravel() for output in network.outputs]  # told by size: their names vary with the version
    years = next(value for value in values if value.size == 1)[0] * 100
    female, male = next(value for value in values if value.size == 2)
    return face(box, years, "male" if male > female else "female", max(female, male))


def crop(picture: Picture, box: tuple[float, float, float, float]) -> Picture:
    """The enlarged square, what of it lies inside of the picture."""
    left, top, right, bottom = box
    half = ENLARGE * max(right - left, bottom - top) / 2
    x, y = (left + right) / 2, (top + bottom) / 2
    return picture[max(0, round(y - half)) : max(1, round(y + half)), max(0, round(x - half)) : max(1, round(x + half))]


def blob(picture: Picture, shape: Any) -> NDArray[np.float32]:
    """BGR [H, W, 3] as float32 [1, 3, h, w], resized."""
    _, _, height, width = list(shape)
    resized = cv2.resize(picture, (width, height))
    return np.ascontiguousarray(resized.transpose(2, 0, 1)[None], dtype=np.float32)


if __name__ == "__main__":
    serve(load)
