"""Folds for data that have none, and parts of a fold: twins always together, kept as a table that `read` takes."""

from __future__ import annotations

import csv
import io
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np

from mien.errors import DataError, UsageError
from mien.learn.data.manifest import Manifest
from mien.unfinished import write_whole

COLUMNS = ("file", "age", "gender", "group", "fold", "coral")
BOUNDS = ("age_low", "age_high")

ALL = "all"
"""What stands for all folds together, unless a fold is called so."""


def usual_fold(manifest: Manifest, asked: str | None, usual: str | None = "test") -> str | None:
    """The fold to take: what was asked for, else the usual one where there is such, else none, that is all rows.

    Args:
        manifest: the rows with their folds.
        asked: a fold, or `ALL`; it need not exist.
        usual: the fold for the purpose, if there is one.
    """
    there = set(manifest.fold.tolist())
    if asked == ALL and ALL not in there:
        return None
    return asked or (usual if usual in there else None)


def cut_folds(manifest: Manifest, shares: Mapping[str, float], *, fold: str | None = None, seed: int = 0) -> Manifest:
    """Cut a manifest, or one fold of it, into parts at random; all other rows keep their folds.

    Args:
        manifest: rows to cut.
        shares: of each part, e.g. {"train-1": 0.5, "train-2": 0.5}.
        fold: the fold to cut; None for all rows.
        seed: another seed, another cut.

    Raises:
        UsageError: there is no such fold, the shares do not add up to 1, or a part is named as another fold is.
    """
    if fold is not None:
        manifest.select(fold=fold)  # tells which folds there are
    rows = np.full(len(manifest), True) if fold is None else manifest.fold == fold
    if taken := sorted(set(shares) & set(manifest.fold[~rows].tolist())):
        raise UsageError(f"there is a fold {taken[0]!r} already: give the part another name")
    parts = split_groups(manifest.take(rows), shares, seed).fold
    folds = manifest.fold.astype(object)
    folds[rows] = parts
    return replace(manifest, fold=folds.astype(np.str_))


def write(manifest: Manifest, path: Path) -> None:
    """Write the table of a manifest of one source, whole or not at all; its pictures stay where they are.

    Raises:
        DataError: the table cannot be written there.
    """
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    bounded = bool((manifest.aged & np.isnan(manifest.age)).any())
    writer.writerow(COLUMNS + BOUNDS if bounded else COLUMNS)
    for row in range(len(manifest)):
        age, female = manifest.age[row], int(manifest.female[row])
        writer.writerow(
            [
                manifest.files[row],
                "" if np.isnan(age) else int(age),
                "" if female < 0 else female,
                manifest.group[row],
                manifest.fold[row],
                manifest.coral[row],
                *(_years(manifest, row) if bounded else ()),
            ]
        )
    try:
        write_whole(path, text.getvalue().encode())
    except OSError as error:
        raise DataError(f"cannot write {path}: {error.strerror}") from error


def _years(manifest: Manifest, row: int) -> tuple[str, str]:
    """The bounds of an age that is not known better, as two cells."""
    low, high = manifest.age_low[row], manifest.age_high[row]
    return ("", "") if np.isnan(low) else (f"{low:g}", f"{high:g}")


def split_groups(manifest: Manifest, fractions: Mapping[str, float], seed: int = 0) -> Manifest:
    """Assign folds at random, twins always to the same one.

    Args:
        manifest: rows to split; their folds are replaced.
        fractions: share of each fold, e.g. {"train": 0.8, "val": 0.1, "test": 0.1}.
        seed: another seed, another split.

    Raises:
        UsageError: the shares do not add up to 1.
    """
    if min(fractions.values(), default=0) <= 0 or abs(sum(fractions.values()) - 1) > 1e-6:
        raise UsageError(f"the shares of the folds must be above 0 and add up to 1, not {dict(fractions)}")
    clusters: defaultdict[str, list[int]] = defaultdict(list)
    for row, twins in enumerate(manifest.twins.tolist()):
        clusters[twins or f"/{row}"].append(row)
    ordered = list(clusters.values())
    lacking = {name: share * len(manifest) for name, share in fractions.items()}
    folds = [""] * len(manifest)
    for i in np.random.default_rng(seed).permutation(len(ordered)):
        name = max(lacking, key=lacking.__getitem__)
        lacking[name] -= len(ordered[i])
        for row in ordered[i]:
            folds[row] = name
    return replace(manifest, fold=np.array(folds, dtype=np.str_))
