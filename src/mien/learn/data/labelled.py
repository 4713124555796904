"""The labelled pictures that a measurement is made on: one fold of a data set, the usual one if none is named."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from mien.learn.data.counting import Report, unheard
from mien.learn.data.folds import usual_fold
from mien.learn.data.manifest import Manifest
from mien.learn.data.readers import read


def labelled(
    data: Path,
    folds: Path | None = None,
    fold: str | None = None,
    usual: str | None = None,
    *,
    only: str | None = None,
    report: Report = unheard,
) -> Manifest:
    """The pictures of one fold.

    Args:
        data: a folder or a table.
        folds: table of folds.
        fold: which to take; "all" for all of them; None: the usual one where the data have it, else all.
        usual: the fold for the purpose, if there is one.
        only: of a table the rows of this source.
        report: told what is odd about the data, and which fold was taken where none was named.

    Raises:
        DataError: the data are not there, or are no labelled pictures.
        UsageError: there is no such fold or source, or a table of folds lacks the usual fold.
    """
    faces = read(data, folds)
    if only is not None:
        faces = faces.of_source(only)
    taken = usual_fold(faces, fold or (usual if folds else None), usual)
    there = sorted(set(faces.fold.tolist()) - {""})
    whole = len(faces)
    if taken is not None:
        faces = faces.select(fold=taken)
    if usual and fold is None and folds is None and there:
        named = (
            f"fold {taken}, {len(faces)} of {whole} pictures"
            if taken
            else f"all {whole} pictures, folds {listed(there)}"
        )
        report(f"{named} of {data} (choose with --fold, all for all)")
    if faces.problems:
        report(f"{len(faces.problems)} problems in the data, first: {faces.problems[0]}")
    return faces


def listed(names: Sequence[str]) -> str:
    """Words with commas and an "and".

    >>> listed(["a", "b", "c"])
    'a, b and c'
    """
    return " and ".join(filter(None, (", ".join(names[:-1]), *names[-1:])))
