"""Photos of strangers, decoded in processes that are ended when they take too long or too much.

A photo that takes longer than most is set aside: few of them are worked on at once, at a lower priority, so that the
others go on. A process that dies takes no other photo with it; its own is tried once more, in case the process was
ended from outside.
"""

from __future__ import annotations

import os
import signal
import threading
import time
import weakref
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mien.errors import MienError, PhotoTooCostly, PhotoUnreadable, UsageError, photo_error
from mien.photos import process
from mien.photos.decode import DecodeOptions, Fit, Picture
from mien.photos.item import check_bytes
from mien.photos.process import GONE, Process

PATIENCE = 1.0
"""Seconds after which a photo is set aside. One of 50 million pixels takes less on a core of 2020."""

_HINDERED = 4
"""How much longer a photo is waited for where the processor had others to serve: on a busy machine none is costly."""
_STEP = 0.25
_MOST_DEATHS = 2
_OVER_LIMITS = frozenset({signal.SIGKILL, signal.SIGABRT, signal.SIGALRM, signal.SIGXCPU})
"""How a process ends that has no memory left (the system's way, and that of C++), or no time."""


class GivenUp(Exception):
    """Nobody wants the photo any more."""


@dataclass(slots=True)
class Unfinished:
    """A photo that has been set aside.

    Attributes:
        data: the encoded photo.
        fit: size to decode it at; None for that of the limits.
        process: works on it; None where it is to begin again.
        began: when it began, by the monotonic clock.
        deaths: processes that have died over it.
        has_place: it is among the few that are worked on.
        told: is told the processor seconds that each attempt has taken.
    """

    data: bytes
    fit: Fit | None = None
    process: Process | None = None
    began: float = 0.0
    deaths: int = 0
    has_place: bool = False
    told: Callable[[float], None] = lambda seconds: None


class Decoders:
    """Processes that decode, started when they are needed. `close` them; safe to use from several threads."""

    def __init__(self, limits: DecodeOptions, *, places: int = 1, shared: bool = process.SHARED) -> None:
        """Take note of the limits.

        Args:
            limits: `max_seconds` and `max_memory` are those of a process for one photo.
            places: photos that take long which are worked on at once.
            shared: hand pixels over in shared memory.

        Raises:
            UsageError: `max_seconds` is None, or the system has no such processes.
        """
        if limits.max_seconds is None:
            raise UsageError("processes that decode need a limit of seconds")
        if not process.AVAILABLE:
            raise UsageError("photos can be decoded in processes of their own on Linux and macOS only")
        self._limits = limits
        self._seconds = limits.max_seconds
        self._options = replace(limits, max_seconds=None)
        self._patience = min(PATIENCE, self._seconds / 2)
        self._most = places
        self._shared = shared
        self._closed = False
        self._begin_empty()
        _ALL.add(self)

    def __reduce__(self) -> tuple[Any, ...]:
        return partial(Decoders, places=self._most, shared=self._shared), (self._limits,)

    def _begin_empty(self) -> None:
        """Without processes, and with locks that nobody holds."""
        self._places = threading.Semaphore(self._most)
        self._lock = threading.Lock()
        self._idle: list[Process] = []
        self._starting: set[Process] = set()
        self._busy: set[Process] = set()

    def forget(self) -> None:
        """In a forked child: the processes are the parent's, and answer it."""
        theirs = [*self._idle, *self._starting, *self._busy]
        self._begin_empty()
        for one in theirs:
            one.forget()

    def decode(self, data: bytes, fit: Fit | None = None) -> Picture:
        """Decode a photo, at the size of `fit` or of the limits; see `mien.photos.decode.decode`.

        Raises:
            PhotoTooCostly: it takes more time or memory than allowed.
            PhotoError: it cannot be used for another reason.
            MienError: no process can be started.
        """
        found = self.begin(data, fit)
        return found if isinstance(found, Picture) else self.finish(found)

    def begin(
        self, data: bytes, fit: Fit | None = None, told: Callable[[float], None] = lambda seconds: None
    ) -> Picture | Unfinished:
        """Decode a photo unless it takes long.

        Args:
            data: the encoded photo.
            fit: size to decode it at; None for that of the limits.
            told: is told the processor seconds that it has taken so far.

        Returns:
            The picture, or what to `finish`, as must be done.

        Raises:
            PhotoError, MienError: see `decode`.
        """
        check_bytes(len(data), self._limits.max_bytes)
        used = 0.0

        def telling(seconds: float) -> None:
            nonlocal used
            used += seconds
            told(seconds)

        found = self._work(Unfinished(data, fit, told=telling), self._patience, lambda: False)
        if isinstance(found, Unfinished) and used < self._patience / 2:  # it hardly had the processor
            found = self._work(found, min(_HINDERED * self._patience, self._seconds), lambda: False)
        if isinstance(found, Unfinished) and found.process is not None:
            found.has_place = self._places.acquire(blocking=False)
            if found.has_place:
                found.process.yield_to_others()
            else:
                self._end(found)
        return found

    def finish(self, unfinished: Unfinished, given_up: Callable[[], bool] = lambda: False) -> Picture:
        """Decode a photo that was set aside, when there is a place for it.

        Args:
            unfinished: what `begin` returned.
            given_up: asked now and then whether the photo is not wanted any more.

        Raises:
            GivenUp: it is not.
            PhotoError, MienError: see `decode`.
        """
        try:
            while not unfinished.has_place:
                if given_up() or self._closed:
                    raise GivenUp
                unfinished.has_place = self._places.acquire(timeout=_STEP)
            found = self._work(unfinished, self._seconds, given_up)
        finally:
            if unfinished.has_place:
                self._places.release()
        if isinstance(found, Picture):
            return found
        self._end(found)
        raise PhotoTooCostly(
            f"decoding this photo takes longer than the {self._seconds:g} s that one may take: save it again, smaller"
        )

    def warm_up(self, processes: int) -> None:
        """Start processes before the first photos come."""
        with suppress(GivenUp, MienError):  # told where a photo needs one
            for one in [Unfinished(b"", process=self._take()) for _ in range(processes)]:
                self._give_back(one)

    def close(self) -> None:
        """End the processes; photos that are being decoded are given up."""
        with self._lock:
            self._closed = True
            idle, busy = self._idle, [*self._starting, *self._busy]
            self._idle = []
        for one in [*idle, *busy]:
            one.kill()
        for one in busy:
            one.wait()  # the thread that waits for its answer buries it
        for one in idle:
            one.bury()

    def _work(self, one: Unfinished, seconds: float, given_up: Callable[[], bool]) -> Picture | Unfinished:
        """Have a photo decoded, for so many seconds since it began."""
        while True:
            since = time.monotonic()
            try:
                fresh = one.process is None
                one.process = one.process or self._take()
                since, used = time.monotonic(), one.process.seconds()
                if fresh:
                    one.began = since
                    if one.has_place:
                        one.process.yield_to_others()
                    one.process.order(one.data, self._options, 2 * self._seconds, one.fit)
                answer = self._await(one, one.process, one.began + seconds, given_up)
                now = one.process.seconds()
                one.told(time.monotonic() - since if now is None or used is None else now - used)
            except GONE:
                one.told(time.monotonic() - since)
                self._mourn(one)
                continue
            if answer is None:
                return one
            record, pixels = answer
            if one.has_place or record.get("spent"):  # it keeps its low priority, or has no memory left in one piece
                self._end(one)
            else:
                self._give_back(one)
            return _told(record, pixels)

    def _await(
        self, one: Unfinished, worker: Process, until: float, given_up: Callable[[], bool]
    ) -> tuple[dict[str, Any], NDArray[np.uint8] | None] | None:
        """The answer of a process; None where it is not there in time."""
        while not worker.pipe.poll(max(0.0, min(_STEP, until - time.monotonic()))):
            if given_up():
                self._end(one)
                raise GivenUp
            if time.monotonic() >= until:
                return None
        return worker.answer()

    def _mourn(self, one: Unfinished) -> None:
        """A process has died over a photo: once may be chance."""
        code = self._end(one, kill=False)
        if self._closed:
            raise GivenUp
        one.deaths += 1
        if one.deaths < _MOST_DEATHS:
            return
        if -code in _OVER_LIMITS:
            raise PhotoTooCostly("decoding this photo takes more memory or time than it may: save it again, smaller")
        raise PhotoUnreadable(
            f"the decoder breaks down over this photo (it ended with {code}): save it again as JPEG or PNG"
        )

    def _take(self) -> Process:
        """A process that waits for photos, or a new one."""
        with self._lock:
            if self._closed:
                raise GivenUp
            if self._idle:
                worker = self._idle.pop()
                self._busy.add(worker)
                return worker
            worker = Process(self._limits, shared=self._shared)
            self._starting.add(worker)
        try:
            worker.wait_until_ready()
            with self._lock:
                self._starting.remove(worker)
                self._busy.add(worker)
        except GONE:
            with self._lock:
                self._starting.remove(worker)
            worker.kill()
            code = worker.bury()
            if self._closed:
                raise GivenUp from None
            raise MienError(f"a process that decodes photos cannot start, it ended with {code}") from None
        return worker

    def _give_back(self, one: Unfinished) -> None:
        worker = _taken(one)
        with self._lock:
            self._busy.discard(worker)
            if not self._closed:
                self._idle.append(worker)
                return
        worker.kill()
        worker.bury()

    def _end(self, one: Unfinished, *, kill: bool = True) -> int:
        """End the process of a photo; how it ended."""
        worker = _taken(one)
        with self._lock:
            self._busy.discard(worker)
        if kill:
            worker.kill()
        return worker.bury()


_ALL: weakref.WeakSet[Decoders] = weakref.WeakSet()


def _forget_all() -> None:
    for decoders in list(_ALL):
        decoders.forget()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_all)


def _taken(one: Unfinished) -> Process:
    worker, one.process = one.process, None
    assert worker is not None
    return worker


def _told(record: dict[str, Any], pixels: NDArray[np.uint8] | None) -> Picture:
    """The picture that a process tells of, or the error."""
    if pixels is not None:
        pixels.flags.writeable = False
        return Picture(pixels, **record["picture"])
    if "error" in record:
        raise photo_error(str(record["error"]), str(record.get("message")))
    raise RuntimeError(str(record.get("fault")))
