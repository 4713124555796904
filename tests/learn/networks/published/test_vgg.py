import itertools
from typing import Any

import pytest
import torch
from torch import nn

from mien.errors import UsageError
from mien.learn.networks.build import build
from mien.learn.networks.published.vgg import VGG16
from mien.learn.recipe import Model


def test_it_is_configuration_d() -> None:
    with torch.device("meta"):
        net = VGG16(224)
    filters = [layer.out_channels for layer in net.modules() if isinstance(layer, nn.Conv2d)]
    assert filters == [64] * 2 + [128] * 2 + [256] * 3 + [512] * 6
    dense = [(layer.in_features, layer.out_features) for layer in net.modules() if isinstance(layer, nn.Linear)]
    assert dense == [(7 * 7 * 512, 4096), (4096, 4096), (4096, 1)]
    assert [type(group[-1]) for group in net.stages()] == [nn.MaxPool2d] * 5  # type: ignore[index]


@pytest.mark.parametrize("size", [32, 48, 64, 100])
def test_any_chip_from_32_px_will_do(size: int) -> None:
    with torch.device("meta"):
        output = VGG16(size, width=0.125)(torch.zeros(2, size, size, 3, dtype=torch.uint8))
    assert output.age.shape == (2,)


def test_a_signal_reaches_the_end_of_the_plain_network() -> None:
    torch.manual_seed(0)
    chips = torch.randint(0, 256, (4, 32, 32, 3), dtype=torch.uint8)
    net = VGG16(32, width=0.25).eval()
    x = net.pixels(chips)
    spread = x.std()
    for group in net.groups:
        x = group(x)
    assert 0.1 < x.std() / spread < 10


def test_batch_norm_is_an_option_behind_every_convolution() -> None:
    with torch.device("meta"):
        plain, normed = VGG16(32), VGG16(32, batch_norm=True)
    assert not any(isinstance(layer, nn.BatchNorm2d) for layer in plain.modules())
    layers = [layer for group in normed.groups for layer in group.children()]
    after = [type(b) for a, b in itertools.pairwise(layers) if isinstance(a, nn.Conv2d)]
    assert after == [nn.BatchNorm2d] * 13


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"width": 0}, "width is a factor"),
        ({"task": "name"}, "not 'name'"),
        ({"dropout": 1}, "below 1"),
        ({"start": "random"}, "not 'random'"),
    ],
)
def test_a_wrong_option_is_told(options: dict[str, Any], sentence: str) -> None:
    with pytest.raises(UsageError, match=sentence):
        build(Model(network="vgg16", size=32, options=options))


def test_chips_under_32_px_are_refused() -> None:
    with pytest.raises(ValueError, match="at least 32"):
        VGG16(31)
