"""One self-contained HTML page: styles, drawings and a few lines of script are inside, nothing is fetched."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.resources import files
from typing import Any

import jinja2
import numpy as np

from mien.arrays import Floats
from mien.estimate.calibrate import expectation
from mien.learn.comparison import page_tables, plots, wording
from mien.learn.comparison.claims import Figure
from mien.learn.comparison.compare import LOWER_IS_BETTER, Comparison, Task, verdict
from mien.learn.comparison.scored_runs import ScoredRun
from mien.learn.comparison.wording import WORDS

FOLDS = ("train", "val", "test")

_BEST = {"age": "smallest age error", "gender": "most genders right"}
_ALONE = {"age": "age error", "gender": "genders right"}
_NUMBERS = ("No", "One", "Two", "Three", "Four", "Five", "Six")
_SPREAD = 1e-4
"""Mass from which a year takes part in a distribution; one that two years share is a number of years."""
_NARROW = (350, 430)
"""Size of a drawing of costs for a telephone."""


def to_html(comparison: Comparison, command: str = "") -> str:
    """The page.

    Args:
        comparison: what to show.
        command: how it was made, if that is to be told.
    """
    folder = files("mien.learn.comparison")
    environment = jinja2.Environment(
        autoescape=True, trim_blocks=True, lstrip_blocks=True, undefined=jinja2.StrictUndefined
    )
    template = environment.from_string((folder / "page.html.jinja").read_text(encoding="utf-8"))
    text = {name: (folder / name).read_text(encoding="utf-8") for name in ("page.css", "page.js")}
    return template.render(
        **_context(comparison), command=command, style=text["page.css"], script=text["page.js"], marks=page_tables.MARKS
    )


def _context(comparison: Comparison) -> dict[str, Any]:
    tasks = comparison.tasks.values()
    return {
        "c": comparison,
        "headline": _headline(comparison),
        "cards": _chief_figures(comparison),
        "groups": page_tables.groups(comparison),
        "table": page_tables.table(comparison),
        "notes": page_tables.notes(comparison),
        "conditions": {run.name: wording.conditions(run) for run in comparison.runs},
        "forests": [page_tables.forest(comparison, task.figure) for task in tasks],
        "costs": [drawing for task in tasks if (drawing := _costs(comparison, task.figure))],
        "matrices": [page_tables.matrix(task) for task in tasks if len(task.pairs.names) > 1],
        "folds": _folds(comparison),
        "curves": [(run, plots.curves(run.curves)) for run in comparison.runs if run.curves],
        "bands": [(task, page_tables.bands(task)) for task in tasks if np.isfinite(task.faces.age).any()],
        "written": {task.figure: _written(comparison, task.figure) for task in tasks},
        "run_of": {run.name: run for run in comparison.runs},
        "counts": _counts(comparison),
        **_of_age(comparison.tasks.get("age"), comparison.runs),
        **_of_gender(comparison.tasks.get("gender"), comparison.runs),
    }


def _of_age(task: Task | None, runs: Sequence[ScoredRun]) -> dict[str, Any]:
    if task is None:
        return {"densities": [], "coverages": [], "hardest_ages": [], "worst": {}}
    having = [run for run in runs if run.name in task.answers]
    spread = [run for run in having if _is_spread(run, task.answers[run.name])]
    truth = task.faces.age
    return {
        "densities": [(run, plots.density(expectation(task.answers[run.name]), truth)) for run in having],
        "coverages": [(run, plots.coverage(task.answers[run.name], truth)) for run in spread],
        "hardest_ages": page_tables.hardest_ages(task),
        "worst": page_tables.worst_of_each(task),
    }


def _of_gender(task: Task | None, runs: Sequence[ScoredRun]) -> dict[str, Any]:
    if task is None:
        return {"confusions": [], "reliabilities": [], "hardest_genders": []}
    having = [run for run in runs if run.name in task.answers]
    return {
        "confusions": [(run, page_tables.confusion(task, run.name)) for run in having],
        "reliabilities": [(run, plots.reliability(task.answers[run.name], task.faces.female)) for run in having],
        "hardest_genders": page_tables.hardest_genders(task),
    }


def _headline(comparison: Comparison) -> str:
    if len(comparison.runs) == 1:
        return comparison.runs[0].title
    published = {run.system.key for run in comparison.runs if run.system.published}
    if not published:
        return "One test for every run"
    return f"{_NUMBERS[len(published)]} published system{'s'[: len(published) != 1]}, one test"


def _chief_figures(comparison: Comparison) -> list[dict[str, str]]:
    """The few numbers to see first."""
    cards = [_best_card(comparison, task) for task in comparison.tasks.values()]
    verdicts = [
        verdict(comparison.figures[run.name][figure], claim)
        for run in comparison.runs
        for figure, claim in comparison.claims(run).items()
        if figure in comparison.figures[run.name]
    ]
    if verdicts:
        reached = sum(verdict != "short" for verdict in verdicts)
        below = "papers' figures that our run reached, or whose interval holds them; data and classes may differ"
        cards.append({"label": "claims reached", "value": str(reached), "unit": f" of {len(verdicts)}", "below": below})
    counted = [(name, *task.pairs.count()) for name, task in comparison.tasks.items() if len(task.pairs.names) > 1]
    if counted:
        real, of = sum(row[1] for row in counted), sum(row[2] for row in counted)
        below = ", ".join(f"{name}: {some} of {pairs}" for name, some, pairs in counted)
        cards.append({"label": "differences that are real", "value": str(real), "unit": f" of {of}", "below": below})
    return cards


def _best_card(comparison: Comparison, task: Task) -> dict[str, str]:
    """The best run, and the best of the published systems if it is another."""
    having = [run for run in comparison.runs if run.name in task.answers]
    best = comparison.best(task.figure, having) or having[0]
    rebuilt = comparison.best(task.figure, [run for run in having if run.system.published])
    words = WORDS[task.figure]
    below = best.title if best.title == best.system.title else f"{best.title} ({best.system.title})"
    if rebuilt is not None and rebuilt is not best:
        other = words.value(comparison.figures[rebuilt.name][task.figure].value)
        below += f"; of the published systems {other}{words.unit}, {rebuilt.title}"
    value = words.value(comparison.figures[best.name][task.figure].value)
    label = (_BEST if len(having) > 1 else _ALONE)[task.question]
    return {"label": label, "value": value, "unit": words.unit, "below": below, "kind": best.system.key}


def _written(comparison: Comparison, figure: Figure) -> dict[str, str]:
    words = WORDS[figure]
    having = {name: own[figure] for name, own in comparison.figures.items() if figure in own}
    return {name: words.value(interval.value) + words.unit for name, interval in having.items()}


def _is_spread(run: ScoredRun, pmf: Floats) -> bool:
    """Whether a run answers distributions rather than numbers; a mean of some numbers is still no distribution."""
    members = max(1, len(run.record.get("parts") or ()))
    return float(np.median((pmf > _SPREAD).sum(axis=1))) > 2 * members


def _costs(comparison: Comparison, figure: Figure) -> dict[str, str]:
    """The drawing for a wide page and for a narrow one; empty where fewer than two runs say what they cost."""
    words = WORDS[figure]
    having = [run for run in comparison.runs if run.record["multiply_adds"] and figure in comparison.figures[run.name]]
    if len(having) < 2:
        return {}
    chief = _chief(comparison, figure, having)
    points = []
    for run in sorted(having, key=lambda run: chief.index(run) if run in chief else len(chief)):
        amount, interval = run.record["multiply_adds"], comparison.figures[run.name][figure]
        title = f"{run.title}: {wording.cell(figure, interval)}{words.unit}, {wording.short(amount)} multiply-adds"
        kind = f"sys-{run.system.key}"
        points.append(plots.Point(run.title, kind, amount, interval.value, title, chief=run in chief))
    label = f"{words.name},{words.unit}"
    return {
        "figure": figure,
        "wide": plots.costs(points, label, words.factor),
        "narrow": plots.costs(points, label, words.factor, _NARROW),
    }


def _chief(comparison: Comparison, figure: Figure, having: Sequence[ScoredRun]) -> list[ScoredRun]:
    """Runs whose name is to be read first: the best of each system, the best system first, then cheap and good ones."""
    sign = 1 if figure in LOWER_IS_BETTER else -1

    def rank(run: ScoredRun) -> float:
        return sign * comparison.figures[run.name][figure].value

    systems = {run.system.key: [other for other in having if other.system is run.system] for run in having}
    first = sorted((min(runs, key=rank) for runs in systems.values()), key=rank)
    ours = [run for run in having if run.system.key == "mien" and run not in first]
    by_cost = sorted(having, key=lambda run: (run.record["multiply_adds"], rank(run)))
    front = [run for at, run in enumerate(by_cost) if all(rank(run) < rank(other) for other in by_cost[:at])]
    return first + ours + [run for run in front if run not in first and run not in ours]


def _folds(comparison: Comparison) -> list[tuple[str, str, int]]:
    manifest = comparison.labels.manifest
    names = [name for name in FOLDS if (manifest.fold == name).any()]
    parts = [(name, manifest.take(manifest.fold == name)) for name in names] or [("all", manifest)]
    return [(name, plots.ages(part, name), len(part)) for name, part in parts]


def _counts(comparison: Comparison) -> list[str]:
    """What was measured on how many faces; runs that answered fewer than others are named."""
    lines = []
    for name, task in comparison.tasks.items():
        common, runs = len(task.faces), len(task.answers)
        lines.append(f"{name.capitalize()}: {common:,} faces that all {runs} runs with that answer have in common")
        most = max(task.answered.values())
        lacking = [f"{run} {count:,}" for run, count in task.answered.items() if count < most]
        if lacking:
            lines.append(f"{name.capitalize()}: most runs answered {most:,} faces, but {', '.join(lacking)}")
    return lines
