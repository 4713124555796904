"""Frames with their times, from a video file or a camera.

OpenCV reads them with the FFmpeg inside of its wheel: it turns frames as the file's metadata say and tells the
container's timestamps. PyAV would give finer errors and H.264 output, but its wheels carry x264 and x265, which are
under the GPL, and it would be a second FFmpeg beside the first.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol, Self

import cv2
import numpy as np
from numpy.typing import NDArray

from mien.errors import UsageError, VideoError
from mien.photos.item import printable

USUAL_RATE = 25.0
"""Frames a second where the container or the camera does not say."""

FASTEST_RATE = 1000.0
ENOUGH = 0.98
"""A file that gave this share of the frames and seconds it announced is taken as whole: both are often estimates."""


@dataclass(frozen=True, slots=True)
class Frame:
    """One frame.

    Attributes:
        index: its place in the source from 0; frames that were skipped count.
        seconds: its time from the start of the source, by the container's clock or, of a camera, this machine's.
        pixels: uint8 [H, W, 3] RGB, upright.
    """

    index: int
    seconds: float
    pixels: NDArray[np.uint8]


class Source(Protocol):
    """Where frames come from: iterate over it once."""

    name: str
    rate: float
    expected: int | None
    shortfall: str | None

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...

    def __iter__(self) -> Iterator[Frame]: ...

    def stop(self) -> None:
        """End the frames soon, as if the source ended there; may be called from a signal handler."""
        ...


class _Capture:
    """What files and cameras share: an open `cv2.VideoCapture`, closed with the context."""

    def __init__(self, name: str, capture: cv2.VideoCapture, every: int, max_frames: int | None) -> None:
        if every < 1:
            raise UsageError(f"every how many frames to analyse must be 1 or more, not {every}")
        if max_frames is not None and max_frames < 1:
            raise UsageError(f"the number of frames must be 1 or more, not {max_frames}")
        self.name = name
        self.every = every
        self.shortfall: str | None = None
        self._capture = capture
        self._limit = max_frames
        self._stopped = threading.Event()
        rate = capture.get(cv2.CAP_PROP_FPS)
        self.rate = rate if 0 < rate <= FASTEST_RATE else USUAL_RATE

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()
        self._capture.release()

    def stop(self) -> None:
        """End the frames soon, as if the source ended there."""
        self._stopped.set()


class Clip(_Capture):
    """A video file.

    Attributes:
        name: its path, for people and records.
        rate: frames a second, on average.
        expected: how many frames will be analysed, by the container's own word; None where it does not say.
        shortfall: after the last frame, a sentence where the file ended early; else None.
    """

    def __init__(self, path: str | Path, *, every: int = 1, max_frames: int | None = None, start: int = 0) -> None:
        """Open a file.

        Args:
            path: a file in a container and codec that FFmpeg knows (MP4, MOV, MKV, WebM, AVI, ...).
            every: give only each so many-th frame.
            max_frames: end after so many frames of the file, skipped ones included.
            start: index of the first frame to give. The frames before are decoded and dropped, because seeking is not
                exact in every container.

        Raises:
            VideoError: there is no such file, or it holds no video that can be read.
            UsageError: an impossible option.
        """
        name = printable(str(path))
        file = Path(path)
        try:
            there, empty = file.is_file(), file.is_file() and file.stat().st_size == 0
        except (OSError, ValueError):
            there = empty = False
        if not there:
            what = f"{name} is a folder, not a video" if file.is_dir() else f"no file lies at {name}: check the path"
            raise VideoError(what)
        if empty:
            raise VideoError(f"{name} has no bytes")
        # By FFmpeg alone, and by the whole path: else OpenCV would take digits in the name for a series of pictures,
        # and FFmpeg would take "http:..." for an address.
        capture = cv2.VideoCapture(str(file.resolve()), cv2.CAP_FFMPEG)
        if not capture.isOpened():
            raise VideoError(f"{name} holds no video stream that can be read: is it a video, and whole?")
        super().__init__(name, capture, every, max_frames)
        count = capture.get(cv2.CAP_PROP_FRAME_COUNT)
        self._count = int(count) if 0 < count < 1e9 else None
        self._start = start
        self.expected: int | None = None
        if self._count is not None:
            last = self._count if max_frames is None else min(self._count, max_frames)
            self.expected = max(0, -(-last // every) - -(-start // every))

    def __iter__(self) -> Iterator[Frame]:
        """Frames in order.

        Raises:
            VideoError: the file holds no frame.
        """
        index, seconds = 0, -1.0
        while not self._stopped.is_set() and (self._limit is None or index < self._limit):
            if not self._capture.grab():
                break
            seconds = self._time(index, seconds)
            if index >= self._start and index % self.every == 0:
                whole, pixels = self._capture.retrieve()
                if not whole or pixels is None:
                    break
                yield Frame(index, seconds, _rgb(pixels))
            index += 1
        else:
            return
        if index == 0:
            raise VideoError(f"{self.name} holds no frame that can be read")
        self._judge(index, seconds)

    def _time(self, index: int, before: float) -> float:
        """The container's timestamp, or a regular one where it has none or runs backwards."""
        told = self._capture.get(cv2.CAP_PROP_POS_MSEC) / 1000
        if np.isfinite(told) and told > before and (told > 0 or index == 0):
            return float(told)
        return before + 1 / self.rate if index else 0.0

    def _judge(self, read: int, seconds: float) -> None:
        if self._count is None or read + 2 >= ENOUGH * self._count:
            return
        whole = self._count / self.rate
        if seconds + 2 / self.rate < ENOUGH * whole:
            self.shortfall = (
                f"{self.name} ends after {seconds:.1f} of {whole:.1f} seconds: it is damaged or breaks off; what could "
                "be read was used"
            )


class Camera(_Capture):
    """A camera by its index, its device or its address; a file may stand in for one.

    Of a real camera only the newest frame is kept while others are analysed, so that answers never lag behind; `index`
    counts the dropped ones too. A file is read frame by frame.

    Attributes:
        name: "camera:0", or the device or address without its password.
        rate: frames a second, as the camera says.
        expected: None: a camera has no end.
        shortfall: a sentence once the camera gave no more frames.
    """

    def __init__(self, camera: int | str, *, every: int = 1, max_frames: int | None = None) -> None:
        """Open a camera.

        Args:
            camera: 0 for the first one; or "/dev/video0", "rtsp://...", a file.
            every: give only each so many-th frame.
            max_frames: end after so many frames.

        Raises:
            VideoError: it does not open.
            UsageError: an impossible option.
        """
        given = str(camera)
        number = int(given) if given.isdecimal() else None
        name = f"camera:{number}" if number is not None else _without_password(printable(given))
        self._paced = number is not None or not Path(given).is_file()
        capture = cv2.VideoCapture(given) if number is None else cv2.VideoCapture(number)
        if not capture.isOpened():
            raise VideoError(f"{name} does not open: is it there, free, and may you use it?")
        super().__init__(name, capture, every, max_frames)
        self.expected: int | None = None

    def __iter__(self) -> Iterator[Frame]:
        """Frames in order, until the camera ends or `stop` is called.

        Raises:
            VideoError: the camera gives no frame at all.
        """
        taken = 0
        for frame in newest(self._frames(), self._stopped) if self._paced else self._frames():
            taken += 1
            yield frame
        if self._stopped.is_set():
            return
        if not taken:
            raise VideoError(f"{self.name} opens but gives no frame")
        if self._paced and self._limit is None:
            self.shortfall = f"{self.name} gives no more frames: is it still connected?"

    def _frames(self) -> Iterator[Frame]:
        index, seconds, start = 0, -1.0, time.monotonic()
        while not self._stopped.is_set() and (self._limit is None or index < self._limit):
            if not self._capture.grab():
                break
            told = time.monotonic() - start if self._paced else self._capture.get(cv2.CAP_PROP_POS_MSEC) / 1000
            seconds = told if told > seconds else seconds + 1 / self.rate
            if index % self.every == 0:
                whole, pixels = self._capture.retrieve()
                if not whole or pixels is None:
                    break
                yield Frame(index, seconds, _rgb(pixels))
            index += 1


def newest(frames: Iterator[Frame], stopped: threading.Event) -> Iterator[Frame]:
    """Read frames in a thread of their own and give only the newest, so that a slow consumer never lags behind.

    Args:
        frames: read as fast as they come.
        stopped: ends reading once it is set.
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

    reader = threading.Thread(target=read, name="mien-camera", daemon=True)
    reader.start()
    try:
        while True:
            with fresh:
                fresh.wait_for(lambda: bool(slot) or ended.is_set(), timeout=0.5)
                if not slot:
                    if ended.is_set() or stopped.is_set():
                        return
                    continue
                frame = slot.pop()
            yield frame
    finally:
        stopped.set()
        reader.join(timeout=5)


def _rgb(pixels: NDArray[Any]) -> NDArray[np.uint8]:
    if pixels.ndim == 2:
        return np.asarray(cv2.cvtColor(pixels, cv2.COLOR_GRAY2RGB), np.uint8)
    return np.asarray(cv2.cvtColor(pixels, cv2.COLOR_BGR2RGB), np.uint8)


def _without_password(address: str) -> str:
    """A camera's address as it may be shown and stored.

    >>> _without_password("rtsp://admin:secret@10.0.0.7/live")
    'rtsp://10.0.0.7/live'
    """
    scheme, separator, rest = address.partition("://")
    host, slash, path = rest.partition("/")
    return f"{scheme}{separator}{host.rpartition('@')[2]}{slash}{path}"
