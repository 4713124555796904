"""What a service may be told, and the limits that keep it alive."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from mien.errors import UsageError
from mien.looking import Rotation

MEBIBYTE = 1 << 20


@dataclass(frozen=True, slots=True)
class Settings:
    """How a service works and where its limits lie.

    Attributes:
        models: names or folders of the models it answers with; the first is the default.
        detector: finds the faces, see `mien.analyzer.Options`.
        min_face: smallest face to look for, in pixels of the photo; None for the default of `mien.analyzer.Options`.
        side: longer side that big photos are reduced to; None for full size, "auto" for what `min_face` needs.
        rotate: how photos are turned before faces are looked for, see `mien.analyzer.Options`.
        workers: threads that decode, find faces and estimate; 0 for one a physical core.
        threads: cores that the network may use for one batch; 1 is best where there are several workers.
        max_batch: most faces, of whatever requests, that go through the network together.
        max_wait: seconds that a found face waits at most for others to fill its batch.
        max_body: bytes of one request.
        max_held: bytes of all requests together; beyond it: 503.
        max_pixels: width times height of a photo, checked before it is decoded.
        max_photos: photos of one request.
        max_concurrent: requests that are worked on at once; beyond it: 503 with Retry-After.
        body_seconds: time for a client to send a request.
        header_seconds: time for a client to send its headers.
        work_seconds: time to answer it; beyond it: 504.
        shutdown_seconds: time that running requests have to finish when the service is told to stop.
        api_keys: whoever calls must name one of them; empty: whoever calls is welcome.
        rate: requests a minute of one key, or of one address where there are no keys; 0 for any number.
        trusted_proxies: addresses, with commas, of proxies whose X-Forwarded-For is believed; empty for none.
        page: serve the page at /.
    """

    models: tuple[str, ...] = ("mien-m",)
    detector: str = "mtcnn"
    min_face: int | None = None
    side: int | Literal["auto"] | None = "auto"
    rotate: Rotation = "auto"
    workers: int = 0
    threads: int = 1
    max_batch: int = 8
    max_wait: float = 0.05
    max_body: int = 20 * MEBIBYTE
    max_held: int = 512 * MEBIBYTE
    max_pixels: int = 50_000_000
    max_photos: int = 16
    max_concurrent: int = 64
    body_seconds: float = 30.0
    header_seconds: float = 10.0
    work_seconds: float = 30.0
    shutdown_seconds: float = 30.0
    api_keys: tuple[str, ...] = ()
    rate: int = 0
    trusted_proxies: str = ""
    page: bool = True

    def __post_init__(self) -> None:
        if not self.models:
            raise UsageError("a service needs at least one model")
        for name in ("threads", "max_batch", "max_body", "max_held", "max_pixels", "max_photos", "max_concurrent"):
            if getattr(self, name) < 1:
                raise UsageError(f"{name} must be 1 or more, not {getattr(self, name)}")
        for name in ("workers", "rate", "max_wait"):
            if getattr(self, name) < 0:
                raise UsageError(f"{name} must be 0 or more, not {getattr(self, name)}")
        for name in ("body_seconds", "header_seconds", "work_seconds", "shutdown_seconds"):
            if getattr(self, name) <= 0:
                raise UsageError(f"{name} must be above 0, not {getattr(self, name)}")
        if any(not key.isascii() or not key.strip() for key in self.api_keys):
            raise UsageError("an API key must be of ASCII characters, and not empty")
