from typing import Any

import pytest
import torch
from torch import nn

from mien.errors import UsageError
from mien.learn.network import build
from mien.learn.recipe import Model
from mien.learn.systems.one_or_two import CombinedCNN, SeparateCNN

SMALL: dict[str, Any] = {"widths": [4, 6, 8], "hidden": 8}
BLACK_TO_WHITE = torch.arange(0, 256, 51, dtype=torch.uint8)[:, None, None, None].expand(-1, 40, 40, 3)


@pytest.mark.parametrize(("make", "size", "flat"), [(CombinedCNN, 128, 6 * 6 * 256), (SeparateCNN, 200, 23 * 23 * 128)])
def test_nothing_is_padded(make: type[CombinedCNN] | type[SeparateCNN], size: int, flat: int) -> None:
    with torch.device("meta"):
        net = make(size)
        net(torch.zeros(1, size, size, 3, dtype=torch.uint8))
    assert next(layer for layer in net.modules() if isinstance(layer, nn.Linear)).in_features == flat
    assert {layer.padding for layer in net.modules() if isinstance(layer, nn.Conv2d)} == {(0, 0)}


def test_branches_share_the_convolutions_and_nothing_else() -> None:
    torch.manual_seed(0)
    net = CombinedCNN(40, **SMALL)
    output = net(BLACK_TO_WHITE)
    output.age.sum().backward()
    assert all(p.grad is not None for p in [*net.blocks.parameters(), *net.age_branch.parameters()])
    assert all(p.grad is None for p in [*net.gender_branch.parameters(), *net.gender.parameters()])
    output = net(BLACK_TO_WHITE)
    output.gender.sum().backward()
    assert all(p.grad is not None for p in net.gender_branch.parameters())


@pytest.mark.parametrize("seed", range(5))
def test_the_rectified_age_is_alive_for_every_face_at_first(seed: int) -> None:
    torch.manual_seed(seed)
    years = CombinedCNN(40, **SMALL).eval()(BLACK_TO_WHITE).age
    assert (years - 33).abs().max() < 5


def test_the_rectified_age_is_never_negative() -> None:
    torch.manual_seed(0)
    rectified, linear = (CombinedCNN(40, **SMALL, age_output=output).eval() for output in ("relu", "linear"))
    linear.load_state_dict(rectified.state_dict())
    for net in (rectified, linear):
        with torch.no_grad():
            net.age.linear.bias.fill_(-3)
    assert (linear(BLACK_TO_WHITE).age < 0).all()
    assert (rectified(BLACK_TO_WHITE).age == 0).all()


def test_a_separate_network_answers_one_thing() -> None:
    age, gender = SeparateCNN(40, **SMALL, task="age"), SeparateCNN(40, **SMALL, task="gender")
    assert (age.age_kind, age.gender_kind, gender.age_kind, gender.gender_kind) == ("years", None, None, "sigmoid")
    assert age(BLACK_TO_WHITE).gender is None
    assert gender(BLACK_TO_WHITE).age is None


def test_a_separate_age_may_be_rectified() -> None:
    net = SeparateCNN(40, **SMALL, age_output="relu", age_start=-10).eval()
    assert (net(BLACK_TO_WHITE).age == 0).all()


@pytest.mark.parametrize("network", ["combined-cnn", "separate-cnn"])
@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"widths": []}, "positive whole numbers"),
        ({"hidden": 0}, "hidden takes"),
        ({"dropout": 2}, "below 1"),
        ({"age_output": "exp"}, "'relu' or 'linear', not 'exp'"),
        ({"widths": [4] * 5}, "too small for 5 poolings"),
    ],
)
def test_a_wrong_option_is_told(network: str, options: dict[str, Any], sentence: str) -> None:
    with pytest.raises(UsageError, match=sentence):
        build(Model(network=network, size=64, options=options))


def test_a_separate_network_cannot_answer_both() -> None:
    with pytest.raises(UsageError, match="task is 'age' or 'gender', not 'both'"):
        build(Model(network="separate-cnn", size=64, options={"task": "both"}))
