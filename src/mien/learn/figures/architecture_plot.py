"""Networks drawn as blocks: a map's side is its height, its channels are its thickness."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.patches import Polygon

from mien.arrays import Pixels
from mien.learn.figures.architecture import Layer

Colour = tuple[float, float, float]

COLOURS = {"conv": "#5b8fc7", "stage": "#3f6fa3", "pool": "#d9694f", "dense": "#76a85b", "rnn": "#9a74b5"}
NAMES = {"conv": "convolution", "stage": "block of convolutions", "pool": "max pooling", "dense": "fully connected",
         "rnn": "recurrent, step by step"}  # fmt: skip
INK, FAINT = "#222222", "#7d7d78"

TALLEST, LEAST, SLANT = 2.1, 0.13, (0.2, 0.14)
GAP, PITCH = 0.2, 0.8  # inches between blocks, and from the middle of one to that of the next at least
LINE = 0.135


@dataclass(frozen=True, slots=True)
class _Place:
    """Where a layer is drawn, in inches: left edge, middle, thickness and height; then its pooling, if any."""

    left: float
    middle: float
    wide: float
    high: float

    @property
    def right(self) -> float:
        return self.left + self.wide


def draw(
    layers: Sequence[Layer], size: int, answers: dict[int, str], *, title: str, about: str, chip: Pixels | None = None
) -> Figure:
    """A network from left to right.

    Args:
        layers: as `mien.learn.figures.architecture.layers` tells them.
        size: side of the chips in pixels.
        answers: what the last layers answer, by index.
        title: a few words.
        about: a sentence under the title.
        chip: a face RGB uint8 [S, S, 3], drawn as the input.
    """
    columns = _columns(layers)
    places = _places(layers, columns, size)
    label_lines = max(len(_label(layer)) for layer in layers)
    top = max(place.middle + place.high / 2 + place.high * SLANT[1] for place in places) + 0.95
    bottom = min(place.middle - place.high / 2 for place in places) - label_lines * LINE - 0.62
    right = max(place.right for place in places) + 2.1
    figure = Figure(figsize=(right + 0.2, top - bottom))
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set(xlim=(-0.2, right), ylim=(bottom, top))
    axes.set_axis_off()
    _draw_input(axes, size, chip)
    for at, layer in enumerate(layers):
        sources = [places[source] for source in layer.sources] or [_Place(0, 0, TALLEST, TALLEST)]
        for source in sources:
            _connect(axes, source, places[at])
    for layer, place in sorted(zip(layers, places, strict=True), key=lambda pair: pair[1].left):
        _draw_layer(axes, layer, place, size)
    for at, words in answers.items():
        place = places[at]
        axes.text(place.right + 0.2, place.middle, words, va="center", fontsize=9, fontweight="bold", color=INK)
    axes.text(0, top - 0.22, title, fontsize=14, fontweight="bold", color=INK, va="center")
    axes.text(0, top - 0.5, about, fontsize=9, color=FAINT, va="center")
    _draw_legend(axes, [layer.kind for layer in layers], any(layer.pooled for layer in layers), bottom)
    return figure


def _columns(layers: Sequence[Layer]) -> list[int]:
    """For each layer how many lie before it on the longest way from the input."""
    columns: list[int] = []
    for layer in layers:
        columns.append(1 + max((columns[source] for source in layer.sources), default=-1))
    return columns


def _places(layers: Sequence[Layer], columns: list[int], size: int) -> list[_Place]:
    places: dict[int, _Place] = {}
    x = TALLEST + 0.35
    centre = 0.0  # of the column before
    for column in range(max(columns) + 1):
        members = [at for at, own in enumerate(columns) if own == column]
        wide = max(_thickness(layers[at].shape) for at in members)
        x = max(x, centre + PITCH - wide / 2)
        centre = x + wide / 2
        for at, middle in zip(members, _middles([layers[at] for at in members], size), strict=True):
            if len({layers[other].sources for other in members}) == len(members) > 1:
                middle = places[layers[at].sources[0]].middle  # on from its own branch  # noqa: PLW2901
            places[at] = _Place(x, middle, _thickness(layers[at].shape), _height(layers[at].shape, size))
        branches = any(columns.count(later) > 1 for later in range(column, column + 2))
        after = max(_end(layers[at], places[at], whole=branches) for at in members)
        x = after + GAP
    return [places[at] for at in range(len(layers))]


def _middles(column: Sequence[Layer], size: int) -> list[float]:
    """Heights at which the layers of a column are centred, each with room for what is written under it."""
    middles, y = [], 0.0
    for layer in column:
        high = _height(layer.shape, size)
        middles.append(y - high / 2)
        y -= high + len(_label(layer)) * LINE + 0.45
    centre = sum(middles) / len(middles)
    return [middle - centre for middle in middles]


def _height(shape: tuple[int, ...], size: int) -> float:
    if len(shape) == 3:
        return LEAST + (TALLEST - LEAST) * math.sqrt(shape[1] / size)
    return LEAST + 0.1 * math.log2(shape[-1] + 1)


def _thickness(shape: tuple[int, ...]) -> float:
    if len(shape) == 3:
        return 0.05 + 0.045 * math.log2(shape[0])
    return 0.12 if len(shape) == 1 else 0.42


def _end(layer: Layer, place: _Place, *, whole: bool) -> float:
    """Where the next block may begin, half hidden or wholly free of this one's depth."""
    depth = 0.1 if len(layer.shape) < 3 else place.high
    room = SLANT[0] * depth * (1.0 if whole else 0.5)
    return place.right + room + (0.4 if whole else 0.0)


def _draw_layer(axes: Axes, layer: Layer, place: _Place, size: int) -> None:
    flat = len(layer.shape) < 3
    _cuboid(axes, place, COLOURS[layer.kind], depth=0.1 if flat else place.high)
    if layer.kind == "rnn":
        for step in range(1, 4):
            x = place.left + step * place.wide / 4
            axes.plot([x, x], [place.middle - place.high / 2, place.middle + place.high / 2], color="white", lw=0.8)
    if layer.pooled:
        high = _height(layer.pooled, size)
        _cuboid(axes, _Place(place.right + 0.02, place.middle, 0.05, high), COLOURS["pool"], depth=high)
    y = place.middle - place.high / 2 - 0.09
    for number, (words, colour, weight) in enumerate(_label(layer)):
        axes.text(
            place.left + place.wide / 2, y - number * LINE, words, ha="center", va="top", fontsize=6.8, color=colour,
            fontweight=weight,
        )  # fmt: skip


def _label(layer: Layer) -> list[tuple[str, str, str]]:
    """Lines under a block: words, colour, weight."""
    shape = layer.shape
    size = f"{shape[0]} × {shape[1]}²" if len(shape) == 3 else str(shape[-1])
    if len(shape) == 2:
        size = f"{shape[1]} × {shape[0]} steps"
    lines = [(size, INK, "bold")]
    if layer.words:
        lines.append((layer.words, INK, "normal"))
    lines += [(words, FAINT, "normal") for words in ([layer.reads] if layer.reads else [])]
    for note in layer.notes:
        lines += [(part, FAINT, "normal") for part in note.replace("spatial dropout", "spatial|dropout").split("|")]
    lines.append((f"{_short(layer.parameters)} weights", FAINT, "normal"))
    return lines


def _draw_input(axes: Axes, size: int, chip: Pixels | None) -> None:
    half = TALLEST / 2
    if chip is not None:
        axes.imshow(chip, extent=(0, 2 * half, -half, half), aspect="auto", interpolation="lanczos", zorder=3)
    axes.add_patch(Polygon([(0, -half), (2 * half, -half), (2 * half, half), (0, half)], fill=False, ec=INK, lw=0.8,
                           zorder=4))  # fmt: skip
    axes.text(half, -half - 0.09, f"3 × {size}²", ha="center", va="top", fontsize=6.8, fontweight="bold", color=INK)


def _connect(axes: Axes, source: _Place, target: _Place) -> None:
    start, end = (source.right, source.middle), (target.left, target.middle)
    axes.annotate(
        "", xy=end, xytext=start, zorder=1,
        arrowprops={"arrowstyle": "-", "color": "#a9a9a4", "lw": 1.1, "shrinkA": 0, "shrinkB": 0},
    )  # fmt: skip


def _cuboid(axes: Axes, place: _Place, colour: str, depth: float) -> None:
    """A box seen from the front, a little from the right and from above; those further right are drawn over it."""
    left, right = place.left, place.right
    low, high = place.middle - place.high / 2, place.middle + place.high / 2
    dx, dy = SLANT[0] * depth, SLANT[1] * depth
    faces = (
        (((left, high), (left + dx, high + dy), (right + dx, high + dy), (right, high)), 1.25),
        (((right, low), (right + dx, low + dy), (right + dx, high + dy), (right, high)), 0.78),
        (((left, low), (right, low), (right, high), (left, high)), 1.0),
    )
    for corners, light in faces:
        axes.add_patch(Polygon(corners, facecolor=_lit(colour, light), edgecolor="white", lw=0.5, zorder=2 + left))


def _lit(colour: str, light: float) -> Colour:
    red, green, blue = (min(1.0, part * light) for part in to_rgb(colour))
    return red, green, blue


def _draw_legend(axes: Axes, kinds: Sequence[str], pools: bool, bottom: float) -> None:
    x, y = 0.0, bottom + 0.22
    for kind in [kind for kind in COLOURS if kind in kinds or (kind == "pool" and pools)]:
        axes.add_patch(Polygon([(x, y - 0.06), (x + 0.14, y - 0.06), (x + 0.14, y + 0.06), (x, y + 0.06)],
                               color=COLOURS[kind]))  # fmt: skip
        axes.text(x + 0.2, y, NAMES[kind], va="center", fontsize=8, color=INK)
        x += 0.5 + 0.075 * len(NAMES[kind])
    axes.text(x + 0.1, y, "height: side of the map; thickness: channels", va="center", fontsize=8, color=FAINT)


def _short(number: int) -> str:
    """A count in at most four signs.

    >>> _short(464), _short(18_496), _short(2_359_552)
    ('464', '18 k', '2.4 M')
    """
    if number < 1000:
        return str(number)
    return f"{number / 1000:.0f} k" if number < 999_500 else f"{number / 1e6:.1f} M"
