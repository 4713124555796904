"""`mien video`: a video or a camera in; tracks with ages and genders out, and the video with its faces marked."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mien.cli.closing import SOME_FAILED, close_with, number
from mien.cli.interrupts import INTERRUPTED
from mien.cli.options import (
    Abstain,
    AnalyzerThreads,
    Birth,
    CameraName,
    DetectorWeights,
    Every,
    Level,
    MinFaceOfFrame,
    ModelName,
    Quiet,
    Reconnect,
    SafeCells,
    Survive,
    Threshold,
    VideoDetectorName,
)
from mien.cli.process import check_output_is_open, say
from mien.results import ABSTAIN

if TYPE_CHECKING:
    from mien.video.frames import Source


SourceArgument = Annotated[
    Path | None, typer.Argument(metavar="FILE", help="A video file: MP4, MOV, MKV, WebM, AVI, ...")
]
OutputOption = Annotated[
    Path | None,
    typer.Option("--output", "-o", help="Write the video with its faces marked: .mp4, .mov, .mkv, .webm or .avi."),
]
RecordsOption = Annotated[Path | None, typer.Option(help="File for the records.", show_default="standard output")]
FormOption = Annotated[
    str | None,
    typer.Option("--format", help="jsonl, csv or parquet. [dim]\\[default: by the suffix of --records, or jsonl]"),
]
RowsOption = Annotated[
    str | None,
    typer.Option(
        help="frames: a record for each face of each frame; tracks: one for each person followed; both. "
        "[dim]\\[default: both; on a terminal tracks]"
    ),
]
MaxFramesOption = Annotated[
    int | None, typer.Option(help="End after so many frames of the source.", show_default="all")
]


def video(
    source: SourceArgument = None,
    *,
    camera: CameraName = None,
    reconnect: Reconnect = 0.0,
    output: OutputOption = None,
    records: RecordsOption = None,
    form: FormOption = None,
    rows: RowsOption = None,
    every: Every = 1,
    max_frames: MaxFramesOption = None,
    survive: Survive = 1.0,
    birth: Birth = 3,
    model: ModelName = "mien-m",
    detector: VideoDetectorName = "mtcnn",
    weights: DetectorWeights = None,
    min_face: MinFaceOfFrame = None,
    threshold: Threshold = None,
    level: Level = 0.9,
    abstain: Abstain = ABSTAIN,
    threads: AnalyzerThreads = 0,
    safe_cells: SafeCells = False,
    quiet: Quiet = False,
) -> None:
    """Follow the faces of a video and estimate the age and gender of each.

    Ctrl-C ends the video there: what was read is written, with the tracks that are open. The exit code is 3 when the
    video breaks off before its end or is damaged, or the camera is lost.
    """
    from mien.analyzer import Analyzer, Options
    from mien.cli.predict import stream
    from mien.cli.progress import ProgressBar
    from mien.names import printable
    from mien.video import Analysis, TrackerOptions, record
    from mien.video.sinks import choose_format, choose_rows

    if records is None:
        check_output_is_open()
    stream.check_source(source, camera, reconnect)
    terminal = records is None and stream.terminal()
    wanted, chosen = choose_rows(rows, terminal=terminal), choose_format(form, records, terminal=terminal)
    following = TrackerOptions(birth=birth, survive=survive)
    options = Options(
        detector=detector,
        min_face=min_face,
        threshold=threshold,
        weights=weights,
        level=level,
        abstain=abstain,
        threads=threads,
    )
    # A file first, as it fails sooner; a camera last, as it goes on sending while the model is loaded.
    analyzer = Analyzer(model, options) if camera is not None else None
    with stream.open_source(source, camera, every=every, max_frames=max_frames, reconnect=reconnect) as frames:
        analysis = Analysis(frames, analyzer or Analyzer(model, options), following, pictures=output is not None)
        with ProgressBar(frames.expected, quiet=quiet, unit="frames") as bar, stream.stopping(frames) as state:
            done = record(
                analysis, records, form=chosen, rows=wanted, annotated=output, safe_cells=safe_cells, progress=bar
            )
    places = ", ".join(printable(str(place)) for place in (records, output) if place is not None)
    told = f"{number(done.frames, 'frame')}, {number(done.tracks, 'person', 'people')} followed"
    close_with(told + (f" -> {places}" if places else ""))
    _finish(frames, analysis.failures, interrupted=state.asked, quiet=quiet)


def _finish(frames: Source, failures: int, *, interrupted: bool, quiet: bool) -> None:
    from mien.cli.predict import stream

    if not quiet:
        stream.tell_lost(frames)
        if frames.shortfall is not None:
            say(frames.shortfall)
        if failures:
            say(f"{failures} frames could not be analysed: please report it")
        if interrupted:
            say("interrupted: what was read until then is written")
    if interrupted:
        raise typer.Exit(INTERRUPTED)
    if frames.shortfall is not None or failures:
        raise typer.Exit(SOME_FAILED)
