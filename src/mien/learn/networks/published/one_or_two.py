"""System (d) of issue 3: one network for age and gender, or two separate ones.

The paper's combined network takes 128x128 pixels: convolutions of 32, 64, 128 and 256 filters (3x3, ReLU, no padding),
each with 2x2 max pooling; the map is flattened and goes to two parallel dense layers of 256 with 30 % dropout, one
ending in a sigmoid for gender, one in a ReLU for age. Its loss is binary cross-entropy plus mean absolute error, its
method Adam. The separate networks take 200x200 pixels: convolutions of 32, 64 and 128 filters, flatten, a dense layer
of 64, 50 % dropout and one output: age under mean squared error or gender under binary cross-entropy, Adam at 1e-4.

Our readings, each an option:

- The dense layers have ReLUs, as the paper's convolutions do (it names none for them).
- The separate networks pool after each convolution and do not pad, as the combined one: without pooling the dense layer
  alone would have 308 million weights.
- Pixels are scaled to 0-1 (`pixels`); weights start as Keras would start them, Glorot and zero biases (`start`).
- A ReLU that answers age dies for good if it begins below zero for every face. Before it therefore stands a unit that
  counts from the mean age of the training faces in steps of their standard deviation (`age_start`, `age_spread`): the
  first answer is 33 years for everyone. `age_output: linear` leaves the ReLU away; it is the default of the separate
  network, for which the paper names no activation.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch.nn.functional as F
from torch import Tensor, nn

from mien.learn.networks.answer_kinds import AgeKind, GenderKind, Output
from mien.learn.networks.published.layers import (
    AGE_SPREAD,
    MEAN_AGE,
    Scale,
    ScaledPixels,
    Start,
    Years,
    conv_pools,
    one_of,
    pooled_side,
    positive,
    share,
    start_answer,
    start_weights,
)

AgeOutput = Literal["relu", "linear"]


class CombinedCNN(nn.Module):
    """Both answers from one trunk.

    Args:
        size: side of the chips; 128 in the paper.
        widths: filters of the convolutions.
        hidden: units of each of the two parallel dense layers.
        dropout: share of these that is dropped in training.
        age_output: "relu" or "linear".
        age_start: what is answered to every face at first, years.
        age_spread: years of a step from there, see `mien.learn.networks.published.layers.Years`.
        pixels: "unit" (0 to 1) or "centred" (-1 to 1).
        start: "glorot" or "he".

    Raises:
        ValueError: an option makes no sense, or the chips are too small.
    """

    age_kind: AgeKind | None = "years"
    gender_kind: GenderKind | None = "sigmoid"

    def __init__(
        self,
        size: int = 128,
        *,
        widths: Sequence[int] = (32, 64, 128, 256),
        hidden: int = 256,
        dropout: float = 0.3,
        age_output: AgeOutput = "relu",
        age_start: float = MEAN_AGE,
        age_spread: float = AGE_SPREAD,
        pixels: Scale = "unit",
        start: Start = "glorot",
    ) -> None:
        super().__init__()
        widths = positive("widths", widths)
        side = pooled_side(size, len(widths), padding=0)
        self.rectified = one_of("age_output", age_output, AgeOutput) == "relu"
        self.pixels = ScaledPixels(pixels)
        self.blocks = conv_pools(widths, padding=0)
        features = widths[-1] * side**2
        self.age_branch = _dense(features, hidden, dropout)
        self.gender_branch = _dense(features, hidden, dropout)
        self.age, self.gender = Years(hidden, age_start, age_spread), nn.Linear(hidden, 1)
        start_weights(self, start)
        start_answer(self.age.linear)
        start_answer(self.gender)

    def forward(self, chips: Tensor) -> Output:
        """Map RGB uint8 chips [N, S, S, 3] to years [N] and logits of "female" [N]."""
        x = self.pixels(chips)
        for block in self.blocks:
            x = block(x)
        x = x.flatten(1)
        years = self.age(self.age_branch(x))
        gender = self.gender(self.gender_branch(x)).squeeze(1).float()
        return Output(F.relu(years) if self.rectified else years, gender)

    def stages(self) -> list[nn.Module]:
        """The convolutions in order."""
        return list(self.blocks)

    def heads(self) -> list[nn.Module]:
        """Both branches and their answers."""
        return [self.age_branch, self.age, self.gender_branch, self.gender]


class SeparateCNN(nn.Module):
    """One answer from a network of its own.

    Args:
        size: side of the chips; 200 in the paper.
        task: "age" or "gender".
        widths: filters of the convolutions.
        hidden: units of the dense layer.
        dropout: share of these that is dropped in training.
        age_output: "linear" or "relu".
        age_start: what is answered to every face at first, years.
        age_spread: years of a step from there, see `mien.learn.networks.published.layers.Years`.
        pixels: "unit" (0 to 1) or "centred" (-1 to 1).
        start: "glorot" or "he".

    Raises:
        ValueError: an option makes no sense, or the chips are too small.
    """

    def __init__(
        self,
        size: int = 200,
        *,
        task: Literal["age", "gender"] = "age",
        widths: Sequence[int] = (32, 64, 128),
        hidden: int = 64,
        dropout: float = 0.5,
        age_output: AgeOutput = "linear",
        age_start: float = MEAN_AGE,
        age_spread: float = AGE_SPREAD,
        pixels: Scale = "unit",
        start: Start = "glorot",
    ) -> None:
        super().__init__()
        aged = one_of("task", task, Literal["age", "gender"]) == "age"
        self.age_kind: AgeKind | None = "years" if aged else None
        self.gender_kind: GenderKind | None = None if aged else "sigmoid"
        widths = positive("widths", widths)
        side = pooled_side(size, len(widths), padding=0)
        self.rectified = aged and one_of("age_output", age_output, AgeOutput) == "relu"
        self.pixels = ScaledPixels(pixels)
        self.blocks = conv_pools(widths, padding=0)
        self.dense = _dense(widths[-1] * side**2, hidden, dropout)
        self.answer = Years(hidden, age_start, age_spread) if aged else nn.Linear(hidden, 1)
        start_weights(self, start)
        start_answer(self.answer.linear if isinstance(self.answer, Years) else self.answer)

    def forward(self, chips: Tensor) -> Output:
        """Map RGB uint8 chips [N, S, S, 3] to years [N] or to logits of "female" [N]."""
        x = self.pixels(chips)
        for block in self.blocks:
            x = block(x)
        answer = self.answer(self.dense(x.flatten(1)))
        if self.age_kind is None:
            return Output(None, answer.squeeze(1).float())
        return Output(F.relu(answer) if self.rectified else answer, None)

    def stages(self) -> list[nn.Module]:
        """The convolutions in order."""
        return list(self.blocks)

    def heads(self) -> list[nn.Module]:
        """The dense layer and the answer."""
        return [self.dense, self.answer]


def _dense(features: int, hidden: int, dropout: float) -> nn.Sequential:
    (hidden,) = positive("hidden", [hidden])
    return nn.Sequential(nn.Linear(features, hidden), nn.ReLU(inplace=True), nn.Dropout(share("dropout", dropout)))
