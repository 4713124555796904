"""Common parts of files and cameras: frames, and an open `cv2.VideoCapture`.

OpenCV reads them with the FFmpeg inside of its wheel: it turns frames as the file's metadata say and tells the
container's timestamps. PyAV would give finer errors and H.264 output, but its wheels carry x264 and x265, which are
under the GPL, and it would be a second FFmpeg beside the first.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol, Self

import cv2
import numpy as np
from numpy.typing import NDArray

from mien.errors import UsageError

USUAL_RATE = 25.0
"""Frames a second where the container or the camera does not say."""

FASTEST_RATE = 1000.0


@dataclass(frozen=True, slots=True)
class Frame:
    """One frame of a video or camera: time and pixels.

    Attributes:
        index: its place in the source from 0; frames that were skipped or could not be decoded count.
        seconds: its time from the start of the source, by the container's clock or, of a camera, this machine's.
        pixels: uint8 [H, W, 3] RGB, upright; [0, 0, 3] of a moment in which a camera was lost.
    """

    index: int
    seconds: float
    pixels: NDArray[np.uint8]

    @property
    def blank(self) -> bool:
        """Whether nothing could be seen, since the camera was lost."""
        return not self.pixels.size


class Source(Protocol):
    """A source of frames; iterate over it once."""

    name: str
    file: Path | None
    rate: float
    every: int
    expected: int | None
    shortfall: str | None
    lost: int

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...

    def __iter__(self) -> Iterator[Frame]: ...

    def stop(self) -> None:
        """End the frames soon, as if the source ended there; may be called from a signal handler."""
        ...


def check_numbers(every: int, max_frames: int | None) -> None:
    """Refuse impossible numbers of frames.

    Raises:
        UsageError: one is below 1.
    """
    if every < 1:
        raise UsageError(f"every how many frames to analyse must be 1 or more, not {every}", option="every")
    if max_frames is not None and max_frames < 1:
        raise UsageError(f"the number of frames must be 1 or more, not {max_frames}", option="max_frames")


def usable_rate(capture: cv2.VideoCapture) -> float:
    """Frames a second, as the container or camera says, if that can be true."""
    rate = capture.get(cv2.CAP_PROP_FPS)
    return float(rate) if 0 < rate <= FASTEST_RATE else USUAL_RATE


def decoded(capture: cv2.VideoCapture) -> NDArray[np.uint8] | None:
    """The frame that was grabbed, in RGB; None where it cannot be decoded."""
    whole, pixels = capture.retrieve()
    return None if not whole or pixels is None or not pixels.size else _rgb(pixels)


class Stoppable:
    """A source that can be told to stop.

    Attributes:
        told: set once somebody said so; nothing else sets it.
    """

    def __init__(self) -> None:
        self.told = threading.Event()

    def stop(self) -> None:
        """End the frames soon, as if the source ended there."""
        self.told.set()


def _rgb(pixels: NDArray[Any]) -> NDArray[np.uint8]:
    if pixels.ndim == 2:
        return np.asarray(cv2.cvtColor(pixels, cv2.COLOR_GRAY2RGB), np.uint8)
    return np.asarray(cv2.cvtColor(pixels, cv2.COLOR_BGR2RGB), np.uint8)
