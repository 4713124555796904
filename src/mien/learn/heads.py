"""Our own network: a backbone, pooling, and linear heads for an age distribution over 0..116 and a gender logit."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from pathlib import Path
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mien.estimate.calibrate import AGES
from mien.learn.backbones import MobileNetV1
from mien.learn.outputs import AgeKind, GenderKind, Output


class Places(nn.Module):
    """Weighs each place of a feature map, a channel at a time; new, it leaves the map as it is.

    Faces are aligned, so that a place of the map is a part of the face, and the mean over the map should not count all
    alike. With the mean behind it this is the global depthwise convolution of MobileFaceNet (Chen et al. 2018).

    Args:
        channels: of the map.
        side: of the map; for maps of other sides the weights are interpolated.
    """

    def __init__(self, channels: int, side: int) -> None:
        super().__init__()
        self.excess = nn.Parameter(torch.zeros(channels, side, side))  # over 1, to which weight decay leads back

    def forward(self, x: Tensor) -> Tensor:
        """Map [N, C, h, w] to the same shape."""
        excess: Tensor = self.excess
        if x.shape[-2:] != excess.shape[-2:]:
            excess = F.interpolate(excess[None], x.shape[-2:], mode="bilinear")[0]
        return x * (1 + excess)


class AgeGenderNet(nn.Module):
    """Backbone, global mean pooling, and two linear heads; takes chips as they are stored.

    Args:
        backbone: from normalised chips to a feature map.
        dropout: of pooled features.
        places: side of the feature map, to learn a weight for each of its places; None for the mean alone.
    """

    age_kind: AgeKind | None = "distribution"
    gender_kind: GenderKind | None = "sigmoid"
    mean: Tensor
    std: Tensor

    def __init__(self, backbone: MobileNetV1, dropout: float = 0.0, places: int | None = None) -> None:
        super().__init__()
        self.backbone = backbone
        self.places = None if places is None else Places(backbone.channels_out, places)
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
        """The last feature map [N, C, h, w], its places weighed, of RGB uint8 chips [N, S, S, 3]."""
        features: Tensor = self.backbone(self.normalised(chips))
        return features if self.places is None else cast(Tensor, self.places(features))

    def normalised(self, chips: Tensor) -> Tensor:
        """What the backbone is given, [N, 3, S, S], of RGB uint8 chips [N, S, S, 3]."""
        x = chips.permute(0, 3, 1, 2).float()
        if self.reverse:
            x = x.flip(1)
        x = x - self.mean
        return x / self.std if self.divides else x

    def keep_answers(self, chips: Tensor) -> None:
        """Batch norms that are new in a trained network change nothing at first; chips [N, S, S, 3] set them."""
        self.backbone.keep_answers(self.normalised(chips))

    def without_norms(self) -> AgeGenderNet:
        """The same function with batch norms folded into the convolutions; the network itself where it has none."""
        if not self.backbone.norms():
            return self
        net = AgeGenderNet(self.backbone.without_norms(), self.dropout.p)
        net.places = copy.deepcopy(self.places)
        net.age.load_state_dict(self.age.state_dict())
        net.gender.load_state_dict(self.gender.state_dict())
        return net.train(self.training)

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
        """Both linear layers, and the weights of places."""
        return [self.age, self.gender, *([] if self.places is None else [self.places])]


def mobilenet_v1(
    size: int,
    dropout: float = 0.0,
    width: float = 1.0,
    *,
    front: Sequence[int] = (),
    tail: Sequence[int] = (),
    ranks: Sequence[int] = (),
    batch_norm: bool = False,
    places: bool = False,
) -> AgeGenderNet:
    """MobileNetV1 with our heads; any `size` of chip will do. See `mien.learn.slim` for narrow ones.

    Args:
        size: side of the chips, which decides the number of places.
        dropout: of pooled features.
        width: see `MobileNetV1`.
        front: see `MobileNetV1`.
        tail: see `MobileNetV1`.
        ranks: see `MobileNetV1`.
        batch_norm: see `MobileNetV1`.
        places: learn a weight for each place of the last map, see `Places`.
    """
    backbone = MobileNetV1(width, front=front, tail=tail, ranks=ranks, batch_norm=batch_norm)
    return AgeGenderNet(backbone, dropout, -(-size // 32) if places else None)
