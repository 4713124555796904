"""Narrow networks made of wide ones."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from typer.testing import CliRunner

from mien.cli import app
from mien.errors import DataError, UsageError
from mien.learn.backbones import WIDTHS, MobileBlock
from mien.learn.dataset import augment
from mien.learn.heads import AgeGenderNet, mobilenet_v1
from mien.learn.network import build
from mien.learn.recipe import Augment, Model, load_recipe
from mien.learn.slim import graft, slim
from mien.learn.transfer import chip_size, mobilenet_options

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


def blocks_of(net: AgeGenderNet) -> list[MobileBlock]:
    return [block for block in net.backbone.blocks if isinstance(block, MobileBlock)]


def channels_of(net: AgeGenderNet) -> list[int]:
    return [*[block.dw.in_channels for block in blocks_of(net)][1:], net.backbone.channels_out]


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


LOW: dict[str, Any] = {"front": [24, 48], "ranks": [8, 24, 24, 48, 56, 88, 72, 72, 72, 72, 72, 88, 88]}


def test_low_ranks_have_the_features_of_the_wide_network(wide: AgeGenderNet, chips: Tensor) -> None:
    low = slim(wide, 1.0, chips[:600], **LOW)
    assert sum(p.numel() for p in low.parameters()) < 0.35 * sum(p.numel() for p in wide.parameters())
    with torch.inference_mode():
        ours, theirs = (net.pooled(chips[900:]) for net in (low, wide))
    assert torch.corrcoef(torch.stack([ours.flatten(), theirs.flatten()]))[0, 1] > 0.9


def test_a_rank_that_suffices_changes_nothing(wide: AgeGenderNet, chips: Tensor) -> None:
    ranks = [min(block.dw.out_channels, channels) for block, channels in zip(blocks_of(wide), WIDTHS, strict=True)]
    same = slim(wide, 1.0, chips[:150], ranks=ranks)
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
        slim(wide, 1.0, torch.zeros(2, 32, 32, 3, dtype=torch.uint8), **options)


def test_a_network_of_low_ranks_is_nothing_to_slim() -> None:
    low = mobilenet_v1(32, width=0.25, ranks=[2] * 13)
    with pytest.raises(UsageError, match="low rank"):
        slim(low, 0.25, torch.zeros(2, 32, 32, 3, dtype=torch.uint8))


def test_a_low_rank_network_is_fitted_for_the_recipe_that_starts_from_it(chips_folder: Path, tmp_path: Path) -> None:
    recipe, start = tmp_path / "low.yaml", tmp_path / "start.safetensors"
    packaged = files("mien.learn").joinpath("recipes", "mien-s-half.yaml").read_text()
    options = "{front: [6], ranks: [2, 3, 3, 4, 4, 4, 4, 4, 4, 4, 4, 5, 0], width: 0.25}"
    recipe.write_text(packaged.replace("{width: 0.5, dropout: 0.1}", options).replace("size: 112", "size: 32"))
    arguments = ["slim", "mien-m", "--data", str(chips_folder), "--recipe", str(recipe), "--threads", "1"]
    done = CliRunner().invoke(app, [*arguments, "--output", str(start)])
    assert done.exit_code == 0, done.output
    model = load_recipe(str(recipe)).model.model_copy(update={"init": start})
    assert set(load_file(start)) == set(build(model).state_dict())
    assert mobilenet_options(start) == model.options


def test_no_start_is_made_for_a_recipe_with_a_tail(chips_folder: Path, tmp_path: Path) -> None:
    arguments = ["slim", "mien-m", "--data", str(chips_folder), "--recipe", "mien-s-wide"]
    done = CliRunner().invoke(app, [*arguments, "--output", str(tmp_path / "x")])
    assert done.exit_code == UsageError("").exit_code
    assert "without a tail" in done.output


def test_only_our_own_network_is_slimmed(chips_folder: Path, tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    arguments = ["slim", str(tmp_path / "run"), "--data", str(chips_folder), "--output", str(tmp_path / "x")]
    done = CliRunner().invoke(app, arguments)
    assert done.exit_code == 6
    assert not (tmp_path / "x").exists()


def test_grafted_blocks_answer_more_like_the_wide_network_than_dead_ones(wide: AgeGenderNet, chips: Tensor) -> None:
    narrow = slim(wide, 0.5, chips[:300])
    with torch.inference_mode():
        last = blocks_of(narrow)[-1].pw
        assert isinstance(last, nn.Conv2d)
        assert last.bias is not None
        last.bias[::2] -= 100  # half of the features never answer again
        narrow.age.weight[:, 1::2] = 0
    small, rest = chips[:600, ::2, ::2].contiguous(), chips[900:, ::2, ::2].contiguous()
    grafted = graft(narrow, wide, (768, 1024), small, chips[:600])
    assert channels_of(grafted)[-3:] == [256, 768, 1024]
    for old, new in zip(narrow.stages()[:-2], grafted.stages()[:-2], strict=True):
        assert all(torch.equal(a, b) for a, b in zip(old.parameters(), new.parameters(), strict=True))
    wanted = ages(wide, chips[900:])
    error = (ages(grafted, rest) - wanted).abs().mean()
    assert error < (ages(narrow, rest) - wanted).abs().mean()
    with torch.inference_mode():
        features, aims = grafted(rest).features, wide(chips[900:]).features
    assert features is not None
    assert aims is not None
    living, of_the_wide = ((maps.amax(dim=0) > 0).float().mean() for maps in (features, aims))
    assert living > 0.7 * of_the_wide
    together = torch.corrcoef(torch.stack([features.flatten(), aims.flatten()]))[0, 1]
    assert together > 0.5  # the same features in the same order


def test_the_graft_command_writes_weights_that_a_recipe_starts_from(chips_folder: Path, tmp_path: Path) -> None:
    narrow, start = tmp_path / "narrow.safetensors", tmp_path / "start.safetensors"
    save_file(mobilenet_v1(32, width=0.1).state_dict(), narrow)  # 3 channels of 32, which are not a tenth
    arguments = ["graft", str(narrow), "mien-m", "--data", str(chips_folder), "--tail", "300"]
    sizes = ["--size", "32", "--wide-size", "64", "--faces", "40", "--threads", "1"]
    done = CliRunner().invoke(app, [*arguments, *sizes, "--output", str(start)])
    assert done.exit_code == 0, done.output
    net = build(Model(size=32, init=start, options={"width": 0.1, "tail": [300]}))
    written, loaded = load_file(start), net.state_dict()
    assert set(written) == set(loaded)
    assert all(torch.equal(loaded[name], tensor) for name, tensor in written.items())


def test_a_graft_leaves_the_first_blocks_of_an_older_tail() -> None:
    narrow, wide = mobilenet_v1(32, width=0.1, tail=(60, 70)).eval(), mobilenet_v1(64).eval()
    chips = torch.from_numpy(np.random.default_rng(0).integers(0, 256, (8, 64, 64, 3), np.uint8))
    grafted = graft(narrow, wide, (80,), chips[:, ::2, ::2].contiguous(), chips)
    assert channels_of(grafted)[-2:] == [60, 80]
    low = mobilenet_v1(32, width=0.1, front=(4,), ranks=[2] * 13).eval()
    assert graft(low, wide, (80,), chips[:, ::2, ::2].contiguous(), chips).backbone.ranks == (*[2] * 12, 0)
    with pytest.raises(UsageError, match=r"at most the channels of the wide network's, \[1024\], not \[1025\]"):
        graft(narrow, wide, (1025,), chips, chips)


def test_the_graft_command_tells_of_a_folder_that_is_not_there(chips_folder: Path, tmp_path: Path) -> None:
    arguments = ["graft", "mien-s", "mien-m", "--data", str(chips_folder), "--tail", "1024"]
    done = CliRunner().invoke(app, [*arguments, "--output", str(tmp_path / "no" / "x")])
    assert done.exit_code == UsageError("").exit_code
    assert "there is no folder" in done.output


def test_the_size_of_chips_is_that_of_the_run_or_model(tmp_path: Path) -> None:
    assert chip_size(Path("mien-s")) == 96
    recipe = files("mien.learn").joinpath("recipes", "mien-s-half.yaml").read_text()
    (tmp_path / "recipe.yaml").write_text(recipe.replace("size: 112", "size: 96"))
    assert chip_size(tmp_path) == 96
    (tmp_path / "alone").mkdir()
    with pytest.raises(DataError, match="what size of chip"):
        chip_size(tmp_path / "alone")


@pytest.mark.parametrize("tail", [[0], [1] * 14])
def test_impossible_tails(tail: list[int]) -> None:
    with pytest.raises(UsageError, match="tail"):
        build(Model(size=64, options={"tail": tail}))


@pytest.mark.parametrize("options", [{"front": [1] * 8, "tail": [1] * 7}, {"front": [0]}, {"ranks": [-1] * 13}])
def test_impossible_fronts_and_ranks(options: dict[str, Any]) -> None:
    with pytest.raises(UsageError, match=r"front|ranks"):
        build(Model(size=64, options=options))


@pytest.mark.parametrize(
    "options",
    [
        {"width": 0.25},
        {"width": 0.5, "tail": [768, 1024]},
        {"width": 1.0, **LOW},
        {"width": 0.5, "ranks": [0] * 12 + [9]},
    ],
)
def test_options_are_read_from_weights(tmp_path: Path, options: dict[str, Any]) -> None:
    save_file(mobilenet_v1(32, **options).state_dict(), tmp_path / "x.safetensors")
    assert mobilenet_options(tmp_path / "x.safetensors") == options


def test_weights_of_other_networks_have_no_such_options(tmp_path: Path) -> None:
    save_file({"a": torch.zeros(1)}, tmp_path / "x.safetensors")
    with pytest.raises(DataError, match="no network of ours"):
        mobilenet_options(tmp_path / "x.safetensors")
    save_file(mobilenet_v1(32, width=0.25, places=True).state_dict(), tmp_path / "x.safetensors")
    with pytest.raises(DataError, match="weights of places"):
        mobilenet_options(tmp_path / "x.safetensors")
    (tmp_path / "x.safetensors").write_text("none")
    with pytest.raises(DataError, match="not a safetensors file"):
        mobilenet_options(tmp_path / "x.safetensors")
    with pytest.raises(DataError, match="do not exist"):
        mobilenet_options(tmp_path / "y.safetensors")
