"""A little SVG by hand: scales, ticks and shapes. Colours are classes, so that a page's light and dark styles rule."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from html import escape


@dataclass(frozen=True, slots=True)
class Axis:
    """Maps values to pixels, evenly or by their logarithm; values outside are cut to the ends."""

    low: float
    high: float
    start: float
    end: float
    log: bool = False

    def __call__(self, value: float) -> float:
        """Pixels.

        >>> Axis(0, 10, 100, 0)(2.5), Axis(1, 100, 0, 10, log=True)(10), Axis(0, 10, 100, 0)(99)
        (75.0, 5.0, 0.0)
        """
        low, high, at = (math.log(x) if self.log else x for x in (self.low, self.high, value))
        share = min(1.0, max(0.0, (at - low) / (high - low)))
        return self.start + share * (self.end - self.start)

    def ticks(self, count: int = 5) -> list[float]:
        """Round values inside, about `count`; for a logarithm powers of ten, with 2 and 5 times them if they are few.

        >>> Axis(0, 17, 0, 1).ticks(), Axis(2e5, 3e7, 0, 1, log=True).ticks()
        ([0.0, 5.0, 10.0, 15.0], [1000000.0, 10000000.0])
        """
        if self.log:
            powers = range(math.floor(math.log10(self.low)), math.ceil(math.log10(self.high)) + 1)
            tens = [10.0**power for power in powers if self.low <= 10.0**power <= self.high]
            between = [factor * 10.0**power for power in powers for factor in (1, 2, 5)]
            return tens if len(tens) > 1 else [value for value in between if self.low <= value <= self.high]
        rough = (self.high - self.low) / count
        unit = 10.0 ** math.floor(math.log10(rough))
        step = min((unit * factor for factor in (1, 2, 5, 10)), key=lambda size: abs(math.log(size / rough)))
        first = math.ceil(self.low / step - 1e-9)
        return [round(n * step, 10) for n in range(first, math.floor(self.high / step + 1e-9) + 1)]


@dataclass
class Drawing:
    """Collects shapes and becomes one `<svg>` element that scales with its place."""

    width: float
    height: float
    label: str
    parts: list[str] = field(default_factory=list)

    def line(self, x1: float, y1: float, x2: float, y2: float, kind: str) -> None:
        """A straight line."""
        self.parts.append(f'<line class="{kind}" x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}"/>')

    def curve(self, points: Iterable[tuple[float, float]], kind: str) -> None:
        """A line through points."""
        path = "L".join(f"{x:.1f} {y:.1f}" for x, y in points)
        if path:
            self.parts.append(f'<path class="{kind}" d="M{path}"/>')

    def path(self, steps: str, kind: str) -> None:
        """Whatever path."""
        if steps:
            self.parts.append(f'<path class="{kind}" d="{steps}"/>')

    def bar(self, corner: tuple[float, float], width: float, height: float, kind: str, title: str) -> None:
        """A filled bar below and right of its corner, with words for who points at it."""
        x, y = corner
        shape = f'<rect class="{kind}" x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" height="{height:.1f}"'
        self.parts.append(f"{shape}>{_title(title)}</rect>")

    def dot(self, x: float, y: float, radius: float, kind: str, title: str = "") -> None:
        """A filled circle, with words for who points at it."""
        shape = f'<circle class="{kind}" cx="{x:.1f}" cy="{y:.1f}" r="{radius:.1f}"'
        self.parts.append(f"{shape}>{_title(title)}</circle>" if title else f"{shape}/>")

    def text(self, x: float, y: float, text: str, kind: str = "tick", anchor: str = "start") -> None:
        """Words; `anchor` is start, middle or end."""
        self.parts.append(f'<text class="{kind}" x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{escape(text)}</text>')

    def x_axis(self, scale: Axis, y: float, marks: Sequence[tuple[float, str]], grid_to: float | None = None) -> None:
        """Tick labels below `y`; grid lines up to `grid_to`."""
        for value, text in marks:
            if grid_to is not None:
                self.line(scale(value), y, scale(value), grid_to, "grid")
            self.text(scale(value), y + 14, text, anchor="middle")

    def y_axis(self, scale: Axis, x: float, marks: Sequence[tuple[float, str]], grid_to: float | None = None) -> None:
        """Tick labels left of `x`; grid lines to `grid_to`."""
        for value, text in marks:
            if grid_to is not None:
                self.line(x, scale(value), grid_to, scale(value), "grid")
            self.text(x - 6, scale(value) + 3.5, text, anchor="end")

    def render(self) -> str:
        """The element."""
        head = f'<svg viewBox="0 0 {self.width:g} {self.height:g}" role="img" aria-label="{escape(self.label)}">'
        return head + "".join(self.parts) + "</svg>"


def _title(text: str) -> str:
    return f"<title>{escape(text)}</title>"
