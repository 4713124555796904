"""Room for requests: how many bodies may be on their way, how many requests worked on, and how many bytes all hold.

Where there is no room, it is taken from the caller who has most of it rather than refused to one who has less: whoever
opens a hundred connections pushes out his own. All of it happens in the event loop, without a pause.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from mien.service.problems import CLOSE, Problem
from mien.service.settings import Settings

GRACE_SECONDS = 1.0
"""So long a body is left alone: most have arrived by then."""


def busy(detail: str, seconds: int = 1) -> Problem:
    """The problem of a service with too much to do."""
    return Problem("busy", f"{detail}: try again in a moment", headers={"Retry-After": str(seconds), **CLOSE})


@dataclass(slots=True, eq=False)
class Ticket:
    """One request that was let in.

    Attributes:
        caller: whose it is.
        kind: "photo" or "explain".
        since: when it came, by the clock.
        held: bytes that it counts for.
        inside: its body is there, and it has a place among those that are worked on.
        timeout: ends what it is waiting for.
        evicted: it had to make room; its timeout has run out therefore.
    """

    caller: str
    kind: str
    since: float
    held: int = 0
    inside: bool = False
    timeout: asyncio.Timeout | None = None
    evicted: bool = False


class Places:
    """All tickets of a service."""

    def __init__(self, settings: Settings, clock: Callable[[], float] = time.monotonic) -> None:
        self._settings = settings
        self._clock = clock
        self._tickets: dict[Ticket, None] = {}  # in the order in which they came
        self.held = 0

    def __len__(self) -> int:
        return len(self._tickets)

    @property
    def inside(self) -> int:
        """Requests that are worked on."""
        return sum(ticket.inside for ticket in self._tickets)

    @property
    def arriving(self) -> int:
        """Requests whose bodies are on their way."""
        return len(self._tickets) - self.inside

    def arrive(self, caller: str, kind: str = "photo") -> Ticket:
        """Let the body of a request come.

        Raises:
            Problem: there is no room, and nobody else has more than a fair share of it.
        """
        self._room_inside(caller, kind, evict=False)  # refused before its body is read rather than after
        arriving = [ticket for ticket in self._tickets if not ticket.inside]
        mine = [ticket for ticket in arriving if ticket.caller == caller]
        settings = self._settings
        if len(mine) >= settings.max_bodies_each:
            self._push_out(mine, f"{settings.max_bodies_each} bodies of yours are on their way")
        elif len(arriving) >= settings.max_bodies:
            self._push_out(_heaviest(arriving), f"{settings.max_bodies} bodies are on their way")
        ticket = Ticket(caller, kind, self._clock())
        self._tickets[ticket] = None
        return ticket

    def hold(self, ticket: Ticket, size: int) -> None:
        """Take on more bytes of a request.

        Raises:
            Problem: memory has no room, and nobody else holds more of it for bodies that are on their way.
        """
        if ticket.evicted:
            raise evicted()
        detail = "too many large requests are being worked on"
        if ticket.held + size > self._settings.max_held:
            raise busy(detail)
        while self.held + size > self._settings.max_held:
            others = [one for one in self._tickets if one.held and not one.inside and one is not ticket]
            share: Counter[str] = Counter()
            for one in self._tickets:
                share[one.caller] += one.held
            victims = [one for one in others if one.caller == ticket.caller or share[one.caller] > share[ticket.caller]]
            if not victims:
                raise busy(detail)
            heavy = max(victims, key=lambda one: share[one.caller]).caller
            self._push_out([one for one in victims if one.caller == heavy], detail)
        self.held += size
        ticket.held += size

    def enter(self, ticket: Ticket) -> None:
        """Give a request whose body is there a place among those that are worked on.

        Raises:
            Problem: there is none, and nobody else has more than a fair share of them.
        """
        if ticket.evicted:
            raise evicted()
        self._room_inside(ticket.caller, ticket.kind, evict=True)
        ticket.inside = True

    def leave(self, ticket: Ticket) -> None:
        """Forget a request."""
        self._tickets.pop(ticket, None)
        self._free(ticket)

    def _room_inside(self, caller: str, kind: str, *, evict: bool) -> None:
        """See that there is a place, by taking one from the caller with most where he has more than this one."""
        limits = [(self._settings.max_concurrent, "", "requests are being worked on")]
        if kind == "explain":
            limits.append((self._settings.max_explained, kind, "explanations are being worked on"))
        for most, only, words in limits:
            inside = [ticket for ticket in self._tickets if ticket.inside and only in {"", ticket.kind}]
            if len(inside) < most:
                continue
            victims = _heaviest(inside)
            mine = sum(ticket.caller == caller for ticket in inside)
            if victims[0].caller == caller or len(victims) <= mine + 1:
                raise busy(f"{most} {words}")
            if evict:
                self._evict(max(victims, key=lambda ticket: ticket.since))  # the oldest will be done soon

    def _push_out(self, victims: list[Ticket], detail: str) -> None:
        """Take the room of the oldest body, which has had most time to arrive."""
        oldest = min(victims, key=lambda ticket: ticket.since)
        if self._clock() - oldest.since < GRACE_SECONDS:
            raise busy(detail)
        self._evict(oldest)

    def _evict(self, ticket: Ticket) -> None:
        ticket.evicted = True
        self._tickets.pop(ticket, None)
        self._free(ticket)
        if ticket.timeout is not None:
            ticket.timeout.reschedule(asyncio.get_running_loop().time())

    def _free(self, ticket: Ticket) -> None:
        self.held -= ticket.held
        ticket.held = 0


def evicted() -> Problem:
    """The problem of a request that had to make room."""
    return busy("this request had to make room for others, as more of yours were under way than of anybody else")


def _heaviest(tickets: Iterable[Ticket]) -> list[Ticket]:
    """The tickets of the caller who has most of them."""
    by_caller: dict[str, list[Ticket]] = {}
    for ticket in tickets:
        by_caller.setdefault(ticket.caller, []).append(ticket)
    return max(by_caller.values(), key=len)
