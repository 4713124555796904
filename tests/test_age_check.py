from __future__ import annotations

import json
import re
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image
from typer.testing import CliRunner

import mien
from mien.age_check import _undecided
from mien.analyzer import Analyzer, Options
from mien.cli import app
from mien.errors import ModelError, PhotoMissing, UsageError
from mien.estimate import bundle
from mien.estimate.age_check import AgeChecks
from mien.estimate.quality import VAGUE_SENTENCE


def chip(years: int, *, sharp: bool = True) -> NDArray[np.uint8]:
    """A picture whose age the tiny model reads off its brightness; a fine grain makes it sharp."""
    level = years * 2.55
    grain = np.random.default_rng(0).choice([-18, 18], (64, 64)) if sharp else np.zeros((64, 64))
    pixels = np.clip(level + grain - grain.mean(), 0, 255)
    return np.repeat(pixels[..., None], 3, axis=2).astype(np.uint8)


@pytest.fixture
def model(tiny_bundle: Path, tmp_path: Path) -> Path:
    folder = tmp_path / "tiny"
    shutil.copytree(tiny_bundle, folder)
    checks = AgeChecks({18: {0.01: 0.95}}, {18: {0.01: 0.05}}, 0.9, {18: (500, 500)}, "the test")
    bundle.write_age_checks(folder, checks)
    return folder


@pytest.fixture
def checker(model: Path) -> mien.AgeChecker:
    return mien.AgeChecker(Analyzer(model, Options(detector="whole", threads=1)))


@pytest.mark.parametrize(("years", "outcome"), [(30, "pass"), (19, "unsure"), (17, "unsure"), (8, "fail")])
def test_the_age_decides(checker: mien.AgeChecker, years: int, outcome: str) -> None:
    check = checker(chip(years))
    assert check.outcome == outcome
    assert check.faces[0].outcome == outcome
    assert "18" in check.reason
    assert (check.faces[0].probability > 0.5) == (years >= 18)


def test_a_poor_view_is_never_decided_on(checker: mien.AgeChecker) -> None:
    check = checker(chip(60, sharp=False))
    assert check.outcome == "unsure"
    assert "blurred" in check.reason
    assert check.faces[0].probability > 0.99


def test_a_photo_without_one_face_is_unsure(checker: mien.AgeChecker) -> None:
    photo = checker(chip(40)).photo
    alone = photo.faces[0]
    for faces, says in (((), "no face"), ((alone, alone), "2 faces")):
        check = checker.decide(mien.Photo("x", "tiny", 9, 9, faces))
        assert check.outcome == "unsure"
        assert says in check.reason
        assert len(check.faces) == len(faces)


def test_a_missing_photo_raises_alone_and_becomes_a_row_among_others(checker: mien.AgeChecker, tmp_path: Path) -> None:
    Image.fromarray(chip(50)).save(tmp_path / "a.png")
    with pytest.raises(PhotoMissing):
        checker(tmp_path / "b.png")
    first, second = checker.stream([tmp_path / "a.png", tmp_path / "b.png"])
    assert first.outcome == "pass"
    assert second.outcome == "error"
    assert second.photo.error is not None
    assert second.to_dict()["error"]["kind"] == "missing"


@pytest.mark.parametrize(
    ("data", "kind"),
    [(None, "missing"), (b"", "empty"), (b"no picture", "not_an_image"), (b"\x89PNG\r\n\x1a\n", "truncated")],
)
def test_what_cannot_be_looked_at_is_an_error_and_not_unsure(
    model: Path, tmp_path: Path, data: bytes | None, kind: str
) -> None:
    if data is not None:
        (tmp_path / "x.png").write_bytes(data)
    options = ["--model", str(model), "--detector", "whole", "--threads", "1"]
    done = CliRunner().invoke(app, ["check-age", str(tmp_path / "x.png"), *options])
    record = json.loads(done.stdout)
    assert (done.exit_code, record["outcome"], record["error"]["kind"]) == (3, "error", kind)


def test_a_face_that_may_be_none_is_no_pass(checker: mien.AgeChecker) -> None:
    photo = checker(chip(60)).photo
    vague = replace(photo.faces[0], quality=replace(photo.faces[0].quality, flags=("vague",)))
    check = checker.decide(mien.Photo("x", "tiny", 9, 9, (vague,)))
    assert (check.outcome, check.reason) == ("unsure", VAGUE_SENTENCE)
    both = replace(vague, quality=replace(vague.quality, flags=("small", "vague")))
    assert checker.decide(mien.Photo("x", "tiny", 9, 9, (both,))).reason.startswith("the face is small: ")


@given(st.floats(0, 1), st.floats(0, 1), st.floats(0, 1))
def test_what_a_pass_needs_is_never_told_as_what_there_is(a: float, b: float, c: float) -> None:
    below, probability, above = sorted((a, b, c))
    told = _undecided(18, probability, above, below)
    numbers = re.findall(r"[\d.]+ %", told)
    if min(probability - below, above - probability) > 1e-6 and len(numbers) > 1:
        assert numbers[0] != numbers[-1]


def test_impossible_wishes_are_refused(model: Path, tiny_bundle: Path) -> None:
    analyzer = Analyzer(model, Options(detector="whole"))
    with pytest.raises(UsageError, match="max_false_pass"):
        mien.AgeChecker(analyzer, max_false_pass=0)
    with pytest.raises(UsageError, match="cannot check for an age of 19"):
        mien.AgeChecker(analyzer, min_age=19)
    with pytest.raises(ModelError, match="mien calibrate"):
        mien.AgeChecker(Analyzer(tiny_bundle, Options(detector="whole")))


def test_the_command_answers_line_by_line(model: Path, tmp_path: Path) -> None:
    for years in (8, 30):
        Image.fromarray(chip(years)).save(tmp_path / f"{years:02}.png")
    options = ["--model", str(model), "--detector", "whole", "--threads", "1"]
    done = CliRunner().invoke(app, ["check-age", str(tmp_path / "*.png"), *options])
    assert done.exit_code == 0, done.output
    records = [json.loads(line) for line in done.stdout.splitlines()]
    assert [record["outcome"] for record in records] == ["fail", "pass"]
    assert records[0]["rule"]["pass_above"] == 0.95
    assert records[1]["faces"][0]["face"]["age"]["years"] == pytest.approx(30, abs=0.5)
    done = CliRunner().invoke(app, ["check-age", str(tmp_path / "30.png"), "none.png", *options, "--format", "table"])
    assert done.exit_code == 3
    assert done.stdout.splitlines()[0].startswith("pass    ")
    assert done.stdout.splitlines()[1].startswith("error   none.png")
    done = CliRunner().invoke(app, ["check-age", "x.png", *options, "--format", "xml"])
    assert done.exit_code == 2
