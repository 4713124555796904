"""What networks answer, in the forms the published systems use, and all of them as one: a distribution over ages."""

from __future__ import annotations

from typing import Literal, NamedTuple, Protocol

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mien.estimate.calibrate import AGES

AgeKind = Literal["distribution", "years", "classes"]
"""Logits [N, 117] of whole years; years [N]; or logits [N, 24] of `CLASSES` five-year classes."""

GenderKind = Literal["sigmoid", "softmax"]
"""A logit [N] of "female"; or logits [N, 2] of male and female, the order of the labels."""

CLASSES = 24
CLASS_YEARS = 5
"""Five-year classes 0-4, 5-9, ... 115-119."""


class Output(NamedTuple):
    """Raw answers in the kinds the network names; None where it does not answer.

    Attributes:
        age: see `AgeKind`.
        gender: see `GenderKind`.
        features: what the heads read, [N, C], of networks that can learn it from another (`loss.hint`).
    """

    age: Tensor | None
    gender: Tensor | None
    features: Tensor | None = None


class Kinds(Protocol):
    """In which form something answers; None where it does not."""

    age_kind: AgeKind | None
    gender_kind: GenderKind | None


class Network(Kinds, Protocol):
    """What a trainable network offers, an `nn.Module` besides."""

    def __call__(self, chips: Tensor) -> Output:
        """Map RGB uint8 chips [N, S, S, 3] to raw answers; normalisation is the network's own affair."""
        ...

    def stages(self) -> list[nn.Module]:
        """The parts that may be frozen and that learn at `lr`, in order from the input."""
        ...

    def heads(self) -> list[nn.Module]:
        """All other parts, which learn at `head_lr`; together with the stages they hold every weight."""
        ...


def age_pmf(raw: Tensor, kind: AgeKind) -> Tensor:
    """Any age answer as a distribution over whole years.

    Years become the two neighbouring whole years, weighted so that the expectation is the answer itself (cut to
    0..116); a class spreads evenly over its years.

    Args:
        raw: [N, 117], [N] or [N, 24], as the kind says.
        kind: of the answer.

    Returns:
        float32 [N, 117], rows add up to 1.
    """
    if kind == "distribution":
        return torch.softmax(raw.float(), dim=1)
    years = torch.arange(AGES, dtype=torch.float32, device=raw.device)
    if kind == "years":
        near = raw.float().clamp(0, AGES - 1)[:, None]
        return F.relu(1 - (near - years[None]).abs())
    share = torch.softmax(raw.float(), dim=1)
    spread = F.one_hot(torch.arange(AGES, device=raw.device) // CLASS_YEARS, CLASSES).float()  # [117, 24]
    spread = spread / spread.sum(dim=0, keepdim=True)
    return share @ spread.T


def female_probability(raw: Tensor, kind: GenderKind) -> Tensor:
    """Any gender answer as the probability of "female", float32 [N]."""
    return torch.sigmoid(raw.float()) if kind == "sigmoid" else torch.softmax(raw.float(), dim=1)[:, 1]


class Deployed(nn.Module):
    """A network with its answers as probabilities: what an exported graph computes."""

    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        self.net = net
        spec: Network = net  # type: ignore[assignment]
        self.age_kind, self.gender_kind = spec.age_kind, spec.gender_kind

    @property
    def names(self) -> list[str]:
        """Names of the outputs, in order."""
        both = (("age_pmf", self.age_kind), ("p_female", self.gender_kind))
        return [name for name, kind in both if kind is not None]

    def forward(self, chips: Tensor) -> tuple[Tensor, ...]:
        """Map RGB uint8 [N, S, S, 3] to the age pmf [N, 117] and the probability of "female" [N], or one of them."""
        return self.answers(self.net(chips))

    def answers(self, output: Output) -> tuple[Tensor, ...]:
        """Raw answers as probabilities."""
        answers = []
        if self.age_kind is not None:
            assert output.age is not None
            answers.append(age_pmf(output.age, self.age_kind))
        if self.gender_kind is not None:
            assert output.gender is not None
            answers.append(female_probability(output.gender, self.gender_kind))
        return tuple(answers)
