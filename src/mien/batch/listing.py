"""Sources -> chunks of photos, each small enough to be done again, written down one a line."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import chain, groupby, islice
from pathlib import Path
from typing import Any

from mien.batch import tables
from mien.errors import PhotoTruncated, UsageError, photo_error
from mien.photos.item import Address, Item
from mien.photos.sources import items
from mien.photos.tarfiles import members
from mien.photos.zipfiles import member as zipped

LIST_SUFFIXES = (".txt", ".lst", ".list")


@dataclass(frozen=True, slots=True)
class Chunk:
    """Some photos that are done together and end up in one part.

    Attributes:
        number: its place in the listing.
        photos: how many.
        items: name and address of each; empty for a table.
        table: path, column, first row and the row after the last; None for items.
    """

    number: int
    photos: int
    items: tuple[tuple[str, Address], ...] = ()
    table: tuple[str, str, int, int] | None = None

    def to_json(self) -> str:
        """One line; `from_json` reads it back. File names that are no Unicode survive."""
        record: dict[str, Any] = {"number": self.number, "photos": self.photos}
        if self.table is not None:
            record["table"] = self.table
        else:
            record["items"] = [
                [source, address.kind, address.path, address.start, address.size, address.error]
                for source, address in self.items
            ]
        return json.dumps(record, separators=(",", ":"))

    @classmethod
    def from_json(cls, line: str) -> Chunk:
        """The chunk that a line of `to_json` describes."""
        record = json.loads(line)
        table = record.get("table")
        return cls(
            record["number"],
            record["photos"],
            tuple((source, Address(*address)) for source, *address in record.get("items", ())),
            None if table is None else (table[0], table[1], table[2], table[3]),
        )

    def open(self, max_bytes: int) -> Iterator[Item]:
        """The photos, whose bytes are read one after the other."""
        if self.table is not None:
            yield from tables.items(*self.table, max_bytes)
            return
        for packed, run in groupby(self.items, _archive):
            if packed is None:
                yield from (_item(source, address, max_bytes) for source, address in run)
            else:
                yield from _unpack(packed, run, max_bytes)


def chunks(sources: Iterable[str], size: int, *, column: str | None = None, max_bytes: int) -> Iterator[Chunk]:
    """Divide photos into chunks.

    Args:
        sources: files, folders, globs, tars as for `mien predict`; Parquet files; lists of paths (.txt), one a line.
        size: most photos of one chunk; the first are smaller, see `chunk_size`. The pictures of a compressed archive
            make one chunk, however many there are, as it can only be unpacked from its start.
        column: of Parquet files; None to choose by name.
        max_bytes: larger photos are not read.

    Raises:
        UsageError: a Parquet file or list that cannot be read.
    """
    number = 0
    for loose, group in _groups(sources, column, max_bytes):
        while True:
            most = chunk_size(number, size)
            chunk = (
                _table_chunk(group, number, most)
                if isinstance(group, _Rows)
                else _item_chunk(group, number, most, loose)
            )
            if chunk is None:
                break
            yield chunk
            number += 1


def chunk_size(number: int, most: int) -> int:
    """Photos of a chunk: a thirty-second of those before it or so, that a few hundred photos keep many processes busy.

    >>> [chunk_size(number, 500) for number in (0, 31, 32, 64, 96, 128, 100_000)]
    [32, 32, 64, 128, 256, 500, 500]
    """
    return min(most, _FIRST << min(number // _FIRST, 32))


_FIRST = 32


@dataclass(slots=True)
class _Rows:
    """Rows of a Parquet file that are not in a chunk yet."""

    path: str
    column: str
    start: int
    stop: int


def _groups(
    sources: Iterable[str], column: str | None, max_bytes: int
) -> Iterator[tuple[bool, _Rows | Iterator[tuple[str, Address]]]]:
    """Runs of photos that may share chunks, each with whether it may be divided."""
    for are_tables, group in groupby(sources, tables.is_table):
        if are_tables:
            for path in chain.from_iterable(map(tables.named, group)):
                rows, chosen = tables.count(path, column)
                yield True, _Rows(path, chosen, 0, rows)
        else:
            found = items(_names(group), max_bytes=max_bytes, regular=True)
            for archive, photos in groupby(_addresses(found), _archive):
                yield archive is None, photos


def _names(sources: Iterable[str]) -> Iterator[str]:
    """Sources with lists of paths unfolded."""
    for source in sources:
        if source == "-":
            raise UsageError("an archive cannot come on standard input: write its paths to a .txt file, and name that")
        if source.lower().endswith(LIST_SUFFIXES):
            yield from _lines(source)
        else:
            yield source


def _addresses(found: Iterator[Item]) -> Iterator[tuple[str, Address]]:
    for item in found:
        assert item.address is not None
        yield item.source, item.address


def _archive(entry: tuple[str, Address]) -> str | None:
    """The compressed archive that a photo lies in; None for all others, which may share chunks."""
    return entry[1].path if entry[1].kind == "packed" else None


def _item_chunk(group: Iterator[tuple[str, Address]], number: int, size: int, divisible: bool) -> Chunk | None:
    entries = tuple(islice(group, size if divisible else None))
    return Chunk(number, len(entries), entries) if entries else None


def _table_chunk(rows: _Rows, number: int, size: int) -> Chunk | None:
    if rows.start >= rows.stop:
        return None
    stop = min(rows.stop, rows.start + size)
    chunk = Chunk(number, stop - rows.start, table=(rows.path, rows.column, rows.start, stop))
    rows.start = stop
    return chunk


def _lines(path: str) -> Iterator[str]:
    """The paths in a list, one a line; file names of any bytes."""
    try:
        with Path(path).open(encoding="utf-8-sig", errors="surrogateescape", newline="\n") as file:
            for line in file:
                name = line.rstrip("\r\n")
                if name.strip():
                    yield name
    except OSError as error:
        raise UsageError(f"cannot read the list {path}: {error.strerror}") from error


def _item(source: str, address: Address, max_bytes: int) -> Item:
    match address.kind:
        case "file":
            return Item.file(address.path, max_bytes, regular=True)
        case "cut":
            return Item.cut(source, address.path, address.start, address.size, max_bytes)
        case "zipped":
            return zipped(address.path, address.start, source, max_bytes)
    return Item.failing(source, type(photo_error(address.error, "")), address.path)


def _unpack(path: str, wanted: Iterable[tuple[str, Address]], max_bytes: int) -> Iterator[Item]:
    """Members of an archive that is unpacked from its start; those that are not there any more fail."""
    found, at = members(path, max_bytes), -1
    for source, address in wanted:
        if address.start <= at:  # the archive was named twice
            found, at = members(path, max_bytes), -1
        item: Item | None = None
        while at < address.start and (item := next(found, None)) is not None:
            at += 1
        if item is None or item.source != source:
            sentence = f"{source} is not where it was when the archive was listed: begin anew"
            item = Item.failing(source, PhotoTruncated, sentence)
            at = max(at, address.start)
        yield item
