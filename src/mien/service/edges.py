"""What happens to every request and answer at the edge of the application: ids, HEAD, a root path, faults."""

from __future__ import annotations

import asyncio
import logging
from typing import Any

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from mien.service import logs
from mien.service.gate import UNKNOWN, network
from mien.service.problems import CLOSE, Problem, fault_inside

log = logging.getLogger("mien.service")

SHARED: dict[str, Any] = {
    "allow_methods": ["GET", "HEAD", "POST"],
    "allow_headers": ["Authorization", "Content-Type", logs.HEADER],
    "expose_headers": ["Retry-After", logs.HEADER],
    "max_age": 600,
}
"""What pages of other origins may do, where they may come at all. Never with cookies: there are none."""


class Named:
    """ASGI middleware that gives each request an id, and takes words for addresses away from the log."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        client = scope.get("client")
        if client and network(client[0]) == UNKNOWN:  # X-Forwarded-For may hold anything
            scope["client"] = (UNKNOWN, client[1])
        request = logs.request_id(Headers(scope=scope).get(logs.HEADER))
        logs.REQUEST.set(request)

        async def sending(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message)[logs.HEADER] = request
            await send(message)

        await self._app(scope, receive, sending)


class Heads:
    """ASGI middleware by which every address that takes GET takes HEAD: the same answer without its body."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on."""
        if scope["type"] != "http" or scope["method"] != "HEAD":
            await self._app(scope, receive, send)
            return

        async def sending(message: Message) -> None:
            if message["type"] == "http.response.body":
                message = {**message, "body": b""}
            await send(message)

        inner = {**scope, "method": "GET"}
        try:
            await self._app(inner, receive, sending)
        finally:
            scope.update((name, inner[name]) for name in ("route", "endpoint") if name in inner)


class Rooted:
    """ASGI middleware for a service below a path of its host, whether or not the proxy takes the path away."""

    def __init__(self, app: ASGIApp, root: str) -> None:
        self._app = app
        self._root = root

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on; to the root itself without its last slash, answer where the page is."""
        if scope["type"] == "http":
            if scope["path"] == self._root:
                headers = [(b"location", f"{self._root}/".encode()), (b"content-length", b"0")]
                await send({"type": "http.response.start", "status": 308, "headers": headers})
                await send({"type": "http.response.body", "body": b""})
                return
            if not scope["path"].startswith(f"{self._root}/"):
                scope["path"] = self._root + scope["path"]
            scope["root_path"] = self._root
        await self._app(scope, receive, send)


class Faults:
    """ASGI middleware that answers what nobody else has: our own faults, and requests cut when the service ends."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        begun = False

        async def sending(message: Message) -> None:
            nonlocal begun
            begun = True
            await send(message)

        try:
            await self._app(scope, receive, sending)
        except asyncio.CancelledError:  # the time that running requests had is over
            if begun:
                raise
            problem = Problem("busy", "the service is ending: try again", headers={"Retry-After": "5", **CLOSE})
            await problem.response()(scope, receive, send)
        except Exception:
            log.exception("a request could not be answered")
            if begun:
                raise
            await fault_inside().response()(scope, receive, send)
