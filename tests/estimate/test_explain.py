"""Explanations without torch: occlusion on a model whose answers can be computed by hand, class activation on ours."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnxruntime as ort
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mien.arrays import Chips, Doubles
from mien.errors import ModelError, UsageError
from mien.estimate import bundle, class_activation
from mien.estimate.calibrate import AGES, Calibration
from mien.estimate.class_activation import ClassActivation, Heads, of_bundle, tensors
from mien.estimate.estimator import Estimates, Estimator
from mien.estimate.explain import Explanation, Region, explain, make
from mien.estimate.maps import pixels, values, veiled
from mien.estimate.occlusion import GRID, Occlusion
from mien.faces import DetectorOptions, create
from mien.faces.align import CropContract, align
from mien.faces.regions import REGIONS, regions
from mien.photos.decode import decode

CHIP = 32


@pytest.fixture(scope="module")
def tiny(tiny_bundle: Path) -> Estimator:
    return Estimator(bundle.read(tiny_bundle))


@pytest.fixture(scope="module")
def shipped() -> Estimator:
    return Estimator(bundle.read(bundle.find("mien-m")))


@pytest.fixture(scope="module")
def portraits(examples: Path, shipped: Estimator) -> Chips:
    """The faces of both sample portraits."""
    detector = create("mtcnn", DetectorOptions(max_faces=1))
    photos = [decode((examples / name).read_bytes()).pixels for name in ("hopper.jpg", "astronaut.jpg")]
    return np.stack([align(photo, detector.detect(photo)[0], shipped.contract) for photo in photos])


class Other:
    """Answers as an estimator does, but is none."""

    def __init__(self, estimator: Estimator) -> None:
        self.contract = estimator.contract
        self._estimator = estimator

    def __call__(self, chips: Chips) -> Estimates:
        return self._estimator(chips)


def spotted(row: int, column: int) -> Chips:
    """A grey chip with a bright spot of one occlusion cell."""
    chip = np.full((1, CHIP, CHIP, 3), 80, np.uint8)
    cell = CHIP // GRID
    chip[0, row * cell : (row + 1) * cell, column * cell : (column + 1) * cell] = 200
    return chip


def test_occlusion_finds_the_spot_that_makes_older(tiny: Estimator) -> None:
    """The tiny model's age is the brightness of the left half; veiling the spot spreads its light within that half."""
    cells = Occlusion(tiny)(spotted(3, 0), "age")[0]
    assert cells.shape == (GRID, GRID)
    assert np.unravel_index(cells.argmax(), cells.shape)[1] == 0
    assert (cells[:, 5:] == 0).all()  # patches that lie in the right half alone change nothing
    assert np.abs(Occlusion(tiny)(spotted(3, 7), "age")).max() == 0


def test_occlusion_agrees_with_a_loop_over_patches(tiny: Estimator) -> None:
    chips = np.random.default_rng(0).integers(0, 256, (1, CHIP, CHIP, 3), dtype=np.uint8)
    veil, cell = veiled(chips), CHIP // GRID
    whole = values(tiny(chips), "gender")[0]
    falls: dict[tuple[int, int], list[float]] = {(r, c): [] for r in range(GRID) for c in range(GRID)}
    for row in range(GRID - 1):
        for column in range(GRID - 1):
            copy = chips.copy()
            rows, columns = slice(row * cell, (row + 2) * cell), slice(column * cell, (column + 2) * cell)
            copy[0, rows, columns] = veil[0, rows, columns]
            fall = whole - values(tiny(copy), "gender")[0]
            for place in ((row, column), (row + 1, column), (row, column + 1), (row + 1, column + 1)):
                falls[place].append(fall)
    wanted = np.array([np.mean(falls[row, column]) for row in range(GRID) for column in range(GRID)])
    np.testing.assert_allclose(Occlusion(tiny)(chips, "gender")[0].ravel(), wanted, atol=2e-5)


def test_a_chip_without_detail_has_an_empty_map(tiny: Estimator) -> None:
    flat = np.full((1, CHIP, CHIP, 3), 90, np.uint8)
    np.testing.assert_array_equal(veiled(flat), flat)
    told = explain(tiny, flat, "age", "occlusion")[0]
    np.testing.assert_allclose(told.cells, 0, atol=1e-9)
    assert [region.share for region in told.regions] == [0] * len(REGIONS)
    assert told.value == pytest.approx(told.veiled)


@pytest.mark.parametrize("target", ["age", "gender"])
def test_class_activation_adds_up_to_what_the_detail_changes(shipped: Estimator, portraits: Chips, target: str) -> None:
    cells = of_bundle(shipped.bundle)(portraits, target)
    assert cells.shape == (2, 6, 6)
    changes = values(shipped(portraits), target) - values(shipped(veiled(portraits)), target)
    np.testing.assert_allclose(cells.sum(axis=(1, 2)), changes, atol=0.02)
    assert np.abs(changes).max() > 0.5  # or the sums would prove little


def test_the_slope_alone_does_not_add_up() -> None:
    """Why years are averaged over the way: a feature takes the answer from one age to another, far apart."""
    age = np.full((AGES, 1), -50.0)
    age[[20, 80], 0] = [-10.0, 10.0]
    heads = Heads(age, np.zeros(AGES), np.ones(1), 0.0, Calibration.identity())
    maps = ClassActivation(lambda chips: np.array([[[[1.0]]], [[[-1.0]]]], np.float32), heads)
    chips = np.zeros((1, 8, 8, 3), np.uint8)
    ends = heads.pmf(np.array([[1.0], [-1.0]])) @ np.arange(AGES)
    assert maps(chips, "age").sum() == pytest.approx(ends[0] - ends[1], abs=0.05)
    assert maps(chips, "gender").sum() == pytest.approx(2)
    steepest = heads.direction(np.array([1.0]), np.array([1.0]), "age")[0] * 2
    assert steepest < 0.1 * (ends[0] - ends[1])


@pytest.mark.parametrize("target", ["age", "gender"])
def test_a_hidden_layer_is_averaged_over_too(target: str) -> None:
    """Some of its rectifiers switch on the way from one point to the other, and the parts add up all the same."""
    chance = np.random.default_rng(3)
    hidden = chance.normal(size=(16, 5)), chance.normal(size=16)
    age, gender = chance.normal(size=(AGES, 16)), chance.normal(size=16)
    heads = Heads(age, chance.normal(size=AGES), gender, 0.3, Calibration(1.3, 0.7, ()), hidden)
    ends = chance.normal(size=(2, 5))
    on = heads.read(ends) > 0
    assert (on[0] != on[1]).any()
    years = heads.pmf(ends) @ np.arange(AGES)
    female = heads.female(ends)
    values = years if target == "age" else np.log(female / (1 - female)) / 0.7
    parts = heads.direction(ends[0], ends[1], target) * (ends[0] - ends[1])
    assert parts.sum() == pytest.approx(values[0] - values[1], rel=0.03, abs=0.05)


def test_cells_share_what_their_features_change() -> None:
    heads = Heads(np.zeros((AGES, 2)), np.zeros(AGES), np.array([3.0, -1.0]), 0.5, Calibration(1.0, 2.0, ()))
    with_detail = np.array([[[1.0, 0.0], [0.0, 0.0]], [[0.0, 4.0], [0.0, 0.0]]], np.float32)
    maps = ClassActivation(lambda chips: np.stack([with_detail, np.zeros_like(with_detail)]), heads)
    cells = maps(np.zeros((1, 8, 8, 3), np.uint8), "gender")[0]
    np.testing.assert_allclose(cells, np.array([[3, -4], [0, 0]]) / 8)  # head times feature; 4 cells, temperature 2


def test_asking_for_the_feature_map_does_not_change_the_answers(shipped: Estimator, portraits: Chips) -> None:
    session = ort.InferenceSession(str(shipped.bundle.network), providers=["CPUExecutionProvider"])
    names = ["age_pmf", "p_female"]
    *with_map, features = session.run([*names, "feature_map"], {"chips": portraits})
    for mine, theirs in zip(with_map, session.run(names, {"chips": portraits}), strict=True):
        assert np.array_equal(mine, theirs)
    assert features.shape == (2, 1024, 6, 6)
    assert shipped.bundle.damaged() == []


def test_a_model_without_a_feature_map_names_another_method(tiny: Estimator) -> None:
    with pytest.raises(
        ModelError, match=r"tiny has no class activation maps .*'feature_map'.*occlusion works with any"
    ):
        make(tiny, "cam")
    with pytest.raises(ModelError, match="occlusion"):
        explain(Other(tiny), np.zeros((1, CHIP, CHIP, 3), np.uint8), "age", "cam")


def test_heads_that_do_not_fit_are_refused(
    shipped: Estimator, portraits: Chips, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def halved(path: Path, names: tuple[str, ...]) -> list[Doubles]:
        return [part / 2 for part in tensors(path, names)]

    monkeypatch.setattr(class_activation, "tensors", halved)
    maps = of_bundle(shipped.bundle)
    with pytest.raises(ModelError, match="not those of its heads on the mean"):
        maps(portraits, "age")
    monkeypatch.undo()
    monkeypatch.setattr(class_activation, "WEIGHTS", "none.safetensors")
    with pytest.raises(ModelError, match="weights of its heads cannot be read"):
        of_bundle(shipped.bundle)


def test_explanations_of_portraits(shipped: Estimator, portraits: Chips) -> None:
    labels = regions(shipped.contract)
    for told, chip in zip(explain(shipped, portraits, "age", "cam"), portraits, strict=True):
        assert told.value == pytest.approx(values(shipped(chip[None]), "age")[0], abs=1e-4)
        assert sum(region.share for region in told.regions) == pytest.approx(1)
        shares = [region.share for region in told.regions]
        assert shares == sorted(shares, reverse=True)
        assert all(abs(region.net) <= region.share + 1e-12 for region in told.regions)
        mouth = next(region for region in told.regions if region.name == "mouth")
        copy = chip.copy()
        inside = labels == REGIONS.index("mouth")
        copy[inside] = veiled(chip[None])[0][inside]
        assert mouth.hidden == pytest.approx(values(shipped(copy[None]), "age")[0], abs=1e-3)
        record = told.to_dict()
        assert record["unit"] == "years"
        assert np.array(record["map"]).shape == (6, 6)


@pytest.mark.parametrize(
    ("target", "net", "signed", "value", "side"),
    [
        ("age", 0.3, True, 30, "older"),
        ("age", -0.3, True, 60, "younger"),
        ("age", -0.1, True, 60, "both"),
        ("gender", -0.4, True, 1, "male"),
        ("age", 0.4, False, 30, "younger"),  # without signs: what took the answer down from the veiled 40
        ("gender", 0.4, False, 41, "female"),
    ],
)
def test_what_a_part_speaks_for(target: str, net: float, signed: bool, value: float, side: str) -> None:
    part = Region("nose", 0.4, net, 0.0)
    told = Explanation(target, "cam", value, 40, np.zeros((1, 1)), signed, 0, (part,))
    assert told.speaks_for(part) == side
    assert sum(told.sides(part)) == pytest.approx(0.4)


def test_answers_are_told_in_words() -> None:
    told = Explanation("gender", "cam", np.log(3), 0, np.zeros((1, 1)), True, 0, ())
    assert told.changed(0.0) == "50 % (-25)"


def test_unknown_names_and_no_chips(tiny: Estimator) -> None:
    nothing = np.zeros((0, CHIP, CHIP, 3), np.uint8)
    assert explain(tiny, nothing, "age", "occlusion") == []
    with pytest.raises(UsageError, match=r"unknown target 'ages': did you mean 'age'"):
        explain(tiny, nothing, "ages", "occlusion")
    with pytest.raises(UsageError, match=r"unknown method 'ocluson': did you mean 'occlusion'"):
        explain(tiny, nothing, "age", "ocluson")


def test_all_this_needs_no_torch() -> None:
    code = "import sys, mien.estimate.explain, mien.drawing.maps; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_weights_are_read_in_either_type(tmp_path: Path) -> None:
    source = bundle.find("mien-m") / "model.safetensors"
    copied = Path(shutil.copy(source, tmp_path / "copy.safetensors"))
    (bias,) = tensors(copied, ("age.bias",))
    assert bias.shape == (AGES,)
    assert bias.dtype == np.float64
    with pytest.raises(KeyError):
        tensors(copied, ("age.scale",))


def test_regions_cover_the_chip_and_hold_their_points() -> None:
    contract = CropContract.utkface(192)
    labels = regions(contract)
    assert set(np.unique(labels)) == set(range(len(REGIONS)))
    wanted = ("left eye", "right eye", "nose", "mouth", "mouth")
    for (x, y), name in zip(contract.landmarks, wanted, strict=True):
        assert REGIONS[labels[int(y), int(x)]] == name
    swapped = {
        "left eye": "right eye",
        "right eye": "left eye",
        "left cheek": "right cheek",
        "right cheek": "left cheek",
    }
    mirrored = np.array([REGIONS.index(swapped.get(name, name)) for name in REGIONS])[labels[:, ::-1]]
    assert (mirrored == labels).mean() > 0.99
    assert np.bincount(labels.ravel()).min() > 0.04 * labels.size


@given(st.integers(1, 9), st.integers(1, 60), st.just(0.0) | st.floats(0.6, 3))
def test_pixels_of_equal_cells_are_nowhere_above_them(count: int, size: int, spread: float) -> None:
    laid = pixels(np.full((count, count), 2.0), size, spread)
    assert laid.shape == (size, size)
    if spread == 0:
        np.testing.assert_allclose(laid, 2)
    else:
        assert laid.max() < 2.1


def test_pixels_of_a_wide_map_keep_its_level_and_its_places() -> None:
    cells = np.zeros((6, 6))
    cells[1, 4] = 1
    for spread in (0.0, 1.25):
        laid = pixels(cells, 192, spread)
        row, column = np.unravel_index(laid.argmax(), laid.shape)
        assert abs(row + 0.5 - 48) <= 1
        assert abs(column + 0.5 - 144) <= 1
    assert pixels(np.full((30, 30), 2.0), 90, 1.25)[45, 45] == pytest.approx(2, rel=1e-3)


@pytest.mark.parametrize(
    ("target", "value", "veiled", "hidden", "told"),
    [
        (
            "age",
            31.0,
            31.2,
            31.4,
            "changes by only 0.2 years: the model says nearly the same of a face that it cannot see",
        ),
        ("age", 31.0, 31.2, 31.4, "no part matters either"),
        ("age", 31.0, 31.2, 36.0, "what the answer is without a part tells more"),
        ("age", 31.0, 36.0, 31.4, ""),
        ("gender", 0.5, 0.52, 0.5, "by only 0.5 percentage points"),
        ("gender", 9.0, 8.0, 9.0, "by only 0.0 percentage points"),
        ("gender", 2.0, 0.0, 2.0, ""),
    ],
)
def test_what_explains_nothing_says_so(target: str, value: float, veiled: float, hidden: float, told: str) -> None:
    part = Region("nose", 1.0, 1.0, hidden)
    why = Explanation(target, "cam", value, veiled, np.zeros((1, 1)), True, 0, (part,))
    assert told in why.note
    assert bool(why.note) == bool(told)
    assert why.to_dict()["note"] == (why.note or None)


@given(st.floats(-30, 30), st.floats(-30, 30))
def test_a_change_of_nothing_has_no_sign_and_nothing_is_certain(value: float, other: float) -> None:
    text = Explanation("gender", "cam", value, 0.0, np.zeros((1, 1)), True, 0, ()).changed(other)
    assert "-0)" not in text
    assert "+0)" not in text
    assert 0 < float(text.split()[0]) < 100
