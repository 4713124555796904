import json
from pathlib import Path
from typing import Any, ClassVar

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from mien.estimate.bundle import read as read_bundle
from mien.estimate.calibrate import expectation
from mien.estimate.estimator import Estimator
from mien.faces import Detection
from mien.faces.align import CropContract, align
from mien.learn.data.manifest import Manifest
from mien.learn.data.readers import read
from mien.learn.evaluation.through_detector import matching, overlap, pad, predict_through
from mien.results import Box

Pixels = NDArray[np.uint8]

DOTS = ((250, 0, 0), (0, 250, 0), (0, 0, 250), (250, 250, 0), (250, 0, 250))
"""Colours of the five landmarks of the drawn faces: nothing else in them is as colourful."""


def face(brightness: float) -> Pixels:
    """A chip: a grey slope with a dot on each landmark."""
    slope = np.linspace(brightness - 20, brightness + 20, 200)
    chip = np.repeat(np.tile(slope, (200, 1))[:, :, None], 3, axis=2).astype(np.uint8)
    for (x, y), colour in zip(CropContract.utkface().landmarks, DOTS, strict=True):
        cv2.circle(chip, (round(x), round(y)), 5, colour, -1)
    return chip


class DotDetector:
    """Finds drawn faces by their dots, and reports a distraction as the largest."""

    name: ClassVar[str] = "dots"
    aligned: ClassVar[bool] = False

    def detect(self, pixels: Pixels, min_face: float | None = None) -> list[Detection]:
        points = []
        for colour in np.array(DOTS):
            near = cv2.inRange(pixels, np.clip(colour - 60, 0, 255), np.clip(colour + 60, 0, 255))
            rows, columns = np.nonzero(near)
            if len(rows) < 20:
                return [Detection(Box(0, 0, 1, 1), 0.9, None)]
            points.append((float(columns.mean()) + 0.5, float(rows.mean()) + 0.5))
        x, y = np.mean(points, axis=0)
        return [
            Detection(Box(0, 0, 1, 1), 0.9, None),
            Detection(Box(x - 60, y - 60, x + 60, y + 60), 0.9, tuple(points)),
        ]


@pytest.fixture
def chips(tmp_path: Path) -> Manifest:
    """Four drawn faces, one without dots, one broken, one gone."""
    for i, brightness in enumerate((60, 90, 120, 150)):
        Image.fromarray(face(brightness)).save(tmp_path / f"{i}.png")
    Image.new("RGB", (200, 200), (100, 100, 100)).save(tmp_path / "plain.png")
    (tmp_path / "broken.png").write_bytes(b"no picture")
    rows = ["0.png,20,0", "1.png,30,0", "2.png,44,1", "3.png,52,", "plain.png,39,1", "broken.png,5,1", "gone.png,5,1"]
    (tmp_path / "t.csv").write_text("\n".join(["file,age,gender", *rows]), encoding="utf-8")
    return read(tmp_path / "t.csv")


@pytest.mark.parametrize("seed", range(6))
def test_padding_says_where_the_chip_lies(seed: int) -> None:
    chip = face(120)
    picture, place = pad(chip, np.random.default_rng(seed))
    scale = place.width / 200
    assert 1 <= scale <= 1.5
    assert picture.shape == (round(400 * scale), round(400 * scale), 3)
    assert place.left >= -1e-9
    assert place.right <= picture.shape[1] + 1
    points = DotDetector().detect(picture)[1].landmarks
    assert points is not None
    for (x, y), (template_x, template_y) in zip(points, CropContract.utkface().landmarks, strict=True):
        assert x == pytest.approx(place.left + (round(template_x) + 0.5) * scale, abs=0.6)
        assert y == pytest.approx(place.top + (round(template_y) + 0.5) * scale, abs=0.6)


def test_padding_goes_on_with_the_chips_border_smoothly() -> None:
    chip = np.full((200, 200, 3), 90, np.uint8)
    chip[:, :100] = 30
    picture, place = pad(chip, np.random.default_rng(0))
    row = picture[round((place.top + place.bottom) / 2), :, 0].astype(int)
    assert (row[: round(place.left)] < 40).all()
    assert (row[round(place.right) :] > 80).all()
    assert set(picture.reshape(-1, 3)[:, 0].tolist()) <= set(range(29, 92))


def test_place_and_size_vary_with_the_seed_only() -> None:
    first, again, other = (pad(face(100), np.random.default_rng(seed)) for seed in (1, 1, 2))
    assert first[1] == again[1] != other[1]
    np.testing.assert_array_equal(first[0], again[0])


@pytest.mark.parametrize("seed", range(3))
def test_alignment_gives_the_chip_back(seed: int) -> None:
    chip, contract = face(120), CropContract.utkface(96)
    picture, place = pad(chip, np.random.default_rng(seed))
    found = matching(DotDetector().detect(picture), place)
    assert found is not None
    small = cv2.resize(chip, (96, 96), interpolation=cv2.INTER_AREA)
    difference = np.abs(align(picture, found, contract).astype(int) - small)
    assert difference.mean() < 3
    assert np.median(difference) <= 1


def test_the_detection_over_the_chip_is_taken_not_the_largest_or_first() -> None:
    place = Box(100, 100, 300, 300)
    right = Detection(Box(140, 130, 260, 280), 0.7, None)
    others = [
        Detection(Box(0, 0, 400, 400), 0.99, None),
        Detection(Box(190, 190, 210, 210), 0.99, None),
        Detection(Box(100, 100, 195, 300), 0.99, None),  # beside the centre
    ]
    assert matching([*others, right], place) is right
    assert matching([others[2]], place) is None
    assert matching([], place) is None


def test_overlap_of_boxes_apart_and_without_area() -> None:
    assert overlap(Box(0, 0, 1, 1), Box(2, 2, 3, 3)) == 0
    assert overlap(Box(0, 0, 0, 0), Box(0, 0, 0, 0)) == 0
    assert overlap(Box(0, 0, 4, 4), Box(0, 0, 4, 4)) == 1


def test_through_a_detector_and_whole(chips: Manifest, tiny_bundle: Path) -> None:
    ticks: list[int] = []
    estimator = Estimator(read_bundle(tiny_bundle))
    through, report = predict_through(
        DotDetector(), estimator, chips, model="tiny", batch_size=2, resamples=50, progress=ticks.append
    )
    names = ["0.png", "1.png", "2.png", "3.png", "plain.png"]
    assert through.files.tolist() == report.whole.files.tolist() == names
    assert (report.detector, report.pictures, report.missed) == ("dots", 5, ("plain.png",))
    assert list(through.unreadable) == ["broken.png"]
    assert sum(ticks) == 6
    np.testing.assert_allclose(expectation(through.pmf), expectation(report.whole.pmf), atol=1.0)
    np.testing.assert_array_equal(through.pmf[4], report.whole.pmf[4])  # missed, so taken whole
    assert {name: c.n for name, c in report.mae.items()} == {"found": 4, "all": 5}
    assert {name: c.n for name, c in report.accuracy.items()} == {"found": 3, "all": 4}


def test_figures_of_the_comparison(chips: Manifest, tiny_bundle: Path) -> None:
    through, report = predict_through(DotDetector(), Estimator(read_bundle(tiny_bundle)), chips, resamples=50)
    ages = chips.age[:5]
    whole_error, through_error = (np.abs(expectation(p.pmf) - ages) for p in (report.whole, through))
    assert report.mae["all"].whole.value == pytest.approx(whole_error.mean(), abs=1e-4)
    assert report.mae["found"].through.value == pytest.approx(through_error[:4].mean(), abs=1e-4)
    change = report.mae["all"].difference
    assert change.value == pytest.approx((through_error - whole_error).mean(), abs=1e-4)
    assert change.low <= change.value <= change.high


def test_answers_do_not_depend_on_order_or_threads(chips: Manifest, tiny_bundle: Path) -> None:
    estimator = Estimator(read_bundle(tiny_bundle))
    forward, _ = predict_through(DotDetector(), estimator, chips, threads=1, resamples=0)
    backward, _ = predict_through(DotDetector(), estimator, chips.take(np.arange(7)[::-1]), threads=3, resamples=0)
    np.testing.assert_allclose(forward.pmf, backward.pmf[::-1], atol=1e-6)
    moved, _ = predict_through(DotDetector(), estimator, chips, seed=1, resamples=0)
    assert not np.allclose(forward.pmf, moved.pmf, atol=1e-6)


def test_report_as_json_and_as_a_table(chips: Manifest, tiny_bundle: Path) -> None:
    _, report = predict_through(DotDetector(), Estimator(read_bundle(tiny_bundle)), chips, resamples=20)
    record: dict[str, Any] = json.loads(json.dumps(report.to_dict(), allow_nan=False))
    assert (record["missed"], record["missed_files"]) == (1, ["plain.png"])
    assert record["mae"]["found"]["n"] == 4
    table = report.to_table()
    assert "dots found 4 of 5 padded chips, missed 1 (taken whole)" in table
    assert [line.split("|")[1].strip() for line in table.splitlines() if line.startswith("|")][2:] == [
        "MAE, found",
        "MAE, all",
        "gender, found",
        "gender, all",
    ]
