"""What the commands for video share: the source, the analyzer, a quiet OpenCV, and stopping without loss."""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mien.cli.process import say
from mien.errors import UsageError

if TYPE_CHECKING:
    from mien.video.frames import Camera, Clip, Source


def check_source(file: Path | None, camera: str | None, reconnect: float = 0.0) -> None:
    """Exactly one of the two, and no waiting for a file.

    Raises:
        UsageError: none or both, or a file that is to be waited for.
    """
    if camera is None and reconnect:
        raise UsageError("--reconnect is for cameras: a file is there or not")
    if (file is None) == (camera is None):
        raise UsageError("name one video file, or a camera with --camera, e.g. --camera 0")


def open_source(
    file: Path | None,
    camera: str | None,
    *,
    every: int,
    max_frames: int | None = None,
    start: int = 0,
    reconnect: float = 0.0,
) -> Clip | Camera:
    """The file or the camera that was named.

    Raises:
        UsageError: none or both were named, or an impossible option.
        VideoError: it cannot be opened.
    """
    from mien.video.frames import Camera, Clip

    check_source(file, camera)
    _hush_opencv()
    if camera is not None:
        return Camera(camera, every=every, max_frames=max_frames, reconnect=reconnect)
    assert file is not None
    return Clip(file, every=every, max_frames=max_frames, start=start)


class Stopping:
    """Whether somebody asked to stop."""

    asked: bool = False


@contextmanager
def stopping(source: Source) -> Iterator[Stopping]:
    """Let Ctrl-C and SIGTERM end the frames, so that all that was read is answered and written; a second one aborts."""
    state = Stopping()
    if threading.current_thread() is not threading.main_thread():
        yield state
        return

    def stop(_number: int, _frame: Any) -> None:
        if state.asked:
            raise KeyboardInterrupt
        state.asked = True
        source.stop()

    before = {number: signal.signal(number, stop) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield state
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def tell_lost(source: Source) -> None:
    """Say how many frames a source gave that could not be decoded, where its shortfall does not."""
    if source.lost and "decoded" not in (source.shortfall or ""):
        say(f"{source.lost} frames of {source.name} could not be decoded and were passed over")


def _hush_opencv() -> None:
    """What OpenCV and FFmpeg would print about bad files is told by mien in sentences; an environment may say else."""
    os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")  # AV_LOG_QUIET; read when the first video is opened
    if "OPENCV_LOG_LEVEL" in os.environ:
        return
    import cv2

    cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)


def terminal() -> bool:
    """Whether data would go to a terminal."""
    return sys.stdout.isatty()
