"""The pictures of a tar archive, in their order, in constant memory."""

from __future__ import annotations

import tarfile
import zlib
from collections.abc import Iterator
from pathlib import Path

from mien.errors import PhotoMissing, PhotoTruncated, PhotoUnreadable
from mien.names import printable
from mien.photos.item import Address, Item, check_bytes, is_picture

_BROKEN = (tarfile.TarError, OSError, EOFError, ValueError, OverflowError, zlib.error)


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
            with tarfile.open(fileobj=file, mode="r:gz" if packed else "r:", tarinfo=_Member, encoding="utf-8") as tar:
                while (member := tar.next()) is not None:
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
