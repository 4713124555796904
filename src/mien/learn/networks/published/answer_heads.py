"""Last layers for networks that answer age in years, an age class, a gender, or age and gender."""

from __future__ import annotations

from typing import Literal

from torch import Tensor, nn

from mien.learn.networks.answer_kinds import CLASSES, AgeKind, GenderKind, Output
from mien.learn.networks.published.layers import Years, one_of, start_answer

Task = Literal["age", "classes", "gender", "both"]
"""Years; one of 24 five-year classes; male or female; years and gender from one network, whose losses are added."""


class AnswerHeads(nn.Module):
    """One linear layer for each thing asked.

    Args:
        task: what is asked.
        features: how many come in.
        age_start: what is answered in years to every face at first.
        age_spread: see `Years`.

    Raises:
        ValueError: no such task, or no such spread.
    """

    def __init__(self, task: Task, features: int, age_start: float, age_spread: float) -> None:
        super().__init__()
        one_of("task", task, Task)
        self.age_kind: AgeKind | None = {"age": "years", "both": "years", "classes": "classes"}.get(task)  # type: ignore[assignment]
        self.gender_kind: GenderKind | None = "softmax" if task in {"gender", "both"} else None
        self.age: nn.Module | None = None
        if self.age_kind == "years":
            self.age = Years(features, age_start, age_spread)
        elif self.age_kind == "classes":
            self.age = nn.Linear(features, CLASSES)
        self.gender = None if self.gender_kind is None else nn.Linear(features, 2)

    def start(self) -> None:
        """Begin with almost the same answer for every face: the mean age, even odds."""
        for layer in self.modules():
            if isinstance(layer, nn.Linear):
                start_answer(layer)

    def forward(self, features: Tensor) -> Output:
        """Map features [N, F] to raw answers of the kinds that this object names."""
        age = None if self.age is None else self.age(features).float()
        return Output(age, None if self.gender is None else self.gender(features).float())
