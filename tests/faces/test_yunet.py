"""YuNet's file: refused with a sentence when it is missing or something else; answers as OpenCV's."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from mien.errors import ModelError, UsageError
from mien.faces import DetectorOptions, create
from mien.faces.mtcnn import weights_folder

Pixels = NDArray[np.uint8]


def test_without_a_file_it_says_how_to_give_one() -> None:
    with pytest.raises(UsageError, match="--weights FILE"):
        create("yunet")


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"no YuNet file at .*nothing\.onnx"):
        create("yunet", DetectorOptions(weights=tmp_path / "nothing.onnx"))


@pytest.mark.parametrize("content", [b"", b"no model", b"another"])
def test_a_file_that_is_no_yunet_is_refused(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "wrong.onnx"
    file.write_bytes((weights_folder() / "rnet.onnx").read_bytes() if content == b"another" else content)
    with pytest.raises(ModelError, match=r"wrong\.onnx is no YuNet model"):
        create("yunet", DetectorOptions(weights=file)).detect(np.zeros((40, 40, 3), np.uint8))


@pytest.fixture
def dynamic(shared: Path) -> Path:
    return shared / "pretrained" / "yunet" / "yunet_n_dynamic.onnx"


@pytest.fixture
def fixed(dynamic: Path, tmp_path: Path) -> Path:
    """The same network with an input of 640 x 640, as OpenCV's model zoo has it."""
    onnx = pytest.importorskip("onnx")
    model = onnx.load(dynamic)
    for axis, size in zip(model.graph.input[0].type.tensor_type.shape.dim, (1, 3, 640, 640), strict=True):
        axis.ClearField("dim_param")
        axis.dim_value = size
    onnx.save(model, tmp_path / "fixed.onnx")
    return tmp_path / "fixed.onnx"


def test_answers_as_opencv_does(fixed: Path, hopper: Pixels) -> None:
    picture = np.zeros((640, 640, 3), np.uint8)
    picture[:600, :512] = hopper[:, :, ::-1]
    theirs = cv2.FaceDetectorYN.create(str(fixed), "", (640, 640), 0.8, 0.3).detect(picture)[1][0]
    (ours,) = create("yunet", DetectorOptions(weights=fixed, min_face=20)).detect(hopper)
    box = [ours.box.left, ours.box.top, ours.box.width, ours.box.height]
    np.testing.assert_allclose(box, theirs[:4], atol=0.5)
    np.testing.assert_allclose(np.array(ours.landmarks).ravel(), theirs[4:14], atol=0.5)
    assert ours.score == pytest.approx(theirs[14], abs=0.01)


def test_a_fixed_input_takes_pictures_of_any_size(fixed: Path, dynamic: Path, hopper: Pixels) -> None:
    large = np.ascontiguousarray(np.repeat(np.repeat(hopper, 3, axis=0), 3, axis=1))
    (through,) = create("yunet", DetectorOptions(weights=fixed)).detect(large)
    (free,) = create("yunet", DetectorOptions(weights=dynamic)).detect(large)
    assert np.abs(np.array(through.landmarks) - np.array(free.landmarks)).max() < 0.15 * free.box.width


def test_a_very_large_face_is_one_face(dynamic: Path, hopper: Pixels) -> None:
    face = np.ascontiguousarray(hopper[60:380, 130:400])
    large = np.asarray(cv2.resize(face, None, fx=5, fy=5, interpolation=cv2.INTER_CUBIC), np.uint8)
    (found,) = create("yunet", DetectorOptions(weights=dynamic)).detect(large)
    assert found.box.height > 800
