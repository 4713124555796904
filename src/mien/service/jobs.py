"""What threads of the service have to do: photos to analyse, and other tasks."""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any

from mien.analyzer import Analyzer, Draft, PhotoRequest
from mien.estimate.estimator import Estimates
from mien.photos.decode import Fit, Picture
from mien.photos.decoders import Unfinished
from mien.results import Photo
from mien.service.turns import Flow


@dataclass(frozen=True, slots=True)
class Order:
    """One photo to analyse.

    Attributes:
        analyzer: does the work.
        data: the encoded photo.
        source: its name in the answer.
        request: what is wanted of it, where that is not what the analyzer's options say.
        caller: who asked; callers take turns.
        until: when nobody wants it any more, by the monotonic clock; None for never.
    """

    analyzer: Analyzer
    data: bytes
    source: str
    request: PhotoRequest = field(default_factory=PhotoRequest)
    caller: str = ""
    until: float | None = None


class TooLate(Exception):
    """A photo that takes long could not be done in time, after `seconds`, as others wait too."""

    def __init__(self, seconds: float) -> None:
        super().__init__(f"it would take some {seconds:.0f} s until this is done")
        self.seconds = seconds


class SetAside(Exception):
    """A photo takes long to decode."""

    def __init__(self, begun: Unfinished, fit: Fit) -> None:
        super().__init__()
        self.begun = begun
        self.fit = fit


@dataclass(slots=True)
class Job:
    """An order on its way. Its future can be cancelled until the answer is there.

    A photo whose decoding takes long is looked at anew when that is done. Meanwhile it keeps what took long: `opened`.
    `decoding` counts the seconds that another process had to work for it in this turn.
    """

    order: Order
    future: Future[tuple[Photo, Draft]] = field(default_factory=Future)
    draft: Draft | None = None
    ready: float = 0.0
    parts: list[Estimates] = field(default_factory=list)
    opened: dict[Fit, Future[Picture]] = field(default_factory=dict)
    decoding: float = 0.0

    @property
    def faces(self) -> int:
        """How many were found."""
        return len(self.draft.chips) if self.draft is not None else 0

    def fail(self, error: BaseException) -> None:
        """Tell who waits for it that there is no answer."""
        if self.future.set_running_or_notify_cancel():
            self.future.set_exception(error)


@dataclass(frozen=True, slots=True)
class Task:
    """Other work; what it belongs to can be cancelled."""

    do: Callable[[], None]
    future: Future[Any]


@dataclass(slots=True)
class Piece:
    """What a thread is at.

    Attributes:
        work: a photo to look at, a task, or photos whose faces are to be estimated together.
        flow: whose turn it is; None for work that is nobody's alone.
        nested: it is done while other work pauses.
        holds: it is one of the few photos that may pause.
        resumed: processor seconds of the thread when the work was begun or gone on with.
        spent: processor seconds of the work before that.
        away: seconds in which it paused.
    """

    work: Job | Task | list[Job]
    flow: Flow | None
    nested: bool
    holds: bool = False
    resumed: float = field(default_factory=time.thread_time)
    spent: float = 0.0
    away: float = 0.0

    @property
    def used(self) -> float:
        """Processor seconds of the work so far, in all processes."""
        decoding = self.work.decoding if isinstance(self.work, Job) else 0.0
        return self.spent + time.thread_time() - self.resumed + decoding

    @property
    def pauses(self) -> bool:
        """Whether it is of a kind that may take long."""
        return isinstance(self.work, Job) or (self.flow is not None and self.flow.kind == "explain")

    def unwanted(self) -> bool:
        """Whether nobody waits for it any more."""
        return not isinstance(self.work, list) and self.work.future.cancelled()
