"""`mien lab audit fairness`: whether a model serves some groups of people worse than others."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mien.cli.audit.answers import answers
from mien.cli.extras import needs_extra
from mien.cli.options import Data, Fold, Folds, MinFaces, Model, OutputFile, Predictions, Quiet, Threads
from mien.cli.output import check_folders, write
from mien.errors import UsageError

if TYPE_CHECKING:
    from mien.learn.audits.fairness.fairness_report import FairnessReport

FORMATS = ("table", "json")
SUFFIXES = {".md": "table", ".json": "json"}
DRAWINGS = (".png", ".svg", ".pdf")


def fairness(
    model: Model,
    *,
    data: Data,
    folds: Folds = None,
    fold: Fold = None,
    by: Annotated[
        list[str] | None,
        typer.Option(help="race, gender or age-band, as the data state them. Repeat it to cross them."),
    ] = None,
    predictions: Predictions = None,
    form: Annotated[
        str | None,
        typer.Option("--format", help="table (Markdown) or json.", show_default="as --output ends, else table"),
    ] = None,
    output: OutputFile = None,
    plot: Annotated[Path | None, typer.Option(help="Save the plot there, as PNG, SVG or PDF.")] = None,
    min_faces: MinFaces = 30,
    level: Annotated[float, typer.Option(help="Share of true ages that the model's intervals are to hold.")] = 0.9,
    threads: Threads = 0,
    quiet: Quiet = False,
) -> None:
    """Measure a model on each group of faces, as they are and at equal ages, and the largest gaps between groups."""
    from mien.estimate import bundle
    from mien.learn.audits.fairness.fairness_audit import measure
    from mien.learn.audits.groups import named, stated
    from mien.learn.data.readers import read

    chosen_form = _form(form, output)
    if not 0 < level < 1:
        raise UsageError(f"--level must lie between 0 and 1, not {level}")
    _check_files(output, plot)
    groups = named(by or [])
    found = bundle.read(bundle.find(model))
    calibration = found.calibration()
    fold = fold or ("test" if folds else None)
    stated(groups, read(data, folds))  # before minutes of work rather than after them
    _, given, faces = answers(model, data, folds, fold, saved=predictions, threads=threads, quiet=quiet)
    report = measure(given, faces, by=groups, calibration=calibration, interval_level=level, min_faces=min_faces)
    if plot is not None:
        with needs_extra("drawing"):
            from mien.learn.audits.fairness.fairness_plots import plot as draw
        draw(report).savefig(plot, dpi=150)
    told = {"data": data, "folds": folds, "fold": fold, "predictions": predictions}
    write(_text(report, chosen_form, told), output)


def _form(form: str | None, output: Path | None) -> str:
    if form == "html" or (form is None and output is not None and output.suffix.lower() in {".html", ".htm"}):
        raise UsageError("the page is made by mien report --part fairness; here give an --output in .md or .json")
    if form is None:
        form = "table" if output is None else SUFFIXES.get(output.suffix.lower(), "")
        if not form:
            raise UsageError(f"{output} does not end in .md or .json: say --format")
    if form not in FORMATS:
        raise UsageError.unknown("format", form, FORMATS)
    return form


def _check_files(output: Path | None, plot: Path | None) -> None:
    """Before minutes of work rather than after them."""
    check_folders(output, plot)
    if plot is not None and plot.suffix.lower() not in DRAWINGS:
        raise UsageError.unknown("kind of drawing", plot.suffix, DRAWINGS)


def _text(report: FairnessReport, form: str, told: dict[str, Any]) -> str:
    from mien.sinks.records import encode

    if form == "table":
        return report.to_markdown()
    record = report.to_dict()
    record["settings"] |= {name: value and str(value) for name, value in told.items()}
    return encode(record).decode()
