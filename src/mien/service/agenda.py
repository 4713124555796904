"""What there is to do for the threads of the service, and what of it is next."""

from __future__ import annotations

import time
from collections import deque

from mien.service.jobs import Job, Piece, Task
from mien.service.memory import places
from mien.service.slices import OTHERS, Slices
from mien.service.turns import CHEAP, KINDS, Flow, Turns


class Agenda:
    """Photos to look at, faces that wait for a run of the network, and tasks. Not for several threads without a lock.

    Attributes:
        waiting: what nobody has begun, by caller.
        decoded: photos that were set aside, and can be looked at now.
        seen: photos with faces to estimate.
        slices: how long work goes on without a pause.
    """

    def __init__(self, workers: int, max_batch: int, max_wait: float) -> None:
        """Begin with nothing.

        Args:
            workers: threads that do the work.
            max_batch: most faces in one run of the network, unless a single photo has more.
            max_wait: seconds that a face waits at most for others.
        """
        self.waiting: Turns[Job | Task] = Turns()
        self.decoded: deque[Job] = deque()
        self.seen: deque[Job] = deque()
        self.slices = Slices()
        self._workers = workers
        self._max_batch = max_batch
        self._max_wait = max_wait
        self._held = 0

    @property
    def cheap(self) -> bool:
        """Whether there is work that does not take long."""
        return self.waiting.waits(CHEAP) or bool(self.seen)

    def delay(self, flow: Flow, pieces: int) -> float:
        """Seconds until that many more pieces of work would be done, as far as can be told."""
        seconds = self.waiting.delay(flow, pieces) / self._workers
        return seconds if flow.kind in CHEAP or not self.waiting.waits(CHEAP) else seconds * (1 + OTHERS)

    def next(self, *, nested: bool) -> Piece | None:
        """The piece of work that is next, if there is one; `nested`: only what may be done in the pause of another."""
        if batch := self._take_batch():
            return Piece(batch, None, nested)
        if self.decoded and not nested:
            return Piece(self.decoded.popleft(), None, nested)
        kinds = CHEAP if nested else KINDS
        if self.waiting.waits(CHEAP) and not self._room:
            kinds -= {"long"}
        if not self.waiting.waits(kinds):
            return None
        flow, work = self.waiting.take(kinds)
        piece = Piece(work, flow, nested)
        if flow.kind == "long":
            self.hold(piece)
        return piece

    def hold(self, piece: Piece) -> bool:
        """Let a photo be one of those that may pause, of which there are few as each keeps its picture.

        Returns:
            Whether there was room for it.
        """
        if not piece.holds and self._room:
            piece.holds = True
            self._held += 1
        return piece.holds

    def done(self, piece: Piece, seconds: float) -> None:
        """Count what a piece of work took, by the clock; to its caller by what it took of the processor."""
        self._held -= piece.holds
        used = piece.used
        if piece.flow is not None:
            self.waiting.done(piece.flow, seconds, used)
        elif isinstance(piece.work, Job):  # the rest of what was begun in a turn
            self.waiting.charge(Flow(piece.work.order.caller), used)
        if isinstance(piece.work, Job):
            piece.work.decoding = 0.0
            self.slices.learn(used)

    def clear(self) -> None:
        """Forget all of it."""
        self.waiting.clear()
        self.decoded.clear()
        self.seen.clear()

    @property
    def _room(self) -> bool:
        return self._held < places(self._workers)

    def _take_batch(self) -> list[Job]:
        """The jobs of the next run of the network; none where it is better to look at another photo first."""
        if not self.seen:
            return []
        first = self.seen[0]
        batch: list[Job] = []
        faces = 0
        for job in self.seen:
            if job.order.analyzer is first.order.analyzer and (not batch or faces + job.faces <= self._max_batch):
                batch.append(job)
                faces += job.faces
        waits = self.waiting.waits(CHEAP) and time.monotonic() - first.ready < self._max_wait
        if waits and faces < self._max_batch:
            return []
        for job in batch:
            self.seen.remove(job)
        return batch
