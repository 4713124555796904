"""Narrow networks that start from wide ones."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from mien.errors import DataError, UsageError
from mien.learn.heads import mobilenet_v1
from mien.learn.network import build
from mien.learn.recipe import Model
from mien.learn.slim import slim


def test_dead_channels_are_dropped_and_the_answers_stay() -> None:
    torch.manual_seed(0)
    wide, narrow = mobilenet_v1(64).eval(), mobilenet_v1(64, width=0.5).eval()
    state = wide.state_dict()  # the network's own tensors: what is changed here is changed there
    generator = torch.Generator().manual_seed(1)
    for name in ("backbone.stem", *(f"backbone.blocks.{number}.pw" for number in range(13))):
        weight, bias = state[f"{name}.weight"], state[f"{name}.bias"]
        dead = torch.randperm(len(weight), generator=generator)[: len(weight) // 2]
        weight[dead], bias[dead] = 0, 0
    for number in range(13):
        state[f"backbone.blocks.{number}.dw.bias"].zero_()  # else a dead channel would still say something
    narrow.load_state_dict(slim(state, narrow.state_dict()))
    chips = torch.randint(0, 256, (2, 64, 64, 3), dtype=torch.uint8, generator=generator)
    for one, other in zip(wide(chips), narrow(chips), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-4)


def test_a_recipe_starts_a_narrow_network_from_a_wide_file(tmp_path: Path) -> None:
    wide = build(Model(size=64, init=None))
    save_file(wide.state_dict(), tmp_path / "model.safetensors")
    narrow = build(Model(size=64, init=tmp_path, options={"width": 0.25}))
    assert sum(p.numel() for p in narrow.parameters()) < 0.1 * sum(p.numel() for p in wide.parameters())
    rows = {tuple(row) for row in wide.state_dict()["backbone.stem.bias"].unsqueeze(1).tolist()}
    assert {tuple(row) for row in narrow.state_dict()["backbone.stem.bias"].unsqueeze(1).tolist()} <= rows


def test_a_wide_network_does_not_start_from_a_narrow_file(tmp_path: Path) -> None:
    save_file(build(Model(size=64, options={"width": 0.5})).state_dict(), tmp_path / "model.safetensors")
    with pytest.raises(DataError, match="another shape"):
        build(Model(size=64, init=tmp_path))


@pytest.mark.parametrize("width", [0, -1, 1.5])
def test_impossible_widths(width: float) -> None:
    with pytest.raises(UsageError, match="width"):
        build(Model(size=64, options={"width": width}))


def test_the_same_width_is_left_alone() -> None:
    net = mobilenet_v1(64)
    state = net.state_dict()
    assert slim(state, net.state_dict()) is state
