"""mien-m's own steps on a tiny data set: a child process is killed in the first, what is left is done by another."""

import csv
import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file, save_file

from mien.errors import DataError, UsageError
from mien.estimate import bundle
from mien.learn import average, export, steps, train
from mien.learn.networks.build import build
from mien.learn.recipe import Model

TINY = (
    "model.options.width=0.125",
    "model.size=32",
    "model.freeze=0",
    "optimiser.head_epochs=0",
    "optimiser.sizes={}",
    "optimiser.batch=8",
    "data.workers=0",
)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A root of data with a few chips of UTKFace and All-Age-Faces, and start weights as small as the networks."""
    rng = np.random.default_rng(0)
    images = tmp_path / "root" / "data" / "utkface" / "images"
    images.mkdir(parents=True)
    rows = []
    for number in range(24):
        age, gender = int(rng.integers(5, 80)), number % 2
        name = f"{age}_{gender}_0_{number}.jpg.chip.jpg"
        Image.fromarray(rng.integers(0, 255, (32, 32, 3), np.uint8)).save(images / name)
        rows.append(
            {"file": name, "age": age, "gender": gender, "group": "", "fold": "train" if number < 16 else "val"}
        )
    with (images.parent / "splits.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    aaf = tmp_path / "root" / "data" / "aaf"
    aaf.mkdir()
    Image.fromarray(rng.integers(0, 255, (32, 32, 3), np.uint8)).save(aaf / "a.jpg")
    (aaf / "labels.csv").write_text("file,age,gender\na.jpg,30,female\n")
    start = tmp_path / "root" / "pretrained" / "hse_mobilenet"
    start.mkdir(parents=True)
    torch.manual_seed(0)
    save_file(build(Model(options={"width": 0.125}, size=32)).state_dict(), start / "model.safetensors")
    return tmp_path / "root"


def settings(epochs: int) -> list[str]:
    return [*TINY, f"optimiser.epochs={epochs}"]


def test_a_killed_step_goes_on_and_the_next_takes_its_result(root: Path, tmp_path: Path) -> None:
    runs, patient = tmp_path / "runs", settings(5)
    options = [word for setting in patient for word in ("--set", setting)]
    command = [sys.executable, "-m", "mien", "train", "mien-m", "--until", "start", "--output", str(runs), *options]
    environment = {**os.environ, "MIEN_DATA": str(root), "OMP_NUM_THREADS": "1"}
    with subprocess.Popen(
        command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, env=environment
    ) as child:
        assert child.stderr is not None
        for line in child.stderr:
            if line.startswith("epoch 2/"):
                child.send_signal(signal.SIGKILL)
                break
        child.stderr.read()
    assert child.returncode == -signal.SIGKILL
    curves = runs / "mien-m-start" / "curves.csv"
    with curves.open() as file:
        before = list(csv.DictReader(file))
    assert 2 <= len(before) < 5
    assert not any("done" in line.split()[1] for line in steps("mien-m", runs))

    told: list[str] = []
    made = train("mien-m", runs, settings=patient, until="mean", data_root=root, report=told.append)
    going_on = next(line for line in told if line.startswith("going on after epoch"))
    assert int(going_on.split()[-1]) >= 2
    with curves.open() as file:
        assert list(csv.DictReader(file))[: len(before)] == before, "the epochs before the kill are not done again"
    recipe = (runs / "mien-m-polish" / "recipe.yaml").read_text()
    assert f"init: {runs / 'mien-m-start'}" in recipe
    assert made == runs / "mien-m-mean"
    start, polish, mean = (
        load_file(runs / f"mien-m-{name}" / "model.safetensors") for name in ("start", "polish", "mean")
    )
    assert all(torch.allclose(mean[key], (start[key] + polish[key]) / 2, atol=1e-6) for key in mean)
    assert [line.split()[1] for line in steps("mien-m", runs)[:3]] == ["done"] * 3

    again: list[str] = []
    stamp = (runs / "mien-m-polish" / "state.pt").stat().st_mtime_ns
    train("mien-m", runs, settings=patient, until="mean", data_root=root, report=again.append)
    assert again == [f"step {at} of 3, {name}: done before" for at, name in enumerate(("start", "polish", "mean"), 1)]
    assert (runs / "mien-m-polish" / "state.pt").stat().st_mtime_ns == stamp

    model = export(runs / "mien-m-mean", tmp_path / "model", name="tiny")
    lineage = bundle.read(model).config.made["lineage"]
    assert [step["run"] for step in lineage] == ["mien-m-start", "mien-m-polish", "mien-m-mean"]
    assert lineage[0]["from"] == "hse_mobilenet/model.safetensors"
    assert (lineage[1]["from"], lineage[2]["average"]) == ("mien-m-start", {"mien-m-start": 1, "mien-m-polish": 1})


PIPELINE = """
name: mine
steps:
  first: {train: first.yaml}
  second: {train: first.yaml, from: first}
  mean: {average: {first: 2, second: 1}}
  honest: {crossfit: mien-m, faces: [{data: CHIPS, fold: train}], size: 32}
  model: {export: mean, name: mine}
  sure: {calibrate: model, faces: {data: CHIPS, fold: train}}
  answers: {answer: model, faces: {data: CHIPS, fold: val}}
  third: {train: first.yaml, from: mean, teacher: [honest, answers]}
"""


@pytest.fixture
def mine(tmp_path: Path, chips_folder: Path) -> Path:
    (tmp_path / "first.yaml").write_text(
        "name: first\nloss: {teacher: 0.5}\nmodel: {size: 32, options: {width: 0.125}}\n"
        f"data: {{train: [{{data: {chips_folder}, fold: train}}], val: {{data: {chips_folder}, fold: val}}}}\n"
        "optimiser: {epochs: 1, batch: 8}\n"
    )
    (tmp_path / "pipeline.yaml").write_text(PIPELINE.replace("CHIPS", str(chips_folder)))
    return tmp_path / "pipeline.yaml"


def test_all_kinds_of_steps(mine: Path, tmp_path: Path) -> None:
    last = train(str(mine), tmp_path / "out")
    assert last == tmp_path / "out" / "mine-third"
    model = bundle.read(tmp_path / "out" / "mine-model")
    assert model.config.calibration is not None
    assert [step["run"] for step in model.config.made["lineage"]] == ["mine-first", "mine-second", "mine-mean"]
    first, second, mean = (
        load_file(tmp_path / "out" / f"mine-{name}" / "model.safetensors") for name in ("first", "second", "mean")
    )
    assert all(torch.allclose(mean[key], (2 * first[key] + second[key]) / 3, atol=1e-6) for key in mean)
    by_hand = average(
        [tmp_path / "out" / "mine-first", tmp_path / "out" / "mine-second"], tmp_path / "hand", weights=[2, 1]
    )
    assert by_hand.read_bytes() == (tmp_path / "out" / "mine-mean" / "model.safetensors").read_bytes()
    record = json.loads((tmp_path / "out" / "mine.steps.json").read_text())
    assert list(record) == ["first", "second", "mean", "honest", "model", "sure", "answers", "third"]

    with pytest.raises(DataError, match=r"step first was done otherwise before, it differs in .*seed"):
        train(str(mine), tmp_path / "out", settings=["seed=5"])
    mine.write_text(mine.read_text().replace("first: 2", "first: 3"))
    with pytest.raises(DataError, match=r"step mean was done otherwise before, it differs in average.first"):
        train(str(mine), tmp_path / "out")


def test_what_lies_there_already_is_taken(mine: Path, tmp_path: Path) -> None:
    told: list[str] = []
    train(str(mine), tmp_path / "out", until="mean")
    (tmp_path / "out" / "mine.steps.json").unlink()
    stamp = (tmp_path / "out" / "mine-mean" / "model.safetensors").stat().st_mtime_ns
    time.sleep(0.01)
    train(str(mine), tmp_path / "out", until="mean", report=told.append)
    assert any(line.endswith("mine-mean is there already and is taken as it is") for line in told)
    assert (tmp_path / "out" / "mine-mean" / "model.safetensors").stat().st_mtime_ns == stamp


@pytest.mark.parametrize(
    ("call", "told"),
    [
        (lambda: train("mien-m", until="polsh"), "did you mean 'polish'"),
        (lambda: train("compact", until="polish"), "is one run, not made in steps"),
        (lambda: train("mien-m", init=Path("x")), "made in steps, each with a start of its own"),
        (lambda: steps("compact"), "is no model that is made in steps"),
        (lambda: average([Path("a"), Path("b")], Path("c"), weights=[1]), "2 runs take as many weights"),
    ],
)
def test_faults_get_a_sentence(call: object, told: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert callable(call)
    with pytest.raises(UsageError, match=told):
        call()


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("lbp-svm", "mien lab baseline lbp-svm makes it"),
        ("experts", "mien lab combine gated runs/gate-sigmoid runs/expert-women runs/expert-men --output runs/experts"),
        ("separate", "mien lab combine pair runs/separate-age runs/separate-gender --output runs/separate"),
        ("hybrid-ensemble", "mien lab combine mean runs/hybrid-gru-whole runs/hybrid-cnn-distribution "),
    ],
)
def test_what_no_recipe_trains_names_the_command_that_makes_it(name: str, told: str) -> None:
    with pytest.raises(UsageError, match=re.escape(told)):
        train(name)
