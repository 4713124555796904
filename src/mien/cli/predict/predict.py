"""`mien predict`: photos in, ages and genders out."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Callable, Generator, Iterator
from contextlib import ExitStack, closing
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mien.cli.closing import SOME_FAILED, close_with, failed, number
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
    from mien.analyzer import Analyzer, Options
    from mien.photos.decode import Picture
    from mien.photos.sources import Item
    from mien.results import Photo


InputsArgument = Annotated[
    list[str],
    typer.Argument(
        metavar="PHOTO...",
        help="Photos: files, folders, globs, tar and zip archives, or '-' for standard input (a picture, or paths "
        "line by line).",
        show_default=False,
    ),
]
BatchSizeOption = Annotated[int, typer.Option(help="Most faces that are in the network at once.")]
FormOption = Annotated[
    str | None,
    typer.Option(
        "--format",
        help="jsonl, json, csv, parquet or table. [dim]\\[default: by the suffix of --output; else table on a "
        "terminal, jsonl in a pipe][/dim]",
    ),
]
OutputOption = Annotated[
    Path | None, typer.Option("--output", "-o", help="File to write.", show_default="standard output, -")
]
AnnotateOption = Annotated[Path | None, typer.Option(help="Folder for annotated pictures.", show_default="none")]
CropsOption = Annotated[
    Path | None,
    typer.Option(help="Folder for the faces alone, aligned as the model sees them.", show_default="none"),
]


def predict(
    inputs: InputsArgument,
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
    batch_size: BatchSizeOption = 8,
    form: FormOption = None,
    output: OutputOption = None,
    annotate: AnnotateOption = None,
    crops: CropsOption = None,
    safe_cells: SafeCells = False,
    quiet: Quiet = False,
) -> None:
    """Estimate age and gender of every face in photos.

    Standard output carries data only. The exit code is 3 when some photo failed; its row says why.
    """
    places = Places(None if output is None or str(output) == "-" else output, annotate, crops)
    places.check(inputs)
    found: dict[str, Any] = {"detector": detector, "weights": weights, "min_face": min_face, "threads": threads}
    found |= {"threshold": threshold, "max_faces": max_faces, "side": side, "rotate": rotate}
    told: dict[str, Any] = {"level": level, "abstain": abstain, "mirror": mirror, "batch_size": batch_size}
    _write(inputs, model, analyzer_options(**found, **told), places, form, pmf=pmf, safe_cells=safe_cells, quiet=quiet)


@dataclass(frozen=True, slots=True)
class Places:
    """Where the answers and the pictures go.

    Attributes:
        output: file of the answers; None for standard output.
        annotate: folder of annotated pictures; None for none.
        crops: folder of faces alone; likewise.
    """

    output: Path | None
    annotate: Path | None
    crops: Path | None

    def check(self, inputs: list[str]) -> None:
        """Refuse places that cannot be.

        Raises:
            UsageError: standard output is closed, or pictures would land among the photos, or both kinds in one folder.
        """
        if self.output is None:
            check_output_is_open()
        for option, target in (("--annotate", self.annotate), ("--crops", self.crops)):
            if target is not None:
                _check_apart(option, target, inputs)
        if self.annotate is not None and self.crops is not None and self.annotate.resolve() == self.crops.resolve():
            raise UsageError("--annotate and --crops name the same folder: choose two")

    @property
    def columns(self) -> tuple[str, ...]:
        """Columns of the answers that name pictures."""
        from mien.sinks.rows import PICTURES

        return tuple(name for name, target in zip(PICTURES, (self.annotate, self.crops), strict=True) if target)

    @property
    def words(self) -> str:
        """All places, with an arrow before them; empty where all goes to standard output."""
        from mien.names import printable

        named = [printable(str(place)) for place in (self.output, self.annotate, self.crops) if place is not None]
        return f" -> {', '.join(named)}" if named else ""


@dataclass(slots=True)
class _Tally:
    """What became of the photos."""

    photos: int = 0
    faces: int = 0
    vague: int = 0
    failures: Counter[str] = field(default_factory=Counter)

    def add(self, photo: Photo) -> None:
        from mien.estimate.quality import VAGUE

        self.photos += 1
        self.faces += len(photo.faces)
        self.vague += sum(VAGUE in face.quality.flags for face in photo.faces)
        if photo.error is not None:
            self.failures[photo.error.kind] += 1

    def close(self, places: str) -> None:
        from mien.estimate.quality import VAGUE_SENTENCE

        close_with(
            f"{number(self.photos, 'photo')}, {number(self.faces, 'face')}{places}",
            self.vague and f"{number(self.vague, 'face')} with the flag vague: {VAGUE_SENTENCE}",
            failed(self.failures, self.photos),
        )


def _write(
    inputs: list[str],
    model: str,
    options: Options,
    places: Places,
    form: str | None,
    *,
    pmf: bool,
    safe_cells: bool,
    quiet: bool,
) -> None:
    """Answer all photos; the exit code is 3 where some failed."""
    from mien import sinks
    from mien.analyzer import Analyzer
    from mien.cli.progress import ProgressBar
    from mien.photos.sources import items

    chosen = sinks.choose_format(form, places.output, terminal=sys.stdout.isatty())
    analyzer, tally, named = Analyzer(model, options), _Tally(), places.columns
    try:
        with ExitStack() as stack:
            stream = stack.enter_context(sinks.open_output(places.output))
            sink = stack.enter_context(sinks.create(chosen, stream, pmf=pmf, safe_cells=safe_cells, pictures=named))
            keep = _keeper(analyzer, places.annotate, places.crops)
            bar = stack.enter_context(ProgressBar(_total(inputs) if sys.stderr.isatty() else None, quiet=quiet))
            answers = stack.enter_context(closing(_answers(analyzer, items(inputs), pictures=bool(named))))
            for photo, picture in answers:
                bar.clear()
                sink.write(photo if picture is None else keep(photo, picture))
                bar.advance()
                tally.add(photo)
    except KeyboardInterrupt:
        if not quiet:
            say(_interrupted(tally.photos, places.output))
        raise typer.Exit(INTERRUPTED) from None
    tally.close(places.words)
    if tally.failures:
        raise typer.Exit(SOME_FAILED)


def _interrupted(done: int, output: Path | None) -> str:
    said = [f"interrupted after {number(done, 'photo')}"]
    if output is not None:
        said.append(f"{output} is only written when it is complete")
    elif done:
        said.append("its row is written" if done == 1 else "their rows are written")
    return f"{'; '.join(said)}. mien batch keeps what is done, and goes on there with --resume"


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
