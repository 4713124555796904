"""What Prometheus may know: counts and times, nothing of any picture."""

from __future__ import annotations

import time
from collections.abc import Callable

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from mien.results import Photo

SECONDS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)
FACES = (1, 2, 4, 8, 16, 32)
MEDIA_TYPE = CONTENT_TYPE_PLAIN_0_0_4
ELSEWHERE = "other"
"""The route of requests to addresses that do not exist, so that nobody can make series without end."""

METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})


class Metrics:
    """The metrics of one service, in a registry of its own."""

    def __init__(self) -> None:
        self.registry = registry = CollectorRegistry()
        self.requests = Counter("mien_requests", "Requests answered.", ("method", "route", "status"), registry=registry)
        self.seconds = Histogram(
            "mien_request_seconds",
            "Time from a request's headers to the end of its answer.",
            ("route",),
            buckets=SECONDS,
            registry=registry,
        )
        self.photos = Counter("mien_photos", "Photos analysed.", registry=registry)
        self.faces = Counter("mien_faces", "Faces estimated.", registry=registry)
        self.errors = Counter("mien_photo_errors", "Photos that could not be used.", ("kind",), registry=registry)
        self.batches = Histogram(
            "mien_batch_faces", "Faces in one run of the network.", buckets=FACES, registry=registry
        )

    def watch(self, name: str, told: str, value: Callable[[], float]) -> None:
        """Add a gauge that is read when the metrics are."""
        Gauge(name, told, registry=self.registry).set_function(value)

    def count(self, photo: Photo) -> None:
        """Count an answer."""
        self.photos.inc()
        self.faces.inc(len(photo.faces))
        if photo.error is not None:
            self.errors.labels(photo.error.kind).inc()

    def text(self) -> bytes:
        """All of them, as Prometheus reads them."""
        return generate_latest(self.registry)


class Measured:
    """ASGI middleware that counts and times requests."""

    def __init__(self, app: ASGIApp, metrics: Metrics) -> None:
        self._app = app
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        start = time.perf_counter()
        status = 500

        async def sending(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self._app(scope, receive, sending)
        finally:
            route = getattr(scope.get("route"), "path", ELSEWHERE)
            method = scope["method"] if scope["method"] in METHODS else ELSEWHERE
            self._metrics.requests.labels(method, route, str(status)).inc()
            self._metrics.seconds.labels(route).observe(time.perf_counter() - start)
