"""One photo to come: its name, and its bytes or the reason why there are none."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Literal

from mien.errors import PhotoError, PhotoMissing, PhotoTooLarge, PhotoTruncated, PhotoUnreadable
from mien.names import absent, printable
from mien.photos.formats import describe, rejection, sniff

MAX_BYTES = 256 << 20
"""Largest file that is read unless another limit is given: 256 MiB."""

_HEAD = 1024
IMAGE_SUFFIXES = frozenset(
    {".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".apng", ".gif", ".bmp", ".dib", ".tif", ".tiff", ".webp"}
    | {".avif", ".heic", ".heif", ".hif", ".pbm", ".pgm", ".ppm", ".pnm", ".pam", ".pfm"}
    | {".jp2", ".j2k", ".jpf", ".jpx", ".jxl", ".psd"}
)
"""What counts as a picture inside of folders, globs and archives, in lower case; all else there is passed over."""


@dataclass(frozen=True, slots=True)
class Address:
    """Where a photo's bytes lie, in numbers and words, so that another process can find them.

    Attributes:
        kind: "file"; "cut", a piece of a file; "packed", a member of an archive that must be unpacked from its start;
            "zipped", a member of a ZIP archive; "failing", a failure known already.
        path: of the file or archive; of a failure its sentence.
        start: first byte of a piece; number of a packed or zipped member among the archive's pictures.
        size: bytes of a piece; of a packed or zipped member when unpacked.
        error: kind of a failure, see `mien.errors`.
    """

    kind: Literal["file", "cut", "packed", "zipped", "failing"]
    path: str
    start: int = 0
    size: int = 0
    error: str = ""


@dataclass(frozen=True, slots=True)
class Item:
    """One photo to come.

    Attributes:
        source: its name for people and records: a path, "archive.tar::member" or "-"; always valid Unicode.
        read: gives its bytes, or raises a `PhotoError`. May be called at any time, from any thread, and again.
        address: where they lie; None for what came in on standard input.
    """

    source: str
    read: Callable[[], bytes]
    address: Address | None = None

    @classmethod
    def file(cls, path: str, max_bytes: int = MAX_BYTES, *, regular: bool = False) -> Item:
        """The item of a path, whether or not a file lies there; `regular`: no pipe is waited for."""
        return cls(printable(path), lambda: read_file(path, max_bytes, regular=regular), Address("file", path))

    @classmethod
    def cut(cls, source: str, path: str, start: int, size: int, max_bytes: int = MAX_BYTES) -> Item:
        """The item of a piece of a file, such as a member of a plain archive."""

        def read() -> bytes:
            check_bytes(size, max_bytes)
            return _cut(path, start, size, source)

        return cls(source, read, Address("cut", path, start, size))

    @classmethod
    def failing(cls, source: str, kind: type[PhotoError], sentence: str) -> Item:
        """An item that stands for a failure known already."""

        def read() -> bytes:
            raise kind(sentence)

        return cls(printable(source), read, Address("failing", sentence, error=kind.kind))


def read_file(path: str | Path, max_bytes: int = MAX_BYTES, *, regular: bool = False) -> bytes:
    """The bytes of a file.

    Args:
        path: where it lies.
        max_bytes: larger files are not read.
        regular: read only regular files. A pipe that nobody writes to would be waited for, for ever.

    Raises:
        PhotoMissing: no file lies there.
        PhotoUnreadable: it is a folder, it may not be read, or reading fails.
        PhotoTooLarge: it has more than `max_bytes`.
        NotAnImage: likewise, but it is a video.
    """
    name = printable(str(path))
    try:
        with open(path, "rb", opener=_open_at_once if regular else None) as file:
            status = os.fstat(file.fileno())
            if regular and not stat.S_ISREG(status.st_mode) and not stat.S_ISDIR(status.st_mode):
                raise PhotoUnreadable(f"{name} is a pipe or a device, not a photo: take it out of the list")
            if stat.S_ISREG(status.st_mode):
                if status.st_size > max_bytes:
                    _check_film(file.read(_HEAD))
                check_bytes(status.st_size, max_bytes)
                return file.read()
            data = file.read(max_bytes + 1)
    except (FileNotFoundError, NotADirectoryError, ValueError):
        raise PhotoMissing(absent(str(path))) from None
    except IsADirectoryError:
        raise PhotoUnreadable(f"{name} is a folder, not a photo") from None
    except PermissionError:
        raise PhotoUnreadable(f"{name} may not be read: change its permissions") from None
    except OSError as error:
        raise PhotoUnreadable(f"{name} cannot be read: {error.strerror}") from None
    check_bytes(len(data), max_bytes)
    return data


def _check_film(head: bytes) -> None:
    """A video is told so, rather than to be made smaller."""
    if sniff(head) is None and "film" in (describe(head) or ""):
        raise rejection(head)


def _open_at_once(path: str, flags: int) -> int:
    return os.open(path, flags | getattr(os, "O_NONBLOCK", 0))


def _cut(path: str, start: int, size: int, source: str) -> bytes:
    """A piece of a file."""
    try:
        with Path(path).open("rb") as file:
            file.seek(start)
            data = file.read(size)
    except OSError as error:
        raise PhotoUnreadable(f"{source} cannot be read: {error.strerror}") from None
    if len(data) < size:
        raise PhotoTruncated(f"{source} breaks off since its archive does: copy or download the archive again")
    return data


def check_bytes(size: int, limit: int) -> None:
    """Refuse a photo of more than `limit` bytes.

    Raises:
        PhotoTooLarge: it has more.
    """
    if size > limit:
        raise PhotoTooLarge(f"the photo has {size:,} bytes, more than the limit of {limit:,}: make it smaller")


def is_picture(name: str) -> bool:
    """Whether a name inside of a folder or archive is a picture's: not hidden, and with one of `IMAGE_SUFFIXES`.

    >>> is_picture("party/IMG_1.JPG"), is_picture("party/._IMG_1.JPG"), is_picture("party/notes.txt")
    (True, False, False)
    """
    base = PurePosixPath(name)
    return not base.name.startswith(".") and base.suffix.lower() in IMAGE_SUFFIXES
