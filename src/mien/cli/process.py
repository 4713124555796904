"""How the command lives with its surroundings: closed standard streams, Ctrl-C at any moment, readers that leave.

Imports nothing heavy, as it is in force before all else is imported.
"""

from __future__ import annotations

import os
import signal
import sys
from contextlib import suppress
from types import FrameType
from typing import TextIO

from mien.plain import plain

INTERRUPTED = 130
CLOSED = "standard output is closed, so the answers have nowhere to go: name a file with --output"

_SOON = 0.02
"""Seconds until an interrupt that came while a module was being imported is tried again."""

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
    for stream in (sys.stdout, sys.stderr):
        with suppress(AttributeError, ValueError, OSError):  # names that are no Unicode go out as the bytes they are
            stream.reconfigure(errors="surrogateescape")  # type: ignore[union-attr]


def output_is_closed() -> bool:
    """Whether there was no standard output when the command began."""
    return "stdout" in _closed


def catch_interrupts() -> None:
    """Let Ctrl-C raise KeyboardInterrupt, but never amid an import: numpy and others would take it for a fault of
    theirs, and Python's import system would print it and go on."""
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:  # not where somebody chose to ignore it
        signal.signal(signal.SIGINT, _interrupt)


def forget_interrupts() -> None:
    """The work is done: let Ctrl-C end the process at once, without a word from threads that are being joined."""
    with suppress(ValueError, OSError):
        for stream in (sys.stdout, sys.stderr):
            stream.flush()
    if signal.getsignal(signal.SIGINT) is _interrupt:
        signal.signal(signal.SIGINT, signal.SIG_DFL)


def say(sentence: str) -> None:
    """Tell people something, beside the data; where nobody can hear it, the work goes on."""
    with suppress(OSError, ValueError):
        print(f"mien: {plain(sentence)}", file=sys.stderr, flush=True)  # noqa: T201


def drop_output() -> None:
    """What is left of the data has nowhere to go."""
    with suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _interrupt(_number: int, frame: FrameType | None) -> None:
    if _importing(frame) and hasattr(signal, "setitimer"):
        signal.signal(signal.SIGALRM, _interrupt)
        signal.setitimer(signal.ITIMER_REAL, _SOON)
        return
    raise KeyboardInterrupt


def _importing(frame: FrameType | None) -> bool:
    while frame is not None:
        if frame.f_code.co_filename.startswith("<frozen importlib"):
            return True
        frame = frame.f_back
    return False


def _is_open(number: int) -> bool:
    try:
        os.fstat(number)
    except OSError:
        return False
    return True
