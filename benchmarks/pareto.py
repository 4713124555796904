"""Accuracy against arithmetic: our systems beside figures known from elsewhere, as a picture and a table.

    .venv/bin/python benchmarks/pareto.py --output docs/images/pareto.png

Ours are read from docs/results/systems.json (`mien lab compare`), all on the test fold of UTKFace. The others are those
that the project's brief names for UTKFace, 0-116 years; their splits differ from ours and from each other, and their
multiply-adds are the architectures' usual ones at 224 px. Needs the extra train.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import dataclass
from pathlib import Path

from matplotlib.figure import Figure

ROOT = Path(__file__).resolve().parents[1]
INK, FAINT, OURS, REBUILT, KNOWN = "#1c2733", "#6b7682", "#b5431f", "#2f6690", "#8a929b"


@dataclass(frozen=True)
class Point:
    """A model: millions of multiply-adds a face, MAE in years, gender accuracy, and whose it is."""

    name: str
    work: float
    mae: float
    gender: float | None
    kind: str


PARTS = ("expert-", "hybrid-cnn", "hybrid-lstm", "hybrid-gru", "separate-", "mien-m-", "mien-s-")
"""Runs that are parts or earlier steps of others."""

BELOW = (
    "Regularised CNN, age class",
    "Gated VGG16 experts",
    "MobileNetV3-S, ImageNet",
)
"""Points with a neighbour right above: their names go below."""

KNOWN_ELSEWHERE = (
    Point("MobileNetV3-S, from scratch", 56, 5.15, 0.926, "known"),
    Point("MobileNetV3-S, ImageNet", 56, 4.73, 0.939, "known"),
    Point("SENet-50, VGGFace2", 3870, 4.58, 0.949, "known"),
    Point("ResNet-50, IMDB-WIKI", 4090, 4.38, None, "known"),
    Point("ViT-B, 20 M faces (record)", 17560, 3.87, None, "known"),
)


def main() -> None:
    """Draw and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--systems", type=Path, default=ROOT / "docs" / "results" / "systems.json")
    parser.add_argument("--output", type=Path, default=ROOT / "docs" / "images" / "pareto.png")
    options = parser.parse_args()
    points = [*read(options.systems), *KNOWN_ELSEWHERE]
    draw(points).savefig(options.output, dpi=130)
    print("| model | million multiply-adds | MAE, years | gender |\n|---|---:|---:|---:|")
    for point in sorted(points, key=lambda one: one.mae):
        gender = "" if point.gender is None else f"{point.gender:.1%}"
        star = " (known)" if point.kind == "known" else ""
        print(f"| {point.name}{star} | {point.work:,.0f} | {point.mae:.2f} | {gender} |")


def read(path: Path) -> list[Point]:
    """Networks of the comparison that answer ages of everybody, without the parts of others."""
    found = []
    for run in json.loads(path.read_text(encoding="utf-8"))["runs"]:
        figures = run["figures"]
        if "mae" not in figures or run["system"] == "baseline" or run["name"].startswith(PARTS):
            continue
        gender = figures["accuracy"]["value"] if "accuracy" in figures else None
        kind = "ours" if run["system"] == "mien" else "rebuilt"
        found.append(Point(run["title"], run["multiply_adds"] / 1e6, figures["mae"]["value"], gender, kind))
    return found


def draw(points: list[Point]) -> Figure:
    """The picture; lower and further left is better."""
    figure = Figure(figsize=(8.6, 5.2), layout="constrained")
    axes = figure.subplots()
    front: list[Point] = []
    for point in sorted(points, key=lambda one: (one.work, one.mae)):
        if not front or point.mae < front[-1].mae:
            front.append(point)
    axes.step([p.work for p in front], [p.mae for p in front], where="post", color=FAINT, lw=1, ls=":", zorder=1)
    looks = {"ours": (OURS, "o", "mien"), "rebuilt": (REBUILT, "s", "published systems, rebuilt here")}
    looks["known"] = (KNOWN, "^", "known figures, other splits")
    for kind, (colour, marker, label) in looks.items():
        mine = [point for point in points if point.kind == kind]
        xs, ys = [point.work for point in mine], [point.mae for point in mine]
        axes.scatter(xs, ys, c=colour, marker=marker, s=70 if kind == "ours" else 42, label=label, zorder=3)
    for point in points:
        bold = "bold" if point.kind == "ours" else "normal"
        left = point.work > 5000 or point.name == "mien-s"
        axes.annotate(
            point.name,
            (point.work, point.mae),
            xytext=(-7 if left else 7, -13 if point.name in BELOW else 4),
            textcoords="offset points",
            ha="right" if left else "left",
            fontsize=8,
            color=looks[point.kind][0],
            fontweight=bold,
        )
    axes.set_xscale("log")
    axes.set_xlim(18, 30000)
    axes.set_xlabel("million multiply-adds a face", color=INK)
    axes.set_ylabel("mean absolute error, years", color=INK)
    axes.set_title("Age on UTKFace, 0-116 years: lower and further left is better", loc="left", color=INK, fontsize=11)
    axes.grid(color="#e4e7ea", lw=0.6)
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False, fontsize=8.5, loc="upper right")
    return figure


if __name__ == "__main__":
    main()
