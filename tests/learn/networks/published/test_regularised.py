from typing import Any, Literal

import pytest
import torch
from torch import nn

from mien.errors import UsageError
from mien.learn.networks.build import build
from mien.learn.networks.published.regularised import RegularisedCNN
from mien.learn.recipe import Model

SMALL: dict[str, Any] = {"widths": [4, 6, 8], "hidden": [8], "dropout": [0.2]}


@pytest.mark.parametrize(("task", "wide"), [("age", 3), ("classes", 3), ("both", 3), ("gender", 2)])
def test_last_blocks_have_256_filters(task: Literal["age", "classes", "both", "gender"], wide: int) -> None:
    with torch.device("meta"):
        net = RegularisedCNN(180, task=task)
    filters = [layer.out_channels for layer in net.modules() if isinstance(layer, nn.Conv2d)]
    assert filters[-wide:] == [256] * wide
    assert max(filters[:-wide]) < 256


def test_spatial_dropout_is_in_the_deeper_blocks_only() -> None:
    with torch.device("meta"):
        blocks = RegularisedCNN(64).blocks
    rates = [[layer.p for layer in block.modules() if isinstance(layer, nn.Dropout2d)] for block in blocks]
    assert rates == [[], [], [], [0.15], [0.15], [0.2]]


def test_spatial_dropout_takes_whole_filters() -> None:
    torch.manual_seed(0)
    net = RegularisedCNN(64, **{**SMALL, "widths": [4, 6, 32]}, spatial_dropout=[0.5])
    x = net.pixels(torch.randint(0, 256, (4, 64, 64, 3), dtype=torch.uint8))
    for block in net.blocks:
        x = block(x)
    gone = (x == 0).all(dim=(2, 3))
    assert 0.3 < gone.float().mean() < 0.7
    assert (x[~gone] != 0).float().mean() > 0.9


def test_before_training_everyone_is_about_as_old_as_the_mean() -> None:
    torch.manual_seed(0)
    years = RegularisedCNN(32, **SMALL).eval()(torch.randint(0, 256, (8, 32, 32, 3), dtype=torch.uint8)).age
    assert (years - 33).abs().max() < 5


def test_an_age_of_their_own_may_be_the_start() -> None:
    chips = torch.randint(0, 256, (2, 32, 32, 3), dtype=torch.uint8)
    plain, spread = (RegularisedCNN(32, **SMALL, age_start=50, age_spread=spread).eval() for spread in (1.0, 10.0))
    spread.load_state_dict(plain.state_dict())
    near, far = plain(chips).age - 50, spread(chips).age - 50
    torch.testing.assert_close(far, 10 * near, atol=1e-4, rtol=1e-4)


def test_layers_before_a_batch_norm_have_no_bias() -> None:
    net = RegularisedCNN(32, **SMALL, task="both")
    biased = [name for name, layer in net.named_modules() if getattr(layer, "bias", None) is not None]
    norms = [name for name, layer in net.named_modules() if isinstance(layer, nn.BatchNorm1d | nn.BatchNorm2d)]
    assert len(norms) == 3 + 1
    assert sorted(biased) == sorted([*norms, "answers.age.linear", "answers.gender"])


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"task": "race"}, "task is 'age', 'classes', 'gender' or 'both', not 'race'"),
        ({"widths": [4, -6]}, "positive whole numbers"),
        ({"hidden": []}, "positive whole numbers"),
        ({"dropout": [0.4]}, "a number for each of hidden"),
        ({"spatial_dropout": [0.1] * 7}, "at most one for each of widths"),
        ({"spatial_dropout": [1.5]}, "below 1"),
        ({"widths": [4] * 7}, "chips of 64 px are too small"),
        ({"age_spread": 0}, "above 0"),
    ],
)
def test_a_wrong_option_is_told(options: dict[str, Any], sentence: str) -> None:
    with pytest.raises(UsageError, match=sentence):
        build(Model(network="regularised-cnn", size=64, options=options))
