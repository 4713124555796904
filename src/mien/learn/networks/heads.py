"""Our own network: a backbone, pooling, and linear heads for an age distribution over 0..116 and a gender logit."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from pathlib import Path
from typing import cast

import torch
from torch import Tensor, nn

from mien.estimate.calibrate import AGES
from mien.learn.networks.answer_kinds import AgeKind, GenderKind, Output
from mien.learn.networks.mobilenet import MobileNetV1


class AgeGenderNet(nn.Module):
    """Backbone, global mean pooling, and two linear heads; takes chips as they are stored.

    Args:
        backbone: from normalised chips to a feature map.
        dropout: of pooled features.
    """

    age_kind: AgeKind | None = "distribution"
    gender_kind: GenderKind | None = "sigmoid"
    mean: Tensor
    std: Tensor

    def __init__(self, backbone: MobileNetV1, dropout: float = 0.0) -> None:
        super().__init__()
        self.backbone = backbone
        self.reverse = backbone.channel_order == "bgr"
        order = slice(None, None, -1) if self.reverse else slice(None)
        self.register_buffer("mean", torch.tensor(backbone.mean_rgb[order]).view(1, 3, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(backbone.std_rgb[order]).view(1, 3, 1, 1), persistent=False)
        self.divides = any(spread != 1 for spread in backbone.std_rgb)
        self.dropout = nn.Dropout(dropout)
        self.age = nn.Linear(backbone.channels_out, AGES)
        self.gender = nn.Linear(backbone.channels_out, 1)
        for head in (self.age, self.gender):
            nn.init.normal_(head.weight, std=0.01)
            nn.init.zeros_(head.bias)

    def forward(self, chips: Tensor) -> Output:
        """Map RGB uint8 chips [N, S, S, 3] to logits."""
        return self.answer(self.features(chips))

    def pooled(self, chips: Tensor) -> Tensor:
        """Features [N, C] of RGB uint8 chips [N, S, S, 3]."""
        return self.features(chips).mean(dim=(2, 3))

    def features(self, chips: Tensor) -> Tensor:
        """The last feature map [N, C, h, w] of RGB uint8 chips [N, S, S, 3]."""
        return cast(Tensor, self.backbone(self.normalised(chips)))

    def normalised(self, chips: Tensor) -> Tensor:
        """What the backbone is given, [N, 3, S, S], of RGB uint8 chips [N, S, S, 3]."""
        x = chips.permute(0, 3, 1, 2).float()
        if self.reverse:
            x = x.flip(1)
        x = x - self.mean
        return x / self.std if self.divides else x

    def in_rgb(self) -> AgeGenderNet:
        """The same function, with the order of the channels and the division moved into the first convolution.

        It has less to do for each chip. Taking off the mean stays, since the convolution pads with zeros behind it.
        """
        net = copy.deepcopy(self)
        stem = net.backbone.stem
        with torch.no_grad():
            scaled = stem.weight / net.std
            stem.weight.copy_(scaled.flip(1) if net.reverse else scaled)
        if net.reverse:
            net.mean = net.mean.flip(1)
        net.std, net.reverse, net.divides = torch.ones_like(net.std), False, False
        return net

    def answer(self, features: Tensor) -> Output:
        """Logits from the last feature map [N, C, h, w], both heads on its mean, and that mean."""
        pooled = features.mean(dim=(2, 3))
        read = self.dropout(pooled)
        return Output(self.age(read).float(), self.gender(read).squeeze(1).float(), pooled)

    def load_hse(self, path: Path) -> None:
        """Load of the HSE start what this network has in common with it, see `MobileNetV1.load_hse`."""
        self.backbone.load_hse(path)

    def stages(self) -> list[nn.Module]:
        """Stages of the backbone."""
        return self.backbone.stages()

    def heads(self) -> list[nn.Module]:
        """Both linear layers."""
        return [self.age, self.gender]


def mobilenet_v1(
    size: int, dropout: float = 0.0, width: float = 1.0, *, front: Sequence[int] = (), ranks: Sequence[int] = ()
) -> AgeGenderNet:
    """MobileNetV1 with our heads. See `mien.learn.networks.low_rank` for those of low ranks.

    Args:
        size: side of the chips; any will do, since the heads read the mean of the last map.
        dropout: of pooled features.
        width: see `MobileNetV1`.
        front: see `MobileNetV1`.
        ranks: see `MobileNetV1`.
    """
    return AgeGenderNet(MobileNetV1(width, front=front, ranks=ranks), dropout)
