"""The command writes a run that the comparison reads."""

import json
import sys
from pathlib import Path

import pytest
import typer
import yaml
from typer.testing import CliRunner, Result

from mien.cli.lab.baselines import baseline
from mien.errors import DataError, MissingExtra, UsageError, install
from mien.learn.comparison.scored_runs import read_run
from mien.learn.data.predictions import Predictions

app = typer.Typer()
app.command()(baseline)


def run(*arguments: str | Path) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


@pytest.fixture(scope="module")
def done(striped_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Result]:
    output = tmp_path_factory.mktemp("runs") / "mlp"
    return output, run("mlp-pixels", "--data", striped_folder, "--output", output)


def test_a_run_is_complete(done: tuple[Path, Result], striped_folder: Path) -> None:
    output, result = done
    assert result.exit_code == 0, result.output
    assert result.stdout == f"{output / 'run.json'}\n"
    assert "gender: chose hidden" in result.stderr
    record = json.loads((output / "run.json").read_text())
    assert (record["name"], record["system"], record["task"]) == ("mlp-pixels", "baseline", ["age", "gender"])
    assert (record["faces"], record["size"], record["fold"]) == (60, 32, "test")
    assert record["device"].endswith(", 1 core")
    assert record["inference_ms"] > 0
    recipe = yaml.safe_load((output / "recipe.yaml").read_text())
    assert recipe["data"]["faces"] == {"train": 240, "val": 60, "test": 60}
    assert recipe["data"]["data"] == str(striped_folder)
    assert recipe["method"]["widths"] == [64, 256]
    for task, best in (("gender", max), ("age", min)):
        figure = {"gender": "accuracy", "age": "mae"}[task]
        tried = [trial["val"][figure] for trial in recipe["tried"][task]]
        assert len(tried) == 50
        assert recipe["chosen"][task]["val"][figure] == best(tried)


def test_the_comparison_reads_it(done: tuple[Path, Result]) -> None:
    found = read_run(done[0])
    assert found.title == "Shallow MLP on pixels"
    assert found.has_age.all()
    assert found.has_gender.all()


def test_a_limit_and_a_table_of_folds(striped_folder: Path, tmp_path: Path) -> None:
    folds = tmp_path / "turned.csv"
    rows = (striped_folder / "labels.csv").read_text().replace(",test", ",t").replace(",val", ",test")
    folds.write_text(rows.replace(",t\n", ",val\n"))
    output = tmp_path / "run"
    result = run("mlp-pixels", "--data", striped_folder, "--folds", folds, "--limit", "50", "--output", output)
    assert result.exit_code == 0, result.output
    assert yaml.safe_load((output / "recipe.yaml").read_text())["data"]["faces"]["train"] == 50
    files = Predictions.load(output / "test.parquet").files.tolist()
    assert files == [f"val{number:03}.png" for number in range(50)], "the folds of the table count, not those stated"


def test_the_missing_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "mien.learn.baselines.mlp", raising=False)
    monkeypatch.setitem(sys.modules, "sklearn.neural_network", None)
    error = run("mlp-pixels").exception
    assert isinstance(error, MissingExtra)
    assert install("train") in str(error)


def test_what_cannot_be_run_is_told(done: tuple[Path, Result], striped_folder: Path, tmp_path: Path) -> None:
    again = run("mlp-pixels", "--data", striped_folder, "--output", done[0])
    assert isinstance(again.exception, DataError)
    assert "already holds a run" in str(again.exception)
    unknown = run("mlp-pixel", "--data", striped_folder, "--output", tmp_path / "new")
    assert isinstance(unknown.exception, UsageError)
    assert "did you mean 'mlp-pixels'" in str(unknown.exception)
    absent = run("mlp-pixels", "--data", tmp_path / "absent", "--output", tmp_path / "new")
    assert isinstance(absent.exception, DataError)
    assert not (tmp_path / "new").exists()
