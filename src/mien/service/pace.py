"""Whether work goes on: photos that are there, and when one of them was finished last."""

from __future__ import annotations

import threading
import time
from concurrent.futures import Future
from typing import Any


class Pace:
    """Watches the futures of photos. Safe to use from several threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._there: set[Future[Any]] = set()
        self._since = 0.0

    def begin(self, photo: Future[Any]) -> None:
        """A photo is there, and awaited until it is done or left."""
        with self._lock:
            if not self._there:
                self._since = time.monotonic()
            self._there.add(photo)
        photo.add_done_callback(self._end)

    def leave(self, photo: Future[Any]) -> None:
        """A photo is not awaited any more."""
        with self._lock:
            self._there.discard(photo)

    def stalled(self, seconds: float) -> bool:
        """Whether photos are there, and none was finished for so many seconds."""
        with self._lock:
            return bool(self._there) and time.monotonic() - self._since > seconds

    def _end(self, photo: Future[Any]) -> None:
        with self._lock:
            if photo in self._there:
                self._there.discard(photo)
                if not photo.cancelled():
                    self._since = time.monotonic()
