"""Where video records go: JSON lines, CSV or Parquet, rows of faces and rows of tracks in one schema."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, BinaryIO, Literal

from mien.errors import UsageError
from mien.sinks import SUFFIXES
from mien.sinks.writers import CSVTable, JSONLines, ParquetTable, RowSink
from mien.video.records import SCHEMA_VERSION, Seen, Track, TrackedFrame

FORMATS = ("jsonl", "csv", "parquet")
ROWS = ("frames", "tracks", "both")
Rows = Literal["frames", "tracks", "both"]
Record = Mapping[str, Any]

COLUMNS: dict[str, type] = {
    "schema_version": int,
    "record": str,
    "source": str,
    "model": str,
    "track": int,
    "frame": int,
    "seconds": float,
    "last_frame": int,
    "last_seconds": float,
    "views": int,
    "left": float,
    "top": float,
    "right": float,
    "bottom": float,
    "score": float,
    "age": float,
    "age_median": float,
    "age_low": float,
    "age_high": float,
    "age_level": float,
    "gender": str,
    "gender_probability": float,
    "raw_age": float,
    "raw_age_low": float,
    "raw_age_high": float,
    "raw_gender": str,
    "raw_gender_probability": float,
    "quality": float,
    "eyes": float,
    "sharpness": float,
    "turn": float,
    "quality_flags": str,
}
"""Columns of CSV and Parquet. `record` is "face" (one face of one frame) or "track" (its summary); `frame` and
`seconds` are those of the frame or of the track's first; what does not belong to a kind of record is empty."""


class Records:
    """Turns frames and tracks into the records asked for."""

    def __init__(self, sink: RowSink[Record], rows: Rows, source: str, model: str) -> None:
        self._sink = sink
        self._rows = rows
        self._source = source
        self._model = model

    def frame(self, frame: TrackedFrame) -> None:
        """Write the faces of a frame, and the tracks that ended before it."""
        for track in frame.ended:
            self.track(track)
        if self._rows != "tracks":
            for seen in frame.faces:
                self._sink.write(self._record("face", _face(frame, seen)))

    def track(self, track: Track) -> None:
        """Write the summary of a track."""
        if self._rows != "frames":
            self._sink.write(self._record("track", track.to_dict()))

    def _record(self, kind: str, rest: dict[str, Any]) -> dict[str, Any]:
        head = {"schema_version": SCHEMA_VERSION, "record": kind, "source": self._source, "model": self._model}
        return head | rest


def choose_rows(name: str | None, *, terminal: bool) -> Rows:
    """The rows asked for, or tracks on a terminal and both kinds elsewhere.

    Raises:
        UsageError: an unknown choice.
    """
    match name:
        case None:
            return "tracks" if terminal else "both"
        case "frames" | "tracks" | "both":
            return name
    raise UsageError.unknown("choice of --rows", name, ROWS)


def choose_format(name: str | None, records: Path | None, *, terminal: bool) -> str:
    """The format asked for, or the one of the file's suffix, or JSON lines.

    Raises:
        UsageError: an unknown format, a suffix that tells none, or Parquet for a terminal.
    """
    if name is None and records is not None and records.suffix:
        name = SUFFIXES.get(records.suffix.lower())
        if name not in FORMATS:
            raise UsageError(f"{records}: the suffix names no format for video; add --format {'|'.join(FORMATS)}")
    chosen = name or "jsonl"
    if chosen not in FORMATS:
        raise UsageError.unknown("format", chosen, FORMATS)
    if chosen == "parquet" and terminal:
        raise UsageError("Parquet is binary and not for a terminal: add --records FILE.parquet")
    return chosen


def create(form: str, stream: BinaryIO, *, safe_cells: bool = False) -> RowSink[Record]:
    """A sink of one of `FORMATS` that writes to a binary stream; with `safe_cells` no cell of CSV is a formula.

    Raises:
        UsageError: an unknown format.
        MissingExtra: Parquet without pyarrow.
    """
    match form:
        case "jsonl":
            return RowSink(JSONLines(stream), lambda record: [record])
        case "csv":
            return RowSink(CSVTable(stream, list(COLUMNS), safe=safe_cells), lambda record: [flat(record)])
        case "parquet":
            kinds = {int: "int64", float: "float64", str: "string"}
            columns = {name: kinds[kind] for name, kind in COLUMNS.items()}
            return RowSink(ParquetTable(stream, columns), lambda record: [flat(record)])
    raise UsageError.unknown("format", form, FORMATS)


def flat(record: Mapping[str, Any]) -> dict[str, Any]:
    """A nested record as a row of `COLUMNS`."""
    face = record["record"] == "face"
    age, gender = record["age"], record["gender"]
    row = dict.fromkeys(COLUMNS) | {name: record[name] for name in COLUMNS if name in record and name != "quality"}
    row |= {"age": age["years"], **{f"age_{part}": age[part] for part in ("median", "low", "high", "level")}}
    row |= {"gender": gender["label"], "gender_probability": gender["probability"]}
    if not face:
        first, last = record["first"], record["last"]
        times = {"frame": first["frame"], "seconds": first["seconds"]}
        return (
            row | times | {"last_frame": last["frame"], "last_seconds": last["seconds"], "quality": record["quality"]}
        )
    raw, quality = record["raw"], record["quality"]
    row |= record["box"]
    row |= {"raw_age": raw["age"]["years"], "raw_age_low": raw["age"]["low"], "raw_age_high": raw["age"]["high"]}
    row |= {"raw_gender": raw["gender"]["label"], "raw_gender_probability": raw["gender"]["probability"]}
    row |= {name: quality[name] for name in ("eyes", "sharpness", "turn")}
    return row | {"quality": quality["weight"], "quality_flags": " ".join(quality["flags"]) or None}


def _face(frame: TrackedFrame, seen: Seen) -> dict[str, Any]:
    return {"frame": frame.index, "seconds": round(frame.seconds, 3), **seen.to_dict()}
