"""Each method against an independent implementation: captum and torchcam, on the model that ships."""

from __future__ import annotations

import copy
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from captum.attr import LayerGradCam, LayerIntegratedGradients
from captum.attr import Occlusion as CaptumOcclusion
from numpy.typing import NDArray
from safetensors.torch import save_file
from torch import Tensor, nn
from torchcam.methods import CAM, GradCAM, LayerCAM, SmoothGradCAMpp

from mien.arrays import Chips
from mien.errors import ModelError, UsageError
from mien.estimate import bundle
from mien.estimate.bundle import Bundle, BundleConfig
from mien.estimate.calibrate import Calibration
from mien.estimate.class_activation import of_bundle
from mien.estimate.estimator import Estimator
from mien.estimate.explain import explain
from mien.estimate.maps import values, veiled
from mien.estimate.occlusion import GRID, Occlusion
from mien.faces.align import CropContract
from mien.learn.audits.explanations import gradients as module
from mien.learn.audits.explanations.gradients import (
    METHODS,
    GradientMaps,
    TorchModel,
    _rebuilt,
    class_activation,
    feature_layer,
    make,
    of_model,
)
from mien.learn.data import samples
from mien.learn.networks.build import build
from mien.learn.networks.heads import AgeGenderNet, mobilenet_v1
from mien.learn.recipe import Model

TARGETS = ("age", "gender")


@pytest.fixture(scope="module")
def estimator() -> Estimator:
    return Estimator(bundle.read(bundle.find("mien-m")))


@pytest.fixture(scope="module")
def model(estimator: Estimator) -> TorchModel:
    return of_model(estimator)


@pytest.fixture(scope="module")
def chips(estimator: Estimator) -> Chips:
    size = estimator.contract.size
    return np.stack(
        [samples.sample_chip(samples.sample_photo(None, name), size) for name in (samples.HOPPER, samples.ASTRONAUT)]
    )


@pytest.fixture(scope="module")
def small() -> TorchModel:
    """A network of 64-pixel chips that learned nothing, with heads large enough to make answers differ."""
    torch.manual_seed(0)
    net = mobilenet_v1(64)
    for head in (net.age, net.gender):
        nn.init.normal_(head.weight, std=1.0)
    return TorchModel(net, CropContract.utkface(64), Calibration(0.8, 1.2, ()))


class Scores(nn.Module):
    """What speaks for the answer as the score of a single class, as torchcam wants it."""

    def __init__(self, model: TorchModel, chip: NDArray[np.uint8], target: str) -> None:
        super().__init__()
        self.net = model.net
        self._model, self._target = model, target
        whole, blank = (model.values(as_input(part), target).item() for part in (chip, veiled(chip[None])[0]))
        self.towards = 1.0 if whole >= blank else -1.0

    def forward(self, chip: Tensor) -> Tensor:
        return self.towards * self._model.values(chip, self._target)[:, None]


def as_input(chip: NDArray[np.uint8]) -> Tensor:
    return torch.from_numpy(chip[None]).float()


def last_map(model: TorchModel) -> nn.Module:
    assert isinstance(model.net, AgeGenderNet)
    return model.net.backbone


def close(mine: NDArray[np.float64], theirs: Tensor) -> None:
    wanted = theirs.detach().double().numpy().squeeze()
    assert wanted.max() > 0
    np.testing.assert_allclose(mine, wanted, rtol=2e-3, atol=2e-4 * wanted.max())


def test_the_rebuilt_network_answers_as_the_model(estimator: Estimator, model: TorchModel, chips: Chips) -> None:
    mine, theirs = estimator(chips), model(chips)
    np.testing.assert_allclose(theirs.pmf, mine.pmf, atol=1e-4)
    np.testing.assert_allclose(theirs.female, mine.female, atol=1e-4)
    for target in TARGETS:
        slopes = model.values(torch.from_numpy(chips), target).detach().numpy()
        np.testing.assert_allclose(slopes, values(theirs, target), rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize(("target", "steps"), [("age", 16), ("gender", 2)])  # log-odds are linear: any number will do
def test_class_activation_agrees_with_captum(
    estimator: Estimator, model: TorchModel, chips: Chips, target: str, steps: int
) -> None:
    """Integrated gradients of the last feature map, summed over its channels."""
    theirs = LayerIntegratedGradients(lambda x: model.values(x, target), last_map(model)).attribute(
        as_input(chips[1]), as_input(veiled(chips)[1]), n_steps=steps, method="riemann_middle"
    )
    mine = of_bundle(estimator.bundle)(chips[1:], target)[0]
    np.testing.assert_allclose(mine, theirs.sum(dim=1)[0].detach().numpy(), rtol=5e-3, atol=5e-3)
    assert np.abs(mine).max() > 0.1
    np.testing.assert_allclose(class_activation(model)(chips[1:], target)[0], mine, rtol=1e-3, atol=1e-3)


def test_class_activation_agrees_with_torchcam(estimator: Estimator, model: TorchModel, chips: Chips) -> None:
    """The log-odds of "female" are linear: their map is the difference of two plain maps, of the chip and veiled."""
    assert isinstance(model.net, AgeGenderNet)
    head = model.net.gender
    scores = Scores(model, chips[0], "gender")
    plain = []
    with CAM(scores, target_layer=last_map(model), fc_layer=head, input_shape=(192, 192, 3)) as extractor:
        extractor._relu = False
        for chip in (chips[0], veiled(chips)[0]):
            scores(as_input(chip))
            plain.append(extractor(class_idx=0, normalized=False)[0][0])
    wanted = (plain[0] - plain[1]) / plain[0].numel() / model.calibration.gender_temperature
    mine = of_bundle(estimator.bundle)(chips[:1], "gender")[0]
    np.testing.assert_allclose(mine, wanted.numpy(), rtol=2e-3, atol=1e-3)


@pytest.mark.parametrize("target", TARGETS)
def test_occlusion_agrees_with_captum(small: TorchModel, target: str) -> None:
    chip = np.random.default_rng(1).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    cell = 64 // GRID
    with torch.inference_mode():
        theirs = CaptumOcclusion(lambda x: small.values(x, target)).attribute(
            as_input(chip),
            sliding_window_shapes=(2 * cell, 2 * cell, 3),
            strides=(cell, cell, 3),
            baselines=as_input(veiled(chip[None])[0]),
            perturbations_per_eval=7,
        )
    wanted = theirs[0, :, :, 0].numpy().reshape(GRID, cell, GRID, cell).mean(axis=(1, 3))
    np.testing.assert_allclose(Occlusion(small)(chip[None], target)[0], wanted, rtol=1e-3, atol=1e-4)
    assert np.abs(wanted).max() > 0.01


@pytest.mark.parametrize("target", TARGETS)
def test_gradcam_agrees_with_captum(model: TorchModel, chips: Chips, target: str) -> None:
    scores = Scores(model, chips[0], target)
    theirs = LayerGradCam(lambda x: scores(x)[:, 0], last_map(model)).attribute(
        as_input(chips[0]), relu_attributions=True
    )
    close(GradientMaps(model, "gradcam")(chips[:1], target)[0], theirs)


def smooth(scores: nn.Module, **options: Any) -> SmoothGradCAMpp:
    """Grad-CAM++ by torchcam: a single sample with next to no noise.

    Its own GradCAMpp (0.5.0) divides a copy of the gradients' squares and goes on with what was not divided.
    """
    return SmoothGradCAMpp(scores, num_samples=1, std=1e-7, **options)


@pytest.mark.parametrize(("row", "target"), [(0, "age"), (1, "gender")])
@pytest.mark.parametrize(("method", "theirs"), [("gradcam", GradCAM), ("layercam", LayerCAM), ("gradcam++", smooth)])
def test_gradient_methods_agree_with_torchcam(
    model: TorchModel, chips: Chips, *, method: str, theirs: Callable[..., Any], row: int, target: str
) -> None:
    maps = GradientMaps(model, method)
    scores = Scores(model, chips[row], target)
    with theirs(scores, target_layer=maps.layer, input_shape=(192, 192, 3)) as extractor:
        answer = scores(as_input(chips[row]))
        wanted = extractor(class_idx=0, scores=answer, normalized=False)[0]
    close(maps(chips[row : row + 1], target)[0], wanted)


def test_layercam_takes_a_finer_map_than_the_others(model: TorchModel, chips: Chips) -> None:
    shapes = {method: GradientMaps(model, method)(chips[:1], "age")[0].shape for method in METHODS}
    assert shapes == {"gradcam": (6, 6), "gradcam++": (6, 6), "layercam": (11, 11)}


def test_gradients_explain_whichever_way_the_detail_moves_the_answer(model: TorchModel, chips: Chips) -> None:
    """With the head's sign turned, "male" is said for the same reasons as "female" was."""
    turned = copy.deepcopy(model.net)
    assert isinstance(turned, AgeGenderNet)
    with torch.no_grad():
        turned.gender.weight.neg_()
        turned.gender.bias.neg_()
    other = TorchModel(turned, model.contract, model.calibration)
    for method in ("gradcam", "layercam"):
        mine, theirs = (GradientMaps(one, method)(chips[:1], "gender")[0] for one in (model, other))
        np.testing.assert_allclose(theirs, mine, rtol=1e-4, atol=1e-6 * mine.max())


def test_explanations_by_gradients(estimator: Estimator, model: TorchModel, chips: Chips) -> None:
    told = explain(estimator, chips[:1], "age", make(model, "gradcam++"))[0]
    assert told.method == "gradcam++"
    assert not told.signed
    assert (told.cells >= 0).all()
    assert {told.speaks_for(part) for part in told.regions} == {"older"}  # from 25 years veiled to 82


def test_shuffled_weights_are_the_same_in_another_order(small: TorchModel) -> None:
    before = {name: weight.clone() for name, weight in small.net.state_dict().items()}
    first, again, other = (small.shuffled(seed).net.state_dict() for seed in (0, 0, 1))
    for name, weight in small.net.state_dict().items():
        assert torch.equal(weight, before[name])
        assert torch.equal(first[name], again[name])
        last = name.startswith(("age", "gender", "backbone.blocks.12"))
        mixed = weight.numel() > 1 and bool(weight.any())
        assert torch.equal(first[name], weight) == (not (last and mixed))
        assert torch.equal(first[name].flatten().sort().values, weight.flatten().sort().values)
        if last and mixed:
            assert not torch.equal(first[name], other[name])


def test_any_network_with_a_feature_map_has_gradient_maps() -> None:
    torch.manual_seed(0)
    net = build(Model(network="compact-cnn", options={"widths": [4, 4, 8, 8], "hidden": [8, 8]}, size=64))
    model = TorchModel(net, CropContract.utkface(64))
    chips = np.random.default_rng(0).integers(0, 256, (2, 64, 64, 3), dtype=np.uint8)
    for method in METHODS:
        maps = make(model, method)(chips, "age")
        assert maps.shape[0] == 2
        assert min(maps.shape[1:]) >= (8 if method == "layercam" else 2)
        assert (maps >= 0).all()
    assert make(model, "occlusion")(chips[:1], "gender").shape == (1, GRID, GRID)
    with pytest.raises(ModelError, match="CompactCNN has no linear heads on the mean"):
        make(model, "cam")
    with pytest.raises(ModelError, match="no feature map of 100x100 cells: use the method occlusion"):
        feature_layer(net, 64, 100)


def test_what_cannot_be_explained_is_refused(
    tiny_bundle: Path, estimator: Estimator, small: TorchModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(
        ModelError, match=r"tiny cannot be rebuilt in torch.*no model.safetensors.*occlusion works with"
    ):
        of_model(Estimator(bundle.read(tiny_bundle)))
    with pytest.raises(UsageError, match=r"unknown method 'gradcan': did you mean 'gradcam'"):
        make(small, "gradcan")
    ages = build(
        Model(network="regularised-cnn", options={"task": "age", "widths": [4, 4, 4], "hidden": [8, 8]}, size=32)
    )
    with pytest.raises(ModelError, match="does not answer both"):
        TorchModel(ages, CropContract.utkface(32))
    rebuilt = of_model(estimator).shuffled(0).net
    monkeypatch.setattr(module, "_rebuilt", lambda found: rebuilt)
    with pytest.raises(ModelError, match="answers otherwise, by up to"):
        of_model(estimator)


NARROW = {"width": 0.25, "front": [4]}


@pytest.mark.parametrize(
    ("options", "stated", "recipe"),
    [
        (NARROW, {"network": "mobilenet-v1", "options": NARROW}, "somebodys-own"),
        ({"width": 0.5}, {}, "mien-s-half"),  # a recipe that is gone
        ({}, {}, "somebodys-own"),
        ({}, {}, "mien-s"),  # named like another network
    ],
)
def test_a_network_is_what_its_bundle_says(
    options: dict[str, Any], stated: dict[str, Any], recipe: str, tmp_path: Path
) -> None:
    net = mobilenet_v1(64, **options)
    save_file(net.state_dict(), tmp_path / "model.safetensors")
    config = BundleConfig("x", CropContract.utkface(64), "none", made={"recipe": recipe}, architecture=stated)
    rebuilt = _rebuilt(Bundle(tmp_path, config))
    assert isinstance(rebuilt, AgeGenderNet)
    assert all(torch.equal(mine, theirs) for mine, theirs in zip(rebuilt.parameters(), net.parameters(), strict=True))
    for wrong in ({"network": "mobilenet-v1", "options": {"width": 0.3}}, {"network": "unheard-of", "options": {}}):
        with pytest.raises(ModelError, match="do not fit the network"):
            _rebuilt(Bundle(tmp_path, replace(config, architecture=wrong)))


def test_threads_may_share_a_network(small: TorchModel) -> None:
    chips = np.random.default_rng(3).integers(0, 256, (6, 64, 64, 3), dtype=np.uint8)
    makers = [make(small, method) for method in ("cam", "gradcam", "layercam")]
    jobs = [(maker, chip[None]) for maker in makers for chip in chips]
    alone = [maker(chip, "age") for maker, chip in jobs]
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(lambda job: job[0](job[1], "age"), jobs))
    for mine, theirs in zip(together, alone, strict=True):
        np.testing.assert_allclose(mine, theirs, rtol=1e-4, atol=1e-6)
