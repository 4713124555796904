"""The engine of one machine: a process a core, each with the network on one thread; whoever dies is replaced."""

from __future__ import annotations

import multiprocessing
import os
import signal
from collections import deque
from collections.abc import Generator, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from typing import Any

from mien.batch.listing import Chunk
from mien.batch.work import Answered, Job, Tally, Worker
from mien.errors import MienError

MOST_DEATHS = 12
"""Times that a chunk may end its process before the fault is held to lie elsewhere."""

GONE = (EOFError, BrokenPipeError, ConnectionResetError)
"""What a pipe raises when the other process has ended."""

CONTEXT = multiprocessing.get_context("spawn")  # a forked process inherits the locks of threads that it has not


@dataclass(frozen=True, slots=True)
class Progress:
    """Progress of a run since the last message.

    Attributes:
        begun: photos that were begun since the last news.
        done: the chunk whose part is there now, and what became of its photos; None for none.
        answered: the chunk that is worked on, and a photo of it that has its answer; None for none.
        again: the chunk that is begun anew, since its process ended; None for none.
    """

    begun: int = 0
    done: tuple[int, Tally] | None = None
    answered: tuple[int, Answered] | None = None
    again: int | None = None


@dataclass(slots=True)
class _Hand:
    """One worker's process, and what it does."""

    process: BaseProcess
    pipe: Connection
    chunk: Chunk | None = None
    at: int | None = None


@dataclass(slots=True)
class _Order:
    """A chunk to do, how often it has ended its process, and at which photo the last time."""

    chunk: Chunk
    deaths: int = 0
    last: int | None = None
    deadly: set[int] = field(default_factory=set)


def run(job: Job, chunks: Iterator[Chunk], processes: int) -> Generator[Progress]:
    """Make the parts of chunks.

    Closing the generator ends the processes; parts that are not whole are not there.

    Args:
        job: what to do.
        chunks: those whose parts are missing; taken one by one.
        processes: how many.

    Yields:
        News, often.

    Raises:
        MienError: the model or an output fails, or one chunk ends its process again and again.
    """
    hands = [_hire(job) for _ in range(processes)]
    orders: dict[int, _Order] = {}
    again: deque[_Order] = deque()
    try:
        while True:
            for hand in hands:
                if hand.chunk is None and (order := again.popleft() if again else _next(chunks, orders)):
                    _give(hand, order)
            busy = {hand.pipe: hand for hand in hands if hand.chunk is not None}
            if not busy:
                return
            for pipe in wait(list(busy)):
                assert isinstance(pipe, Connection)
                hand = busy[pipe]
                try:
                    news = pipe.recv()
                except GONE:
                    again.append(_bury(hand, orders))
                    hands[hands.index(hand)] = _hire(job)
                    yield Progress(again=again[-1].chunk.number)
                    continue
                yield _heard(hand, news, orders)
    finally:
        for hand in hands:
            hand.process.terminate()
        for hand in hands:
            hand.process.join()
            hand.pipe.close()


def _heard(hand: _Hand, news: Any, orders: dict[int, _Order]) -> Progress:
    """What a process says: the number of the photo it looks at, what became of its chunk, or an error."""
    if isinstance(news, MienError):
        raise news
    if isinstance(news, Tally):
        assert hand.chunk is not None
        orders.pop(hand.chunk.number)
        progress = Progress(done=(hand.chunk.number, news))
        hand.chunk = None
        return progress
    if isinstance(news, Answered):
        assert hand.chunk is not None
        return Progress(answered=(hand.chunk.number, news))
    hand.at = int(news)
    return Progress(begun=1)


def _next(chunks: Iterator[Chunk], orders: dict[int, _Order]) -> _Order | None:
    chunk = next(chunks, None)
    if chunk is None:
        return None
    order = orders[chunk.number] = _Order(chunk)
    return order


def _give(hand: _Hand, order: _Order) -> None:
    hand.chunk, hand.at = order.chunk, None
    with suppress(*GONE):  # it died while idle: the pipe says so when it is waited for
        hand.pipe.send((order.chunk, frozenset(order.deadly)))


def _bury(hand: _Hand, orders: dict[int, _Order]) -> _Order:
    """What to do with the chunk of a process that has ended."""
    assert hand.chunk is not None
    hand.pipe.close()
    hand.process.join()
    order = orders[hand.chunk.number]
    order.deaths += 1
    if hand.at is not None and hand.at == order.last:  # twice at the same photo is no chance
        order.deadly.add(hand.at)
    order.last = hand.at
    if order.deaths > MOST_DEATHS:
        raise MienError(
            f"processes of mien end again and again (the last with {hand.process.exitcode}), now at chunk "
            f"{hand.chunk.number}: is there memory enough? try fewer --processes"
        )
    return order


def _hire(job: Job) -> _Hand:
    ours, theirs = CONTEXT.Pipe()
    process = CONTEXT.Process(target=_work, args=(job, theirs), daemon=True)
    process.start()
    theirs.close()
    return _Hand(process, ours)


def _work(job: Job, pipe: Connection) -> None:
    """What a process does until its pipe closes."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent decides

    def tell(news: Any) -> None:
        try:
            pipe.send(news)
        except GONE:  # the parent is gone: end here and now, before anything takes this for a fault of a photo
            os._exit(0)

    try:
        worker = Worker(job)
        while True:
            chunk, deadly = pipe.recv()
            tell(worker.make(chunk, tell, deadly, tell))
    except GONE:
        os._exit(0)
    except MienError as error:
        tell(error)
    except Exception as error:  # noqa: BLE001 - the edge of the process: to be tried again would end no better
        tell(MienError(f"a fault inside mien, please report it: {type(error).__name__}: {error}"))
