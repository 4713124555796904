"""A progress bar on standard error that leaves standard output alone, even where both are the same terminal."""

from __future__ import annotations

import sys
import time
from types import TracebackType
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from rich.progress import Progress

FEW = 5
"""So many photos or frames need no bar."""

SECONDS = 0.1
ERASE_LINE = "\r\x1b[2K"


class ProgressBar:
    """Counts photos or frames; shows itself only where standard error is a terminal and there are more than a few."""

    def __init__(self, total: int | None, *, quiet: bool = False, unit: str = "photos") -> None:
        self._total = total
        self._unit = unit
        self._wanted = not quiet and sys.stderr.isatty() and (total is None or total > FEW)
        self._bar: Progress | None = None
        self._done = 0
        self._next = 0.0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bar is not None:
            self._bar.stop()

    def clear(self) -> None:
        """Make room for a row on the terminal that also shows the bar."""
        if self._bar is not None and sys.stdout.isatty():
            sys.stderr.write(ERASE_LINE)
            sys.stderr.flush()
            self._next = 0.0

    def advance(self, units: int = 1) -> None:
        """So many photos or frames more are done."""
        self._done += units
        if not self._wanted or (self._total is None and self._done <= FEW):
            return
        if self._bar is None:
            self._bar = _started(self._total, self._unit)
        if time.monotonic() >= self._next:
            self._bar.update(self._bar.task_ids[0], completed=self._done, refresh=True)
            self._next = time.monotonic() + SECONDS


def _started(total: int | None, unit: str) -> Progress:
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    bar = Progress(
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn(unit),
        TimeRemainingColumn(compact=True),
        console=Console(stderr=True),
        auto_refresh=False,  # no thread, so that rows and bar cannot be written at the same moment
        transient=True,
        redirect_stdout=False,
        redirect_stderr=False,
    )
    bar.add_task("", total=total)
    bar.start()
    return bar
