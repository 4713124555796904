"""`mien lab audit explanations`: whether what `mien explain` says can be trusted."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from mien.cli.extras import needs_extra
from mien.cli.labelled import note, read_faces, tell
from mien.cli.options import Data, Fold, Folds, MarkdownOrJson, ModelOrRun, Quiet, Threads
from mien.cli.output import check_folders
from mien.cli.predict.explain import FORMATS, METHODS
from mien.errors import UsageError


def explanations(
    model: ModelOrRun,
    *,
    data: Data,
    folds: Folds = None,
    fold: Fold = None,
    faces: Annotated[int, typer.Option(min=2, help="Measure on so many, chosen by age band and gender.")] = 500,
    methods: Annotated[
        list[str] | None,
        typer.Option(help=f"Of {', '.join(METHODS)}; with commas or repeated.", show_default="cam,occlusion"),
    ] = None,
    target: Annotated[str, typer.Option(help="What is explained: age or gender.")] = "age",
    seed: Annotated[int, typer.Option(help="Of the choice of faces, random maps and shuffled weights.")] = 0,
    form: MarkdownOrJson = "table",
    plot: Annotated[Path | None, typer.Option(help="Save the curves there, as PNG, SVG or PDF.")] = None,
    threads: Threads = 0,
    quiet: Quiet = False,
) -> None:
    """Measure whether answers change where the maps say, beside random maps and a blob in the middle."""
    from mien.cli.progress import ProgressBar
    from mien.estimate.maps import check_target
    from mien.learn.audits.opened_model import open_model
    from mien.learn.audits.robustness.robustness_audit import stratified
    from mien.sinks.records import encode

    with needs_extra("the audit of explanations"):
        from mien.learn.audits.explanations.audited_methods import audit_explanations, check_methods
        from mien.learn.audits.explanations.explanation_plots import plot as draw
    wanted = list(dict.fromkeys(name.strip() for text in methods or ["cam,occlusion"] for name in text.split(",")))
    check_target(target)
    check_methods(wanted)
    if form not in FORMATS:
        raise UsageError.unknown("format", form, FORMATS)
    check_folders(plot)
    fold = fold or ("test" if folds else None)
    some = stratified(read_faces(data, folds, fold), faces, seed)
    opened = open_model(model, some, tell)
    with ProgressBar(len(some), quiet=quiet) as bar:
        report = audit_explanations(
            opened, some, wanted, target=target, threads=threads, seed=seed, progress=bar.advance, report=note
        )
    if plot is not None:
        draw(report).savefig(plot, dpi=150)
    if form == "json":
        record = report.to_dict()
        record["settings"] |= {"data": str(data), "folds": folds and str(folds), "fold": fold}
        typer.echo(encode(record).decode())
    else:
        typer.echo(report.to_markdown())
