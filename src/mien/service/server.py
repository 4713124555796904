"""Runs the application under uvicorn, with patience for slow clients bounded."""

from __future__ import annotations

import asyncio
import errno
import logging
import socket
from contextlib import closing
from typing import Any

from mien.errors import MissingExtra, UsageError

try:
    import h11
    import uvicorn
except ImportError as error:
    raise MissingExtra.named("the service", "serve") from error

from mien.service import logs, problems
from mien.service.app import create_app
from mien.service.crowd import Crowd
from mien.service.lingering import Lingering, Patience
from mien.service.settings import Settings
from mien.service.state import load

LOG_LEVELS = ("critical", "error", "warning", "info", "debug")
BODIES_AFTER_AN_ANSWER = 8
"""How many times the largest body a refused client may go on sending; it is read and thrown away."""


def run(settings: Settings, host: str, port: int, *, log_level: str = "info") -> None:
    """Serve until told to stop by SIGINT or SIGTERM; requests that are being answered then are finished.

    Args:
        settings: models and limits.
        host: address to listen at.
        port: its port; 0 for a free one.
        log_level: of uvicorn's log, one of `LOG_LEVELS`: addresses, paths and statuses, nothing of any picture.

    Raises:
        UsageError: a model, detector or log level is unknown, or the address cannot be listened at.
        ModelError: a model cannot be loaded.
    """
    if log_level not in LOG_LEVELS:
        raise UsageError.unknown("log level", log_level, LOG_LEVELS)

    class Patient(_Patient):
        seconds = settings.header_seconds
        patience = Patience(
            BODIES_AFTER_AN_ANSWER * settings.max_body, settings.body_seconds, reading=settings.answer_seconds
        )
        crowd = Crowd(settings.max_connections, settings.trusted_proxies)

    listener = _listen(host, port)
    with closing(listener):
        state = load(settings)  # before the server starts, so that what is wrong becomes a sentence
        state.engine.warm_up()
        config = uvicorn.Config(
            create_app(settings, state),
            http=Patient,
            ws="none",
            lifespan="on",
            log_level=log_level,
            log_config=logs.config(),
            server_header=False,
            proxy_headers=bool(settings.trusted_proxies),
            forwarded_allow_ips=settings.trusted_proxies or None,
            timeout_graceful_shutdown=max(1, round(settings.shutdown_seconds)),
        )
        _Server(config).run(sockets=[listener])


class _Server(uvicorn.Server):
    """Says where it listens once it does: uvicorn shows a socket given to it in Python's words."""

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        for listener in sockets or ():
            host, port = listener.getsockname()[:2]
            name = f"[{host}]" if listener.family == socket.AF_INET6 else host
            logging.getLogger("uvicorn.error").info("mien listens at http://%s:%d", name, port)


def _listen(host: str, port: int) -> socket.socket:
    """A socket bound to an address."""
    try:
        # With its protocol named: otherwise asyncio sets no TCP_NODELAY, and the body of an answer waits until the
        # client has acknowledged the headers, which takes some 40 ms.
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, proto=socket.IPPROTO_TCP, flags=socket.AI_PASSIVE
        )[0]
        listener = socket.socket(family, kind, protocol)
        try:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind(address)
        except OSError:
            listener.close()
            raise
    except OSError as error:
        hint = "; give another --port, or 0 for a free one" if error.errno in {errno.EADDRINUSE, errno.EACCES} else ""
        raise UsageError(f"the service cannot listen at {host}:{port}: {error.strerror}{hint}") from error
    return listener


class _Patient(Lingering):
    """A connection that is closed when the headers of a request do not arrive in time.

    uvicorn bounds the time between requests only: a client that sends a byte of a header now and then could hold a
    connection for ever.
    """

    seconds: float
    crowd: Crowd

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._watch: asyncio.TimerHandle | None = None
        self._counted = ""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._counted = self.crowd.enter(self.client[0] if self.client else "")
        if self._counted:
            self._look()
        else:
            self.turn_away(TOO_MANY)

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        self._look()

    def connection_lost(self, exc: Exception | None) -> None:
        self._forget()
        self.crowd.leave(self._counted)
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


_BODY = problems.Problem("busy", "too many connections are open: close some, or try again in a moment").response().body
TOO_MANY = (
    "HTTP/1.1 503 Service Unavailable\r\n"
    f"Content-Type: {problems.MEDIA_TYPE}\r\nContent-Length: {len(_BODY)}\r\n"
    "Retry-After: 1\r\nConnection: close\r\n\r\n"
).encode() + bytes(_BODY)
"""What a connection is told that is one too many."""
