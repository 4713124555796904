"""`mien lab audit age-checks`: how often `mien check-age` is wrong."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from mien.cli.audit.answers import answers
from mien.cli.extras import needs_extra
from mien.cli.options import Data, Fold, Folds, MarkdownOrJson, Model, Predictions, Quiet, Threads
from mien.cli.output import check_folders
from mien.errors import UsageError


def age_checks(
    model: Model,
    *,
    data: Data,
    folds: Folds = None,
    fold: Fold = None,
    limit: Annotated[
        list[int] | None, typer.Option(help="Age limit in years; may be repeated.", show_default="13, 16, 18, 21")
    ] = None,
    max_false_pass: Annotated[float, typer.Option(help="Wanted rate of false passes.")] = 0.01,
    max_false_fail: Annotated[float, typer.Option(help="Wanted rate of false fails.")] = 0.01,
    predictions: Predictions = None,
    form: MarkdownOrJson = "table",
    plot: Annotated[Path | None, typer.Option(help="Save the drawing there, as PNG, SVG or PDF.")] = None,
    threads: Threads = 0,
    quiet: Quiet = False,
) -> None:
    """Count false passes, false fails and unsure answers of age checks, by limit, age year and gender."""
    if form not in ("table", "json"):
        raise UsageError.unknown("format", form, ("table", "json"))
    check_folders(plot)
    with needs_extra("auditing"):
        from mien.learn.audits.age_checks.age_check_audit import LIMITS, measure
    from mien.estimate import bundle
    from mien.sinks.records import encode

    checks = bundle.read(bundle.find(model)).age_checks()
    _, found, faces = answers(model, data, folds, fold, saved=predictions, threads=threads, quiet=quiet)
    report = measure(
        found, faces, checks, limits=limit or LIMITS, max_false_pass=max_false_pass, max_false_fail=max_false_fail
    )
    if plot is not None:
        with needs_extra("drawing"):
            from mien.learn.audits.age_checks.age_check_plots import plot as draw
        draw(report).savefig(plot, dpi=110)
    typer.echo(encode(report.to_dict()).decode() if form == "json" else report.to_markdown())
