"""`mien batch` as people run it: whole archives, killed and resumed, shards, options that changed."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.dataset as ds
import pyarrow.parquet as pq
import pytest
from PIL import Image
from typer.testing import CliRunner, Result

from mien.cli import app

PHOTOS = 120
BAD = 6


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("photos")
    generator = np.random.default_rng(0)
    for number in range(PHOTOS):
        path = folder / f"{number}.png"
        if number % (PHOTOS // BAD) == 3:
            path.write_bytes(b"\x89PNG\r\n\x1a\n")
        else:
            Image.fromarray(generator.integers(0, 255, (32, 32, 3), dtype=np.uint8)).save(path)
    return folder


@pytest.fixture(scope="module")
def options(tiny_bundle: Path) -> list[str]:
    return ["--model", str(tiny_bundle), "--detector", "whole", "--chunk", "7", "--processes", "2", "--pmf"]


@pytest.fixture(scope="module")
def undisturbed(photos: Path, options: list[str], tmp_path_factory: pytest.TempPathFactory) -> Path:
    output = tmp_path_factory.mktemp("undisturbed") / "out"
    result = batch(photos, "--output", output, *options)
    assert result.exit_code == 3, result.output
    assert (
        f"{PHOTOS} of {PHOTOS} done, {PHOTOS - BAD} faces; {BAD} of {PHOTOS} photos failed ({BAD} truncated)"
        in result.output
    )
    return output


def batch(*words: object) -> Result:
    return CliRunner().invoke(app, ["batch", *(str(word) for word in words)])


def rows(output: Path) -> list[dict[str, Any]]:
    table = pq.read_table(output) if output.is_file() else ds.dataset(output).to_table()
    found: list[dict[str, Any]] = table.to_pylist()
    return sorted(found, key=lambda row: (row["source"], row["face"] or 0))


def test_one_row_a_face_and_one_a_failure(undisturbed: Path, photos: Path) -> None:
    found = rows(undisturbed)
    assert [row["source"] for row in found] == sorted(str(path) for path in photos.iterdir())
    assert sum(row["error_kind"] == "truncated" for row in found) == BAD
    assert (undisturbed / "_SUCCESS").exists()
    assert len(list(undisturbed.glob("part-*.parquet"))) == -(-PHOTOS // 7)
    assert sum(len(row["age_pmf"] or []) for row in found) == 117 * (PHOTOS - BAD)


def test_the_same_answers_as_predict(undisturbed: Path, photos: Path, tiny_bundle: Path, tmp_path: Path) -> None:
    words = [
        "predict",
        str(photos),
        "--model",
        str(tiny_bundle),
        "--detector",
        "whole",
        "-o",
        str(tmp_path / "p.parquet"),
    ]
    assert CliRunner().invoke(app, words).exit_code == 3
    predicted = rows(tmp_path / "p.parquet")
    batched = [{name: row[name] for name in predicted[0]} for row in rows(undisturbed)]
    assert len(batched) == len(predicted)
    for one, other in zip(batched, predicted, strict=True):
        assert one.keys() == other.keys()
        for name, value in one.items():  # other batches may round the last digit otherwise
            step = 0.11 if name.startswith("age") else 2e-4
            assert value == (pytest.approx(other[name], abs=step) if isinstance(value, float) else other[name]), name


def test_killed_at_ten_moments_and_resumed(undisturbed: Path, photos: Path, options: list[str], tmp_path: Path) -> None:
    output = tmp_path / "out"
    words = [sys.executable, "-m", "mien", "batch", str(photos), "--output", str(output), "--resume", *options, "-q"]
    moments = random.Random(0)
    kills = inside = 0
    for attempt in range(60):
        run = subprocess.Popen(words, start_new_session=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        before = len(list(output.glob("part-*.parquet")))
        if kills < 10:
            # after a part or two more, or at any moment of the start
            more = moments.choice([0, 0, 1, 2])
            deadline = time.monotonic() + (60 if more else moments.uniform(0, 3))
            while time.monotonic() < deadline and run.poll() is None:
                if more and len(list(output.glob("part-*.parquet"))) >= before + more:
                    break
                time.sleep(0.005)
            if run.poll() is None:
                os.killpg(run.pid, signal.SIGKILL)
                kills += 1
                inside += 0 < len(list(output.glob("part-*.parquet"))) < -(-PHOTOS // 7)
        run.wait()
        if kills >= 10 and run.returncode == 3:
            break
        assert attempt < 59
    assert inside >= 3
    assert rows(output) == rows(undisturbed)
    assert not list(output.glob(".part-*")), "a leftover of a killed process"
    for part in undisturbed.glob("part-*.parquet"):
        assert (output / part.name).read_bytes() == part.read_bytes()


def test_a_finished_run_is_not_done_again(undisturbed: Path, photos: Path, options: list[str]) -> None:
    before = {path: path.stat().st_mtime_ns for path in undisturbed.iterdir()}
    result = batch(photos, "--output", undisturbed, *options, "--resume")
    assert result.exit_code == 3
    assert f"{PHOTOS} of {PHOTOS} done" in result.output
    assert {path: path.stat().st_mtime_ns for path in undisturbed.iterdir()} == before


def test_one_file(undisturbed: Path, photos: Path, options: list[str], tmp_path: Path) -> None:
    output = tmp_path / "one.parquet"
    assert batch(photos, "--output", output, *options).exit_code == 3
    assert rows(output) == rows(undisturbed)
    assert list(tmp_path.iterdir()) == [output]
    again = batch(photos, "--output", output, *options)
    assert again.exit_code == 2
    assert "begun before" in again.output
    assert f"{BAD} of {PHOTOS} photos failed" in batch(photos, "--output", output, *options, "--resume").output


def test_shards_together_are_the_whole(undisturbed: Path, photos: Path, options: list[str], tmp_path: Path) -> None:
    output = tmp_path / "out"
    for index in (2, 0, 1):
        result = batch(photos, "--output", output, *options, "--resume", "--shard", f"{index}/3")
        assert ("still missing" in result.output) == (index != 1)
    assert rows(output) == rows(undisturbed)
    assert (output / "_SUCCESS").exists()


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (["--level", "0.5"], "level 0.9, not 0.5"),
        (["--chunk", "8"], "chunk 7, not 8"),
        (["--model", "mien-m"], "model 'tiny', not 'mien-m'"),
        (["--max-faces", "1"], "--max-faces None, not 1"),
    ],
)
def test_a_run_does_not_go_on_as_another(
    undisturbed: Path, photos: Path, options: list[str], change: list[str], sentence: str
) -> None:
    result = batch(photos, "--output", undisturbed, *options, "--resume", *change)
    assert result.exit_code == 2
    assert sentence in result.output


def test_nor_from_other_sources(undisturbed: Path, photos: Path, options: list[str]) -> None:
    result = batch(photos / "1.png", "--output", undisturbed, *options, "--resume")
    assert result.exit_code == 2
    assert "sources" in result.output


def test_a_folder_of_something_else_is_left_alone(photos: Path, options: list[str], tmp_path: Path) -> None:
    (tmp_path / "letter.txt").write_text("dear")
    result = batch(photos, "--output", tmp_path, *options, "--resume")
    assert result.exit_code == 2
    assert "not empty" in result.output
    (tmp_path / "other.parquet").write_bytes(b"something")
    assert batch(photos, "--output", tmp_path / "other.parquet", *options, "--resume").exit_code == 2
    assert (tmp_path / "other.parquet").read_bytes() == b"something"


def test_a_damaged_part_is_named_and_made_again_once_it_is_gone(
    photos: Path, options: list[str], tmp_path: Path
) -> None:
    output = tmp_path / "out"
    words = (photos / "0.png", photos / "1.png", "--output", output, *options)
    batch(*words)
    whole = rows(output)
    (output / "part-00000000.parquet").write_bytes(b"PAR1")
    result = batch(*words, "--resume")
    assert result.exit_code == 2
    assert "part-00000000.parquet is no whole part" in result.output
    (output / "part-00000000.parquet").unlink()
    result = batch(*words, "--resume")
    assert result.exit_code == 0
    assert "2 photos in" in result.output
    assert rows(output) == whole


def test_leftovers_of_killed_runs_do_no_harm_and_go(photos: Path, options: list[str], tmp_path: Path) -> None:
    """A run killed while it listed, one killed while it joined, and one killed when its file was already whole."""
    output = tmp_path / "one.parquet"
    work = tmp_path / ".one.parquet.mien"
    (work / "._mien.abc").mkdir(parents=True)
    (work / "._mien.abc" / "listing.jsonl").write_text("{")
    (work / ".part-00000000.parquet.abc.tmp").write_bytes(b"half")
    (tmp_path / ".one.parquet.abc.tmp").write_bytes(b"half")
    words = (photos / "0.png", photos / "1.png", "--output", output, *options, "--resume")
    assert batch(*words).exit_code == 0
    assert list(tmp_path.iterdir()) == [output]
    work.mkdir()
    assert batch(*words).exit_code == 0
    assert list(tmp_path.iterdir()) == [output]
    assert len(rows(output)) == 2


def test_nothing_to_do_is_said(options: list[str], tmp_path: Path) -> None:
    (tmp_path / "empty.txt").write_text("")
    result = batch(tmp_path / "empty.txt", "--output", tmp_path / "out", *options)
    assert result.exit_code == 2
    assert "there are no photos in" in result.output
    assert [path.name for path in tmp_path.iterdir()] == ["empty.txt"], "no empty folder is left"


@pytest.mark.parametrize("shard", ["4/4", "1", "a/b", "-1/2", "1/0"])
def test_impossible_shards(photos: Path, shard: str, tmp_path: Path) -> None:
    result = batch(photos, "--output", tmp_path / "out", "--shard", shard)
    assert result.exit_code == 2
    assert "a shard is I/N" in result.output


def test_annotated_pictures_one_folder_a_part(photos: Path, options: list[str], tmp_path: Path) -> None:
    result = batch(photos / "0.png", photos / "1.png", photos / "3.png", "-o", tmp_path / "out", *options,
                   "--annotate", tmp_path / "drawn", "--chunk", "2")  # fmt: skip
    assert result.exit_code == 3
    drawn = sorted(str(path.relative_to(tmp_path / "drawn")) for path in (tmp_path / "drawn").rglob("*.jpg"))
    assert drawn == ["part-00000000/0.jpg", "part-00000000/1.jpg"]


def test_the_manifest_says_what_it_was_made_of(undisturbed: Path, photos: Path) -> None:
    record = json.loads((undisturbed / "_mien" / "manifest.json").read_text())
    assert record["sources"] == [str(photos)]
    assert record["photos"] == PHOTOS
    assert record["options"]["detector"] == "whole"
    assert len(record["model_sha256"]) == 64
    assert {row["model_sha256"] for row in rows(undisturbed)} == {record["model_sha256"]}


def test_unknown_engine_and_address_without_one(photos: Path, tmp_path: Path) -> None:
    assert "did you mean 'ray'" in batch(photos, "-o", tmp_path / "out", "--engine", "rai").output
    assert "--engine ray" in batch(photos, "-o", tmp_path / "out", "--address", "a:1").output
