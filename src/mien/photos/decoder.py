"""The process that decodes photos of strangers for `mien.photos.decoders`, within limits of the system."""

from __future__ import annotations

import json
import mmap
import signal
import sys
from collections.abc import Callable
from contextlib import suppress
from dataclasses import fields
from multiprocessing.connection import Connection
from typing import Any

import cv2
import numpy as np
from PIL import AvifImagePlugin

from mien.errors import PhotoError
from mien.photos.decode import DecodeOptions, Fit, Picture, decode

_FILES = 64
_GONE = (EOFError, BrokenPipeError, ConnectionResetError)


def main(pipe: int, sheet: int, size: int, memory: int) -> None:
    """Decode one photo after the other until the pipe closes.

    Args:
        pipe: file descriptor of the connection with the parent.
        sheet: file descriptor of memory shared with it; -1 for none: bytes and pixels go through the pipe then.
        size: bytes of the sheet.
        memory: bytes that a photo may take; 0 for no limit.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent decides
    cv2.setNumThreads(1)
    AvifImagePlugin.DEFAULT_MAX_THREADS = 1
    limit(memory)
    connection = Connection(pipe)
    shared = None if sheet < 0 else mmap.mmap(sheet, size)
    with suppress(*_GONE):
        connection.send_bytes(b"ready")
        while True:
            serve(connection, shared)


def limit(memory: int) -> None:
    """Set the system's limits on this process: memory beyond what it has now, and neither files nor core dumps.

    Args:
        memory: bytes; 0 for no limit. Where the system does not count them (other than Linux) it is none.
    """
    import resource

    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    resource.setrlimit(resource.RLIMIT_NOFILE, (_FILES, _FILES))
    if memory and sys.platform == "linux":
        most = _data() + memory
        resource.setrlimit(resource.RLIMIT_DATA, (most, most))


def _data() -> int:
    """Bytes that RLIMIT_DATA counts at the moment."""
    with open("/proc/self/status", encoding="ascii") as file:  # noqa: PTH123 - as light as can be
        return next(int(line.split()[1]) << 10 for line in file if line.startswith("VmData"))


def serve(connection: Connection, shared: mmap.mmap | None) -> None:
    """Decode one photo.

    Args:
        connection: where the order comes from, and the answer goes to; see `mien.photos.process`.
        shared: the sheet.

    Raises:
        EOFError, OSError: the parent is gone.
    """
    order = json.loads(connection.recv_bytes())
    data = shared[: order["size"]] if shared is not None else connection.recv_bytes()
    # Should the parent die meanwhile: nobody else would end this process.
    signal.setitimer(signal.ITIMER_REAL, order["seconds"])
    fit = order["fit"] and Fit(**order["fit"])
    answer, pixels = attempt(lambda: decode(data, DecodeOptions(**order["options"]), reduce=fit))
    signal.setitimer(signal.ITIMER_REAL, 0)
    if pixels is not None and shared is not None:
        np.frombuffer(shared, np.uint8, pixels.size)[:] = pixels.reshape(-1)
    connection.send_bytes(json.dumps(answer).encode())
    if pixels is not None and shared is None:
        connection.send_bytes(pixels.tobytes())


def attempt(work: Callable[[], Picture]) -> tuple[dict[str, Any], np.ndarray[Any, Any] | None]:
    """What to tell of a photo, and its pixels if there are any.

    Args:
        work: decodes it.

    Returns:
        A record of "shape" and "picture"; of "error", "message" and whether memory was "spent"; or of "fault".
    """
    try:
        picture = work()
    except PhotoError as error:
        spent = isinstance(error.__context__, MemoryError)
        return {"error": error.kind, "message": str(error), "spent": spent}, None
    except Exception as error:  # noqa: BLE001 - the edge of the process
        return {"fault": f"{type(error).__name__}: {error}"}, None
    record = {part.name: getattr(picture, part.name) for part in fields(picture) if part.name != "pixels"}
    return {"shape": picture.pixels.shape[:2], "picture": record}, picture.pixels
