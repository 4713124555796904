"""Frames of a video file; what is damaged in it is passed over and told."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Self

import cv2
import numpy as np

from mien.errors import VideoError
from mien.names import absent, is_address, plain_name, printable
from mien.photos.formats import describe, sniff
from mien.video.capture import FASTEST_RATE, Frame, Stoppable, check_numbers, decoded, usable_rate

ENOUGH = 0.98
"""A file that gave this share of the frames and seconds it announced is taken as whole: both are often estimates."""

PATIENCE = 250
"""So many times in a row reading is tried again in vain, and once for each frame announced, until a file is at its end.
At its end a try takes microseconds; in a hole each passes over one damaged frame."""

NOTED_GAP = 3
"""A hole without a word from the decoder: so many frames missing at least, most of them at one place."""

_HEAD = 1024


class Clip(Stoppable):
    """A video file.

    Attributes:
        name: its path, for people and records.
        file: the path.
        rate: frames a second, on average.
        every: only each so many-th frame is given.
        expected: how many frames will be analysed, by the container's own word; None where it does not say.
        shortfall: after the last frame, a sentence where the file ended early or has a hole; else None.
        lost: frames that could not be decoded, so far.
    """

    def __init__(self, path: str | Path, *, every: int = 1, max_frames: int | None = None, start: int = 0) -> None:
        """Open a video file.

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
        super().__init__()
        self.name = printable(str(path))
        self.file: Path | None = Path(path)
        head = _head(self.file, str(path))
        check_numbers(every, max_frames)
        self._capture = _open(self.file, self.name, head)
        self.rate = usable_rate(self._capture)
        self.every = every
        self.shortfall: str | None = None
        self.lost = 0
        self._limit = max_frames
        count = self._capture.get(cv2.CAP_PROP_FRAME_COUNT)
        self._count = int(count) if 0 < count < 1e9 else None
        self._start = start
        self.expected: int | None = None
        if self._count is not None:
            last = self._count if max_frames is None else min(self._count, max_frames)
            self.expected = max(0, -(-last // every) - -(-start // every))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()
        self._capture.release()

    def __iter__(self) -> Iterator[Frame]:
        """Frames in order; those that cannot be decoded are passed over and counted in `lost`.

        Raises:
            VideoError: the file holds no frame.
        """
        index = read = failed = 0
        seconds, gap = -1.0, 0.0
        while not self.told.is_set() and (self._limit is None or index + failed < self._limit):
            if not self._capture.grab():
                failed += 1
                if failed > PATIENCE + max(0, (self._count or 0) - index):
                    break
                continue
            index, self.lost, failed = index + failed, self.lost + failed, 0
            before, seconds = seconds, self._time(index, seconds)
            gap = max(gap, seconds - before)
            if index >= self._start and index % self.every == 0:
                pixels = decoded(self._capture)
                if pixels is None:
                    self.lost += 1
                else:
                    yield Frame(index, seconds, pixels)
            index, read = index + 1, read + 1
        else:
            self._tell_of_holes()
            return
        if read == 0:
            raise VideoError(f"{self.name} holds no frame that can be read")
        self._judge(read, seconds, gap)

    def _time(self, index: int, before: float) -> float:
        """The container's timestamp, or a regular one where it has none or runs backwards."""
        told = self._capture.get(cv2.CAP_PROP_POS_MSEC) / 1000
        if np.isfinite(told) and told > before and (told > 0 or index == 0):
            return float(told)
        return before + 1 / self.rate if index else 0.0

    def _judge(self, read: int, seconds: float, gap: float) -> None:
        """Say what is missing of a file that was read to its end.

        Args:
            read: frames that were grabbed.
            seconds: time of the last one.
            gap: longest time from one frame to the next.
        """
        if self._count is None:
            self._tell_of_holes()
            return
        whole = self._count / self.rate
        if read + self.lost + 2 < ENOUGH * self._count and seconds + 2 / self.rate < ENOUGH * whole:
            self.shortfall = (
                f"{self.name} ends after {seconds:.1f} of {whole:.1f} seconds: it is damaged or breaks off; what could "
                "be read was used"
            )
            return
        missing = self._count - read
        silent = missing - self.lost >= NOTED_GAP and 2 * (gap * self.rate - 1) > missing
        if silent and gap * self.rate > NOTED_GAP + 1:
            self.lost = max(self.lost, missing)
        self._tell_of_holes()

    def _tell_of_holes(self) -> None:
        if self.lost:
            of = f" of {self._count}" if self._count is not None else ""
            self.shortfall = (
                f"{self.lost}{of} frames of {self.name} could not be decoded: it is damaged; what could be read was "
                "used"
            )


def _head(file: Path, given: str) -> bytes:
    """The first bytes of a file that is there and not empty.

    Raises:
        VideoError: there is none.
    """
    name = printable(given)
    try:
        if file.is_dir():
            raise VideoError(f"{name} is a folder, not a video")
        if file.exists() and not file.is_file():
            raise VideoError(f"{name} is a device or a pipe, not a file: read it as a camera (--camera)")
        with file.open("rb") as stream:
            head = stream.read(_HEAD)
    except PermissionError:
        raise VideoError(f"{name} may not be read: change its permissions") from None
    except (OSError, ValueError):
        if is_address(given) and not given.lower().startswith("file:"):
            raise VideoError(f"{absent(given)}, or read it as it comes, as a camera (--camera)") from None
        raise VideoError(absent(given)) from None
    if not head:
        raise VideoError(f"{name} has no bytes")
    return head


def _open(file: Path, name: str, head: bytes) -> cv2.VideoCapture:
    """An open capture of what is no still picture.

    By FFmpeg alone, and by the whole path: else OpenCV would take digits in the name for a series of pictures, and
    FFmpeg would take "http:..." for an address.

    Raises:
        VideoError: it holds no video.
    """
    picture, like = sniff(head) is not None, describe(head) or ""
    photo = f"{name} is a photo, not a video: for photos there is the command mien predict"
    with plain_name(file, VideoError) as plain:
        capture = cv2.VideoCapture(plain, cv2.CAP_FFMPEG)
        if not capture.isOpened():
            if picture:
                raise VideoError(photo)
            if like == "sound":
                raise VideoError(f"{name} is sound without pictures, not a video")
            raise VideoError(f"{name} holds no video stream that can be read: is it a video, and whole?")
        # The picture on a record's cover is a stream of one frame, without a rate of its own.
        cover = "sound" in like or capture.get(cv2.CAP_PROP_FPS) > FASTEST_RATE
        if (picture or cover) and not _moves(plain):
            raise VideoError(photo if picture else f"{name} is sound with a picture on its cover, not a video")
    return capture


def _moves(plain: str) -> bool:
    """Whether there is more than one frame."""
    capture = cv2.VideoCapture(plain, cv2.CAP_FFMPEG)
    try:
        return bool(capture.grab() and capture.grab())
    finally:
        capture.release()
