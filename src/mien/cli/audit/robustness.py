"""`mien lab audit robustness`: what bad light, blur, noise, masks and careless crops cost a model."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from mien.cli.extras import needs_extra
from mien.cli.labelled import read_faces, tell
from mien.cli.options import Data, Fold, Folds, MarkdownOrJson, ModelOrRun, Quiet, Threads
from mien.cli.output import check_folders
from mien.errors import UsageError

FORMATS = ("table", "json")


def robustness(
    model: ModelOrRun,
    *,
    data: Data,
    folds: Folds = None,
    fold: Fold = None,
    only: Annotated[
        list[str] | None, typer.Option("--only", help="A corruption or a family of them; may be repeated.")
    ] = None,
    light: Annotated[
        bool, typer.Option("--light", help="Light only: brightness, contrast, gamma, cast shadow.")
    ] = False,
    faces: Annotated[int, typer.Option(min=1, help="Measure on so many, chosen by age band and gender.")] = 1000,
    full: Annotated[bool, typer.Option("--full", help="Measure on all faces of the fold.")] = False,
    seed: Annotated[int, typer.Option(help="Of the choice of faces and of all chance in the corruptions.")] = 0,
    form: MarkdownOrJson = "table",
    plot: Annotated[Path | None, typer.Option(help="Save the heat map there, as PNG, SVG or PDF.")] = None,
    grid: Annotated[Path | None, typer.Option(help="Save one face under all corruptions there.")] = None,
    photo: Annotated[
        Path | None, typer.Option(help="Photo of the face for --grid.", show_default="a sample portrait")
    ] = None,
    threads: Threads = 0,
    quiet: Quiet = False,
) -> None:
    """Measure a model on corrupted chips, five severities each, beside the same chips as they are."""
    from mien.cli.progress import ProgressBar
    from mien.learn.audits.opened_model import open_model
    from mien.learn.audits.robustness.robustness_audit import chips, measure, stratified
    from mien.learn.data.corruptions import chosen
    from mien.runtime.cores import physical_cores
    from mien.sinks.records import encode

    if form not in FORMATS:
        raise UsageError.unknown("format", form, FORMATS)
    check_folders(plot, grid)
    names = chosen([*(only or []), *(["light"] if light else [])] or None)
    if grid is not None:
        _save_grid(grid, photo, names, seed)
    cores = threads or physical_cores()
    everyone = read_faces(data, folds, fold, "test").present()
    some = everyone if full else stratified(everyone, faces, seed)
    opened = open_model(model, some, tell)
    with ProgressBar(chips(len(some), names), quiet=quiet) as bar:
        report = measure(
            opened.estimator,
            some,
            names=names,
            model=opened.name,
            prepare=opened.prepare,
            threads=cores,
            seed=seed,
            progress=bar.advance,
        )
    if plot is not None:
        with needs_extra("drawing"):
            from mien.learn.audits.robustness.robustness_plots import heat_map
        heat_map(report).savefig(plot, dpi=150)
    if form == "json":
        chosen_by = {"data": str(data), "folds": folds and str(folds), "fold": fold, "full": full}
        record = report.to_dict()
        record["settings"] |= chosen_by
        typer.echo(encode(record).decode())
    else:
        typer.echo(report.to_markdown())


def _save_grid(file: Path, photo: Path | None, names: list[str], seed: int) -> None:
    with needs_extra("drawing"):
        from mien.learn.audits.robustness.robustness_plots import grid
        from mien.learn.data import samples
    chip = samples.sample_chip(samples.sample_photo(photo))
    grid(chip, names, seed).savefig(file, dpi=150)
