import json
from pathlib import Path

import pytest

from mien.learn.comparison.cost import training_cost
from mien.learn.run_folder import RunFolder


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return Path("runs")


def trained(folder: Path, epochs: int, init: str | None = None) -> Path:
    """A run of so many epochs, each of 10 seconds and 50 faces."""
    folder.mkdir(parents=True)
    (folder / "recipe.yaml").write_text(f"model: {{init: {init or 'null'}}}\n")
    (folder / "model.safetensors").touch()
    rows = [f"{at + 1},10,5\n" for at in range(epochs)]
    (folder / "curves.csv").write_text("epoch,seconds,rate\n" + "".join(rows))
    return folder


def joined(folder: Path, **parts: Path) -> Path:
    folder.mkdir(parents=True)
    (folder / "recipe.yaml").write_text("model: {init: null}\n")
    (folder / "parts.json").write_text(json.dumps({name: str(part) for name, part in parts.items()}))
    return folder


def test_a_run_costs_its_own_epochs(place: Path) -> None:
    spent = training_cost(trained(place / "a", 3))
    assert (spent.epochs, spent.seconds, spent.faces, spent.by_run) == (3, 30, 150, {"a": 3})


def test_the_runs_it_started_from_are_added(place: Path) -> None:
    trained(place / "a", 3)
    trained(place / "b", 2, "runs/a/model.safetensors")
    spent = training_cost(trained(place / "c", 1, "runs/b"))
    assert (spent.epochs, spent.seconds) == (6, 60)
    assert list(spent.by_run.items()) == [("a", 3), ("b", 2), ("c", 1)]


def test_a_start_that_is_gone_or_no_run_costs_nothing(place: Path) -> None:
    assert training_cost(trained(place / "a", 2, "runs/gone/model.safetensors")).by_run == {"a": 2}
    assert training_cost(trained(place / "b", 2, "mien-m")).epochs == 2
    (place / "weights.safetensors").touch()
    assert training_cost(trained(place / "c", 2, "runs/weights.safetensors")).epochs == 2


def test_parts_are_told_one_by_one_and_a_common_start_once(place: Path) -> None:
    trained(place / "start", 4)
    women = trained(place / "women", 2, "runs/start/model.safetensors")
    men = trained(place / "men", 1, "runs/start/model.safetensors")
    gate = trained(place / "gate", 5)
    spent = training_cost(joined(place / "experts", gate=gate, women=women, men=men))
    assert spent.by_run == {"gate": 5, "start": 4, "women": 2, "men": 1}
    assert spent.epochs == 6  # start, then women
    assert spent.seconds == 120


def test_averaged_runs_are_followed(place: Path) -> None:
    trained(place / "a", 3)
    trained(place / "b", 2, "runs/a/model.safetensors")
    mean = trained(place / "mean", 0, "runs/a/model.safetensors")
    (mean / "curves.csv").unlink()
    (mean / "averaged.txt").write_text("runs/a\nruns/b\n")
    spent = training_cost(trained(place / "c", 4, "runs/mean/model.safetensors"))
    assert spent.by_run == {"a": 3, "b": 2, "c": 4}
    assert spent.epochs == 9


def test_runs_of_one_name_are_told_apart_and_a_circle_ends(place: Path) -> None:
    one, two = trained(place / "x" / "a", 3), trained(place / "y" / "a", 2)
    assert set(training_cost(joined(place / "pair", age=one, gender=two)).by_run) == {"runs/x/a", "runs/y/a"}
    trained(place / "p", 1, "runs/q/model.safetensors")
    trained(place / "q", 2, "runs/p/model.safetensors")
    assert {run.name for run in RunFolder(place / "p").lineage()} == {"p", "q"}
    assert training_cost(place / "p").seconds == 30
