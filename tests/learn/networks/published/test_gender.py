from typing import Any

import pytest
import torch
from torch import nn

from mien.errors import UsageError
from mien.learn.networks.build import build
from mien.learn.networks.published.gender import FourConvGender, ThreeConvGender
from mien.learn.recipe import Model


def count(net: nn.Module, kind: type[nn.Module]) -> int:
    return sum(isinstance(layer, kind) for layer in net.modules())


def test_the_designs_are_the_papers() -> None:
    four, three = FourConvGender(32), ThreeConvGender(32)
    assert (count(four, nn.Conv2d), count(four, nn.MaxPool2d), count(four, nn.BatchNorm2d)) == (4, 4, 0)
    assert (count(three, nn.Conv2d), count(three, nn.MaxPool2d), count(three, nn.BatchNorm2d)) == (3, 3, 3)
    assert [layer.p for layer in three.modules() if isinstance(layer, nn.Dropout)] == [0.5]
    assert (four.answer.out_features, three.answer.out_features) == (1, 2)


def test_without_a_dense_layer_the_map_answers_itself() -> None:
    net = FourConvGender(48, hidden=0)
    assert count(net, nn.Linear) == 1
    assert net.answer.in_features == 128 * 3**2
    assert net(torch.zeros(2, 48, 48, 3, dtype=torch.uint8)).gender.shape == (2,)


@pytest.mark.parametrize("network", ["four-conv-gender", "three-conv-gender"])
@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"widths": [16, 32]}, "positive whole numbers"),
        ({"hidden": -1}, "hidden takes"),
        ({"dropout": -0.1}, "below 1"),
        ({"pixels": "grey"}, "not 'grey'"),
    ],
)
def test_a_wrong_option_is_told(network: str, options: dict[str, Any], sentence: str) -> None:
    with pytest.raises(UsageError, match=sentence):
        build(Model(network=network, size=32, options=options))
