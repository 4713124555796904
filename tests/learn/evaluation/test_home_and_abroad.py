"""Several collections in one page: what a file states, what is measured, what is told."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from tests.learn.pages import Page
from typer.testing import CliRunner

from mien.cli import app
from mien.errors import DataError, UsageError
from mien.estimate import bundle
from mien.learn.evaluation.collections_file import collection_parts, load_collections
from mien.learn.evaluation.home_and_abroad import Abroad

EXAMPLES = Path(__file__).resolve().parents[3] / "examples"


def run(*arguments: object) -> Any:
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


@pytest.fixture(scope="module")
def stated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two collections of chips that the tiny model takes for three years too old, and one of photographs."""
    folder = tmp_path_factory.mktemp("abroad")
    (folder / "chips").mkdir()
    (folder / "photos").mkdir()
    home, away = ["file,age,gender,fold"], ["file,age_low,age_high,gender,fold,source,suspect"]
    for number in range(40):
        years, female = 20 + number, number % 2
        pixels = np.full((40, 40, 3), round((years + 3) * 2.55)) + np.array([20, 0, -20]) * (2 * female - 1)
        Image.fromarray(pixels.astype(np.uint8)).save(folder / "chips" / f"{number:02}.png")
        home.append(f"{number:02}.png,{years},{'mf'[female]},{('train', 'val', 'test')[number % 3]}")
        bounds = f"{years - 1},{years + 1}" if number % 2 else f"{years + 1},{years + 1}"
        source, suspect = ("mps", "congress")[number >= 30], number % 10 == 0
        away.append(f"{number:02}.png,{bounds},{'mf'[female]},val,{source},{suspect:d}")
    (folder / "chips" / "labels.csv").write_text("\n".join(home))
    (folder / "chips" / "away.csv").write_text("\n".join(away))
    for name in ("hopper", "astronaut"):
        shutil.copy(EXAMPLES / f"{name}.jpg", folder / "photos" / f"{name}.jpg")
    Image.new("RGB", (90, 90), (40, 90, 120)).save(folder / "photos" / "wall.png")
    rows = ["file,age,gender", "hopper.jpg,37,f", "astronaut.jpg,44,f", "wall.png,30,m"]
    (folder / "photos" / "labels.csv").write_text("\n".join(rows))
    (folder / "several.yaml").write_text("""
collections:
  ours: {data: chips, home: true, choose: [val], report: [test]}
  theirs: {data: chips/away.csv, only: mps, where: {suspect: 0}, fold: val, choose: [val], note: other people}
  album: {data: photos, kind: photos, report: all}
""")
    return folder / "several.yaml"


def test_the_folds_to_measure(stated: Path) -> None:
    collections = load_collections(stated)
    ours, theirs, album = collection_parts(collections)
    assert (ours.fold, ours.chosen_on, len(ours.faces)) == ("test", False, 13)
    assert (theirs.fold, theirs.chosen_on, len(theirs.faces)) == ("val", True, 27)  # 30 mps, three of them suspect
    assert (album.fold, album.chosen_on, len(album.faces)) == (None, False, 3)
    assert collections["album"].report == ("all",)
    choosing = collection_parts(collections, choosing=True)
    assert [(part.name, part.fold) for part in choosing] == [("ours", "val"), ("theirs", "val")]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("[a, b]", "needs the key collections"),
        ("collections: {}", "at least 1"),
        ("collections: {x: {data: y, fould: z}}", "fold"),
        ("collections: {x: {data: y, choose: [val], report: [val]}}", "cannot both choose and only report"),
        ("collections: {x: {data: y, kind: films}}", "'chips' or 'photos'"),
        ("collections: {", "not valid YAML"),
    ],
)
def test_a_file_that_does_not_fit_is_told(tmp_path: Path, text: str, told: str) -> None:
    (tmp_path / "c.yaml").write_text(text)
    with pytest.raises(UsageError, match=re.escape(told)):
        load_collections(tmp_path / "c.yaml")


@pytest.mark.parametrize(
    ("change", "error", "told"),
    [
        ("data: nowhere", DataError, "collection x: there is no data"),
        ("data: chips/away.csv, only: lords", UsageError, "collection x: unknown source 'lords'"),
        ("data: chips, fold: tset", UsageError, "did you mean 'test'"),
        ("data: chips, where: {colour: red}", UsageError, "collection x: no table of .* has the columns colour"),
        ("data: chips, where: {gender: x}", DataError, "collection x: no row of"),
    ],
)
def test_a_collection_that_is_not_there_is_named(stated: Path, change: str, error: type[Exception], told: str) -> None:
    file = stated.with_name("wrong.yaml")
    file.write_text(f"collections: {{x: {{{change}}}}}")
    with pytest.raises(error, match=told):
        collection_parts(load_collections(file))


def test_home_and_abroad_in_one_page(stated: Path, tiny_bundle: Path, tmp_path: Path) -> None:
    kept, page = tmp_path / "kept", tmp_path / "page.html"
    options = ("--collections", stated, "--threads", "1", "-q")
    done = run("evaluate", tiny_bundle, *options, "--format", "json", "--predictions", kept)
    assert done.exit_code == 0, done.output
    record = json.loads(done.stdout)
    assert sorted(path.name for path in kept.iterdir()) == ["album.parquet", "ours.parquet", "theirs.parquet"]
    ours, theirs, album = record["collections"]
    assert (ours["home"], ours["fold"], ours["chosen_on"], theirs["chosen_on"]) == (True, "test", False, True)
    assert ours["report"]["subsets"]["all"]["age"]["mae"]["value"] == pytest.approx(3, abs=0.2)
    # within years - 1.5 .. years + 1.5, or years + 0.5 .. years + 1.5, answers of years + 3 are 1.5 years above
    assert theirs["report"]["subsets"]["all"]["age"]["mae"]["value"] == pytest.approx(1.5, abs=0.2)
    assert theirs["report"]["subsets"]["all"]["age"]["bias"]["value"] == pytest.approx(1.5, abs=0.2)
    assert theirs["report"]["subsets"]["all"]["gender"]["accuracy"]["value"] == 1
    assert (album["missed_files"], album["report"]["counts"]["evaluated"]) == (["wall.png"], 2)
    maes = [one["report"]["subsets"]["all"]["age"]["mae"]["value"] for one in record["collections"]]
    assert record["means"]["mae"] == pytest.approx(sum(maes) / 3, abs=1e-4)
    assert Abroad.from_dict(record).to_dict() == record

    table = run("evaluate", tiny_bundle, *options, "--collection", "theirs", "--collection", "album").stdout
    assert "abroad, val, chips, chosen on" in next(line for line in table.splitlines() if line.startswith("| theirs"))
    assert "theirs: other people" in table
    first = next(line for line in table.splitlines() if line.startswith("| album"))
    assert "abroad, all, photos" in first
    assert "%" not in first  # of two faces no percentages are told

    done = run("evaluate", tiny_bundle, *options, "-o", page)
    assert (done.exit_code, done.stdout.strip()) == (0, str(page))
    text = page.read_text(encoding="utf-8")
    assert "Does it hold on other people" in text
    printed = Page(run("evaluate", tiny_bundle, *options, "--format", "html").stdout)
    assert printed.faults == Page(text).faults == []
    assert len(printed.pictures) == 2
    for name in ("ours", "theirs", "album", stated.name):
        assert name in printed.text
    for one, mae in zip(record["collections"], maes, strict=True):
        assert f"{one['name']}{mae:.2f} years" in printed.text


def test_the_card_and_the_report_tell_of_it(stated: Path, tiny_bundle: Path, tmp_path: Path) -> None:
    model = Path(shutil.copytree(tiny_bundle, tmp_path / "tiny"))
    chips = stated.parent / "chips"
    saved, evaluation = tmp_path / "abroad.json", tmp_path / "test.json"
    for options, file in ((("--collections", stated), saved), (("--data", chips), evaluation)):
        run("evaluate", model, *options, "--threads", "1", "--format", "json", "-q", "-o", file)
    done = run("card", model, "--evaluation", evaluation, "--on", "chips", "--collections", saved)
    assert done.exit_code == 0, done.output
    card = (model / "README.md").read_text(encoding="utf-8")
    assert "## Home and abroad" in card
    assert "theirs: other people" in card
    record = json.loads(saved.read_text()) | {"model": "another"}
    saved.write_text(json.dumps(record))
    done = run("card", model, "--evaluation", evaluation, "--on", "chips", "--collections", saved)
    assert (done.exit_code, "tells of 'another', not of 'tiny'" in done.stderr) == (6, True)
    assert bundle.read(model).config.figures["all_mae"] == pytest.approx(3, abs=0.2)


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ("", "say what to measure on"),
        ("--collections FILE --fold val", "--fold is for one collection"),
        ("--collections FILE --data x", "--data is for one collection"),
        ("--collections FILE --collection thiers", "did you mean 'theirs'"),
        ("--collections nowhere.yaml", "cannot read the collections in nowhere.yaml"),
        ("--data x --choosing", "--choosing needs --collections"),
        ("--data x --photos --through mtcnn", "need no padding"),
        ("--data x --photos --detector whole", "whole finds no faces"),
        ("--data x -o y.html", "a page is made of --collections"),
        ("--data x -o y.txt", "does not end in"),
    ],
)
def test_what_cannot_be_asked_is_told(stated: Path, tiny_bundle: Path, words: str, told: str) -> None:
    done = run("evaluate", tiny_bundle, *(stated if word == "FILE" else word for word in words.split()))
    assert (done.exit_code, done.stdout) == (2, "")
    assert told in done.stderr
