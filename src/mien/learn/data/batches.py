"""What a data set gives for one face, and a data loader for many."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor


class Batch(NamedTuple):
    """Chips and labels, with the answers of a teacher where there is one.

    Attributes:
        chips: uint8 [N, S, S, 3].
        age: float32 [N], NaN where unknown.
        female: int8 [N], -1 where unknown.
        pmf: age distributions of the teacher, float32 [N, 117], NaN where it gave none; or None.
        soft: its probabilities of "female", float32 [N], NaN where it gave none; or None.
        features: that a guide's heads read, float32 [N, C]; or None.
        low: float32 [N], the least whole years where only bounds of the age are known, else NaN; or None.
        high: the most, likewise.
    """

    chips: Tensor
    age: Tensor
    female: Tensor
    pmf: Tensor | None = None
    soft: Tensor | None = None
    features: Tensor | None = None
    low: Tensor | None = None
    high: Tensor | None = None

    @property
    def bounds(self) -> tuple[Tensor, Tensor] | None:
        """Least and most whole years, each float32 [N]."""
        return None if self.low is None or self.high is None else (self.low, self.high)

    def to(self, device: torch.device) -> Batch:
        """The same on a device."""
        chips, age, female = (part.to(device, non_blocking=True) for part in self[:3])
        return Batch(
            chips, age, female, *(None if part is None else part.to(device, non_blocking=True) for part in self[3:])
        )


class Sample(NamedTuple):
    """One chip uint8 [S, S, 3] with its labels and the answers of a teacher or guide; see `Batch`."""

    chip: NDArray[np.uint8]
    age: float
    female: int
    pmf: NDArray[np.float32] | None = None
    soft: float = math.nan
    features: NDArray[np.float32] | None = None
    low: float = math.nan
    high: float = math.nan
