"""The way a run came about, step by step: what was trained from what, and which weights were averaged.

It is written into the run's folder (`lineage.json`) when the run is finished, since the folders before it may go, and
from there into config.json of a model.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from mien.learn.run_folder import RunFolder
from mien.unfinished import write_whole

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
    """Keep the way of a run with it; of runs before it that are gone by now, what was kept earlier."""
    kept = RunFolder(run).lineage_file
    earlier = {step["run"]: step for step in ancestry(run)} if kept.is_file() else {}
    kept.unlink(missing_ok=True)
    found = earlier | {step["run"]: step for step in ancestry(run)}
    ordered = [*(step for name, step in found.items() if name != run.name), found[run.name]]
    write_whole(kept, (json.dumps(ordered, indent=1) + "\n").encode())


def _visit(run: Path, found: dict[str, Step], below: tuple[Path, ...]) -> None:
    if run.resolve() in below:
        return
    kept = RunFolder(run).lineage_file
    if kept.is_file():
        for step in json.loads(kept.read_text(encoding="utf-8")):
            found.setdefault(step["run"], step)
        return
    step, before = _step(run)
    for other in before:
        if RunFolder(other).recipe_file.is_file():
            _visit(other, found, (*below, run.resolve()))
    found.setdefault(run.name, step)


def _step(run: Path) -> tuple[Step, list[Path]]:
    """What made a run, and the folders it was made of."""
    folder = RunFolder(run)
    before = list(dict.fromkeys(folder.before))
    if parts := folder.parts:
        return {"run": run.name, "combine": {role: part.name for role, part in parts.items()}}, before
    if members := folder.averaged:
        return {"run": run.name, "average": {one.name: members.count(one) for one in before}}, before
    recipe = folder.recipe_as_written()
    model, data = recipe.get("model") or {}, recipe.get("data") or {}
    step: Step = {"run": run.name, "train": recipe.get("name", run.name), "epochs": folder.epochs}
    if init := model.get("init"):
        step["from"] = before[0].name if before else _named(init)
    for key in ("teacher", "guide"):
        if named := data.get(key):
            step[key] = [_named(one) for one in named] if isinstance(named, list) else _named(named)
    return step, before


def _named(path: str) -> str:
    """A path without the folders of the machine: its last two names."""
    return "/".join(Path(path).parts[-2:]) if Path(path).suffix else Path(path).name
