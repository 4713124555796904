"""Who may come in, how often, and how many at once."""

from __future__ import annotations

import hashlib
import hmac
import time
from collections import OrderedDict
from collections.abc import AsyncGenerator, Callable
from dataclasses import dataclass

from fastapi import Request

from mien.service.problems import Problem
from mien.service.settings import Settings
from mien.service.uploads import busy

MOST_CALLERS = 10_000
"""Callers whose rate is remembered; the one not seen for longest is forgotten first."""


@dataclass(slots=True)
class _Bucket:
    """Tokens of one caller, of which each request takes one; they come back with time."""

    tokens: float
    filled: float


class RateLimit:
    """So many requests a minute for each caller, after as many at once."""

    def __init__(self, a_minute: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._capacity = a_minute
        self._clock = clock
        self._buckets: OrderedDict[str, _Bucket] = OrderedDict()

    def take(self, caller: str) -> float:
        """Count a request.

        Returns:
            0 where it may go on, otherwise the seconds until the next one may.
        """
        if not self._capacity:
            return 0.0
        now = self._clock()
        bucket = self._buckets.setdefault(caller, _Bucket(self._capacity, now))
        self._buckets.move_to_end(caller)
        if len(self._buckets) > MOST_CALLERS:
            self._buckets.popitem(last=False)
        a_second = self._capacity / 60
        bucket.tokens = min(self._capacity, bucket.tokens + (now - bucket.filled) * a_second)
        bucket.filled = now
        if bucket.tokens < 1:
            return (1 - bucket.tokens) / a_second
        bucket.tokens -= 1
        return 0.0


class Gate:
    """Keys, rates and the number of requests at once, as dependencies of the routes."""

    def __init__(self, settings: Settings) -> None:
        self._keys = [hashlib.sha256(key.encode()).digest() for key in settings.api_keys]
        self._rates = RateLimit(settings.rate)
        self._places = settings.max_concurrent
        self.inside = 0

    async def authorise(self, request: Request) -> None:
        """Let in who names a key, or anyone where there are none, and not too often.

        Raises:
            Problem: 401 without a right key, 429 beyond the rate.
        """
        caller = request.client.host if request.client else "unknown"
        if self._keys:
            scheme, _, given = request.headers.get("authorization", "").partition(" ")
            if scheme.lower() != "bearer" or not (caller := self._known(given.strip())):
                raise Problem(
                    "unauthorised",
                    "send a right key in the header 'Authorization: Bearer KEY'",
                    headers={"WWW-Authenticate": 'Bearer realm="mien"'},
                )
        wait = self._rates.take(caller)
        if wait:
            seconds = int(wait) + 1
            raise Problem("too_many_requests", f"try again in {seconds} s", headers={"Retry-After": str(seconds)})

    async def admit(self) -> AsyncGenerator[None]:
        """Hold one of the places for requests that are worked on, until the answer is made.

        Raises:
            Problem: 503 where none is free.
        """
        if self.inside >= self._places:
            raise busy(f"{self._places} requests are being worked on")
        self.inside += 1
        try:
            yield
        finally:
            self.inside -= 1

    def _known(self, given: str) -> str:
        """A name for the caller with this key; empty where there is no such key. Takes as long whatever is right."""
        digest = hashlib.sha256(given.encode("utf-8", "surrogateescape")).digest()
        known = [hmac.compare_digest(digest, key) for key in self._keys]
        return digest.hex() if any(known) else ""
