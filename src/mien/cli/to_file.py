"""`--output` for commands that only print: what they print goes to a file, which is whole or not there."""

from __future__ import annotations

import contextlib
import errno
import io
import os
from pathlib import Path
from typing import Annotated, Any

import typer

from mien.cli.closing import SOME_FAILED, Closed, name_file
from mien.errors import UsageError
from mien.names import discard, printable
from mien.unfinished import begin, unwritable


class Printing(Closed):
    """A command with `--output`, -o: as if its standard output were that file."""

    def __init__(self, *arguments: Any, **settings: Any) -> None:
        """As every command is made, with one option more."""
        super().__init__(*arguments, **settings)
        self.params.append(_output())

    def invoke(self, ctx: Any) -> Any:
        """Run the command, its output caught.

        Raises:
            UsageError: the file cannot be written.
        """
        given = ctx.params.pop("output", None)
        if given is None or str(given) == "-":
            return super().invoke(ctx)
        target = Path(given)
        try:
            if target.is_dir():
                raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
            part, stream = begin(target)
        except OSError as error:
            raise UsageError(unwritable(target, error)) from error
        name_file(printable(str(target)))
        whole = False
        try:
            with stream, io.TextIOWrapper(stream, "utf-8", "backslashreplace", newline="\n") as text:
                with contextlib.redirect_stdout(text):
                    result = super().invoke(ctx)
                whole = True
            return result
        except typer.Exit as end:
            whole = end.exit_code in {0, SOME_FAILED}
            raise
        finally:
            if whole:
                part.replace(target)
            else:
                discard(part)


def _output() -> Any:
    """The option, made by typer as those of other commands are."""
    made = typer.Typer(add_completion=False)

    @made.command()
    def command(
        *,
        output: Annotated[
            Path | None, typer.Option("--output", "-o", help="File to write.", show_default="standard output")
        ] = None,
    ) -> None:
        pass

    return next(option for option in typer.main.get_command(made).params if option.name == "output")
