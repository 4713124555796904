import re
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from mien.errors import DataError
from mien.learn.networks.build import build
from mien.learn.recipe import Model

SMALL = {"widths": [4, 6, 8], "hidden": [8, 6]}
AGES = Model(network="regularised-cnn", size=64, options={"task": "age", **SMALL})
BOTH = Model(network="regularised-cnn", size=64, options={"task": "both", **SMALL})
HYBRID = {"pretrained": False, "hidden": 8, "reduce": 4}


@pytest.fixture(autouse=True)
def _seed() -> None:
    torch.manual_seed(0)


def stored(net: nn.Module, folder: Path) -> Path:
    """A run's folder as far as a start needs it."""
    folder.mkdir()
    save_file({name: tensor.contiguous() for name, tensor in net.state_dict().items()}, folder / "model.safetensors")
    return folder


def started(model: Model, start: Path) -> tuple[nn.Module, list[str]]:
    lines: list[str] = []
    return build(model.model_copy(update={"init": start}), lines.append), lines


def same(first: nn.Module, second: nn.Module) -> set[str]:
    """Names of the tensors that two networks have alike."""
    one, two = first.state_dict(), second.state_dict()
    return {name for name in one if name in two and torch.equal(one[name], two[name])}


def test_a_start_that_fits_whole_is_taken_in_silence(tmp_path: Path) -> None:
    net = build(AGES)
    again, lines = started(AGES, stored(net, tmp_path / "run"))
    assert same(net, again) == set(net.state_dict())
    assert lines == []
    by_file, _ = started(AGES, tmp_path / "run" / "model.safetensors")
    assert same(net, by_file) == set(net.state_dict())


def test_one_question_lends_its_trunk_to_two(tmp_path: Path) -> None:
    start = build(AGES)
    net, lines = started(BOTH, stored(start, tmp_path / "run"))
    assert {name for name in net.state_dict() if name.startswith(("blocks", "dense"))} <= same(start, net)
    assert len(lines) == 1
    assert re.match(rf"2 of {len(net.state_dict())} tensors of the network do not fit ", lines[0])
    assert lines[0].endswith("keep their own start: answers.gender.weight, answers.gender.bias")


def test_other_chips_change_the_dense_layers_alone(tmp_path: Path) -> None:
    start = build(BOTH)
    net, lines = started(BOTH.model_copy(update={"size": 96}), stored(start, tmp_path / "run"))
    assert "dense.0.0.weight" not in same(start, net)
    assert "blocks.2.0.weight" in same(start, net)
    assert lines[0].endswith("keep their own start: dense.0.0.weight")


def test_a_cnn_lends_its_trunk_to_the_hybrid(tmp_path: Path) -> None:
    alone, gru = (Model(network="hybrid", size=32, options=HYBRID | {"rnn": rnn}) for rnn in ("none", "gru"))
    start = build(alone)
    net, lines = started(gru, stored(start, tmp_path / "run"))
    assert {name for name in net.state_dict() if name.startswith("backbone.")} <= same(start, net)
    assert "reader.rnn.weight_ih_l0" in lines[0]
    assert re.search(r" and \d+ more$", lines[0])


def test_a_model_that_comes_with_mien_is_a_start_for_its_design_only() -> None:
    _, lines = started(Model(size=64), Path("mien-m"))
    assert lines == []
    with pytest.raises(DataError, match="0% of the trunk is common to both"):
        started(Model(size=64, options={"width": 0.5}), Path("mien-m"))


@pytest.mark.parametrize(
    "other",
    [
        Model(network="compact-cnn", size=64, options={"widths": [4, 6, 8, 10], "hidden": [8, 6]}),
        Model(network="regularised-cnn", size=64, options={"task": "age", "widths": [4, 8, 16], "hidden": [8, 6]}),
        Model(network="hybrid", size=32, options=HYBRID),
    ],
)
def test_another_architecture_is_refused(other: Model, tmp_path: Path) -> None:
    start = stored(build(AGES), tmp_path / "run")
    with pytest.raises(DataError, match=r"does not fit this network.*at least 50% must be; start from a network"):
        started(other, start)


def test_a_published_start_of_another_width_is_told(tmp_path: Path) -> None:
    folder = stored(build(Model(size=64, options={"width": 0.25})), tmp_path / "run")
    net = build(Model(size=64))
    hse = {
        re.sub(r"^blocks\.(\d+)\.", lambda found: f"block{int(found[1]) + 1}.", name.removeprefix("backbone.")): tensor
        for name, tensor in net.state_dict().items()
        if name.startswith("backbone.")
    }
    save_file({name: tensor.contiguous() for name, tensor in hse.items()}, folder / "model.safetensors")
    again, lines = started(Model(size=64), folder)
    assert {name for name in net.state_dict() if name.startswith("backbone.")} <= same(net, again)
    assert lines == []
    with pytest.raises(DataError, match="of this shape"):
        started(Model(size=64, options={"width": 0.5}), folder)
