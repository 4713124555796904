"""`mien predict`: photos in, ages and genders out."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Callable, Generator, Iterator
from contextlib import ExitStack, closing
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mien.cli.closing import SOME_FAILED, close_with, number
from mien.cli.interrupts import INTERRUPTED
from mien.cli.options import (
    Abstain,
    AnalyzerThreads,
    DetectorName,
    DetectorWeights,
    Level,
    MaxFaces,
    MinFace,
    Mirror,
    ModelName,
    Pmf,
    Quiet,
    Rotate,
    SafeCells,
    Side,
    Threshold,
    analyzer_options,
)
from mien.cli.process import check_output_is_open, say
from mien.errors import UsageError
from mien.results import ABSTAIN

if TYPE_CHECKING:
    from mien.analyzer import Analyzer
    from mien.photos.decode import Picture
    from mien.photos.sources import Item
    from mien.results import Photo


def predict(
    inputs: Annotated[
        list[str],
        typer.Argument(
            metavar="INPUTS...",
            help="Photos: files, folders, globs, tar and zip archives, or '-' for standard input (a picture, or paths "
            "line by line).",
            show_default=False,
        ),
    ],
    *,
    model: ModelName = "mien-m",
    detector: DetectorName = "mtcnn",
    weights: DetectorWeights = None,
    min_face: MinFace = None,
    side: Side = "auto",
    rotate: Rotate = "auto",
    threshold: Threshold = None,
    max_faces: MaxFaces = None,
    level: Level = 0.9,
    abstain: Abstain = ABSTAIN,
    mirror: Mirror = False,
    pmf: Pmf = False,
    threads: AnalyzerThreads = 0,
    batch_size: Annotated[int, typer.Option(help="Most faces that are in the network at once.")] = 8,
    form: Annotated[
        str | None,
        typer.Option(
            "--format",
            help="jsonl, json, csv, parquet or table. [dim]\\[default: by the suffix of --output; else table on a "
            "terminal, jsonl in a pipe][/dim]",
        ),
    ] = None,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="File to write.", show_default="standard output, -")
    ] = None,
    annotate: Annotated[Path | None, typer.Option(help="Folder for annotated pictures.", show_default="none")] = None,
    crops: Annotated[
        Path | None,
        typer.Option(help="Folder for the faces alone, aligned as the model sees them.", show_default="none"),
    ] = None,
    safe_cells: SafeCells = False,
    quiet: Quiet = False,
) -> None:
    """Estimate age and gender of every face in photos.

    Standard output carries data only. The exit code is 3 when some photo failed; its row says why.
    """
    from mien import sinks
    from mien.analyzer import Analyzer
    from mien.cli.progress import ProgressBar
    from mien.estimate.quality import VAGUE, VAGUE_SENTENCE
    from mien.names import printable
    from mien.photos.sources import items
    from mien.sinks.rows import PICTURES

    if output is not None and str(output) == "-":
        output = None
    if output is None:
        check_output_is_open()
    for option, target in (("--annotate", annotate), ("--crops", crops)):
        if target is not None:
            _check_apart(option, target, inputs)
    if annotate is not None and crops is not None and annotate.resolve() == crops.resolve():
        raise UsageError("--annotate and --crops name the same folder: choose two")
    chosen = sinks.choose_format(form, output, terminal=sys.stdout.isatty())
    options = analyzer_options(
        detector=detector,
        min_face=min_face,
        rotate=rotate,
        side=side,
        threshold=threshold,
        max_faces=max_faces,
        weights=weights,
        level=level,
        abstain=abstain,
        mirror=mirror,
        threads=threads,
        batch_size=batch_size,
    )
    analyzer = Analyzer(model, options)
    failures: Counter[str] = Counter()
    count = faces = vague = 0
    named = tuple(name for name, target in zip(PICTURES, (annotate, crops), strict=True) if target)
    try:
        with ExitStack() as stack:
            stream = stack.enter_context(sinks.open_output(output))
            sink = stack.enter_context(sinks.create(chosen, stream, pmf=pmf, safe_cells=safe_cells, pictures=named))
            keep = _keeper(analyzer, annotate, crops)
            bar = stack.enter_context(ProgressBar(_total(inputs) if sys.stderr.isatty() else None, quiet=quiet))
            answers = stack.enter_context(closing(_answers(analyzer, items(inputs), pictures=bool(named))))
            for photo, picture in answers:
                bar.clear()
                sink.write(photo if picture is None else keep(photo, picture))
                bar.advance()
                count += 1
                faces += len(photo.faces)
                vague += sum(VAGUE in face.quality.flags for face in photo.faces)
                if photo.error is not None:
                    failures[photo.error.kind] += 1
    except KeyboardInterrupt:
        if not quiet:
            say(_interrupted(count, output))
        raise typer.Exit(INTERRUPTED) from None
    places = ", ".join(printable(str(place)) for place in (output, annotate, crops) if place is not None)
    told = f"{number(count, 'photo')}, {number(faces, 'face')}" + (f" -> {places}" if places else "")
    kinds = ", ".join(f"{times} {kind}" for kind, times in failures.most_common())
    close_with(
        told,
        vague and f"{number(vague, 'face')} with the flag vague: {VAGUE_SENTENCE}",
        failures and f"{failures.total()} of {count} photos failed ({kinds}); their rows say why",
    )
    if failures:
        raise typer.Exit(SOME_FAILED)


def _interrupted(done: int, output: Path | None) -> str:
    kept = "their rows are written" if output is None else f"{output} is only written when it is complete"
    return f"interrupted after {done} photos; {kept}. mien batch keeps what is done, and goes on there with --resume"


def _keeper(analyzer: Analyzer, annotate: Path | None, crops: Path | None) -> Callable[[Photo, Picture], Photo]:
    """What saves the pictures that were asked for, and puts their names into the answer."""
    from mien.chips import cut
    from mien.sinks.pictures import AnnotatedFolder, CropFolder

    drawn = None if annotate is None else AnnotatedFolder(annotate)
    chips = None if crops is None else CropFolder(crops)

    def keep(photo: Photo, picture: Picture) -> Photo:
        if chips is not None:
            files = chips.write(photo, cut(analyzer, photo.faces, picture))
            named = (replace(face, crop=file.name) for face, file in zip(photo.faces, files, strict=True))
            photo = replace(photo, faces=tuple(named))
        return photo if drawn is None else replace(photo, annotated=drawn.write(photo, picture.pixels).name)

    return keep


def _check_apart(option: str, annotate: Path, inputs: list[str]) -> None:
    """Pictures must not land where photos are still being looked for: they would be read as photos."""
    for folder in (Path(name).resolve() for name in inputs if Path(name).is_dir()):
        if annotate.resolve().is_relative_to(folder):
            raise UsageError(f"{option} {annotate} lies in {folder}, where photos are read from: choose another folder")


def _answers(analyzer: Analyzer, photos: Iterator[Item], *, pictures: bool) -> Generator[tuple[Photo, Picture | None]]:
    if pictures:
        yield from analyzer.stream_with_pictures(photos)
    else:
        yield from ((photo, None) for photo in analyzer.stream(photos))


def _total(inputs: list[str]) -> int | None:
    """How many photos there will be; None where only reading on would tell."""
    from mien.photos.sources import ARCHIVE, items

    if any(name == "-" or ARCHIVE.search(name) for name in inputs):
        return None
    return sum(1 for _ in items(inputs))
