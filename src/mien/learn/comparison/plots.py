"""The page's drawings: ages of the folds, courses of training, densities, reliability, coverage, accuracy by cost."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mien.arrays import Floats
from mien.estimate import calibrate
from mien.learn.comparison import name_places
from mien.learn.comparison.svg import Axis, Drawing
from mien.learn.data.manifest import Manifest
from mien.learn.evaluation import metrics
from mien.learn.run_folder import Epoch

YEARS = 110
"""Ages drawn; the few beyond stay at the edge."""

_DECADES = [(float(age), str(age)) for age in range(0, YEARS + 1, 20)]
_SHARES = [(0.0, "0"), (0.5, "50"), (1.0, "100 %")]
_SHADES = 6
_ROOMY = 600
"""Width from which a drawing has room for lines to the names of all runs, not only of the chief ones."""


def ages(faces: Manifest, name: str) -> str:
    """How many women and men of each two years of age a fold has."""
    drawing = Drawing(420, 190, f"ages of the faces in {name}")
    known = np.isfinite(faces.age)
    edges = np.arange(0, YEARS + 8, 2)
    women, men = (np.histogram(faces.age[known & (faces.female == gender)], edges)[0] for gender in (1, 0))
    top = max(1, int((women + men).max()))
    x, y = Axis(0, YEARS + 6, 40, 414), Axis(0, top, 165, 8)
    drawing.y_axis(y, 40, [(value, f"{value:,.0f}") for value in y.ticks(4)], grid_to=414)
    drawing.x_axis(x, 165, _DECADES)
    width = x(2) - x(0) - 1
    for low, female, male in zip(edges[:-1].tolist(), women.tolist(), men.tolist(), strict=True):
        words = f"{low}-{low + 1} years: {female} women, {male} men"
        for below, count, kind in ((0, female, "women"), (female, male, "men")):
            if count:
                drawing.bar((x(low), y(below + count)), width, y(below) - y(below + count), kind, words)
    drawing.line(40, 165, 414, 165, "base")
    return drawing.render()


def density(years: Floats, truth: Floats) -> str:
    """True age across, answered age up, cells of two years shaded by how many faces they hold; the line is the median.

    Args:
        years: [N] answers.
        truth: [N] ages.
    """
    drawing = Drawing(240, 240, "answered age against true age")
    x, y = Axis(0, YEARS, 30, 234), Axis(0, YEARS, 214, 6)
    drawing.x_axis(x, 214, _DECADES)
    drawing.y_axis(y, 30, _DECADES, grid_to=234)
    bins = YEARS // 2
    cells = [np.clip(values / 2, 0, bins - 1).astype(np.intp) for values in (truth, years)]
    counts = np.bincount(cells[0] * bins + cells[1], minlength=bins * bins).reshape(bins, bins)
    shade = np.ceil(_SHADES * np.log1p(counts) / np.log1p(max(1, counts.max()))).astype(np.intp)
    for level in range(1, _SHADES + 1):
        steps = [_run(x, y, column, *ends) for column in range(bins) for ends in _stretches(shade[column] == level)]
        drawing.path("".join(steps), f"shade s{level}")
    drawing.line(x(0), y(0), x(YEARS), y(YEARS), "ideal")
    drawing.curve([(x(age), y(middle)) for age, middle in _running_median(years, truth)], "trend")
    return drawing.render()


def _stretches(mask: NDArray[np.bool_]) -> list[tuple[int, int]]:
    """Starts and lengths of the stretches of a mask, so that equal neighbours become one bar."""
    changes = np.flatnonzero(np.diff(mask.astype(np.int8), prepend=0, append=0)).tolist()
    return [(start, stop - start) for start, stop in zip(changes[::2], changes[1::2], strict=True)]


def _run(x: Axis, y: Axis, column: int, start: int, length: int) -> str:
    wide, high = x(2) - x(0), (y(0) - y(2)) * length
    return f"M{x(2 * column):.1f} {y(2 * start):.1f}v-{high:.1f}h{wide:.1f}v{high:.1f}z"


def _running_median(years: Floats, truth: Floats) -> list[tuple[float, float]]:
    """Median answer for each five years of true age that ten faces have."""
    middles = []
    for low in range(0, YEARS, 5):
        within = years[(truth >= low) & (truth < low + 5)]
        if len(within) >= 10:
            middles.append((low + 2.0, float(np.median(within))))
    return middles


def reliability(female: Floats, is_female: NDArray[Any]) -> str:
    """Share of women among faces of about one probability of "female"; on the diagonal the model is to be believed."""
    drawing, x, y = _square("stated against observed share of women")
    bins = np.minimum((female * 10).astype(np.intp), 9)
    points = []
    for at in range(10):
        inside = bins == at
        if inside.any():
            said, is_so, count = float(female[inside].mean()), float((is_female[inside] > 0).mean()), int(inside.sum())
            points.append((x(said), y(is_so), count, f"says {said:.0%}, is {is_so:.0%} of {count} faces"))
    drawing.curve([point[:2] for point in points], "line")
    for across, up, count, words in points:
        drawing.dot(across, up, 2.5 + 5.5 * (count / len(female)) ** 0.5, "dot", words)
    error = metrics.ece(female, is_female)
    drawing.text(228, 206, f"ECE {100 * error:.1f} points", "note", "end")
    return drawing.render()


def coverage(pmf: Floats, ages: Floats) -> str:
    """Share of true ages among the likeliest ages that hold a given mass of the distribution."""
    drawing, x, y = _square("mass of the interval against share of ages inside")
    inside = calibrate.scores(pmf, ages)
    levels = np.linspace(0.05, 0.95, 19)
    shares = [float((inside <= level).mean()) for level in levels]
    drawing.curve([(x(level), y(share)) for level, share in zip(levels, shares, strict=True)], "line")
    for level in (0.5, 0.9):
        share = float((inside <= level).mean())
        drawing.dot(x(level), y(share), 4.5, "dot", f"{level:.0%} of the mass hold {share:.1%} of the ages")
    drawing.text(228, 206, f"90 % hold {100 * share:.0f} %", "note", "end")
    return drawing.render()


def _square(label: str) -> tuple[Drawing, Axis, Axis]:
    drawing = Drawing(240, 240, label)
    x, y = Axis(0, 1, 34, 234), Axis(0, 1, 214, 8)
    drawing.x_axis(x, 214, [(0.0, "0"), (0.5, "50"), (1.0, "100")])
    drawing.y_axis(y, 34, [(0.0, "0"), (0.5, "50"), (1.0, "100")], grid_to=234)
    drawing.line(x(0), y(0), x(1), y(1), "ideal")
    return drawing, x, y


def curves(epochs: Sequence[Epoch]) -> str:
    """Loss in training and validation, and the validation figures that the run has, epoch by epoch."""
    panels: list[tuple[str, dict[str, str], float, str]] = [("loss", {"loss": "line", "val_loss": "line val"}, 1, "")]
    panels += [("validation MAE, years", {"mae": "line"}, 1, "min")] * any("mae" in row for row in epochs)
    panels += [("validation gender, %", {"gender": "line"}, 100, "max")] * any("gender" in row for row in epochs)
    drawing = Drawing(300, 96 * len(panels) + 16, "course of training")
    last = max(2.0, *(row["epoch"] for row in epochs))
    x = Axis(1, last, 40, 286)
    for at, (title, columns, factor, best) in enumerate(panels):
        lines = {kind: _points(epochs, key, factor) for key, kind in columns.items()}
        _panel(drawing, x, 96 * at, title=title, lines=lines, best=best)
    drawing.x_axis(x, 96 * len(panels) - 8, _epoch_marks(int(last)))
    return drawing.render()


def _points(epochs: Sequence[Epoch], key: str, factor: float) -> list[tuple[float, float]]:
    return [(row["epoch"], factor * row[key]) for row in epochs if key in row]


def _epoch_marks(last: int) -> list[tuple[float, str]]:
    """The first epoch, and round ones that leave room beside it."""
    step = max(1, round(last / 5))
    return [
        (float(epoch), str(epoch)) for epoch in (1, *(e for e in range(step, last + 1, step) if e > 0.6 * step + 1))
    ]


def _panel(
    drawing: Drawing, x: Axis, top: float, *, title: str, lines: Mapping[str, list[tuple[float, float]]], best: str
) -> None:
    """One figure of the course, below `top`; `lines` by class, `best` says which end of it is good, if it is known."""
    values = [value for points in lines.values() for _, value in points]
    if not values:
        return
    spread = (max(values) - min(values)) or 1.0
    y = Axis(min(values) - 0.08 * spread, max(values) + 0.12 * spread, top + 84, top + 20)
    drawing.text(40, top + 12, title, "note")
    drawing.y_axis(y, 40, [(value, f"{value:g}") for value in y.ticks(3)], grid_to=286)
    for kind, points in lines.items():
        drawing.curve([(x(epoch), y(value)) for epoch, value in points], kind)
        for epoch, value in points if len(points) == 1 else []:
            drawing.dot(x(epoch), y(value), 2.6, "dot")
    if best:
        choose = min if best == "min" else max
        epoch, value = choose(next(iter(lines.values())), key=lambda point: point[1])
        drawing.dot(x(epoch), y(value), 3, "dot", f"epoch {epoch:g}: {value:.2f}")
        drawing.text(286, top + 12, f"best {value:.2f}", "note strong", "end")


@dataclass(frozen=True, slots=True)
class Point:
    """A run among those whose cost is drawn.

    Attributes:
        name: as its label says it.
        kind: colour class.
        amount: what it costs.
        figure: how good it is.
        title: words for who points at it.
        chief: whether its name is to stand out.
    """

    name: str
    kind: str
    amount: float
    figure: float
    title: str
    chief: bool = False


def costs(points: Sequence[Point], label: str, factor: float, size: tuple[int, int] = (1180, 420)) -> str:
    """A figure, written `factor` times as large, against the multiply-adds for one face.

    Args:
        points: the most important first; where room is short it is the last ones that go without a name.
        label: what the figure is called.
        factor: of the figure.
        size: of the drawing, pixels.
    """
    width, height = size
    drawing = Drawing(width, height, f"{label} against multiply-adds")
    amounts, figures = [point.amount for point in points], [factor * point.figure for point in points]
    spread = (max(figures) - min(figures)) or 1.0
    left, right, top, bottom = 34, width - 6, 8, height - 38
    x = Axis(min(amounts) / 2, max(amounts) * 2.2, left, right, log=True)
    y = Axis(min(figures) - 0.1 * spread, max(figures) + 0.1 * spread, bottom, top)
    drawing.y_axis(y, left, [(v, f"{v:g}") for v in y.ticks(5)], grid_to=right)
    drawing.x_axis(x, bottom, [(v, _amount(v)) for v in x.ticks()], grid_to=top)
    drawing.text(right, height - 5, "multiply-adds for one face", "tick", "end")
    places = [(x(amount), y(figure)) for amount, figure in zip(amounts, figures, strict=True)]
    found = name_places.place(places, [point.name for point in points], (left + 2, top, right, bottom - 2))
    spots = [
        spot if spot is not None and (point.chief or width >= _ROOMY or spot.leader is None) else None
        for point, spot in zip(points, found, strict=True)
    ]
    for place, spot in zip(places, spots, strict=True):
        if spot is not None and spot.leader is not None:
            drawing.line(*place, *spot.leader, "leader")
    for point, place in reversed(list(zip(points, places, strict=True))):
        drawing.dot(*place, 5.5, f"dot {point.kind}", point.title)
    for point, spot in zip(points, spots, strict=True):
        if spot is not None:
            drawing.text(spot.left, spot.middle + 4, point.name, f"who {point.kind}{' chief' * point.chief}")
    return drawing.render()


def _amount(value: float) -> str:
    return f"{value / 1e9:g} G" if value >= 1e9 else f"{value / 1e6:g} M"
