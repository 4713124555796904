"""The course of a run as a table and as a picture."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from typing import Literal, NamedTuple

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

Row = dict[str, float]
_Side = Literal["bottom", "center", "top"]

MARKED = 25
"""Epochs up to which each has a dot."""


class _Line(NamedTuple):
    """One column of the table as it is drawn."""

    key: str
    label: str
    colour: str


_PANELS: tuple[tuple[str, float, tuple[_Line, ...]], ...] = (
    ("loss", 1.0, (_Line("loss", "training", "#4053d3"), _Line("val_loss", "validation", "#b51d14"))),
    ("validation MAE, years", 1.0, (_Line("mae", "", "#b51d14"),)),
    ("validation gender accuracy, %", 100.0, (_Line("gender", "", "#00795c"),)),
)
"""Title, factor, and the lines of each panel."""


def draw(rows: Sequence[Row], title: str) -> Figure:
    """Loss in training and validation, validation MAE and gender accuracy over the epochs.

    A network that answers one question has no panel for the other. Dotted lines mark where the chips' size changes.

    Args:
        rows: one an epoch, as `RunFolder.write_curves` takes it; a missing column or NaN is a figure there is not.
        title: of the picture.
    """
    panels = [
        (label, factor, drawn)
        for label, factor, lines in _PANELS
        if (drawn := [line for line in lines if any(math.isfinite(row.get(line.key, math.nan)) for row in rows)])
    ]
    figure = Figure(figsize=(0.4 + 3.8 * len(panels), 3.4), layout="constrained")
    for axes, (label, factor, lines) in zip(figure.subplots(1, len(panels), squeeze=False)[0], panels, strict=True):
        by_height = sorted(lines, key=lambda line: rows[-1].get(line.key, math.nan))
        for line in lines:
            place: _Side = "center" if len(lines) == 1 else "top" if line is by_height[0] else "bottom"
            _draw_line(axes, rows, line, factor, place)
        for before, row in itertools.pairwise(rows):
            if row["size"] != before["size"]:
                axes.axvline(row["epoch"] - 0.5, color="0.6", linestyle=":", linewidth=1)
        if len(lines) > 1:
            axes.legend(frameon=False)
        axes.set(title=label, xlabel="epoch", xlim=(rows[0]["epoch"] - 0.5, rows[-1]["epoch"] + 0.2))
        axes.margins(y=0.15)
        axes.xaxis.set_major_locator(MaxNLocator(nbins=8, integer=True, min_n_ticks=1))  # there is no epoch 1.4
        axes.ticklabel_format(axis="y", useOffset=False)
        axes.grid(alpha=0.25)
        axes.spines[["top", "right"]].set_visible(False)
    figure.suptitle(title, fontweight="bold")
    return figure


def _draw_line(axes: Axes, rows: Sequence[Row], line: _Line, factor: float, place: _Side) -> None:
    """One column over the epochs, with its last value beside its end; `place` is the side of the words it lies at."""
    epochs = [row["epoch"] for row in rows]
    values = [row.get(line.key, math.nan) * factor for row in rows]
    marker = "o" if len(rows) <= MARKED else ""
    axes.plot(epochs, values, marker=marker, markersize=4, color=line.colour, label=line.label)
    if math.isfinite(values[-1]):
        axes.annotate(
            f"{values[-1]:.2f}",
            (epochs[-1], values[-1]),
            xytext=(7, 0),
            textcoords="offset points",
            va=place,
            color=line.colour,
        )
