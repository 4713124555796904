"""How far the labels of UTKFace disagree with themselves: groups of near-identical pictures, by age band.

    .venv/bin/python benchmarks/label_noise.py ../shared/data/utkface/splits.csv

A group's band is that of the mean of its ages. Of two labels of one face at least one is wrong, so a band in which a
share d of the pairs disagrees about gender has at least d / 2 wrong labels among these faces; the mean difference of
two ages is what an answer that is right for one of them would show as error for the other. Near-identical pictures are
often the same file crawled twice, so that they say nothing of faces that were found once. Reads names and labels only.
"""

from __future__ import annotations

import csv
import sys
from collections import defaultdict
from itertools import combinations
from pathlib import Path

BANDS = ((0, 2), (3, 9), (10, 19), (20, 29), (30, 39), (40, 49), (50, 59), (60, 69), (70, 116))


def main() -> None:
    """Print the table."""
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    groups: defaultdict[str, list[tuple[int, str]]] = defaultdict(list)
    with Path(sys.argv[1]).open(newline="", encoding="utf-8") as file:
        for row in csv.DictReader(file):
            if row["group"] and row["fold"] in ("train", "val", "test") and row["age"] and row["gender"]:
                groups[row["group"]].append((int(row["age"]), row["gender"]))
    print("| age | groups | pairs that disagree about gender | mean difference of two ages, years |")
    print("|---|---:|---:|---:|")
    for first, last in (*BANDS, (0, 116)):
        inside = [group for group in groups.values() if len(group) > 1 and first <= mean_age(group) < last + 1]
        pairs = [pair for group in inside for pair in combinations(group, 2)]
        split = sum(one[1] != other[1] for one, other in pairs) / len(pairs)
        apart = sum(abs(one[0] - other[0]) for one, other in pairs) / len(pairs)
        name = "all" if (first, last) == (0, 116) else f"{first}-{last}"
        print(f"| {name} | {len(inside)} | {split:.1%} of {len(pairs)} | {apart:.1f} |")


def mean_age(group: list[tuple[int, str]]) -> float:
    """Mean of the ages a group was given."""
    return sum(age for age, _ in group) / len(group)


if __name__ == "__main__":
    main()
