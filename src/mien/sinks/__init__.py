"""Where results go: JSON lines, JSON, CSV, Parquet, a table to read, and annotated pictures.

Each sink is a context manager with `write(photo)` and holds no more than a small buffer, so a million photos stream
through it. A file appears under its name only when it is complete.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Protocol, Self

from mien.errors import UsageError
from mien.names import discard
from mien.results import Photo
from mien.unfinished import create as make
from mien.unfinished import part_name, unwritable

FORMATS = ("jsonl", "json", "csv", "parquet", "table")
SUFFIXES = {
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".json": "json",
    ".csv": "csv",
    ".parquet": "parquet",
    ".txt": "table",
}


class Sink(Protocol):
    """Takes photos one by one."""

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...

    def write(self, photo: Photo) -> None:
        """Add one photo."""
        ...


def choose_format(name: str | None, output: Path | None, *, terminal: bool) -> str:
    """The format asked for, or the one of the file's suffix, or a table on a terminal and JSON lines elsewhere.

    Raises:
        UsageError: an unknown format, a suffix that tells none, or Parquet for a terminal.
    """
    if name is None and output is not None and output.suffix:
        name = SUFFIXES.get(output.suffix.lower())
        if name is None:
            raise UsageError(
                f"{output}: the suffix {output.suffix!r} names no format; add --format {'|'.join(FORMATS)}"
            )
    chosen = name or ("table" if terminal and output is None else "jsonl")
    if chosen not in FORMATS:
        raise UsageError.unknown("format", chosen, FORMATS)
    if chosen == "parquet" and terminal and output is None:
        raise UsageError("Parquet is binary and not for a terminal: add --output FILE.parquet")
    return chosen


def create(
    form: str, stream: BinaryIO, *, pmf: bool = False, safe_cells: bool = False, pictures: Sequence[str] = ()
) -> Sink:
    """A sink of one of `FORMATS` that writes to a binary stream.

    Args:
        form: the format.
        stream: where the bytes go.
        pmf: add the whole age distributions.
        safe_cells: no cell of CSV begins like a formula.
        pictures: columns of `mien.sinks.rows.PICTURES` that CSV and Parquet get; JSON has what a photo has.

    Raises:
        UsageError: an unknown format.
        MissingExtra: Parquet without pyarrow.
    """
    from mien.sinks.rows import csv_columns, parquet_columns, rows, wide
    from mien.sinks.writers import CSVTable, JSONArray, JSONLines, ParquetTable, Row, RowSink, Writer

    flat = partial(rows, pmf=pmf, pictures=pictures)
    match form:
        case "jsonl" | "json":
            writer: Writer = JSONLines(stream) if form == "jsonl" else JSONArray(stream)

            def record(photo: Photo) -> list[Row]:
                return [photo.to_dict(pmf=pmf)]

            return RowSink(writer, record)
        case "csv":
            table = CSVTable(stream, csv_columns(pmf=pmf, pictures=pictures), safe=safe_cells)

            def line(photo: Photo) -> Iterator[Row]:
                return map(wide, flat(photo)) if pmf else flat(photo)

            return RowSink(table, line)
        case "parquet":
            return RowSink(ParquetTable(stream, parquet_columns(pmf=pmf, pictures=pictures)), flat)
        case "table":
            from mien.sinks.table import Table

            return Table(stream)
    raise UsageError.unknown("format", form, FORMATS)


@contextmanager
def open_output(path: Path | None) -> Iterator[BinaryIO]:
    """A binary stream: standard output, or a file that takes its name only when all has been written.

    Raises:
        UsageError: the file cannot be made there.
    """
    if path is None:
        yield sys.stdout.buffer
        sys.stdout.buffer.flush()
        return
    if path.exists() and not path.is_file():  # /dev/null, a named pipe: nothing to rename onto
        with _opened(path, path) as stream:
            yield stream
        return
    target = path.resolve()  # through a link, so that the link stays one
    part = part_name(target)
    try:
        with _opened(part, path, new=True) as stream:
            yield stream
        _renamed(part, target, path)
    finally:
        discard(part)


def _opened(path: Path, named: Path, *, new: bool = False) -> BinaryIO:
    """A file to write to; `named` is what it will be called, as the user says it."""
    try:
        return make(path) if new else path.open("wb")
    except OSError as error:
        raise UsageError(unwritable(named, error)) from error


def _renamed(part: Path, target: Path, named: Path) -> None:
    try:
        part.replace(target)
    except OSError as error:
        raise UsageError(unwritable(named, error)) from error
