"""Faithfulness to look at: the deletion and insertion curves of methods and controls, and how much better they are."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from mien.learn.audits.explanations.explanation_report import BLOB, ExplanationReport
from mien.learn.evaluation.metrics import Interval

COLOURS = ("#0b5fa5", "#c4540a", "#7a3b8f", "#1b7f5c", "#a81d4f")
INK, FAINT = "#222222", "#8a8a86"


def plot(report: ExplanationReport) -> Figure:
    """Both curves, methods in colour and controls in grey, and beside them the areas against the controls."""
    figure = Figure(figsize=(11, 4.2), layout="constrained")
    deletion, insertion, better = figure.subplots(1, 3, width_ratios=[1, 1, 1.15])
    unit = "years" if report.target == "age" else "log-odds"
    colours = dict(zip(report.methods, COLOURS * len(report.methods), strict=False))
    for axes, name, title in (
        (deletion, "deletion", "Deletion: moved back"),
        (insertion, "insertion", "Insertion: still to go"),
    ):
        for map_, both in report.curves.items():
            values = getattr(both, name)
            shares = np.linspace(0, 100, len(values))
            if map_ in colours:
                axes.plot(shares, values, color=colours[map_], linewidth=2, label=map_)
            else:
                style = "--" if map_ == BLOB else ":"
                axes.plot(shares, values, color=FAINT, linewidth=1.5, linestyle=style, label=map_)
        axes.axhline(0, color="#dddddd", linewidth=1, zorder=0)
        axes.set_title(f"{title}, {unit}", fontsize=10, loc="left")
        axes.set_xlabel("% of the pixels")
        _bare(axes)
    figure.legend(*deletion.get_legend_handles_labels(), loc="outside lower center", ncols=5, fontsize=9, frameon=False)
    _differences(better, report, colours, unit)
    figure.suptitle(
        f"{report.model or 'model'}: faithfulness of {report.target} maps on {report.faces:,} faces",
        fontweight="bold",
        x=0.5,
    )
    return figure


def _differences(axes: Axes, report: ExplanationReport, colours: dict[str, str], unit: str) -> None:
    """How much better the areas are than those of random maps and of the blob, with intervals."""
    labels = []
    for number, (name, figures) in enumerate(report.methods.items()):
        rows = (
            ("deletion, random", figures.deletion_over_random),
            ("deletion, blob", figures.deletion_over_blob),
            ("insertion, random", figures.insertion_under_random),
            ("insertion, blob", figures.insertion_under_blob),
        )
        labels = [label for label, _ in rows]
        for row, (_, difference) in enumerate(rows):
            place = row + 0.16 * (number - (len(report.methods) - 1) / 2)
            axes.errorbar(
                difference.value,
                place,
                xerr=_ends(difference),
                color=colours[name],
                marker="o",
                markersize=4,
                capsize=2,
            )
    axes.axvline(0, color=INK, linewidth=1)
    axes.set_yticks(range(len(labels)), labels)
    axes.invert_yaxis()
    axes.set_title(f"Better than controls by, {unit}", fontsize=10, loc="left")
    _bare(axes)


def _ends(interval: Interval) -> list[list[float]]:
    return [[max(0.0, interval.value - interval.low)], [max(0.0, interval.high - interval.value)]]


def _bare(axes: Axes) -> None:
    axes.spines[["top", "right"]].set_visible(False)
    axes.tick_params(labelsize=9)
