"""`mien audit abstain`: what share of faces gets no gender at a threshold, and how many errors that avoids."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from mien.cli.answers import answers
from mien.cli.learn import Data, Folds, Model, Threads, needs_extra
from mien.cli.written import write
from mien.errors import UsageError
from mien.results import ABSTAIN


def abstain(
    model: Model,
    *,
    data: Data,
    folds: Folds = None,
    fold: Annotated[
        str | None, typer.Option(help="Fold to measure on.", show_default="test where the data have folds, else all")
    ] = None,
    at: Annotated[
        float, typer.Option(metavar="P", min=0.5, max=1, help="Threshold that is shown for each age band.")
    ] = ABSTAIN,
    predictions: Annotated[
        Path | None, typer.Option(help="Answers saved by [b]mien evaluate --predictions[/b]; the model need not run.")
    ] = None,
    form: Annotated[str, typer.Option("--format", help="table (Markdown) or json.")] = "table",
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="File to write.", show_default="standard output")
    ] = None,
    threads: Threads = 0,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No progress bar.")] = False,
) -> None:
    """Count the faces that `--abstain` leaves without a gender, and the errors that this avoids, by age band.

    The default of `--abstain` is chosen from this table of a validation fold.
    """
    from mien.sinks.records import encode

    if form not in ("table", "json"):
        raise UsageError.unknown("format", form, ("table", "json"))
    if output is not None and not output.parent.is_dir():
        raise UsageError(f"there is no folder {output.parent} to save {output.name} in")
    with needs_extra("auditing"):
        from mien.learn.audits.calibration.abstain import measure
    _, found, faces = answers(model, data, folds, fold, saved=predictions, threads=threads, quiet=quiet)
    report = measure(found, faces, at=at)
    write(encode(report.to_dict()).decode() if form == "json" else report.to_markdown(), output)
