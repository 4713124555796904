"""The pictures of a tar archive, in their order, in constant memory."""

from __future__ import annotations

import gzip
import re
import tarfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import IO, cast

from mien.errors import PhotoMissing, PhotoTruncated, PhotoUnreadable
from mien.names import printable
from mien.photos.item import Address, Item, check_bytes, is_picture

_BROKEN = (tarfile.TarError, OSError, EOFError, ValueError, OverflowError, RecursionError, zlib.error)
_MOST_HEADER = 256 << 10
"""Bytes that tell of one member: its header, long names, attributes and the map of a sparse file. The longest path that
Linux opens has 4,096."""
_LONG_NUMBER = re.compile(rb"[0-9]{1000}")


class _Member(tarfile.TarInfo):
    """A header that has to be whole: tarfile takes a damaged one for the end of the archive and says nothing."""

    @classmethod
    def frombuf(cls, buf: bytes | bytearray, encoding: str, errors: str) -> _Member:
        try:
            return super().frombuf(buf, encoding, errors)
        except tarfile.HeaderError as error:
            if buf.strip(b"\0"):
                raise tarfile.ReadError(str(error)) from None
            raise


class _Metered:
    """A file in which headers are bounded: a few megabytes of gzip may claim, and hold, a name of gigabytes."""

    def __init__(self, file: IO[bytes] | gzip.GzipFile) -> None:
        self._file = file
        self._left: int | None = _MOST_HEADER
        self.tell = file.tell
        self.seek = file.seek

    def read(self, size: int = -1) -> bytes:
        """As of a file.

        Raises:
            tarfile.ReadError: more than a header has.
        """
        if self._left is None:
            return self._file.read(size)
        self._left -= size
        if size < 0 or self._left < 0:
            raise tarfile.ReadError("the header of a member is longer than any name")
        data = self._file.read(size)
        if size > tarfile.BLOCKSIZE and _LONG_NUMBER.search(data):  # older Pythons look at it again from each digit
            raise tarfile.ReadError("a number in a header is longer than any")
        return data

    def next(self, tar: tarfile.TarFile) -> tarfile.TarInfo | None:
        """The next member; what is read of it thereafter is not bounded."""
        self._left = _MOST_HEADER
        try:
            return tar.next()
        finally:
            self._left = None


def members(path: str, max_bytes: int) -> Iterator[Item]:
    """Pictures of an archive by the rule for folders: regular files with the suffix of a picture, no hidden ones.

    The items of a plain archive read their bytes when asked. Those of a compressed one hold them, since going back in
    it means to unpack all that lies before: whoever keeps such items keeps the pictures in memory.

    Args:
        path: the archive, plain or compressed by gzip, whatever its suffix says.
        max_bytes: larger pictures are not read.

    Yields:
        Items; for an archive that is damaged, one at the end that says so.
    """
    found = 0
    try:
        with Path(path).open("rb") as file:
            packed = file.read(2) == b"\x1f\x8b"
            file.seek(0)
            metered = _Metered(gzip.GzipFile(fileobj=file, mode="rb") if packed else file)
            with tarfile.TarFile(
                mode="r", fileobj=cast("IO[bytes]", metered), tarinfo=_Member, encoding="utf-8"
            ) as tar:
                while (member := metered.next(tar)) is not None:
                    tar.members.clear()  # type: ignore[attr-defined]
                    if member.isreg() and is_picture(member.name):
                        yield _item(path, tar, member, found, max_bytes, packed=packed)
                        found += 1
    except PermissionError:
        yield Item.failing(path, PhotoUnreadable, f"{printable(path)} may not be read: change its permissions")
    except _BROKEN as error:
        sentence = f"the archive {printable(path)} breaks off or is damaged after {found} pictures ({error})"
        yield Item.failing(path, PhotoTruncated, f"{sentence}: copy or download it again")
    else:
        if not found:
            sentence = f"the archive {printable(path)} holds no pictures: check the path"
            yield Item.failing(path, PhotoMissing, sentence)


def _item(
    path: str, tar: tarfile.TarFile, member: tarfile.TarInfo, number: int, max_bytes: int, *, packed: bool
) -> Item:
    """One picture of an archive that is open."""
    source = printable(f"{path}::{member.name}")
    if not packed and not member.issparse():
        return Item.cut(source, path, member.offset_data, member.size, max_bytes)
    held, size = b"", member.size
    if size <= max_bytes:
        unpacked = tar.extractfile(member)
        held = unpacked.read() if unpacked else b""

    def read() -> bytes:
        check_bytes(size, max_bytes)
        return held

    return Item(source, read, Address("packed", path, number, size))
