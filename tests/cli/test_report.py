from __future__ import annotations

import re
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from mien.cli import app
from mien.cli.learn.report import PARTS
from mien.estimate import bundle
from mien.estimate.age_check import AgeChecks
from mien.learn.audits.trust_page import Detail

FOLD = 60


@pytest.fixture(scope="module")
def chips(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Chips named like those of UTKFace, which the tiny model takes for older or younger than their names say."""
    folder = tmp_path_factory.mktemp("chips")
    rng = np.random.default_rng(0)
    rows = ["file,age,gender,group,fold,coral"]
    for number in range(2 * FOLD):
        years, female, race = int(rng.integers(8, 60)), number // 2 % 2, number % 5
        grey = rng.normal(years + rng.normal(0, 4), 2, (40, 40, 1)) * 2.55
        pixels = (grey + np.array([9, 0, -9]) * (2 * female - 1)).clip(0, 255)
        name = f"{years}_{female}_{race}_{number}.jpg.chip.jpg"
        Image.fromarray(pixels.astype(np.uint8)).save(folder / name, quality=95, subsampling=0)
        rows.append(f"{name},{years},{'mf'[female]},,{('val', 'test')[number % 2]},")
    (folder / "splits.csv").write_text("\n".join(rows))
    return folder


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory, tiny_bundle: Path, chips: Path) -> Path:
    folder = tmp_path_factory.mktemp("calibrated") / "tiny"
    shutil.copytree(tiny_bundle, folder)
    done = run("calibrate", folder, "--data", chips, "--folds", chips / "splits.csv", "--threads", "1", "--quiet")
    assert done.exit_code == 0, done.output
    limits = (13, 16, 18, 21)
    checks = AgeChecks(
        {limit: {0.01: 0.98} for limit in limits},
        {limit: {0.01: 0.02} for limit in limits},
        0.9,
        dict.fromkeys(limits, (200, 200)),
        "the test",
    )
    bundle.write_age_checks(folder, checks)
    return folder


def run(*arguments: object) -> Any:
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def test_one_page_answers_every_question(model: Path, chips: Path, tmp_path: Path) -> None:
    page = tmp_path / "report.html"
    options = ("--data", chips, "--folds", chips / "splits.csv", "--threads", "1", "--faces", "4", "--explained", "3")
    parts = [word for part in PARTS for word in ("--part", part)]
    done = run("report", model, *options, *parts, "--output", page)
    assert done.exit_code == 0, done.output
    assert done.stdout.strip() == str(page)
    text = page.read_text(encoding="utf-8")
    assert f"Measured on {FOLD} faces" in text
    for question in (
        "How far off is it?",
        "old enough?",
        "everyone alike?",
        "picture is bad?",
        "say why?",
        "How fast is it?",
    ):
        assert question in text
    assert not re.findall(r"(?:src|href)=\"(?!data:|#)", text)  # nothing is fetched
    assert text.count("<img ") == text.count("data:image/")
    assert all(re.findall(r"<img [^>]*alt=\"([^\"]*)\"", text))
    anchors = re.findall(r"<section id=\"([^\"]+)\"", text)
    assert len(set(anchors)) == len(anchors)
    assert set(re.findall(r"href=\"#([^\"]+)\"", text)) == set(anchors)
    assert not list(tmp_path.glob(".*"))


def test_a_saved_audit_need_not_run_again(model: Path, chips: Path, tmp_path: Path) -> None:
    options = ("--data", chips, "--folds", chips / "splits.csv", "--threads", "1", "--quiet")
    saved = tmp_path / "robustness.json"
    done = run("audit", "robustness", model, *options, "--faces", "5", "--only", "grey", "--format", "json")
    saved.write_text(done.stdout, encoding="utf-8")
    page = tmp_path / "x.html"
    done = run("report", model, *options, "--part", "robustness", "--robustness", saved, "--output", page)
    assert done.exit_code == 0, done.output
    assert "5 faces, each spoilt in 1 way," in page.read_text(encoding="utf-8")
    done = run("report", "mien-m", *options, "--part", "robustness", "--robustness", saved, "--output", page)
    assert done.exit_code == 6
    assert "is an audit of 'tiny', not of 'mien-m'" in done.stderr


@pytest.mark.parametrize(
    ("changes", "code", "sentence"),
    [
        (["--part", "beauty"], 2, "unknown part 'beauty'"),
        (["--output", "nowhere/x.html"], 2, "there is no folder nowhere"),
        (["--fold", "tset"], 2, "did you mean 'test'"),
        (["--robustness", "none.json"], 2, "there is no file none.json"),
        (["--robustness", "pyproject.toml"], 6, "pyproject.toml cannot be used"),
    ],
)
def test_what_cannot_be_reported_is_told(  # noqa: PLR0917
    model: Path, chips: Path, tmp_path: Path, changes: list[str], code: int, sentence: str
) -> None:
    options = ("--data", chips, "--folds", chips / "splits.csv", "--output", tmp_path / "x.html", "--part", "accuracy")
    done = run("report", model, *options, *changes)
    assert (done.exit_code, done.stdout) == (code, "")
    assert sentence in done.stderr
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "command",
    ["report --output x.html", "audit age-checks", "audit calibration", "audit fairness --by race"],
)
def test_a_model_that_was_never_calibrated_names_the_command(tiny_bundle: Path, chips: Path, command: str) -> None:
    done = run(*command.split(), "--data", chips, "--folds", chips / "splits.csv", "--", tiny_bundle)
    assert done.exit_code == 4
    assert "mien calibrate" in done.stderr


def test_the_card_is_written_from_the_same_figures(model: Path, chips: Path, tmp_path: Path) -> None:
    folder = tmp_path / "tiny"
    shutil.copytree(model, folder)
    options = ("--data", chips, "--folds", chips / "splits.csv", "--threads", "1", "--part", "accuracy", "--by", "race")
    copy = ("--card-copy", tmp_path / "card.md")
    several = tmp_path / "several.yaml"
    several.write_text(f"collections: {{theirs: {{data: {chips}, folds: {chips}/splits.csv, note: other people}}}}")
    abroad = ("--collections", several, "-q")
    done = run("report", folder, *options, *copy, *abroad, "--output", tmp_path / "x.html", "--card", "chips of a test")
    assert done.exit_code == 0, done.output
    card = (folder / "README.md").read_text(encoding="utf-8")
    assert (tmp_path / "card.md").read_text(encoding="utf-8") == card.replace("](LICENSE)", "](tiny/LICENSE)")
    done = run("report", folder, *options, *copy, "--output", tmp_path / "x.html")
    assert (done.exit_code, "--card-copy needs --card" in done.stderr) == (2, True)
    assert "Measured on chips of a test: 60 faces" in card
    assert "## By race, as the data state it (for audit only)" in card
    assert "## Home and abroad" in card
    assert "theirs: other people" in card
    assert "Does it hold on other people" in (tmp_path / "x.html").read_text(encoding="utf-8")
    assert "too few faces" in card
    assert "| 18    |" in card
    page = (tmp_path / "x.html").read_text(encoding="utf-8")
    figure = bundle.read(folder).config.figures["all_mae"]
    assert f"{figure:.2f}" in card
    assert f'<p class="number">{figure:.2f}<span>' in page


def test_the_audit_of_age_checks(model: Path, chips: Path, tmp_path: Path) -> None:
    options = ("--data", chips, "--folds", chips / "splits.csv", "--threads", "1")
    done = run("audit", "age-checks", model, *options, "--limit", "18", "--plot", tmp_path / "x.png")
    assert done.exit_code == 0, done.output
    assert done.stdout.startswith("tiny: age checks on 60 faces")
    with Image.open(tmp_path / "x.png") as drawing:
        assert drawing.width > 900
    done = run("audit", "age-checks", model, *options, "--limit", "40")
    assert (done.exit_code, done.stdout) == (2, "")
    assert "learned the limits 13 to 21" in done.stderr


def test_answers_of_another_model_are_refused(model: Path, chips: Path, tmp_path: Path) -> None:
    saved = tmp_path / "answers.parquet"
    options = ("--data", chips, "--folds", chips / "splits.csv", "--threads", "1")
    assert run("evaluate", model, *options, "--predictions", saved).exit_code == 0
    assert run("audit", "age-checks", model, *options, "--predictions", saved).exit_code == 0
    done = run("audit", "age-checks", "mien-m", *options, "--predictions", saved)
    assert done.exit_code == 6
    assert "holds answers of 'tiny'" in done.stderr


def test_tables_and_sentences_of_a_printed_report_are_told_apart() -> None:
    blocks = Detail.of_markdown("x", "# Head\n\nA **word**.\n\n| a | b |\n|---|--:|\n| 1 | - |\n\nlast").blocks
    assert [block.text for block in blocks] == ["Head", "A word.", "", "last"]
    assert blocks[2].rows == (("a", "b"), ("1", "-"))


def test_what_the_data_do_not_state_is_left_out(model: Path, chips: Path, tmp_path: Path) -> None:
    """A table without race; then one with neither gender nor enough ages."""
    lines = [line.split(",") for line in (chips / "splits.csv").read_text().splitlines()[1:]]
    for name, _, _, _, _, _ in lines:
        shutil.copy(chips / name, tmp_path / f"{name.split('_')[-1]}.jpg")
    rows = [f"{name.split('_')[-1]}.jpg,{age},{gender},{fold}" for name, age, gender, _, fold, _ in lines]
    table, page = tmp_path / "faces.csv", tmp_path / "x.html"
    table.write_text("\n".join(["file,age,gender,fold", *rows]))
    options = ("--data", table, "--threads", "1", "--output", page, "--faces", "4", "--explained", "3")
    done = run("report", model, *options)
    assert done.exit_code == 0, done.output
    assert f"fold test, {FOLD} of {2 * FOLD} pictures" in done.stderr
    text = page.read_text(encoding="utf-8")
    assert "everyone alike?" in text
    assert "by gender" in text
    assert "by race" not in text
    done = run("report", model, *options, "--by", "race")
    assert (done.exit_code, "the data state no race" in done.stderr) == (6, True)

    nameless = [f"{row.split(',')[0]}," for row in rows]
    table.write_text("\n".join(["file,age", *[row.removesuffix(",") + ",30" for row in nameless[:8]]]))
    page.unlink()
    parts = ("--part", "accuracy", "--part", "calibration", "--part", "fairness")
    done = run("report", model, *options, *parts)
    assert done.exit_code == 0, done.output
    assert "calibration is left out, since" in done.stderr
    text = page.read_text(encoding="utf-8")
    assert "Left out: calibration, since the data have 8 faces of exactly known age" in text
    assert "best for ages" not in text
    assert "at most five years off" not in text
    done = run("report", model, *options, "--part", "calibration")
    assert (done.exit_code, "nothing of the report can be made" in done.stderr) == (6, True)
