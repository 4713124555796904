"""From tracks to counts: each track is one visitor, counted when it ends, in the interval in which it began."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Protocol

from mien.count.bands import Bands
from mien.count.store import Ledger, Visitor
from mien.video.records import Track, TrackedFrame

CHECKPOINT = 1.0
"""Seconds between two notes of how far a file is counted, at least; without a note more is analysed anew, no more."""

_SAMPLE = 1 << 20


class Tracked(Protocol):
    """Frames with tracks, as `mien.video.Analysis` gives them."""

    def __iter__(self) -> Iterator[TrackedFrame]: ...

    def rest(self) -> tuple[Track, ...]:
        """End the tracks that are open."""
        ...


def count(
    frames: Tracked,
    ledger: Ledger,
    *,
    bands: Bands,
    seconds: int,
    origin: float = 0.0,
    whole: Callable[[], bool] = lambda: True,
    seen: Callable[[TrackedFrame], None] = lambda frame: None,
) -> None:
    """Count the visitors of a source; of a file that was counted to its end there is nothing to do.

    Args:
        frames: of the source, from `ledger.frame` on.
        ledger: where they are counted.
        bands: of age.
        seconds: length of an interval.
        origin: time of the source's beginning, seconds since 1970; 0 where intervals count from that beginning.
        whole: asked after the last frame: did the source end? Else tracks that are open are left to a later run.
        seen: called after each frame.

    Raises:
        StoreError: the database does not answer, or another process counts this source.
    """

    def visitor(track: Track) -> Visitor:
        start = int((origin + track.first_seconds) // seconds) * seconds
        return Visitor(start, bands.of(track.age.years), track.gender.label)

    if ledger.finished:
        return
    noted = float("-inf")
    for frame in frames:
        ledger.add([visitor(track) for track in frame.ended])
        if frame.quiet and time.monotonic() - noted >= CHECKPOINT:
            ledger.settle(frame.index + 1)
            noted = time.monotonic()
        seen(frame)
    if whole():
        ledger.add([visitor(track) for track in frames.rest()])
        ledger.finish()


def fingerprint(path: Path) -> str:
    """Tells files apart, by size and by the bytes at both ends, so that hours of video need not be read."""
    size = path.stat().st_size
    digest = hashlib.sha256(str(size).encode())
    with path.open("rb") as file:
        digest.update(file.read(_SAMPLE))
        file.seek(max(0, size - _SAMPLE))
        digest.update(file.read(_SAMPLE))
    return digest.hexdigest()
