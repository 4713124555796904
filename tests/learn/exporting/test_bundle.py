import json
import shutil
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
import yaml
from safetensors.torch import load_file

from mien.errors import DataError
from mien.estimate import bundle
from mien.estimate.estimator import Estimator
from mien.estimate.explain import explain
from mien.learn.exporting import bundle as export
from mien.learn.networks.answer_kinds import Deployed
from mien.learn.networks.arithmetic import multiply_adds
from mien.learn.networks.build import build
from mien.learn.networks.heads import AgeGenderNet
from mien.learn.recipe import load_recipe
from mien.learn.training import loop


@pytest.fixture(scope="module")
def run_folder(chips_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("run") / "run"
    data = f"{{data: {chips_folder}, fold: train}}"
    settings = [
        f"data.train=[{data}]",
        f"data.val={data}",
        "data.workers=0",
        "model.init=null",
        "data.teacher=null",
        "data.guide=null",
        "augment.mix=0",
        "model.size=64",
        "model.freeze=0",
        "optimiser.epochs=1",
        "optimiser.head_epochs=0",
        "optimiser.sizes={}",
    ]
    loop.train(load_recipe("mien-m", settings), folder)
    return folder


@pytest.fixture(scope="module")
def plain_folder(chips_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of a network that is exported much faster than mien-m, all of whose weights stay outside the graph."""
    folder = tmp_path_factory.mktemp("plain") / "run"
    data = f"{{data: {chips_folder}, fold: train}}"
    settings = [f"data.train=[{data}]", f"data.val={data}", "data.workers=0", "model.size=64", "optimiser.epochs=1"]
    loop.train(load_recipe("compact", [*settings, "model.options={widths: [8, 8, 16, 32], hidden: [256, 64]}"]), folder)
    return folder


@pytest.fixture(scope="module")
def exported(run_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return export.export_run(run_folder, tmp_path_factory.mktemp("bundles") / "small", "small")


def _chips(count: int) -> np.ndarray:
    return np.random.default_rng(count).integers(0, 256, (count, 64, 64, 3), dtype=np.uint8)


@pytest.mark.parametrize("count", [1, 3])
def test_bundle_answers_as_torch_does(run_folder: Path, exported: Path, count: int) -> None:
    net = build(load_recipe(str(run_folder / "recipe.yaml")).model).eval()
    net.load_state_dict({k: v.half().float() for k, v in load_file(run_folder / "model.safetensors").items()})
    answers = Estimator(bundle.read(exported))(_chips(count))
    with torch.inference_mode():
        output = net(torch.from_numpy(_chips(count)))
    np.testing.assert_allclose(answers.pmf, torch.softmax(output.age, 1).numpy(), atol=1e-4)
    np.testing.assert_allclose(answers.female, torch.sigmoid(output.gender).numpy(), atol=1e-4)


def test_weights_are_stored_once_in_float16(exported: Path) -> None:
    weights = load_file(exported / "model.safetensors")
    assert {tensor.dtype for tensor in weights.values()} == {torch.float16}
    parameters = sum(tensor.numel() for tensor in weights.values())
    assert (exported / "model.onnx").stat().st_size < 100_000
    assert bundle.read(exported).size() < 2 * parameters + 200_000
    onnx.checker.check_model(exported / "model.onnx")


def test_config_tells_what_the_bundle_is(exported: Path) -> None:
    made = bundle.read(exported)
    assert made.config.name == "small"
    assert made.config.contract.size == 64
    assert made.config.parameters == sum(t.numel() for t in load_file(exported / "model.safetensors").values())
    assert made.config.architecture == {"network": "mobilenet-v1", "options": {"dropout": 0.2}}
    assert made.config.licence == "LicenseRef-mien-weights-research-only"
    assert "non-commercial research" in (exported / "LICENSE").read_text()
    assert made.damaged() == []
    weights = exported / "model.safetensors"
    whole = weights.read_bytes()
    weights.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
    assert made.damaged() == ["model.safetensors"]
    weights.write_bytes(whole)


def test_nothing_of_this_machine_is_in_the_graph(exported: Path) -> None:
    text = (exported / "model.onnx").read_bytes()
    assert b"/work" not in text
    assert b".py" not in text


def test_multiply_adds_agree_with_a_count_by_hand() -> None:
    """MobileNetV1 at 224 px without its classifier has 568 million (Howard et al. 2017, table 4: 569 with it)."""
    net = build(load_recipe("mien-m", ["model.init=null"]).model)
    assert multiply_adds(net, 224) == pytest.approx(568e6, rel=0.002)


def test_float32_bundle_is_twice_as_large_and_no_closer_than_it_must_be(plain_folder: Path, tmp_path: Path) -> None:
    folder = export.export_run(plain_folder, tmp_path / "full", dtype="float32")
    answers = Estimator(bundle.read(folder))(_chips(2))
    net = build(load_recipe(str(plain_folder / "recipe.yaml")).model).eval()
    net.load_state_dict(load_file(plain_folder / "model.safetensors"))
    with torch.inference_mode():
        pmf, female = Deployed(net)(torch.from_numpy(_chips(2)))
    np.testing.assert_allclose(answers.pmf, pmf.numpy(), atol=1e-5)
    np.testing.assert_allclose(answers.female, female.numpy(), atol=1e-5)
    parameters = sum(p.numel() for p in net.parameters())
    assert 4 * parameters < (folder / "model.safetensors").stat().st_size < 4.2 * parameters
    assert (folder / "model.onnx").stat().st_size < parameters  # the weights are not in there once more
    assert json.loads((folder / "config.json").read_text())["made"]["stored"] == "float32"


def test_a_folder_that_is_no_run_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="not the folder of a run"):
        export.export_run(tmp_path, tmp_path / "out")


def test_a_graph_that_differs_from_torch_is_never_written(
    plain_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(export, "TOLERANCE", -1.0)
    with pytest.raises(DataError, match="differs from torch"):
        export.export_run(plain_folder, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_the_exported_graph_takes_any_batch(exported: Path) -> None:
    session = onnxruntime.InferenceSession(exported / "model.onnx", providers=["CPUExecutionProvider"])
    assert session.run(["p_female"], {"chips": _chips(5)})[0].shape == (5,)


def test_our_network_shows_its_last_feature_map(run_folder: Path, exported: Path) -> None:
    session = onnxruntime.InferenceSession(exported / "model.onnx", providers=["CPUExecutionProvider"])
    assert [port.name for port in session.get_outputs()] == ["age_pmf", "p_female", "feature_map"]
    net = build(load_recipe(str(run_folder / "recipe.yaml")).model).eval()
    assert isinstance(net, AgeGenderNet)
    net.load_state_dict({k: v.half().float() for k, v in load_file(run_folder / "model.safetensors").items()})
    (features,) = session.run(["feature_map"], {"chips": _chips(3)})
    with torch.inference_mode():
        wanted = net.features(torch.from_numpy(_chips(3)))
    assert features.shape == (3, 1024, 2, 2)
    np.testing.assert_allclose(features, wanted.numpy(), atol=1e-3)
    told = explain(Estimator(bundle.read(exported)), _chips(1), "gender", "cam")[0]
    assert told.cells.sum() == pytest.approx(told.value - told.veiled, abs=1e-3)


def test_a_folder_that_is_no_model_is_never_replaced(run_folder: Path, tmp_path: Path) -> None:
    (tmp_path / "precious").mkdir()
    (tmp_path / "precious" / "thesis.txt").write_text("years of work")
    with pytest.raises(DataError, match="is no model"):
        export.export_run(run_folder, tmp_path / "precious")
    assert (tmp_path / "precious" / "thesis.txt").read_text() == "years of work"


def test_a_network_with_folded_batch_norm_is_exported_right(chips_folder: Path, tmp_path: Path) -> None:
    data = f"{{data: {chips_folder}, fold: train}}"
    settings = [f"data.train=[{data}]", f"data.val={data}", "data.workers=0", "data.crop=chip", "model.size=32"]
    settings += ["model.options={task: both, widths: [4, 4, 4], hidden: [8, 8]}", "optimiser.epochs=1"]
    loop.train(load_recipe("regularised-both", settings), tmp_path / "run")
    folder = export.export_run(tmp_path / "run", tmp_path / "bundle", "folded")
    net = build(load_recipe(str(tmp_path / "run" / "recipe.yaml")).model).eval()
    weights = load_file(tmp_path / "run" / "model.safetensors")
    net.load_state_dict({k: v.half().float() if v.is_floating_point() else v for k, v in weights.items()})
    chips = np.random.default_rng(0).integers(0, 256, (3, 32, 32, 3), dtype=np.uint8)
    answers = Estimator(bundle.read(folder))(chips)
    with torch.inference_mode():
        female = torch.softmax(net(torch.from_numpy(chips)).gender, 1)[:, 1]
    np.testing.assert_allclose(answers.female, female.numpy(), atol=1e-4)
    session = onnxruntime.InferenceSession(folder / "model.onnx", providers=["CPUExecutionProvider"])
    assert [port.name for port in session.get_outputs()] == ["age_pmf", "p_female"]  # its heads are not linear


def test_weights_that_do_not_fit_the_recipe_are_refused(plain_folder: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    shutil.copytree(plain_folder, run)
    recipe = yaml.safe_load((run / "recipe.yaml").read_text())
    recipe["model"]["size"] = 96  # its linear layers read a map of one size
    (run / "recipe.yaml").write_text(yaml.safe_dump(recipe))
    with pytest.raises(DataError, match=r"does not fit a compact-cnn .* 96 px"):
        export.export_run(run, tmp_path / "model")
    assert not (tmp_path / "model").exists()
