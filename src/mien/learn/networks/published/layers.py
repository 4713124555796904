"""What the published networks share: how pixels come in, how a convolutional trunk is told, and where weights start."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Literal, get_args

from torch import Tensor, nn

Scale = Literal["unit", "centred"]
"""Pixels from 0 to 1, or from -1 to 1."""

Start = Literal["glorot", "he"]
"""Glorot & Bengio 2010, uniform: what Keras takes when nothing is said; or He et al. 2015, made for ReLU."""

MEAN_AGE, AGE_SPREAD = 33.0, 20.0
"""Mean and standard deviation of the ages of UTKFace's train fold, years."""


class ScaledPixels(nn.Module):
    """RGB uint8 chips [N, S, S, 3] to float [N, 3, S, S], from 0 to 1 ("unit") or from -1 to 1 ("centred")."""

    def __init__(self, scale: Scale) -> None:
        super().__init__()
        self.factor, self.offset = (1 / 255, 0.0) if one_of("pixels", scale, Scale) == "unit" else (2 / 255, -1.0)

    def forward(self, chips: Tensor) -> Tensor:
        """The same picture as numbers, channels first (in memory still last, which is what CPUs like)."""
        return chips.permute(0, 3, 1, 2).float() * self.factor + self.offset


class Years(nn.Module):
    """A linear unit that counts from the mean age in steps of the ages' standard deviation.

    It computes what a plain linear unit with the mean age as its start bias does. But a method such as Adam moves a
    weight by its rate at most, so that a plain unit needs many epochs to span a century, and this one does not.

    Args:
        features: how many come in.
        start: what it answers to every face at first, years.
        spread: years of a step; 1 is the plain unit.
    """

    def __init__(self, features: int, start: float = MEAN_AGE, spread: float = AGE_SPREAD) -> None:
        super().__init__()
        if spread <= 0:
            raise ValueError(f"age_spread is a number of years above 0, not {spread}")
        self.linear = nn.Linear(features, 1)
        self.start, self.spread = start, spread

    def forward(self, features: Tensor) -> Tensor:
        """Map [N, F] to years [N]."""
        steps: Tensor = self.linear(features).squeeze(1).float()
        return self.start + self.spread * steps


def conv_pool(channels_in: int, channels_out: int, *, padding: int) -> nn.Sequential:
    """3x3 convolution, ReLU, 2x2 max pooling: [N, C, S, S] to [N, C', P, P], see `pooled_side`."""
    return nn.Sequential(
        nn.Conv2d(channels_in, channels_out, 3, padding=padding), nn.ReLU(inplace=True), nn.MaxPool2d(2)
    )


def normed_block(channels_in: int, channels_out: int) -> nn.Sequential:
    """3x3 convolution with "same" padding, without a bias as the batch norm has one, ReLU and 2x2 max pooling."""
    return nn.Sequential(
        nn.Conv2d(channels_in, channels_out, 3, padding=1, bias=False),
        nn.BatchNorm2d(channels_out),
        nn.ReLU(inplace=True),
        nn.MaxPool2d(2),
    )


def conv_pools(widths: Sequence[int], *, padding: int) -> nn.ModuleList:
    """A `conv_pool` for each width, the first on three channels."""
    return nn.ModuleList(conv_pool(a, b, padding=padding) for a, b in itertools.pairwise((3, *widths)))


def pooled_side(size: int, blocks: int, *, padding: int) -> int:
    """Side of the map after so many 3x3 convolutions, each with 2x2 max pooling.

    Raises:
        ValueError: nothing is left of a chip of this size.

    >>> pooled_side(128, 4, padding=0), pooled_side(112, 4, padding=1)
    (6, 7)
    """
    side = size
    for _ in range(blocks):
        side = (side + 2 * padding - 2) // 2
    if side < 1:
        raise ValueError(f"chips of {size} px are too small for {blocks} poolings: take a larger model.size")
    return side


def start_weights(net: nn.Module, start: Start) -> None:
    """Draw the weights of all convolutions and dense layers anew and set their biases to zero."""
    one_of("start", start, Start)
    for module in net.modules():
        if isinstance(module, nn.Conv2d | nn.Linear):
            if start == "glorot":
                nn.init.xavier_uniform_(module.weight)
            else:
                nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
            if module.bias is not None:
                nn.init.zeros_(module.bias)


def start_answer(head: nn.Linear) -> None:
    """Let a last layer answer about zero to every chip at first, so that no early loss is that of a wild guess."""
    nn.init.normal_(head.weight, std=0.01)
    nn.init.zeros_(head.bias)


def one_of(name: str, value: str, choices: object) -> str:
    """The value, if it is one of a Literal's.

    Raises:
        ValueError: it is not.
    """
    known = get_args(choices)
    if value not in known:
        raise ValueError(f"{name} is {', '.join(map(repr, known[:-1]))} or {known[-1]!r}, not {value!r}")
    return value


def share(name: str, value: float) -> float:
    """The value, if it is a share of units that may be dropped: at least 0, below 1.

    Raises:
        ValueError: it is not.
    """
    if not 0 <= value < 1:
        raise ValueError(f"{name} is a share from 0 to below 1, not {value}")
    return value


def positive(name: str, values: Sequence[int], count: int | None = None) -> tuple[int, ...]:
    """The values, if they are positive whole numbers and as many as asked for.

    Raises:
        ValueError: they are not.
    """
    wrong = not values or any(not isinstance(value, int) or value < 1 for value in values)
    if wrong or (count is not None and len(values) != count):
        raise ValueError(
            f"{name} takes {'' if count is None else f'{count} '}positive whole numbers, not {list(values)}"
        )
    return tuple(values)
