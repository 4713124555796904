"""Closes a connection whose client is still sending so that the client gets the answer all the same.

A socket that is closed with bytes unread, or that is sent more afterwards, resets its connection. With that is lost
what had not left yet, with some systems also what the client had not read yet: the very answer that says what is wrong.
So only the sending half is closed, and what still comes is read and thrown away for a while (nginx: lingering_close).
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import Any

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

SECONDS_AT_THE_END = 1.0
"""Time for a client that is still sending when the service is told to stop."""


@dataclass(slots=True)
class Patience:
    """How much is read from clients that have their answer.

    Attributes:
        size: bytes of one client.
        seconds: time for one client.
        silence: time that it may send nothing.
        most: clients at once; beyond it a connection is closed at once.
        reading: time for a client to take what was written to it; one that reads nothing holds an answer in memory.
        now: connections that are being read from.
    """

    size: int
    seconds: float
    silence: float = 5.0
    most: int = 256
    reading: float = 30.0
    now: set[Lingering] = field(default_factory=set)


class Lingering(H11Protocol):
    """A connection that is half-closed first where the client has not sent all of its request."""

    patience: Patience
    _real: asyncio.Transport

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._left = 0
        self._deadline = 0.0
        self._timer: asyncio.TimerHandle | None = None
        self._stopping = False
        self._written = 0
        self._due = 0
        self._reader: asyncio.TimerHandle | None = None

    @property
    def lingers(self) -> bool:
        """Whether the client has its answer, and what it sends is thrown away."""
        return self in self.patience.now

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin; uvicorn gets a transport that may be closed by halves."""
        self._real = transport
        super().connection_made(_Closing(transport, self))

    def data_received(self, data: bytes) -> None:
        """Pass on what comes, or throw it away where the client has its answer."""
        if not self.lingers:
            super().data_received(data)
            return
        self._left -= len(data)
        if self._left < 0:
            self._real.abort()
        else:
            self._wait()

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the client."""
        self.patience.now.discard(self)
        for timer in (self._timer, self._reader):
            if timer is not None:
                timer.cancel()
        super().connection_lost(exc)

    def wrote(self, size: int) -> None:
        """Give the client time to read what was written; where it does not, the connection ends."""
        self._written += size
        if self._reader is None and self._real.get_write_buffer_size():
            self._due = self._written
            self._reader = self.loop.call_later(self.patience.reading, self._check_reader)

    def turn_away(self, answer: bytes) -> None:
        """Send a last answer to a client whatever it may have to say."""
        self._real.write(answer)
        if self._linger(SECONDS_AT_THE_END):
            return
        self._real.close()

    def _check_reader(self) -> None:
        self._reader = None
        left = self._real.get_write_buffer_size()
        if left and self._written - left < self._due:
            self._real.abort()
        elif left:
            self.wrote(0)

    def shutdown(self) -> None:
        """Come to an end soon: the service does."""
        self._stopping = True
        if self.lingers:
            self._deadline = min(self._deadline, self.loop.time() + SECONDS_AT_THE_END)
            self._wait()
        else:
            super().shutdown()

    def linger(self) -> bool:
        """Half-close the connection, or say that it needs none of that."""
        return self._sends() and self._linger(SECONDS_AT_THE_END if self._stopping else self.patience.seconds)

    def _linger(self, seconds: float) -> bool:
        if len(self.patience.now) >= self.patience.most:
            return False
        try:
            self._real.write_eof()  # once what is written has left
        except OSError:  # the client is gone
            return False
        self.patience.now.add(self)
        self._left = self.patience.size
        self._deadline = self.loop.time() + seconds
        self._wait()
        if self.cycle is not None and not self.cycle.response_complete:  # uvicorn itself has refused the rest
            self.cycle.disconnected = True
            self.cycle.message_event.set()
        self.flow.resume_reading()
        return True

    def _sends(self) -> bool:
        """Whether the client has begun something that it may not have sent to the end."""
        state = self.conn.their_state
        if state in {h11.DONE, h11.MUST_CLOSE}:  # it may have begun the next request
            return bool(self.conn.trailing_data[0])
        return state in {h11.SEND_BODY, h11.ERROR}

    def _wait(self) -> None:
        """Wait for more, but not for ever."""
        if self._timer is not None:
            self._timer.cancel()
        end = min(self._deadline, self.loop.time() + self.patience.silence)
        self._timer = self.loop.call_at(end, self._real.abort)


class _Closing(asyncio.Transport):
    """What uvicorn is given for the transport: closing it may only be the beginning of the end."""

    def __init__(self, real: asyncio.Transport, connection: Lingering) -> None:
        super().__init__()
        self._real = real
        self._connection = connection

    def close(self) -> None:
        if not self.is_closing() and not self._connection.linger():
            self._real.close()

    def is_closing(self) -> bool:
        return self._connection.lingers or self._real.is_closing()

    def write(self, data: Any) -> None:
        if not self._connection.lingers:
            self._real.write(data)
            self._connection.wrote(len(data))

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return self._real.get_extra_info(name, default)

    def pause_reading(self) -> None:
        self._real.pause_reading()

    def resume_reading(self) -> None:
        self._real.resume_reading()
