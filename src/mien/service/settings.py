"""What a service may be told, and the limits that keep it alive."""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from mien.errors import UsageError
from mien.looking import Rotation
from mien.service import keys

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
        decode_seconds: time to decode a photo, in a process of its own; 0 to decode in this one, with no such limit.
        decode_memory: bytes that decoding a photo may take.
        memory: bytes that the service may take, by which the number of workers is chosen where that is 0; 0 for what
            the container or the machine has.
        max_concurrent: requests that are worked on at once; beyond it: 503 with Retry-After.
        max_explained: those of them that ask for explanations; 0 for an eighth.
        max_bodies: requests whose bodies are on their way, at once.
        max_bodies_each: those of one caller; 0 for half of them.
        max_connections: connections at once, of one address and in all four times as many.
        body_seconds: time for a client to send a request.
        header_seconds: time for a client to send its headers.
        answer_seconds: time for a client to read its answer.
        work_seconds: time to answer it; beyond it: 504.
        shutdown_seconds: time that running requests have to finish when the service is told to stop.
        api_keys: whoever calls must name one of them; empty: whoever calls is welcome. Lines as in the file.
        api_key_file: file of more of them, read again when it changes, see `mien.service.keys`.
        rate: requests a minute of one key, or of one address where there are no keys; 0 for any number.
        trusted_proxies: addresses, with commas, of proxies whose X-Forwarded-For is believed; empty for none.
        page: serve the page at /.
        root_path: path that a proxy puts before the addresses, e.g. "/mien"; empty for none.
        cors: origins whose pages may ask, e.g. "https://example.org"; empty for none but the service's own.
        web: folder that `mien web` wrote: the page offers to work on pictures in the browser too; None not to.
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
    decode_seconds: float = 10.0
    decode_memory: int = 1024 * MEBIBYTE
    memory: int = 0
    max_concurrent: int = 64
    max_explained: int = 0
    max_bodies: int = 256
    max_bodies_each: int = 0
    max_connections: int = 256
    body_seconds: float = 30.0
    header_seconds: float = 10.0
    answer_seconds: float = 30.0
    work_seconds: float = 30.0
    shutdown_seconds: float = 30.0
    api_keys: tuple[str, ...] = ()
    api_key_file: Path | None = None
    rate: int = 0
    trusted_proxies: str = ""
    page: bool = True
    root_path: str = ""
    cors: tuple[str, ...] = ()
    web: Path | None = None

    def __post_init__(self) -> None:
        if not self.models:
            raise UsageError("a service needs at least one model")
        self._check_numbers()
        _check_web(self.web)
        object.__setattr__(self, "max_explained", self.max_explained or max(1, self.max_concurrent // 8))
        object.__setattr__(self, "max_bodies_each", self.max_bodies_each or max(1, self.max_bodies // 2))
        if not all(key.strip() for key in self.api_keys):
            raise UsageError("an API key must not be empty")
        keys.parse(self.api_keys)
        for proxy in filter(None, (part.strip() for part in self.trusted_proxies.split(","))):
            _check_proxy(proxy)
        if self.root_path and not _ROOT.fullmatch(self.root_path):
            raise UsageError(
                f"the root path begins with / and does not end with it, e.g. /mien, not {self.root_path!r}"
            )
        for origin in self.cors:
            if origin != "*" and not _ORIGIN.fullmatch(origin):
                raise UsageError(f"an origin is a scheme and a host, e.g. https://example.org, not {origin!r}")

    def _check_numbers(self) -> None:
        for name in _ONE_OR_MORE:
            if getattr(self, name) < 1:
                raise UsageError(f"{name} must be 1 or more, not {getattr(self, name)}")
        for name in _NONE_OR_MORE:
            if getattr(self, name) < 0:
                raise UsageError(f"{name} must be 0 or more, not {getattr(self, name)}")
        for name in ("body_seconds", "header_seconds", "answer_seconds", "work_seconds", "shutdown_seconds"):
            if getattr(self, name) <= 0:
                raise UsageError(f"{name} must be above 0, not {getattr(self, name)}")


_ONE_OR_MORE = (
    *("threads", "max_batch", "max_body", "max_held", "max_pixels", "max_photos"),
    *("max_concurrent", "max_bodies", "max_connections", "decode_memory"),
)
_NONE_OR_MORE = ("workers", "rate", "max_wait", "max_explained", "max_bodies_each", "decode_seconds", "memory")
_ROOT = re.compile(r"(/[A-Za-z0-9._~-]+)+", re.ASCII)
_ORIGIN = re.compile(r"https?://[A-Za-z0-9.-]+(:[0-9]{1,5})?|https?://\[[0-9A-Fa-f:]+\](:[0-9]{1,5})?", re.ASCII)


def _check_web(folder: Path | None) -> None:
    """Refuse a folder that `mien web` did not write.

    Raises:
        UsageError: it is such a folder.
    """
    if folder is not None and not (folder / "device" / "assets.json").is_file():
        raise UsageError(f"{folder} holds no page for the browser: write it with `mien web {folder}`")


def _check_proxy(text: str) -> None:
    """Refuse what would let everybody choose his own address.

    Raises:
        UsageError: it is everybody, or neither an address nor a network.
    """
    try:
        network = ipaddress.ip_network(text)
    except ValueError:
        everybody = "; with * anybody could choose the address that he is known by" if text == "*" else ""
        raise UsageError(
            f"a trusted proxy is an address or a network, e.g. 10.0.0.1 or 10.1.0.0/16, not {text!r}{everybody}"
        ) from None
    if network.prefixlen < (8 if network.version == 4 else 16):
        raise UsageError(f"{text} is everybody or nearly so: name the address or the network of your proxy")
