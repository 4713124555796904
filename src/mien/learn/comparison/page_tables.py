"""What the page's tables hold: positions, shades and words, worked out here so that the template only places them."""

from __future__ import annotations

import math
from collections import Counter
from pathlib import PurePosixPath
from typing import Any

import numpy as np

from mien.estimate.calibrate import OLDEST, expectation
from mien.learn.comparison import wording
from mien.learn.comparison.claims import Claim, Figure
from mien.learn.comparison.compare import AGE_FIGURES, GENDER_FIGURES, LOWER_IS_BETTER, Comparison, Task, verdict
from mien.learn.comparison.scored_runs import ScoredRun
from mien.learn.comparison.svg import Axis
from mien.learn.comparison.wording import WORDS, claimed
from mien.learn.evaluation.evaluate import BANDS

Shown = dict[str, Any]

HARDEST = 12
WORST = 6
_MARGIN = 17
"""Percent of an axis kept free at an end beyond which a claim lies, for its mark and figure."""

MARKS = {"better": "better", "reached": "reached", "short": "not reached"}

_COSTS = (
    ("parameters", "parameters", "weights of the network", wording.short),
    ("multiply_adds", "mult.-adds", "multiply-adds for one face", wording.short),
    ("hours", "training", "time on the stated device", wording.hours),
    ("train_faces_per_second", "faces/s", "faces a second in training", wording.plain),
    ("inference_ms", "ms/face", "one face on one core in ONNX Runtime", wording.plain),
)


def groups(comparison: Comparison) -> list[Shown]:
    """Runs by system, in order."""
    found: list[Shown] = []
    for run in comparison.runs:
        if not found or found[-1]["system"] is not run.system:
            found.append({"system": run.system, "runs": []})
        found[-1]["runs"].append(run)
    return found


def table(comparison: Comparison) -> Shown:
    """The main table: header, and for each run its cells."""
    figures = AGE_FIGURES + GENDER_FIGURES
    published = [run for run in comparison.runs if run.system.published]
    best = {
        figure: (comparison.best(figure), comparison.best(figure, published))
        if comparison.contested(figure)
        else (None, None)
        for figure in figures
    }
    header = [(WORDS[figure].name, WORDS[figure].meaning, figure in LOWER_IS_BETTER) for figure in figures]
    header += [(name, meaning, True) for _, name, meaning, _ in _COSTS]
    cells = {
        run.name: [_figure_cell(comparison, run, figure, best[figure]) for figure in figures] + _cost_cells(run)
        for run in comparison.runs
    }
    return {"header": header, "cells": cells, "ages": len(AGE_FIGURES), "genders": len(GENDER_FIGURES)}


def notes(comparison: Comparison) -> Shown:
    """What the table says below itself: each note once, and by run the numbers of its notes.

    The device that most runs have is told once for all of them.
    """
    devices = Counter(run.record["device"] for run in comparison.runs if run.record["device"])
    usual = devices.most_common(1)[0][0] if devices else ""
    texts: dict[str, int] = {}
    marks: dict[str, list[int]] = {}
    for run in comparison.runs:
        device = run.record["device"] or ""
        said = [run.record["budget"] or "", wording.own_gender(run, comparison.own), wording.whole_chips(run)]
        said += [f"On {device}."] * (device not in ("", usual))
        marks[run.name] = [texts.setdefault(text, len(texts) + 1) for text in said if text]
    return {"texts": list(texts), "marks": marks, "device": usual}


def _figure_cell(
    comparison: Comparison, run: ScoredRun, figure: Figure, best: tuple[ScoredRun | None, ScoredRun | None]
) -> Shown:
    interval = comparison.figures[run.name].get(figure)
    claim = comparison.claims(run).get(figure)
    words = WORDS[figure]
    empty = interval is None or not math.isfinite(interval.value)
    cell: Shown = {"name": words.name, "value": "", "sort": "", "claim": None, "kind": ""}
    if interval is not None and not empty:
        ends = wording.ends(figure, interval)
        kind = "best" if best[0] is run else "lead" if best[1] is run else ""
        cell |= {"value": words.value(interval.value), "ends": ends, "sort": interval.value, "kind": kind}
    if claim is not None:
        said = {"text": claimed(claim), "mark": "", "title": _claim_title(claim)}
        if interval is not None and not empty:
            said["mark"] = verdict(interval, claim)
        cell["claim"] = said
    return cell


def _claim_title(claim: Claim) -> str:
    parts = [f"The paper claims {claim.text()}"]
    parts += [f"on {claim.data}"] if claim.data else []
    train = WORDS[claim.figure].value(claim.train) if claim.train is not None else ""
    parts += [f"({train} in training)"] if train else []
    return " ".join(parts) + (f"; {claim.note}" if claim.note else "")


def _cost_cells(run: ScoredRun) -> list[Shown]:
    cells = []
    for key, name, _, write in _COSTS:
        value = run.record[key]
        cells.append({"name": name, "value": "" if value is None else write(value), "sort": value or "", "cost": True})
    return cells


def forest(comparison: Comparison, figure: Figure) -> Shown:
    """Points, intervals and claims on one axis, as percentages of its width."""
    words = WORDS[figure]
    having = [run for run in comparison.runs if figure in comparison.figures[run.name]]
    intervals = {run.name: comparison.figures[run.name][figure] for run in having}
    low, high = min(i.low for i in intervals.values()), max(i.high for i in intervals.values())
    margin = 0.04 * (high - low) or 0.01
    claims = [claim.value for run in having if (claim := comparison.claims(run).get(figure))]
    start = _MARGIN if min(claims, default=low) < low - margin else 0
    end = 100 - _MARGIN if max(claims, default=high) > high + margin else 100
    scale = Axis(low - margin, high + margin, start, end)
    rows: dict[str, Shown] = {}
    for run in comparison.runs:
        row: Shown = {"point": None, "claim": None}
        if run.name in intervals:
            interval = intervals[run.name]
            left, right = scale(interval.low), scale(interval.high)
            row["point"] = {"at": scale(interval.value), "left": left, "width": right - left}
            row["text"] = words.value(interval.value)
            row["title"] = f"{run.title}: {wording.cell(figure, interval)}{words.unit}"
            claim = comparison.claims(run).get(figure)
            if claim is not None:
                beyond = not scale.low <= claim.value <= scale.high
                at = scale(claim.value) if not beyond else 0 if claim.value < scale.low else 100
                row["claim"] = {"at": at, "text": claimed(claim), "title": _claim_title(claim), "beyond": beyond}
        rows[run.name] = row
    ticks = [{"at": scale(value), "text": f"{words.factor * value:g}"} for value in scale.ticks(5)]
    return {"figure": figure, "words": words, "rows": rows, "ticks": ticks, "down": figure in LOWER_IS_BETTER}


def matrix(task: Task) -> Shown:
    """Every pair of runs: the difference, row minus column, and which is better if it is real."""
    rows, pairs = [], task.pairs
    words, lower_is_better = WORDS[task.figure], task.figure in LOWER_IS_BETTER
    factor, unit = words.factor, words.unit.replace("%", "points")
    for i, name in enumerate(pairs.names):
        cells: list[Shown] = []
        for j, other in enumerate(pairs.names):
            value, low, high = (factor * float(part[i, j]) for part in (pairs.value, pairs.low, pairs.high))
            better = (value < 0) == lower_is_better
            kind = "self" if i == j else ("win" if better else "loss") if pairs.real[i, j] else "open"
            digits = 2 if abs(value) < 0.95 else 1 if abs(value) < 9.95 else 0
            title = f"{name} minus {other}: {value:+.2f}{unit} [{low:+.2f}, {high:+.2f}]"
            text = "" if i == j else f"{value:+.{digits}f}".replace("-", "−")
            cells.append({"text": text, "kind": kind, "title": title})
        rows.append({"name": name, "cells": cells})
    real, of = pairs.count()
    title = f"{words.name[0].upper()}{words.name[1:]},{unit}"
    return {"rows": rows, "real": real, "of": of, "title": title}


def bands(task: Task) -> Shown:
    """MAE, or the share of wrong genders, by band of true age: rows of runs, shaded by size."""
    within = [(task.faces.age >= low) & (task.faces.age <= high) for low, high in BANDS]
    names = [f"{low}–{high}" if high < OLDEST else f"{low}+" for low, high in BANDS]
    kept = [at for at, rows in enumerate(within) if rows.any()]
    values = {name: [float(task.wrong(name)[within[at]].mean()) for at in kept] for name in task.answers}
    top = max((value for row in values.values() for value in row), default=0.0) or 1.0
    rows = {
        name: [
            {
                "text": f"{value:.1f}" if task.question == "age" else f"{100 * value:.0f}",
                "shade": round(72 * value / top),
            }
            for value in row
        ]
        for name, row in values.items()
    }
    return {"names": [names[at] for at in kept], "counts": [int(within[at].sum()) for at in kept], "rows": rows}


def confusion(task: Task, name: str) -> list[Shown]:
    """Counts and shares of the four cases, rows as labelled: women, men; columns as answered."""
    women, said = task.faces.female > 0, task.answers[name] >= 0.5
    cells: list[Shown] = []
    for label, is_so in (("women", women), ("men", ~women)):
        for answer, says in (("women", said), ("men", ~said)):
            count, of = int((is_so & says).sum()), int(is_so.sum())
            share = count / of if of else math.nan
            words = f"of {of:,} {label} {count:,} are taken for {answer}"
            cells.append({"count": f"{count:,}", "share": f"{share:.1%}".replace("%", " %"), "title": words})
            cells[-1] |= {"right": label == answer, "shade": round(80 * share) if of else 0}
    return cells


def hardest_ages(task: Task) -> list[Shown]:
    """The faces whose ages the runs miss most on average: the stated age and every answer."""
    years = np.stack([expectation(pmf) for pmf in task.answers.values()])
    error = np.stack([task.wrong(name) for name in task.answers])
    rows = np.argsort(-error.mean(axis=0), kind="stable")[:HARDEST]
    return [
        {
            "name": _short_name(task.faces.files[at]),
            "age": int(task.faces.age[at]),
            "median": f"{np.median(years[:, at]):.0f}",
            "error": f"{error[:, at].mean():.0f}",
            "closest": f"{error[:, at].min():.0f}",
            "dots": [
                (name, f"{100 * answer / OLDEST:.1f}", f"{answer:.1f}")
                for name, answer in zip(task.answers, years[:, at].tolist(), strict=True)
            ],
            "at": f"{100 * float(task.faces.age[at]) / OLDEST:.1f}",
        }
        for at in rows
    ]


def hardest_genders(task: Task) -> list[Shown]:
    """The faces whose stated gender the runs believe least."""
    stated = np.stack([np.where(task.faces.female > 0, p, 1 - p) for p in task.answers.values()])
    rows = np.argsort(stated.mean(axis=0), kind="stable")[:HARDEST]
    return [
        {
            "name": _short_name(task.faces.files[at]),
            "gender": "woman" if task.faces.female[at] > 0 else "man",
            "age": "?" if np.isnan(task.faces.age[at]) else int(task.faces.age[at]),
            "wrong": int((stated[:, at] < 0.5).sum()),
            "of": len(stated),
            "belief": f"{100 * stated[:, at].mean():.0f}",
        }
        for at in rows
    ]


def worst_of_each(task: Task) -> dict[str, list[Shown]]:
    """Each run's own largest errors of age."""
    worst = {}
    for name, pmf in task.answers.items():
        years = expectation(pmf)
        gaps = years - task.faces.age
        rows = np.argsort(-np.abs(gaps), kind="stable")[:WORST]
        worst[name] = [
            {
                "name": _short_name(task.faces.files[at]),
                "age": int(task.faces.age[at]),
                "years": f"{years[at]:.1f}",
                "gap": f"{gaps[at]:+.1f}",
            }
            for at in rows
        ]
    return worst


def _short_name(file: str) -> str:
    return PurePosixPath(str(file)).name.split(".")[0]
