from pathlib import Path

import pytest

from mien.errors import DataError
from mien.learn.run_folder import RunFolder


def test_a_folder_without_recipe_or_weights_is_no_finished_run(tmp_path: Path) -> None:
    (tmp_path / "recipe.yaml").touch()
    assert RunFolder(tmp_path).lacking == ["model.safetensors"]
    with pytest.raises(DataError, match=r"is not the folder of a run: it lacks recipe\.yaml or model\.safetensors"):
        RunFolder.finished(tmp_path)
    (tmp_path / "model.safetensors").touch()
    assert RunFolder.finished(tmp_path).weights == tmp_path / "model.safetensors"


def test_a_new_run_is_not_written_over_what_is_there(tmp_path: Path) -> None:
    assert RunFolder.new(tmp_path / "run").path == tmp_path / "run"
    with pytest.raises(DataError, match="exists already: choose another --output"):
        RunFolder.new(tmp_path)


def test_curves_come_back_without_what_was_not_measured(tmp_path: Path) -> None:
    run = RunFolder(tmp_path)
    assert run.read_curves() == ()
    run.write_curves([{"epoch": 1, "loss": 2.123456, "mae": float("nan")}, {"epoch": 2, "loss": 1.5, "mae": 5.25}])
    assert run.read_curves() == ({"epoch": 1, "loss": 2.12346}, {"epoch": 2, "loss": 1.5, "mae": 5.25})


@pytest.mark.parametrize("text", ["epoch,loss\n1,low\n", "epoch,loss\n1,2,3\n"])
def test_curves_that_are_no_numbers_are_told(tmp_path: Path, text: str) -> None:
    (tmp_path / "curves.csv").write_text(text)
    with pytest.raises(DataError, match=r"curves\.csv is no table of numbers"):
        RunFolder(tmp_path).read_curves()


@pytest.mark.parametrize(("text", "found"), [("name: x\n", {"name": "x"}), ("- 1\n", {}), ("", {})])
def test_a_recipe_is_read_as_it_stands(tmp_path: Path, text: str, found: dict[str, str]) -> None:
    assert RunFolder(tmp_path).recipe_as_written() == {}
    (tmp_path / "recipe.yaml").write_text(text)
    assert RunFolder(tmp_path).recipe_as_written() == found


def test_a_broken_recipe_is_told(tmp_path: Path) -> None:
    (tmp_path / "recipe.yaml").write_text("a: [")
    with pytest.raises(DataError, match="is not valid YAML"):
        RunFolder(tmp_path).recipe_as_written()


def test_parts_and_averaged_runs_are_found_behind_a_run_once_each(tmp_path: Path) -> None:
    for name in ("a", "b", "pair", "mean"):
        (tmp_path / name).mkdir()
    pair, mean = RunFolder(tmp_path / "pair"), RunFolder(tmp_path / "mean")
    pair.name_parts({"age": tmp_path / "a", "gender": tmp_path / "b"})
    mean.name_averaged([tmp_path / "pair", tmp_path / "a"])
    assert pair.parts == {"age": tmp_path / "a", "gender": tmp_path / "b"}
    assert pair.trained_parts() == [tmp_path / "a", tmp_path / "b"]
    assert mean.before == mean.averaged == [tmp_path / "pair", tmp_path / "a"]
    assert [run.name for run in mean.lineage()] == ["a", "b", "pair", "mean"]


def test_records_are_found_whatever_their_fold(tmp_path: Path) -> None:
    run = RunFolder(tmp_path)
    assert run.records == []
    for fold in ("val", "test"):
        run.record(fold).touch()
    assert [path.name for path in run.records] == ["run-val.json", "run.json"]
