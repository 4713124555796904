"""`mien audit age-checks`: how often `mien check-age` is wrong."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from mien.cli.answers import answers
from mien.cli.learn import needs_extra
from mien.errors import UsageError


def age_checks(
    model: Annotated[str, typer.Argument(help="Name of a model or its folder.")],
    *,
    data: Annotated[Path, typer.Option(help="Labelled chips: a folder or a CSV table.")],
    folds: Annotated[Path | None, typer.Option(help="CSV table of folds, and of labels if it has them.")] = None,
    fold: Annotated[
        str | None, typer.Option(help="Fold to measure on.", show_default="test where the data have folds, else all")
    ] = None,
    limit: Annotated[
        list[int] | None, typer.Option(help="Age limit in years; may be repeated.", show_default="13, 16, 18, 21")
    ] = None,
    max_false_pass: Annotated[float, typer.Option(help="Wanted rate of false passes.")] = 0.01,
    max_false_fail: Annotated[float, typer.Option(help="Wanted rate of false fails.")] = 0.01,
    predictions: Annotated[
        Path | None, typer.Option(help="Answers saved by [b]mien evaluate --predictions[/b]; the model need not run.")
    ] = None,
    form: Annotated[str, typer.Option("--format", help="table (Markdown) or json.")] = "table",
    plot: Annotated[Path | None, typer.Option(help="Save the drawing there, as PNG, SVG or PDF.")] = None,
    threads: Annotated[int, typer.Option(min=0, help="Cores to use; 0 for all.")] = 0,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No progress bar.")] = False,
) -> None:
    """Count false passes, false fails and unsure answers of age checks, by limit, age year and gender."""
    if form not in ("table", "json"):
        raise UsageError.unknown("format", form, ("table", "json"))
    if plot is not None and not plot.parent.is_dir():
        raise UsageError(f"there is no folder {plot.parent} to save {plot.name} in")
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
