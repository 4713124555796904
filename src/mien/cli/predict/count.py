"""`mien count` and `mien counts`: visitors of a video or camera into a database, and out of it again."""

from __future__ import annotations

import csv
import io
import json
from contextlib import ExitStack
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mien.cli.closing import close_with, number
from mien.cli.interrupts import INTERRUPTED
from mien.cli.options import (
    AnalyzerThreads,
    Birth,
    CameraName,
    DetectorWeights,
    Every,
    MinFaceOfFrame,
    ModelName,
    OutputFile,
    Quiet,
    Reconnect,
    SafeCells,
    Survive,
    Threshold,
    VideoDetectorName,
)
from mien.cli.process import say
from mien.errors import UsageError, VideoError
from mien.results import ABSTAIN

if TYPE_CHECKING:
    from mien.count.store import Count

DATABASE = "sqlite:///counts.db"
BANDS = "0-12,13-17,18-24,25-34,35-44,45-54,55-64,65+"
FORMATS = ("table", "csv", "json")
GENDERS = ("female", "male", "uncertain")


SourceArgument = Annotated[Path | None, typer.Argument(metavar="FILE", help="A video file.")]
DatabaseOption = Annotated[
    str, typer.Option(help="sqlite:///FILE, postgresql://USER@HOST/NAME, or the path of an SQLite file.")
]
NameOption = Annotated[
    str | None,
    typer.Option(help="The source's name in the database. [dim]\\[default: the file's name, or camera:0]"),
]
IntervalOption = Annotated[int, typer.Option(metavar="SECONDS", help="Length of an interval.")]
BandsOption = Annotated[str, typer.Option(help="Age bands, without gaps from 0.")]
StartOption = Annotated[
    datetime | None,
    typer.Option(
        formats=["%Y-%m-%dT%H:%M:%S%z", "%Y-%m-%dT%H:%M:%S", "%Y-%m-%d %H:%M:%S"],
        help="When the file was recorded, UTC unless it says else; else intervals count from its beginning.",
    ),
]
AbstainOption = Annotated[
    float, typer.Option(metavar="P", help="Count a gender as 'uncertain' where its probability is below P.")
]


def count(
    source: SourceArgument = None,
    *,
    camera: CameraName = None,
    reconnect: Reconnect = 0.0,
    database: DatabaseOption = DATABASE,
    name: NameOption = None,
    interval: IntervalOption = 60,
    bands: BandsOption = BANDS,
    start: StartOption = None,
    every: Every = 1,
    survive: Survive = 1.0,
    birth: Birth = 3,
    model: ModelName = "mien-m",
    detector: VideoDetectorName = "mtcnn",
    weights: DetectorWeights = None,
    min_face: MinFaceOfFrame = None,
    threshold: Threshold = None,
    abstain: AbstainOption = ABSTAIN,
    threads: AnalyzerThreads = 0,
    quiet: Quiet = False,
) -> None:
    """Count visitors by interval, age band and gender; nothing else of them is stored.

    Started anew after whatever ended it, the same command goes on with a file where it was, loses no visitor and counts
    none twice. [b]mien counts[/b] prints the counts.
    """
    from mien.analyzer import Analyzer, Options
    from mien.cli.predict import stream
    from mien.cli.progress import ProgressBar
    from mien.count import Bands, Counting, CountOptions
    from mien.video import TrackerOptions

    stream.check_source(source, camera, reconnect)
    how = CountOptions(name=name, interval=interval, bands=Bands.parse(bands), start=start)
    following = TrackerOptions(birth=birth, survive=survive)
    options = Options(
        detector=detector, min_face=min_face, threshold=threshold, weights=weights, abstain=abstain, threads=threads
    )
    analyzer = Analyzer(model, options) if camera is not None else None
    with stream.open_source(source, camera, every=every, reconnect=reconnect) as opened, ExitStack() as stack:
        analyzer = analyzer or Analyzer(model, options)
        counting = stack.enter_context(Counting(opened, analyzer, database, how, following=following))
        if counting.finished:
            if not quiet:
                close_with("")
                known = f"{counting.name!r} was counted to its end before"
                say(f"{known}; mien counts {counting.store.name} prints the counts")
            return
        frames = counting.source
        bar = stack.enter_context(ProgressBar(frames.expected, quiet=quiet, unit="frames"))
        state = stack.enter_context(stream.stopping(frames))
        visitors = counting.run(lambda _: bar.advance())
        close_with(
            f"{number(visitors, 'visitor')} of {counting.name} -> {counting.store.name.removeprefix('sqlite:///')}"
        )
    if not quiet:
        stream.tell_lost(frames)
    if state.asked:
        if not quiet:
            say("interrupted: what was seen until then is counted, and the same command goes on")
        raise typer.Exit(INTERRUPTED)
    if frames.shortfall is not None:
        raise VideoError(frames.shortfall)


def counts(
    database: Annotated[str, typer.Argument(metavar="DATABASE", help="As for [b]mien count[/b].")] = DATABASE,
    *,
    source: Annotated[str | None, typer.Option(help="Only the source of this name.")] = None,
    interval: Annotated[
        int | None, typer.Option(metavar="SECONDS", help="Join intervals to longer ones, e.g. 3600.")
    ] = None,
    form: Annotated[
        str | None, typer.Option("--format", help="table, csv or json. [dim]\\[default: table on a terminal, else csv]")
    ] = None,
    safe_cells: SafeCells = False,
    output: OutputFile = None,
) -> None:
    """Print visitor counts: by source, interval, age band and gender. Intervals without visitors are left out."""
    from mien.cli.output import write
    from mien.cli.predict import stream
    from mien.count.store import Store
    from mien.plain import escaped

    chosen = form or ("table" if output is None and stream.terminal() else "csv")
    if chosen not in FORMATS:
        raise UsageError.unknown("format", chosen, FORMATS)
    path = database.removeprefix("sqlite:///")
    if "://" not in path and not Path(path).is_file():
        raise UsageError(f"no database lies at {path}: give the one that mien count wrote to")
    with Store(database) as store:
        found = store.counts(source, interval)
    close_with(number(sum(row.visitors for row in found), "visitor"))
    match chosen:
        case "json":
            text = escaped(json.dumps([row.to_dict() for row in found], indent=1, ensure_ascii=False))
        case "csv":
            text = _csv(found, safe=safe_cells)
        case _:
            text = _table(found)
    write(text, output)


def _csv(found: list[Count], *, safe: bool) -> str:
    from mien.plain import plain
    from mien.sinks.writers import cells

    text = io.StringIO()
    columns = ("schema_version", "source", "start", "clock", "seconds", "band", "gender", "visitors")
    writer = csv.DictWriter(text, columns, lineterminator="\n")
    writer.writeheader()
    cell = cells(terminal=False, safe=safe)
    writer.writerows({**row.to_dict(), "source": cell(plain(row.source))} for row in found)
    return text.getvalue().rstrip("\n")


def _table(found: list[Count]) -> str:
    """One line an interval and age band, the genders beside each other."""
    from mien.plain import plain

    cells: dict[tuple[str, str, str], dict[str, int]] = {}
    for row in found:
        cells.setdefault((row.source, row.begins, row.band), dict.fromkeys(GENDERS, 0))[row.gender] += row.visitors
    lines: list[tuple[str, ...]] = [("source", "interval from", "age", *GENDERS, "all")]
    for key, genders in cells.items():
        lines.append(
            (plain(key[0]), *key[1:], *(str(number) for number in genders.values()), str(sum(genders.values())))
        )
    totals = [sum(row.visitors for row in found if row.gender == gender) for gender in GENDERS]
    lines.append(("all", "", "", *(str(total) for total in totals), str(sum(totals))))
    widths = [max(len(line[column]) for line in lines) for column in range(len(lines[0]))]
    text = []
    for line in lines:
        words = [cell.ljust(width) for cell, width in zip(line[:3], widths[:3], strict=True)]
        numbers = [cell.rjust(width) for cell, width in zip(line[3:], widths[3:], strict=True)]
        text.append("  ".join(words + numbers).rstrip())
    return "\n".join(text)
