from pathlib import Path

import pytest
import torch
import yaml
from safetensors.torch import load_file, save_file

from mien.errors import DataError
from mien.learn.training.average import average_runs


def _run(folder: Path, value: float, sides: int = 2) -> Path:
    folder.mkdir()
    (folder / "recipe.yaml").write_text(f"name: {folder.name}\n")
    save_file({"w": torch.full((sides, 2), value)}, folder / "model.safetensors")
    return folder


def test_the_mean_is_written_with_the_last_recipe(tmp_path: Path) -> None:
    runs = [_run(tmp_path / "a", 1.0), _run(tmp_path / "b", 4.0)]
    weights = average_runs(runs, tmp_path / "mean")
    assert load_file(weights)["w"].tolist() == [[2.5, 2.5], [2.5, 2.5]]
    assert (tmp_path / "mean" / "recipe.yaml").read_text() == "name: b\n"


def test_the_mean_can_be_for_chips_of_another_size(tmp_path: Path) -> None:
    runs = [_run(tmp_path / "a", 1.0), _run(tmp_path / "b", 4.0)]
    (runs[1] / "recipe.yaml").write_text("name: b\nmodel:\n  network: mobilenet-v1\n  size: 184\n")
    average_runs(runs, tmp_path / "mean", size=168)
    recipe = yaml.safe_load((tmp_path / "mean" / "recipe.yaml").read_text())
    assert recipe == {"name": "b", "model": {"network": "mobilenet-v1", "size": 168}}


def test_what_cannot_be_averaged_is_refused(tmp_path: Path) -> None:
    a, other = _run(tmp_path / "a", 1.0), _run(tmp_path / "other", 1.0, sides=3)
    with pytest.raises(DataError, match="two runs or more"):
        average_runs([a], tmp_path / "mean")
    with pytest.raises(DataError, match="differ"):
        average_runs([a, other], tmp_path / "mean")
    with pytest.raises(DataError, match="not the folder of a run"):
        average_runs([a, tmp_path], tmp_path / "mean")
    with pytest.raises(DataError, match="exists already"):
        average_runs([a, a], tmp_path / "other")
    assert not (tmp_path / "mean").exists()
