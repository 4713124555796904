"""VGG16, the age expert of system (b) of issue 3.

K. Simonyan and A. Zisserman, "Very deep convolutional networks for large-scale image recognition", ICLR 2015,
configuration D: thirteen 3x3 convolutions with ReLU in five groups of 64, 128, 256, 512 and 512 filters, 2x2 max
pooling after each group, then two dense layers of 4096 with ReLU and 50 % dropout, and the answer. The paper of system
(b) trains two of them on age, model A on women only and model B on men only; a gender classifier decides which of the
two is asked.

Our readings, each an option:

- `width` scales all filters and the dense layers; 1 is VGG16, 0.25 trains on a CPU.
- The first dense layer takes the last map whatever its side, so any chip from 32 px will do (224 in VGG16: 7x7).
- The answer is a linear unit for years (`task: age`) that counts from the mean age in steps of 20 years (`age_start`,
  `age_spread`); other tasks as in the CNNs of system (b).
- VGG16 does not learn from a small Gaussian start: its authors started it from a trained shallow network, and found
  later that the start of Glorot and Bengio (2010) serves as well. Ours is that of He et al. 2015, for ReLU (`start`).
- `batch_norm` puts a batch norm behind every convolution, which VGG16 as published has not.
"""

from __future__ import annotations

import itertools

from torch import Tensor, nn

from mien.learn.networks.answer_kinds import AgeKind, GenderKind, Output
from mien.learn.networks.published.answer_heads import AnswerHeads, Task
from mien.learn.networks.published.layers import AGE_SPREAD, MEAN_AGE, Scale, ScaledPixels, Start, share, start_weights

GROUPS = ((64, 2), (128, 2), (256, 3), (512, 3), (512, 3))
"""Filters and convolutions of each group."""

DENSE = 4096


class VGG16(nn.Module):
    """Configuration D, scaled.

    Args:
        size: side of the chips, at least 32; 224 as published.
        task: "age" (years), "classes", "gender", or "both" (years and gender).
        width: factor on all filters and dense units.
        batch_norm: after every convolution.
        dropout: after each dense layer.
        age_start: what is answered in years to every face at first.
        age_spread: years of a step from there, see `mien.learn.networks.published.layers.Years`.
        pixels: "centred" (-1 to 1) or "unit" (0 to 1).
        start: "he" or "glorot".

    Raises:
        ValueError: an option makes no sense, or the chips are too small.
    """

    def __init__(
        self,
        size: int = 224,
        *,
        task: Task = "age",
        width: float = 1.0,
        batch_norm: bool = False,
        dropout: float = 0.5,
        age_start: float = MEAN_AGE,
        age_spread: float = AGE_SPREAD,
        pixels: Scale = "centred",
        start: Start = "he",
    ) -> None:
        super().__init__()
        if not 1 / 64 <= width <= 4:
            raise ValueError(f"width is a factor from 1/64 to 4, not {width}")
        side = size // 2 ** len(GROUPS)
        if side < 1:
            raise ValueError(f"chips of {size} px are too small for five poolings: take a model.size of at least 32")
        hidden = round(DENSE * width)
        self.pixels = ScaledPixels(pixels)
        filters = [round(channels * width) for channels, _ in GROUPS]
        self.groups = nn.ModuleList(
            _group(before, after, count, batch_norm=batch_norm)
            for (before, after), (_, count) in zip(itertools.pairwise((3, *filters)), GROUPS, strict=True)
        )
        layers: list[nn.Module] = [nn.Flatten()]
        for before, after in ((filters[-1] * side**2, hidden), (hidden, hidden)):
            layers += [nn.Linear(before, after), nn.ReLU(inplace=True), nn.Dropout(share("dropout", dropout))]
        self.dense = nn.Sequential(*layers)
        self.answers = AnswerHeads(task, hidden, age_start, age_spread)
        self.age_kind: AgeKind | None = self.answers.age_kind
        self.gender_kind: GenderKind | None = self.answers.gender_kind
        start_weights(self, start)
        self.answers.start()

    def forward(self, chips: Tensor) -> Output:
        """Map RGB uint8 chips [N, S, S, 3] to raw answers of the task's kinds."""
        x = self.pixels(chips)
        for group in self.groups:
            x = group(x)
        output: Output = self.answers(self.dense(x))
        return output

    def stages(self) -> list[nn.Module]:
        """The five groups in order."""
        return list(self.groups)

    def heads(self) -> list[nn.Module]:
        """The dense layers and the answer."""
        return [self.dense, self.answers]


def _group(channels_in: int, channels_out: int, convolutions: int, *, batch_norm: bool) -> nn.Sequential:
    """Convolutions with ReLU, then pooling: [N, C, S, S] to [N, C', S // 2, S // 2]."""
    layers: list[nn.Module] = []
    for number in range(convolutions):
        before = channels_in if number == 0 else channels_out
        layers.append(nn.Conv2d(before, channels_out, 3, padding=1, bias=not batch_norm))
        if batch_norm:
            layers.append(nn.BatchNorm2d(channels_out))
        layers.append(nn.ReLU(inplace=True))
    layers.append(nn.MaxPool2d(2))
    return nn.Sequential(*layers)
