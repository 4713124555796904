"""Narrow networks made of wide ones."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file
from torch import Tensor
from typer.testing import CliRunner

from mien.cli import app
from mien.errors import UsageError
from mien.learn.dataset import augment
from mien.learn.heads import AgeGenderNet
from mien.learn.network import build
from mien.learn.recipe import Augment, Model
from mien.learn.slim import slim

EXAMPLES = Path(__file__).parents[2] / "examples"
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


def test_half_of_the_channels_answer_nearly_alike_on_views_never_seen(wide: AgeGenderNet, chips: Tensor) -> None:
    narrow = slim(wide, 0.5, chips[:900])
    assert sum(p.numel() for p in narrow.parameters()) < 0.3 * sum(p.numel() for p in wide.parameters())
    wanted, given = ages(wide, chips[900:]), ages(narrow, chips[900:])
    assert wanted.std() > 5
    assert (given - wanted).abs().mean() < 0.75 * (wanted - wanted.median()).abs().mean()


def test_all_of_the_channels_answer_alike(wide: AgeGenderNet, chips: Tensor) -> None:
    same = slim(wide, 1.0, chips[:150])
    assert (ages(same, chips[:50]) - ages(wide, chips[:50])).abs().mean() < 1


@pytest.mark.parametrize("width", [0, -1, 1.5])
def test_impossible_widths(width: float) -> None:
    with pytest.raises(UsageError, match="width"):
        build(Model(size=64, options={"width": width}))


def test_the_command_writes_weights_that_a_recipe_starts_from(chips_folder: Path, tmp_path: Path) -> None:
    start = tmp_path / "start.safetensors"
    arguments = ["slim", "mien-m", "--data", str(chips_folder), "--size", "32", "--width", "0.25"]
    done = CliRunner().invoke(app, [*arguments, "--output", str(start), "--threads", "1"])
    assert done.exit_code == 0, done.output
    net = build(Model(size=32, init=start, options={"width": 0.25}))
    written = load_file(start)
    assert set(written) == set(net.state_dict())
    assert all(np.isfinite(tensor.numpy()).all() for tensor in written.values())


def test_only_our_own_network_is_slimmed(chips_folder: Path, tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    arguments = ["slim", str(tmp_path / "run"), "--data", str(chips_folder), "--output", str(tmp_path / "x")]
    done = CliRunner().invoke(app, arguments)
    assert done.exit_code == 6
    assert not (tmp_path / "x").exists()
