"""Robustness to look at: a heat map of what each corruption costs, and one face under all of them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure

from mien.arrays import Doubles, Pixels
from mien.errors import DataError
from mien.learn.audits.robustness.robustness_report import RobustnessReport
from mien.learn.data.corruptions import CORRUPTIONS, SEVERITIES, chosen, corrupt

COSTS = LinearSegmentedColormap.from_list("costs", ["#f7f7f4", "#f6cf9e", "#e08650", "#b43c2f", "#6d1530"])
INK, FAINT = "#222222", "#8a8a86"


def heat_map(report: RobustnessReport) -> Figure:
    """Relative MAE and gender drop, a row for each corruption and a column for each severity.

    Raises:
        DataError: the model answers neither, or its clean ages are without any error.
    """
    names = list(report.corrupted)
    clean = report.clean
    mae = _table(report, "mae") / (clean.mae or np.nan)  # an error of 0 cannot be multiplied
    drop = 100 * ((np.nan if clean.accuracy is None else clean.accuracy) - _table(report, "accuracy"))
    panels = []
    if np.isfinite(mae).any():
        panels.append((mae, f"MAE, times the clean {clean.mae:.2f} years", "{:.2f}", 1.0, max(2.0, np.nanmax(mae))))
    if np.isfinite(drop).any():
        panels.append((drop, f"gender, points lost from {clean.accuracy:.1%}", "{:.1f}", 0.0, max(10, np.nanmax(drop))))
    if not panels:
        raise DataError("there is nothing to draw: no gender is known, and no age has a clean error to compare with")
    figure = Figure(figsize=(1.6 + 4.2 * len(panels), 1.2 + 0.3 * len(names)), layout="constrained")
    grid = figure.subplots(1, len(panels), squeeze=False)[0]
    for at, (axes, (values, title, style, low, high)) in enumerate(zip(grid, panels, strict=True)):
        axes.imshow(values, cmap=COSTS, vmin=low, vmax=high, aspect="auto")
        for (row, column), value in np.ndenumerate(values):
            dark = (value - low) / (high - low) > 0.55
            axes.text(
                column, row, style.format(value), ha="center", va="center", fontsize=8, color="white" if dark else INK
            )
        axes.set_title(title, fontsize=10, loc="left", pad=10)
        axes.set_xticks(range(len(SEVERITIES)), [str(severity) for severity in SEVERITIES])
        axes.set_yticks(range(len(names)), names if at == 0 else [""] * len(names))
        axes.tick_params(length=0, labelsize=9)
        axes.set_xlabel("severity", color=FAINT)
        axes.spines[:].set_visible(False)
        _separate_families(axes, names)
    figure.suptitle(f"{report.model or 'model'}: {report.faces:,} faces under bad conditions", fontweight="bold", x=0.5)
    return figure


def grid(chip: Pixels, names: Sequence[str] | None = None, seed: int = 0) -> Figure:
    """One face under corruptions: a row for each, the clean chip and five severities, in two blocks of columns.

    Args:
        chip: RGB uint8 [S, S, 3].
        names: corruptions or families; None for all.
        seed: of all chance.
    """
    rows = chosen(names)
    blocks = 2 if len(rows) > 8 else 1
    height = -(-len(rows) // blocks)
    side, gap, label = 1.0, 0.05, 1.35
    block = label + (1 + len(SEVERITIES)) * (side + gap)
    wide, high = blocks * block + (blocks - 1) * 0.4 + 0.1, height * (side + gap) + 0.45
    figure = Figure(figsize=(wide, high))
    for at, name in enumerate(rows):
        left = (at // height) * (block + 0.4)
        top = 0.4 + (at % height) * (side + gap)
        middle = 1 - (top + side / 2) / high
        corruption = CORRUPTIONS[name]
        figure.text((left + label - 0.1) / wide, middle + 0.07 / high, name, ha="right", va="center", fontsize=10)
        figure.text(
            (left + label - 0.1) / wide, middle - 0.12 / high, corruption.family, ha="right", va="center",
            fontsize=7.5, color=FAINT,
        )  # fmt: skip
        pictures = [chip, *(corrupt(chip, name, severity, np.random.default_rng(seed)) for severity in SEVERITIES)]
        for column, picture in enumerate(pictures):
            x = left + label + column * (side + gap)
            axes = figure.add_axes((x / wide, 1 - (top + side) / high, side / wide, side / high))
            axes.imshow(picture, interpolation="lanczos")
            axes.set_axis_off()
            if at % height == 0:
                title = "clean" if column == 0 else f"severity {column}"
                figure.text((x + side / 2) / wide, 1 - 0.22 / high, title, ha="center", fontsize=8, color=FAINT)
    return figure


def _table(report: RobustnessReport, figure: str) -> Doubles:
    """[corruptions, severities], NaN where unknown."""
    rows = [[getattr(cell, figure) for cell in cells] for cells in report.corrupted.values()]
    return np.array([[np.nan if value is None else value for value in row] for row in rows], np.float64)


def _separate_families(axes: Axes, names: Sequence[str]) -> None:
    for row in range(1, len(names)):
        if CORRUPTIONS[names[row]].family != CORRUPTIONS[names[row - 1]].family:
            axes.axhline(row - 0.5, color="white", linewidth=4)
