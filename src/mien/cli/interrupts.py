"""Ctrl-C at any moment, also in the first: this is in force before all else is imported, and so imports nothing.

`_signal` is the part of `signal` that is built into Python; the rest of it imports `enum`, which takes milliseconds.
"""

from __future__ import annotations

import _signal as signal  # type: ignore[import-not-found]
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import FrameType

INTERRUPTED = 130
"""Exit code."""

_SOON = 0.005
"""Seconds until an interrupt that came amid an import is tried again."""


def catch_interrupts() -> None:
    """Let Ctrl-C raise KeyboardInterrupt, but never amid an import, nor in code that is evaluated from text.

    In the former numpy and others would take it for a fault of theirs, and Python's import system would print it and go
    on; after the latter (annotations, dataclasses) Python ends by the signal, whatever the exit code.
    """
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:  # not where somebody chose to ignore it
        signal.signal(signal.SIGINT, _interrupt)


def forget_interrupts() -> None:
    """The work is done: let Ctrl-C end the process at once, without a word from threads that are being joined."""
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except (AttributeError, OSError, ValueError):
            continue
    if signal.getsignal(signal.SIGINT) is _interrupt:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    if hasattr(signal, "setitimer") and signal.getsignal(signal.SIGALRM) is _interrupt:
        signal.signal(signal.SIGALRM, signal.SIG_IGN)  # one that waits comes too late, and would end Python by itself
        signal.setitimer(signal.ITIMER_REAL, 0)


def _interrupt(_number: int, frame: FrameType | None) -> None:
    if _importing(frame) and hasattr(signal, "setitimer"):  # Windows has none
        signal.signal(signal.SIGALRM, _interrupt)
        signal.setitimer(signal.ITIMER_REAL, _SOON)
        return
    raise KeyboardInterrupt


def _importing(frame: FrameType | None) -> bool:
    # The outermost frame may be the text of `python -c`.
    while frame is not None:
        name = frame.f_code.co_filename
        if name.startswith("<frozen importlib") or (
            name == "<string>" and frame.f_code.co_name == "<module>" and frame.f_back
        ):
            return True
        frame = frame.f_back
    return False
