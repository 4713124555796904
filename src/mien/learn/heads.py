"""Heads on pooled features and their loss: an age distribution over 0..116 and a gender logit."""

from __future__ import annotations

from typing import NamedTuple, Protocol

import torch
import torch.nn.functional as F
from torch import Tensor, nn

AGES = 117
"""Age classes: whole years 0..116."""


class Backbone(Protocol):
    """What a network must offer to carry the heads (an `nn.Module` besides)."""

    channels_out: int
    mean_rgb: tuple[float, float, float]
    std_rgb: tuple[float, float, float]
    channel_order: str

    def stages(self) -> list[nn.Module]:
        """Parts in order from the input."""
        ...


class Output(NamedTuple):
    """Raw answers: `age` logits [N, 117] and `gender` logit of "female" [N]."""

    age: Tensor
    gender: Tensor


class AgeGenderNet(nn.Module):
    """Backbone, global mean pooling, and two linear heads; takes chips as they are stored."""

    mean: Tensor
    std: Tensor

    def __init__(self, backbone: nn.Module, dropout: float = 0.0) -> None:
        super().__init__()
        self.backbone = backbone
        spec: Backbone = backbone  # type: ignore[assignment]
        self.reverse = spec.channel_order == "bgr"
        order = slice(None, None, -1) if self.reverse else slice(None)
        self.register_buffer("mean", torch.tensor(spec.mean_rgb[order]).view(1, 3, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(spec.std_rgb[order]).view(1, 3, 1, 1), persistent=False)
        self.dropout = nn.Dropout(dropout)
        self.age = nn.Linear(spec.channels_out, AGES)
        self.gender = nn.Linear(spec.channels_out, 1)
        for head in (self.age, self.gender):
            nn.init.normal_(head.weight, std=0.01)
            nn.init.zeros_(head.bias)

    def forward(self, chips: Tensor) -> Output:
        """Map RGB uint8 chips [N, S, S, 3] to logits."""
        x = chips.permute(0, 3, 1, 2).float()
        if self.reverse:
            x = x.flip(1)
        pooled = self.backbone((x - self.mean) / self.std).mean(dim=(2, 3))
        pooled = self.dropout(pooled)
        return Output(self.age(pooled).float(), self.gender(pooled).squeeze(1).float())


class AgeGenderLoss:
    """Label distribution learning for age, cross-entropy for gender; unknown labels take no part.

    The age target is a Gaussian around the label, cut to whole years 0..116; the loss is its Kullback-Leibler
    divergence from the prediction plus an L1 term on the expectation (Gao et al., "Age estimation using expectation of
    label distribution learning", IJCAI 2018). The spread grows with age, since old labels are less certain.
    """

    def __init__(self, *, sigma: float, sigma_slope: float, sigma_max: float, l1: float, gender: float) -> None:
        self.sigma, self.sigma_slope, self.sigma_max = sigma, sigma_slope, sigma_max
        self.l1, self.gender = l1, gender

    def target(self, age: Tensor) -> Tensor:
        """Distributions [N, 117] around ages [N]."""
        years = torch.arange(AGES, device=age.device, dtype=torch.float32)
        sigma = (self.sigma + self.sigma_slope * age).clamp(max=self.sigma_max)
        return torch.softmax(-((years[None] - age[:, None]) ** 2) / (2 * sigma[:, None] ** 2), dim=1)

    def __call__(self, output: Output, age: Tensor, female: Tensor) -> Tensor:
        """Mean loss of a batch.

        Args:
            output: logits.
            age: years float [N], NaN where unknown.
            female: 1, 0, or -1 where unknown, [N].
        """
        loss = output.age.new_zeros(())
        known = ~torch.isnan(age)
        if known.any():
            label = age[known]
            log_pmf = F.log_softmax(output.age[known], dim=1)
            years = torch.arange(AGES, device=age.device, dtype=torch.float32)
            loss = loss + F.kl_div(log_pmf, self.target(label), reduction="batchmean")
            loss = loss + self.l1 * F.l1_loss(log_pmf.exp() @ years, label)
        known = female >= 0
        if known.any():
            bce = F.binary_cross_entropy_with_logits(output.gender[known], female[known].float())
            loss = loss + self.gender * bce
        return loss
