"""`mien evaluate`: what a model is worth, on chips or whole photographs, on one collection or on several at once."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from mien.cli.extras import needs_extra
from mien.cli.labelled import bar, note
from mien.cli.options import DetectorWeights, Fold, Folds, Model, OutputFile, Quiet, Threads
from mien.cli.output import check_folders, write
from mien.errors import UsageError

if TYPE_CHECKING:
    from mien.learn.evaluation.home_and_abroad import Abroad

POINTS: dict[str, Literal["expectation", "median"]] = {"mean": "expectation", "median": "median"}
FORMATS = ("table", "markdown", "json", "html")
SUFFIXES = {".json": "json", ".md": "table", ".html": "html", ".htm": "html"}


def evaluate(
    model: Model,
    *,
    data: Annotated[
        Path | None, typer.Option(help="Labelled chips, or with --photos photographs: a folder or a CSV table.")
    ] = None,
    folds: Folds = None,
    fold: Fold = None,
    only: Annotated[
        str | None, typer.Option(metavar="SOURCE", help="Of a table with a column source, the rows of this one.")
    ] = None,
    photos: Annotated[
        bool,
        typer.Option(
            "--photos",
            help="Pictures are whole photographs: find the face (the largest, or the one nearest to the point in the "
            "columns x and y), cut it and answer as [b]mien predict[/b] does; faces that are not found are counted.",
        ),
    ] = False,
    detector: Annotated[str, typer.Option(help="What finds the faces of photographs: mtcnn, haar or yunet.")] = "mtcnn",
    min_face: Annotated[int, typer.Option(help="Smallest face to look for in photographs, in pixels.")] = 30,
    collections: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="YAML file of named collections ([b]docs/training.md[/b]) to measure on, in place of --data: home and "
            "abroad in one page.",
        ),
    ] = None,
    collection: Annotated[
        list[str] | None, typer.Option(metavar="NAME", help="Of these collections this one alone; may be repeated.")
    ] = None,
    choosing: Annotated[
        bool, typer.Option("--choosing", help="Measure the folds of each collection that may choose between models.")
    ] = False,
    through: Annotated[
        str | None,
        typer.Option(
            metavar="DETECTOR", help="Pad each chip into a larger picture in which the detector has to find it."
        ),
    ] = None,
    weights: DetectorWeights = None,
    mirror: Annotated[bool, typer.Option("--mirror", help="Average with the mirror image.")] = False,
    point: Annotated[str, typer.Option(help="Estimate that is measured: mean or median.")] = "mean",
    form: Annotated[
        str | None,
        typer.Option(
            "--format",
            help="table (Markdown), json, or html with --collections.",
            show_default="as --output ends, else table",
        ),
    ] = None,
    output: OutputFile = None,
    predictions: Annotated[
        Path | None,
        typer.Option(help="Save all answers there, as Parquet; with --collections a folder with a file for each."),
    ] = None,
    against: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Saved answers of another model: which differences to it are real?"),
    ] = None,
    threads: Threads = 0,
    quiet: Quiet = False,
) -> None:
    """Measure a model on labelled chips or photographs, with bootstrap intervals."""
    from mien import learn
    from mien.learn.evaluation.measuring import evaluate_collections
    from mien.sinks.records import encode

    chosen = _form(form, output, several=collections is not None)
    single: dict[str, Any] = {
        "data": data,
        "folds": folds,
        "fold": fold,
        "only": only,
        "photos": photos,
        "through": through,
    }
    _check_what(single | {"against": against}, {"collection": collection, "choosing": choosing}, collections)
    _check_how(point, detector, through, predictions)
    how: dict[str, Any] = {
        "detector": detector,
        "weights": weights,
        "min_face": min_face,
        "mirror": mirror,
        "point": POINTS[point],
        "threads": threads,
        "progress": bar(quiet),
        "report": note,
    }
    if collections is not None:
        several = evaluate_collections(
            model, collections, names=collection or (), choosing=choosing, answers=predictions, **how
        )
        with needs_extra("measuring collections"):
            write(_page(several, collections) if chosen == "html" else _text(several, chosen), output)
    if data is None:
        return
    found = learn.evaluate(model, **single, against=against, answers=predictions, **how)
    if chosen == "json":
        record = found.to_dict()
        record["settings"] |= {"data": str(data), "folds": folds and str(folds)}
        write(encode(record).decode(), output)
    else:
        write(found.to_table(), output)


def _check_how(point: str, detector: str, through: str | None, predictions: Path | None) -> None:
    """Words that mean nothing and places that are not there, before minutes of work rather than after them."""
    if point not in POINTS:
        raise UsageError.unknown("point", point, POINTS)
    if "whole" in (detector, through):
        option = "--detector" if detector == "whole" else "--through"
        raise UsageError(f"whole finds no faces in pictures: give another detector to {option}")
    check_folders(predictions)


def _check_what(single: Mapping[str, object], several: Mapping[str, object], collections: Path | None) -> None:
    """Options for one collection and those for several exclude each other, and padding is for chips."""
    if single["data"] is None and collections is None:
        raise UsageError("say what to measure on: --data or --collections")
    if collections is not None and (given := [name for name, value in single.items() if value]):
        raise UsageError(f"--{given[0]} is for one collection: state it in {collections}")
    if collections is None and (given := [name for name, value in several.items() if value]):
        raise UsageError(f"--{given[0]} needs --collections")
    if single["photos"] and single["through"]:
        raise UsageError("--through pads chips into pictures: photographs (--photos) need no padding")


def _form(form: str | None, output: Path | None, *, several: bool) -> str:
    """What to write, checked before minutes of work rather than after them."""
    check_folders(output)
    if form is None:
        form = "table" if output is None else SUFFIXES.get(output.suffix.lower(), "")
        if not form:
            raise UsageError(f"{output} does not end in .md, .json or .html: say --format")
    if form not in FORMATS:
        raise UsageError.unknown("format", form, FORMATS)
    if form == "html" and not several:
        raise UsageError("a page is made of --collections, or of one fold by mien report")
    return form


def _text(several: Abroad, form: str) -> str:
    from mien.sinks.records import encode

    return encode(several.to_dict()).decode() if form == "json" else several.to_markdown()


def _page(several: Abroad, file: Path) -> str:
    from mien.learn.audits.abroad_section import page

    return page(several, file.name)
