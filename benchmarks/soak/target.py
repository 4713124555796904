"""The service as a client sees it that has an address of its own."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass


@dataclass(slots=True)
class Target:
    """The service, seen from one address."""

    port: int
    address: str

    @asynccontextmanager
    async def connect(self) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
        """A connection from this address."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port, local_addr=(self.address, 0))
        try:
            yield reader, writer
        finally:
            writer.transport.abort()

    async def post(self, path: str, body: bytes, kind: str = "image/jpeg", method: str = "POST") -> tuple[int, bytes]:
        """Status and head of the answer to a request."""
        async with self.connect() as (reader, writer):
            writer.write(head(path, len(body), kind, method) + body)
            with suppress(ConnectionError):
                await writer.drain()
            told = await reader.readuntil(b"\r\n\r\n")
            if found := re.search(rb"content-length: (\d+)", told.lower()):
                await reader.readexactly(int(found[1]))
            return int(told[9:12]), told


def head(path: str, length: int, kind: str = "image/jpeg", method: str = "POST") -> bytes:
    """The headers of a request."""
    return f"{method} {path} HTTP/1.1\r\nHost: a\r\nContent-Type: {kind}\r\nContent-Length: {length}\r\n\r\n".encode()
