"""What commands write: a report on standard output, or a file that is whole or not there; changes of a model."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import typer

from mien.errors import ModelError, UsageError
from mien.plain import plain_lines
from mien.unfinished import unwritable, write_whole


def write(text: str, output: Path | None) -> None:
    """Print a text, or write it to a file and print the file's name.

    Raises:
        UsageError: the file cannot be written.
    """
    if output is None:
        typer.echo(plain_lines(text) if sys.stdout.isatty() else text)
        return
    try:
        write_whole(output, (text.rstrip("\n") + "\n").encode("utf-8", "backslashreplace"))
    except OSError as error:
        raise UsageError(unwritable(output, error)) from error
    typer.echo(os.fsencode(output))  # names may be any bytes


def check_folders(*files: Path | None) -> None:
    """Refuse files that could not be written, before minutes of work rather than after them.

    Args:
        files: to write; None for those that nobody asked for.

    Raises:
        UsageError: the folder of one of them is not there.
    """
    for file in files:
        if file is not None and not file.parent.is_dir():
            raise UsageError(unwritable(file))


@contextmanager
def writing(folder: Path) -> Iterator[None]:
    """Around changes of a model."""
    try:
        yield
    except OSError as error:
        raise ModelError(f"cannot write to {folder}: {error.strerror}") from error
