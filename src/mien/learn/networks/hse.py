"""The network of HSE_FaceRec_tf whole, with the age and gender heads that its authors trained.

A. Savchenko, "Efficient facial representations for age, gender and identity recognition in organizing photo albums
using multi-output ConvNet", PeerJ CS 2019; Apache-2.0. A MobileNetV1 learned identities (VGGFace2) and was frozen; on
the mean of its last map a hidden layer and two heads learned 100 classes of age, 1 to 100 years, and a probability of
"male" (IMDB-WIKI). Its authors read an age off the two likeliest classes; the expectation is nearer to the truth.
"""

from __future__ import annotations

import math
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mien.errors import DataError
from mien.estimate.calibrate import AGES
from mien.learn.networks.answer_kinds import Output
from mien.learn.networks.heads import AgeGenderNet
from mien.learn.networks.mobilenet import MobileNetV1
from mien.learn.networks.weights import load_file

CLASSES = 100
"""Classes of its age head: whole years from 1 on."""

HIDDEN = 256

NEVER = -1e4
"""Logit of the years for which it has no class; float16 holds it."""

HEADS = ("embed", "age", "gender")


class HSENet(AgeGenderNet):
    """Backbone, global mean pooling, a hidden layer, and two linear heads on it.

    Args:
        backbone: from normalised chips to a feature map.
        prior: keep the biases of the classes of age when HSE's weights are loaded. They hold how often each age occurs
            in IMDB-WIKI, whose celebrities are mostly 20 to 50; without them children are made less old and old people
            less young (logit adjustment: Menon et al., "Long-tail learning via logit adjustment", ICLR 2021).
    """

    def __init__(self, backbone: MobileNetV1, *, prior: bool = True) -> None:
        super().__init__(backbone)
        self.prior = prior
        self.embed = nn.Linear(backbone.channels_out, HIDDEN)
        self.age = nn.Linear(HIDDEN, AGES)
        self.gender = nn.Linear(HIDDEN, 1)
        for head in (self.age, self.gender):
            nn.init.normal_(head.weight, std=0.01)
            nn.init.zeros_(head.bias)

    def answer(self, features: Tensor) -> Output:
        """Logits from the last feature map [N, C, h, w], and the mean that the hidden layer reads."""
        pooled = features.mean(dim=(2, 3))
        read = F.relu(self.embed(pooled))
        return Output(self.age(read).float(), self.gender(read).squeeze(1).float(), pooled)

    def heads(self) -> list[nn.Module]:
        """The hidden layer and both heads."""
        return [self.embed, self.age, self.gender]

    @torch.no_grad()
    def load_hse(self, path: Path) -> None:
        """Load HSE's weights: the backbone, the hidden layer and the heads.

        The classes become the years 1 to 100; the first, which stands for all babies, shares its probability with the
        year 0, and older years get none. The sign of the gender is turned to "female".

        Raises:
            DataError: the file lacks a tensor of this network, or has it in another shape.
        """
        super().load_hse(path)
        stored = {name: tensor.float() for name, tensor in load_file(path).items() if name.partition(".")[0] in HEADS}
        wanted = {"embed": tuple(self.embed.weight.shape), "age": (CLASSES, HIDDEN), "gender": (1, HIDDEN)}
        for head, shape in wanted.items():
            for name, size in ((f"{head}.weight", shape), (f"{head}.bias", shape[:1])):
                if name not in stored or tuple(stored[name].shape) != size:
                    raise DataError(
                        f"{path} has no tensor {name!r} of this shape: it has not the heads of HSE_FaceRec_tf"
                    )
        self.embed.weight.copy_(stored["embed.weight"])
        self.embed.bias.copy_(stored["embed.bias"])
        bias = stored["age.bias"] if self.prior else torch.zeros(CLASSES)
        shared = bias[:1] - math.log(2)
        none = AGES - 1 - CLASSES
        self.age.bias.copy_(torch.cat([shared, shared, bias[1:], torch.full((none,), NEVER)]))
        weight = stored["age.weight"]
        self.age.weight.copy_(torch.cat([weight[:1], weight, torch.zeros(none, HIDDEN)]))
        self.gender.weight.copy_(-stored["gender.weight"])
        self.gender.bias.copy_(-stored["gender.bias"])


def hse_mobilenet(size: int, width: float = 1.0, *, prior: bool = True) -> HSENet:
    """MobileNetV1 with the heads of HSE_FaceRec_tf; any `size` of chip will do.

    Args:
        size: side of the chips, which decides nothing.
        width: see `MobileNetV1`; HSE's weights are for 1.
        prior: see `HSENet`.
    """
    return HSENet(MobileNetV1(width), prior=prior)
