"""Long work pauses: whoever asks for little does not wait for whoever asks for much."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from tests.service.conftest import Serve, picture

from mien.analyzer import Analyzer, Options, PhotoRequest
from mien.runtime.pauses import pause, pausing
from mien.service import slices
from mien.service.engine import Engine
from mien.service.jobs import Order, TooLate
from mien.service.slices import Slices
from mien.service.turns import Flow, Turns

STEP = 0.004
HOPPER = Path(__file__).parents[2] / "examples/hopper.jpg"


def work(steps: int) -> None:
    """Take processor time, in steps after which others may have the thread."""
    for _ in range(steps):
        end = time.thread_time() + STEP
        while time.thread_time() < end:
            pass
        pause()


class Crowds:
    """An analyzer to which photos named "crowd" are long work; counts how often each was begun, and what was ended."""

    def __init__(self, tiny_bundle: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(slices, "SHORTEST", 2 * STEP)
        self.analyzer = Analyzer(tiny_bundle, Options(detector="whole", threads=1))
        self.begun: Counter[str] = Counter()
        self.ended: list[str] = []
        self._look = self.analyzer.find_faces
        monkeypatch.setattr(self.analyzer, "find_faces", self._find)

    def _find(self, photo: Any, source: str, *, request: PhotoRequest) -> object:
        self.begun[source] += 1
        if source.startswith("crowd"):
            work(40)
        return self._look(photo, source, request=request)

    def order(self, engine: Engine, name: str, until: float | None = None) -> Future[Any]:
        """Have a photo analysed; its name is its caller's too."""
        future = engine.analyse(Order(self.analyzer, picture(), name, caller=name, until=until))
        future.add_done_callback(lambda _: self.ended.append(name))
        return future


@pytest.fixture
def crowds(tiny_bundle: Path, monkeypatch: pytest.MonkeyPatch) -> Crowds:
    return Crowds(tiny_bundle, monkeypatch)


def when_begun(go: threading.Event, task: Callable[[], None]) -> Callable[[], None]:
    def waiting() -> None:
        assert go.wait(30)
        task()

    return waiting


def test_photos_are_answered_in_the_pauses_of_an_explanation(crowds: Crowds) -> None:
    go = threading.Event()
    with Engine(1, max_wait=0) as engine:
        explanation = engine.run(when_begun(go, lambda: work(40)), "a", "explain")
        explanation.add_done_callback(lambda _: crowds.ended.append("explanation"))
        photos = [crowds.order(engine, f"{number}") for number in range(5)]
        go.set()
        for future in (explanation, *photos):
            future.result(30)
    assert crowds.ended[-1] == "explanation"


def test_a_photo_that_takes_long_pauses_and_the_next_of_its_kind_waits(crowds: Crowds) -> None:
    go = threading.Event()
    with Engine(1, max_wait=0) as engine:
        engine.run(lambda: go.wait(30))
        futures = [crowds.order(engine, name) for name in ("crowd 1", "crowd 2", "1", "2", "3")]
        go.set()
        found = [future.result(30)[0] for future in futures]
    assert all(photo.faces for photo in found)
    assert set(crowds.ended[:3]) == {"1", "2", "3"}
    assert crowds.begun == {"crowd 1": 1, "crowd 2": 2, "1": 1, "2": 1, "3": 1}  # at once, and when its turn had come
    assert engine._agenda._held == 0


def test_a_photo_that_would_be_late_is_refused_early(crowds: Crowds) -> None:
    go = threading.Event()
    with Engine(1, max_wait=0) as engine:
        engine.run(lambda: go.wait(30))
        first = crowds.order(engine, "crowd 1")
        second = crowds.order(engine, "crowd 2", until=time.monotonic() + 0.4)  # one is taken to last 0.5 s
        others = [crowds.order(engine, f"{number}") for number in range(3)]
        go.set()
        with pytest.raises(TooLate, match="it would take some"):
            second.result(30)
        assert not first.done()
        for future in (first, *others):
            assert future.result(30)[0].faces


def test_refusals_of_late_photos_say_when_to_come_again(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    refused: Future[Any] = Future()
    refused.set_exception(TooLate(9.2))
    client = serve()
    monkeypatch.setattr(client.app.state.mien.engine, "analyse", lambda order: refused)  # type: ignore[attr-defined]
    answer = client.post("/v1/predict", files=[("photos", ("a.png", picture()))])
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "5")
    assert answer.json()["type"] == "urn:mien:problem:busy"


def test_long_work_ends_when_nobody_waits_for_it_any_more(crowds: Crowds) -> None:
    begun, done = threading.Event(), []

    def long() -> None:
        for number in range(10_000):
            begun.set()
            work(1)
            done.append(number)

    with Engine(1) as engine:
        explanation = engine.run(long, "a", "explain")
        assert begun.wait(30)
        assert explanation.cancel()
        photo = crowds.order(engine, "crowd")
        while not crowds.begun:
            time.sleep(0.01)
        assert photo.cancel()
        assert engine.run(lambda: 1).result(30) == 1
    assert len(done) < 9_000


def test_a_machine_that_is_busy_with_others_costs_nobody_his_turn() -> None:
    turns: Turns[int] = Turns()
    unlucky, lucky = Flow("unlucky"), Flow("lucky")
    for number in range(20):
        turns.add(unlucky, number)
        turns.add(lucky, number)
    taken = []
    for _ in range(20):
        flow, _ = turns.take()
        turns.done(flow, 5.0 if flow == unlucky else 0.1, 0.1)
        taken.append(flow)
    assert taken.count(unlucky) == 10


def test_decoding_is_charged_by_what_it_takes() -> None:
    from mien.photos import DecodeOptions
    from mien.photos.decoders import Decoders
    from mien.photos.process import AVAILABLE

    if not AVAILABLE:
        pytest.skip("the system has no such processes")
    seconds: list[float] = []
    decoders = Decoders(DecodeOptions(max_seconds=30))
    try:
        decoders.begin(HOPPER.read_bytes(), None, seconds.append)
        begun = time.monotonic()
        decoders.begin(HOPPER.read_bytes(), None, seconds.append)
        assert 0 < seconds[1] < time.monotonic() - begun + 0.01
    finally:
        decoders.close()


def test_a_slice_is_longer_where_photos_usually_take_longer() -> None:
    learned = Slices()
    assert learned.length == slices.SHORTEST
    for _ in range(200):
        learned.learn(0.2)
        learned.learn(0.2)
        learned.learn(60.0)  # a third of costly photos
    assert learned.length == pytest.approx(slices.TIMES * 0.2, rel=0.1)
    for _ in range(200):
        learned.learn(0.001)
    assert learned.length == slices.SHORTEST


def test_networks_and_faces_let_others_have_the_thread(tiny_bundle: Path) -> None:
    pauses: list[int] = []
    analyzer = Analyzer(tiny_bundle, Options(threads=1))
    with pausing(lambda: pauses.append(1)):
        draft = analyzer.find_faces(HOPPER.read_bytes(), "hopper")
        looked = len(pauses)
        analyzer.estimate([draft])
    assert looked >= 4  # three networks and a face
    assert len(pauses) == looked + 1
    pause()
    assert len(pauses) == looked + 1


def test_who_explains_much_keeps_nobody_else_waiting(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    """40 wishes take all threads until others are answered: each is answered or told when to come again."""
    go = threading.Event()

    def explain(*_: object) -> dict[str, Any]:
        while not go.is_set():
            work(1)
        return {}

    monkeypatch.setattr("mien.service.routes._explain", explain)
    client = serve(work_seconds=60)
    photo = [("photos", ("a.png", picture()))]
    with ThreadPoolExecutor(40) as pool:
        wishes = [pool.submit(client.post, "/v1/explain", files=photo) for _ in range(40)]
        try:
            answers = [client.post("/v1/predict", files=photo) for _ in range(5)]
            assert not all(wish.done() for wish in wishes)
        finally:
            go.set()
        told = [wish.result() for wish in wishes]
    assert [answer.status_code for answer in answers] == [200] * 5
    assert {answer.status_code for answer in told} == {200, 503}
    assert all("retry-after" in answer.headers for answer in told if answer.status_code == 503)
