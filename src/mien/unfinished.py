"""Files that are being written: under random names that nobody can foresee, and through no link that lies there.

A name that can be guessed is a trap in a folder that others may write to: a link under that name would have its target
overwritten.
"""

from __future__ import annotations

import os
import secrets
from pathlib import Path
from typing import BinaryIO

from mien.names import discard, printable

SUFFIX = ".part"
LONGEST_NAME = 200


def part_name(target: Path, suffix: str = SUFFIX) -> Path:
    """A new name beside a file: hidden, and no longer than file systems allow, which count bytes."""
    begin = os.fsencode(target.name)[:LONGEST_NAME].decode("utf-8", "ignore")
    return target.with_name(f".{begin}.{secrets.token_hex(8)}{suffix}")


def create(path: Path) -> BinaryIO:
    """Make a file that is not there, to be written to.

    Raises:
        FileExistsError: something has this name, be it a link that leads nowhere.
        OSError: it cannot be made.
    """
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0)
    return os.fdopen(os.open(path, flags | getattr(os, "O_CLOEXEC", 0), 0o666), "wb")


def begin(target: Path) -> tuple[Path, BinaryIO]:
    """Make the file that is to become another one: its name, and a stream to write to.

    Raises:
        OSError: it cannot be made.
    """
    part = part_name(target)
    return part, create(part)


def unwritable(target: Path, error: OSError | None = None) -> str:
    """Why a file cannot be written, and what to do about it.

    Args:
        target: the file, as it was named.
        error: what the system said; None where its folder is not there.
    """
    name, folder = printable(str(target)), printable(str(target.parent))
    if target.is_dir():
        return f"cannot write to {name}, which is a folder: name a file in it"
    if not target.parent.exists():
        return f"cannot write to {name}: there is no folder {folder}; make it first, or name another"
    if not target.parent.is_dir():
        return f"cannot write to {name}: {folder} is a file, not a folder; name another place"
    if isinstance(error, PermissionError):
        return f"cannot write to {name}: the system does not let you write in {folder}; name another place"
    return f"cannot write to {name}: {error.strerror or error if error else 'it cannot be made'}"


def write_whole(target: Path, data: bytes) -> None:
    """Write a file whole or not at all.

    Raises:
        OSError: it cannot be written.
    """
    part, stream = begin(target)
    try:
        with stream:
            stream.write(data)
        part.replace(target)
    except BaseException:
        discard(part)
        raise
