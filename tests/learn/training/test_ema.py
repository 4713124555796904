import pytest
import torch
from torch import nn

from mien.learn.training.ema import Average


def _net(value: float) -> nn.Linear:
    net = nn.Linear(2, 1)
    with torch.no_grad():
        net.weight.fill_(value)
        net.bias.fill_(value)
    return net


def test_average_follows_slowly_and_the_network_is_given_back() -> None:
    net = _net(0.0)
    average = Average(net, decay=0.9)
    for _ in range(200):
        average.update(net)
    with torch.no_grad():
        net.weight.fill_(1.0)
    average.update(net)
    with average.applied(net):
        assert net.weight[0, 0].item() == pytest.approx(0.1)
    assert net.weight[0, 0].item() == 1.0


def test_network_is_given_back_even_after_a_fault() -> None:
    net = _net(1.0)
    average = Average(net, decay=0.5)
    with torch.no_grad():
        net.weight.fill_(5.0)

    def fault() -> None:
        with average.applied(net):
            assert net.weight[0, 0].item() == 1.0
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fault()
    assert net.weight[0, 0].item() == 5.0


def test_frozen_weights_stay_out_and_state_returns() -> None:
    net = _net(1.0)
    net.bias.requires_grad_(False)
    average = Average(net, decay=0.5)
    average.update(net)
    state = average.state_dict()
    assert set(state) == {"updates", "weight"}
    twin = _net(7.0)
    twin.bias.requires_grad_(False)
    other = Average(twin, decay=0.5)
    other.load_state_dict(state)
    assert other.updates == 1
    with other.applied(twin):
        assert twin.weight[0, 0].item() == 1.0
        assert twin.bias.item() == 7.0
