"""Whether photos can be finished, as /readyz tells."""

from __future__ import annotations

import asyncio
import time
from concurrent.futures import Future
from io import BytesIO

from PIL import Image

from mien.analyzer import Analyzer, Draft
from mien.results import Photo
from mien.service.engine import Engine
from mien.service.jobs import Order
from mien.service.pace import finished

PROBE_SECONDS = 4.0
"""So long a photo of our own may take; whoever asks for /readyz has to wait for it."""


class Readiness:
    """Asks an engine, and where its photos leave it in doubt, has it work on one of our own.

    Photos that are not finished may be the fault of whoever sent them, or of a machine that can do no better.
    """

    def __init__(self, engine: Engine, analyzer: Analyzer, seconds: float) -> None:
        """Take note.

        Args:
            engine: is to finish photos.
            analyzer: what a photo of our own is looked at by.
            seconds: from which on without a finished photo there is doubt.
        """
        self._engine = engine
        self._analyzer = analyzer
        self.seconds = seconds
        self._probe: Future[tuple[Photo, Draft]] | None = None
        self._since = 0.0

    async def check(self) -> bool:
        """Whether photos can be finished."""
        if not self._engine.doubtful(self.seconds):
            return True
        if self._probe is None or self._probe.done():
            self._probe = self._engine.analyse(Order(self._analyzer, _photo(), "probe", caller="probe"))
            self._since = time.monotonic()
        probe = self._probe
        left = max(0.0, self._since + PROBE_SECONDS - time.monotonic())
        await asyncio.wait([asyncio.wrap_future(probe)], timeout=left)
        return probe.done() and finished(probe)


def _photo() -> bytes:
    """A small picture without a face."""
    stream = BytesIO()
    Image.new("RGB", (64, 64), (90, 90, 90)).save(stream, "PNG")
    return stream.getvalue()
