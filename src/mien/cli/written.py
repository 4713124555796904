"""Where a report goes: standard output, or a file that is whole or not there."""

from __future__ import annotations

from pathlib import Path

import typer

from mien.errors import UsageError
from mien.names import discard


def write(text: str, output: Path | None) -> None:
    """Print a text, or write it to a file and print the file's name.

    Raises:
        UsageError: the file cannot be written.
    """
    if output is None:
        typer.echo(text)
        return
    part = output.with_name(f".{output.name}.part")
    try:
        part.write_text(text.rstrip("\n") + "\n", encoding="utf-8", errors="backslashreplace")
        part.replace(output)
    except OSError as error:
        discard(part)
        raise UsageError(f"cannot write {output}: {error.strerror}") from error
    typer.echo(str(output))
