from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from mien.errors import ModelError, UsageError
from mien.estimate import bundle
from mien.estimate.bundle import BundleConfig
from mien.estimate.calibrate import Band, Calibration
from mien.faces.align import CropContract


@pytest.fixture
def copy(tiny_bundle: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(tiny_bundle, tmp_path / "copy"))


def rewrite(folder: Path, **changes: Any) -> None:
    record = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(record | changes))


def test_config_survives_json() -> None:
    config = BundleConfig(
        name="m",
        contract=CropContract.utkface(160),
        licence="research",
        calibration=Calibration(
            1.2, 0.9, ((0.5, 0.4), (0.9, 0.85)), (Band(0.0, ((0.9, 0.8),)), Band(20.0, ((0.9, 0.95),))), ((0.9, 0.99),)
        ),
        data=("UTKFace", "AAF"),
        parameters=3_000_000,
        multiply_adds=300_000_000,
        files={"model.onnx": "00"},
        figures={"MAE": 4.4},
        made={"recipe": "mien-m"},
        architecture={"network": "mobilenet-v1", "options": {"width": 0.5}},
    )
    assert BundleConfig.from_dict(json.loads(json.dumps(config.to_dict()))) == config


def test_a_folder_is_read_whole(tiny_bundle: Path) -> None:
    model = bundle.read(bundle.find(tiny_bundle))
    assert model.config.name == "tiny"
    assert model.config.contract == CropContract.utkface(32)
    assert model.config.calibration is None
    assert model.damaged() == []
    assert model.size() == sum(path.stat().st_size for path in tiny_bundle.iterdir())


def test_a_model_that_was_never_calibrated_names_the_command_that_does_it(copy: Path) -> None:
    with pytest.raises(ModelError, match=f"model tiny is not calibrated: run mien calibrate {copy} on held-out faces"):
        bundle.read(copy).calibration()
    learned = Calibration(1.2, 0.9, ((0.9, 0.85),))
    rewrite(copy, calibration=learned.to_dict())
    assert bundle.read(copy).calibration() == learned


def test_optional_keys_may_be_absent(copy: Path) -> None:
    record = json.loads((copy / "config.json").read_text())
    for key in ("calibration", "data", "parameters", "multiply_adds", "files", "figures", "made"):
        del record[key]
    (copy / "config.json").write_text(json.dumps(record))
    assert bundle.read(copy).config.data == ()


@pytest.mark.parametrize("key", ["format", "name", "task", "input", "ages", "licence"])
def test_a_missing_key_is_named(copy: Path, key: str) -> None:
    record = json.loads((copy / "config.json").read_text())
    del record[key]
    (copy / "config.json").write_text(json.dumps(record))
    with pytest.raises(ModelError, match=f"config.json: '{key}' is missing"):
        bundle.read(copy)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"format": bundle.FORMAT + 1}, "install a newer mien"),
        ({"format": True}, "'format' must be a whole number"),
        ({"name": 7}, "'name' must be a text, not 7"),
        ({"task": "emotion"}, "'task' is 'emotion'"),
        ({"ages": {"first": 1, "last": 100}}, "1 to 100"),
        ({"ages": {"first": 0}}, "'ages.last' is missing"),
        ({"input": {}}, "'input.contract' is missing"),
        ({"input": {"contract": {"size": "big"}}}, "contract"),
        ({"licence": "MIT"}, "'licence' must be a table"),
        ({"data": "UTKFace"}, "'data' must be a list"),
        ({"calibration": {"age_temperature": 1}}, "calibration"),
        ({"calibration": {"age_temperature": -1, "gender_temperature": 1, "masses": []}}, "above 0"),
    ],
)
def test_a_wrong_value_gets_a_sentence(copy: Path, change: dict[str, Any], sentence: str) -> None:
    rewrite(copy, **change)
    with pytest.raises(ModelError, match=sentence):
        bundle.read(copy)


@pytest.mark.parametrize("text", ["{", "[1]", "\ud800".encode("utf-8", "surrogatepass")])
def test_a_config_that_is_no_table(copy: Path, text: str | bytes) -> None:
    (copy / "config.json").write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(ModelError, match=r"config\.json"):
        bundle.read(copy)


@pytest.mark.parametrize("name", ["config.json", "model.onnx"])
def test_a_missing_file_is_named(copy: Path, name: str) -> None:
    (copy / name).unlink()
    with pytest.raises(ModelError, match=f"has no {name}"):
        bundle.read(copy)


def test_damage_is_found(copy: Path) -> None:
    with (copy / "model.onnx").open("ab") as file:
        file.write(b"x")
    assert bundle.read(copy).damaged() == ["model.onnx"]


def test_an_unknown_name_answers_with_the_choices(monkeypatch: pytest.MonkeyPatch, tiny_bundle: Path) -> None:
    monkeypatch.setattr(bundle, "MODELS", tiny_bundle.parent)
    assert bundle.available() == {"tiny": tiny_bundle}
    assert bundle.find("tiny") == tiny_bundle
    with pytest.raises(UsageError, match="unknown model 'tinny': did you mean 'tiny'"):
        bundle.find("tinny")


def test_a_wrong_path_is_no_unknown_name(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="does not exist"):
        bundle.find(tmp_path / "nowhere")
    with pytest.raises(ModelError, match="does not exist"):
        bundle.find(str(tmp_path / "nowhere"))
    (tmp_path / "model.onnx").touch()
    with pytest.raises(ModelError, match="give the folder"):
        bundle.find(str(tmp_path / "model.onnx"))


def test_write_config_round_trips(copy: Path) -> None:
    model = bundle.read(copy)
    changed = BundleConfig.from_dict(model.config.to_dict() | {"parameters": 5})
    bundle.write_config(copy, changed)
    assert bundle.read(copy).config == changed
    assert sorted(path.name for path in copy.iterdir()) == ["LICENSE", "config.json", "model.onnx"]
