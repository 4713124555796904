"""Is a network better than its start, on the same faces and by more than chance?"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch

Z = 1.96
"""Standard errors to either side that hold the true difference 95 times in 100."""

FEW = 10
"""Of fewer faces nothing is told."""


@dataclass(frozen=True)
class FaceErrors:
    """How wrong a network is on each validation face, always in the same order.

    Attributes:
        errors: years between estimate and age, one a face; NaN where there is no answer or no age.
        hits: 1 where the gender is right, 0 where it is wrong, NaN where either is unknown.
    """

    errors: torch.Tensor
    hits: torch.Tensor

    @classmethod
    def join(cls, parts: Sequence[FaceErrors]) -> FaceErrors:
        """Those of several sets of faces."""
        return cls(torch.cat([one.errors for one in parts]), torch.cat([one.hits for one in parts]))


@dataclass(frozen=True)
class Change:
    """A mean difference to the start, and how far chance alone may have moved it, with 95 % confidence."""

    mean: float
    chance: float

    @property
    def real(self) -> bool:
        """Whether it is more than chance."""
        return abs(self.mean) > self.chance


def change(now: torch.Tensor, start: torch.Tensor) -> Change | None:
    """The mean of paired differences now - start, over faces that both have; None where these are fewer than ten.

    >>> found = change(torch.arange(20.0), torch.arange(20.0) + torch.tensor([1.0, 3.0]).repeat(10))
    >>> found.mean, round(found.chance, 3)
    (-2.0, 0.45)
    """
    differences = (now - start).double()
    known = differences[torch.isfinite(differences)]
    if len(known) < FEW:
        return None
    return Change(known.mean().item(), Z * known.std().item() / math.sqrt(len(known)))


def change_in_words(now: FaceErrors, start: FaceErrors) -> str:
    """A network against its start in words; empty where there is nothing to compare."""
    told = []
    if (years := change(now.errors, start.errors)) is not None:
        told.append(f"MAE {years.mean:+.3f} ± {years.chance:.3f} years ({_verdict(years, good=years.mean < 0)})")
    if (right := change(now.hits, start.hits)) is not None:
        points = f"{100 * right.mean:+.2f} ± {100 * right.chance:.2f} points"
        told.append(f"gender {points} ({_verdict(right, good=right.mean > 0)})")
    return ", ".join(told)


def _verdict(found: Change, *, good: bool) -> str:
    if not found.real:
        return "no more than chance"
    return "better" if good else "worse"
