import math
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
import typer
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor, nn
from typer.testing import CliRunner

from mien.cli.lab.figures import figures
from mien.errors import UsageError
from mien.learn.data import samples
from mien.learn.figures import architecture_plot, preprocessing
from mien.learn.figures.architecture import first_input, layers
from mien.learn.figures.paper_figures import (
    draw_architecture,
    network,
    published,
    write_figures,
)
from mien.learn.networks.answer_kinds import AgeKind, GenderKind, Output
from mien.learn.recipe import load_recipe

Pixels = NDArray[np.uint8]


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


class Branching(nn.Module):
    """A trunk, a detour that is added to it, and two branches."""

    age_kind: AgeKind | None = "years"
    gender_kind: GenderKind | None = "sigmoid"

    def __init__(self) -> None:
        super().__init__()
        self.trunk = nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), nn.BatchNorm2d(8), nn.ReLU(), nn.MaxPool2d(2))
        self.detour = nn.Conv2d(8, 8, 1)
        self.rnn = nn.GRU(8, 5, batch_first=True)
        self.age, self.gender = nn.Linear(8, 1), nn.Linear(5, 1)
        self.dropout = nn.Dropout(0.25)
        self.unused = nn.Linear(1, 1)
        self.trunk[0].requires_grad_(False)  # frozen layers are drawn like others

    def forward(self, chips: Tensor) -> Output:
        x = self.trunk(chips.permute(0, 3, 1, 2).float() / 255)
        x = x + self.detour(x)
        states, _ = self.rnn(x.flatten(2).transpose(1, 2))
        age = self.age(self.dropout(x.mean(dim=(2, 3))))
        return Output(age.squeeze(1), self.gender(states.mean(dim=1)).squeeze(1))

    def stages(self) -> list[nn.Module]:
        return [self.trunk]

    def heads(self) -> list[nn.Module]:
        return [self.detour, self.rnn, self.age, self.gender, self.unused]


def test_layers_are_told_as_they_run() -> None:
    net = Branching()
    before = {name: tensor.clone() for name, tensor in net.state_dict().items()}
    found = layers(net, 16)
    told = [(layer.name, layer.kind, layer.shape, layer.sources, layer.pooled) for layer in found]
    assert told == [
        ("trunk.0", "conv", (8, 16, 16), (), (8, 8, 8)),
        ("detour", "conv", (8, 8, 8), (0,), None),
        ("rnn", "rnn", (64, 5), (0, 1), None),
        ("age", "dense", (1,), (0, 1), None),
        ("gender", "dense", (1,), (2,), None),
    ]
    assert found[0].notes == ["batch norm", "ReLU"]
    assert found[0].words == "3×3"
    assert found[0].parameters == 3 * 9 * 8 + 8 + 16
    assert found[2].words == "GRU"
    assert all(torch.equal(before[name], tensor) for name, tensor in net.state_dict().items())
    assert net.training
    assert [parameter.requires_grad for parameter in net.trunk[0].parameters()] == [False, False]
    assert not net.age._forward_hooks  # nothing is left behind


@pytest.mark.parametrize("name", published())
def test_every_weight_of_every_system_is_in_its_figure(name: str) -> None:
    plan = load_recipe(name)
    net = network(plan)
    found = layers(net, plan.model.size)
    assert sum(layer.parameters for layer in found) == sum(parameter.numel() for parameter in net.parameters())
    convolutions = sum(isinstance(module, nn.Conv2d) for module in net.modules())
    assert sum(layer.convolutions for layer in found) == convolutions
    assert [layer.sources for layer in found].count(()) == 1
    assert len(found) <= 20
    figure = draw_architecture(plan, net)
    words = {text.get_text() for text in figure.axes[0].texts}
    assert {f"3 × {plan.model.size}²", "convolution"} <= words
    ends = len(found) - len({source for layer in found for source in layer.sources})
    assert sum(word.startswith(("age:", "gender:")) for word in words) == ends


def test_stages_stand_for_the_layers_of_a_deep_network() -> None:
    plan = load_recipe("mien-m")
    found = layers(network(plan), 192)
    assert [layer.kind for layer in found].count("stage") >= 4
    assert found[0].shape == (32, 96, 96)
    assert found[-1].sources == found[-2].sources
    assert {layer.reads for layer in found[-2:]} == {"mean over the map"}


def test_how_a_dense_layer_reads_the_map_is_told() -> None:
    plan = load_recipe("combined")
    found = layers(network(plan), 128)
    branches = [layer for layer in found if layer.shape == (256,)]
    assert len(branches) == 2
    assert {layer.reads for layer in branches} == {"flattened"}
    map_before = found[branches[0].sources[0]].leaves
    assert math.prod(map_before) * 256 + 256 == branches[0].parameters


def test_blocks_do_not_overlap() -> None:
    for name in ("combined", "expert-women", "mien-m"):
        plan = load_recipe(name)
        found = layers(network(plan), plan.model.size)
        columns = architecture_plot._columns(found)
        places = architecture_plot._places(found, columns, plan.model.size)
        assert columns[0] == 0
        for layer, column, place in zip(found, columns, places, strict=True):
            assert place.left > architecture_plot.TALLEST  # the input's picture
            for source in layer.sources:
                assert columns[source] < column
                assert places[source].right < place.left
        same = [(a, b) for i, a in enumerate(places) for b in places[:i] if a.left == b.left]
        assert all(abs(a.middle - b.middle) > (a.high + b.high) / 2 for a, b in same)


def test_the_first_layer_s_input_is_the_network_s_own_normalisation() -> None:
    net = Branching()
    chips = torch.full((1, 8, 8, 3), 51, dtype=torch.uint8)
    given = first_input(net, chips)
    assert given.shape == (1, 3, 8, 8)
    assert torch.allclose(given, torch.tensor(0.2))
    assert net.training


@pytest.mark.parametrize(
    ("name", "settings", "steps"),
    [
        ("combined", [], ["MTCNN finds the face", "its five landmarks", "aligned chip", "resized"]),
        ("regularised-age", [], ["Haar finds the face", "its box", "Haar's box in the chip", "cut, resized"]),
        (
            "compact",
            ["data.crop=mtcnn", "data.grey=true"],
            [
                "MTCNN finds the face",
                "its five landmarks",
                "aligned chip",
                "MTCNN's box in the chip",
                "cut, resized, grey",
            ],
        ),
        ("separate-age", [], ["portrait, middle square", "cut out", "Lanczos resize"]),
    ],
)
def test_steps_are_those_of_the_recipe(name: str, settings: list[str], steps: list[str]) -> None:
    plan = load_recipe(name, settings)
    found = preprocessing.steps(plan, network(plan), samples.sample_photo(sample=samples.ASTRONAUT))
    assert [step.title for step in found] == [*steps, "what layer 1 is given"]
    size = plan.model.size
    shown, values = found[-2].pixels, found[-1].values
    assert shown is not None
    assert shown.shape == (size, size, 3)
    assert values is not None
    assert values.shape == (1, 3, size, size)
    assert (np.ptp(shown.astype(int), axis=-1).max() == 0) == plan.data.grey
    # what the network is given is an affine image of what is shown
    slope, offset = np.polyfit(shown[..., 0].ravel(), values[0, 0].ravel(), 1)
    np.testing.assert_allclose(values[0].transpose(1, 2, 0), slope * shown + offset, atol=1e-4)


def test_one_command_draws_each_way_and_each_network_once(tmp_path: Path) -> None:
    app = typer.Typer()
    app.command()(figures)
    names = ["expert-women", "expert-men", "separate-age"]
    result = CliRunner().invoke(app, [*names, "--output", str(tmp_path / "out")], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    written = [Path(line) for line in result.stdout.splitlines()]
    assert [path.name for path in written] == [
        "architecture-expert-women.png",
        "preprocessing-expert-women.png",  # those of the men are the same
        "architecture-separate-age.png",
        "preprocessing-separate-age.png",
    ]
    assert sorted(written) == sorted((tmp_path / "out").iterdir())
    for path in written:
        with Image.open(path) as picture:
            assert picture.width > 1000


def test_unknown_words_and_faceless_photos_are_told(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="format 'gif'"):
        write_figures(tmp_path, form="gif")
    with pytest.raises(UsageError, match="did you mean 'compact'"):
        write_figures(tmp_path, ["compct"])
    Image.new("RGB", (100, 100), (80, 90, 100)).save(tmp_path / "wall.png")
    with pytest.raises(UsageError, match="no face"):
        write_figures(tmp_path, ["compact"], photos=[tmp_path / "wall.png"])
