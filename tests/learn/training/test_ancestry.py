from pathlib import Path

import pytest

from mien.learn.training.ancestry import ancestry, write_lineage


@pytest.fixture
def runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return Path("runs")


def trained(folder: Path, epochs: int, init: str = "null", more: str = "{}") -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "recipe.yaml").write_text(f"name: {folder.name}\nmodel: {{init: {init}}}\ndata: {more}\n")
    (folder / "model.safetensors").touch()
    rows = "".join(f"{at + 1},1\n" for at in range(epochs))
    (folder / "curves.csv").write_text(f"epoch,seconds\n{rows}")
    return folder


def test_the_way_is_told_in_order_and_without_places_of_the_machine(runs: Path) -> None:
    trained(runs / "a", 3, "/data/pretrained/hse_mobilenet/model.safetensors")
    trained(runs / "b", 2, "runs/a", "{teacher: [runs/heads.parquet], guide: mien-m}")
    mean = trained(runs / "mean", 0)
    (mean / "averaged.txt").write_text("runs/a\nruns/b\nruns/b\n")
    assert ancestry(mean) == [
        {"run": "a", "train": "a", "epochs": 3, "from": "hse_mobilenet/model.safetensors"},
        {"run": "b", "train": "b", "epochs": 2, "from": "a", "teacher": ["runs/heads.parquet"], "guide": "mien-m"},
        {"run": "mean", "average": {"a": 1, "b": 2}},
    ]


def test_what_was_kept_outlives_the_folders_and_a_longer_run_tells_its_epochs(runs: Path) -> None:
    start = trained(runs / "a", 3)
    run = trained(runs / "b", 1, "runs/a")
    write_lineage(run)
    (start / "recipe.yaml").unlink()
    trained(run, 4, "runs/a")
    write_lineage(run)
    assert [(step["run"], step["epochs"]) for step in ancestry(run)] == [("a", 3), ("b", 4)]
