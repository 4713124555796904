"""The audit on a model whose age lies in the detail of a known place, so that right and wrong maps can be made."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from typer.testing import CliRunner

from mien.arrays import Chips, Doubles
from mien.cli import app
from mien.errors import DataError, UsageError
from mien.estimate.calibrate import AGES
from mien.estimate.estimator import Estimates
from mien.estimate.maps import MapMaker
from mien.estimate.occlusion import Occlusion
from mien.faces.align import CropContract
from mien.learn.audits.explanations import explanation_audit
from mien.learn.audits.explanations.explanation_audit import STEPS, blob, correlation, measure, ranks
from mien.learn.audits.explanations.explanation_plots import plot
from mien.learn.audits.explanations.explanation_report import BLOB
from mien.learn.data import samples
from mien.learn.data.manifest import Manifest
from mien.learn.data.readers import read

SIDE = 32
CELLS = 8


class Wrinkles:
    """Its age is 10 and what detail there is in the lower right quarter; its gender lies in the upper left one."""

    contract = CropContract.utkface(SIDE)

    def __call__(self, chips: Chips) -> Estimates:
        detail = np.abs(np.diff(chips.astype(np.float64).mean(axis=3), axis=2))
        years = 10 + detail[:, SIDE // 2 :, SIDE // 2 :].mean(axis=(1, 2))
        pmf = np.maximum(0, 1 - np.abs(np.arange(AGES) - years[:, None]))
        female = 1 / (1 + np.exp(3 - detail[:, : SIDE // 2, : SIDE // 2].mean(axis=(1, 2)) / 10))
        return Estimates(pmf.astype(np.float32), female.astype(np.float32))


class Fixed:
    """The same map for every chip."""

    spread = 0.0

    def __init__(self, method: str, cells: NDArray[np.float64], *, signed: bool = True) -> None:
        self.method, self.signed = method, signed
        self._cells = cells

    def __call__(self, chips: Chips, target: str) -> Doubles:
        return np.tile(self._cells, (len(chips), 1, 1))


def right() -> NDArray[np.float64]:
    cells = np.zeros((CELLS, CELLS))
    cells[CELLS // 2 :, CELLS // 2 :] = 1
    return cells


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Chips of noise of different strength, with labels."""
    place = tmp_path_factory.mktemp("noise")
    rng = np.random.default_rng(0)
    rows = []
    for number in range(12):
        pixels = 128 + rng.normal(0, 15 + 3 * number, (SIDE, SIDE, 3))
        Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).save(place / f"{number:02}.png")
        rows.append({"file": f"{number:02}.png", "age": 5 * number, "gender": "fm"[number % 2]})
    with (place / "labels.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, fieldnames=["file", "age", "gender"])
        writer.writeheader()
        writer.writerows(rows)
    return place


@pytest.fixture(scope="module")
def faces(folder: Path) -> Manifest:
    return read(folder)


def test_right_maps_beat_all_controls_and_wrong_ones_none(faces: Manifest) -> None:
    makers = [Fixed("right", right()), Fixed("wrong", -right())]
    report = measure(Wrinkles(), makers, faces, resamples=200)
    assert report.faces == 12
    good, bad = report.methods["right"], report.methods["wrong"]
    assert all(good.beats().values())
    assert not any(bad.beats().values())
    moved = report.moved.value
    # veiling a quarter of the pixels takes everything back: the area is that of a rise over the first two of 8 steps
    assert good.deletion.value == pytest.approx(moved * (1 - 1 / STEPS), rel=0.03)
    assert good.insertion.value == pytest.approx(moved / STEPS, rel=0.03)
    assert bad.deletion.value == pytest.approx(moved / STEPS, rel=0.03)
    assert good.deletion_over_blob.value == pytest.approx(
        good.deletion.value - report.curves[BLOB].areas()[0], abs=1e-9
    )


def test_curves_run_from_the_chip_to_the_veiled_chip_and_back(faces: Manifest) -> None:
    report = measure(Wrinkles(), [Fixed("right", right())], faces, resamples=20)
    assert set(report.curves) == {"right", "random 8x8", BLOB}
    for both in report.curves.values():
        assert len(both.deletion) == len(both.insertion) == STEPS + 1
        assert both.deletion[0] == both.insertion[-1] == 0
        assert both.deletion[-1] == pytest.approx(report.moved.value)
        assert both.insertion[0] == pytest.approx(report.moved.value)


def test_the_target_decides_which_map_is_right(faces: Manifest) -> None:
    upper_left = right()[::-1, ::-1]
    makers = [Fixed("age", right()), Fixed("gender", upper_left)]
    for target, other in (("age", "gender"), ("gender", "age")):
        report = measure(Wrinkles(), makers, faces, target=target, resamples=200)
        assert report.methods[target].deletion.low > report.methods[other].deletion.high
        assert report.to_dict()["unit"] == {"age": "years", "gender": "log-odds of female"}[target]


def test_occlusion_of_this_model_is_faithful(faces: Manifest) -> None:
    report = measure(Wrinkles(), [Occlusion(Wrinkles())], faces, resamples=200)
    assert all(report.methods["occlusion"].beats().values())


def test_a_map_without_signs_is_not_turned(faces: Manifest) -> None:
    """Where the detail takes years away, signed maps are turned around, others speak for the answer already."""

    class Smooth(Wrinkles):
        def __call__(self, chips: Chips) -> Estimates:
            known = super().__call__(chips)
            return Estimates(known.pmf[:, ::-1].copy(), known.female)

    makers = [Fixed("signed", -right()), Fixed("unsigned", right(), signed=False)]
    report = measure(Smooth(), makers, faces, resamples=20)
    assert report.methods["signed"].deletion == report.methods["unsigned"].deletion
    assert report.methods["signed"].deletion_over_random.low > 0


def test_the_same_seed_gives_the_same_report(faces: Manifest) -> None:
    makers = [Fixed("right", right())]
    first, again, other = (measure(Wrinkles(), makers, faces, seed=seed, resamples=50).to_dict() for seed in (0, 0, 1))
    assert first == again
    assert first["curves"]["right"] == other["curves"]["right"]
    assert first["curves"]["random 8x8"] != other["curves"]["random 8x8"]


@pytest.mark.parametrize("threads", [1, 3])
def test_faces_side_by_side_change_nothing(faces: Manifest, threads: int) -> None:
    report = measure(Wrinkles(), [Occlusion(Wrinkles())], faces, threads=threads, resamples=50)
    assert report.to_dict() == measure(Wrinkles(), [Occlusion(Wrinkles())], faces, resamples=50).to_dict()


def test_maps_that_do_not_depend_on_weights_are_told(faces: Manifest) -> None:
    asked: list[int] = []

    class Noise(Fixed):
        def __call__(self, chips: Chips, target: str) -> Doubles:
            seed = int(chips.sum()) + len(self.method)
            return np.random.default_rng([seed, len(asked)]).normal(size=(len(chips), CELLS, CELLS))

    def shuffled(method: str, seed: int) -> MapMaker:
        asked.append(seed)
        return Noise(method, right()) if method == "noise" else Fixed(method, right() + np.eye(CELLS))

    makers = [Noise("noise", right()), Fixed("stubborn", right() + np.eye(CELLS))]
    report = measure(Wrinkles(), makers, faces, shuffled=shuffled, seed=7, resamples=200)
    assert report.randomised["stubborn"].correlation.value == pytest.approx(1)
    noise = report.randomised["noise"]
    assert noise.correlation.low < 0.1
    assert noise.correlation.high > -0.1
    assert 0 < noise.strength.value < 0.3
    assert noise.faces == 12
    assert asked[:5] == [7, 8, 9, 10, 11]
    assert "with shuffled weights" in report.to_markdown()


def test_a_flat_map_has_no_correlation() -> None:
    assert np.isnan(correlation(np.ones((3, 3)), np.arange(9.0).reshape(3, 3)))
    assert correlation(np.array([[1.0, 5.0], [2.0, 2.0]]), np.array([[0.0, 9.0], [4.0, 4.0]])) == pytest.approx(1)


def test_ranks_go_from_the_largest_down() -> None:
    np.testing.assert_allclose(ranks(np.array([[1.0, 9.0], [4.0, 4.0]])), [[0.75, 0.0], [0.25, 0.5]])
    middle = ranks(blob(9))
    assert middle[4, 4] == 0
    assert middle[0, 0] > middle[2, 4]


def test_unreadable_pictures_are_counted(folder: Path, tmp_path: Path) -> None:
    for file in folder.iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    (tmp_path / "03.png").write_bytes(b"no picture")
    report = measure(Wrinkles(), [Fixed("right", right())], read(tmp_path), resamples=20)
    assert (report.faces, report.unreadable) == (11, 1)
    for file in tmp_path.glob("*.png"):
        file.write_bytes(b"no picture")
    with pytest.raises(DataError, match="none of the 12 pictures can be read"):
        measure(Wrinkles(), [Fixed("right", right())], read(tmp_path))


def test_an_unknown_target_is_refused(faces: Manifest) -> None:
    with pytest.raises(UsageError, match="unknown target 'years'"):
        measure(Wrinkles(), [], faces, target="years")


def test_the_report_can_be_written_and_drawn(faces: Manifest, tmp_path: Path) -> None:
    makers = [Fixed("right", right()), Fixed("wrong", -right())]
    report = measure(Wrinkles(), makers, faces, name="wrinkles", resamples=50)
    record = json.loads(json.dumps(report.to_dict()))
    assert record["methods"]["right"]["beats"]["blob, deletion"] is True
    lines = report.to_markdown().splitlines()
    assert lines[0].startswith("Maps of wrinkles for age on 12 faces")
    assert [line.split("|")[1].strip() for line in lines if line.startswith("| r")] == ["right", "random 8x8", "right"]
    plot(report).savefig(tmp_path / "curves.png")
    assert (tmp_path / "curves.png").stat().st_size > 10_000


def test_the_command(folder: Path, tiny_bundle: Path, tmp_path: Path) -> None:
    """The tiny model cannot be rebuilt in torch: it has occlusion maps, but no comparison with shuffled weights."""
    fixed = ["audit", "explanations", str(tiny_bundle), "--data", str(folder), "--threads", "1"]
    picture = tmp_path / "curves.svg"
    done = CliRunner().invoke(
        app, [*fixed, "--methods", "occlusion", "--faces", "6", "--format", "json", "--plot", str(picture)]
    )
    assert done.exit_code == 0, done.output
    record = json.loads(done.stdout)
    assert record["faces"] == 6
    assert list(record["methods"]) == ["occlusion"]
    assert record["randomised"] == {}
    assert "no comparison with shuffled weights" in done.stderr
    assert picture.read_text().startswith("<?xml")
    refused = CliRunner().invoke(app, [*fixed, "--methods", "occlusion,gradcam"])
    assert refused.exit_code == 4
    assert "cannot be rebuilt in torch" in refused.stderr
    unknown = CliRunner().invoke(app, [*fixed, "--methods", "occlusions"])
    assert unknown.exit_code == 2
    assert "did you mean 'occlusion'" in unknown.stderr


def test_the_shipped_model_with_shuffled_weights(tmp_path: Path) -> None:
    """Class activation on the two sample portraits, from the command to the report."""
    rows = ["file,age,gender"]
    for name, label in ((samples.HOPPER, "78,f"), (samples.ASTRONAUT, "37,f")):
        Image.fromarray(samples.sample_chip(samples.sample_photo(None, name))).save(tmp_path / f"{name}.png")
        rows.append(f"{name}.png,{label}")
    (tmp_path / "labels.csv").write_text("\n".join(rows))
    fixed = ["audit", "explanations", "mien-m", "--data", str(tmp_path), "--threads", "1"]
    done = CliRunner().invoke(app, [*fixed, "--methods", "cam", "--format", "json"])
    assert done.exit_code == 0, done.output
    record = json.loads(done.stdout)
    assert record["randomised"]["cam"]["faces"] == 2
    assert abs(record["randomised"]["cam"]["correlation"]["value"]) < 0.9
    assert set(record["curves"]) == {"cam", "random 6x6, spread 1.25", "blob"}


def test_all_faces_are_compared_where_they_are_few(faces: Manifest, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(explanation_audit, "PER_SHUFFLE", 1)
    makers = [Fixed("right", right())]
    report = measure(Wrinkles(), makers, faces, shuffled=lambda method, seed: Fixed(method, right()), resamples=20)
    assert report.randomised["right"].faces == explanation_audit.SHUFFLES
