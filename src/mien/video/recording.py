"""A video's records and its annotated copy, written while it is analysed."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from mien.errors import UsageError
from mien.sinks import open_output
from mien.video.run import Analysis
from mien.video.sinks import Records, choose_format, choose_rows, create
from mien.video.writer import AnnotatedVideo


class Progress(Protocol):
    """What is told of the frames, e.g. a progress bar."""

    def clear(self) -> None:
        """Records are about to be written, perhaps to the terminal that shows the progress."""
        ...

    def advance(self) -> None:
        """One more frame is done."""
        ...


@dataclass(frozen=True, slots=True)
class Recorded:
    """What was written.

    Attributes:
        frames: that were analysed, moments in which a camera was lost among them.
        tracks: people who were followed.
    """

    frames: int
    tracks: int


def record(
    analysis: Analysis,
    records: Path | None = None,
    *,
    form: str | None = None,
    rows: str | None = None,
    annotated: Path | None = None,
    safe_cells: bool = False,
    progress: Progress | None = None,
) -> Recorded:
    """Write what an analysis finds to a file, and the video with its faces marked.

    A file is under its name only when it is whole. Whatever ends the source, be it a call of its `stop`, what was read
    until then is written, with the tracks that are open.

    Args:
        analysis: of a video, made with `pictures=True` where the video is annotated.
        records: file for the records; None: standard output.
        form: "jsonl", "csv" or "parquet"; None: by the suffix of `records`, or JSON lines.
        rows: "frames": a record for each face of each frame; "tracks": one for each person followed; None: both.
        annotated: file for the annotated video, whose suffix is one of `mien.video.writer.CODECS`; None for none.
        safe_cells: no cell of CSV begins like a formula.
        progress: told of each frame.

    Raises:
        UsageError: an unknown format or choice of rows, or a file that cannot be written or is the video itself.
        VideoError: the source holds no frame.
        MissingExtra: Parquet without pyarrow.
    """
    source = analysis.source
    for target in (annotated, records):
        if source.file is not None and target is not None and target.resolve() == source.file.resolve():
            raise UsageError(f"{target} is the video itself: choose another name")
    wanted, chosen = choose_rows(rows, terminal=False), choose_format(form, records, terminal=False)
    frames = tracks = 0
    with ExitStack() as stack:
        video = None
        if annotated is not None:
            video = stack.enter_context(AnnotatedVideo(annotated, source.rate / source.every))
        stream = stack.enter_context(open_output(records))
        sink = stack.enter_context(create(chosen, stream, safe_cells=safe_cells))
        out = Records(sink, wanted, source.name, analysis.model)
        for frame in analysis:
            if progress is not None:
                progress.clear()
            out.frame(frame)
            frames, tracks = frames + 1, tracks + len(frame.ended)
            if video is not None and frame.pixels is not None:
                video.write(frame, analysis.model)
            if progress is not None:
                progress.advance()
        if progress is not None:
            progress.clear()
        for track in analysis.rest():
            out.track(track)
            tracks += 1
    return Recorded(frames, tracks)
