"""The course of a run as a table and as a picture."""

from __future__ import annotations

import csv
import itertools
from collections.abc import Sequence
from pathlib import Path

from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

Row = dict[str, float]


def write_csv(rows: Sequence[Row], path: Path) -> None:
    """One row an epoch: epoch, size in pixels, loss, mae in years, gender as a share, seconds."""
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, fieldnames=list(rows[0]))
        writer.writeheader()
        writer.writerows({key: round(value, 5) for key, value in row.items()} for row in rows)


def draw(rows: Sequence[Row], title: str) -> Figure:
    """Training loss, validation MAE and validation gender accuracy over the epochs."""
    panels = (
        ("loss", "training loss", 1.0, "#4053d3"),
        ("mae", "validation MAE, years", 1.0, "#b51d14"),
        ("gender", "validation gender accuracy, %", 100.0, "#00795c"),
    )
    figure = Figure(figsize=(11, 3.4), layout="constrained")
    epochs = [row["epoch"] for row in rows]
    for axes, (key, label, factor, colour) in zip(figure.subplots(1, 3), panels, strict=True):
        values = [row[key] * factor for row in rows]
        axes.plot(epochs, values, marker="o", markersize=4, color=colour)
        axes.annotate(
            f"{values[-1]:.2f}", (epochs[-1], values[-1]), xytext=(0, 8), textcoords="offset points", ha="center"
        )
        for before, row in itertools.pairwise(rows):
            if row["size"] != before["size"]:
                axes.axvline(row["epoch"] - 0.5, color="0.6", linestyle=":", linewidth=1)
        axes.set(title=label, xlabel="epoch")
        axes.margins(y=0.15)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))  # there is no epoch 1.4
        axes.ticklabel_format(axis="y", useOffset=False)
        axes.grid(alpha=0.25)
        axes.spines[["top", "right"]].set_visible(False)
    figure.suptitle(title, fontweight="bold")
    return figure
