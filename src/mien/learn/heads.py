"""Our own network: a backbone, pooling, and linear heads for an age distribution over 0..116 and a gender logit."""

from __future__ import annotations

import copy

import torch
from torch import Tensor, nn

from mien.estimate.calibrate import AGES
from mien.learn.backbones import MobileNetV1
from mien.learn.outputs import AgeKind, GenderKind, Output


class AgeGenderNet(nn.Module):
    """Backbone, global mean pooling, and two linear heads; takes chips as they are stored."""

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
        features: Tensor = self.backbone(self.normalised(chips))
        return features

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
        """Logits from the last feature map [N, C, h, w]: both heads on its mean."""
        pooled = self.dropout(features.mean(dim=(2, 3)))
        return Output(self.age(pooled).float(), self.gender(pooled).squeeze(1).float())

    def stages(self) -> list[nn.Module]:
        """Stages of the backbone."""
        return self.backbone.stages()

    def heads(self) -> list[nn.Module]:
        """Both linear layers."""
        return [self.age, self.gender]


def mobilenet_v1(
    size: int, dropout: float = 0.0, width: float = 1.0, batch_norm: bool = False
) -> AgeGenderNet:  # options of recipes come by name
    """MobileNetV1 with our heads; any `size` of chip will do. See `mien.learn.slim` for narrow ones."""
    del size
    return AgeGenderNet(MobileNetV1(width, batch_norm=batch_norm), dropout)
