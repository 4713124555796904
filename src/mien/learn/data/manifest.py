"""The table of labelled pictures for training and evaluation: a row each, whatever they were read from.

A listed picture that is not there stays in the table as a row (`exists` is False there): folds and twin groups are
those of the whole list, whatever part of it lies on this machine. `present()` leaves such rows out.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mien.errors import UsageError

Strings = NDArray[np.str_]


@dataclass(frozen=True)
class Manifest:
    """Labelled pictures, a row each. Columns are arrays of equal length [N].

    Attributes:
        files: the name of each picture in its table, unique within a source.
        paths: where it lies, or would lie.
        exists: whether it does.
        age: float32, whole years; NaN where unknown.
        female: int8, 1 female, 0 male, -1 unknown.
        group: near-identical pictures ("twins") of a source share a name; "" where a picture has no twin.
        fold: e.g. "train", "val", "test"; "" where none is stated.
        coral: "train" or "test" of the public CORAL split of UTKFace, else "".
        coral_twin: whether some `coral` = train row of the whole folds file has the same group.
        race: int8, 0 to 4 as UTKFace has them, -1 unknown; only for auditing fairness.
        source: name of the data set.
        problems: sentences about what was not understood while reading.
        age_low: float32, years, where only bounds of the age are known (`age` is NaN there); else NaN. All NaN unless
            given.
        age_high: the upper bound likewise, at least `age_low`.
        place: float32 [N, 2], a point x, y on the face that is meant, in pixels of the upright photograph; NaN where
            none is stated. All NaN unless given.
    """

    files: Strings
    paths: tuple[Path, ...]
    exists: NDArray[np.bool_]
    age: NDArray[np.float32]
    female: NDArray[np.int8]
    group: Strings
    fold: Strings
    coral: Strings
    coral_twin: NDArray[np.bool_]
    race: NDArray[np.int8]
    source: Strings
    problems: tuple[str, ...] = ()
    age_low: NDArray[np.float32] = field(default_factory=lambda: np.empty(0, np.float32))
    age_high: NDArray[np.float32] = field(default_factory=lambda: np.empty(0, np.float32))
    place: NDArray[np.float32] = field(default_factory=lambda: np.empty((0, 2), np.float32))

    def __post_init__(self) -> None:
        for name in ("age_low", "age_high"):
            if len(getattr(self, name)) != len(self.paths):
                object.__setattr__(self, name, np.full(len(self.paths), np.nan, np.float32))
        if len(self.place) != len(self.paths):
            object.__setattr__(self, "place", np.full((len(self.paths), 2), np.nan, np.float32))

    def __len__(self) -> int:
        return len(self.paths)

    @property
    def missing(self) -> int:
        """How many listed pictures are not there."""
        return int((~self.exists).sum())

    @property
    def bounds(self) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Between which years each age lies, float32 [N] twice: both `age` where it is known; NaN where nothing is."""
        exact = ~np.isnan(self.age)
        return np.where(exact, self.age, self.age_low), np.where(exact, self.age, self.age_high)

    @property
    def aged(self) -> NDArray[np.bool_]:
        """Whether an age or bounds of it are known, [N]."""
        return ~np.isnan(self.bounds[0])

    @property
    def middle(self) -> NDArray[np.float32]:
        """The age, or the middle of its bounds, float32 [N]; NaN where nothing is known."""
        low, high = self.bounds
        middle: NDArray[np.float32] = ((low + high) / 2).astype(np.float32)
        return middle

    def ageless(self) -> Manifest:
        """The same rows with all ages unknown."""
        nothing = np.full(len(self), np.nan, np.float32)
        return replace(self, age=nothing, age_low=nothing, age_high=nothing)

    @property
    def twins(self) -> Strings:
        """`group` made unique across sources: what resampling and splitting keep together; "" for a single picture."""
        names = [f"{source}/{group}" if group else "" for source, group in zip(self.source, self.group, strict=True)]
        return np.array(names, dtype=np.str_)

    def named(self, files: Iterable[str]) -> Manifest:
        """The rows of some pictures, in their order.

        Raises:
            KeyError: one of them is not listed.
        """
        at = {file: row for row, file in enumerate(self.files.tolist())}
        return self.take(np.array([at[file] for file in files], dtype=np.intp))

    def take(self, rows: NDArray[Any]) -> Manifest:
        """The rows of a boolean mask [N] or of indices, in that order."""
        indices = np.flatnonzero(rows) if rows.dtype == np.bool_ else rows
        columns = {name: getattr(self, name)[indices] for name in _COLUMNS}
        return replace(self, paths=tuple(self.paths[i] for i in indices), **columns)

    def select(self, *, fold: str) -> Manifest:
        """The rows of one fold, with those whose pictures are missing.

        Raises:
            UsageError: no row has such a fold.
        """
        rows = self.fold == fold
        if not rows.any():
            raise UsageError.unknown("fold", fold, {str(name) for name in self.fold if name})
        return self.take(rows)

    @property
    def only_fold(self) -> str | None:
        """The fold that all rows are of; None where they are of several, or of none."""
        names = set(self.fold.tolist())
        return (names.pop() or None) if len(names) == 1 else None

    def of_source(self, source: str) -> Manifest:
        """The rows of one source; "officials" takes "officials/mps" too, "mps" alone does as well.

        Raises:
            UsageError: no row is of it.
        """
        rows = np.array([source in {name, *name.split("/")} for name in self.source.tolist()], dtype=np.bool_)
        if not rows.any():
            raise UsageError.unknown("source", source, {str(name) for name in self.source})
        return self.take(rows)

    def present(self) -> Manifest:
        """The rows whose pictures are there."""
        return self if self.exists.all() else self.take(self.exists)

    @staticmethod
    def concatenate(parts: Sequence[Manifest]) -> Manifest:
        """All rows of several manifests, in order."""
        columns = {name: np.concatenate([getattr(part, name) for part in parts]) for name in _COLUMNS}
        paths = tuple(path for part in parts for path in part.paths)
        problems = tuple(dict.fromkeys(problem for part in parts for problem in part.problems))
        return Manifest(paths=paths, problems=problems, **columns)


_COLUMNS = (
    "files",
    "exists",
    "age",
    "age_low",
    "age_high",
    "female",
    "group",
    "fold",
    "coral",
    "coral_twin",
    "race",
    "source",
    "place",
)
