"""`mien batch`: whole archives to Parquet."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterator
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
from mien.errors import UsageError
from mien.results import ABSTAIN

if TYPE_CHECKING:
    from mien.batch.listing import Chunk
    from mien.batch.local import Progress
    from mien.batch.output import BatchPlan, Output
    from mien.batch.work import Job, Tally

ENGINES = ("local", "ray")


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
    from dataclasses import asdict

    from mien.batch.listing import chunks
    from mien.batch.output import BatchPlan, Output
    from mien.batch.work import Job
    from mien.estimate import bundle

    if engine not in ENGINES:
        raise UsageError.unknown("engine", engine, ENGINES)
    if address is not None and engine != "ray":
        raise UsageError("--address is for --engine ray")
    index, shards = _shard(shard)
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
        decode={
            "max_seconds": max_seconds,
            "max_memory": None if max_memory is None else round(max_memory * (1 << 20)),
        },
    )
    found = bundle.read(bundle.find(model))
    told = {**asdict(options), "pmf": pmf, "annotate": str(annotate) if annotate else None}
    place = Output(output)
    wanted = BatchPlan(
        sources=tuple(sources),
        cwd=str(Path.cwd()),
        model=found.config.name,
        model_sha256=found.sha256(),
        options=told,
        chunk=chunk,
        column=column,
    )
    max_bytes = options.decode.max_bytes
    manifest = place.begin(wanted, lambda: chunks(sources, chunk, column=column, max_bytes=max_bytes), resume=resume)
    if place.finished(manifest):
        _say(place, manifest, place.finish(manifest), None, quiet=quiet)
        return
    folder, drawn = str(place.folder.resolve()), str(annotate.resolve()) if annotate else None
    job = Job(str(found.folder.resolve()), wanted.model_sha256, options, folder, pmf=pmf, annotate=drawn)
    missing = {number for number in place.missing(manifest) if number % shards == index}
    listing = (one for one in place.chunks() if one.number in missing)
    start = time.monotonic()
    try:
        with Meter(min(manifest.photos, len(missing) * chunk), quiet=quiet) as meter:
            for news in _engine(engine, address)(job, listing, processes):
                meter.hear(news)
    except KeyboardInterrupt:
        if not quiet:
            say(f"interrupted: the parts that are done are kept, and --resume goes on there: {place.path}")
        raise typer.Exit(INTERRUPTED) from None
    seconds = time.monotonic() - start
    total = place.finish(manifest)
    if total is None:  # other shards are missing: what became of this one
        total = place.tally(number for number in range(manifest.chunks) if number % shards == index)
        _say(place, manifest, total, (meter.tally.photos, seconds), quiet=quiet, missing=True)
    else:
        _say(place, manifest, total, (meter.tally.photos, seconds), quiet=quiet)


class Meter:
    """Progress on standard error: photos, rate, faces, failures, time left."""

    def __init__(self, total: int, *, quiet: bool) -> None:
        from mien.batch.work import Tally

        self.tally = Tally()
        self._open: dict[int, Tally] = {}  # chunks that are worked on
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
        """Take note."""
        from mien.batch.work import Tally

        if news.answered is not None:
            chunk, one = news.answered
            self._open.setdefault(chunk, Tally()).update(Tally(1, one.faces, Counter(["any"] * one.failed)))
        if news.again is not None:
            self._open.pop(news.again, None)
        if news.done is not None:
            self._open.pop(news.done[0], None)
            self.tally.update(news.done[1])
        if self._bar is not None:
            now = self.now()
            self._bar.update(
                self._bar.task_ids[0],
                completed=min(self._total, now.photos),
                faces=now.faces,
                failures=now.failures.total(),
            )

    def now(self) -> Tally:
        """What became of all photos so far, those of chunks that are not done among them."""
        from mien.batch.work import Tally

        total = Tally()
        for one in (self.tally, *self._open.values()):
            total.update(one)
        return total


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


def _engine(name: str, address: str | None) -> Callable[[Job, Iterator[Chunk], int], Iterator[Progress]]:
    if name == "local":
        from mien.batch.local import run
        from mien.runtime.cores import physical_cores

        return lambda job, chunks, processes: run(job, chunks, processes or physical_cores())
    from mien.batch.cluster import run_on

    return lambda job, chunks, processes: run_on(address, job, chunks, processes)


def _say(
    place: Output,
    manifest: BatchPlan,
    tally: Tally | None,
    done: tuple[int, float] | None,
    *,
    quiet: bool,
    missing: bool = False,
) -> None:
    """Tell what became of the photos; the exit code is 3 where some failed."""
    assert tally is not None
    if not quiet:
        photos, seconds = done or (0, 0.0)
        parts = [f"{number(photos, 'photo')} in {seconds:.0f} s, {photos / seconds:.1f} a second"] if photos else []
        parts.append(f"{tally.photos} of {manifest.photos} done, {number(tally.faces, 'face')}")
        if tally.failures:
            parts.append(failed(tally.failures, tally.photos))
        if missing:
            parts.append("other shards are still missing")
        say(f"{'; '.join(parts)}: {place.path}")
    close_with("")
    if tally.failures:
        raise typer.Exit(SOME_FAILED)


def _shard(text: str | None) -> tuple[int, int]:
    """'2/8' -> 2, 8."""
    if text is None:
        return 0, 1
    index, _, count = text.partition("/")
    if not (index.isdecimal() and count.isdecimal() and int(index) < int(count)):
        raise UsageError(f"a shard is I/N with I from 0 to N-1, for example 0/4 to 3/4, not {text!r}")
    return int(index), int(count)
