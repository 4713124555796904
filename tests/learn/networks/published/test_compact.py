from typing import Any

import pytest
import torch
from torch import nn

from mien.errors import UsageError
from mien.learn.networks.build import build
from mien.learn.networks.published.compact import CompactCNN
from mien.learn.recipe import Model


@pytest.mark.parametrize(("size", "side"), [(32, 2), (112, 7), (224, 14), (100, 6)])
def test_flatten_follows_the_size_of_the_chips(size: int, side: int) -> None:
    with torch.device("meta"):
        net = CompactCNN(size)
        first = next(layer for layer in net.perceptron if isinstance(layer, nn.Linear))
        assert first.in_features == 128 * side**2
        output = net(torch.zeros(1, size, size, 3, dtype=torch.uint8))
    assert output.age.shape == (1, 24)


def test_it_is_four_convolutions_each_pooled_and_two_dense_layers() -> None:
    net = CompactCNN(32)
    kinds = [type(layer) for layer in net.modules()]
    assert [kinds.count(kind) for kind in (nn.Conv2d, nn.MaxPool2d, nn.Linear)] == [4, 4, 2 + 2]
    assert kinds.count(nn.BatchNorm2d) == 0


def test_at_first_all_classes_are_about_as_likely() -> None:
    torch.manual_seed(0)
    output = CompactCNN(32).eval()(torch.randint(0, 256, (8, 32, 32, 3), dtype=torch.uint8))
    assert torch.softmax(output.age, dim=1).max() < 3 / 24
    assert torch.softmax(output.gender, dim=1).max() < 0.7


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"widths": [16, 32, 64]}, "widths takes 4 positive whole numbers"),
        ({"widths": [16, 32, 64, 0]}, "widths takes 4 positive whole numbers"),
        ({"hidden": [128]}, "hidden takes 2 positive whole numbers"),
        ({"dropout": 1.0}, "below 1"),
        ({"pixels": "bytes"}, "'unit' or 'centred', not 'bytes'"),
        ({"start": "zeros"}, "'glorot' or 'he', not 'zeros'"),
        ({"depth": 4}, "unknown option of compact-cnn"),
    ],
)
def test_a_wrong_option_is_told(options: dict[str, Any], sentence: str) -> None:
    with pytest.raises(UsageError, match=sentence):
        build(Model(network="compact-cnn", size=32, options=options))


def test_chips_that_vanish_under_the_poolings_are_refused() -> None:
    with pytest.raises(ValueError, match="chips of 8 px are too small for 4 poolings"):
        CompactCNN(8)
