"""What training has cost a run, with all the runs it rests on: those it is made of and those it started from.

A run says itself what it rests on: parts.json names those that were combined, averaged.txt those whose weights were
averaged, and `model.init` of recipe.yaml the run whose weights it started from. A run whose folder is gone costs
nothing; weights that are no run's (a published start, a model) never do.
"""

from __future__ import annotations

import csv
import json
from dataclasses import dataclass
from pathlib import Path

import yaml

from mien.learn.networks.start_weights import weights_file
from mien.learn.training.average import AVERAGED
from mien.learn.training.combine import PARTS


@dataclass(frozen=True)
class Cost:
    """Training of a run and of all it rests on; each run counts once, however often it is rested on.

    Attributes:
        epochs: one after another: those of the run and of the longest line of runs behind it.
        seconds: of training, of all runs together.
        faces: how many were trained on in that time, with repetition.
        by_run: name of each run -> its own epochs, in order of training; runs without epochs are not in it.
    """

    epochs: int
    seconds: float
    faces: float
    by_run: dict[str, int]


def cost(run: Path) -> Cost:
    """What a run, trained or combined, has cost."""
    line = lineage(run)
    names = [folder.name for folder in line]
    own = {folder: _curves(folder) for folder in line}
    rows = [row for folder in line for row in own[folder]]
    longest: dict[Path, int] = {}
    for folder in line:  # those that a run rests on come before it
        behind = max((longest.get(before.resolve(), 0) for before in _before(folder)), default=0)
        longest[folder.resolve()] = behind + _epochs(own[folder])
    by_run = {
        folder.name if names.count(folder.name) == 1 else str(folder): _epochs(own[folder])
        for folder in line
        if own[folder]
    }
    seconds = sum(float(row["seconds"]) for row in rows)
    faces = sum(float(row["seconds"]) * float(row.get("rate") or 0) for row in rows)
    return Cost(longest[run.resolve()], seconds, faces, by_run)


def lineage(run: Path) -> list[Path]:
    """The runs a run rests on and itself, each once, in the order they can be trained in."""
    found: dict[Path, Path] = {}
    _visit(run, found, set())
    return list(found.values())


def parts(run: Path) -> list[Path]:
    """The trained runs that a combined run is made of; itself if it was trained as one."""
    if not (run / PARTS).is_file():
        return [run]
    folders = json.loads((run / PARTS).read_text(encoding="utf-8")).values()
    return [part for folder in folders for part in parts(Path(folder))]


def _visit(run: Path, found: dict[Path, Path], open_: set[Path]) -> None:
    key = run.resolve()
    if key in found or key in open_:
        return
    open_.add(key)
    for before in _before(run):
        _visit(before, found, open_)
    found[key] = run


def _before(run: Path) -> list[Path]:
    """The folders of runs that a run names, one step back."""
    if (run / PARTS).is_file():
        return [Path(folder) for folder in json.loads((run / PARTS).read_text(encoding="utf-8")).values()]
    if (run / AVERAGED).is_file():
        return [Path(line) for line in (run / AVERAGED).read_text(encoding="utf-8").splitlines() if line]
    recipe = run / "recipe.yaml"
    tree = yaml.safe_load(recipe.read_text(encoding="utf-8")) if recipe.is_file() else None
    model = tree.get("model") if isinstance(tree, dict) else None
    init = model.get("init") if isinstance(model, dict) else None
    if not init:
        return []
    start = weights_file(Path(init)).parent
    return [start] if (start / "recipe.yaml").is_file() and start.resolve() != run.resolve() else []


def _curves(run: Path) -> list[dict[str, str]]:
    path = run / "curves.csv"
    if not path.is_file():
        return []
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def _epochs(rows: list[dict[str, str]]) -> int:
    return max((int(row["epoch"]) for row in rows), default=0)
