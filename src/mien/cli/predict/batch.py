"""`mien batch`: whole archives to Parquet."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mien.cli.closing import SOME_FAILED, close_with, failed, number
from mien.cli.interrupts import INTERRUPTED
from mien.cli.options import (
    Abstain,
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
    Side,
    Threshold,
    analyzer_options,
)
from mien.cli.process import say
from mien.results import ABSTAIN

if TYPE_CHECKING:
    from mien.batch import Archive
    from mien.batch.local import Progress


SourcesArgument = Annotated[
    list[str],
    typer.Argument(
        metavar="SOURCE...",
        help="Folders, globs, tars (webdataset shards too), Parquet files with bytes or paths, lists of paths "
        "(.txt, one a line), photos.",
        show_default=False,
    ),
]
OutputOption = Annotated[
    Path, typer.Option("--output", "-o", help="A folder for parts, or a file that ends in .parquet.")
]
ResumeOption = Annotated[bool, typer.Option("--resume", help="Go on with a run that was begun, or begin it.")]
EngineOption = Annotated[str, typer.Option(help="local: processes of this machine; ray: a Ray cluster.")]
AddressOption = Annotated[str | None, typer.Option(help="Of the Ray cluster.", show_default="one of its own")]
ProcessesOption = Annotated[int, typer.Option(min=0, help="Processes, each with one core; 0 for one a core.")]
ShardOption = Annotated[
    str | None,
    typer.Option(metavar="I/N", help="Do every Nth chunk from the Ith on, I from 0: for plain clusters."),
]
ChunkOption = Annotated[
    int,
    typer.Option(min=1, help="Most photos of one part, which is done again after a kill; the first parts are smaller."),
]
ColumnOption = Annotated[str | None, typer.Option(help="Column of Parquet files.", show_default="by name")]
MaxSecondsOption = Annotated[
    float | None,
    typer.Option(
        help="Time to decode a photo, in a process of its own that ends then: for strangers' photos.",
        show_default="no limit",
    ),
]
MaxMemoryOption = Annotated[
    float | None,
    typer.Option(help="Megabytes (MiB) that decoding a photo may take.", show_default="no limit"),
]
AnnotateOption = Annotated[Path | None, typer.Option(help="Folder for annotated pictures, one folder a part.")]


def batch(
    sources: SourcesArgument,
    *,
    output: OutputOption,
    resume: ResumeOption = False,
    engine: EngineOption = "local",
    address: AddressOption = None,
    processes: ProcessesOption = 0,
    shard: ShardOption = None,
    chunk: ChunkOption = 500,
    column: ColumnOption = None,
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
    max_seconds: MaxSecondsOption = None,
    max_memory: MaxMemoryOption = None,
    pmf: Pmf = False,
    annotate: AnnotateOption = None,
    quiet: Quiet = False,
) -> None:
    """Estimate every face of whole archives, to Parquet, stopped and resumed at any moment.

    Photos that cannot be used are rows that say why; the exit code is 3 when there are some.
    """
    from mien.batch import Archive, Shard, choose_engine

    make, share = choose_engine(engine, address), Shard.parse(shard)
    memory = None if max_memory is None else round(max_memory * (1 << 20))
    options = analyzer_options(
        detector=detector,
        min_face=min_face,
        rotate=rotate,
        side=side,
        threshold=threshold,
        max_faces=max_faces,
        weights=weights and str(weights),
        level=level,
        abstain=abstain,
        mirror=mirror,
        threads=1,
        decode={"max_seconds": max_seconds, "max_memory": memory},
    )
    archive = Archive(
        sources,
        output,
        model=model,
        options=options,
        chunk=chunk,
        column=column,
        shard=share,
        pmf=pmf,
        annotate=annotate,
        resume=resume,
    )
    start = time.monotonic()
    try:
        with Meter(archive.left, quiet=quiet) as meter:
            for news in () if archive.finished else archive.run(make, processes):
                meter.hear(news)
    except KeyboardInterrupt:
        if not quiet:
            say(f"interrupted: the parts that are done are kept, and --resume goes on there: {output}")
        raise typer.Exit(INTERRUPTED) from None
    _tell(archive, meter.course.done.photos, time.monotonic() - start, quiet=quiet)


class Meter:
    """Progress on standard error: photos, rate, faces, failures, time left."""

    def __init__(self, total: int, *, quiet: bool) -> None:
        from mien.batch import Course

        self.course = Course()
        self._quiet = quiet
        self._bar: Any = None
        self._total = total

    def __enter__(self) -> Meter:
        import sys

        if not self._quiet and sys.stderr.isatty():
            self._bar = _bar(self._total)
            self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._bar is not None:
            self._bar.stop()

    def hear(self, news: Progress) -> None:
        """Show what has come to be."""
        self.course.hear(news)
        if self._bar is not None:
            now = self.course.now()
            self._bar.update(
                self._bar.task_ids[0],
                completed=min(self._total, now.photos),
                faces=now.faces,
                failures=now.failures.total(),
            )


def _bar(total: int) -> Any:
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
    from rich.text import Text

    class Rate(TextColumn):
        def render(self, task: Any) -> Text:
            return Text("" if task.speed is None else f"{task.speed:.0f}/s", style="progress.data.speed")

    bar = Progress(
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("photos"),
        Rate(""),
        TextColumn("{task.fields[faces]} faces, {task.fields[failures]} failed"),
        TimeRemainingColumn(),
        console=Console(stderr=True),
        transient=True,
        speed_estimate_period=60,
    )
    bar.add_task("", total=total, faces=0, failures=0)
    return bar


def _tell(archive: Archive, photos: int, seconds: float, *, quiet: bool) -> None:
    """Close the run and tell what became of the photos; the exit code is 3 where some failed."""
    outcome = archive.close()
    tally = outcome.tally
    if not quiet:
        parts = [f"{number(photos, 'photo')} in {seconds:.0f} s, {photos / seconds:.1f} a second"] if photos else []
        parts.append(f"{tally.photos} of {archive.plan.photos} done, {number(tally.faces, 'face')}")
        if tally.failures:
            parts.append(failed(tally.failures, tally.photos))
        if not outcome.whole:
            parts.append("other shards are still missing")
        say(f"{'; '.join(parts)}: {archive.output.path}")
    close_with("")
    if tally.failures:
        raise typer.Exit(SOME_FAILED)
