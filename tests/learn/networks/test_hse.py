"""The network of HSE_FaceRec_tf with its own heads: what loading makes of them, and the model that ships with it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from safetensors.torch import load_file, save_file
from torch import Tensor

from mien.errors import DataError
from mien.estimate import bundle
from mien.learn.exporting.bundle import licence_text
from mien.learn.networks.answer_kinds import Deployed
from mien.learn.networks.build import build
from mien.learn.networks.hse import CLASSES, HIDDEN, HSENet, hse_mobilenet
from mien.learn.recipe import Model, load_recipe
from mien.learn.training import loop

SIZE = 64


@pytest.fixture(scope="module")
def start(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file of tensors named and shaped as HSE's, with numbers drawn at random."""
    torch.manual_seed(0)
    net = hse_mobilenet(SIZE)
    tensors = {}
    for name, tensor in net.backbone.state_dict().items():
        number = name.split(".")[1] if name.startswith("blocks.") else ""
        tensors[name.replace(f"blocks.{number}.", f"block{int(number) + 1}.") if number else name] = tensor
    tensors |= {"embed.weight": torch.randn(HIDDEN, 1024) / 32, "embed.bias": torch.randn(HIDDEN) / 8}
    tensors |= {"age.weight": torch.randn(CLASSES, HIDDEN) / 16, "age.bias": torch.randn(CLASSES)}
    tensors |= {"gender.weight": torch.randn(1, HIDDEN) / 16, "gender.bias": torch.randn(1)}
    path = tmp_path_factory.mktemp("start") / "model.safetensors"
    save_file({name: tensor.half().contiguous() for name, tensor in tensors.items()}, path)
    return path


@pytest.fixture
def chips() -> Tensor:
    return torch.from_numpy(np.random.default_rng(1).integers(0, 256, (3, SIZE, SIZE, 3), dtype=np.uint8))


def loaded(start: Path, *, prior: bool) -> HSENet:
    net = build(Model(network="hse-mobilenet", options={"prior": prior}, init=start, size=SIZE))
    assert isinstance(net, HSENet)
    return net.eval()


@torch.inference_mode()
def test_its_answers_are_those_of_the_published_heads(start: Path, chips: Tensor) -> None:
    net = loaded(start, prior=True)
    stored = {name: tensor.float() for name, tensor in load_file(start).items()}
    hidden = F.relu(F.linear(net.pooled(chips), stored["embed.weight"], stored["embed.bias"]))
    classes = F.softmax(F.linear(hidden, stored["age.weight"], stored["age.bias"]), dim=1)
    male = torch.sigmoid(F.linear(hidden, stored["gender.weight"], stored["gender.bias"]))[:, 0]
    pmf, female = Deployed(net)(chips)
    torch.testing.assert_close(pmf[:, 2:101], classes[:, 1:], atol=1e-6, rtol=1e-3)
    torch.testing.assert_close(pmf[:, 0], pmf[:, 1], atol=1e-6, rtol=1e-3)
    torch.testing.assert_close(pmf[:, 0] + pmf[:, 1], classes[:, 0], atol=1e-6, rtol=1e-3)
    assert pmf[:, 101:].max() == 0
    torch.testing.assert_close(female, 1 - male, atol=1e-5, rtol=1e-3)


@torch.inference_mode()
def test_without_the_prior_each_age_is_as_likely_as_its_weights_say(start: Path, chips: Tensor) -> None:
    bias = load_file(start)["age.bias"].float()
    kept, left = (loaded(start, prior=prior)(chips).age for prior in (True, False))
    assert kept is not None
    assert left is not None
    torch.testing.assert_close((kept - left)[:, 1:101], bias.expand(3, -1), atol=1e-3, rtol=0)


@pytest.mark.parametrize("harm", ["absent", "shape"])
def test_a_start_without_its_heads_is_refused(start: Path, tmp_path: Path, harm: str) -> None:
    tensors = load_file(start)
    if harm == "absent":
        del tensors["age.bias"]
    else:
        tensors["age.bias"] = tensors["age.bias"][:50].clone()
    save_file(tensors, tmp_path / "other.safetensors")
    with pytest.raises(DataError, match=r"no tensor 'age.bias' of this shape: it has not the heads of HSE"):
        loaded(tmp_path / "other.safetensors", prior=True)


def test_no_epochs_make_the_start_weights_a_run(start: Path, settings: list[str], tmp_path: Path) -> None:
    told: list[str] = []
    plan = [*settings, f"model.init={start}", "optimiser.epochs=0"]
    weights = loop.train(load_recipe("mien-open", plan), tmp_path / "run", report=told.append)
    kept, wanted = load_file(weights), loaded(start, prior=False).state_dict()
    assert all(torch.equal(kept[name], wanted[name]) for name in wanted)
    assert "nothing is trained" in told[-1]
    assert "MAE" in told[-1]
    first, *rows = (tmp_path / "run" / "curves.csv").read_text().splitlines()
    assert first.startswith("epoch,size,loss")
    assert [row.split(",")[0] for row in rows] == ["0"]
    again = loop.train(load_recipe("mien-open", plan), tmp_path / "run", resume=True)
    assert all(torch.equal(load_file(again)[name], kept[name]) for name in kept)


def test_the_licence_is_whole() -> None:
    about = load_recipe("mien-open").about
    assert about.licence == "Apache-2.0"
    text = licence_text(about)
    for words in (
        "A. Savchenko",
        "VGGFace2",
        "IMDB-WIKI",
        "for you to judge",
        "TERMS AND CONDITIONS FOR USE",
        "END OF TERMS",
    ):
        assert words in text
    assert (bundle.find("mien-open") / "LICENSE").read_text() == text
    assert licence_text(load_recipe("mien-m").about) == load_recipe("mien-m").about.licence_text
