"""Photos in Parquet files: a column of bytes (or of Hugging Face's {bytes, path}), or one of paths."""

from __future__ import annotations

import glob
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mien.errors import MissingExtra, PhotoEmpty, PhotoUnreadable, UsageError
from mien.names import absent, is_address, plain_name, printable
from mien.photos.item import Item

if TYPE_CHECKING:
    import pyarrow.parquet as pq

BYTES = ("bytes", "image", "jpg", "jpeg", "png", "webp", "photo", "content", "data")
"""Names of columns that are tried for pictures, in this order."""
PATHS = ("path", "file", "filename", "file_name", "source", "image_path")
"""Names of columns that are tried for paths, after those."""

BUFFER = 1 << 20
ROWS = 64
"""Rows that are read together: pictures of a few megabytes each."""


def is_table(path: str) -> bool:
    """Whether a source is a Parquet file, by its suffix."""
    return path.lower().endswith((".parquet", ".pq"))


def named(source: str) -> list[str]:
    """The files that a source names: itself, or those that match it as a glob.

    Raises:
        UsageError: it is a glob that nothing matches, or an address.
    """
    if is_address(source) and not Path(source).exists():
        raise UsageError(absent(source))
    if not glob.has_magic(source) or Path(source).exists():
        return [source]
    found = sorted(glob.glob(source, recursive=True))  # noqa: PTH207 - a pattern as the user wrote it
    if not found:
        raise UsageError(f"no files match {source}: check the path")
    return found


def count(path: str, column: str | None) -> tuple[int, str]:
    """Rows of a Parquet file, and the column that holds its photos.

    Raises:
        UsageError: it is no Parquet file, or has no such column.
        MissingExtra: pyarrow is not installed.
    """
    with _opened(path) as file:
        return int(file.metadata.num_rows), _column(path, file, column)


def items(path: str, column: str, start: int, stop: int, max_bytes: int) -> Iterator[Item]:
    """The photos in some rows of a table.

    Paths are taken as they stand, and those that are not absolute as relative to the Parquet file.
    """
    import pyarrow as pa

    with _opened(path) as file:
        first = 0
        for group in range(file.metadata.num_row_groups):
            last = first + file.metadata.row_group(group).num_rows
            number, end = max(first, start), min(last, stop)
            try:
                for value in _values(file, column, group, number - first, end - first):
                    yield _item(path, number, value, max_bytes)
                    number += 1
            except (OSError, pa.ArrowException) as error:  # a damaged page: the rows that it held are lost
                for row in range(number, end):
                    sentence = f"row {row} of {printable(path)} cannot be read: {error}"
                    yield Item.failing(printable(f"{path}::{row}"), PhotoUnreadable, sentence)
            first = last


def _values(file: pq.ParquetFile, column: str, group: int, start: int, stop: int) -> Iterator[Any]:
    """The cells of some rows of a row group; those before them are read over without being unpacked."""
    at = 0
    if start >= stop:
        return
    for batch in file.iter_batches(batch_size=ROWS, row_groups=[group], columns=[column]):
        low, high = max(start - at, 0), min(stop - at, len(batch))
        if low < high:
            yield from batch.column(0).slice(low, high - low).to_pylist()
        at += len(batch)
        if at >= stop:
            return


def _item(path: str, row: int, value: Any, max_bytes: int) -> Item:
    source = printable(f"{path}::{row}")
    name = None
    if isinstance(value, dict):
        name = value.get("path")
        value = value.get("bytes") or (name and str(name))
    if isinstance(value, str):
        target = value if Path(value).is_absolute() else str(Path(path).parent / value)
        return Item.file(target, max_bytes)
    if not value:
        return Item.failing(source, PhotoEmpty, f"row {row} of {printable(path)} holds no photo")
    data = bytes(value)
    return Item(f"{source}::{printable(str(name))}" if name else source, lambda: data)


def _column(path: str, file: pq.ParquetFile, wanted: str | None) -> str:
    schema = file.schema_arrow
    if wanted is not None:
        if wanted not in schema.names:
            raise UsageError.unknown(f"column of {path}", wanted, schema.names)
        kind = schema.field(wanted).type
        if not (_holds_bytes(kind) or _holds_text(kind)):
            raise UsageError(f"the column {wanted!r} of {path} holds neither bytes nor paths, but {kind}")
        return wanted
    for names, fits in ((BYTES, _holds_bytes), (PATHS, _holds_text)):
        for name in names:
            if name in schema.names and fits(schema.field(name).type):
                return name
    raise UsageError(
        f"{path} has no column that looks like photos among {', '.join(schema.names)}: name one with --column"
    )


def _holds_text(kind: Any) -> bool:
    import pyarrow as pa

    if pa.types.is_dictionary(kind):
        return _holds_text(kind.value_type)
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind))


def _holds_bytes(kind: Any) -> bool:
    import pyarrow as pa

    if pa.types.is_dictionary(kind):
        return _holds_bytes(kind.value_type)
    if pa.types.is_struct(kind):
        return any(kind.field(position).name == "bytes" for position in range(kind.num_fields))
    return bool(
        pa.types.is_binary(kind)
        or pa.types.is_large_binary(kind)
        or pa.types.is_binary_view(kind)
        or pa.types.is_fixed_size_binary(kind)
    )


def _opened(path: str) -> pq.ParquetFile:
    try:
        import pyarrow as pa
        import pyarrow.parquet as pq
    except ImportError as error:
        raise MissingExtra.named("photos in Parquet files", "parquet") from error
    try:
        with plain_name(path) as name:
            return pq.ParquetFile(name, pre_buffer=False, buffer_size=BUFFER)  # not whole columns at once
    except OSError as error:
        raise UsageError(f"cannot read {path}: {error}") from error
    except pa.ArrowInvalid as error:
        raise UsageError(f"{path} is no Parquet file: {error}") from error
