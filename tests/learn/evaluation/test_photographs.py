"""Whole photographs to predictions: which face is meant, and what is counted where none is found."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from mien.analyzer import Analyzer, Options
from mien.learn.data.predictions import Predictions
from mien.learn.data.readers import read
from mien.learn.evaluation.evaluate import evaluate
from mien.learn.evaluation.photographs import meant_face, predict_photographs
from mien.results import Age, Box, Face, Gender, Quality

EXAMPLES = Path(__file__).resolve().parents[3] / "examples"


def face(left: float, top: float, side: float) -> Face:
    age = Age(30, 30, 20, 40, 0.9, (1.0,))
    return Face(Box(left, top, left + side, top + side), 1.0, None, age, Gender(0.9), Quality(50, 1, None))


LARGE, SMALL = face(0, 0, 100), face(300, 100, 40)


def test_without_a_point_the_largest_face_is_meant() -> None:
    assert meant_face([LARGE, SMALL], (np.nan, np.nan)) is LARGE
    assert meant_face([], (np.nan, np.nan)) is None
    assert meant_face([], (5, 5)) is None


@given(st.floats(0, 100), st.floats(0, 100), st.floats(0, 40), st.floats(0, 40))
def test_a_point_on_a_face_means_that_face(x: float, y: float, dx: float, dy: float) -> None:
    assert meant_face([LARGE, SMALL], (x, y)) is LARGE
    assert meant_face([LARGE, SMALL], (300 + dx, 100 + dy)) is SMALL


def test_a_point_far_from_every_face_means_one_that_was_not_found() -> None:
    assert meant_face([LARGE, SMALL], (300, 300)) is None


@pytest.fixture
def album(tmp_path: Path) -> Path:
    """Two portraits side by side; one alone; a wall; a broken file; a missing one."""
    hopper, astronaut = (Image.open(EXAMPLES / f"{name}.jpg").convert("RGB") for name in ("hopper", "astronaut"))
    left, right = hopper.resize((240, 240)), astronaut.resize((420, 420))
    both = Image.new("RGB", (700, 440), (120, 130, 125))
    both.paste(left, (10, 10))
    both.paste(right, (270, 10))
    both.save(tmp_path / "both.jpg", quality=95)
    left.save(tmp_path / "one.jpg", quality=95)
    Image.new("RGB", (200, 200), (90, 120, 60)).save(tmp_path / "wall.png")
    (tmp_path / "broken.jpg").write_bytes(b"\xff\xd8\xff nothing more")
    rows = [
        "file,age_low,age_high,gender,x,y",
        "both.jpg,30,40,f,130,120",
        "both.jpg,30,40,m,480,140",
        "both.jpg,30,40,m,20,430",
        "one.jpg,30,40,f,,",
        "wall.png,30,40,f,,",
        "broken.jpg,30,40,f,,",
        "missing.jpg,30,40,f,,",
    ]
    (tmp_path / "labels.csv").write_text("\n".join(rows))
    return tmp_path / "labels.csv"


def test_rows_are_answered_as_predict_answers(album: Path, tiny_bundle: Path, tmp_path: Path) -> None:
    faces = read(album)
    assert faces.files.tolist()[:3] == ["both.jpg", "both.jpg#2", "both.jpg#3"]
    analyzer = Analyzer(tiny_bundle, Options(threads=1, abstain=0.5))
    done: list[int] = []
    answers = predict_photographs(analyzer, faces, progress=done.append)
    assert answers.files.tolist() == ["both.jpg", "both.jpg#2", "one.jpg"]
    assert answers.missed == ("both.jpg#3", "wall.png")
    assert list(answers.unreadable) == ["broken.jpg"]
    assert sum(done) == 6
    assert answers.intervals is not None
    photo = analyzer(album.parent / "both.jpg")
    first, second = photo.faces
    assert first.box.left < second.box.left
    for row, expected in ((0, first), (1, second)):
        assert answers.pmf[row] == pytest.approx(np.array(expected.age.pmf), abs=1e-6)
        assert answers.intervals[row] == pytest.approx([expected.age.low, expected.age.high], abs=1e-4)
        likelier = max(answers.female[row], 1 - answers.female[row])
        assert (answers.female[row] >= 0.5, likelier) == (
            expected.gender.label == "female",
            pytest.approx(expected.gender.probability, abs=1e-6),
        )
    report = evaluate(answers, faces, resamples=0)
    assert (report.counts["listed"], report.counts["evaluated"]) == (7, 3)
    assert (report.counts["faces_not_found"], report.counts["unreadable_files"]) == (2, 1)
    assert (report.counts["missing_files"], report.counts["ages_within_bounds"]) == (1, 3)
    assert report.subsets["all"].age["width"].value == pytest.approx(float(np.ptp(answers.intervals, axis=1).mean()))
    saved = tmp_path / "answers.parquet"
    answers.save(saved)
    again = Predictions.load(saved)
    assert again.missed == answers.missed
    assert again.intervals is not None
    assert again.intervals.tolist() == answers.intervals.tolist()


def test_an_analyzer_that_may_abstain_is_refused(album: Path, tiny_bundle: Path) -> None:
    with pytest.raises(ValueError, match="always name a gender"):
        predict_photographs(Analyzer(tiny_bundle, Options(threads=1, abstain=0.8)), read(album))


def test_a_point_needs_both_numbers(album: Path) -> None:
    text = album.read_text()
    album.write_text(text.replace("20,430", "20,"))
    assert any("are no point of a picture" in problem for problem in read(album).problems)
