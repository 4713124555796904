"""Whose turn it is, and who has room: nobody's crowd keeps others out."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.service.conftest import picture
from tests.service.test_gate import Clock

from mien.analyzer import Analyzer, Options
from mien.service import Settings
from mien.service.engine import Engine
from mien.service.jobs import Order
from mien.service.places import GRACE_SECONDS, Places, Ticket
from mien.service.problems import Problem
from mien.service.turns import Flow, Turns

A, B = Flow("a"), Flow("b")


def test_callers_take_turns_whatever_each_has_asked_for() -> None:
    turns: Turns[int] = Turns()
    for number in range(100):
        turns.add(A, number)
    for number in range(3):
        turns.add(B, number)
    order = []
    for _ in range(8):
        flow, work = turns.take()
        turns.done(flow, 0.1)
        order.append((flow.caller, work))
    assert Counter(caller for caller, _ in order) == {"a": 5, "b": 3}
    assert [work for caller, work in order if caller == "a"] == [0, 1, 2, 3, 4]
    assert len(turns) == 95


def test_time_counts_and_not_the_number_of_pieces() -> None:
    turns: Turns[int] = Turns()
    dear = Flow("a", "explain")
    for number in range(200):
        turns.add(dear, number)
        turns.add(A, number)
    used = {dear: 0.0, A: 0.0}
    for _ in range(200):
        flow, _ = turns.take()
        seconds = 1.0 if flow == dear else 0.02
        turns.done(flow, seconds)
        used[flow] += seconds
    assert abs(4 * used[dear] - used[A]) < 5  # one dear piece more or less: a second of them counts for four


def test_nobody_saves_up_turns() -> None:
    turns: Turns[int] = Turns()
    for number in range(50):
        turns.add(A, number)
    for _ in range(25):
        turns.done(turns.take()[0], 1.0)
    for number in range(50):
        turns.add(B, number)  # it has asked for nothing so far
    callers = []
    for _ in range(20):
        flow, _ = turns.take()
        turns.done(flow, 1.0)
        callers.append(flow.caller)
    assert 8 <= callers.count("a") <= 12


@settings(deadline=None)
@given(st.lists(st.tuples(st.sampled_from("abc"), st.booleans()), max_size=60))
def test_all_work_is_done_once(script: list[tuple[str, bool]]) -> None:
    turns: Turns[int] = Turns()
    done = []
    for number, (caller, first) in enumerate(script):
        turns.add(Flow(caller), number, first=first)
    while len(turns):
        flow, work = turns.take()
        turns.done(flow, 0.01)
        done.append(work)
    assert sorted(done) == list(range(len(script)))


def test_a_delay_is_told_before_it_is_waited_for() -> None:
    turns: Turns[int] = Turns()
    for number in range(100):
        turns.add(A, number)
    assert turns.delay(A) == pytest.approx(101 * 0.05)
    assert turns.delay(B) == pytest.approx(2 * 0.05)  # its turn comes soon


def test_a_crowd_on_one_photo_lets_others_pass(tiny_bundle: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    analyzer = Analyzer(tiny_bundle, Options(detector="whole", threads=1))
    crowd = Analyzer(tiny_bundle, Options(detector="whole", threads=1))
    detect = crowd.detector.detect
    monkeypatch.setattr(crowd.detector, "detect", lambda pixels: detect(pixels) * 400)
    ended = []
    batches: list[int] = []
    with Engine(1, max_batch=8, max_wait=0, on_batch=batches.append) as engine:
        large = engine.analyse(Order(crowd, picture(120), "crowd", caller="a"))
        large.add_done_callback(lambda _: ended.append("crowd"))
        small = engine.analyse(Order(analyzer, picture(120), "one", caller="b"))
        small.add_done_callback(lambda _: ended.append("one"))
        photo, _ = large.result(60)
        assert small.result(60)[0].faces[0].age.years == pytest.approx(photo.faces[399].age.years, abs=0.01)
    assert ended == ["one", "crowd"]
    assert len(photo.faces) == 400
    assert max(batches) <= 8
    assert photo.faces == crowd.estimate([crowd.find_faces(picture(120), "crowd")])[0].faces


def places(clock: Callable[[], float] | None = None, **settings: Any) -> Places:
    return Places(Settings(**settings), clock or Clock())


def enter(at: Places, caller: str, kind: str = "photo") -> Ticket:
    ticket = at.arrive(caller, kind)
    at.enter(ticket)
    return ticket


def in_a_loop(test: Callable[[], None]) -> None:
    async def run() -> None:
        test()

    asyncio.run(run())


def test_places_are_taken_when_the_body_is_there() -> None:
    at = places(max_concurrent=2)
    for _ in range(64):
        at.arrive("slow")
    assert (at.inside, at.arriving) == (0, 64)
    enter(at, "honest")
    enter(at, "honest")
    assert at.inside == 2


def test_who_has_most_places_gives_one_up() -> None:
    def test() -> None:
        at = places(max_concurrent=4)
        crowd = [enter(at, "crowd") for _ in range(4)]
        one = enter(at, "one")
        assert one.inside
        assert [ticket.evicted for ticket in crowd].count(True) == 1
        assert enter(at, "one").inside
        with pytest.raises(Problem) as told:  # two each now
            enter(at, "one")
        assert told.value.kind == "busy"
        assert told.value.headers["Retry-After"] == "1"
        assert at.inside == 4

    in_a_loop(test)


def test_explanations_have_few_places_of_their_own() -> None:
    def test() -> None:
        at = places(max_concurrent=16, max_explained=2)
        for _ in range(2):
            enter(at, "a", "explain")
        with pytest.raises(Problem, match="explanations"):
            at.arrive("a", "explain")
        enter(at, "a")

    in_a_loop(test)


def test_the_oldest_body_of_who_has_most_makes_room() -> None:
    def test() -> None:
        clock = Clock()
        at = places(clock, max_bodies=4, max_bodies_each=3)
        slow = [at.arrive("slow") for _ in range(3)]
        at.arrive("other")
        with pytest.raises(Problem):  # all of them have only just come
            at.arrive("honest")
        clock.now += GRACE_SECONDS + 0.1
        at.arrive("honest")
        assert [ticket.evicted for ticket in slow] == [True, False, False]
        with pytest.raises(Problem):
            at.hold(slow[0], 1)
        with pytest.raises(Problem):
            at.enter(slow[0])

    in_a_loop(test)


def test_memory_is_taken_from_who_holds_most_of_it() -> None:
    def test() -> None:
        clock = Clock()
        at = places(clock, max_held=100)
        slow = [at.arrive("slow") for _ in range(3)]
        for ticket in slow:
            at.hold(ticket, 30)
        clock.now += GRACE_SECONDS + 0.1
        honest = at.arrive("honest")
        at.hold(honest, 20)
        assert [ticket.evicted for ticket in slow].count(True) == 1
        assert at.held == 80
        with pytest.raises(Problem):
            at.hold(honest, 101)
        for ticket in (*slow, honest):
            at.leave(ticket)
        assert (at.held, len(at)) == (0, 0)

    in_a_loop(test)
