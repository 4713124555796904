"""System (c): a CNN trained on ImageNet whose feature map is read as a sequence by an LSTM or GRU.

Every cell of the map is a step, row by row from the top left, as a line of text is read. Age is a number learned by
squared error, gender two classes learned by cross-entropy. The published description leaves open which cells the
recurrent network sees, how many units it has, and whether its last state or all of them count: the options name each
choice. The same CNN with `rnn="none"` (mean over the cells) shows what the recurrent network adds.

LSTM: Hochreiter and Schmidhuber, "Long short-term memory", Neural Computation 1997; GRU: Cho et al., "Learning phrase
representations using RNN encoder-decoder", EMNLP 2014.
"""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn

from mien.estimate.calibrate import AGES
from mien.learn.networks.answer_kinds import AgeKind, GenderKind, Output
from mien.learn.networks.published.efficientnet import SCALES, EfficientNetLite, imagenet_weights
from mien.learn.networks.published.huggingface import PREFIX, HubBackbone
from mien.learn.networks.published.layers import start_answer

Rnn = Literal["lstm", "gru", "none"]
Summary = Literal["last", "mean"]
Scaling = Literal["unit", "standardised"]

MEAN_AGE, AGE_SPREAD = 33.0, 20.0
"""Mean and standard deviation of the ages of UTKFace's train fold: the age head starts at the mean."""


class HybridNet(nn.Module):
    """CNN, then a recurrent network over the cells of its feature map, then one linear head each for age and gender."""

    age_kind: AgeKind | None
    gender_kind: GenderKind | None = "softmax"
    mean: Tensor
    std: Tensor

    def __init__(
        self,
        size: int,
        *,
        backbone: str = "efficientnet-lite0",
        pretrained: bool = True,
        freeze_norm: bool | None = None,
        drop_path: float = 0.0,
        scaling: Scaling = "standardised",
        rnn: Rnn = "gru",
        reduce: int = 256,
        hidden: int = 256,
        bidirectional: bool = False,
        summary: Summary = "last",
        dropout: float = 0.2,
        age: Literal["years", "distribution"] = "years",
    ) -> None:
        """Make the network.

        Args:
            size: side of the chips in pixels; any of at least 32 will do.
            backbone: one of `efficientnet.SCALES`, or "hf:" and the name of a model of the Hugging Face hub.
            pretrained: start the CNN from ImageNet.
            freeze_norm: keep the statistics of its batch norm as they are; None: if pretrained.
            drop_path: stochastic depth of the CNN.
            scaling: "unit" feeds pixels from 0 to 1; "standardised" takes off the mean and divides by the spread that
                the CNN was pretrained with.
            rnn: what reads the map; "none" takes the mean over its cells, and the next four options have no effect.
            reduce: channels to which a 1x1 convolution brings each cell first; 0 leaves it out.
            hidden: units of the recurrent network.
            bidirectional: read from both ends, with as many units each.
            summary: what of the states the heads see: the "last", or their "mean".
            dropout: before the heads.
            age: what the age head answers, one number as published or a distribution over the ages 0 to 116.

        Raises:
            ValueError: an option has no such choice.
            MissingExtra: the pretrained weights, or what loads them, are not installed.
        """
        super().__init__()
        _check(size, rnn=rnn, summary=summary, scaling=scaling, age=age)
        keep = pretrained if freeze_norm is None else freeze_norm
        self.backbone = _backbone(backbone, pretrained, keep, drop_path)
        unit, channels = scaling == "unit", self.backbone.channels_out
        mean, std = ((0.0,) * 3, (255.0,) * 3) if unit else (self.backbone.mean_rgb, self.backbone.std_rgb)
        self.register_buffer("mean", torch.tensor(mean).view(1, 3, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(std).view(1, 3, 1, 1), persistent=False)
        self.reader = (
            MeanReader(channels)
            if rnn == "none"
            else SequenceReader(
                channels, rnn, reduce=reduce, hidden=hidden, bidirectional=bidirectional, summary=summary
            )
        )
        self.dropout = nn.Dropout(dropout)
        self.age_kind = age
        self.age = nn.Linear(self.reader.features_out, 1 if age == "years" else AGES)
        self.gender = nn.Linear(self.reader.features_out, 2)
        for head in (self.age, self.gender):
            start_answer(head)

    def forward(self, chips: Tensor) -> Output:
        """Map RGB uint8 chips [N, S, S, 3] to ages (years [N] or logits [N, 117]) and logits of both genders [N, 2]."""
        x = (chips.permute(0, 3, 1, 2).float() - self.mean) / self.std
        read = self.dropout(self.reader(self.backbone(x)))
        age = self.age(read).float()
        if self.age_kind == "years":
            age = MEAN_AGE + AGE_SPREAD * age.squeeze(1)
        return Output(age, self.gender(read).float())

    def stages(self) -> list[nn.Module]:
        """Stages of the CNN."""
        return self.backbone.stages()

    def heads(self) -> list[nn.Module]:
        """What has no pretrained start: the reader of the map, and both linear layers."""
        return [self.reader, self.age, self.gender]


class MeanReader(nn.Module):
    """The mean over all cells: the CNN without a recurrent network."""

    def __init__(self, channels_in: int) -> None:
        super().__init__()
        self.features_out = channels_in

    def forward(self, x: Tensor) -> Tensor:
        """Map [N, C, H, W] to [N, C]."""
        return x.mean(dim=(2, 3))


class SequenceReader(nn.Module):
    """An LSTM or GRU over the cells of a map, row by row.

    The start is that of Keras, in which such hybrids are mostly written: orthogonal recurrent weights, and an LSTM that
    remembers at first (forget bias of 1; Jozefowicz et al., ICML 2015). With torch's own start the first of 16 cells
    would be forgotten before the last is read.
    """

    def __init__(
        self, channels_in: int, rnn: Rnn, *, reduce: int, hidden: int, bidirectional: bool, summary: Summary
    ) -> None:
        super().__init__()
        self.summary = summary
        self.reduce = nn.Sequential(nn.Conv2d(channels_in, reduce, 1), nn.ReLU()) if reduce else nn.Identity()
        kind = nn.LSTM if rnn == "lstm" else nn.GRU
        self.rnn = kind(reduce or channels_in, hidden, batch_first=True, bidirectional=bidirectional)
        self.features_out = hidden * (2 if bidirectional else 1)
        self._initialise(hidden)

    def forward(self, x: Tensor) -> Tensor:
        """Map [N, C, H, W] to states [N, hidden], twice as wide if bidirectional."""
        cells = self.reduce(x).flatten(2).transpose(1, 2)  # [N, H * W, C]
        states, last = self.rnn(cells)
        if self.summary == "mean":
            return states.mean(dim=1)  # type: ignore[no-any-return]
        last = last[0] if isinstance(last, tuple) else last  # an LSTM also has its cells
        return last.transpose(0, 1).flatten(1)  # type: ignore[no-any-return]

    def _initialise(self, hidden: int) -> None:
        for name, weight in self.rnn.named_parameters():
            if name.startswith("weight_ih"):
                nn.init.xavier_uniform_(weight)
            elif name.startswith("weight_hh"):
                for gate in weight.data.view(-1, hidden, hidden):
                    nn.init.orthogonal_(gate)
            else:
                nn.init.zeros_(weight)
                if isinstance(self.rnn, nn.LSTM) and name.startswith("bias_ih"):
                    nn.init.ones_(weight.data[hidden : 2 * hidden])  # gates: input, forget, cell, output


_CHOICES = {
    "rnn": ("lstm", "gru", "none"),
    "summary": ("last", "mean"),
    "scaling": ("unit", "standardised"),
    "age": ("years", "distribution"),
}


def _check(size: int, **options: str) -> None:
    for name, value in options.items():
        if value not in _CHOICES[name]:
            raise ValueError(f"{name} is {value!r}, not one of {', '.join(_CHOICES[name])}")
    if size < 32:
        raise ValueError(f"the chips are {size} px wide: the map has no cell below 32")


def _backbone(name: str, pretrained: bool, freeze_norm: bool, drop_path: float) -> EfficientNetLite | HubBackbone:
    if name.startswith(PREFIX):
        if drop_path:
            raise ValueError(f"drop_path is for {', '.join(SCALES)}, not for {name}")
        return HubBackbone(name.removeprefix(PREFIX), pretrained=pretrained, freeze_norm=freeze_norm)
    if name not in SCALES:
        raise ValueError(f"backbone is {name!r}, not one of {', '.join(SCALES)} or a name after {PREFIX!r}")
    net = EfficientNetLite(name, freeze_norm=freeze_norm, drop_path=drop_path)
    if pretrained:
        net.load_imagenet(imagenet_weights(name))
    return net
