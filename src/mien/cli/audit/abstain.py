"""`mien lab audit abstain`: what share of faces gets no gender at a threshold, and how many errors that avoids."""

from __future__ import annotations

from typing import Annotated

import typer

from mien.cli.audit.answers import answers
from mien.cli.extras import needs_extra
from mien.cli.options import Data, Fold, Folds, MarkdownOrJson, Model, OutputFile, Predictions, Quiet, Threads
from mien.cli.output import check_folders, write
from mien.errors import UsageError
from mien.results import ABSTAIN


def abstain(
    model: Model,
    *,
    data: Data,
    folds: Folds = None,
    fold: Fold = None,
    at: Annotated[
        float, typer.Option(metavar="P", min=0.5, max=1, help="Threshold that is shown for each age band.")
    ] = ABSTAIN,
    predictions: Predictions = None,
    form: MarkdownOrJson = "table",
    output: OutputFile = None,
    threads: Threads = 0,
    quiet: Quiet = False,
) -> None:
    """Count the faces that `--abstain` leaves without a gender, and the errors that this avoids, by age band.

    The default of `--abstain` is chosen from this table of a validation fold.
    """
    from mien.sinks.records import encode

    if form not in ("table", "json"):
        raise UsageError.unknown("format", form, ("table", "json"))
    check_folders(output)
    with needs_extra("auditing"):
        from mien.learn.audits.calibration.abstain import measure
    _, found, faces = answers(model, data, folds, fold, saved=predictions, threads=threads, quiet=quiet)
    report = measure(found, faces, at=at)
    write(encode(report.to_dict()).decode() if form == "json" else report.to_markdown(), output)
