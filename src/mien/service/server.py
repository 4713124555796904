"""Runs the application under uvicorn, with patience for slow clients bounded."""

from __future__ import annotations

import asyncio
from typing import Any

import h11
import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

from mien.service.app import create_app
from mien.service.settings import Settings


def server(settings: Settings, host: str, port: int, *, log_level: str = "info") -> uvicorn.Server:
    """A server, to be `run()`.

    Args:
        settings: models and limits.
        host: address to listen at.
        port: its port; 0 for a free one.
        log_level: of uvicorn's log: addresses, paths and statuses, nothing of any picture.
    """

    class Patient(_Patient):
        seconds = settings.header_seconds

    config = uvicorn.Config(
        create_app(settings),
        host=host,
        port=port,
        http=Patient,
        ws="none",
        lifespan="on",
        log_level=log_level,
        server_header=False,
        timeout_graceful_shutdown=max(1, round(settings.shutdown_seconds)),
    )
    return uvicorn.Server(config)


class _Patient(H11Protocol):
    """A connection that is closed when the headers of a request do not arrive in time.

    uvicorn bounds the time between requests only: a client that sends a byte of a header now and then could hold a
    connection for ever.
    """

    seconds: float

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._watch: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._look()

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        self._look()

    def connection_lost(self, exc: Exception | None) -> None:
        self._forget()
        super().connection_lost(exc)

    def _look(self) -> None:
        """Start the watch where headers are awaited, stop it where they are there."""
        if self.conn.their_state is not h11.IDLE:
            self._forget()
        elif self._watch is None:
            self._watch = self.loop.call_later(self.seconds, self._give_up)

    def _forget(self) -> None:
        if self._watch is not None:
            self._watch.cancel()
            self._watch = None

    def _give_up(self) -> None:
        self._watch = None
        if self.conn.their_state is h11.IDLE:
            self.transport.close()
