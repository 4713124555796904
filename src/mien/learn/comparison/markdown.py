"""A comparison as Markdown: the headline table, all figures, what they cost, and which differences are real."""

from __future__ import annotations

from collections.abc import Iterator

from mien.learn.comparison import wording
from mien.learn.comparison.claims import Figure
from mien.learn.comparison.compare import AGE_FIGURES, GENDER_FIGURES, Comparison, Pairs
from mien.learn.comparison.scored_runs import ScoredRun
from mien.learn.comparison.wording import WORDS, cell, claimed
from mien.learn.evaluation.evaluate import markdown

_HEADLINE: tuple[Figure, ...] = ("mae", "cs5", "age_class", "accuracy", "f1")


def to_markdown(comparison: Comparison) -> str:
    """The headline table, the one for a README; all figures, costs, and differences where there are several runs."""
    settings, several = comparison.settings, len(comparison.runs) > 1
    counts = " and ".join(f"{len(task.faces):,} faces for {name}" for name, task in comparison.tasks.items())
    of = f"{len(comparison.runs)} runs on the same faces" if several else "1 run"
    lines = [
        f"{of}: {counts}. Labels {comparison.labels.origin}. In brackets "
        f"{settings['level']:.0%} intervals from {settings['resamples']} resamples; MAE in years, shares in %.",
        "",
        *_headline(comparison),
        "",
        "## All figures",
        "",
        *_figures(comparison),
        "",
        "## What they cost",
        "",
        *_costs(comparison),
        "",
        "Chips without a face found: test chips in which the run's own detector, Haar, found no face; they are taken "
        "whole. A dash where the run takes the chips as they are.",
    ]
    for task in comparison.tasks.values():
        if len(task.pairs.names) > 1:
            words = WORDS[task.figure]
            title = f"## Difference in {words.name}, row minus column,{words.unit.replace('%', 'points')}"
            lines += ["", title, "", *_matrix(task.pairs, words.factor)]
    if any(len(task.pairs.names) > 1 for task in comparison.tasks.values()):
        lines += ["", "Bold differences are real: the interval of the paired bootstrap leaves out 0."]
    return "\n".join([*lines, ""])


def _headline(comparison: Comparison) -> list[str]:
    rows = [["system", "run", "paper claims", *(WORDS[figure].name for figure in _HEADLINE), "parameters", "budget"]]
    for run, system in _by_system(comparison):
        claims = [claim.text() for claim in comparison.claims(run).values() if claim.figure in _HEADLINE]
        cells = [_marked(comparison, run, figure) for figure in _HEADLINE]
        parameters = wording.short(run.record["parameters"])
        notes = [run.record["budget"] or "", wording.own_gender(run, comparison.own)]
        told = " ".join(note for note in notes if note) or "-"
        rows.append([system, run.title, ", ".join(claims) or "-", *cells, parameters, told])
    return markdown(rows)


def _figures(comparison: Comparison) -> list[str]:
    figures = AGE_FIGURES + GENDER_FIGURES
    rows = [["run", *(WORDS[figure].name for figure in figures)]]
    for run in comparison.runs:
        claims = comparison.claims(run)
        own = comparison.figures[run.name]
        cells = [
            (cell(figure, own[figure]) if figure in own else "-")
            + (f" (paper {claimed(claims[figure])})" if figure in claims else "")
            for figure in figures
        ]
        rows.append([run.name, *cells])
    return markdown(rows)


def _costs(comparison: Comparison) -> list[str]:
    costs = ["parameters", "multiply-adds", "training", "faces/s", "ms/face", "epochs", "pixels"]
    rows = [["run", *costs, "chips without a face found", "device"]]
    for run in comparison.runs:
        record = run.record
        costs = [wording.short(record["parameters"]), wording.short(record["multiply_adds"])]
        costs += [wording.hours(record["hours"]), wording.plain(record["train_faces_per_second"])]
        costs += [wording.plain(record["inference_ms"]), wording.epochs(run)]
        costs += [wording.plain(record[key]) for key in ("size", "crop_misses")]
        rows.append([run.name, *costs, record["device"] or "–"])
    return markdown(rows)


def _matrix(pairs: Pairs, factor: float) -> list[str]:
    rows = [["", *pairs.names]]
    for i, name in enumerate(pairs.names):
        cells = [f"{factor * value:+.2f}" for value in pairs.value[i]]
        marked = [f"**{text}**" if real else text for text, real in zip(cells, pairs.real[i], strict=True)]
        marked[i] = ""
        rows.append([name, *marked])
    return markdown(rows)


def _by_system(comparison: Comparison) -> Iterator[tuple[ScoredRun, str]]:
    """Runs with the title of their system where it begins."""
    before = ""
    for run in comparison.runs:
        yield run, run.system.title if run.system.key != before else ""
        before = run.system.key


def _marked(comparison: Comparison, run: ScoredRun, figure: Figure) -> str:
    """A figure with its interval where it is one of the two chief ones, bold if it is the best."""
    interval = comparison.figures[run.name].get(figure)
    if interval is None:
        return "-"
    text = cell(figure, interval) if figure in ("mae", "accuracy") else WORDS[figure].value(interval.value)
    return f"**{text}**" if comparison.contested(figure) and comparison.best(figure) is run else text
