"""A photo with reasons: which parts of its faces their ages or genders rest on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from mien.arrays import Chips, Pixels
from mien.errors import UsageError
from mien.estimate.estimator import Estimator
from mien.estimate.explain import Explanation, explain, make
from mien.estimate.maps import MapMaker, check_target
from mien.native import Record
from mien.results import Face, Photo


@dataclass(frozen=True, slots=True, eq=False)
class ExplainedPhoto(Record):
    """The answer for a photo, and reasons for some of its faces or all.

    Attributes:
        photo: the answer.
        numbers: which faces are explained, from 1, the largest.
        chips: uint8 [N, S, S, 3] RGB, what the network saw of these.
        explanations: one for each of these.
    """

    photo: Photo
    numbers: tuple[int, ...]
    chips: Chips
    explanations: tuple[Explanation, ...]

    @property
    def faces(self) -> tuple[Face, ...]:
        """The faces that are explained."""
        return tuple(self.photo.faces[number - 1] for number in self.numbers)

    def to_dict(self) -> dict[str, Any]:
        """The JSON record of the photo, with the number and the explanation of each face that is explained."""
        told = zip(self.numbers, self.faces, self.explanations, strict=True)
        faces = [{"number": number, **face.to_dict(), "explanation": why.to_dict()} for number, face, why in told]
        return self.photo.to_dict() | {"faces": faces}


@dataclass(frozen=True, slots=True, eq=False)
class Explainer:
    """What is to be explained, and how.

    Attributes:
        estimator: the model.
        target: "age" or "gender".
        maker: makes maps of chips.
    """

    estimator: Estimator
    target: str
    maker: MapMaker

    @classmethod
    def of(cls, estimator: Estimator, target: str, method: str | MapMaker) -> Explainer:
        """An explainer with a method by its name, or with one that is made already.

        Raises:
            UsageError: unknown target or method.
            ModelError: the model cannot be explained by this method.
        """
        check_target(target)
        return cls(estimator, target, make(estimator, method, estimator.threads) if isinstance(method, str) else method)

    def explain(self, photo: Photo, chips: Sequence[Pixels], face: int | None) -> ExplainedPhoto:
        """Explain faces of a photo that was answered.

        Args:
            photo: the answer.
            chips: uint8 [S, S, 3] of all its faces.
            face: which face, from 1; None for all.

        Raises:
            UsageError: there is no such face.
        """
        if face is not None and not 1 <= face <= len(photo.faces):
            raise UsageError(f"face is {face}, but the number of faces found in {photo.source} is {len(photo.faces)}")
        numbers = tuple(range(1, len(photo.faces) + 1)) if face is None else (face,)
        size = self.estimator.contract.size
        some = np.asarray([chips[number - 1] for number in numbers], np.uint8).reshape(-1, size, size, 3)
        told = explain(self.estimator, some, self.target, self.maker)
        return ExplainedPhoto(photo, numbers, some, tuple(told))
