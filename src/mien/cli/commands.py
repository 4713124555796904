"""The commands of `mien` and where their errors become a sentence and an exit code.

Exit codes: 0 all well (a photo without a face is well), 1 unexpected, 2 usage, 3 some photo failed, 4 model, 5 missing
extra, 6 data, 7 database, 130 interrupted.
"""

from __future__ import annotations

import errno
import traceback
from typing import Annotated, Any

import typer

from mien import __version__
from mien.cli.closing import Closed
from mien.cli.explained import Explained, ExplainedGroup
from mien.cli.interrupts import INTERRUPTED
from mien.cli.lab.commands import register
from mien.cli.learn.evaluate import evaluate
from mien.cli.learn.report import report
from mien.cli.learn.train import calibrate, export, train
from mien.cli.option_names import as_typed, bad_number
from mien.cli.predict.batch import batch
from mien.cli.predict.bench import bench
from mien.cli.predict.check_age import check_age
from mien.cli.predict.count import count, counts
from mien.cli.predict.explain import explain
from mien.cli.predict.models import doctor, models
from mien.cli.predict.predict import predict
from mien.cli.predict.serve import serve
from mien.cli.predict.video import video
from mien.cli.predict.web import web
from mien.cli.process import drop_output, say
from mien.cli.to_file import Printing
from mien.errors import MienError
from mien.names import printable
from mien.plain import plain, plain_lines

USAGE = 2
FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO, errno.EBADF, errno.EROFS}
"""What a disk says that takes no more, and what becomes of a stream that was closed."""


class _Edge(ExplainedGroup):
    """Where errors become a sentence and an exit code."""

    def make_context(self, *arguments: Any, **options: Any) -> Any:
        try:
            return super().make_context(*arguments, **options)
        except KeyboardInterrupt as error:  # typer would end without a word
            say("interrupted")
            raise typer.Exit(INTERRUPTED) from error

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except MienError as error:
            if ctx.params.get("verbose"):
                typer.echo(plain_lines("".join(traceback.format_exception(error))), err=True, nl=False)
            say(as_typed(error, self))
            raise typer.Exit(error.exit_code) from error
        except KeyboardInterrupt as error:
            say("interrupted")
            raise typer.Exit(INTERRUPTED) from error
        except BrokenPipeError as error:  # the reader has seen enough, e.g. `| head`
            drop_output()
            raise typer.Exit(0) from error
        except OSError as error:
            if error.errno not in FULL:
                raise
            drop_output()  # what is left there has no room either
            what = "the answers" if error.filename is None else printable(str(error.filename))
            say(f"{what} cannot be written: {error.strerror}")
            raise typer.Exit(1) from error
        except Exception as error:
            if (sentence := bad_number(error)) is not None:
                say(sentence)
                raise typer.Exit(USAGE) from error
            if isinstance(told := getattr(error, "message", None), str):  # click's own errors, which repeat what was
                error.message = plain(told)  # type: ignore[attr-defined]  # typed: a glob may have typed a file's name
            raise


app = typer.Typer(
    name="mien",
    cls=_Edge,
    help="Age and gender from photographs of faces, on a plain CPU and offline.",
    no_args_is_help=True,
    add_completion=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _version(asked: bool) -> None:
    if asked:
        typer.echo(f"mien {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    _version: Annotated[
        bool, typer.Option("--version", "-V", callback=_version, is_eager=True, help="Show the version and exit.")
    ] = False,
    verbose: Annotated[
        bool, typer.Option("--verbose", "-v", help="Where a command fails, show too where in the code that was.")
    ] = False,
) -> None:
    pass


COMMANDS = {
    "Predict": (predict, check_age, video, count, counts, batch, serve, web, explain),
    "This machine": (models, doctor, bench),
    "Make and judge models": (train, calibrate, evaluate, report, export),
}
WITHOUT_ARGUMENTS = (counts, serve, models, doctor)

PRINTING = (check_age, models, bench, doctor)
"""What prints, and writes with -o."""

for _panel, _commands in COMMANDS.items():
    for _command in _commands:
        _kind: type[Closed | Explained] = Printing if _command in PRINTING else Closed
        if _command is serve:  # it ends when somebody stops it
            _kind = Explained
        app.command(cls=_kind, rich_help_panel=_panel, no_args_is_help=_command not in WITHOUT_ARGUMENTS)(_command)
register(app)
