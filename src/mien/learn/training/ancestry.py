"""The way a run came about, step by step: what was trained from what, and which weights were averaged.

It is written into the run's folder (`lineage.json`) when the run is finished, since the folders before it may go, and
from there into config.json of a model.
"""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import yaml

from mien.learn.networks.start_weights import weights_file
from mien.learn.training.average import AVERAGED
from mien.learn.training.combine import PARTS
from mien.unfinished import write_whole

LINEAGE = "lineage.json"

Step = dict[str, Any]


def ancestry(run: Path) -> list[Step]:
    """All that led to a run, each step once and after those that it rests on; itself last.

    Steps are `{"run", "train": recipe, "epochs", "from", "teacher", "guide"}`, `{"run", "average": {run: times}}` or
    `{"run", "combine": {part: run}}`, without what does not apply. A start that is no run's is named as the recipe
    names it; a folder that is gone ends the line there.
    """
    found: dict[str, Step] = {}
    _visit(run, found, ())
    return list(found.values())


def write_lineage(run: Path) -> None:
    """Keep the way of a run with it."""
    write_whole(run / LINEAGE, (json.dumps(ancestry(run), indent=1) + "\n").encode())


def _visit(run: Path, found: dict[str, Step], below: tuple[Path, ...]) -> None:
    if run.resolve() in below:
        return
    if (run / LINEAGE).is_file():
        for step in json.loads((run / LINEAGE).read_text(encoding="utf-8")):
            found.setdefault(step["run"], step)
        return
    step, before = _step(run)
    for other in before:
        if (other / "recipe.yaml").is_file():
            _visit(other, found, (*below, run.resolve()))
    found.setdefault(run.name, step)


def _step(run: Path) -> tuple[Step, list[Path]]:
    """What made a run, and the folders it was made of."""
    if (run / PARTS).is_file():
        parts = {name: Path(folder) for name, folder in json.loads((run / PARTS).read_text(encoding="utf-8")).items()}
        return {"run": run.name, "combine": {name: part.name for name, part in parts.items()}}, list(parts.values())
    if (run / AVERAGED).is_file():
        members = [Path(line) for line in (run / AVERAGED).read_text(encoding="utf-8").splitlines() if line]
        times = {one.name: members.count(one) for one in members}
        return {"run": run.name, "average": times}, list(dict.fromkeys(members))
    recipe = yaml.safe_load((run / "recipe.yaml").read_text(encoding="utf-8"))
    model, data = recipe.get("model") or {}, recipe.get("data") or {}
    step: Step = {"run": run.name, "train": recipe.get("name", run.name), "epochs": _epochs(run)}
    before = []
    if init := model.get("init"):
        start = weights_file(Path(init)).parent
        is_run = (start / "recipe.yaml").is_file()
        step["from"] = start.name if is_run else _named(init)
        before += [start] if is_run else []
    for key in ("teacher", "guide"):
        if named := data.get(key):
            step[key] = [_named(one) for one in named] if isinstance(named, list) else _named(named)
    return step, before


def _epochs(run: Path) -> int:
    """How many are finished."""
    if not (run / "curves.csv").is_file():
        return 0
    with (run / "curves.csv").open(newline="", encoding="utf-8") as file:
        return max((int(row["epoch"]) for row in csv.DictReader(file)), default=0)


def _named(path: str) -> str:
    """A path without the folders of the machine: its last two names."""
    return "/".join(Path(path).parts[-2:]) if Path(path).suffix else Path(path).name
