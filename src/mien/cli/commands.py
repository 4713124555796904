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
from mien.cli.audit import audit
from mien.cli.baselines import baseline
from mien.cli.batch import batch
from mien.cli.bench import bench
from mien.cli.check_age import check_age
from mien.cli.closing import Closed, Explained, ExplainedGroup
from mien.cli.compare import compare, systems
from mien.cli.count import count, counts
from mien.cli.evaluate import evaluate
from mien.cli.explain import explain
from mien.cli.figures import figures
from mien.cli.interrupts import INTERRUPTED
from mien.cli.learn import average, calibrate, card, export, train
from mien.cli.models import doctor, models
from mien.cli.option_names import as_typed
from mien.cli.predict import predict
from mien.cli.process import drop_output, say
from mien.cli.report import report
from mien.cli.runs import combine, crossfit, score, slim, split
from mien.cli.serve import serve
from mien.cli.to_file import Printing
from mien.cli.video import video
from mien.cli.web import web
from mien.errors import MienError
from mien.names import printable
from mien.plain import plain, plain_lines

FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO, errno.EBADF, errno.EROFS}
"""What a disk says that takes no more, and what becomes of a stream that was closed."""


class _Edge(ExplainedGroup):
    """Where errors become a sentence and an exit code."""

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


app.command(rich_help_panel="Predict", no_args_is_help=True)(predict)
app.command(rich_help_panel="Predict", no_args_is_help=True)(batch)
app.command(name="check-age", rich_help_panel="Predict", no_args_is_help=True)(check_age)
app.command(rich_help_panel="Predict", no_args_is_help=True)(explain)
app.command(rich_help_panel="Predict", no_args_is_help=True)(video)
app.command(rich_help_panel="Predict", no_args_is_help=True)(count)
app.command(rich_help_panel="Predict")(counts)
app.command(rich_help_panel="Predict")(serve)
app.command(rich_help_panel="Predict", no_args_is_help=True)(web)
app.command(rich_help_panel="Predict")(models)
app.command(rich_help_panel="Predict", no_args_is_help=True)(bench)
app.command(rich_help_panel="Predict")(doctor)
app.command(rich_help_panel="Learn", no_args_is_help=True)(train)
app.command(rich_help_panel="Learn", no_args_is_help=True)(evaluate)
app.command(rich_help_panel="Learn", no_args_is_help=True)(calibrate)
app.command(rich_help_panel="Learn", no_args_is_help=True)(average)
app.command(rich_help_panel="Learn", no_args_is_help=True)(combine)
app.command(rich_help_panel="Learn", no_args_is_help=True)(split)
app.command(rich_help_panel="Learn", no_args_is_help=True)(crossfit)
app.command(rich_help_panel="Learn", no_args_is_help=True)(slim)
app.command(rich_help_panel="Learn", no_args_is_help=True)(score)
app.command(rich_help_panel="Learn", no_args_is_help=True)(export)
app.command(rich_help_panel="Learn", no_args_is_help=True)(card)
app.command(rich_help_panel="Compare")(systems)
app.command(rich_help_panel="Compare", no_args_is_help=True)(baseline)
app.command(rich_help_panel="Compare", no_args_is_help=True)(compare)
app.command(rich_help_panel="Compare", no_args_is_help=True)(figures)
app.command(rich_help_panel="Trust", no_args_is_help=True)(report)
app.add_typer(audit, rich_help_panel="Trust")

_PRINTING = {"check-age", "models", "bench", "doctor", "systems", "explanations", "robustness", "age-checks"}

for _command in (*app.registered_commands, *audit.registered_commands):
    _command.cls = Explained if _command.callback is serve else Closed  # serve ends when somebody stops it
    if (_command.name or getattr(_command.callback, "__name__", "")) in _PRINTING:
        _command.cls = Printing
