"""System (b) of issue 3: regularised CNNs for age, age class, gender, or age and gender together.

The paper cuts faces out with OpenCV's Haar cascade alt2, scales them to 180x180x3 and trains separate models for age
regression, for 24 age classes (five years each, 0 to 119) and for gender (softmax); a multi-task variant answers both
with summed losses. Each is a row of blocks: 3x3 convolution, batch norm, ReLU, 2x2 max pooling, and spatial dropout of
0.15-0.2 in the deeper ones; then fully connected layers with batch norm and dropout of 0.2-0.4. The last three blocks
have 256 filters for age, the last two for gender. It claims an age loss of 5.7 in training and 6.7 in validation, for
gender 92.5 and 89 %; its abstract alone claims 92 % for the age class, which its own table contradicts.

Our readings, each an option:

- The number of blocks and the filters before the last three (two) are not given. From 180 px, six blocks leave a 2x2
  map (age), five a 5x5 map (gender); the filters double up to 256: `widths`. Classes and "both" take those of age.
- Spatial dropout drops whole filters (Tompson et al. 2015), in the last three blocks: 0.15, 0.15 and 0.2
  (`spatial_dropout`, told for the last blocks, as many as there are numbers).
- Two fully connected layers of 256 and 128 (`hidden`) with dropout of 0.4 and 0.2 (`dropout`), in the order dense,
  batch norm, ReLU, dropout. Layers before a batch norm have no bias of their own: it would be taken off again.
- The age loss, 5.7 and 6.7, is read as the mean absolute error in years (`loss.years` of the recipe).
- Years come from a linear unit that counts from the mean age in steps of 20 years, so that few epochs are enough
  (`age_start`, `age_spread`).
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence

from torch import Tensor, nn

from mien.learn.networks.answer_kinds import AgeKind, GenderKind, Output
from mien.learn.networks.published.answer_heads import AnswerHeads, Task
from mien.learn.networks.published.layers import (
    AGE_SPREAD,
    MEAN_AGE,
    Scale,
    ScaledPixels,
    Start,
    normed_block,
    pooled_side,
    positive,
    share,
    start_weights,
)

AGE_WIDTHS = (32, 64, 128, 256, 256, 256)
GENDER_WIDTHS = (32, 64, 128, 256, 256)


class RegularisedCNN(nn.Module):
    """Blocks of convolution, batch norm and pooling, under much dropout.

    Args:
        size: side of the chips; 180 in the paper.
        task: "age" (years), "classes", "gender", or "both" (years and gender).
        widths: filters of each block; by default `AGE_WIDTHS` or, for gender, `GENDER_WIDTHS`.
        spatial_dropout: of the last blocks, as many as there are numbers.
        hidden: units of the dense layers.
        dropout: of each dense layer.
        age_start: what is answered in years to every face at first.
        age_spread: years of a step from there, see `mien.learn.networks.published.layers.Years`.
        pixels: "unit" (0 to 1) or "centred" (-1 to 1).
        start: "he" or "glorot".

    Raises:
        ValueError: an option makes no sense, or the chips are too small.
    """

    def __init__(
        self,
        size: int = 180,
        *,
        task: Task = "age",
        widths: Sequence[int] | None = None,
        spatial_dropout: Sequence[float] = (0.15, 0.15, 0.2),
        hidden: Sequence[int] = (256, 128),
        dropout: Sequence[float] = (0.4, 0.2),
        age_start: float = MEAN_AGE,
        age_spread: float = AGE_SPREAD,
        pixels: Scale = "unit",
        start: Start = "he",
    ) -> None:
        super().__init__()
        widths = positive("widths", widths or (GENDER_WIDTHS if task == "gender" else AGE_WIDTHS))
        hidden = positive("hidden", hidden)
        if len(dropout) != len(hidden) or len(spatial_dropout) > len(widths):
            raise ValueError("dropout has a number for each of hidden, spatial_dropout at most one for each of widths")
        side = pooled_side(size, len(widths), padding=1)
        self.pixels = ScaledPixels(pixels)
        drops = (0.0,) * (len(widths) - len(spatial_dropout)) + tuple(spatial_dropout)
        pairs = itertools.pairwise((3, *widths))
        self.blocks = nn.ModuleList(_block(a, b, drop) for (a, b), drop in zip(pairs, drops, strict=True))
        pairs = itertools.pairwise((widths[-1] * side**2, *hidden))
        self.dense = nn.Sequential(*(_dense(a, b, drop) for (a, b), drop in zip(pairs, dropout, strict=True)))
        self.answers = AnswerHeads(task, hidden[-1], age_start, age_spread)
        self.age_kind: AgeKind | None = self.answers.age_kind
        self.gender_kind: GenderKind | None = self.answers.gender_kind
        start_weights(self, start)
        self.answers.start()

    def forward(self, chips: Tensor) -> Output:
        """Map RGB uint8 chips [N, S, S, 3] to years [N] or logits [N, 24], and logits of male and female [N, 2]."""
        x = self.pixels(chips)
        for block in self.blocks:
            x = block(x)
        output: Output = self.answers(self.dense(x.flatten(1)))
        return output

    def stages(self) -> list[nn.Module]:
        """The blocks in order."""
        return list(self.blocks)

    def heads(self) -> list[nn.Module]:
        """The dense layers and the answers."""
        return [self.dense, self.answers]


def _block(channels_in: int, channels_out: int, spatial_dropout: float) -> nn.Sequential:
    block = normed_block(channels_in, channels_out)
    if share("spatial_dropout", spatial_dropout) > 0:
        block.append(nn.Dropout2d(spatial_dropout))
    return block


def _dense(features: int, hidden: int, dropout: float) -> nn.Sequential:
    return nn.Sequential(
        nn.Linear(features, hidden, bias=False),
        nn.BatchNorm1d(hidden),
        nn.ReLU(inplace=True),
        nn.Dropout(share("dropout", dropout)),
    )
