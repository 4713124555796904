"""How records and rows of any kind are written: JSON lines, one JSON array, CSV and Parquet.

Each is a context manager that takes mappings and holds no more than a small buffer. What becomes of a photo or of a
frame's faces is told by a function from it to such mappings, see `RowSink`.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterable, Mapping, Sequence
from types import TracebackType
from typing import Any, BinaryIO, Generic, Protocol, Self, TypeVar

from mien.errors import MissingExtra
from mien.plain import formula_safe, plain
from mien.sinks.records import encode

GROUP = 4096
"""Rows of a row group of Parquet."""

Row = Mapping[str, Any]
Thing = TypeVar("Thing")


class Writer(Protocol):
    """Takes rows as they come."""

    def put(self, rows: Iterable[Row]) -> None:
        """Add rows."""
        ...

    def close(self, *, complete: bool) -> None:
        """Write what must come last; nothing but what a file needs to be closed where the rows are not complete."""
        ...


class RowSink(Generic[Thing]):
    """Takes things of one kind, and writes the rows of each; a context manager."""

    def __init__(self, writer: Writer, rows: Callable[[Thing], Iterable[Row]]) -> None:
        """Join both.

        Args:
            writer: where the rows go.
            rows: the rows of one thing.
        """
        self._writer = writer
        self._rows = rows

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._writer.close(complete=kind is None)

    def write(self, thing: Thing) -> None:
        """Add one."""
        self._writer.put(self._rows(thing))


class JSONLines:
    """One JSON record a line, written through at once, so that a reader of a pipe need not wait."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream

    def put(self, rows: Iterable[Row]) -> None:
        """Add records."""
        for row in rows:
            self._stream.write(encode(row) + b"\n")
        self._stream.flush()

    def close(self, *, complete: bool) -> None:
        """Nothing comes last."""


class JSONArray:
    """An array with one record on each line; complete once it is closed."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self._before = b"[\n"

    def put(self, rows: Iterable[Row]) -> None:
        """Add records."""
        for row in rows:
            self._stream.write(self._before + encode(row))
            self._before = b",\n"

    def close(self, *, complete: bool) -> None:
        """The closing bracket."""
        if complete:
            self._stream.write(b"\n]\n" if self._before == b",\n" else b"[]\n")


def cells(*, terminal: bool, safe: bool) -> Callable[[str], str]:
    """What is done to the words of strangers in a cell of CSV: little, as it is data, unless somebody looks at it."""

    def changed(text: str) -> str:
        shown = plain(text) if terminal else text
        return formula_safe(shown) if safe else shown

    return changed


class CSVTable:
    """Comma-separated values in UTF-8, the header first, written through at once."""

    def __init__(self, stream: BinaryIO, columns: Sequence[str], *, safe: bool = False) -> None:
        """Begin with the header.

        Args:
            stream: where the bytes go.
            columns: their names.
            safe: cells that begin like a formula get an apostrophe before it, see `mien.plain.formula_safe`.
        """
        self._stream = stream
        self._cell = cells(terminal=stream.isatty(), safe=safe)
        self._line(columns)

    def put(self, rows: Iterable[Row]) -> None:
        """Add rows, whose values are in the order of the columns."""
        for row in rows:
            self._line([self._cell(value) if isinstance(value, str) else value for value in row.values()])
        self._stream.flush()

    def close(self, *, complete: bool) -> None:
        """Nothing comes last."""

    def _line(self, values: Sequence[Any]) -> None:
        text = io.StringIO()
        csv.writer(text, lineterminator="\r\n").writerow(values)  # so that a lone \r in a name is quoted too
        line = text.getvalue().removesuffix("\r\n") + "\n"
        self._stream.write(line.encode("utf-8", "backslashreplace"))


class ParquetTable:
    """Parquet in row groups of a few thousand rows; needs the extra "parquet"."""

    def __init__(self, stream: BinaryIO, columns: Mapping[str, str]) -> None:
        """Begin the file.

        Args:
            stream: where the bytes go.
            columns: name -> type, as Arrow calls it; "list" is one of float32.

        Raises:
            MissingExtra: pyarrow is not installed.
        """
        try:
            import pyarrow as pa
            import pyarrow.parquet as pq
        except ImportError as error:
            raise MissingExtra.named("Parquet output", "parquet") from error
        fields = [
            (name, pa.list_(pa.float32()) if kind == "list" else pa.type_for_alias(kind))
            for name, kind in columns.items()
        ]
        self._table = pa.Table
        self._schema = pa.schema(fields)
        self._writer = pq.ParquetWriter(stream, self._schema, compression="zstd")
        self._rows: list[Row] = []

    def put(self, rows: Iterable[Row]) -> None:
        """Add rows."""
        self._rows.extend(rows)
        if len(self._rows) >= GROUP:
            self._flush()

    def close(self, *, complete: bool) -> None:
        """The rows that are left, and the file's footer."""
        if complete:
            self._flush()
        self._writer.close()

    def _flush(self) -> None:
        if self._rows:
            self._writer.write_table(self._table.from_pylist(self._rows, schema=self._schema))
            self._rows.clear()
