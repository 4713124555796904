"""Where a report goes: standard output, or a file that is whole or not there."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import typer

from mien.errors import UsageError
from mien.plain import plain_lines
from mien.unfinished import write_whole


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
        raise UsageError(f"cannot write {output}: {error.strerror}") from error
    typer.echo(os.fsencode(output))  # names may be any bytes
