from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from mien.errors import DataError
from mien.learn.networks.heads import AgeGenderNet
from mien.learn.networks.mobilenet import MobileNetV1, SamePadConv


@pytest.mark.parametrize("side", [7, 8, 25])
def test_stride_two_pads_as_tensorflow_does(side: int) -> None:
    """SAME: output is ceil(side / 2); total padding is what that takes, the larger half on the far end."""
    torch.manual_seed(0)
    conv = SamePadConv(2, 3, stride=2)
    x = torch.randn(1, 2, side, side)
    out = -(-side // 2)
    total = (out - 1) * 2 + 3 - side
    near = total // 2
    padded = torch.zeros(1, 2, side + total, side + total)
    padded[:, :, near : near + side, near : near + side] = x
    wanted = torch.nn.functional.conv2d(padded, conv.weight, conv.bias, stride=2)
    assert wanted.shape[-1] == out
    assert torch.allclose(conv(x), wanted, atol=1e-6)


def test_feature_map_is_a_thirty_second_of_the_chip() -> None:
    net = MobileNetV1().eval()
    with torch.inference_mode():
        assert net(torch.zeros(1, 3, 96, 96)).shape == (1, 1024, 3, 3)
    assert len(net.stages()) == 14
    assert sum(p.numel() for p in net.parameters()) == 3_196_032


def test_start_weights_land_where_their_names_say(tmp_path: Path) -> None:
    net = MobileNetV1()
    stored = {}
    for number, (name, tensor) in enumerate(net.state_dict().items()):
        parts = name.split(".")
        key = ".".join([f"block{int(parts[1]) + 1}", *parts[2:]]) if parts[0] == "blocks" else name
        stored[key] = torch.full_like(tensor, number).half()
    save_file(stored, tmp_path / "start.safetensors")
    net.load_hse(tmp_path / "start.safetensors")
    for number, tensor in enumerate(net.state_dict().values()):
        assert (tensor == number).all()


def test_start_without_a_tensor_is_refused(tmp_path: Path) -> None:
    save_file({"stem.weight": torch.zeros(32, 3, 3, 3)}, tmp_path / "start.safetensors")
    with pytest.raises(DataError, match=r"stem\.bias"):
        MobileNetV1().load_hse(tmp_path / "start.safetensors")


def test_in_rgb_moves_order_and_division_into_the_first_convolution_and_changes_no_answer() -> None:
    class Scaled(MobileNetV1):
        mean_rgb = (120.0, 110.0, 100.0)
        std_rgb = (50.0, 60.0, 70.0)

    torch.manual_seed(0)
    chips = torch.randint(0, 256, (3, 64, 64, 3), dtype=torch.uint8)
    for backbone in (Scaled(0.25), MobileNetV1(0.25)):
        net = AgeGenderNet(backbone).eval()
        with torch.inference_mode():
            moved = net.in_rgb()
            for ours, theirs in zip(moved(chips), net(chips), strict=True):
                torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-5)
        assert not moved.reverse
        assert not torch.equal(moved.backbone.stem.weight, net.backbone.stem.weight)
        assert torch.equal(net.in_rgb().backbone.stem.weight, moved.backbone.stem.weight), "the network stays as it was"
