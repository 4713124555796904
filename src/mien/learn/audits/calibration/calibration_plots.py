"""A calibration report to look at: intervals by group and level, the gender's certainty, what certainty is worth."""

from __future__ import annotations

from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from mien.learn.audits.calibration.calibration_figures import Ages, CalibrationGroup, Genders, Selection
from mien.learn.audits.calibration.calibration_report import BAND, CalibrationReport
from mien.learn.audits.fairness.fairness_plots import EQUAL, FAINT, GRID, INK, PLAIN, dress
from mien.learn.evaluation.metrics import Interval

SHADE = "#e3edf8"
ROW = 0.27
"""Inches of a row of the plot of groups."""


def groups(report: CalibrationReport, ages: Ages) -> Figure:
    """Coverage and mean width of every group, with intervals; beside the coverage that of a constant width."""
    rows: list[str | CalibrationGroup] = [ages.whole]
    for name, of in ages.groups.items():
        rows += [f"by {name}", *of]
    high = 1.25 + ROW * len(rows)
    figure = Figure(figsize=(9.6, high), facecolor="white")
    figure.subplots_adjust(left=0.01, right=0.985, bottom=0.36 / high, top=1 - 0.9 / high, wspace=0.1)
    names, left, right = figure.subplots(1, 3, sharey=True, width_ratios=(2.3, 3.6, 3.0))
    names.set_ylim(len(rows) - 0.4, -0.6)
    _name(names, rows)
    level = 100 * report.level
    left.axvspan(level - 100 * BAND, min(100, level + 100 * BAND), color=SHADE, zorder=0)
    left.axvline(level, color=INK, linewidth=1, linestyle=(0, (2, 2)), zorder=0.5)
    for at, row in enumerate(rows):
        if isinstance(row, CalibrationGroup) and row.coverage is not None:
            if row.constant is not None:
                left.plot(100 * row.constant.value, at, "D", color=EQUAL, markerfacecolor="white", markersize=4)
            _point(left, at, row.coverage, 100)
            _point(right, at, row.width, 1)
        elif isinstance(row, CalibrationGroup):
            left.text(level, at, "too few faces", ha="center", va="center", fontsize=8, color=FAINT)
    low, _ = left.get_xlim()
    left.set_xlim(low, 101)
    right.set_xlim(left=0)
    dress(left, "true ages inside the interval, %", f"dashed: {level:.4g} % as promised; shaded: 5 points off")
    dress(right, "mean width of the interval, years", "narrower tells more")
    title = f"{report.model or 'model'}, {ages.whole.faces:,} faces: who gets the interval that was promised?"
    figure.text(0.01, 1 - 0.17 / high, title, fontsize=10.5, fontweight="bold", va="center", color=INK)
    figure.text(0.01, 1 - 0.42 / high, "● the model's intervals", fontsize=8.5, va="center", color=PLAIN)
    if ages.comparison is not None:
        words = f"◇ ± {ages.comparison.half_width:.1f} years for everybody: the simplest interval, for comparison"
        figure.text(0.2, 1 - 0.42 / high, words, fontsize=8.5, va="center", color=EQUAL)
    return figure


def levels(report: CalibrationReport, ages: Ages) -> Figure:
    """Measured coverage against the promised one, and the width that it takes."""
    figure, (left, right) = _panels(2, (9.6, 3.9))
    promised = [100 * one.level for one in ages.levels]
    _diagonal(left, min(promised) - 3, 101, "holds less than promised", "holds more than promised")
    _curve(left, promised, [one.coverage for one in ages.levels], 100)
    left.set_xlabel("promised: share of true ages inside, %")
    left.set_ylabel("held, %")
    _title(left, "Do intervals hold what they promise?")
    _curve(right, promised, [one.width for one in ages.levels], 1)
    right.axvline(100 * report.level, color=FAINT, linewidth=0.9, linestyle=(0, (2, 2)))
    right.set_ylim(bottom=0)
    right.set_xlabel("promised: share of true ages inside, %")
    right.set_ylabel("mean width, years")
    _title(right, "What surer intervals cost")
    return figure


def gender(report: CalibrationReport, genders: Genders) -> Figure:
    """How often the gender is right, by how sure the model is; beside it the same for sure answers alone, larger."""
    figure, (left, right) = _panels(2, (9.6, 3.9))
    _diagonal(left, 45, 101.5, "surer than it may be", "less sure than it may be")
    _diagonal(right, 93, 100.3, "surer than it may be", "less sure than it may be")
    for axes in (left, right):
        for one in genders.bins:
            ends = [100 * one.right.low, 100 * one.right.high]
            axes.plot([100 * one.stated] * 2, ends, color=PLAIN, alpha=0.45, linewidth=2)
            axes.plot(100 * one.stated, 100 * one.right.value, "o", color=PLAIN, markersize=4.8)
        axes.set_xlabel(f"the model says it is sure by, % (each dot: {genders.bins[0].faces:,} faces)")
        axes.set_ylabel("gender named as labelled, %")
    ece = genders.figures["ece"]
    _title(left, f"Is it right as often as it says? {100 * ece.value:.1f} points off")
    _title(right, "The surest answers, seen closer")
    return figure


def certainty(report: CalibrationReport) -> Figure:
    """Errors among the surest faces, for the gender and the age."""
    shown: list[tuple[Selection, float, str, str]] = []
    if report.ages is not None:
        words = "answer only the faces with the narrowest age intervals, % of all"
        shown.append((report.ages.selection, 1, "mean error of the age, years", words))
    if report.genders is not None:
        words = "answer only the faces of whose gender it is surest, % of all"
        shown.append((report.genders.selection, 100, "wrong genders, %", words))
    figure, panels = _panels(len(shown), (4.8 * len(shown), 3.7))
    for axes, (selection, factor, title, words) in zip(panels, shown, strict=True):
        shares = [100 * share for share in selection.risks]
        axes.axhline(factor * selection.whole, color=FAINT, linewidth=1, linestyle=(0, (2, 2)))
        axes.text(2, factor * selection.whole, "all faces", va="bottom", fontsize=8, color=FAINT)
        _curve(axes, shares, list(selection.risks.values()), factor)
        axes.set_xlim(0, 102)
        axes.set_ylim(0, 1.22 * factor * max(risk.high for risk in selection.risks.values()) or 1)
        axes.set_xlabel(words)
        _title(axes, title)
    return figure


def slices(report: CalibrationReport, ages: Ages) -> Figure:
    """How many true ages lie in each tenth of the mass."""
    figure, (axes,) = _panels(1, (9.6, 3.2))
    count, shares = len(ages.pit), [100 * share.value for share in ages.pit]
    ends = [[100 * (s.value - s.low) for s in ages.pit], [100 * (s.high - s.value) for s in ages.pit]]
    axes.bar(range(count), shares, 0.86, color=PLAIN, alpha=0.75, yerr=ends, error_kw={"ecolor": INK, "elinewidth": 1})
    axes.axhline(100 / count, color=INK, linewidth=1, linestyle=(0, (2, 2)))
    axes.set_xticks([0, count - 1], ["younger than it\nthinks likely", "older than it\nthinks likely"])
    axes.text(0, 100 / count, "as it should be", va="bottom", ha="center", fontsize=8, color=INK)
    axes.set_ylabel("true ages, %")
    axes.tick_params(axis="x", labelsize=9)
    axes.grid(axis="x", visible=False)
    _title(axes, "Where true ages fall in the model's distribution")
    return figure


def _panels(count: int, size: tuple[float, float]) -> tuple[Figure, Sequence[Axes]]:
    figure = Figure(figsize=size, facecolor="white", layout="constrained")
    panels: Sequence[Axes] = figure.subplots(1, count, squeeze=False)[0]
    for axes in panels:
        axes.grid(color=GRID, linewidth=0.7)
        axes.set_axisbelow(True)
        axes.spines[["top", "right"]].set_visible(False)
        axes.spines[["left", "bottom"]].set_color(GRID)
        axes.tick_params(length=0, labelsize=8.5, labelcolor=FAINT)
        for label in (axes.xaxis.label, axes.yaxis.label):
            label.set(fontsize=9, color=INK)
    return figure, panels


def _title(axes: Axes, words: str) -> None:
    axes.set_title(words, fontsize=10, fontweight="bold", loc="left", color=INK)


def _curve(axes: Axes, across: Sequence[float], up: Sequence[Interval], factor: float) -> None:
    """Points with a band of intervals."""
    low, high = [factor * one.low for one in up], [factor * one.high for one in up]
    axes.fill_between(across, low, high, color=PLAIN, alpha=0.18, linewidth=0)
    axes.plot(across, [factor * one.value for one in up], "o-", color=PLAIN, linewidth=1.6, markersize=4)


def _diagonal(axes: Axes, low: float, high: float, below: str, above: str) -> None:
    """The line on which words and truth agree, and what it means to be off it."""
    axes.add_line(Line2D([low, high], [low, high], color=INK, linewidth=1, linestyle=(0, (2, 2))))
    axes.set_xlim(low, high)
    axes.set_ylim(low, high)
    axes.text(0.97, 0.06, below, transform=axes.transAxes, ha="right", fontsize=9, color=FAINT)
    axes.text(0.03, 0.93, above, transform=axes.transAxes, fontsize=9, color=FAINT)


def _name(axes: Axes, rows: Sequence[str | CalibrationGroup]) -> None:
    axes.set_axis_off()
    axes.set_xlim(0, 1)
    for at, row in enumerate(rows):
        if isinstance(row, str):
            axes.text(0.0, at, row, va="center", fontsize=9, fontweight="bold", color=INK)
            continue
        colour = FAINT if row.coverage is None else INK
        axes.text(0.05, at, row.name, va="center", fontsize=9, color=colour)
        axes.text(0.99, at, f"{row.faces:,}", va="center", ha="right", fontsize=8.5, color=FAINT)


def _point(axes: Axes, y: float, interval: Interval | None, factor: float) -> None:
    if interval is None:
        return
    ends = [factor * interval.low, factor * interval.high]
    axes.plot(ends, [y, y], color=PLAIN, linewidth=2, alpha=0.45, solid_capstyle="butt")
    axes.plot(factor * interval.value, y, "o", color=PLAIN, markersize=4.8)
