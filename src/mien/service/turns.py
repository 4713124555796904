"""Whose work is next: each caller gets an equal share of the threads' time, however much he has asked for."""

from __future__ import annotations

from collections import Counter, OrderedDict, deque
from collections.abc import Hashable
from dataclasses import dataclass, field
from typing import Generic, TypeVar

T = TypeVar("T")

MOST_REMEMBERED = 10_000
"""Flows without work whose used time is remembered; the one not seen for longest is forgotten first."""
FIRST_GUESSES = {"photo": 0.05, "long": 0.5, "explain": 0.5}
"""Seconds that a piece of work of each kind is taken for at first."""
WEIGHTS = {"photo": 1.0, "long": 1.0, "explain": 4.0}
"""How much a second of each kind counts: explanations are to get a fifth of a busy machine at most."""
LEAST_SECONDS = 0.0002
"""What took less was given up before its turn and teaches nothing."""
KINDS = frozenset(FIRST_GUESSES)
CHEAP = frozenset({"photo"})


@dataclass(frozen=True, slots=True)
class Flow:
    """Work that shares a queue: that of one caller and one kind, so that dear work does not delay his cheap one.

    Attributes:
        caller: a name for whoever asked.
        kind: "photo", "long" for photos of which it is known that they take long, or "explain".
    """

    caller: Hashable = ""
    kind: str = "photo"


@dataclass(slots=True)
class _Queue(Generic[T]):
    """What one flow waits for.

    Attributes:
        used: seconds of work, counted from a common start; the flow with the least is next.
        cost: seconds that a piece of its work takes, as learned from those before; None where there were none.
        waiting: its work, in order.
        charged: what work that is under way was charged with.
    """

    used: float
    cost: float | None = None
    waiting: deque[T] = field(default_factory=deque)
    charged: deque[float] = field(default_factory=deque)


class Turns(Generic[T]):
    """Work of many flows (start-time fair queueing). Not for several threads at once without a lock."""

    def __init__(self) -> None:
        self._queues: OrderedDict[Flow, _Queue[T]] = OrderedDict()
        self._busy: dict[Flow, _Queue[T]] = {}
        self._costs = dict(FIRST_GUESSES)
        self._now = 0.0
        self._lengths: Counter[str] = Counter()

    def __len__(self) -> int:
        return self._lengths.total()

    def waits(self, kinds: frozenset[str] = KINDS) -> bool:
        """Whether work of some kinds is there."""
        return any(self._lengths[kind] for kind in kinds)

    def add(self, flow: Flow, work: T, *, first: bool = False) -> None:
        """Let work wait for its turn; `first`: before what else the flow has."""
        queue = self._queues.get(flow)
        if queue is None:
            queue = self._queues[flow] = _Queue(self._now)
            while len(self._queues) > MOST_REMEMBERED and not next(iter(self._queues.values())).waiting:
                self._queues.popitem(last=False)
        self._queues.move_to_end(flow)
        if not queue.waiting:  # nobody saves up time by not asking for it
            queue.used = max(queue.used, self._now)
            self._busy[flow] = queue
        if first:
            queue.waiting.appendleft(work)
        else:
            queue.waiting.append(work)
        self._lengths[flow.kind] += 1

    def take(self, kinds: frozenset[str] = KINDS) -> tuple[Flow, T]:
        """The next work of some kinds. It is charged with what such work costs; tell `done` what it took."""
        flow, queue = min(
            (entry for entry in self._busy.items() if entry[0].kind in kinds), key=lambda entry: entry[1].used
        )
        self._now = max(self._now, queue.used)
        queue.charged.append(self.cost(flow))
        queue.used += queue.charged[-1] * WEIGHTS[flow.kind]
        work = queue.waiting.popleft()
        if not queue.waiting:
            del self._busy[flow]
        self._lengths[flow.kind] -= 1
        return flow, work

    def done(self, flow: Flow, seconds: float, used: float | None = None) -> None:
        """Tell how long a piece of work of a flow took.

        Args:
            flow: whose it was.
            seconds: by the clock, as others have to wait for it.
            used: processor seconds, which count for its share: it is not to pay for others on the machine; None for
                the same.
        """
        used = seconds if used is None else used
        learns = seconds > LEAST_SECONDS
        if (queue := self._queues.get(flow)) is not None:
            charged = queue.charged.popleft() if queue.charged else 0.0
            queue.used += (used - charged) * WEIGHTS[flow.kind]
            if learns:
                queue.cost = self.cost(flow) + 0.3 * (seconds - self.cost(flow))
        if learns:
            self._costs[flow.kind] += 0.1 * (seconds - self._costs[flow.kind])

    def charge(self, flow: Flow, seconds: float) -> None:
        """Count work of a flow that was done outside of its turns."""
        if (queue := self._queues.get(flow)) is not None:
            queue.used += seconds * WEIGHTS[flow.kind]

    def cost(self, flow: Flow) -> float:
        """Seconds that a piece of work of a flow takes, as learned from its own before or else from those of others."""
        queue = self._queues.get(flow)
        return self._costs[flow.kind] if queue is None or queue.cost is None else queue.cost

    def delay(self, flow: Flow, pieces: int = 1) -> float:
        """Seconds of work, of all flows, before and with that many more pieces of one flow."""
        own = self._busy[flow].waiting if flow in self._busy else ()
        share = (len(own) + pieces) * self.cost(flow)
        total = share
        for other, queue in self._busy.items():
            if other != flow:
                before = share * WEIGHTS[flow.kind] / WEIGHTS[other.kind]
                total += min(before, len(queue.waiting) * self.cost(other))
        return total

    def clear(self) -> None:
        """Forget all work."""
        for queue in self._busy.values():
            queue.waiting.clear()
        self._busy.clear()
        self._lengths.clear()
