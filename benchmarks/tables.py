"""The tables of README and docs/results.md, from the evaluations in docs/results: `benchmarks/tables.py [MODEL]`."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

RESULTS = Path(__file__).resolve().parents[1] / "docs" / "results"
SUBSETS = {
    "all": "all ages, 0-116",
    "coral_clipped": "CORAL list, 21-60, clipped",
    "coral_unclipped": "CORAL list, unclipped",
    "coral_without_twins": "CORAL list without train twins, clipped",
}
BANDS = ("0-2", "3-9", "10-19", "20-29", "30-39", "40-49", "50-59", "60-69", "70+")


def main() -> None:
    """Print both tables and the figures that the texts quote."""
    model = sys.argv[1] if len(sys.argv) > 1 else "mien-m"
    print("| test fold of UTKFace | faces | MAE, years | within 5 years | gender right |")
    print("|---|---:|---:|---:|---:|")
    for name, note in ((model, ""), (f"{model}-mirror", ", `--mirror`")):
        subsets = load(name)["subsets"]
        for key, words in SUBSETS.items():
            age, gender = subsets[key]["age"], subsets[key]["gender"]
            cells = [str(age["n"]), cell(age["mae"], ".2f"), cell(age["cs5"], ".1f", 100) + " %"]
            print(f"| {words}{note} | {' | '.join(cells)} | {cell(gender['accuracy'], '.1f', 100)} % |")
    print("\n| age | faces | MAE, years | bias | gender right: women and girls | men and boys |")
    print("|---|---:|---:|---:|---:|---:|")
    subsets = load(model)["subsets"]
    for band in BANDS:
        age = subsets[band]["age"]
        genders = [cell(subsets[f"{band}_{g}"]["gender"]["accuracy"], ".1f", 100) + " %" for g in ("female", "male")]
        print(
            f"| {band} | {age['n']} | {cell(age['mae'], '.2f')} | {age['bias']['value']:+.2f} | {' | '.join(genders)} |"
        )
    whole = subsets["all"]
    coverage, width = whole["age"]["coverage"], whole["age"]["width"]
    print(f"\n90 % intervals hold {cell(coverage, '.1f', 100)} %, width {cell(width, '.1f')}")
    print(f"gender ECE {cell(whole['gender']['ece'], '.3f')}")
    if (RESULTS / f"{model}-float32.json").is_file():
        stored = load(f"{model}-float32")["subsets"]["all"]["age"]["mae"]["value"]
        print(f"MAE stored as float16 {whole['age']['mae']['value']:.4f}, as float32 {stored:.4f}")
    through = load(f"{model}-through-mtcnn")["through"]
    print(f"through mtcnn: {through['missed']} of {through['pictures']} missed")
    for key, words in (("found", "on faces found"), ("all", "missed ones taken whole")):
        for metric in ("mae", "accuracy"):
            print(f"  {metric} {words}: difference {cell(through[metric][key]['difference'], '+.4f')}")


def load(name: str) -> dict[str, Any]:
    """An evaluation, as `mien evaluate --format json` printed it."""
    record: dict[str, Any] = json.loads((RESULTS / f"{name}.json").read_text(encoding="utf-8"))
    return record


def cell(figure: dict[str, float], style: str, factor: float = 1) -> str:
    """A figure with its interval."""
    value, low, high = (figure[key] * factor for key in ("value", "low", "high"))
    return f"{value:{style}} [{low:{style}}, {high:{style}}]"


if __name__ == "__main__":
    main()
