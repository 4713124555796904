"""The pictures of a ZIP archive, in the order of its directory, read when they are asked for."""

from __future__ import annotations

import weakref
import zipfile
import zlib
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from typing import IO, cast

from mien.errors import PhotoMissing, PhotoTooCostly, PhotoTooLarge, PhotoTruncated, PhotoUnreadable, PhotoUnsupported
from mien.names import printable
from mien.photos.item import Address, Item, check_bytes, is_picture

_BROKEN = (zipfile.BadZipFile, OSError, EOFError, ValueError, OverflowError, zlib.error)
_ENCRYPTED = 1
_MOST_DIRECTORY = 64 << 20
_MOST_MEMBERS = 300_000
"""Bytes and entries of an archive's directory, which is read whole: each entry takes a kilobyte then."""
_ENTRY = b"PK\1\2"


class _Metered:
    """A file whose directory is bounded: a small archive may claim, and hold, millions of members."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self.listing = True
        self.tell = file.tell
        self.seek = file.seek
        self.seekable = file.seekable

    def read(self, size: int = -1) -> bytes:
        """As of a file.

        Raises:
            PhotoTooCostly: the directory has more bytes or entries than those of archives of photos have.
        """
        if not self.listing:
            return self._file.read(size)
        data = self._file.read(_MOST_DIRECTORY + 1 if size < 0 else min(size, _MOST_DIRECTORY + 1))
        if len(data) > _MOST_DIRECTORY or data.count(_ENTRY) > _MOST_MEMBERS:
            raise PhotoTooCostly(f"more than {_MOST_MEMBERS:,} members")
        return data


def _opened(path: str) -> zipfile.ZipFile:
    """An archive whose directory has been read; its file is closed when nobody knows the archive any more."""
    file = Path(path).open("rb")  # noqa: SIM115 - read for as long as there are items
    try:
        metered = _Metered(file)
        archive = zipfile.ZipFile(cast("IO[bytes]", metered))
    except BaseException:
        file.close()
        raise
    metered.listing = False
    weakref.finalize(archive, file.close)
    return archive


def members(path: str, max_bytes: int) -> Iterator[Item]:
    """Pictures of an archive by the rule for folders: files with the suffix of a picture, no hidden ones.

    Args:
        path: the archive.
        max_bytes: larger pictures are not unpacked.

    Yields:
        Items; for an archive that is damaged, one that says so.
    """
    try:
        archive = _opened(path)
    except PhotoTooCostly as error:
        sentence = f"the archive {printable(path)} lists {error}: unpack it, and name the folder"
        yield Item.failing(path, PhotoTooCostly, sentence)
        return
    except PermissionError:
        yield Item.failing(path, PhotoUnreadable, f"{printable(path)} may not be read: change its permissions")
        return
    except _BROKEN as error:
        sentence = f"the archive {printable(path)} breaks off or is damaged ({error}): copy or download it again"
        yield Item.failing(path, PhotoTruncated, sentence)
        return
    found = [entry for entry in archive.infolist() if not entry.is_dir() and is_picture(entry.filename)]
    for number, entry in enumerate(found):
        yield _item(path, archive, entry, number, max_bytes)
    if not found:
        yield Item.failing(path, PhotoMissing, f"the archive {printable(path)} holds no pictures: check the path")


def member(path: str, number: int, source: str, max_bytes: int) -> Item:
    """The picture of that number again, in another process; one that fails if the archive has become another."""
    listed = _listed(path, max_bytes)
    if number < len(listed) and listed[number].source == source:
        return listed[number]
    return Item.failing(source, PhotoTruncated, f"{source} is not where it was when the archive was listed: begin anew")


@lru_cache(maxsize=1)
def _listed(path: str, max_bytes: int) -> tuple[Item, ...]:
    """All pictures of an archive, kept, as its directory is read whole for any of them."""
    return tuple(members(path, max_bytes))


def _item(path: str, archive: zipfile.ZipFile, entry: zipfile.ZipInfo, number: int, max_bytes: int) -> Item:
    source = printable(f"{path}::{entry.filename}")

    def read() -> bytes:
        check_bytes(entry.file_size, max_bytes)
        if entry.flag_bits & _ENCRYPTED:
            raise PhotoUnreadable(f"{source} is encrypted: unpack the archive first")
        try:
            with archive.open(entry) as file:
                data = file.read(max_bytes + 1)
        except NotImplementedError:
            raise PhotoUnsupported(
                f"{source} is packed in a way that cannot be read: unpack the archive first"
            ) from None
        except (*_BROKEN, RuntimeError) as error:
            raise PhotoTruncated(f"{source} cannot be unpacked ({error}): copy or download the archive again") from None
        if len(data) > max_bytes:
            raise PhotoTooLarge(f"{source} unpacks to more than the limit of {max_bytes:,} bytes: make it smaller")
        return data

    return Item(source, read, Address("zipped", path, number, entry.file_size))
