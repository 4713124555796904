from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner, Result

from mien.cli import app
from mien.faces.regions import REGIONS


@pytest.fixture
def chip(tmp_path: Path) -> Path:
    """A grey picture, bright at the left rim, on which the tiny model's age rests."""
    pixels = np.full((32, 32, 3), 90, np.uint8)
    pixels[10:20, 14:20] = 250
    Image.fromarray(pixels).save(tmp_path / "chip.png")
    return tmp_path / "chip.png"


@pytest.fixture
def mien(tiny_bundle: Path) -> Any:
    """Runs `mien explain` on chips inside of this process."""

    def run(*arguments: str | Path) -> Result:
        fixed = ["explain", "--model", str(tiny_bundle), "--detector", "whole", "--threads", "1"]
        return CliRunner().invoke(app, [*fixed, *map(str, arguments)])

    return run


def test_a_table_of_parts(mien: Any, chip: Path) -> None:
    done = mien(chip)
    assert done.exit_code == 0, done.output
    title, header, *rows, note = done.stdout.splitlines()
    assert note.startswith("With everything blurred the answer changes by only 0.")  # it is blurred already
    assert title.startswith("chip.png: ")
    assert title.endswith("by occlusion")
    assert header.split() == ["part", "share", "speaks", "for", "age", "when", "blurred"]
    assert len(rows) == len(REGIONS) + 1
    assert {row[:11].strip() for row in rows[:-1]} == set(REGIONS)
    assert rows[-1].startswith("everything")
    assert len({len(line) for line in (header, *rows)}) == 1  # the last column ends at one place


def test_json_holds_the_map_and_the_numbers(mien: Any, chip: Path) -> None:
    done = mien(chip, "--format", "json", "--target", "gender")
    assert done.exit_code == 0, done.output
    record = json.loads(done.stdout)
    head = ["schema_version", "source", "model", "width", "height", "scale", "turned", "incomplete"]
    assert list(record) == [*head, "faces", "error"]
    (face,) = record["faces"]
    assert face["number"] == 1
    why = face["explanation"]
    assert (why["target"], why["method"], why["unit"]) == ("gender", "occlusion", "log-odds of female")
    assert np.array(why["map"]).shape == (8, 8)
    assert {part["name"] for part in why["regions"]} == set(REGIONS)


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".webp"])
def test_the_picture_is_written_only_where_told(mien: Any, chip: Path, tmp_path: Path, suffix: str) -> None:
    before = set(tmp_path.iterdir())
    assert mien(chip).exit_code == 0
    assert set(tmp_path.iterdir()) == before
    done = mien(chip, "--output", tmp_path / f"why{suffix}")
    assert done.exit_code == 0, done.output
    assert set(tmp_path.iterdir()) - before == {tmp_path / f"why{suffix}"}
    with Image.open(tmp_path / f"why{suffix}") as picture:
        assert picture.format == {".png": "PNG", ".jpg": "JPEG", ".webp": "WEBP"}[suffix]
        assert picture.width > picture.height > 300


@pytest.mark.parametrize(
    ("arguments", "code", "told"),
    [
        (["--target", "race"], 2, "unknown target 'race'"),
        (["--method", "grad-cam"], 2, "did you mean 'gradcam'"),
        (["--format", "csv"], 2, "unknown format 'csv'"),
        (["--face", "2"], 2, "--face is 2, but the number of faces"),
        (["--output", "why.gif"], 2, "must end in .png, .jpg, .jpeg, .webp"),
        (["--output", "nowhere/why.png"], 2, "there is no folder nowhere"),
        (["--method", "cam"], 4, "The method occlusion works with any model"),
        (["--method", "layercam"], 4, "cannot be rebuilt in torch"),
    ],
)
def test_what_is_refused(mien: Any, chip: Path, arguments: list[str], code: int, told: str) -> None:
    done = mien(chip, *arguments)
    assert done.exit_code == code
    assert told in done.stderr
    assert done.stdout == ""


def test_the_photo_itself_is_never_replaced(mien: Any, chip: Path) -> None:
    before = chip.read_bytes()
    done = mien(chip, "--output", chip)
    assert done.exit_code == 2
    assert "is the photo itself" in done.stderr
    assert chip.read_bytes() == before


def test_photos_that_cannot_be_read_and_several_at_once(mien: Any, chip: Path, tmp_path: Path) -> None:
    missing = mien(tmp_path / "none.jpg")
    assert missing.exit_code == 3
    assert "none.jpg" in missing.stderr
    Image.open(chip).save(tmp_path / "other.png")
    several = mien(tmp_path)
    assert several.exit_code == 2
    assert "one at a time" in several.stderr


def test_a_photo_without_a_face_is_well(tiny_bundle: Path, chip: Path) -> None:
    fixed = ["explain", str(chip), "--model", str(tiny_bundle), "--threads", "1"]
    done = CliRunner().invoke(app, fixed)
    assert done.exit_code == 0
    assert "no face was found" in done.stderr
    assert done.stdout == ""
    record = CliRunner().invoke(app, [*fixed, "--format", "json", "--output", str(chip.with_name("why.png"))])
    assert json.loads(record.stdout)["faces"] == []
    assert not chip.with_name("why.png").exists()


def test_a_portrait_by_the_shipped_model(examples: Path, tmp_path: Path) -> None:
    """The chip is cut again for the explanation: it must be the one that was answered."""
    output = tmp_path / "why.png"
    fixed = ["explain", str(examples / "hopper.jpg"), "--method", "cam", "--threads", "1", "--format", "json"]
    done = CliRunner().invoke(app, [*fixed, "--output", str(output)])
    assert done.exit_code == 0, done.output
    (face,) = json.loads(done.stdout)["faces"]
    assert face["explanation"]["value"] == pytest.approx(face["age"]["years"], abs=0.06)
    total = sum(map(sum, face["explanation"]["map"]))
    assert total == pytest.approx(face["explanation"]["value"] - face["explanation"]["veiled"], abs=0.05)
    assert output.is_file()


def test_size_and_turn_of_the_search_may_be_told(mien: Any, chip: Path) -> None:
    done = mien(chip, "--format", "json", "--rotate", "90", "--side", "16", "--min-face", "20")
    assert done.exit_code == 0, done.output
    record = json.loads(done.stdout)
    assert (record["turned"], record["scale"]) == (90, 0.5)
    for option, word in (("--rotate", "45"), ("--side", "0"), ("--min-face", "5")):
        assert mien(chip, option, word).exit_code == 2
