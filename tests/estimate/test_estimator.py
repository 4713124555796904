from __future__ import annotations

import shutil
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray

from mien.errors import ModelError
from mien.estimate import bundle
from mien.estimate.bundle import Bundle
from mien.estimate.calibrate import Calibration, expectation
from mien.estimate.estimator import Estimator

CHIP = 32


@pytest.fixture(scope="module")
def tiny(tiny_bundle: Path) -> Bundle:
    return bundle.read(tiny_bundle)


def noise(count: int, seed: int = 0) -> NDArray[np.uint8]:
    return np.random.default_rng(seed).integers(40, 200, (count, CHIP, CHIP, 3), dtype=np.uint8)


def grey(*values: int) -> NDArray[np.uint8]:
    return np.stack([np.full((CHIP, CHIP, 3), value, np.uint8) for value in values])


def test_the_model_answers_for_each_chip(tiny: Bundle) -> None:
    red, blue = grey(0, 0)
    red[..., 0] = blue[..., 2] = 255
    answer = Estimator(tiny)(np.concatenate([grey(51, 102, 204), red[None], blue[None]]))
    assert answer.pmf.shape == (5, 117)
    assert answer.pmf.dtype == answer.female.dtype == np.float32
    np.testing.assert_allclose(answer.pmf.sum(axis=1), 1, rtol=1e-5)
    np.testing.assert_allclose(expectation(answer.pmf)[:3], [20, 40, 80], atol=0.01)
    np.testing.assert_allclose(answer.female, [0.5, 0.5, 0.5, 1, 0], atol=1e-4)


def test_no_chips_no_answers(tiny: Bundle) -> None:
    answer = Estimator(tiny, mirror=True)(noise(0))
    assert answer.pmf.shape == (0, 117)
    assert answer.female.shape == (0,)


@pytest.mark.parametrize("batch_size", [1, 2, 3, 7, 8])
def test_the_batch_size_changes_nothing(tiny: Bundle, batch_size: int) -> None:
    chips = noise(7)
    one, other = Estimator(tiny), Estimator(tiny, batch_size=batch_size)
    np.testing.assert_allclose(other(chips).pmf, one(chips).pmf, atol=1e-6)
    np.testing.assert_allclose(other(chips).female, one(chips).female, atol=1e-6)


def test_mirroring_averages_probabilities(tiny: Bundle) -> None:
    chips = grey(51)
    chips[:, :, CHIP // 2 :] = 204  # twenty years to the left, eighty to the right
    plain, turned = Estimator(tiny)(chips), Estimator(tiny)(chips[:, :, ::-1])
    both = Estimator(tiny, mirror=True)(chips)
    assert expectation(plain.pmf)[0] == pytest.approx(20, abs=0.01)
    assert expectation(both.pmf)[0] == pytest.approx(50, abs=0.01)
    np.testing.assert_allclose(both.pmf, (plain.pmf + turned.pmf) / 2, atol=1e-6)


def test_answers_are_calibrated(tiny: Bundle) -> None:
    calibration = Calibration(2.0, 2.0, ())
    calibrated = Estimator(Bundle(tiny.folder, replace(tiny.config, calibration=calibration)))
    chips = noise(3)
    chips[..., 0] += 50
    raw = Estimator(tiny)(chips)
    wanted = calibration.apply(raw.pmf, raw.female)
    np.testing.assert_allclose(calibrated(chips).pmf, wanted[0], atol=1e-6)
    np.testing.assert_allclose(calibrated(chips).female, wanted[1], atol=1e-6)
    assert (calibrated(chips).female < raw.female).all()


def test_threads_share_one_estimator(tiny: Bundle) -> None:
    estimator = Estimator(tiny, batch_size=4)
    batches = [noise(5, seed) for seed in range(24)]
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(estimator, batches))
    for batch, answer in zip(batches, together, strict=True):
        np.testing.assert_array_equal(answer.pmf, estimator(batch).pmf)


@pytest.mark.parametrize("chips", [np.zeros((1, 16, 16, 3), np.uint8), np.zeros((1, 32, 32, 3), np.float32)])
def test_chips_of_another_shape_are_refused(tiny: Bundle, chips: NDArray[np.uint8]) -> None:
    with pytest.raises(ModelError, match=r"takes chips uint8 \[N, 32, 32, 3\]"):
        Estimator(tiny)(chips)


def altered(tiny: Bundle, folder: Path) -> tuple[Bundle, onnx.ModelProto]:
    copy = Path(shutil.copytree(tiny.folder, folder / "copy"))
    model = bundle.read(copy)
    return replace(model, config=replace(model.config, files={})), onnx.load(copy / "model.onnx")


def test_a_damaged_network_is_a_model_error(tiny: Bundle, tmp_path: Path) -> None:
    model, _ = altered(tiny, tmp_path)
    model.network.write_bytes(model.network.read_bytes()[:-200])
    with pytest.raises(ModelError, match="cannot be loaded"):
        Estimator(model)


def test_a_network_of_something_else_is_a_model_error(tiny: Bundle, tmp_path: Path) -> None:
    model, network = altered(tiny, tmp_path)
    network.graph.output[0].name = "smile"
    network.graph.node[9].output[0] = "smile"
    onnx.save(network, model.network)
    with pytest.raises(ModelError, match="expected"):
        Estimator(model)


def test_a_network_of_another_size_is_a_model_error(tiny: Bundle) -> None:
    larger = replace(tiny.config.contract.utkface(64))
    estimator = Estimator(Bundle(tiny.folder, replace(tiny.config, contract=larger)))
    with pytest.raises(ModelError, match="does not run"):
        estimator(np.zeros((1, 64, 64, 3), np.uint8))


def test_what_is_no_number_is_not_answered(tiny: Bundle, tmp_path: Path) -> None:
    model, network = altered(tiny, tmp_path)
    network.graph.initializer[-1].raw_data = np.array([np.nan, 0, 0], np.float32).tobytes()
    onnx.save(network, model.network)
    with pytest.raises(ModelError, match="damaged"):
        Estimator(model)(noise(1))
