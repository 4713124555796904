"""Several trained networks as one: a pair, experts behind a gate, or the mean of an ensemble.

The published systems combine networks in three ways: one network for age beside one for gender (system d), a gender
gate that routes each face to an age expert for women or for men (system b), and an ensemble that averages its members'
answers as distributions (system c).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, get_args

import torch
from torch import Tensor, nn

from mien.learn.networks.answer_kinds import AgeKind, Deployed, GenderKind, Output
from mien.learn.networks.build import build
from mien.learn.recipe import Model

Mode = Literal["pair", "gated", "mean"]

ROLES: dict[str, tuple[str, ...]] = {"pair": ("age", "gender"), "gated": ("gate", "women", "men"), "mean": ()}
"""Names of the parts, in order; an ensemble has as many as it likes."""

SMALLEST = 1e-12


class Combination(nn.Module):
    """Answers of several networks, each given the same chips, as one distribution and one probability.

    Args:
        size: side of the chips, for every part.
        mode: "pair", "gated" or "mean".
        parts: name -> {"network": ..., "options": {...}}, as in a recipe's `model`. A pair has the parts "age" and
            "gender", gated experts "gate", "women" and "men".

    Raises:
        ValueError: unknown mode, or parts that do not answer what their role needs.
    """

    def __init__(self, size: int, *, mode: Mode, parts: Mapping[str, Mapping[str, Any]]) -> None:
        super().__init__()
        if mode not in get_args(Mode):
            raise ValueError(f"mode is one of {', '.join(get_args(Mode))}, not {mode!r}")
        if ROLES[mode] and set(parts) != set(ROLES[mode]):
            raise ValueError(f"{mode} takes the parts {', '.join(ROLES[mode])}, not {', '.join(parts)}")
        if not parts:
            raise ValueError("there are no parts to average")
        self.mode = mode
        self.parts = nn.ModuleDict({name: Deployed(build(Model(**part, size=size))) for name, part in parts.items()})
        self._check()
        answers = {name for part in self.parts.values() for name in _deployed(part).names}
        self.age_kind: AgeKind | None = "distribution" if "age_pmf" in answers else None
        self.gender_kind: GenderKind | None = "sigmoid" if "p_female" in answers else None

    def forward(self, chips: Tensor) -> Output:
        """Map RGB uint8 chips [N, S, S, 3] to log-probabilities of ages [N, 117] and logits of "female" [N]."""
        said = {name: dict(zip(_deployed(part).names, part(chips), strict=True)) for name, part in self.parts.items()}
        if self.mode == "pair":
            pmf, female = said["age"]["age_pmf"], said["gender"]["p_female"]
        elif self.mode == "gated":
            female = said["gate"]["p_female"]
            pmf = torch.where(female[:, None] >= 0.5, said["women"]["age_pmf"], said["men"]["age_pmf"])
        else:
            pmf, female = _mean(said, "age_pmf"), _mean(said, "p_female")
        return Output(
            None if pmf is None else torch.log(pmf.clamp_min(SMALLEST)),
            None if female is None else torch.logit(female, eps=1e-6),
        )

    def stages(self) -> list[nn.Module]:
        """None: the parts were trained before, each by itself."""
        return []

    def heads(self) -> list[nn.Module]:
        """All parts."""
        return list(self.parts.values())

    def _check(self) -> None:
        needs = {"age": "age_pmf", "gender": "p_female", "gate": "p_female", "women": "age_pmf", "men": "age_pmf"}
        for name, part in self.parts.items():
            if ROLES[self.mode] and needs[name] not in _deployed(part).names:
                raise ValueError(f"the part {name!r} does not answer {needs[name]}")


def _deployed(part: nn.Module) -> Deployed:
    assert isinstance(part, Deployed)
    return part


def _mean(said: Mapping[str, Mapping[str, Tensor]], name: str) -> Tensor | None:
    """Mean answer of those parts that give it."""
    given = [answers[name] for answers in said.values() if name in answers]
    return torch.stack(given).mean(dim=0) if given else None
