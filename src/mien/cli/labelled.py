"""The labelled pictures that a command works on."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    from mien.learn.data.manifest import Manifest


def read_faces(
    data: Path, folds: Path | None, fold: str | None, usual: str | None = None, *, only: str | None = None
) -> Manifest:
    """The pictures of one fold; what is odd about the data, or that the fold was not asked for, goes to standard error.

    Args:
        data: a folder or a table.
        folds: table of folds.
        fold: which to take; "all" for all of them; None: the usual one where the data have it, else all.
        usual: the fold for the purpose, if there is one.
        only: of a table the rows of this source.

    Raises:
        UsageError: there is no such fold or source, or a table of folds lacks the usual fold.
    """
    from mien.learn.data.folds import usual_fold
    from mien.learn.data.readers import read

    faces = read(data, folds)
    if only is not None:
        faces = faces.of_source(only)
    taken = usual_fold(faces, fold or (usual if folds else None), usual)
    there = sorted(set(faces.fold.tolist()) - {""})
    listed = len(faces)
    if taken is not None:
        faces = faces.select(fold=taken)
    if usual and fold is None and folds is None and there:
        named = (
            f"fold {taken}, {len(faces)} of {listed} pictures"
            if taken
            else f"all {listed} pictures, folds {_listed(there)}"
        )
        typer.echo(f"mien: {named} of {data} (choose with --fold, all for all)", err=True)
    if faces.problems:
        typer.echo(f"mien: {len(faces.problems)} problems in the data, first: {faces.problems[0]}", err=True)
    return faces


def _listed(names: list[str]) -> str:
    """Names with commas and an "and"."""
    return " and ".join(filter(None, (", ".join(names[:-1]), names[-1])))
