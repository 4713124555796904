"""Photos in Parquet files: a column of bytes (or of Hugging Face's {bytes, path}), or one of paths."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mien.errors import MissingExtra, PhotoEmpty, UsageError
from mien.photos.item import Item, printable

if TYPE_CHECKING:
    import pyarrow.parquet as pq

BYTES = ("bytes", "image", "jpg", "jpeg", "png", "webp", "photo", "content", "data")
"""Names of columns that are tried for pictures, in this order."""
PATHS = ("path", "file", "filename", "file_name", "source", "image_path")
"""Names of columns that are tried for paths, after those."""

ROWS = 64
"""Rows that are read together: pictures of a few megabytes each."""


def is_table(path: str) -> bool:
    """Whether a source is a Parquet file, by its suffix."""
    return path.lower().endswith((".parquet", ".pq"))


def count(path: str, column: str | None) -> tuple[int, str]:
    """Rows of a Parquet file, and the column that holds its photos.

    Raises:
        UsageError: it is no Parquet file, or has no such column.
        MissingExtra: pyarrow is not installed.
    """
    with _opened(path) as file:
        return int(file.metadata.num_rows), _column(path, file, column)


def items(path: str, column: str, start: int, stop: int, max_bytes: int) -> Iterator[Item]:
    """The photos of some rows.

    Paths are taken as they stand, and those that are not absolute as relative to the Parquet file.
    """
    with _opened(path) as file:
        row = 0
        for group in range(file.metadata.num_row_groups):
            rows = file.metadata.row_group(group).num_rows
            if row + rows > start and row < stop:
                number = row
                for batch in file.iter_batches(batch_size=ROWS, row_groups=[group], columns=[column]):
                    for value in batch.column(0).to_pylist() if row + rows > start else ():
                        if start <= number < stop:
                            yield _item(path, number, value, max_bytes)
                        number += 1
                        if number >= stop:
                            return
            row += rows


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
    import pyarrow as pa

    schema = file.schema_arrow
    if wanted is not None:
        if wanted not in schema.names:
            raise UsageError.unknown(f"column of {path}", wanted, schema.names)
        return wanted
    for names, fits in ((BYTES, _holds_bytes), (PATHS, pa.types.is_string)):
        for name in names:
            if name in schema.names and fits(schema.field(name).type):
                return name
    raise UsageError(
        f"{path} has no column that looks like photos among {', '.join(schema.names)}: name one with --column"
    )


def _holds_bytes(kind: Any) -> bool:
    import pyarrow as pa

    if pa.types.is_struct(kind):
        return any(kind.field(position).name == "bytes" for position in range(kind.num_fields))
    return bool(pa.types.is_binary(kind) or pa.types.is_large_binary(kind))


def _opened(path: str) -> pq.ParquetFile:
    try:
        import pyarrow as pa
        import pyarrow.parquet as pq
    except ImportError as error:
        raise MissingExtra.named("photos in Parquet files", "scale") from error
    try:
        return pq.ParquetFile(path)
    except OSError as error:
        raise UsageError(f"cannot read {path}: {error}") from error
    except pa.ArrowInvalid as error:
        raise UsageError(f"{path} is no Parquet file: {error}") from error
