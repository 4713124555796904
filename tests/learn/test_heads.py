"""Weights of the places of the last map."""

import onnxruntime
import pytest
import torch

from mien.learn.export import to_onnx
from mien.learn.heads import AgeGenderNet, Places, mobilenet_v1


@pytest.fixture
def chips() -> torch.Tensor:
    return torch.randint(0, 256, (4, 96, 96, 3), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))


def pooled(net: AgeGenderNet, chips: torch.Tensor) -> torch.Tensor:
    with torch.inference_mode():
        return net.eval().pooled(chips)


def test_new_weights_of_places_change_nothing(chips: torch.Tensor) -> None:
    torch.manual_seed(0)
    plain = mobilenet_v1(96, width=0.25)
    placed = mobilenet_v1(96, width=0.25, places=True)
    left = placed.load_state_dict(plain.state_dict(), strict=False)
    assert left.missing_keys == ["places.excess"]
    torch.testing.assert_close(pooled(placed, chips), pooled(plain, chips))
    torch.testing.assert_close(pooled(placed.without_norms(), chips), pooled(plain, chips))


def test_a_place_of_no_weight_is_not_seen(chips: torch.Tensor) -> None:
    net = mobilenet_v1(96, width=0.25, places=True)
    assert net.places is not None
    with torch.no_grad():
        net.places.excess[:, :, 0] = -1
        seen = net.eval().features(chips)
    assert seen[..., 0].abs().max() == 0
    assert seen[..., 1:].abs().max() > 0
    assert net.places in net.heads()


def test_weights_are_stretched_to_maps_of_other_sides() -> None:
    places = Places(2, 2)
    with torch.no_grad():
        places.excess[0] = torch.tensor([[0.0, 0.0], [1.0, 1.0]])
        out = places(torch.ones(1, 2, 4, 4))
    assert out.shape == (1, 2, 4, 4)
    assert (out[0, 1] == 1).all()
    assert (out[0, 0].diff(dim=0) >= 0).all()
    torch.testing.assert_close(out[0, 0].mean(), torch.tensor(1.5))


def test_heads_of_an_exported_network_are_linear_in_the_mean_of_its_weighed_map(chips: torch.Tensor) -> None:
    """What `mien explain` rests on."""
    torch.manual_seed(0)
    net = mobilenet_v1(96, width=0.25, places=True).eval()
    assert net.places is not None
    with torch.no_grad():
        net.places.excess.normal_(std=0.5)
        for head in (net.age, net.gender):
            head.weight.normal_(std=0.5)
    graph = to_onnx(net, 96).SerializeToString()
    session = onnxruntime.InferenceSession(graph, providers=["CPUExecutionProvider"])
    pmf, female, features = session.run(["age_pmf", "p_female", "feature_map"], {"chips": chips.numpy()})
    with torch.inference_mode():
        mean = torch.from_numpy(features).mean(dim=(2, 3))
        torch.testing.assert_close(torch.softmax(net.age(mean), dim=1), torch.from_numpy(pmf), rtol=1e-3, atol=1e-5)
        torch.testing.assert_close(
            torch.sigmoid(net.gender(mean)[:, 0]), torch.from_numpy(female), rtol=1e-3, atol=1e-5
        )
