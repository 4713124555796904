"""Threads that work for all requests together: photos are looked at one by one, their faces estimated in batches.

Photos of strangers are decoded in processes of their own; one that takes long is set aside, and its thread goes on with
others meanwhile. Every thread does both kinds of work, so that no core waits while there is some. A batch is begun when
it is full, when no photo is left to look at, or when its first face has waited long enough. So a lone request is
answered at once, and many at once share the network's runs. Callers take turns (`mien.service.turns`). Work that takes
long pauses after each slice of it (`mien.service.slices`): its thread does other work then, within the pause. Few
photos pause at once, as each keeps its picture; the rest of those that take long begin anew when one of these is done.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from functools import partial
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from mien.analyzer import Draft
from mien.errors import MienError, PhotoError
from mien.estimate.estimator import Estimates
from mien.photos.decode import Fit, Picture
from mien.photos.decoders import Decoders, GivenUp
from mien.results import Failure, Photo
from mien.runtime.cores import physical_cores
from mien.runtime.pauses import pausing
from mien.service.agenda import Agenda
from mien.service.jobs import Job, Order, Piece, SetAside, Task, TooLate
from mien.service.pace import Pace
from mien.service.slices import LONG, OTHERS
from mien.service.turns import Flow

log = logging.getLogger("mien.service")

T = TypeVar("T")

CROWD = 4
"""Faces of a photo, in full batches, from which on these are separate pieces of work."""


class _PutOff(Exception):
    """A photo takes long, and cannot pause: it is begun anew when its turn comes."""


class Engine:
    """A pool of threads for analysing photos of many requests. `close` it, or use it as a context."""

    def __init__(
        self,
        workers: int = 0,
        *,
        max_batch: int = 8,
        max_wait: float = 0.05,
        on_batch: Callable[[int], None] = lambda faces: None,
        decoders: Decoders | None = None,
    ) -> None:
        """Start the threads.

        Args:
            workers: how many; 0 for one a physical core.
            max_batch: most faces in one run of the network, unless a single photo has more.
            max_wait: seconds that a face waits at most for others.
            on_batch: told how many faces each run had.
            decoders: decode photos in processes of their own; None to have the analyzers do it. Closed with the engine.
        """
        self._max_batch = max_batch
        self._on_batch = on_batch
        self._change = threading.Condition()
        self._decoders = decoders
        self._aside = 0
        self._pace = Pace()
        self._closed = False
        workers = workers or physical_cores()
        self._agenda = Agenda(workers, max_batch, max_wait)
        self._threads = [
            threading.Thread(target=self._work, name=f"mien-{number}", daemon=True) for number in range(workers)
        ]
        for thread in self._threads:
            thread.start()

    def __enter__(self) -> Engine:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def waiting(self) -> int:
        """Photos and other work that no thread has begun."""
        return len(self._agenda.waiting)

    @property
    def alive(self) -> bool:
        """Whether it takes orders, and every thread is there to carry them out."""
        return not self._closed and all(thread.is_alive() for thread in self._threads)

    def warm_up(self) -> None:
        """Start the processes that decode, in the background, before the first photos come."""
        if self._decoders is not None:
            threading.Thread(target=self._decoders.warm_up, args=(len(self._threads),), daemon=True).start()

    def doubtful(self, seconds: float) -> bool:
        """Whether no photo was finished for so many seconds, though some were there; see `mien.service.pace`."""
        return self._pace.doubtful(seconds)

    def analyse(self, order: Order) -> Future[tuple[Photo, Draft]]:
        """Have a photo analysed.

        Returns:
            Its answer, with `error` set where the photo cannot be used, and what was found in it. Cancelled in time, it
            costs no work. `TooLate` where it turns out to take longer than there is time.
        """
        job = Job(order)
        self._add(job, Flow(order.caller))
        self._pace.begin(job.future)
        return job.future

    def delay(self, caller: str, kind: str, pieces: int = 1) -> float:
        """Seconds until that many more pieces of work of a caller would be done, as far as can be told."""
        with self._change:
            return self._agenda.delay(Flow(caller, kind), pieces)

    def run(self, task: Callable[[], T], caller: str = "", kind: str = "photo") -> Future[T]:
        """Have other work done by one of the threads; work of one caller and kind shares its turns."""
        future: Future[T] = Future()

        def work() -> None:
            try:
                result = task()
            except BaseException as error:  # noqa: BLE001 - it is raised where the result is asked for
                if future.set_running_or_notify_cancel():
                    future.set_exception(error)
            else:
                if future.set_running_or_notify_cancel():
                    future.set_result(result)

        self._add(Task(work, future), Flow(caller, kind))
        return future

    def close(self, seconds: float | None = None) -> None:
        """Take no more orders, carry out those there are, and end the threads.

        Args:
            seconds: wait at most so long; what is not begun by then never is. None to wait for all.
        """
        with self._change:
            self._closed = True
            self._change.notify_all()
        end = None if seconds is None else time.monotonic() + seconds
        for thread in self._threads:
            thread.join(None if end is None else max(0.0, end - time.monotonic()))
        with self._change:
            self._agenda.clear()
        if self._decoders is not None:
            self._decoders.close()

    def _add(self, work: Job | Task, flow: Flow) -> None:
        with self._change:
            if self._closed:
                raise RuntimeError("the engine is closed")
            self._agenda.waiting.add(flow, work)
            self._change.notify()

    def _work(self) -> None:
        while self._do_next():
            pass

    def _do_next(self, *, nested: bool = False) -> bool:
        """Do one piece of work; `nested`: in the pause of other work, if there is some that does not take long.

        Returns:
            False where there is no more.
        """
        with self._change:
            while (piece := self._agenda.next(nested=nested)) is None:
                if nested or (self._closed and not self._aside):
                    return False
                self._change.wait()
        begun = time.perf_counter()
        with pausing(partial(self._pause, piece) if piece.pauses else None):
            self._do(piece)
        seconds = time.perf_counter() - begun - piece.away
        with self._change:
            self._agenda.done(piece, seconds)
        return True

    def _do(self, piece: Piece) -> None:
        match piece.work:
            case Job() as job:
                self._look(job)
            case Task() as task if not task.future.cancelled():
                task.do()
            case list() as jobs:
                self._answer(jobs)

    def _pause(self, piece: Piece) -> None:
        """Let others have the thread for a while where work has had it long enough.

        Raises:
            GivenUp: nobody waits for the work any more.
            _PutOff: it has to begin anew another time.
        """
        seconds = time.thread_time() - piece.resumed
        if seconds < self._agenda.slices.length:
            return
        if piece.unwanted():
            raise GivenUp
        if piece.nested:
            if seconds > LONG * self._agenda.slices.length:
                raise _PutOff
            return
        begun = time.perf_counter()
        with self._change:
            if isinstance(piece.work, Job) and self._agenda.cheap and not self._agenda.hold(piece):
                raise _PutOff
        while time.perf_counter() - begun < OTHERS * seconds and self._do_next(nested=True):
            pass
        piece.away += time.perf_counter() - begun
        piece.spent += seconds
        piece.resumed = time.thread_time()

    def _look(self, job: Job) -> None:
        """Decode, find faces and cut chips; a photo that cannot be used is answered at once."""
        order = job.order
        if job.future.cancelled():
            return
        try:
            photo = order.data if self._decoders is None else partial(self._open, job, self._decoders)
            draft = order.analyzer.find_faces(photo, order.source, request=order.request)
        except SetAside as aside:
            self._set_aside(job, aside)
            return
        except PhotoError as error:
            draft = Draft(order.source, error=Failure(error.kind, str(error)))
        except MienError as error:
            job.fail(error)
            return
        except GivenUp:
            job.future.cancel()
            return
        except _PutOff:
            self._put_off(job)
            return
        except Exception:  # the edge of the service: one photo must not end a thread
            log.exception("a photo could not be looked at")
            draft = Draft(order.source, error=Failure("internal", "a fault inside mien, please report it"))
        job.opened.clear()
        job.draft, job.ready = draft, time.monotonic()
        if job.faces > CROWD * self._max_batch:
            self._answer_crowd(job)
        elif draft.chips:
            with self._change:
                self._agenda.seen.append(job)
                self._change.notify()
        else:
            self._answer([job])

    def _open(self, job: Job, decoders: Decoders, fit: Fit) -> Picture:
        """The picture of a photo at some size.

        Raises:
            SetAside: decoding it takes long.
        """
        if fit in job.opened:
            return job.opened[fit].result()

        def told(seconds: float) -> None:
            job.decoding += seconds

        begun = decoders.begin(job.order.data, fit, told)
        if isinstance(begun, Picture):
            return begun
        raise SetAside(begun, fit)

    def _put_off(self, job: Job) -> None:
        """Let a photo that takes long wait with its like, unless that would take too long."""
        flow, until = Flow(job.order.caller, "long"), job.order.until
        with self._change:
            seconds = self._agenda.delay(flow, 1)
            late = until is not None and time.monotonic() + seconds > until
            if not late:  # even where the engine is closed: what was begun is finished
                self._agenda.waiting.add(flow, job)
                self._change.notify()
        if late:
            job.fail(TooLate(seconds))

    def _set_aside(self, job: Job, aside: SetAside) -> None:
        """Go on with others while a photo is being decoded."""
        with self._change:
            self._aside += 1
        threading.Thread(target=self._finish, args=(job, aside), name="mien-aside", daemon=True).start()

    def _finish(self, job: Job, aside: SetAside) -> None:
        """Wait for a photo that was set aside, and have it looked at."""
        assert self._decoders is not None
        decoded: Future[Picture] = Future()
        try:
            decoded.set_result(self._decoders.finish(aside.begun, job.future.cancelled))
        except GivenUp:
            job.future.cancel()
        except Exception as error:  # noqa: BLE001 - raised where the photo is looked at
            decoded.set_exception(error)
        with self._change:
            self._aside -= 1
            if decoded.done():
                job.opened[aside.fit] = decoded
                self._agenda.decoded.append(job)
            self._change.notify_all()

    def _answer(self, jobs: list[Job]) -> None:
        """Estimate the faces of some photos together."""
        wanted = [(job, job.draft) for job in jobs if job.draft is not None and not job.future.cancelled()]
        if not wanted:
            return
        try:
            photos = wanted[0][0].order.analyzer.estimate([draft for _, draft in wanted])
        except Exception as error:  # noqa: BLE001 - told to each who waits for it
            for job, _ in wanted:
                job.fail(error)
            return
        if faces := sum(job.faces for job, _ in wanted):
            self._on_batch(faces)
        for (job, draft), photo in zip(wanted, photos, strict=True):
            if job.future.set_running_or_notify_cancel():
                job.future.set_result((photo, draft))

    def _answer_crowd(self, job: Job) -> None:
        """Estimate one batch of a photo's many faces, and take a new turn for the next one."""
        draft, order = job.draft, job.order
        if draft is None or job.future.cancelled():
            return
        begin = sum(len(part.female) for part in job.parts)
        try:
            part = order.analyzer.estimator(np.stack(draft.chips[begin : begin + self._max_batch]))
            job.parts.append(part)
            self._on_batch(len(part.female))
            if begin + len(part.female) < job.faces:
                with self._change:  # even where it is closed: what was begun is finished
                    task = Task(partial(self._answer_crowd, job), job.future)
                    self._agenda.waiting.add(Flow(order.caller), task, first=True)
                    self._change.notify()
                return
            whole = Estimates(*(np.concatenate(column) for column in zip(*map(_columns, job.parts), strict=True)))
            (photo,) = order.analyzer.results(whole, [draft])
        except Exception as error:  # noqa: BLE001 - told to who waits for it
            job.fail(error)
            return
        if job.future.set_running_or_notify_cancel():
            job.future.set_result((photo, draft))


def _columns(part: Estimates) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    return part.pmf, part.female
