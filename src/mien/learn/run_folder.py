"""The folder of a run: the names of its files, whether they are there, and what they say.

A run says itself what it rests on: parts.json names the runs that were combined, averaged.txt those whose weights were
averaged, and `model.init` of recipe.yaml the run whose weights it started from.
"""

from __future__ import annotations

import csv
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from mien.errors import DataError
from mien.estimate import bundle
from mien.learn.recipe import Recipe, load_recipe

Epoch = dict[str, float]
"""The figures of one epoch by their column in curves.csv."""


@dataclass(frozen=True, slots=True)
class RunFolder:
    """A folder that holds a run, or will."""

    path: Path

    @classmethod
    def finished(cls, path: Path) -> RunFolder:
        """The folder of a run with a recipe and weights.

        Raises:
            DataError: one of them is not there.
        """
        run = cls(path)
        if run.lacking:
            raise DataError(f"{path} is not the folder of a run: it lacks {' or '.join(NEEDED)}")
        return run

    @classmethod
    def new(cls, path: Path) -> RunFolder:
        """A folder that does not exist yet.

        Raises:
            DataError: it does.
        """
        if path.exists():
            raise DataError(f"{path} exists already: choose another --output")
        return cls(path)

    @property
    def recipe_file(self) -> Path:
        """The recipe as it was resolved."""
        return self.path / NEEDED[0]

    @property
    def weights(self) -> Path:
        """The weights, in safetensors."""
        return self.path / NEEDED[1]

    @property
    def state(self) -> Path:
        """All that resuming needs."""
        return self.path / "state.pt"

    @property
    def curves_table(self) -> Path:
        """A row an epoch."""
        return self.path / "curves.csv"

    @property
    def lineage_file(self) -> Path:
        """How it came about, kept since the folders before it may go; see `mien.learn.training.ancestry`."""
        return self.path / "lineage.json"

    @property
    def curves_picture(self) -> Path:
        """The same drawn."""
        return self.path / "curves.png"

    def predictions(self, fold: str = "test") -> Path:
        """What the run answered for a fold."""
        return self.path / f"{fold}.parquet"

    def record(self, fold: str = "test") -> Path:
        """What describes it on a fold: run.json for "test", which comparisons read, else run-FOLD.json."""
        return self.path / ("run.json" if fold == "test" else f"run-{fold}.json")

    @property
    def records(self) -> list[Path]:
        """The records that are there."""
        return sorted({*self.path.glob("run.json"), *self.path.glob("run-*.json")})

    @property
    def lacking(self) -> list[str]:
        """Which files of a finished run are not there."""
        return [name for name in NEEDED if not (self.path / name).is_file()]

    def read_recipe(self) -> Recipe:
        """The recipe.

        Raises:
            UsageError: there is none, or it does not fit.
        """
        return load_recipe(str(self.recipe_file))

    def recipe_as_written(self) -> dict[str, Any]:
        """The recipe as it stands in the file, as baselines write it too; empty where there is none.

        Raises:
            DataError: the file is not YAML.
        """
        if not self.recipe_file.is_file():
            return {}
        try:
            tree = yaml.safe_load(self.recipe_file.read_text(encoding="utf-8"))
        except yaml.YAMLError as error:
            raise DataError(f"{self.recipe_file} is not valid YAML: {error}") from error
        return tree if isinstance(tree, dict) else {}

    def read_curves(self) -> tuple[Epoch, ...]:
        """A row an epoch; a figure that was not measured is not in it. Empty where nothing was trained.

        Raises:
            DataError: the file is no table of numbers.
        """
        if not self.curves_table.is_file():
            return ()
        with self.curves_table.open(newline="", encoding="utf-8") as file:
            rows = list(csv.DictReader(file))
        try:
            epochs = [{key: float(cell) for key, cell in row.items() if cell} for row in rows]
        except (TypeError, ValueError) as error:
            raise DataError(f"{self.curves_table} is no table of numbers: {error}") from error
        return tuple({key: value for key, value in epoch.items() if math.isfinite(value)} for epoch in epochs)

    def write_curves(self, epochs: Sequence[Epoch]) -> None:
        """Write a row an epoch, rounded to five decimals."""
        with self.curves_table.open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, fieldnames=list(epochs[0]))
            writer.writeheader()
            writer.writerows({key: round(value, 5) for key, value in epoch.items()} for epoch in epochs)

    @property
    def parts(self) -> dict[str, Path]:
        """The runs that were combined to this one, by their roles; none for other runs."""
        file = self.path / _PARTS
        runs = json.loads(file.read_text(encoding="utf-8")) if file.is_file() else {}
        return {role: Path(run) for role, run in runs.items()}

    def name_parts(self, runs: Mapping[str, Path]) -> None:
        """Write down which runs were combined, by their roles."""
        text = json.dumps({part: str(run) for part, run in runs.items()}, indent=1)
        (self.path / _PARTS).write_text(text, encoding="utf-8")

    @property
    def averaged(self) -> list[Path]:
        """The runs whose weights were averaged to this one's, as often as they count; none for other runs."""
        file = self.path / _AVERAGED
        lines = file.read_text(encoding="utf-8").splitlines() if file.is_file() else []
        return [Path(line) for line in lines if line]

    def name_averaged(self, runs: Sequence[Path]) -> None:
        """Write down whose weights were averaged."""
        (self.path / _AVERAGED).write_text("".join(f"{run}\n" for run in runs), encoding="utf-8")

    @property
    def before(self) -> list[Path]:
        """The folders of runs that this one names, one step back."""
        if made_of := [*self.parts.values(), *self.averaged]:
            return made_of
        model = self.recipe_as_written().get("model")
        init = model.get("init") if isinstance(model, dict) else None
        if not init:
            return []
        start = weights_file(Path(init)).parent
        return [start] if RunFolder(start).recipe_file.is_file() and start.resolve() != self.path.resolve() else []

    @property
    def epochs(self) -> int:
        """How many are finished."""
        return max((int(row["epoch"]) for row in self.read_curves()), default=0)

    def lineage(self) -> list[Path]:
        """The runs that it rests on and itself, each once, in the order they can be trained in."""
        found: dict[Path, Path] = {}
        _visit(self.path, found, set())
        return list(found.values())

    def trained_parts(self) -> list[Path]:
        """The trained runs that a combined run is made of; itself if it was trained as one."""
        parts = self.parts.values()
        return [run for part in parts for run in RunFolder(part).trained_parts()] if parts else [self.path]


NEEDED = ("recipe.yaml", "model.safetensors")
"""What a finished run holds at least."""

_PARTS, _AVERAGED = "parts.json", "averaged.txt"


def weights_file(init: Path) -> Path:
    """The file that `model.init` of a recipe means; it need not exist."""
    folder = bundle.available().get(str(init), init)
    return RunFolder(folder).weights if folder.is_dir() else folder


def _visit(run: Path, found: dict[Path, Path], open_: set[Path]) -> None:
    key = run.resolve()
    if key in found or key in open_:
        return
    open_.add(key)
    for before in RunFolder(run).before:
        _visit(before, found, open_)
    found[key] = run
