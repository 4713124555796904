"""Where video records go: JSON lines, CSV or Parquet, rows of faces and rows of tracks in one schema."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping
from types import TracebackType
from typing import Any, BinaryIO, Literal, Protocol, Self

from mien.errors import MissingExtra, UsageError
from mien.sinks.records import encode
from mien.sinks.rows import cells
from mien.video.records import SCHEMA_VERSION, Seen, Track, TrackedFrame

FORMATS = ("jsonl", "csv", "parquet")
ROWS = ("frames", "tracks", "both")
Rows = Literal["frames", "tracks", "both"]

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

GROUP = 4096


class Sink(Protocol):
    """Takes frames and tracks as they come."""

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...

    def put(self, record: Mapping[str, Any]) -> None:
        """Add one nested record."""
        ...


class Records:
    """Turns frames and tracks into the records asked for."""

    def __init__(self, sink: Sink, rows: Rows, source: str, model: str) -> None:
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
                self._sink.put(self._record("face", _face(frame, seen)))

    def track(self, track: Track) -> None:
        """Write the summary of a track."""
        if self._rows != "frames":
            self._sink.put(self._record("track", track.to_dict()))

    def _record(self, kind: str, rest: dict[str, Any]) -> dict[str, Any]:
        head = {"schema_version": SCHEMA_VERSION, "record": kind, "source": self._source, "model": self._model}
        return head | rest


def create(form: str, stream: BinaryIO, *, safe_cells: bool = False) -> Sink:
    """A sink of one of `FORMATS` that writes to a binary stream; with `safe_cells` no cell of CSV is a formula.

    Raises:
        UsageError: an unknown format.
        MissingExtra: Parquet without pyarrow.
    """
    match form:
        case "jsonl":
            return JSONL(stream)
        case "csv":
            return CSV(stream, safe=safe_cells)
        case "parquet":
            return Parquet(stream)
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


class JSONL:
    """One nested JSON record a line, each line written through at once."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        pass

    def put(self, record: Mapping[str, Any]) -> None:
        """Add one record."""
        self._stream.write(encode(record) + b"\n")
        self._stream.flush()


class CSV:
    """Comma-separated values in UTF-8, the header first."""

    def __init__(self, stream: BinaryIO, *, safe: bool = False) -> None:
        self._stream = stream
        self._cell = cells(terminal=stream.isatty(), safe=safe)
        self._line(list(COLUMNS))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        pass

    def put(self, record: Mapping[str, Any]) -> None:
        """Add one record as a row."""
        row = flat(record).values()
        self._line([self._cell(value) if isinstance(value, str) else value for value in row])

    def _line(self, cells: list[Any]) -> None:
        text = io.StringIO()
        csv.writer(text, lineterminator="\n").writerow(cells)
        self._stream.write(text.getvalue().encode("utf-8", "backslashreplace"))
        self._stream.flush()


class Parquet:
    """Parquet in row groups of a few thousand records; needs the extra "parquet"."""

    def __init__(self, stream: BinaryIO) -> None:
        try:
            import pyarrow as pa
            import pyarrow.parquet as pq
        except ImportError as error:
            raise MissingExtra.named("Parquet output", "parquet") from error
        kinds = {int: pa.int64(), float: pa.float64(), str: pa.string()}
        self._table = pa.Table
        self._schema = pa.schema([(name, kinds[kind]) for name, kind in COLUMNS.items()])
        self._writer = pq.ParquetWriter(stream, self._schema, compression="zstd")
        self._rows: list[dict[str, Any]] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None:
            self._flush()
        self._writer.close()

    def put(self, record: Mapping[str, Any]) -> None:
        """Add one record as a row."""
        self._rows.append(flat(record))
        if len(self._rows) >= GROUP:
            self._flush()

    def _flush(self) -> None:
        if self._rows:
            self._writer.write_table(self._table.from_pylist(self._rows, schema=self._schema))
            self._rows.clear()


def _face(frame: TrackedFrame, seen: Seen) -> dict[str, Any]:
    return {"frame": frame.index, "seconds": round(frame.seconds, 3), **seen.to_dict()}
