from __future__ import annotations

import json
import re
import shutil
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from mien import __version__
from mien.cli import app
from mien.errors import install
from mien.estimate import bundle


@pytest.fixture
def models(monkeypatch: pytest.MonkeyPatch, tiny_bundle: Path, tmp_path: Path) -> Path:
    """The only model that comes with this mien is the tiny one."""
    shutil.copytree(tiny_bundle, tmp_path / "tiny")
    monkeypatch.setattr(bundle, "MODELS", tmp_path)
    return tmp_path


def asked(*arguments: str) -> Any:
    done = CliRunner().invoke(app, [*arguments, "--format", "json"])
    assert done.exit_code == 0, done.output
    return json.loads(done.stdout)


def test_models_are_listed(models: Path) -> None:
    (record,) = asked("models")
    assert record["name"] == "tiny"
    assert record["licence"] == "MIT"
    assert record["figures"] == {"MAE": 12.5}
    assert record["bytes"] == sum(path.stat().st_size for path in (models / "tiny").iterdir())
    assert not record["calibrated"]
    text = CliRunner().invoke(app, ["models"]).stdout
    head = ["tiny", "0.0", "MB", "0.00", "M", "MAE", "12.5"]
    assert text.splitlines()[1].split() == [*head, "any", "use,", "commercial", "too", "MIT"]


def test_a_model_is_found_by_its_name(models: Path) -> None:
    assert models
    done = CliRunner().invoke(app, ["predict", "none.jpg", "--model", "tiny", "--detector", "whole"])
    assert json.loads(done.stdout)["model"] == "tiny"


def test_the_doctor_examines_everything(models: Path) -> None:
    assert models
    report = asked("doctor")
    assert report["mien"] == __version__
    assert report["cores"] >= 1
    assert "CPUExecutionProvider" in report["providers"]
    assert all(report["packages"].values())
    assert set(report["extras"]) == {"count", "heif", "parquet", "scale", "serve", "train"}
    assert report["detectors"] == {"mtcnn": "ok", "haar": "ok"}
    assert report["models"]["tiny"]["state"] == "ok"
    assert report["models"]["tiny"]["ms_per_chip"]["1"] > 0
    text = CliRunner().invoke(app, ["doctor"]).stdout
    assert "ms a chip on 1 core" in text
    assert install("heif") in text or report["extras"]["heif"]["pillow-heif"]


@pytest.mark.parametrize("harm", ["append", "remove", "config"])
def test_the_doctor_finds_damage(models: Path, harm: str) -> None:
    network = models / "tiny" / "model.onnx"
    match harm:
        case "append":
            network.write_bytes(network.read_bytes() + b"x")
        case "remove":
            network.unlink()
        case "config":
            (models / "tiny" / "config.json").write_text("{}")
    done = CliRunner().invoke(app, ["doctor", "--format", "json"])
    assert done.exit_code == 4
    assert json.loads(done.stdout)["models"]["tiny"]["state"] != "ok"
    assert done.stderr == "mien: not in order: tiny; install mien again\n"


def test_an_unknown_format_is_a_usage_error() -> None:
    for name in ("models", "doctor"):
        done = CliRunner().invoke(app, [name, "--format", "yaml"])
        assert (done.exit_code, done.stdout) == (2, "")


def test_shipped_models_tell_their_figures_in_words() -> None:
    lines = CliRunner().invoke(app, ["models"]).stdout.splitlines()
    (shipped,) = (line for line in lines if line.startswith("mien-m "))
    assert re.search(r"  \d\.\d\d years, \d\d\.\d %  ", shipped)
