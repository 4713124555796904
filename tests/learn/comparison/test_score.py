import json
from pathlib import Path

import numpy as np
import pytest
import torch

from mien.errors import DataError, UsageError
from mien.estimate.calibrate import AGES
from mien.learn.comparison.score import RunEstimator, retime, score
from mien.learn.data.predictions import Predictions
from mien.learn.recipe import load_recipe
from mien.learn.training import loop
from mien.learn.training.combine import combine_runs


@pytest.fixture(scope="module")
def runs(chips_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Small runs: ages of everybody, of women and of men, and genders."""
    common = [
        f"data.train=[{{data: {chips_folder}, fold: train}}]",
        f"data.val={{data: {chips_folder}, fold: val}}",
        "data.workers=0",
        "data.crop=chip",
        "model.size=32",
        "optimiser.epochs=1",
    ]
    plans = {
        "age": ("separate-age", ["model.options={task: age, widths: [4, 4], hidden: 8}"]),
        "gender": ("separate-gender", ["model.options={task: gender, widths: [4, 4], hidden: 8}"]),
        "women": ("separate-age", ["model.options={task: age, widths: [4], hidden: 8}", "data.men=false", "seed=2"]),
        "men": ("separate-age", ["model.options={task: age, widths: [4], hidden: 8}", "data.women=false", "seed=3"]),
    }
    root = tmp_path_factory.mktemp("runs")
    for name, (recipe, more) in plans.items():
        loop.train(load_recipe(recipe, [*common, f"name={name}", *more]), root / name)
    return {name: root / name for name in plans}


CHIPS = np.random.default_rng(0).integers(0, 256, (6, 32, 32, 3), dtype=np.uint8)


def test_a_run_is_scored_on_a_fold(runs: dict[str, Path]) -> None:
    told: list[str] = []
    described = score(runs["age"], fold="val", threads=1, report=told.append)
    assert described == json.loads((runs["age"] / "run-val.json").read_text())
    assert not (runs["age"] / "run.json").exists()
    assert "epochs_by_run" not in described
    assert described["task"] == ["age"]
    assert described["faces"] == 8
    assert described["parameters"] > 100
    assert described["multiply_adds"] > 10_000
    assert described["inference_ms"] > 0
    assert described["epochs"] == 1
    answers = Predictions.load(runs["age"] / "val.parquet")
    assert len(answers) == 8
    assert np.isnan(answers.female).all()
    assert "MAE" in told[-1]
    assert "gender" not in told[-1]


def test_the_time_alone_is_taken_again(runs: dict[str, Path]) -> None:
    with pytest.raises(DataError, match="score it first"):
        retime(runs["women"])
    before = score(runs["gender"], fold="val", threads=1)
    for name in ("run-val.json", "run.json"):
        (runs["gender"] / name).write_text(json.dumps(before | {"fold": name, "inference_ms": 1e6}))
    milliseconds = retime(runs["gender"])
    assert 0 < milliseconds < 1e6
    for name in ("run-val.json", "run.json"):
        record = json.loads((runs["gender"] / name).read_text())
        assert record == before | {"fold": name, "inference_ms": milliseconds}


def test_a_record_of_another_fold_leaves_that_of_test_alone(runs: dict[str, Path]) -> None:
    (runs["men"] / "run.json").write_text("{}")
    score(runs["men"], fold="val", threads=1)
    assert (runs["men"] / "run.json").read_text() == "{}"
    assert json.loads((runs["men"] / "run-val.json").read_text())["fold"] == "val"


def test_a_pair_answers_as_its_parts_do(runs: dict[str, Path], tmp_path: Path) -> None:
    combine_runs("pair", {"age": runs["age"], "gender": runs["gender"]}, tmp_path / "pair", "Two networks")
    both = RunEstimator(tmp_path / "pair")(CHIPS)
    np.testing.assert_allclose(both.pmf, RunEstimator(runs["age"])(CHIPS).pmf, atol=1e-5)
    np.testing.assert_allclose(both.female, RunEstimator(runs["gender"])(CHIPS).female, atol=1e-5)
    described = score(tmp_path / "pair", fold="val", threads=1)
    assert described["parts"] == ["age", "gender"]
    assert described["title"] == "Two networks"
    assert described["task"] == ["age", "gender"]
    assert described["hours"] > 0
    assert described["epochs_by_run"] == {"age": 1, "gender": 1}


def test_the_gate_routes_each_face_to_one_expert(runs: dict[str, Path], tmp_path: Path) -> None:
    parts = {"gate": runs["gender"], "women": runs["women"], "men": runs["men"]}
    combine_runs("gated", parts, tmp_path / "gated")
    answers = RunEstimator(tmp_path / "gated")(CHIPS)
    gate = RunEstimator(runs["gender"])(CHIPS).female
    women, men = (RunEstimator(runs[name])(CHIPS).pmf for name in ("women", "men"))
    assert np.abs(women - men).max() > 0.01
    np.testing.assert_allclose(answers.pmf, np.where(gate[:, None] >= 0.5, women, men), atol=1e-5)


def test_an_ensemble_averages_distributions(runs: dict[str, Path], tmp_path: Path) -> None:
    members = {"a": runs["age"], "b": runs["women"], "c": runs["gender"]}
    combine_runs("mean", members, tmp_path / "mean")
    answers = RunEstimator(tmp_path / "mean")(CHIPS)
    pmf = (RunEstimator(runs["age"])(CHIPS).pmf + RunEstimator(runs["women"])(CHIPS).pmf) / 2
    np.testing.assert_allclose(answers.pmf, pmf, atol=1e-5)
    np.testing.assert_allclose(answers.pmf @ np.arange(AGES), pmf @ np.arange(AGES), atol=1e-2)
    np.testing.assert_allclose(answers.female, RunEstimator(runs["gender"])(CHIPS).female, atol=1e-5)


def test_what_does_not_go_together_is_refused(runs: dict[str, Path], tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="takes the parts age, gender"):
        combine_runs("pair", {"age": runs["age"], "other": runs["gender"]}, tmp_path / "x")
    with pytest.raises(UsageError, match="does not answer p_female"):
        combine_runs("pair", {"age": runs["age"], "gender": runs["women"]}, tmp_path / "x")
    with pytest.raises(DataError, match="not the folder of a run"):
        combine_runs("mean", {"a": tmp_path}, tmp_path / "x")
    with pytest.raises(DataError, match="exists already"):
        combine_runs("mean", {"a": runs["age"]}, runs["age"])
    assert not (tmp_path / "x").exists()
    recipe = (runs["age"] / "recipe.yaml").read_text()
    grey = tmp_path / "grey"
    grey.mkdir()
    (grey / "recipe.yaml").write_text(recipe.replace("grey: false", "grey: true"))
    (grey / "model.safetensors").write_bytes((runs["age"] / "model.safetensors").read_bytes())
    with pytest.raises(DataError, match="do not see the same chips"):
        combine_runs("mean", {"a": runs["age"], "b": grey}, tmp_path / "x")


def test_onnx_agrees_with_torch(runs: dict[str, Path], tmp_path: Path) -> None:
    parts = {"gate": runs["gender"], "women": runs["women"], "men": runs["men"]}
    combine_runs("gated", parts, tmp_path / "gated")
    estimator = RunEstimator(tmp_path / "gated")
    with torch.inference_mode():
        output = estimator.net(torch.from_numpy(CHIPS))
    np.testing.assert_allclose(estimator(CHIPS).pmf, torch.softmax(output.age, 1).numpy(), atol=1e-4)
