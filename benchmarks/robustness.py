"""The robustness audits of several systems side by side, as a table.

    mien audit robustness runs/compact --data ... --folds ... --faces 200 --format json > compact.json
    .venv/bin/python benchmarks/robustness.py docs/results/robustness/*.json

A row a system: MAE of clean chips, then the MAE under each family of corruptions, as a multiple of it and a mean over
five severities, and the points of gender accuracy that are lost on average; last the corruption that hurts most.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

FAMILIES = ("light", "blur", "quality", "occlusion", "geometry", "all")


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("audits", nargs="+", type=Path, help="what `mien audit robustness --format json` printed")
    options = parser.parse_args()
    audits = [(path.stem, json.loads(path.read_text(encoding="utf-8"))) for path in options.audits]
    audits.sort(key=lambda one: (one[1]["means"]["all"].get("relative_mae") or {"value": 9e9})["value"])
    print(f"| system | faces | clean MAE | {' | '.join(FAMILIES)} | gender, clean | points lost | worst |")
    print("|---|---:|---:|" + "---:|" * len(FAMILIES) + "---:|---:|---|")
    for name, audit in audits:
        print(f"| {' | '.join(row(name, audit))} |")


def row(name: str, audit: dict[str, Any]) -> list[str]:
    """Cells of one system; an intervals' bounds are shown for the mean over all corruptions alone."""
    means, clean = audit["means"], audit["clean"]
    cells = [name, str(audit["faces"]), number(clean["mae"], "{:.2f}")]
    for family in FAMILIES:
        change = means[family]["relative_mae"]
        text = "{value:.2f} [{low:.2f}, {high:.2f}]" if family == "all" else "{value:.2f}"
        cells.append("" if change is None else text.format(**change))
    lost = means["all"]["gender_drop"]
    cells.append("" if clean["accuracy"] is None else f"{clean['accuracy']:.1%}")
    cells.append("" if lost is None else f"{100 * lost['value']:.1f}")
    measure = "relative_mae" if clean["mae"] is not None else "gender_drop"
    worst = max(audit["corruptions"], key=lambda one: audit["corruptions"][one][measure]["value"])
    value = audit["corruptions"][worst][measure]["value"]
    cells.append(f"{worst} ({value:.2f})" if measure == "relative_mae" else f"{worst} ({100 * value:.1f})")
    return cells


def number(value: float | None, form: str) -> str:
    """A number, or nothing."""
    return "" if value is None else form.format(value)


if __name__ == "__main__":
    main()
