"""How long work tells whoever waits for it how far it is, without knowing whether that is a bar, a log or nobody."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager

Advance = Callable[[int], None]
"""Told how many pictures were done since the last call."""

Progress = Callable[[int], AbstractContextManager[Advance]]
"""Told how many pictures there are, before the first; inside of the context each call of what it gives counts on."""

Report = Callable[[str], None]
"""Takes one line in words."""


@contextmanager
def silent(total: int) -> Iterator[Advance]:
    """Progress that nobody watches.

    >>> with silent(2) as advance:
    ...     advance(2)
    """
    yield lambda done: None


def unheard(line: str) -> None:
    """A report that nobody reads."""
