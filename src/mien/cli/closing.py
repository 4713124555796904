"""The last line of every command, on standard error: what it did, and in what time."""

from __future__ import annotations

import time
from collections import Counter
from typing import Any

import typer

from mien.cli.explained import Explained
from mien.cli.process import say

SOME_FAILED = 3

_words: list[str] = []
_file: list[str] = []


def close_with(words: str, *more: object) -> None:
    """Say what was done, e.g. "12 photos, 67 faces"; the time is added, and after it what else there is to say.

    Args:
        words: what was done; empty where the command has had its last word.
        more: further sentences without a full stop; what is empty is left out.
    """
    _words[:] = [words, *(str(one) for one in more if one)]


def name_file(name: str) -> None:
    """The file that the last line is to name, for a command that does not know of it."""
    _file[:] = [name]


def number(count: int, noun: str, plural: str = "") -> str:
    """A count with its noun.

    >>> number(1, "photo"), number(1200, "face"), number(2, "query", "queries")
    ('1 photo', '1,200 faces', '2 queries')
    """
    return f"{count:,} {noun if count == 1 else plural or noun + 's'}"


def failed(kinds: Counter[str], photos: int) -> str:
    """How many photos failed, and of what; empty where none did.

    >>> failed(Counter(missing=2, empty=1), 9)
    '3 of 9 photos failed (2 missing, 1 empty); their rows say why'
    >>> failed(Counter(empty=1), 2), failed(Counter(empty=1), 1)
    ('1 of 2 photos failed (1 empty); its row says why', 'it failed (empty); its row says why')
    """
    count = kinds.total()
    if count == photos == 1:
        return f"it failed ({next(iter(kinds))}); its row says why"
    told = ", ".join(f"{times} {kind}" for kind, times in kinds.most_common())
    rows = "its row says" if count == 1 else "their rows say"
    return f"{count} of {number(photos, 'photo')} failed ({told}); {rows} why" if count else ""


class Closed(Explained):
    """One that ends with a line on standard error, unless it is to be quiet or has failed as a whole."""

    def invoke(self, ctx: Any) -> Any:
        """Run the command and say the last line."""
        _words.clear()
        file = "".join(f" -> {name}" for name in _file)
        _file.clear()
        start = time.perf_counter()
        try:
            result = super().invoke(ctx)
        except typer.Exit as end:
            if end.exit_code in (0, SOME_FAILED):
                self._close(ctx, time.perf_counter() - start, file)
            raise
        self._close(ctx, time.perf_counter() - start, file)
        return result

    def _close(self, ctx: Any, seconds: float, file: str) -> None:
        if ctx.params.get("quiet") or _words == [""]:
            return
        words, *more = _words or [f"{' '.join(ctx.command_path.split()[1:])} is done"]
        say("; ".join([f"{words}{file}, {duration(seconds)}", *more]))


def duration(seconds: float) -> str:
    """A time in the unit that people would take.

    >>> duration(0.04), duration(1.13), duration(48.2), duration(192), duration(7325)
    ('0.0 s', '1.1 s', '48 s', '3 min 12 s', '2 h 2 min')
    """
    if seconds < 60:
        return f"{seconds:.1f} s" if seconds < 9.95 else f"{seconds:.0f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"
