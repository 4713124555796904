"""Who may come in, how often, and how many at once."""

from __future__ import annotations

import ipaddress
import time
from collections import OrderedDict
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass

from fastapi import Request

from mien.service.keys import Keys
from mien.service.places import Places, Ticket
from mien.service.problems import Problem
from mien.service.settings import Settings

MOST_CALLERS = 10_000
"""Callers whose rate is remembered; the one not seen for longest is forgotten first."""
WRONG_KEYS_A_MINUTE = 10
"""Wrong keys that one address may try, or one network of IPv6, which is what one subscriber has (/64)."""
UNKNOWN = "unknown"


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
        bucket = self._bucket(caller)
        if bucket.tokens < 1:
            return self._wait(bucket)
        bucket.tokens -= 1
        return 0.0

    def wait(self, caller: str) -> float:
        """Seconds until a request may go on, without counting one."""
        if not self._capacity or caller not in self._buckets:
            return 0.0
        bucket = self._bucket(caller)
        return 0.0 if bucket.tokens >= 1 else self._wait(bucket)

    def _bucket(self, caller: str) -> _Bucket:
        now = self._clock()
        bucket = self._buckets.setdefault(caller, _Bucket(self._capacity, now))
        self._buckets.move_to_end(caller)
        if len(self._buckets) > MOST_CALLERS:
            self._buckets.popitem(last=False)
        bucket.tokens = min(self._capacity, bucket.tokens + (now - bucket.filled) * self._capacity / 60)
        bucket.filled = now
        return bucket

    def _wait(self, bucket: _Bucket) -> float:
        return (1 - bucket.tokens) / self._capacity * 60


class Gate:
    """Keys, rates and places."""

    def __init__(self, settings: Settings, places: Places | None = None) -> None:
        self.keys = Keys(settings.api_keys, settings.api_key_file)
        self.places = Places(settings) if places is None else places
        self._rates = RateLimit(settings.rate)
        self._failures = RateLimit(WRONG_KEYS_A_MINUTE)
        self._friends: OrderedDict[tuple[str, bytes], None] = OrderedDict()

    @property
    def inside(self) -> int:
        """Requests that were let in and are not answered."""
        return len(self.places)

    async def authorise(self, request: Request) -> str:
        """Let in who names a key, or anyone where there are none, and not too often.

        Returns:
            A name for the caller.

        Raises:
            Problem: 401 without a right key, 429 beyond the rate or after too many wrong keys.
        """
        address = network(request.client.host if request.client else "")
        caller = self._check_key(request, address) if self.keys.needed else address
        _refuse_for(self._rates.take(caller))
        request.state.caller = caller
        return caller

    @contextmanager
    def arrive(self, request: Request, kind: str = "photo") -> Generator[Ticket]:
        """Let a request come, until it is answered.

        Raises:
            Problem: 503 where there is no room for it.
        """
        ticket = self.places.arrive(request.state.caller, kind)
        try:
            yield ticket
        finally:
            self.places.leave(ticket)

    def _check_key(self, request: Request, address: str) -> str:
        """The id of the caller's key.

        An address that has tried too many wrong ones is not told any more which one is right, unless it has used that
        one before: otherwise whoever shares an address with others could shut them out.
        """
        scheme, _, given = request.headers.get("authorization", "").partition(" ")
        given = given.strip()
        if scheme.lower() != "bearer" or not given:
            raise _unauthorised("send a key in the header 'Authorization: Bearer KEY'")
        key = self.keys.find(given)
        friend = (address, key.digest) if key is not None else None
        if friend not in self._friends:
            _refuse_for(self._failures.wait(address), "too many wrong keys came from your address: ")
        if key is None or friend is None:
            self._failures.take(address)
            raise _unauthorised("send a right key in the header 'Authorization: Bearer KEY'")
        self._friends[friend] = None
        self._friends.move_to_end(friend)
        if len(self._friends) > MOST_CALLERS:
            self._friends.popitem(last=False)
        return f"key {key.name}"


def network(host: str) -> str:
    """What counts as one caller: an IPv4 address, or the /64 of an IPv6 address.

    >>> network("10.0.0.1"), network("2001:db8::1:2"), network("::ffff:10.0.0.1"), network("no address")
    ('10.0.0.1', '2001:db8::/64', '10.0.0.1', 'unknown')
    """
    try:
        address = ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return UNKNOWN
    if isinstance(address, ipaddress.IPv6Address):
        if address.ipv4_mapped is not None:
            return str(address.ipv4_mapped)
        return str(ipaddress.ip_network((address, 64), strict=False))
    return str(address)


def _unauthorised(sentence: str) -> Problem:
    return Problem("unauthorised", sentence, headers={"WWW-Authenticate": 'Bearer realm="mien"'})


def _refuse_for(wait: float, why: str = "") -> None:
    if wait:
        seconds = int(wait) + 1
        raise Problem("too_many_requests", f"{why}try again in {seconds} s", headers={"Retry-After": str(seconds)})
