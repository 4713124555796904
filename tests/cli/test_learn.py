from __future__ import annotations

import json
import re
import shutil
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner, Result

from mien.cli import app
from mien.errors import ModelError, install
from mien.estimate import bundle
from mien.faces import create
from mien.faces.align import CropContract, align
from mien.learn.data.predictions import Predictions
from mien.photos.decode import decode


def run(*arguments: str | Path) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


@pytest.fixture
def model(tiny_bundle: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(tiny_bundle, tmp_path / "tiny"))


@pytest.fixture(scope="module")
def chips(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Chips named like those of UTKFace, which the tiny model takes for two years older than their names say.

    Women are reddish and men bluish. Folds are val and test by turns; one file is listed and missing.
    """
    folder = tmp_path_factory.mktemp("chips")
    rows = ["file,age,gender,group,fold,coral"]
    for number, years in enumerate(range(20, 60)):
        female = number // 2 % 2
        colour = np.array([20, 0, -20] if female else [-20, 0, 20])
        pixels = np.full((40, 40, 3), round((years + 2) * 2.55)) + colour
        name = f"{years}_{female}_0_{number}.jpg.chip.jpg"
        Image.fromarray(pixels.astype(np.uint8)).save(folder / name, quality=100, subsampling=0)
        fold = ("val", "test")[number % 2]
        rows.append(f"{name},{years},{'fm'[1 - female]},,{fold},{'test' if fold == 'test' else ''}")
    rows.append("61_0_0_99.jpg.chip.jpg,61,m,,test,")
    (folder / "splits.csv").write_text("\n".join(rows))
    return folder


def test_a_model_is_measured(model: Path, chips: Path, tmp_path: Path) -> None:
    saved = tmp_path / "answers.parquet"
    arguments = ("evaluate", model, "--data", chips, "--folds", chips / "splits.csv", "--threads", "1")
    done = run(*arguments, "--format", "json", "--predictions", saved)
    assert done.exit_code == 0, done.output
    report = json.loads(done.stdout)
    assert (report["counts"]["evaluated"], report["counts"]["missing_files"]) == (20, 1)
    assert report["subsets"]["all"]["age"]["mae"]["value"] == pytest.approx(2, abs=0.1)
    assert report["subsets"]["all"]["gender"]["accuracy"]["value"] == 1
    assert "coral_clipped" in report["subsets"]
    assert report["settings"]["fold"] == "test"
    assert report["through"] is None
    assert len(Predictions.load(saved)) == 20
    again = run(*arguments, "--format", "json", "--mirror", "--against", saved)
    differences = json.loads(again.stdout)["against"]["differences"]
    assert {one["n"] for one in differences if one["subset"] == "all"} == {20}
    assert "paired on the same faces" in run(*arguments, "--against", saved).stdout
    assert run(*arguments, "--against", chips / "splits.csv").exit_code == 6
    table = run(*arguments, "--fold", "val", "--point", "median").stdout
    assert table.startswith("tiny: 20 listed, 20 evaluated")
    assert "| all" in table


def test_a_folder_is_measured_without_folds(model: Path, chips: Path, tmp_path: Path) -> None:
    for path in chips.glob("*.jpg"):
        shutil.copy(path, tmp_path)
    done = run("evaluate", model, "--data", tmp_path, "--format", "json", "--threads", "1", "--mirror")
    assert json.loads(done.stdout)["counts"]["evaluated"] == 40


def test_a_table_with_folds_is_measured_on_its_test_fold(model: Path, chips: Path) -> None:
    arguments = ("evaluate", model, "--data", chips / "splits.csv", "--threads", "1", "--format", "json")
    done = run(*arguments)
    assert done.exit_code == 0, done.output
    assert "mien: fold test, 21 of 41 pictures" in done.stderr
    report = json.loads(done.stdout)
    assert (report["settings"]["fold"], report["counts"]["listed"]) == ("test", 21)
    everything = run(*arguments, "--fold", "all")
    assert re.fullmatch(r"mien: evaluate is done, \d+\.\d s\n", everything.stderr)
    report = json.loads(everything.stdout)
    assert (report["settings"]["fold"], report["counts"]["listed"]) == (None, 41)


def test_folds_none_of_which_is_for_testing_are_named(model: Path, chips: Path, tmp_path: Path) -> None:
    text = (chips / "splits.csv").read_text().replace(",test", ",train")
    table = chips / "trained.csv"
    table.write_text(text)
    done = run("evaluate", model, "--data", table, "--threads", "1")
    table.unlink()
    assert "mien: all 41 pictures, folds train and val" in done.stderr


def test_chips_are_measured_through_a_detector(model: Path, examples: Path, tmp_path: Path) -> None:
    faces = tmp_path / "faces"
    faces.mkdir()
    detector, contract = create("mtcnn"), CropContract.utkface(200)
    for name in ("astronaut", "hopper"):
        pixels = decode((examples / f"{name}.jpg").read_bytes()).pixels
        Image.fromarray(align(pixels, detector.detect(pixels)[0], contract)).save(faces / f"{name}.png")
    (faces / "labels.csv").write_text("file,age,gender\nastronaut.png,42,f\nhopper.png,77,f\n")
    arguments = ("evaluate", model, "--data", faces, "--through", "mtcnn", "--threads", "1")
    report = json.loads(run(*arguments, "--format", "json").stdout)["through"]
    assert (report["detector"], report["pictures"], report["missed"]) == ("mtcnn", 2, 0)
    assert "mtcnn found 2 of 2 padded chips" in run(*arguments).stdout


@pytest.mark.parametrize(
    ("changes", "code", "sentence"),
    [
        (["--point", "mode"], 2, "unknown point 'mode'"),
        (["--format", "xml"], 2, "unknown format 'xml'"),
        (["--fold", "tset"], 2, "did you mean 'test'"),
        (["--data", "nowhere"], 6, "there is no data at nowhere"),
        (["--through", "mtcn"], 2, "unknown detector"),
    ],
)
def test_what_cannot_be_measured_is_told(
    model: Path, chips: Path, changes: list[str], code: int, sentence: str
) -> None:
    done = run("evaluate", model, "--data", chips, "--folds", chips / "splits.csv", "--threads", "1", *changes)
    assert (done.exit_code, done.stdout) == (code, "")
    assert sentence in done.stderr


def test_odd_data_is_told(model: Path, chips: Path, tmp_path: Path) -> None:
    for path in chips.glob("*.jpg"):
        shutil.copy(path, tmp_path)
    shutil.copy(next(chips.glob("*.jpg")), tmp_path / "61_1_2019.jpg.chip.jpg")
    done = run("evaluate", model, "--data", tmp_path, "--threads", "1")
    assert "mien: 1 problems in the data, first: 61_1_2019.jpg.chip.jpg" in done.stderr


def test_calibrating_writes_into_the_model(model: Path, chips: Path) -> None:
    fold = ("--data", chips, "--folds", chips / "splits.csv", "--threads", "1")
    done = run("calibrate", model, *fold)
    assert done.exit_code == 0, done.output
    calibration = bundle.read(model).config.calibration
    assert calibration is not None
    assert json.loads(done.stdout) == calibration.to_dict()
    assert calibration.age_temperature < 1  # the labels lie two years off, within a spread of four
    again = run("calibrate", model, *fold)  # learns from raw answers, not from calibrated ones
    assert json.loads(again.stdout) == calibration.to_dict()
    assert "no age checks: a limit needs 100 faces" in again.stderr
    assert not (model / bundle.AGE_CHECKS).exists()
    after = json.loads(run("evaluate", model, *fold, "--format", "json").stdout)
    assert after["subsets"]["all"]["age"]["coverage"]["value"] >= 0.85


def test_age_checks_are_learned_from_cross_fitted_answers(model: Path, chips: Path, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    ages = rng.integers(10, 30, 2000)
    rows = ["file,age,gender,fold"] + [f"{at}.jpg,{age},{'fm'[at % 2]},train" for at, age in enumerate(ages)]
    for path in chips.glob("*.jpg"):
        shutil.copy(path, tmp_path)
        age, female, *_ = path.name.split("_")
        rows.append(f"{path.name},{age},{'mf'[int(female)]},val")
    (tmp_path / "folds.csv").write_text("\n".join(rows))
    mass = np.exp(-0.5 * ((np.arange(117) - ages[:, None] - rng.normal(0, 3, (2000, 1))) / 3) ** 2)
    pmf = (mass / mass.sum(axis=1, keepdims=True)).astype(np.float32)
    files = np.array([f"{at}.jpg" for at in range(2000)])
    Predictions(files, pmf, (np.arange(2000) % 2 == 0).astype(np.float32)).save(tmp_path / "cross.parquet")
    options = ("--data", tmp_path, "--folds", tmp_path / "folds.csv", "--cross-fitted", tmp_path / "cross.parquet")
    done = run("calibrate", model, *options, "--threads", "1")
    assert done.exit_code == 0, done.output
    checks = bundle.read(model).age_checks()
    assert checks.source == "2000 cross-fitted training faces"
    assert 0.5 < checks.rule(18, 0.05, 0.05).pass_above < 1


def test_calibrating_on_several_collections(model: Path, chips: Path, tmp_path: Path) -> None:
    rows = []
    for at, path in enumerate(sorted(chips.glob("*.jpg"))):
        shutil.copy(path, tmp_path / f"{at}.jpg")
        age = int(path.name.split("_")[0])
        rows.append(f"{at}.jpg,{max(0, age - 1)},{age + 1},{'near' if at % 2 else 'far'}")
    (tmp_path / "labels.csv").write_text("\n".join(["file,age_low,age_high,source", *rows]))
    (tmp_path / "all.yaml").write_text(
        f"collections:\n  home: {{data: {chips}, folds: {chips / 'splits.csv'}, choose: [val], home: true}}\n"
        f"  bounds: {{data: {tmp_path}, only: near, choose: [all]}}\n"
        f"  unseen: {{data: {tmp_path}, only: far}}\n"
    )
    done = run("calibrate", model, "--collections", tmp_path / "all.yaml", "--threads", "1")
    assert done.exit_code == 0, done.output
    assert "home: 90 % intervals hold" in done.stderr
    assert "bounds: 90 % intervals hold" in done.stderr
    assert "unseen" not in done.stderr
    calibration = bundle.read(model).config.calibration
    assert calibration is not None
    assert json.loads(done.stdout) == calibration.to_dict()


@pytest.mark.parametrize("given", [(), ("--data", "x", "--collections", "y.yaml")])
def test_calibrating_wants_one_source_of_faces(model: Path, given: tuple[str, ...]) -> None:
    done = run("calibrate", model, *given)
    assert (done.exit_code, done.stdout) == (2, "")
    assert "by --data or by --collections" in done.stderr


def test_a_card_tells_the_figures(model: Path, chips: Path, tmp_path: Path) -> None:
    fold = ("--data", chips, "--folds", chips / "splits.csv", "--threads", "1")
    report = tmp_path / "report.json"
    report.write_text(run("evaluate", model, *fold, "--format", "json").stdout)
    copy = tmp_path / "card.md"
    done = run("card", model, "--evaluation", report, "--on", "forty grey squares", "--copy", copy)
    assert (done.exit_code, done.stdout) == (0, f"{model / 'README.md'}\n")
    assert len(copy.read_text().splitlines()) == len((model / "README.md").read_text().splitlines())
    assert "Measured on forty grey squares: 20 faces, 1 files missing." in (model / "README.md").read_text()
    assert bundle.read(model).config.figures["all_accuracy"] == 1
    report.write_text('{"subsets": 1}')
    for wrong in (report, tmp_path / "none.json"):
        done = run("card", model, "--evaluation", wrong, "--on", "nothing")
        assert (done.exit_code, done.stdout) == (6, "")
        assert "is not what mien evaluate" in done.stderr


def test_a_run_becomes_a_model_that_predicts(chips: Path, tmp_path: Path) -> None:
    source = f"{{data: {chips}, folds: {chips / 'splits.csv'}, fold: %s}}"
    settings = {
        "data.train": f"[{source % 'val'}]",
        "data.val": source % "test",
        "data.workers": "0",
        "model.size": "48",
        "model.options": "{widths: [4, 6, 8, 10], hidden: [16, 12]}",
        "optimiser.epochs": "1",
        "optimiser.batch": "10",
    }
    changes = [word for key, value in settings.items() for word in ("--set", f"{key}={value}")]
    done = run("train", "compact", *changes, "--output", tmp_path / "run")
    assert done.exit_code == 0, done.output
    assert done.stdout == f"{tmp_path / 'run' / 'model.safetensors'}\n"
    assert "epoch 1/1" in done.stderr
    again = run("train", "compact", *changes, "--output", tmp_path / "run")
    assert (again.exit_code, "--resume" in again.stderr) == (6, True)
    wider = [*changes, "--set", "model.options.hidden=[20, 12]"]
    done = run("train", "compact", *wider, "--output", tmp_path / "next", "--init", tmp_path / "run")
    assert done.exit_code == 0, done.output
    assert f"tensors of the network do not fit {tmp_path / 'run' / 'model.safetensors'} and keep their" in done.stderr
    assert f"init: {tmp_path / 'run'}\n" in (tmp_path / "next" / "recipe.yaml").read_text()
    done = run("export", tmp_path / "run", "--output", tmp_path / "mine", "--name", "mine")
    assert done.exit_code == 0, done.output
    picture = next(chips.glob("*.jpg"))
    done = run("predict", picture, "--model", tmp_path / "mine", "--detector", "whole", "--threads", "1")
    assert done.exit_code == 0, done.output
    record = json.loads(done.stdout)
    assert (record["model"], len(record["faces"])) == ("mine", 1)


@pytest.mark.parametrize(
    ("arguments", "code", "sentence"),
    [
        (["train", "mien-x"], 2, "unknown recipe 'mien-x'"),
        (["train", "mien-m", "--set", "optimiser.epoch=3"], 2, "does not fit"),
        (["train", "lbp-svm"], 2, "mien lab baseline lbp-svm makes it"),
        (["export", "nowhere", "--output", "x"], 6, "not the folder of a run"),
        (["calibrate", "nobody", "--data", "x"], 2, "unknown model"),
    ],
)
def test_faults_of_learning_are_a_sentence_and_a_code(arguments: list[str], code: int, sentence: str) -> None:
    done = run(*arguments)
    assert (done.exit_code, done.stdout) == (code, "")
    assert sentence in done.stderr


@pytest.mark.parametrize(
    ("arguments", "module", "absent"),
    [
        (["train", "mien-m"], "mien.learn.training.loop", "torch"),
        (["train", "mien-m"], "mien.learn.recipe", "yaml"),
        (["export", "x", "--output", "y"], "mien.learn.exporting.bundle", "onnx"),
    ],
)
def test_the_missing_extra_is_named(
    monkeypatch: pytest.MonkeyPatch, arguments: list[str], module: str, absent: str
) -> None:
    for name in [name for name in sys.modules if name.startswith(module)]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, absent, None)
    done = run(*arguments)
    assert done.exit_code == 5
    assert f"needs the extra 'train': {install('train')}" in done.stderr


def test_a_model_that_may_not_be_written_is_told(model: Path, chips: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(bundle, "write_config", refuse)
    done = run("calibrate", model, "--data", chips, "--folds", chips / "splits.csv", "--threads", "1")
    assert done.exit_code == ModelError.exit_code
    assert "Permission denied" in done.stderr
