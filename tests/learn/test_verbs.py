"""From one file name to its loss, from a run to a page, and the snippets of docs/python-learn.md as they stand."""

import csv
import json
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from mien import learn
from mien.errors import UsageError
from mien.learn.data.dataset import Chips
from mien.learn.data.readers import read
from mien.learn.networks.build import as_network, build
from mien.learn.recipe import load_recipe
from mien.learn.training.losses import AgeGenderLoss

PAGE = Path(__file__).parents[2] / "docs" / "python-learn.md"


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with the faces, folds and recipe that the page speaks of: age shows as brightness."""
    rng = np.random.default_rng(0)
    (tmp_path / "faces").mkdir()
    rows = ["file,age,gender,group,fold"]
    for number in range(90):
        age, female = int(rng.integers(1, 90)), number % 2
        name = f"{age}_{female}_{number % 3}_{number}.jpg"
        pixels = (2.5 * age * np.array([1, 0.6, 0.6] if female else [0.6, 0.6, 1])) + rng.normal(0, 4, (32, 32, 3))
        Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).save(tmp_path / "faces" / name)
        rows.append(f"{name},{age},{female},,{('train', 'val', 'test')[number // 2 % 3]}")
    (tmp_path / "folds.csv").write_text("\n".join(rows) + "\n")
    (tmp_path / "models").mkdir()
    monkeypatch.chdir(tmp_path)
    (recipe,) = fenced("yaml")
    Path("small.yaml").write_text(recipe)
    return tmp_path


def fenced(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", PAGE.read_text(), re.MULTILINE | re.DOTALL)


def test_the_snippets_of_the_page_do_what_it_says(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    names: dict[str, object] = {}
    for snippet in fenced("py"):
        exec(compile(snippet, str(PAGE), "exec"), names)
    told = capsys.readouterr().out
    assert "epoch 2/2" in told
    assert "train mien-m-start -> runs/mien-m-start" in told
    assert "| all" in told
    made = json.loads((place / "models" / "small" / "config.json").read_text())["made"]
    assert [step["run"] for step in made["lineage"]] == ["small", "second", "mean"]
    assert made["lineage"][-1]["average"] == {"small": 2, "second": 1}
    assert (place / "answers.parquet").is_file()
    page = (place / "report.html").read_text()
    assert page.lower().startswith("<!doctype html")
    assert "small" in page


def test_one_file_name_becomes_a_row_a_chip_and_a_loss(tmp_path: Path) -> None:
    pixels = np.random.default_rng(0).integers(0, 255, (40, 40, 3), np.uint8)
    (tmp_path / "faces").mkdir()
    Image.fromarray(pixels).save(tmp_path / "faces" / "31_1_2_20170116.jpg.chip.png")
    (tmp_path / "faces" / "31_1_2_20170116.jpg.chip.png").rename(tmp_path / "faces" / "31_1_2_20170116.jpg.chip.jpg")
    rows = read(tmp_path / "faces")
    assert (rows.files.tolist(), rows.age.tolist()) == (["31_1_2_20170116.jpg.chip.jpg"], [31.0])
    assert (rows.female.tolist(), rows.race.tolist(), rows.problems) == ([1], [2], ())
    chip = Chips(rows, 32)[0]
    assert (chip[0].shape, str(chip[0].dtype), chip[1], chip[2]) == ((32, 32, 3), "uint8", 31.0, 1)

    source = f"{{data: {tmp_path / 'faces'}}}"
    settings = [
        f"data.train=[{source}]", f"data.val={source}", "data.workers=0", "model.init=null", "model.size=32",
        "model.options.width=0.125", "optimiser.epochs=0",
    ]  # fmt: skip
    weights = learn.train("fine-tune", tmp_path / "run", settings=settings)
    recipe = load_recipe(str(weights.parent / "recipe.yaml"))
    net = build(recipe.model.model_copy(update={"init": weights})).eval()
    batch = Chips.collate([chip])
    with torch.inference_mode():
        loss = AgeGenderLoss(recipe.loss, as_network(net))(
            net(batch.chips), batch.age, batch.female, bounds=batch.bounds
        )
    with (weights.parent / "curves.csv").open() as file:
        (row,) = csv.DictReader(file)
    assert float(row["val_loss"]) == pytest.approx(float(loss), rel=1e-4)


def test_a_run_becomes_a_model_and_a_page_by_verbs_alone(place: Path) -> None:
    run = learn.train("small.yaml", settings=["optimiser.epochs=1"]).parent
    model = learn.export(run, place / "models" / "mine", name="mine")
    learned = learn.calibrate(model, place / "faces", folds=place / "folds.csv")
    assert learned.calibration.masses
    found = learn.evaluate(model, place / "faces", folds=place / "folds.csv")
    assert (found.report.counts["evaluated"], found.faces.only_fold) == (30, "test")
    assert 0 < found.report.subsets["all"].age["mae"].value < 117
    saved = place / "answers.parquet"
    found.answers.save(saved)
    told: list[str] = []
    audited = learn.audit(
        model, place / "faces", folds=place / "folds.csv", parts=["accuracy", "calibration"],
        saved={"predictions": saved}, report=told.append,
    )  # fmt: skip
    assert audited.parts == ("accuracy", "calibration")
    assert told == ["accuracy", "calibration"]
    assert audited.write_card("thirty faces").read_text().startswith("# mine")
    with pytest.raises(UsageError, match="did you mean 'predictions'"):
        learn.audit(model, place / "faces", saved={"prediction": saved})


def test_importing_the_verbs_loads_no_torch() -> None:
    code = "import sys, mien.learn; print(sorted({'torch', 'numpy', 'pydantic', 'yaml'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
