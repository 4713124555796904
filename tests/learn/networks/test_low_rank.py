"""Narrow networks made of wide ones."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file
from torch import Tensor
from typer.testing import CliRunner

from mien.cli import app
from mien.errors import UsageError
from mien.learn.data.dataset import augment
from mien.learn.networks.build import build
from mien.learn.networks.heads import AgeGenderNet, mobilenet_v1
from mien.learn.networks.low_rank import to_low_rank
from mien.learn.networks.mobilenet import WIDTHS, MobileBlock
from mien.learn.recipe import Augment, Model, load_recipe

EXAMPLES = Path(__file__).parents[3] / "examples"
SIZE = 64


@pytest.fixture(scope="module")
def wide() -> AgeGenderNet:
    """The shipped network, on smaller chips than its own."""
    net = build(Model(init=Path("mien-m"), size=SIZE))
    assert isinstance(net, AgeGenderNet)
    return net.eval()


@pytest.fixture(scope="module")
def chips() -> Tensor:
    """Many views of the sample portraits."""
    portraits = [np.asarray(Image.open(path).convert("RGB").resize((200, 200))) for path in EXAMPLES.glob("*.jpg")]
    strong = Augment(rotation=30, zoom_in=0.5, shift=0.2, light=0.5, degrade=0.3, erase=0.3)
    rngs = [np.random.default_rng(seed) for seed in range(1000)]
    views = [augment(portraits[seed % len(portraits)], SIZE, strong, rng) for seed, rng in enumerate(rngs)]
    return torch.from_numpy(np.stack(views))


def ages(net: AgeGenderNet, chips: Tensor) -> Tensor:
    with torch.inference_mode():
        logits = net(chips).age
    assert logits is not None
    return torch.softmax(logits, dim=1) @ torch.arange(logits.shape[1], dtype=torch.float32)


def blocks_of(net: AgeGenderNet) -> list[MobileBlock]:
    return [block for block in net.backbone.blocks if isinstance(block, MobileBlock)]


def test_half_of_the_channels_answer_nearly_alike_on_views_never_seen(wide: AgeGenderNet, chips: Tensor) -> None:
    narrow = to_low_rank(wide, 0.5, chips[:900])
    assert sum(p.numel() for p in narrow.parameters()) < 0.3 * sum(p.numel() for p in wide.parameters())
    wanted, given = ages(wide, chips[900:]), ages(narrow, chips[900:])
    assert wanted.std() > 5
    assert (given - wanted).abs().mean() < 0.75 * (wanted - wanted.median()).abs().mean()


def test_all_of_the_channels_answer_alike(wide: AgeGenderNet, chips: Tensor) -> None:
    same = to_low_rank(wide, 1.0, chips[:150])
    assert (ages(same, chips[:50]) - ages(wide, chips[:50])).abs().mean() < 1


@pytest.mark.parametrize("width", [0, -1, 1.5])
def test_impossible_widths(width: float) -> None:
    with pytest.raises(UsageError, match="width"):
        build(Model(size=64, options={"width": width}))


LOW: dict[str, Any] = {"front": [24, 48], "ranks": [8, 24, 24, 48, 56, 88, 72, 72, 72, 72, 72, 88, 88]}


def test_low_ranks_have_the_features_of_the_wide_network(wide: AgeGenderNet, chips: Tensor) -> None:
    low = to_low_rank(wide, 1.0, chips[:600], **LOW)
    assert sum(p.numel() for p in low.parameters()) < 0.35 * sum(p.numel() for p in wide.parameters())
    with torch.inference_mode():
        ours, theirs = (net.pooled(chips[900:]) for net in (low, wide))
    assert torch.corrcoef(torch.stack([ours.flatten(), theirs.flatten()]))[0, 1] > 0.9


def test_a_rank_that_suffices_changes_nothing(wide: AgeGenderNet, chips: Tensor) -> None:
    ranks = [min(block.dw.out_channels, channels) for block, channels in zip(blocks_of(wide), WIDTHS, strict=True)]
    same = to_low_rank(wide, 1.0, chips[:150], ranks=ranks)
    assert (ages(same, chips[:50]) - ages(wide, chips[:50])).abs().mean() < 1


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"front": [33]}, "at most the wide one's"),
        ({"ranks": [8] * 12}, "13 numbers"),
        ({"ranks": [33, *[0] * 12]}, "from 32 to 64 channels has no rank of 33"),
    ],
)
def test_what_the_wide_network_cannot_give(wide: AgeGenderNet, options: dict[str, Any], sentence: str) -> None:
    with pytest.raises(UsageError, match=sentence):
        to_low_rank(wide, 1.0, torch.zeros(2, 32, 32, 3, dtype=torch.uint8), **options)


def test_a_network_of_low_ranks_is_nothing_to_slim() -> None:
    low = mobilenet_v1(32, width=0.25, ranks=[2] * 13)
    with pytest.raises(UsageError, match="low rank"):
        to_low_rank(low, 0.25, torch.zeros(2, 32, 32, 3, dtype=torch.uint8))


def test_a_low_rank_network_is_fitted_for_the_recipe_that_starts_from_it(chips_folder: Path, tmp_path: Path) -> None:
    recipe, start = tmp_path / "low.yaml", tmp_path / "start.safetensors"
    options = "model.options={front: [6], ranks: [2, 3, 3, 4, 4, 4, 4, 4, 4, 4, 4, 5, 0], width: 0.25}"
    recipe.write_text(load_recipe("mien-s-low-many", [options, "model.size=32"]).to_yaml())
    arguments = ["slim", "mien-m", "--data", str(chips_folder), "--recipe", str(recipe), "--threads", "1"]
    done = CliRunner().invoke(app, [*arguments, "--output", str(start)])
    assert done.exit_code == 0, done.output
    model = load_recipe(str(recipe)).model.model_copy(update={"init": start})
    written, loaded = load_file(start), build(model).state_dict()
    assert set(written) == set(loaded)
    assert all(torch.isfinite(tensor).all() and torch.equal(loaded[name], tensor) for name, tensor in written.items())


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        (["model.network=compact-cnn", "model.options={}"], "is not for a network that mien lab slim makes"),
        (["model.options={width: 2}"], "the width must be above 0 and at most 1, not 2"),
    ],
)
def test_a_recipe_that_nothing_can_be_made_for(
    settings: list[str], told: str, chips_folder: Path, tmp_path: Path
) -> None:
    recipe = tmp_path / "odd.yaml"
    recipe.write_text(load_recipe("mien-s-low-many", settings).to_yaml())
    arguments = ["slim", "mien-m", "--data", str(chips_folder), "--recipe", str(recipe)]
    done = CliRunner().invoke(app, [*arguments, "--output", str(tmp_path / "x")])
    assert done.exit_code == UsageError("").exit_code
    assert told in " ".join(done.output.split())


def test_only_our_own_network_is_slimmed(chips_folder: Path, tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    arguments = ["slim", str(tmp_path / "run"), "--data", str(chips_folder), "--recipe", "mien-s-low-many"]
    done = CliRunner().invoke(app, [*arguments, "--output", str(tmp_path / "x")])
    assert done.exit_code == 6
    assert not (tmp_path / "x").exists()


@pytest.mark.parametrize("options", [{"front": [1] * 15}, {"front": [0]}, {"ranks": [-1] * 13}])
def test_impossible_fronts_and_ranks(options: dict[str, Any]) -> None:
    with pytest.raises(UsageError, match=r"front|ranks"):
        build(Model(size=64, options=options))
