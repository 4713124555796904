"""System (a) of issue 3: a compact CNN for age class and gender.

The paper's network takes faces detected and aligned by MTCNN, 224x224 pixels: four convolutional layers, each followed
by max pooling, then a flatten and a multilayer perceptron of two fully connected ReLU layers, which ends in an age
class and a gender. It is trained with cross-entropy by Adam, batch 32, for 100 epochs; elsewhere the paper says SGD.
The design is told by what it lacks: "significantly fewer parameters and less training time than existing methods".

Our readings, each an option where it can be one:

- Convolutions are 3x3 with "same" padding and ReLU, poolings 2x2, so the map is a sixteenth of the chip.
- 16, 32, 64 and 128 filters and 128 and 64 fully connected units (`widths`, `hidden`). The paper names none. These
  double with each halving of the map, so that the later convolutions cost the same each; and they are compact: at
  112 px 0.91 million parameters and 50 million multiply-adds, at 224 px 3.3 and 198 million, where VGG16 has 138
  million and costs 15,500 million.
- The age classes, which the paper does not define, are 24 of five years, those of system (b); genders are a softmax
  of two, as classes go with cross-entropy.
- The losses of age and gender are added with equal weight (`loss.age`, `loss.gender` of the recipe).
- Neither dropout nor batch norm is named, so there is none; `dropout` adds the former after each dense layer.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence

from torch import Tensor, nn

from mien.learn.networks.answer_kinds import CLASSES, AgeKind, GenderKind, Output
from mien.learn.networks.published.layers import (
    Scale,
    ScaledPixels,
    Start,
    conv_pools,
    pooled_side,
    positive,
    share,
    start_answer,
    start_weights,
)


class CompactCNN(nn.Module):
    """Four convolutions with pooling and a perceptron, ending in an age class and a gender.

    Args:
        size: side of the chips; 224 in the paper.
        widths: filters of the four convolutions.
        hidden: units of the two dense layers.
        dropout: share of these that is dropped in training; 0 in the paper.
        pixels: "unit" (0 to 1) or "centred" (-1 to 1).
        start: "he" or "glorot".

    Raises:
        ValueError: an option makes no sense, or the chips are too small.
    """

    age_kind: AgeKind | None = "classes"
    gender_kind: GenderKind | None = "softmax"

    def __init__(
        self,
        size: int = 224,
        *,
        widths: Sequence[int] = (16, 32, 64, 128),
        hidden: Sequence[int] = (128, 64),
        dropout: float = 0.0,
        pixels: Scale = "centred",
        start: Start = "he",
    ) -> None:
        super().__init__()
        widths, hidden = positive("widths", widths, 4), positive("hidden", hidden, 2)
        side = pooled_side(size, len(widths), padding=1)
        self.pixels = ScaledPixels(pixels)
        self.blocks = conv_pools(widths, padding=1)
        layers: list[nn.Module] = [nn.Flatten()]
        for before, after in itertools.pairwise((widths[-1] * side**2, *hidden)):
            layers += [nn.Linear(before, after), nn.ReLU(inplace=True), nn.Dropout(share("dropout", dropout))]
        self.perceptron = nn.Sequential(*layers)
        self.age, self.gender = nn.Linear(hidden[-1], CLASSES), nn.Linear(hidden[-1], 2)
        start_weights(self, start)
        start_answer(self.age)
        start_answer(self.gender)

    def forward(self, chips: Tensor) -> Output:
        """Map RGB uint8 chips [N, S, S, 3] to logits of age classes [N, 24] and of male and female [N, 2]."""
        x = self.pixels(chips)
        for block in self.blocks:
            x = block(x)
        x = self.perceptron(x)
        return Output(self.age(x).float(), self.gender(x).float())

    def stages(self) -> list[nn.Module]:
        """The convolutions in order."""
        return list(self.blocks)

    def heads(self) -> list[nn.Module]:
        """The perceptron and both answers."""
        return [self.perceptron, self.age, self.gender]
