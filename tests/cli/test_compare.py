from __future__ import annotations

import json
import re
import sys
from pathlib import Path

import numpy as np
import pytest
import typer
from typer.testing import CliRunner, Result

from mien.cli.lab.compare import compare, systems
from mien.errors import DataError, MissingExtra, UsageError
from mien.estimate.calibrate import AGES
from mien.learn.data.predictions import Predictions

FILES = [f"{20 + at}_{at % 2}_0_{at}.jpg.chip.jpg" for at in range(60)]

app = typer.Typer()
app.command()(compare)
app.command()(systems)


def run(*arguments: str | Path) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


@pytest.fixture(autouse=True)
def elsewhere(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A folder without the research data beside it."""
    place = tmp_path / "here" / "project"
    place.mkdir(parents=True)
    monkeypatch.chdir(place)
    return place


@pytest.fixture
def runs(elsewhere: Path) -> list[Path]:
    """Two runs that miss ages by two years and by five; both know all genders."""
    for name, system, off in (("compact", "compact", 5), ("mien-m", "mien", 2)):
        folder = elsewhere / "runs" / name
        folder.mkdir(parents=True)
        pmf = np.eye(AGES, dtype=np.float32)[20 + off : 80 + off]
        female = np.array([0.1 + 0.8 * (at % 2) for at in range(60)], np.float32)
        Predictions(np.array(FILES), pmf, female).save(folder / "test.parquet")
        (folder / "run.json").write_text(json.dumps({"name": name, "system": system, "title": name}))
    return [Path("runs/compact"), Path("runs/mien-m")]


def test_markdown_is_printed(runs: list[Path]) -> None:
    done = run("compare", *runs)
    assert done.exit_code == 0, done.output
    assert "2 runs on the same faces: 60 faces for age and 60 faces for gender" in done.stdout
    assert "**2.00 [2.00, 2.00]**" in done.stdout
    assert "from the file names" in done.stdout


def test_the_output_says_the_format(runs: list[Path], elsewhere: Path) -> None:
    for name, begins in (("page.html", "<!doctype html>"), ("page.md", "2 runs"), ("page.json", "{")):
        done = run("compare", *runs, "--output", name)
        assert done.stdout.strip() == name
        text = (elsewhere / name).read_text(encoding="utf-8")
        assert text.startswith(begins)
        assert text.endswith("\n")
    assert "mien lab compare runs/* --output page.html" in (elsewhere / "page.html").read_text(encoding="utf-8")
    assert json.loads((elsewhere / "page.json").read_text())["runs"][0]["figures"]["mae"]["value"] == 5
    assert json.loads(run("compare", *runs, "--format", "json").stdout)["faces"] == {"age": 60, "gender": 60}


def test_labels_are_read_from_the_data(runs: list[Path], elsewhere: Path) -> None:
    images = elsewhere / "chips"
    images.mkdir()
    for file in FILES:
        (images / file).touch()
    lines = [f"{file},{30 + at},{at % 2},,test" for at, file in enumerate(FILES)]
    (elsewhere / "splits.csv").write_text("\n".join(["file,age,gender,group,fold", *lines]))
    done = run("compare", *runs, "--data", images, "--folds", "splits.csv", "--format", "json")
    record = json.loads(done.stdout)
    assert "splits.csv" in record["labels"]
    assert [one["figures"]["mae"]["value"] for one in record["runs"]] == [5, 8]


@pytest.mark.parametrize(
    ("arguments", "error", "sentence"),
    [
        (("--format", "htm"), UsageError, "unknown format 'htm': did you mean 'html'"),
        (("--output", "page.txt"), UsageError, r"page\.txt does not end in \.html, \.md or \.json"),
        (("--output", "no/page.html"), UsageError, "cannot write to no/page.html: there is no folder no"),
        (("--data", "nowhere"), DataError, "there is no data at nowhere"),
        (("nowhere",), DataError, "there is no run folder nowhere"),
        (("runs/compact",), UsageError, "two runs are called 'compact'"),
    ],
)
def test_faults_are_told(runs: list[Path], arguments: tuple[str, ...], error: type[Exception], sentence: str) -> None:
    done = run("compare", *runs, *arguments)
    assert isinstance(done.exception, error)
    with pytest.raises(error, match=sentence):
        raise done.exception


def test_a_missing_package_names_the_extra(runs: list[Path], monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in sys.modules if name.startswith("mien.learn.comparison")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "jinja2", None)
    done = run("compare", *runs)
    assert isinstance(done.exception, MissingExtra)
    assert "[train]" in str(done.exception)


def test_systems_are_listed() -> None:
    done = run("systems")
    assert done.exit_code == 0
    for word in ("compact", "hybrid-ensemble", "gender 94.5 %", "MAE 4.25 years", "paper (d)", "eigenface", "mien-m"):
        assert word in done.stdout
    for name, command in (("hybrid-gru", "train"), ("lbp-svm", "lab baseline"), ("experts", "lab combine gated")):
        assert re.search(rf"^{name} +mien {command} ", done.stdout, re.MULTILINE)
    record = json.loads(run("systems", "--format", "json").stdout)
    assert [system["key"] for system in record][:4] == ["compact", "regularised", "hybrid", "one-or-two"]
    assert isinstance(run("systems", "--format", "xml").exception, UsageError)
