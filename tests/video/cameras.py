"""A network camera on the loopback: Motion JPEG over HTTP, which can be made to misbehave."""

from __future__ import annotations

import http.server
import os
import threading
import time
from collections.abc import Sequence
from typing import Any, Literal

import cv2
import numpy as np
from numpy.typing import NDArray

Fault = Literal["noise", "cut", "empty"]


class NetworkCamera:
    """Serves the same frames to each that connects, one connection after the other.

    Attributes:
        connections: how many there were.
        silent: set once it has fallen silent.
    """

    def __init__(
        self,
        frames: Sequence[NDArray[np.uint8]],
        *,
        bad: dict[int, Fault] | None = None,
        stall_after: int | None = None,
        most: int | None = None,
        pause: float = 0.02,
        port: int = 0,
    ) -> None:
        """Begin to listen.

        Args:
            frames: [H, W, 3] RGB.
            bad: by number, what is wrong with a frame.
            stall_after: falls silent after so many frames.
            most: refuses connections after so many.
            pause: seconds between frames.
            port: where to listen; 0 for a free one.
        """
        self.connections = 0
        self._parts = [_jpeg(frame) for frame in frames]
        for number, fault in (bad or {}).items():
            whole = self._parts[number]
            self._parts[number] = {"noise": os.urandom(len(whole)), "cut": whole[:40], "empty": b"\xff"}[fault]
        self._stall_after, self._most, self._pause = stall_after, most, pause
        self._ended = threading.Event()
        self.silent = threading.Event()
        camera = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def log_message(self, *_: Any) -> None:
                pass

            def do_GET(self) -> None:
                camera.connections += 1
                if camera._most is not None and camera.connections > camera._most:
                    self.send_error(503)
                    return
                self.send_response(200)
                self.send_header("Content-Type", "multipart/x-mixed-replace; boundary=f")
                self.end_headers()
                camera._send(self.wfile)

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", port), Handler)
        self._server.daemon_threads = True
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()

    @property
    def address(self) -> str:
        """Its URL, with a password."""
        return f"http://admin:secret@127.0.0.1:{self.port}/video.mjpg"

    @property
    def port(self) -> int:
        return self._server.server_port

    def __enter__(self) -> NetworkCamera:
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._server.shutdown()
        self._server.server_close()

    def _send(self, stream: Any) -> None:
        try:
            for number, part in enumerate(self._parts):
                if number == self._stall_after:
                    self.silent.set()
                    self._ended.wait(30)
                    return
                stream.write(
                    b"--f\r\nContent-Type: image/jpeg\r\nContent-Length: %d\r\n\r\n" % len(part) + part + b"\r\n"
                )
                stream.flush()
                time.sleep(self._pause)
        except OSError:
            pass


def numbered(count: int) -> list[NDArray[np.uint8]]:
    """Grey frames, each 8 levels brighter than the last."""
    return [np.full((64, 64, 3), 8 * number, np.uint8) for number in range(count)]


def number_of(pixels: NDArray[np.uint8]) -> int:
    return round(float(pixels.mean()) / 8)


def _jpeg(frame: NDArray[np.uint8]) -> bytes:
    done, data = cv2.imencode(".jpg", cv2.cvtColor(frame, cv2.COLOR_RGB2BGR))
    assert done
    return bytes(data)
