"""`mien evaluate`: what a model is worth, on chips or whole photographs, on one collection or on several at once."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from mien.cli.learn import Model, Threads, needs_extra, read_faces
from mien.cli.written import write
from mien.errors import UsageError

if TYPE_CHECKING:
    from mien.analyzer import Analyzer
    from mien.estimate.bundle import Bundle
    from mien.learn.data.manifest import Manifest
    from mien.learn.data.predictions import Predictions
    from mien.learn.evaluation.evaluate import Point
    from mien.learn.evaluation.home_and_abroad import Abroad
    from mien.learn.evaluation.through_detector import ThroughReport

POINTS: dict[str, Literal["expectation", "median"]] = {"mean": "expectation", "median": "median"}
FORMATS = ("table", "markdown", "json", "html")
SUFFIXES = {".json": "json", ".md": "table", ".html": "html", ".htm": "html"}


def evaluate(
    model: Model,
    *,
    data: Annotated[
        Path | None, typer.Option(help="Labelled chips, or with --photos photographs: a folder or a CSV table.")
    ] = None,
    folds: Annotated[Path | None, typer.Option(help="CSV table of folds, and of labels if it has them.")] = None,
    fold: Annotated[
        str | None,
        typer.Option(help="Fold to measure on, or all.", show_default="test where the data have folds, else all"),
    ] = None,
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
    weights: Annotated[Path | None, typer.Option(help="File of the detector's weights, for yunet.")] = None,
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
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="File to write.", show_default="standard output")
    ] = None,
    predictions: Annotated[
        Path | None,
        typer.Option(help="Save all answers there, as Parquet; with --collections a folder with a file for each."),
    ] = None,
    against: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Saved answers of another model: which differences to it are real?"),
    ] = None,
    threads: Threads = 0,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No progress bar.")] = False,
) -> None:
    """Measure a model on labelled chips or photographs, with bootstrap intervals."""
    from mien.estimate import bundle
    from mien.learn.data.predictions import Predictions
    from mien.learn.evaluation.evaluate import evaluate as measure
    from mien.learn.evaluation.paired import against as compared
    from mien.sinks.records import encode

    if point not in POINTS:
        raise UsageError.unknown("point", point, POINTS)
    chosen = _form(form, output, several=collections is not None)
    single = {"data": data, "folds": folds, "fold": fold, "only": only, "photos": photos, "through": through}
    _check_what(single | {"against": against}, {"collection": collection, "choosing": choosing}, collections)
    if "whole" in (detector, through):
        option = "--detector" if detector == "whole" else "--through"
        raise UsageError(f"whole finds no faces in pictures: give another detector to {option}")
    if predictions is not None and not predictions.parent.is_dir():
        raise UsageError(f"there is no folder {predictions.parent} to save predictions in")
    how = How(
        bundle.read(bundle.find(model)),
        detector=detector,
        weights=weights,
        min_face=min_face,
        mirror=mirror,
        threads=threads,
        quiet=quiet,
    )
    if collections is not None:
        with needs_extra("measuring collections"):
            several = how.several(
                collections, collection or (), choosing=choosing, point=POINTS[point], kept=predictions
            )
            write(_page(several, collections) if chosen == "html" else _text(several, chosen), output)
    if data is None:
        return
    other = None if against is None else Predictions.load(against)
    faces = read_faces(data, folds, fold, "test", only=only)
    answers, comparison = (how.photographs(faces), None) if photos else how.chips(faces, through)
    report = measure(answers, faces, point=POINTS[point], calibration=how.model.config.calibration)
    differences = None if other is None else compared(other, answers, faces)
    if chosen == "json":
        record = report.to_dict()
        record["settings"] |= {"data": str(data), "folds": folds and str(folds), "fold": faces.only_fold}
        record["settings"] |= {"mirror": mirror, "detector": detector if photos else None}
        record["missed_files"] = list(answers.missed)
        record["through"] = comparison and comparison.to_dict()
        record["against"] = differences and differences.to_dict()
        text = encode(record).decode()
    else:
        text = "\n\n".join(part.to_table() for part in (report, comparison, differences) if part is not None)
    write(text, output)
    if predictions is not None:
        answers.save(predictions)


@dataclass(frozen=True)
class How:
    """A model, and how pictures come to it: options as those of `mien evaluate`."""

    model: Bundle
    detector: str = "mtcnn"
    weights: Path | None = None
    min_face: int = 30
    mirror: bool = False
    threads: int = 0
    quiet: bool = False

    def analyzer(self, kind: str) -> Analyzer:
        """For "photos" behind the detector, for "chips" without one."""
        from mien.analyzer import Analyzer, Options
        from mien.learn.data.predictions import INTERVAL_LEVEL

        options = Options(
            detector="whole" if kind == "chips" else self.detector,
            weights=self.weights,
            min_face=self.min_face,
            level=INTERVAL_LEVEL,
            abstain=0.5,
            mirror=self.mirror,
            threads=self.threads,
        )
        return Analyzer(self.model.folder, options)

    def photographs(self, faces: Manifest) -> Predictions:
        """Answers for whole photographs."""
        from mien.cli.progress import ProgressBar
        from mien.learn.evaluation.photographs import predict_photographs

        with ProgressBar(len(faces) - faces.missing, quiet=self.quiet) as bar:
            return predict_photographs(self.analyzer("photos"), faces, progress=bar.advance)

    def chips(self, faces: Manifest, through: str | None) -> tuple[Predictions, ThroughReport | None]:
        """Answers for chips as they are, or padded and found again."""
        from mien.cli.progress import ProgressBar
        from mien.cores import physical_cores
        from mien.estimate.estimator import Estimator
        from mien.faces import DetectorOptions, create
        from mien.learn.data.predictions import predict
        from mien.learn.evaluation.through_detector import predict_through

        cores = self.threads or physical_cores()
        estimator = Estimator(self.model, threads=cores, mirror=self.mirror)
        name = self.model.config.name
        detector = None if through is None else create(through, DetectorOptions(weights=self.weights))
        with ProgressBar(len(faces) - faces.missing, quiet=self.quiet) as bar:
            if detector is None:
                return predict(estimator, faces, model=name, threads=cores, progress=bar.advance), None
            return predict_through(detector, estimator, faces, model=name, threads=cores, progress=bar.advance)

    def several(
        self,
        file: Path,
        names: Sequence[str] = (),
        *,
        choosing: bool = False,
        point: Point = "expectation",
        kept: Path | None = None,
    ) -> Abroad:
        """The figures of several collections.

        Args:
            file: that states them.
            names: of those to measure; none for all.
            choosing: measure the folds that may choose.
            point: the estimate of an age that is measured.
            kept: a folder for the answers.

        Raises:
            UsageError: the file does not fit, or names no such collection or fold.
            DataError: a collection is not there, or none of its faces can be evaluated.
        """
        from mien.cli.progress import ProgressBar
        from mien.learn.evaluation import collection, home_and_abroad

        stated = collection.load(file)
        for name in names:
            if name not in stated:
                raise UsageError.unknown("collection", name, stated)
        parts = collection.parts({name: stated[name] for name in names or stated}, choosing=choosing)
        for part in parts:
            if part.faces.problems:
                problems = part.faces.problems
                typer.echo(f"mien: {part.name}: {len(problems)} problems in the data, first: {problems[0]}", err=True)

        def keep(name: str, answers: Predictions, faces: Manifest) -> None:
            if kept is not None:
                kept.mkdir(exist_ok=True)
                answers.save(kept / f"{re.sub(r'[^A-Za-z0-9]+', '-', name).lower()}.parquet")

        kinds: set[str] = {part.collection.kind for part in parts}
        analyzers = {kind: self.analyzer(kind) for kind in sorted(kinds)}
        with ProgressBar(sum(len(part.faces) - part.faces.missing for part in parts), quiet=self.quiet) as bar:
            return home_and_abroad.measure(analyzers, parts, point=point, progress=bar.advance, keep=keep)


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
    if output is not None and not output.parent.is_dir():
        raise UsageError(f"there is no folder {output.parent} to save {output.name} in")
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
