"""The engine: every order is answered once and rightly, lone ones at once, many in batches."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.service.conftest import picture

from mien.analyzer import Analyzer, Options, PhotoRequest
from mien.service.engine import Engine
from mien.service.jobs import Order


@pytest.fixture(scope="module")
def analyzer(tiny_bundle: Path) -> Analyzer:
    return Analyzer(tiny_bundle, Options(detector="whole", threads=1))


@pytest.fixture
def batches() -> list[int]:
    return []


@pytest.fixture
def engine(batches: list[int]) -> Iterator[Engine]:
    """One thread, which waits long for a batch to fill as long as there are other photos to look at."""
    with Engine(1, max_batch=4, max_wait=60, on_batch=batches.append) as engine:
        yield engine


class Hold:
    """Keeps the only thread of an engine busy for a while."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._go = threading.Event()

    def __enter__(self) -> None:
        begun = threading.Event()

        def work() -> bool:
            begun.set()
            return self._go.wait(30)

        self._done = self._engine.run(work)
        assert begun.wait(30)  # until then it would count as waiting itself

    def __exit__(self, *_: object) -> None:
        self._go.set()
        assert self._done.result(30)


def test_a_lone_photo_is_answered_as_by_the_analyzer(engine: Engine, analyzer: Analyzer, batches: list[int]) -> None:
    photo, draft = engine.analyse(Order(analyzer, picture(120), "a.png")).result(30)
    assert photo.source == "a.png"
    assert photo.faces == analyzer(picture(120)).faces
    assert len(draft.chips) == 1
    assert batches == [1]


def test_photos_that_wait_together_share_runs_of_the_network(
    engine: Engine, analyzer: Analyzer, batches: list[int]
) -> None:
    with Hold(engine):
        futures = [engine.analyse(Order(analyzer, picture(level), f"{level}")) for level in range(10, 110, 10)]
        assert engine.waiting == 10
    found = [future.result(30)[0] for future in futures]
    assert [photo.source for photo in found] == [f"{level}" for level in range(10, 110, 10)]
    alone = [analyzer(picture(level)).faces[0].age.years for level in range(10, 110, 10)]
    assert [photo.faces[0].age.years for photo in found] == pytest.approx(alone)
    assert batches == [4, 4, 2]


def test_faces_do_not_wait_for_ever_while_photos_keep_coming(analyzer: Analyzer) -> None:
    batches: list[int] = []
    with Engine(1, max_batch=100, max_wait=0, on_batch=batches.append) as engine:
        with Hold(engine):
            futures = [engine.analyse(Order(analyzer, picture(), "a")) for _ in range(5)]
        for future in futures:
            future.result(30)
    assert batches == [1] * 5


def test_each_photo_keeps_its_own_wishes(engine: Engine, analyzer: Analyzer) -> None:
    with Hold(engine):
        wide = engine.analyse(Order(analyzer, picture(), "wide", PhotoRequest(level=0.99, abstain=0.5)))
        narrow = engine.analyse(Order(analyzer, picture(), "narrow", PhotoRequest(level=0.5, abstain=0.9)))
        none = engine.analyse(Order(analyzer, b"", "none"))
    wider, narrower = (future.result(30)[0].faces[0] for future in (wide, narrow))
    assert (wider.age.level, narrower.age.level) == (0.99, 0.5)
    assert wider.age.high - wider.age.low > narrower.age.high - narrower.age.low
    assert wider.gender.label != "uncertain"
    assert narrower.gender.label == "uncertain"
    failed, _ = none.result(30)
    assert failed.error is not None
    assert failed.error.kind == "empty"


def test_models_do_not_share_runs(engine: Engine, analyzer: Analyzer, tiny_bundle: Path, batches: list[int]) -> None:
    other = Analyzer(tiny_bundle, Options(detector="whole", threads=1, level=0.8))
    with Hold(engine):
        futures = [engine.analyse(Order(one, picture(), "a")) for one in (analyzer, other, analyzer, other)]
    assert [future.result(30)[0].faces[0].age.level for future in futures] == [0.9, 0.8, 0.9, 0.8]
    assert batches == [2, 2]


def test_what_was_given_up_costs_nothing(engine: Engine, analyzer: Analyzer, batches: list[int]) -> None:
    with Hold(engine):
        dropped = engine.analyse(Order(analyzer, picture(), "dropped"))
        kept = engine.analyse(Order(analyzer, picture(), "kept"))
        assert dropped.cancel()
    assert kept.result(30)[0].source == "kept"
    assert batches == [1]


def test_a_fault_of_one_photo_leaves_the_others(
    engine: Engine, analyzer: Analyzer, monkeypatch: pytest.MonkeyPatch
) -> None:
    look = analyzer.find_faces

    def faulty(photo: bytes, source: str, *, request: PhotoRequest) -> object:
        if source == "bad":
            raise ZeroDivisionError
        return look(photo, source, request=request)

    monkeypatch.setattr(analyzer, "find_faces", faulty)
    bad, good = (engine.analyse(Order(analyzer, picture(), name)) for name in ("bad", "good"))
    error = bad.result(30)[0].error
    assert error is not None
    assert error.kind == "internal"
    assert good.result(30)[0].faces
    assert engine.alive


def test_a_fault_of_the_network_is_told_to_who_waits(
    engine: Engine, analyzer: Analyzer, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(drafts: object) -> object:
        raise ZeroDivisionError

    monkeypatch.setattr(analyzer, "estimate", broken)
    with pytest.raises(ZeroDivisionError):
        engine.analyse(Order(analyzer, picture(), "a")).result(30)
    monkeypatch.undo()
    assert engine.analyse(Order(analyzer, picture(), "a")).result(30)[0].faces


def test_other_work_is_done_and_its_faults_are_told(engine: Engine) -> None:
    assert engine.run(lambda: 6 * 7).result(30) == 42
    with pytest.raises(ZeroDivisionError):
        engine.run(lambda: 1 // 0).result(30)


def test_closing_finishes_what_was_ordered(analyzer: Analyzer) -> None:
    engine = Engine(2)
    futures = [engine.analyse(Order(analyzer, picture(), "a")) for _ in range(20)]
    engine.close()
    assert all(future.done() and future.result()[0].faces for future in futures)
    assert not engine.alive
    with pytest.raises(RuntimeError, match="closed"):
        engine.run(lambda: 1)


def test_many_threads_order_at_once(analyzer: Analyzer) -> None:
    found: dict[int, float] = {}
    with Engine(3, max_batch=5) as engine:

        def ask(level: int) -> None:
            photo, _ = engine.analyse(Order(analyzer, picture(level), str(level))).result(60)
            found[level] = photo.faces[0].age.years

        threads = [threading.Thread(target=ask, args=(level,)) for level in range(0, 240, 6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    alone = {level: analyzer(picture(level)).faces[0].age.years for level in range(0, 240, 6)}
    assert found == pytest.approx(alone)
