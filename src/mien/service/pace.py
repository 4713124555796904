"""Whether work goes on: since when photos have come without one that was finished."""

from __future__ import annotations

import threading
import time
from concurrent.futures import Future

from mien.analyzer import Draft
from mien.results import Photo


class Pace:
    """Watches the futures of photos. Safe to use from several threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._there = 0
        self._since: float | None = None

    def begin(self, photo: Future[tuple[Photo, Draft]]) -> None:
        """A photo is there."""
        with self._lock:
            self._there += 1
            if self._since is None:
                self._since = time.monotonic()
        photo.add_done_callback(self._end)

    def doubtful(self, seconds: float) -> bool:
        """Whether no photo was finished for so many seconds, though some were there.

        Those that were given up or took too much are not finished, whoever is to blame for that.
        """
        with self._lock:
            return self._since is not None and time.monotonic() - self._since > seconds

    def _end(self, photo: Future[tuple[Photo, Draft]]) -> None:
        with self._lock:
            self._there -= 1
            if finished(photo):
                self._since = time.monotonic() if self._there else None


def finished(photo: Future[tuple[Photo, Draft]]) -> bool:
    """Whether a photo that is done was looked at, or is damaged, and not too costly or given up."""
    if photo.cancelled() or photo.exception() is not None:
        return False
    error = photo.result()[0].error
    return error is None or error.kind not in {"too_costly", "internal"}
