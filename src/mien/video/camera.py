"""Frames of a camera, the newest one at a time; one that is lost is told, and looked for again if asked."""

from __future__ import annotations

import atexit
import threading
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Self

import cv2
import numpy as np

from mien.errors import UsageError, VideoError
from mien.names import is_plain, printable
from mien.video.capture import Frame, Stoppable, check_numbers, decoded, usable_rate
from mien.video.clip import ENOUGH, Clip

SILENCE = 10.0
"""Seconds without a frame after which a camera counts as lost."""

BAD_FRAMES = 100
"""So many damaged frames in a row are a lost camera too; where nothing comes any more they take no time."""

SHORTEST_PAUSE, LONGEST_PAUSE = 0.5, 30.0
"""Seconds before the first attempt to reach a lost camera, doubled for each further one up to the longest."""

TICK = 0.5
"""Seconds between two blank frames while a camera is lost, so that tracks end in time."""

READER = "mien-camera"
"""Name of the thread that reads."""

LEAVE = 1.0
"""Seconds to wait for the thread that reads: longer than a frame takes, shorter than a silent camera can."""


def check_patience(reconnect: float) -> None:
    """Refuse what is no time to wait for a camera.

    Raises:
        UsageError: it is below 0 or has no end.
    """
    if not 0 <= reconnect < float("inf"):
        raise UsageError(f"the seconds to try again must be 0 or more, not {reconnect}", option="reconnect")


class Camera(Stoppable):
    """A camera by its index, its device or its address; a file may stand in for one.

    Of a real camera only the newest frame is kept while others are analysed, so that answers never lag behind; `index`
    counts the dropped ones too. A file is read frame by frame.

    Attributes:
        name: "camera:0", or the device or address without its password.
        file: the file that stands in for a camera; None for a real one.
        rate: frames a second, as the camera says.
        every: only each so many-th frame is given.
        expected: None: a camera has no end.
        shortfall: a sentence once the camera was lost; of a file, see `Clip`.
        lost: frames that could not be decoded, so far.
        reconnected: how often the camera was lost and reached again.
    """

    def __init__(
        self, camera: int | str, *, every: int = 1, max_frames: int | None = None, reconnect: float = 0.0
    ) -> None:
        """Open a camera.

        Args:
            camera: 0 for the first one; or "/dev/video0", "rtsp://...", a file.
            every: give only each so many-th frame.
            max_frames: end after so many frames.
            reconnect: try for so many seconds to reach a camera that is lost, or not there yet; 0 for not at all.

        Raises:
            VideoError: it does not open.
            UsageError: an impossible option.
        """
        super().__init__()
        check_numbers(every, max_frames)
        check_patience(reconnect)
        given = str(camera)
        self._device: int | str = int(given) if given.isdecimal() else given
        self.name = f"camera:{given}" if given.isdecimal() else without_password(printable(given))
        self.file: Path | None = None
        self.every = every
        self.expected: int | None = None
        self.shortfall: str | None = None
        self.lost = self.reconnected = 0
        self._limit = max_frames
        self._patience = reconnect
        self._enough = threading.Event()  # ends reading, for whatever reason
        self._missed: float | None = None
        self._start: float | None = None
        self._index, self._seconds = 0, -1.0
        self._count: int | None = None
        self._capture: cv2.VideoCapture | None = None
        self._clip: Clip | None = None
        if isinstance(self._device, str) and _is_file(given):
            self._clip = Clip(given, every=every, max_frames=max_frames)
            self.file = self._clip.file
            self.rate = self._clip.rate
            return
        self._capture = self._open() or self._sought(time.monotonic())
        if self._capture is None:
            raise VideoError(f"{self.name} does not open: is it there, free, and may you use it?")
        self.rate = usable_rate(self._capture)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()
        if self._clip is not None:
            self._clip.__exit__(kind, error, trace)
        elif self._capture is not None:  # nobody began to read
            self._capture.release()

    def stop(self) -> None:
        """End the frames soon, as if the source ended there."""
        super().stop()
        self._enough.set()
        if self._clip is not None:
            self._clip.stop()

    def __iter__(self) -> Iterator[Frame]:
        """Frames in order, until the camera is lost for good or `stop` is called; blank ones while it is sought.

        Raises:
            VideoError: the camera gives no frame at all.
        """
        if self._clip is not None:
            yield from self._clip
            self.shortfall, self.lost = self._clip.shortfall, self._clip.lost
            return
        taken = 0
        for frame in newest(self._frames(), self._enough, self._unseen):
            taken += not frame.blank
            yield frame
        if not taken and not self.told.is_set():
            raise VideoError(f"{self.name} opens but gives no frame")

    def _frames(self) -> Iterator[Frame]:
        """Frames, read in a thread that also closes the capture: a read cannot be interrupted from outside."""
        capture, self._capture = self._capture, None
        while capture is not None:
            try:
                yield from self._read(capture)
            finally:
                capture.release()
            if self._told_enough() or self._through():
                return
            self._missed = time.monotonic()
            capture = self._sought(self._missed)
            if capture is not None:
                self._missed = None
                self.reconnected += 1
        if not self._told_enough():
            tried = f", and could not be reached again within {self._patience:g} seconds" if self._patience else ""
            self.shortfall = f"{self.name} gives no more frames{tried}: is it still connected?"

    def _read(self, capture: cv2.VideoCapture) -> Iterator[Frame]:
        """Frames until the capture gives no more; what cannot be decoded is passed over and counted."""
        failed = 0
        while not self._told_enough():
            asked = time.monotonic()
            if not capture.grab():
                failed += 1
                if failed >= BAD_FRAMES or time.monotonic() - asked > 0.9 * SILENCE:
                    return
                continue
            self._index, self.lost, failed = self._index + failed, self.lost + failed, 0
            if self._index % self.every == 0:
                pixels = decoded(capture)
                if pixels is None:
                    self.lost += 1
                else:
                    yield Frame(self._index, self._clock(), pixels)
            self._index += 1

    def _sought(self, missed: float) -> cv2.VideoCapture | None:
        """The camera once it can be reached again; None where that takes too long or nobody waits any more."""
        pause = SHORTEST_PAUSE
        while (left := missed + self._patience - time.monotonic()) > 0:
            if self._enough.wait(min(pause, left)):
                return None
            capture = self._open()
            if capture is not None:
                return capture
            pause = min(2 * pause, LONGEST_PAUSE)
        return None

    def _open(self) -> cv2.VideoCapture | None:
        if isinstance(self._device, int):
            capture = cv2.VideoCapture(self._device)
        elif not is_plain(self._device):
            return None
        elif "://" in self._device and cv2.videoio_registry.hasBackend(cv2.CAP_FFMPEG):
            limit = round(1000 * SILENCE)
            settings = [cv2.CAP_PROP_OPEN_TIMEOUT_MSEC, limit, cv2.CAP_PROP_READ_TIMEOUT_MSEC, limit]
            capture = cv2.VideoCapture(self._device, cv2.CAP_FFMPEG, settings)
        else:
            capture = cv2.VideoCapture(self._device)
        if not capture.isOpened():
            return None
        count = capture.get(cv2.CAP_PROP_FRAME_COUNT)
        self._count = int(count) if 0 < count < 1e9 else None
        return capture

    def _told_enough(self) -> bool:
        """Whether the reader has asked to stop."""
        return self._enough.is_set() or (self._limit is not None and self._index >= self._limit)

    def _through(self) -> bool:
        """Whether a file that lies behind an address was read to its end."""
        return self._count is not None and self._index + 2 >= ENOUGH * self._count

    def _clock(self) -> float:
        """Seconds since the first frame, always later than before."""
        now = time.monotonic()
        self._start = now if self._start is None else self._start
        self._seconds = max(now - self._start, self._seconds + 1e-6)
        return self._seconds

    def _unseen(self) -> Frame | None:
        """A blank frame of a moment in which the camera is lost and sought; None where it is there."""
        if self._missed is None or not self._patience:
            return None
        return Frame(self._index, self._clock(), np.zeros((0, 0, 3), np.uint8))


def newest(
    frames: Iterator[Frame], stopped: threading.Event, idle: Callable[[], Frame | None] = lambda: None
) -> Iterator[Frame]:
    """Read frames in a thread of their own and give only the newest, so that a slow consumer never lags behind.

    Args:
        frames: read as fast as they come.
        stopped: ends reading once it is set; it is set at the end.
        idle: asked for a frame whenever none came for half a second.
    """
    fresh = threading.Condition()
    slot: list[Frame] = []
    ended = threading.Event()

    def read() -> None:
        try:
            for frame in frames:
                with fresh:
                    slot[:] = [frame]
                    fresh.notify()
                if stopped.is_set():
                    break
        finally:
            with fresh:
                ended.set()
                fresh.notify()

    reader = threading.Thread(target=read, name=READER, daemon=True)
    end = partial(_end, reader, stopped)
    atexit.register(end)
    reader.start()
    try:
        while True:
            with fresh:
                fresh.wait_for(lambda: bool(slot) or ended.is_set(), timeout=TICK)
                frame = slot.pop() if slot else None
            if frame is None:
                if ended.is_set() or stopped.is_set():
                    return
                frame = idle()
            if frame is not None:
                yield frame
    finally:
        stopped.set()
        reader.join(timeout=LEAVE)
        if not reader.is_alive():
            atexit.unregister(end)


def _end(reader: threading.Thread, stopped: threading.Event) -> None:
    """Let a thread come out of OpenCV before the interpreter ends, which otherwise aborts the process."""
    stopped.set()
    reader.join(timeout=2 * SILENCE)


def without_password(address: str) -> str:
    """A camera's address as it may be shown and stored.

    >>> without_password("rtsp://admin:secret@10.0.0.7/live")
    'rtsp://10.0.0.7/live'
    """
    scheme, separator, rest = address.partition("://")
    host, slash, path = rest.partition("/")
    return f"{scheme}{separator}{host.rpartition('@')[2]}{slash}{path}"


def _is_file(name: str) -> bool:
    try:
        return Path(name).is_file()
    except (OSError, ValueError):
        return False
