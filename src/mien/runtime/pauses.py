"""Where long work may be interrupted: after each run of a network, and between faces.

Nothing happens there unless whoever has the work done in this thread has asked for it.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Generator
from contextlib import contextmanager

_HERE = threading.local()


def pause() -> None:
    """Let whoever has this thread's work done do something else meanwhile."""
    if (meanwhile := getattr(_HERE, "meanwhile", None)) is not None:
        meanwhile()


@contextmanager
def pausing(meanwhile: Callable[[], None] | None) -> Generator[None]:
    """Have something done at each pause of this thread within the block; what it raises ends the work.

    Args:
        meanwhile: is done; None for nothing.
    """
    before = getattr(_HERE, "meanwhile", None)
    _HERE.meanwhile = meanwhile
    try:
        yield
    finally:
        _HERE.meanwhile = before
