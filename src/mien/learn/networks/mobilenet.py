"""Backbones: networks that turn normalised chips into a feature map.

The pretrained start is MobileNetV1 as trained for face identity, then age and gender, by A. Savchenko
(HSE_FaceRec_tf, Apache-2.0; "Efficient facial representations for age, gender and identity recognition in organizing
photo albums using multi-output ConvNet", PeerJ CS 2019). Batch norm is folded into the convolutions.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mien.errors import DataError
from mien.learn.networks.frozen_stages import FrozenStages
from mien.learn.networks.weights import load_file

_STRIDES = (1, 2, 1, 2, 1, 2, 1, 1, 1, 1, 1, 2, 1)
STEM = 32
"""Channels of the stem at full width."""
WIDTHS = (64, 128, 128, 256, 256, 512, 512, 512, 512, 512, 512, 1024, 1024)
"""Channels of the blocks at full width."""


class SamePadConv(nn.Conv2d):
    """3x3 convolution with TensorFlow's 'SAME' padding: at stride 2 the extra pixel goes to the bottom and right."""

    def __init__(self, channels_in: int, channels_out: int, stride: int, groups: int = 1) -> None:
        super().__init__(channels_in, channels_out, 3, stride, padding=1 if stride == 1 else 0, groups=groups)

    def forward(self, x: Tensor) -> Tensor:
        """Convolve [N, C, H, W]; an odd side at stride 2 is padded on both ends, an even one on the far end only."""
        if self.stride[0] == 2:
            pad_h, pad_w = x.shape[-2] % 2, x.shape[-1] % 2
            x = F.pad(x, (pad_w, 1, pad_h, 1))
        return super().forward(x)


class Stem(SamePadConv):
    """The first convolution, 3 to 32 channels (or another number) at stride 2, with its ReLU6."""

    def __init__(self, channels_out: int = STEM) -> None:
        super().__init__(3, channels_out, stride=2)

    def forward(self, x: Tensor) -> Tensor:
        """Map [N, 3, H, W] to [N, C, H / 2, W / 2]."""
        return F.relu6(super().forward(x), inplace=True)


class LowRankConv(nn.Module):
    """Pointwise convolution in two: down to `rank` channels, without a rectifier, and up again.

    As good as one of fewer weights where the maps it makes vary in few directions (Jaderberg et al. 2014). It is what
    the linear bottleneck of MobileNetV2 is between two of its depthwise convolutions (Sandler et al. 2018).
    """

    def __init__(self, channels_in: int, channels_out: int, rank: int) -> None:
        super().__init__()
        self.down = nn.Conv2d(channels_in, rank, 1, bias=False)
        self.up = nn.Conv2d(rank, channels_out, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Map [N, Cin, H, W] to [N, Cout, H, W]."""
        return cast(Tensor, self.up(self.down(x)))


class MobileBlock(nn.Module):
    """Depthwise 3x3 convolution, then pointwise 1x1, each followed by ReLU6 (Howard et al. 2017).

    Args:
        channels_in: of the maps it is given.
        channels_out: of those it makes.
        stride: of the depthwise convolution.
        rank: of the pointwise one, see `LowRankConv`; 0 for a whole one.
    """

    pw: nn.Conv2d | LowRankConv

    def __init__(self, channels_in: int, channels_out: int, stride: int, rank: int = 0) -> None:
        super().__init__()
        self.dw = SamePadConv(channels_in, channels_in, stride, groups=channels_in)
        if rank:
            self.pw = LowRankConv(channels_in, channels_out, rank)
        else:
            self.pw = nn.Conv2d(channels_in, channels_out, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Map [N, Cin, H, W] to [N, Cout, H / stride, W / stride]."""
        x = F.relu6(self.dw(x), inplace=True)
        return F.relu6(self.pw(x), inplace=True)


class MobileNetV1(nn.Module):
    """MobileNetV1: stem and 13 blocks, stride 32, 1024 channels out at full width.

    Args:
        width: factor of all numbers of channels (Howard et al. 2017 call it alpha), above 0 and up to 1.
        front: channels of the stem and the first blocks, one number each, where they are to be other than the width
            says. Their maps are large, so that fewer channels save much there.
        ranks: of the pointwise convolutions of the blocks, one number a block, 0 for a whole one; see `LowRankConv`.

    Input is BGR float [N, 3, S, S] with the ImageNet channel means taken off, as the pretrained weights expect.
    """

    mean_rgb = (123.68, 116.779, 103.939)
    std_rgb = (1.0, 1.0, 1.0)
    channel_order = "bgr"

    def __init__(self, width: float = 1.0, *, front: Sequence[int] = (), ranks: Sequence[int] = ()) -> None:
        super().__init__()
        self.width, self.front, self.ranks = width, tuple(front), tuple(ranks)
        channels, *outs = self._channels()
        self.stem = Stem(channels)
        blocks = []
        for out, stride, rank in zip(outs, _STRIDES, self.ranks or (0,) * len(outs), strict=True):
            if rank > min(channels, out):
                raise ValueError(f"a convolution from {channels} to {out} channels has no rank of {rank}")
            blocks.append(MobileBlock(channels, out, stride, rank))
            channels = out
        self.channels_out = channels
        self.blocks = nn.ModuleList(blocks)
        self.shortcut: FrozenStages | None = None
        self._initialise()

    def forward(self, x: Tensor) -> Tensor:
        """Feature map [N, C, ceil(S / 32), ceil(S / 32)]."""
        done = 0
        if self.shortcut is not None:
            x, done = self.shortcut(x), self.shortcut.count
        for stage in self.stages()[done:]:
            x = stage(x)
        return x

    def _channels(self) -> list[int]:
        """Channels of the stem and of each block.

        Raises:
            ValueError: the numbers do not describe a network.
        """
        if not 0 < self.width <= 1:
            raise ValueError(f"the width must be above 0 and at most 1, not {self.width}")
        most = len(WIDTHS) + 1
        if len(self.front) > most or not all(channels >= 1 for channels in self.front):
            raise ValueError(f"the front takes up to {most} numbers of channels of at least 1, not {list(self.front)}")
        if self.ranks and (len(self.ranks) != len(WIDTHS) or not all(rank >= 0 for rank in self.ranks)):
            raise ValueError(f"the ranks are {len(WIDTHS)} numbers of at least 0, not {list(self.ranks)}")
        plain = [max(1, round(full * self.width)) for full in (STEM, *WIDTHS)]
        return [*self.front, *plain[len(self.front) :]]

    def _initialise(self) -> None:
        """He et al. 2015: without batch norm a signal reaches the end only from such a start."""
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, nonlinearity="linear" if module.bias is None else "relu")
                if module.bias is not None:
                    nn.init.zeros_(module.bias)
        with torch.no_grad():
            self.stem.weight /= 64  # pixels come with a spread of about 64, not 1

    def stages(self) -> list[nn.Module]:
        """The parts in order from the input, as freezing and layer-wise learning rates count them."""
        return [self.stem, *self.blocks]

    def load_hse(self, path: Path) -> None:
        """Load the HSE start, `model.safetensors` of shared/README.md.

        Raises:
            DataError: the file lacks a tensor of this network, or has it in another shape.
        """
        stored = load_file(path)
        state = {}
        for name, tensor in self.state_dict().items():
            key = name.replace("blocks.", "block", 1)
            if key.startswith("block"):
                number, rest = key.removeprefix("block").split(".", 1)
                key = f"block{int(number) + 1}.{rest}"
            if key not in stored or stored[key].shape != tensor.shape:
                raise DataError(
                    f"{path} has no tensor {key!r} of this shape: it is not the MobileNet start to load here"
                )
            state[name] = stored[key].float()
        self.load_state_dict(state)
