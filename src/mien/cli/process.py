"""How the command lives with its standard streams: closed ones, readers that leave, words that nobody hears."""

from __future__ import annotations

import os
import sys
import threading
from contextlib import suppress
from typing import TextIO

from mien.errors import UsageError
from mien.plain import plain

_closed: set[str] = set()


def open_streams() -> None:
    """Put the null device in the place of standard streams that are closed, as under cron, pythonw or in a daemon.

    Python has None there; and the next file that is opened would get the number of the closed one, so that messages of
    C libraries were written into it.
    """
    for number, name, mode in ((0, "stdin", "r"), (1, "stdout", "w"), (2, "stderr", "w")):
        stream: TextIO | None = getattr(sys, name)
        if stream is not None and not stream.closed:
            continue
        _closed.add(name)
        handle = os.open(os.devnull, os.O_RDWR)
        if handle != number and not _is_open(number):
            os.dup2(handle, number)
            os.close(handle)
            handle = number
        setattr(sys, name, os.fdopen(handle, mode, encoding="utf-8", errors="backslashreplace", closefd=False))
    with suppress(AttributeError, ValueError, OSError):  # names that are no Unicode go out as the bytes they are
        sys.stdout.reconfigure(errors="surrogateescape")  # type: ignore[union-attr]


def check_output_is_open() -> None:
    """Refuse to work for nothing.

    Raises:
        UsageError: there was no standard output when the command began.
    """
    if "stdout" in _closed:
        raise UsageError("standard output is closed, so the answers would be lost: direct it to a file")


def say(sentence: str) -> None:
    """Tell people something, beside the data; where nobody can hear it, the work goes on."""
    with suppress(OSError, ValueError):
        print(f"mien: {plain(sentence)}", file=sys.stderr, flush=True)  # noqa: T201


def drop_output() -> None:
    """What is left of the data has nowhere to go."""
    with suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def leave(code: object) -> None:
    """End at once where a thread still waits for a silent camera; all else goes the usual way.

    Args:
        code: of `SystemExit`.
    """
    if any(thread.name == "mien-camera" for thread in threading.enumerate()):
        for stream in (sys.stdout, sys.stderr):
            with suppress(OSError, ValueError):
                stream.flush()
        os._exit(code if isinstance(code, int) else int(code is not None))


def _is_open(number: int) -> bool:
    try:
        os.fstat(number)
    except OSError:
        return False
    return True
