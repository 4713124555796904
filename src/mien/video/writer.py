"""The annotated video: frames with their tracks marked, at a constant rate, whole under its name or not there."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import cv2
import numpy as np
from numpy.typing import NDArray

from mien.drawing.faces import LARGEST_SIDE, READABLE_SIDE, draw
from mien.errors import UsageError
from mien.names import discard, plain_name, printable
from mien.results import Face, Photo
from mien.unfinished import create, part_name, unwritable
from mien.video.records import Seen, TrackedFrame

CODECS = {".mp4": "mp4v", ".mov": "mp4v", ".mkv": "mp4v", ".webm": "VP80", ".avi": "MJPG"}
"""By suffix: MPEG-4 Part 2 is quick and plays in VLC, mpv and QuickTime but in no browser; VP8 plays in browsers and is
slow. OpenCV's wheels write no H.264: its encoders are under the GPL."""

LONGEST_GAP = 10.0
"""Seconds that a frame is held at most where the next comes late."""


class AnnotatedVideo:
    """Writes frames at their times: one that comes early is left out, one that comes late is held."""

    def __init__(self, path: Path, rate: float) -> None:
        """Check the name; the file is begun with the first frame.

        Args:
            path: what is to be written; its suffix is one of `CODECS`.
            rate: frames a second.

        Raises:
            UsageError: another suffix, or a folder that does not exist.
        """
        codec = CODECS.get(path.suffix.lower())
        if codec is None:
            raise UsageError(f"{printable(str(path))}: an annotated video ends in {', '.join(sorted(CODECS))}")
        if not path.parent.is_dir() or not os.access(path.parent, os.W_OK):
            raise UsageError(unwritable(path, PermissionError()))
        self._target = path.resolve()
        self._part = part_name(self._target, f".part{path.suffix}")  # FFmpeg reads the suffix
        self._fourcc = cv2.VideoWriter.fourcc(*codec)
        self._rate = rate
        self._writer: cv2.VideoWriter | None = None
        self._size = (0, 0)
        self._start = 0.0
        self._written = 0
        self._held: NDArray[Any] | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._writer is not None:
            self._writer.release()
        try:
            if kind is None and self._writer is not None:
                try:
                    self._part.replace(self._target)
                except OSError as fault:
                    raise UsageError(unwritable(self._target, fault)) from fault
        finally:
            discard(self._part)

    def write(self, frame: TrackedFrame, model: str) -> None:
        """Add one frame, which must have its pixels.

        Raises:
            UsageError: the file cannot be written.
        """
        if frame.pixels is None:
            raise ValueError("annotating needs the frame's pixels")
        if self._writer is None:
            self._begin(frame.pixels, frame.seconds)
        assert self._writer is not None
        due = round((frame.seconds - self._start) * self._rate) + 1
        if due <= self._written:
            return
        late = min(due - self._written - 1, round(LONGEST_GAP * self._rate))
        if self._held is not None:
            for _ in range(late):
                self._writer.write(self._held)
        self._written = due
        drawn = cv2.cvtColor(annotated(frame, model, self._size), cv2.COLOR_RGB2BGR)
        self._writer.write(drawn)
        self._held = drawn

    def _begin(self, pixels: NDArray[np.uint8], seconds: float) -> None:
        height, width = pixels.shape[:2]
        larger = max(1.0, min(READABLE_SIDE / min(width, height), LARGEST_SIDE / max(width, height)))
        self._size = (max(2, round(width * larger / 2) * 2), max(2, round(height * larger / 2) * 2))  # codecs want even
        self._start = seconds
        try:  # before FFmpeg, which does not say why it cannot
            create(self._part).close()
        except OSError as error:
            raise UsageError(unwritable(self._target, error)) from error
        with plain_name(self._part.parent) as folder:
            file = str(Path(folder) / self._part.name)
            self._writer = cv2.VideoWriter(file, cv2.CAP_FFMPEG, self._fourcc, self._rate, self._size)
        if not self._writer.isOpened():
            raise UsageError(
                f"cannot write a video of {self._size[0]}x{self._size[1]} to {printable(str(self._target))}"
            )


def annotated(frame: TrackedFrame, model: str, size: tuple[int, int]) -> NDArray[np.uint8]:
    """Pixels [H, W, 3] of a frame at a size, its tracks drawn with their averages; faces without a track are not."""
    assert frame.pixels is not None
    pixels = frame.pixels
    if (pixels.shape[1], pixels.shape[0]) != size:
        pixels = np.asarray(cv2.resize(pixels, size, interpolation=cv2.INTER_AREA), np.uint8)
    shown = [seen for seen in frame.faces if seen.track is not None]
    if not shown:
        return pixels
    faces = tuple(_averaged(seen) for seen in shown)
    photo = Photo("", model, frame.width, frame.height, faces)
    return draw(pixels, photo, numbers=[seen.track or 0 for seen in shown])


def _averaged(seen: Seen) -> Face:
    return replace(seen.face, age=seen.age, gender=seen.gender)
