"""The labelled pictures that a command works on, and how it tells of them on standard error."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    from mien.learn.data.manifest import Manifest


def tell(line: str) -> None:
    """One line of a run, on standard error."""
    typer.echo(line, err=True)


def note(line: str) -> None:
    """One line to know before trusting what comes, on standard error."""
    typer.echo(f"mien: {line}", err=True)


def bar(quiet: bool) -> Callable[[int], AbstractContextManager[Callable[[int], None]]]:
    """Progress bars as the verbs of `mien.learn` take them."""

    @contextmanager
    def shown(total: int) -> Iterator[Callable[[int], None]]:
        from mien.cli.progress import ProgressBar

        with ProgressBar(total, quiet=quiet) as started:
            yield started.advance

    return shown


def read_faces(
    data: Path, folds: Path | None, fold: str | None, usual: str | None = None, *, only: str | None = None
) -> Manifest:
    """The pictures of one fold, see `mien.learn.data.labelled`; what is odd about the data goes to standard error."""
    from mien.learn.data.labelled import labelled

    return labelled(data, folds, fold, usual, only=only, report=note)
