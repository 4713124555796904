"""System (b) of issue 3: the two gender classifiers that stand before the age experts.

The paper routes a face to an age expert for women or for men by its gender, and describes two classifiers for it,
trained on a data set other than the age data: four layers of convolution and pooling that end in one sigmoid, and three
of convolution, batch norm and pooling that end in two outputs behind 50 % dropout. It reports 88.09 % for one of them.

Our readings, each an option:

- Convolutions are 3x3 with "same" padding and ReLU, poolings 2x2; filters double from 16 (the first) or 32 (the
  second), `widths`.
- Between the map and the answer stands one dense ReLU layer of 128 units (`hidden`; 0 leaves it away). The dropout of
  the second follows it; the first has none, since none is named (`dropout`).
- Pixels are scaled to 0-1 (`pixels`); weights start after He et al. (`start`).
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence

from torch import Tensor, nn

from mien.learn.networks.answer_kinds import AgeKind, GenderKind, Output
from mien.learn.networks.published.layers import (
    Scale,
    ScaledPixels,
    Start,
    conv_pools,
    normed_block,
    pooled_side,
    positive,
    share,
    start_answer,
    start_weights,
)


class _GenderCNN(nn.Module):
    """Blocks, a dense layer and an answer: what both classifiers share. The last map has so many `features`."""

    age_kind: AgeKind | None = None
    gender_kind: GenderKind | None

    def __init__(
        self, blocks: nn.ModuleList, features: int, *, hidden: int, dropout: float, pixels: Scale, start: Start
    ) -> None:
        super().__init__()
        self.pixels, self.blocks = ScaledPixels(pixels), blocks
        layers: list[nn.Module] = [nn.Flatten()]
        if hidden != 0:
            (hidden,) = positive("hidden", [hidden])
            layers += [nn.Linear(features, hidden), nn.ReLU(inplace=True)]
        layers.append(nn.Dropout(share("dropout", dropout)))
        self.dense = nn.Sequential(*layers)
        self.answer = nn.Linear(hidden or features, 1 if self.gender_kind == "sigmoid" else 2)
        start_weights(self, start)
        start_answer(self.answer)

    def forward(self, chips: Tensor) -> Output:
        """Map RGB uint8 chips [N, S, S, 3] to a logit of "female" [N] or logits of male and female [N, 2]."""
        x = self.pixels(chips)
        for block in self.blocks:
            x = block(x)
        answer = self.answer(self.dense(x)).float()
        return Output(None, answer.squeeze(1) if self.gender_kind == "sigmoid" else answer)

    def stages(self) -> list[nn.Module]:
        """The convolutions in order."""
        return list(self.blocks)

    def heads(self) -> list[nn.Module]:
        """The dense layer and the answer."""
        return [self.dense, self.answer]


class FourConvGender(_GenderCNN):
    """Four layers of convolution and pooling, one sigmoid.

    Args:
        size: side of the chips.
        widths: filters of the four convolutions.
        hidden: units of the dense layer, 0 for none.
        dropout: after it; the paper names none.
        pixels: "unit" (0 to 1) or "centred" (-1 to 1).
        start: "he" or "glorot".

    Raises:
        ValueError: an option makes no sense, or the chips are too small.
    """

    gender_kind: GenderKind | None = "sigmoid"

    def __init__(
        self,
        size: int,
        *,
        widths: Sequence[int] = (16, 32, 64, 128),
        hidden: int = 128,
        dropout: float = 0.0,
        pixels: Scale = "unit",
        start: Start = "he",
    ) -> None:
        widths = positive("widths", widths, 4)
        features = widths[-1] * pooled_side(size, len(widths), padding=1) ** 2
        blocks = conv_pools(widths, padding=1)
        super().__init__(blocks, features, hidden=hidden, dropout=dropout, pixels=pixels, start=start)


class ThreeConvGender(_GenderCNN):
    """Three layers of convolution, batch norm and pooling, two outputs behind dropout.

    Args:
        size: side of the chips.
        widths: filters of the three convolutions.
        hidden: units of the dense layer, 0 for none.
        dropout: after it.
        pixels: "unit" (0 to 1) or "centred" (-1 to 1).
        start: "he" or "glorot".

    Raises:
        ValueError: an option makes no sense, or the chips are too small.
    """

    gender_kind: GenderKind | None = "softmax"

    def __init__(
        self,
        size: int,
        *,
        widths: Sequence[int] = (32, 64, 128),
        hidden: int = 128,
        dropout: float = 0.5,
        pixels: Scale = "unit",
        start: Start = "he",
    ) -> None:
        widths = positive("widths", widths, 3)
        features = widths[-1] * pooled_side(size, len(widths), padding=1) ** 2
        blocks = nn.ModuleList(normed_block(a, b) for a, b in itertools.pairwise((3, *widths)))
        super().__init__(blocks, features, hidden=hidden, dropout=dropout, pixels=pixels, start=start)
