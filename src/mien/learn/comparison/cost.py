"""What training has cost a run, with all the runs it rests on: those it is made of and those it started from.

A run whose folder is gone costs nothing; weights that are no run's (a published start, a model) never do.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from mien.learn.run_folder import RunFolder


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


def training_cost(run: Path) -> Cost:
    """What a run, trained or combined, has cost."""
    line = RunFolder(run).lineage()
    names = [folder.name for folder in line]
    own = {folder: RunFolder(folder).read_curves() for folder in line}
    rows = [row for folder in line for row in own[folder]]
    longest: dict[Path, int] = {}
    for folder in line:  # those that a run rests on come before it
        behind = max((longest.get(before.resolve(), 0) for before in RunFolder(folder).before), default=0)
        longest[folder.resolve()] = behind + RunFolder(folder).epochs
    by_run = {
        folder.name if names.count(folder.name) == 1 else str(folder): RunFolder(folder).epochs
        for folder in line
        if own[folder]
    }
    seconds = sum(row["seconds"] for row in rows)
    faces = sum(row["seconds"] * row.get("rate", 0.0) for row in rows)
    return Cost(longest[run.resolve()], seconds, faces, by_run)
