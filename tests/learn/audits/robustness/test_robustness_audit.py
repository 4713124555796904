import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import typer
from numpy.typing import NDArray
from PIL import Image
from safetensors.torch import save_file
from typer.testing import CliRunner

from mien.arrays import Pixels
from mien.cli.audit.robustness import robustness
from mien.errors import DataError, UsageError
from mien.estimate.bundle import read as read_bundle
from mien.estimate.estimator import Estimates, Estimator
from mien.faces.align import CropContract
from mien.learn.audits.opened_model import open_model
from mien.learn.audits.robustness.robustness_audit import chips, measure, stratified
from mien.learn.audits.robustness.robustness_plots import grid, heat_map
from mien.learn.audits.robustness.robustness_report import Figures, RobustnessReport
from mien.learn.data import samples
from mien.learn.data.manifest import Manifest
from mien.learn.data.predictions import predict
from mien.learn.data.readers import read
from mien.learn.evaluation.evaluate import evaluate
from mien.learn.networks.build import build
from mien.learn.recipe import load_recipe

LIGHT = ["darker", "lighter", "low-contrast", "high-contrast", "gamma-dark", "gamma-light", "shadow"]


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Chips whose grey is their age and whose colour is their gender, as the tiny model reads them; one is broken."""
    folder = tmp_path_factory.mktemp("faces")
    rng = np.random.default_rng(0)
    rows = []
    for number in range(24):
        age, female = int(rng.integers(20, 70)), number % 2
        colour = np.array([1.25, 1, 0.75] if female else [0.75, 1, 1.25])
        pixels = np.full((40, 40, 3), age * 2.55) * colour
        Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).save(folder / f"{number:02}.png")
        rows.append(f"{number:02}.png,{age},{female}")
    (folder / "broken.png").write_bytes(b"no picture")
    rows.append("broken.png,30,1")
    (folder / "labels.csv").write_text("\n".join(["file,age,gender", *rows]), encoding="utf-8")
    return folder


@pytest.fixture
def faces(folder: Path) -> Manifest:
    return read(folder)


@pytest.fixture
def estimator(tiny_bundle: Path) -> Estimator:
    return Estimator(read_bundle(tiny_bundle))


class AgesOnly:
    """Answers the brightness as an age, two years too old, and no gender."""

    contract = CropContract.utkface(16)

    def __call__(self, chips: Pixels) -> Estimates:
        years = np.clip(chips.mean(axis=(1, 2, 3)) / 2.55 + 2, 0, 116).round().astype(int)
        pmf = np.zeros((len(chips), 117), np.float32)
        pmf[np.arange(len(chips)), years] = 1
        return Estimates(pmf, np.full(len(chips), np.nan, np.float32))


def test_figures_are_those_of_an_evaluation_and_of_hand_reckoning(faces: Manifest, estimator: Estimator) -> None:
    told: list[int] = []
    report = measure(estimator, faces, names=["darker", "grey"], model="tiny", resamples=200, progress=told.append)
    clean = evaluate(predict(estimator, faces), faces, resamples=10).subsets["all"]
    assert report.clean.mae == pytest.approx(clean.age["mae"].value)
    assert report.clean.accuracy == pytest.approx(clean.gender["accuracy"].value) == 1
    assert (report.faces, report.unreadable) == (24, 1)
    assert sum(told) == chips(25, ["darker", "grey"]) == 25 * 11
    # the tiny model's age falls by 100 years a unit of brightness
    for figures, fall in zip(report.corrupted["darker"], (10, 20), strict=False):
        assert figures.mae == pytest.approx(fall, abs=1.5)
    # without colour its odds are even, and even odds say "female": half of the faces
    assert report.corrupted["grey"][4].accuracy == 0.5
    assert report.changes["grey"].drop is not None
    shares = [figures.accuracy for figures in report.corrupted["grey"] if figures.accuracy is not None]
    assert report.changes["grey"].drop.value == pytest.approx(1 - np.mean(shares))


def test_means_are_those_of_the_parts(faces: Manifest, estimator: Estimator) -> None:
    report = measure(estimator, faces, names=["light", "noise", "jpeg", "grey"], resamples=100)
    assert list(report.changes) == [*LIGHT, "noise", "jpeg", "grey", "light", "quality", "all"]
    relative = {}
    for name, change in report.changes.items():
        assert change.mae is not None
        assert change.mae.low <= change.mae.value <= change.mae.high
        relative[name] = change.mae.value
    by_hand = {
        name: np.mean([figures.mae / report.clean.mae for figures in cells if figures.mae and report.clean.mae])
        for name, cells in report.corrupted.items()
    }
    for name, value in by_hand.items():
        assert relative[name] == pytest.approx(value)
    assert relative["light"] == pytest.approx(np.mean([by_hand[name] for name in LIGHT]))
    assert relative["all"] == pytest.approx(np.mean(list(by_hand.values())))


def test_same_seed_same_report_whatever_the_company(faces: Manifest, estimator: Estimator) -> None:
    alone = measure(estimator, faces, names=["noise"], threads=1, resamples=50)
    beside = measure(estimator, faces, names=["shadow", "noise"], threads=2, resamples=50)
    fewer = measure(estimator, faces.take(np.arange(5)), names=["noise"], resamples=50)
    assert alone.corrupted["noise"] == beside.corrupted["noise"]
    assert alone.changes["noise"] == beside.changes["noise"]
    assert fewer.corrupted["noise"] != alone.corrupted["noise"]
    other = measure(estimator, faces, names=["noise"], seed=1, resamples=50)
    assert other.corrupted["noise"] != alone.corrupted["noise"]
    assert other.clean == alone.clean


def test_a_report_comes_back_from_its_file(faces: Manifest, estimator: Estimator) -> None:
    report = measure(estimator, faces, names=["grey", "darker"], resamples=20)
    record = json.loads(json.dumps(report.to_dict()))
    again = RobustnessReport.from_dict(record)
    assert again.to_dict() == report.to_dict()
    assert list(again.changes) == list(report.changes)
    assert again.to_markdown().splitlines()[2:] == report.to_markdown().splitlines()[2:]
    for broken in ({}, {**record, "means": 3}, {**record, "clean": {"rmse": 1}}):
        with pytest.raises(DataError, match="no audit of robustness"):
            RobustnessReport.from_dict(broken)


def test_what_a_model_or_the_data_does_not_say_stays_unsaid(faces: Manifest) -> None:
    report = measure(AgesOnly(), faces, names=["darker"], resamples=50)
    assert report.clean.accuracy is None
    assert report.clean.mae is not None
    assert report.changes["all"].drop is None
    record = json.loads(json.dumps(report.to_dict()))
    assert record["means"]["all"]["gender_drop"] is None
    assert record["corruptions"]["darker"]["severities"][0]["accuracy"] is None
    assert "| -" in report.to_markdown()
    assert len(heat_map(report).axes) == 1
    faultless = replace(report, clean=Figures(0.0, None))
    with pytest.raises(DataError, match="nothing to draw"):
        heat_map(faultless)
    nameless = faces.take(np.array([24]))  # broken.png
    with pytest.raises(DataError, match="none of the 1 pictures can be measured"):
        measure(AgesOnly(), nameless, names=["darker"])


def test_a_recipe_decides_what_its_network_is_shown(faces: Manifest, estimator: Estimator) -> None:
    seen: dict[str, list[Pixels]] = {}

    def prepare(file: str, pixels: Pixels) -> Pixels:
        seen.setdefault(file, []).append(pixels)
        return np.zeros_like(pixels)

    report = measure(estimator, faces.take(np.arange(3)), names=["grey"], prepare=prepare, resamples=50)
    assert [len(pictures) for pictures in seen.values()] == [6, 6, 6]
    assert {figures.mae for figures in report.corrupted["grey"]} == {report.clean.mae}
    assert report.changes["all"].mae is not None
    assert report.changes["all"].mae.value == 1
    with pytest.raises(UsageError, match="corruption or family"):
        measure(estimator, faces, names=["fog"])


def test_children_are_told_apart(tmp_path: Path) -> None:
    for number, (age, value) in enumerate(((5, 40), (17, 60), (30, 100))):
        Image.fromarray(np.full((64, 64, 3), value, np.uint8)).save(tmp_path / f"{age}-{number}.png")
    rows = ("5-0.png,5", "17-1.png,17", "30-2.png,30")
    (tmp_path / "labels.csv").write_text("file,age\n" + "\n".join(rows) + "\n")
    faces = read(tmp_path)
    report = measure(AgesOnly(), faces, names=["darker", "grey"], resamples=50)
    black = [
        (max(0.0, value - level * 255) - value) / 2.55 for level in (0.1, 0.2, 0.3, 0.4, 0.5) for value in (40, 60)
    ]
    assert report.children["darker"].faces == 2
    assert report.children["darker"].years == pytest.approx(np.mean(black), abs=1)
    assert report.children["darker"].absolute == pytest.approx(-report.children["darker"].years)
    assert report.children["grey"].absolute == 0
    assert RobustnessReport.from_dict(report.to_dict()).children["grey"] == report.children["grey"]
    assert "2 children" in report.to_markdown()
    assert not measure(AgesOnly(), faces.take(np.array([2])), names=["grey"], resamples=50).children


@pytest.fixture
def crowd() -> Callable[[NDArray[np.float32], NDArray[np.int8]], Manifest]:
    """A manifest of labels alone."""

    def make(age: NDArray[np.float32], female: NDArray[np.int8]) -> Manifest:
        n = len(age)
        empty = np.array([""] * n, dtype=np.str_)
        files = np.array([f"{i}.jpg" for i in range(n)], dtype=np.str_)
        yes, no = np.ones(n, np.bool_), np.zeros(n, np.bool_)
        race, paths = np.full(n, -1, np.int8), tuple(Path(f"{i}.jpg") for i in range(n))
        return Manifest(files, paths, yes, age, female, empty, empty, empty, no, race, empty)

    return make


def test_the_subset_has_the_shares_of_the_whole(
    crowd: Callable[[NDArray[np.float32], NDArray[np.int8]], Manifest],
) -> None:
    rng = np.random.default_rng(0)
    age = rng.choice([1, 5, 15, 25, 35, 45, 75], p=[0.1, 0.1, 0.1, 0.4, 0.2, 0.098, 0.002], size=3000)
    everyone = crowd(age.astype(np.float32), rng.integers(0, 2, 3000).astype(np.int8))
    some = stratified(everyone, 500)
    assert len(some) == len(set(some.files.tolist())) == 500
    for value in (1, 5, 15, 25, 35, 45):
        for female in (0, 1):
            share = [np.mean((part.age == value) & (part.female == female)) for part in (everyone, some)]
            assert share[1] == pytest.approx(share[0], abs=0.004)
    assert (some.age == 75).any()  # rare, but there
    assert some.files.tolist() == stratified(everyone, 500).files.tolist()
    assert some.files.tolist() != stratified(everyone, 500, seed=1).files.tolist()
    assert len(stratified(everyone, 3)) == 3
    assert stratified(everyone, 3000) is everyone or len(stratified(everyone, 3000)) == 3000


def test_faces_without_any_label_are_not_chosen(
    crowd: Callable[[NDArray[np.float32], NDArray[np.int8]], Manifest],
) -> None:
    age = np.array([np.nan, 20, np.nan, 30], np.float32)
    female = np.array([-1, -1, 1, 0], np.int8)
    assert stratified(crowd(age, female)).files.tolist() == ["1.jpg", "2.jpg", "3.jpg"]


def test_pictures_show_every_cell(faces: Manifest, estimator: Estimator, tmp_path: Path) -> None:
    report = measure(estimator, faces, names=["blur"], resamples=50)
    figure = heat_map(report)
    assert len(figure.axes) == 2
    for axes in figure.axes:
        assert len(axes.texts) == 15
    face = samples.sample_chip(samples.sample_photo(), 64)
    sheet = grid(face, ["blur", "grey"])
    assert len(sheet.axes) == 4 * 6
    np.testing.assert_array_equal(sheet.axes[0].images[0].get_array(), face)
    assert {"gaussian-blur", "motion-blur", "defocus", "grey", "severity 5"} <= {t.get_text() for t in sheet.texts}
    sheet.savefig(tmp_path / "grid.png", dpi=40)
    with Image.open(tmp_path / "grid.png") as picture:
        assert picture.width > picture.height


def test_a_training_run_is_measured_as_its_recipe_shows_it_the_chips(
    faces: Manifest, folder: Path, tmp_path: Path
) -> None:
    settings = [f"data.train=[{{data: {folder}}}]", f"data.val={{data: {folder}}}", "data.grey=true", "model.size=32"]
    plan = load_recipe("separate-gender", [*settings, "model.options.widths=[4, 4, 4]", "model.options.hidden=4"])
    net = build(plan.model)
    (tmp_path / "recipe.yaml").write_text(plan.to_yaml(), encoding="utf-8")
    save_file(net.state_dict(), tmp_path / "model.safetensors")
    opened = open_model(tmp_path, faces)
    estimator, prepare = opened.estimator, opened.prepare
    assert opened.name == "separate-gender"
    shown = prepare("00.png", np.array([[[200, 100, 0]]], np.uint8))
    assert np.ptp(shown) == 0  # grey
    report = measure(estimator, faces, names=["grey"], prepare=prepare, resamples=50)
    assert report.clean.mae is None
    assert report.clean.accuracy is not None
    assert {figures.accuracy for figures in report.corrupted["grey"]} == {report.clean.accuracy}


@pytest.fixture
def run() -> Callable[..., str]:
    """The command alone, as the root command registers it."""
    app = typer.Typer()
    app.command()(robustness)

    def call(*arguments: str) -> str:
        result = CliRunner().invoke(app, list(arguments), catch_exceptions=False)
        assert result.exit_code == 0, result.output
        return result.stdout

    return call


def test_the_command_prints_a_table_or_json(
    run: Callable[..., str], tiny_bundle: Path, folder: Path, tmp_path: Path
) -> None:
    common = (str(tiny_bundle), "--data", str(folder), "--quiet")
    table = run(*common, "--only", "grey")
    assert "tiny on 24 faces" in table
    assert "| grey" in table
    assert "| mean, all" in table
    plot = tmp_path / "heat.png"
    record = json.loads(run(*common, "--light", "--faces", "6", "--format", "json", "--plot", str(plot)))
    assert list(record["corruptions"]) == LIGHT
    assert record["faces"] <= 6
    assert record["settings"]["full"] is False
    assert plot.stat().st_size > 1000
    drawn = tmp_path / "grid.png"
    run(*common, "--only", "zoom-in", "--full", "--grid", str(drawn))
    assert drawn.stat().st_size > 1000


def test_the_command_takes_no_unknown_words(run: Callable[..., str], tiny_bundle: Path, folder: Path) -> None:
    common = (str(tiny_bundle), "--data", str(folder))
    with pytest.raises(UsageError, match="format 'xml'"):
        run(*common, "--format", "xml")
    with pytest.raises(UsageError, match="did you mean 'blur'"):
        run(*common, "--only", "blurr")
    with pytest.raises(UsageError, match="there is no folder"):
        run(*common, "--plot", "nowhere/heat.png")
