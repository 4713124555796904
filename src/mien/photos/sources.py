"""Where photos lie: path | folder | glob | tar | zip | '-' -> items, in a stable order, none read too early."""

from __future__ import annotations

import glob
import io
import os
import re
import sys
from collections.abc import Iterable, Iterator
from fnmatch import fnmatchcase
from itertools import chain
from pathlib import Path
from typing import BinaryIO, TextIO

from mien.errors import PhotoEmpty, PhotoMissing, PhotoUnreadable, UsageError
from mien.names import absent, is_address, printable
from mien.photos import tarfiles, zipfiles
from mien.photos.formats import is_text
from mien.photos.item import IMAGE_SUFFIXES, MAX_BYTES, Item, is_picture, read_file

__all__ = ["IMAGE_SUFFIXES", "Item", "items", "read_file"]

ARCHIVE = re.compile(r"\.(tar|tar\.gz|tgz|zip)$", re.IGNORECASE)
"""Names of archives."""
_HEAD = 64


def items(
    inputs: Iterable[str | Path] | str | Path,
    *,
    stdin: BinaryIO | None = None,
    max_bytes: int = MAX_BYTES,
    regular: bool = False,
) -> Iterator[Item]:
    """Unfold what a user names into photos, lazily.

    - A file is an item, whatever its suffix.
    - A folder gives the pictures below it, by suffix, in natural order (a2 before a10) and without hidden ones. Links
      to folders are followed, each folder once.
    - A glob gives the pictures that match, in natural order; `**` is any depth. It only counts as one where no file
      has that name.
    - A .tar, .tar.gz, .tgz or .zip gives the pictures in it, in its order.
    - "-" is standard input: the bytes of one picture, or else a list of paths, one a line.

    What cannot be had (a missing path, a folder without pictures, a broken archive) is an item whose `read` says why.

    Args:
        inputs: what the user names; one name may stand alone.
        stdin: where "-" reads from; `sys.stdin` if None.
        max_bytes: larger files are not read.
        regular: read regular files only. So it is always with names that a list or a pattern has given: a pipe among
            them would be waited for.

    Yields:
        Items in the order of the inputs.

    Raises:
        UsageError: a name is empty.
    """
    for entry in [inputs] if isinstance(inputs, str | Path) else inputs:
        if isinstance(entry, str) and not entry:
            raise UsageError("one of the names of photos is empty")
        if str(entry) == "-":
            yield from _standard_input(stdin or _bytes_that_come_in(), max_bytes)
        else:
            yield from _unfold(str(entry), max_bytes, regular=regular)


def opened(stream: BinaryIO, name: str, max_bytes: int) -> tuple[str, Item]:
    """A binary file that is open, as an item; it is read at once, from where it stands.

    Args:
        stream: the file; it is left open.
        name: what to call it where it has no name of its own.
        max_bytes: no more than this is read.

    Raises:
        UsageError: it gives text.
    """
    own = getattr(stream, "name", None)
    source = printable(own) if isinstance(own, str) and own else name
    try:
        data = stream.read(max_bytes + 1)
    except (OSError, ValueError) as error:  # a closed file, a device that fails
        return source, Item.failing(source, PhotoUnreadable, f"{source} cannot be read: {error}")
    if not isinstance(data, bytes | bytearray | memoryview):
        raise UsageError(f"{source} gives {type(data).__name__}: open it in binary mode, 'rb'")
    held = bytes(data)
    return source, Item(source, lambda: held)


def _unfold(path: str, max_bytes: int, *, regular: bool = True) -> Iterator[Item]:
    """The items of one file, folder, archive or glob."""
    # os.path says False to names that no file can have; the methods of Path raise.
    if os.path.isdir(path):  # noqa: PTH112
        yield from _some(_walk(path, max_bytes), path, f"the folder {printable(path)} holds no pictures")
    elif ARCHIVE.search(path) and (os.path.isfile(path) if regular else os.path.exists(path)):  # noqa: PTH110, PTH113
        yield from (zipfiles if path.lower().endswith(".zip") else tarfiles).members(path, max_bytes)
    elif is_address(path) and not os.path.lexists(path):
        yield Item.failing(path, PhotoMissing, absent(path))
    elif glob.has_magic(path) and not os.path.lexists(path):
        yield from _some(_matches(path, max_bytes), path, f"no pictures match {printable(path)}")
    else:
        yield Item.file(path, max_bytes, regular=regular)


def _some(found: Iterator[Item], source: str, sentence: str) -> Iterator[Item]:
    """The items found; where there are none, one that says so."""
    yield next(found, None) or Item.failing(source, PhotoMissing, f"{sentence}: check the path")
    yield from found


def _walk(folder: str, max_bytes: int) -> Iterator[Item]:
    """The pictures of a folder, then those of the folders in it; a way back to a folder seen before ends there."""
    waiting = [folder]
    seen: set[tuple[int, int]] = set()
    while waiting:
        here = waiting.pop()
        try:
            status = Path(here).stat()
            if (status.st_dev, status.st_ino) in seen:
                continue
            seen.add((status.st_dev, status.st_ino))
            with os.scandir(here) as listing:
                entries = sorted(
                    (entry for entry in listing if not entry.name.startswith(".")), key=lambda e: _natural(e.name)
                )
        except OSError as error:
            sentence = f"the folder {printable(here)} cannot be opened: {error.strerror}"
            yield Item.failing(here, PhotoUnreadable, sentence)
            continue
        waiting.extend(entry.path for entry in reversed(entries) if _is_folder(entry))
        for entry in entries:
            if is_picture(entry.name) and _is_file(entry):
                yield Item.file(entry.path, max_bytes, regular=True)


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link to itself
        return False


def _is_file(entry: os.DirEntry[str]) -> bool:
    """A file, or a link that leads nowhere, which is a photo that somebody misses; not a pipe or device."""
    try:
        return entry.is_file() or (entry.is_symlink() and not os.path.exists(entry.path))  # noqa: PTH110
    except OSError:
        return True


def _matches(pattern: str, max_bytes: int) -> Iterator[Item]:
    """The pictures, archives and folders that match a glob; not its folders if `**` reaches into them anyway."""
    path = Path(pattern)
    try:
        # Path.glob, unlike glob.glob, does not run in circles along links.
        found = sorted(Path(path.anchor).glob(str(path.relative_to(path.anchor))), key=_natural_path)
    except (OSError, ValueError) as error:
        yield Item.failing(pattern, PhotoMissing, f"{printable(pattern)} is no pattern for files: {error}")
        return
    dotted = [part for part in path.parts if part.startswith(".")]
    for match in found:
        hidden = [part for part in match.parts if part.startswith(".")]
        if not all(any(fnmatchcase(part, named) for named in dotted) for part in hidden):
            continue
        wanted = is_picture(match.name) or ARCHIVE.search(match.name)
        if "**" not in path.parts if match.is_dir() else wanted:
            yield from _unfold(str(match), max_bytes)


def _natural(name: str) -> tuple[list[str | int], str]:
    """Sorting key by which a2 comes before a10."""
    pieces = re.split(r"([0-9]+)", name.casefold())
    return [int(piece) if at % 2 else piece for at, piece in enumerate(pieces)], name


def _natural_path(path: Path) -> list[tuple[list[str | int], str]]:
    return [_natural(part) for part in path.parts]


def _bytes_that_come_in() -> BinaryIO:
    """Standard input; nothing comes in where it is closed, as under pythonw or in a daemon."""
    stream: TextIO | None = sys.stdin
    return io.BytesIO() if stream is None or stream.closed else stream.buffer


def _standard_input(stream: BinaryIO, max_bytes: int) -> Iterator[Item]:
    """The picture whose bytes come in, or the items of the paths that do, one a line."""
    head = stream.read(_HEAD)
    if is_text(head):
        whole_lines = io.BytesIO((head + stream.readline()).removeprefix(b"\xef\xbb\xbf"))
        names = (os.fsdecode(line.rstrip(b"\r\n")) for line in chain(whole_lines, stream))
        named = (item for name in names if name.strip() for item in _unfold(name, max_bytes))
        nothing = Item.failing("-", PhotoEmpty, "nothing came in: send a picture or a list of paths to standard input")
        yield next(named, nothing)
        yield from named
    else:
        data = head + stream.read(max_bytes + 1 - len(head))
        yield Item("-", lambda: data)
