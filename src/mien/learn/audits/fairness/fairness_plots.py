"""A fairness report to look at: a forest plot, a row for each group and a column for each figure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from mien.learn.audits.fairness.fairness_report import FIGURES, TOO_FEW, FairnessGroup, FairnessReport, Partition
from mien.learn.evaluation.metrics import Interval

INK, FAINT, GRID = "#222222", "#7b7b77", "#e6e4de"
PLAIN, EQUAL = "#2867b2", "#b9651a"
ROW, LABELS, PANEL = 0.27, 2.3, 1.72
"""Inches: height of a row, widths of the names and of a figure's column."""


@dataclass(frozen=True, slots=True)
class _Line:
    """A row of the plot: a partition's name above its groups, or a group."""

    title: str
    partition: Partition | None = None
    group: FairnessGroup | None = None


def plot(report: FairnessReport, names: Sequence[str] | None = None) -> Figure:
    """Every figure of every group with its interval, and the same at equal ages below it.

    Args:
        report: what to draw.
        names: partitions; None for all.
    """
    lines = list(_lines(report, list(report.partitions) if names is None else names))
    equal = any(line.group and line.group.at_equal_ages for line in lines)
    wide, high = LABELS + PANEL * len(FIGURES), 1.12 + ROW * (len(lines) + 1)
    figure = Figure(figsize=(wide, high), facecolor="white")
    figure.subplots_adjust(left=0.01, right=0.99, bottom=0.34 / high, top=1 - 0.78 / high, wspace=0.12)
    grid = figure.subplots(1, 1 + len(FIGURES), sharey=True, width_ratios=[LABELS, *[PANEL] * len(FIGURES)])
    grid[0].set_ylim(len(lines) - 0.4, -0.6)
    _name(grid[0], lines)
    for axes, (name, words) in zip(grid[1:], FIGURES.items(), strict=True):
        for at, line in enumerate(lines):
            _draw(axes, at, line, name)
        whole = report.whole.figures.get(name)
        if whole is not None:
            axes.axvline(words.factor * whole.value, color=FAINT, linewidth=0.9, zorder=0.5)
        level = report.settings["interval_level"]
        target = {"coverage": 100 * level, "bias": 0.0}.get(name)
        if target is not None:
            axes.axvline(target, color=INK, linewidth=0.9, linestyle=(0, (2, 2)), zorder=0.5)
        axes.locator_params(axis="x", nbins=4)
        dress(axes, f"{words.name}, {words.unit}", f"should be {100 * level:g}" if name == "coverage" else words.good)
    _explain(figure, report, equal, high)
    return figure


def _lines(report: FairnessReport, names: Sequence[str]) -> Iterator[_Line]:
    yield _Line("all", group=report.whole)
    for name in names:
        partition = report.partitions[name]
        yield _Line(f"by {name}", partition=partition)
        for group in partition.groups:
            yield _Line(group.name, group=group)


def _name(axes: Axes, lines: Sequence[_Line]) -> None:
    """The names of the rows, and how many faces there are."""
    axes.set_axis_off()
    axes.set_xlim(0, 1)
    for at, line in enumerate(lines):
        if line.group is None:
            axes.text(0.0, at, line.title, va="center", fontsize=9, fontweight="bold", color=INK)
            continue
        colour = FAINT if line.group.too_few else INK
        axes.text(0.04, at, line.title, va="center", fontsize=9, color=colour)
        axes.text(0.99, at, f"{line.group.faces:,}", va="center", ha="right", fontsize=8.5, color=FAINT)


def _draw(axes: Axes, at: int, line: _Line, name: str) -> None:
    """One row of one figure."""
    words = FIGURES[name]
    if line.partition is not None:
        gaps = ((line.partition.gaps, 0.0, "left", PLAIN), (line.partition.gaps_at_equal_ages, 1.0, "right", EQUAL))
        for found, x, side, colour in gaps:
            if name in found:
                gap = found[name]
                text = f"gap {words.as_gap.value(gap.difference.value)}{'*' if gap.real else ''}"
                axes.text(
                    x, at, text, transform=axes.get_yaxis_transform(), ha=side, va="center", fontsize=8, color=colour,
                    bbox={"facecolor": "white", "edgecolor": "none", "pad": 0.8},
                )  # fmt: skip
    if line.group is None:
        return
    if line.group.too_few and name == next(iter(FIGURES)):
        axes.text(
            0.5, at, TOO_FEW, transform=axes.get_yaxis_transform(), ha="center", va="center", fontsize=8, color=FAINT
        )
    equal = line.group.at_equal_ages.get(name)
    shift = 0.0 if equal is None else 0.16
    _point(axes, at - shift, line.group.figures.get(name), words.factor, PLAIN)
    _point(axes, at + shift, equal, words.factor, EQUAL)


def _point(axes: Axes, y: float, interval: Interval | None, factor: float, colour: str) -> None:
    if interval is None:
        return
    axes.plot(
        [factor * interval.low, factor * interval.high], [y, y], color=colour, linewidth=2, alpha=0.45,
        solid_capstyle="butt",
    )  # fmt: skip
    marker, inside = ("o", colour) if colour == PLAIN else ("D", "white")
    size = 4.6 if colour == PLAIN else 3.8
    axes.plot(factor * interval.value, y, marker, color=colour, markerfacecolor=inside, markersize=size)


def dress(axes: Axes, title: str, meaning: str) -> None:
    """Give one column of figures its title, a line on what it means, and its grid."""
    axes.set_title(title, fontsize=9.5, fontweight="bold", loc="left", pad=17, color=INK)
    axes.text(0, 1, meaning, transform=axes.transAxes, fontsize=8, color=FAINT, va="bottom")
    axes.tick_params(axis="x", length=0, labelsize=8, labelcolor=FAINT)
    axes.tick_params(axis="y", length=0, labelleft=False)
    axes.grid(axis="x", color=GRID, linewidth=0.7)
    axes.set_axisbelow(True)
    axes.spines[:].set_visible(False)
    axes.margins(x=0.06)


def _explain(figure: Figure, report: FairnessReport, equal: bool, high: float) -> None:
    y = 1 - 0.16 / high
    title = f"{report.model or 'model'}, {report.counts['measured']:,} faces"
    figure.text(0.01, y, title, fontsize=10, fontweight="bold", va="center", color=INK)
    left = (LABELS + 0.15) / (LABELS + PANEL * len(FIGURES))
    level = f"{report.settings['level']:.0%}"
    notes = [(PLAIN, f"● as they are, with {level} interval")]
    notes += [(EQUAL, "◇ at equal ages")] if equal else []
    notes += [(FAINT, "| all faces"), (FAINT, "* gap larger than chance makes it")]
    for colour, text in notes:
        figure.text(left, y, text, fontsize=8.5, va="center", color=colour)
        left += 0.0052 * len(text) + 0.02
