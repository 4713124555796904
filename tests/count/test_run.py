from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from hypothesis import Phase, example, given, settings
from hypothesis import strategies as st

from mien.count import run
from mien.count.bands import Bands
from mien.count.run import count, fingerprint
from mien.count.store import Identity, Ledger, Store
from mien.results import Age, Box, Gender
from mien.video.records import Track, TrackedFrame
from mien.video.tracker import Path as Way
from mien.video.tracker import Tracker, TrackerOptions

BANDS = Bands.parse("0-17,18+")
FILE = Identity("shop.mp4", "file", "offset", 1, str(BANDS), {}, "abc")
FRAMES, RATE = 60, 10.0


class Killed(Exception):
    """The process ends here."""


@dataclass
class Visits:
    """A video in which people stand in places of their own for some frames each, followed by the real tracker."""

    visits: list[tuple[int, int]]
    start: int = 0
    tracker: Tracker = field(default_factory=lambda: Tracker(TrackerOptions(birth=2, survive=0.25)))

    def __iter__(self) -> Iterator[TrackedFrame]:
        for index in range(self.start, FRAMES):
            boxes = [
                Box(100 * place, 0, 100 * place + 50, 50)
                for place, (first, length) in enumerate(self.visits)
                if first <= index < first + length
            ]
            _, ended = self.tracker.update(boxes, index, index / RATE)
            tracks = tuple(self._track(way) for way in ended)
            yield TrackedFrame(index, index / RATE, 64, 48, (), tracks, quiet=not self.tracker.open)

    def rest(self) -> tuple[Track, ...]:
        return tuple(self._track(way) for way in self.tracker.close())

    def _track(self, way: Way) -> Track:
        place = int(way.centre[0] // 100)
        age = Age(7.0 * place, 0, 0, 0, 0.9, ())
        return Track(way.number or 0, *way.first, *way.last, way.hits, age, Gender(place % 2), 1.0)


class Dying(Ledger):
    """A ledger whose process is killed before or after one of its writes reaches the database."""

    def __init__(self, ledger: Ledger, at: int, *, after: bool) -> None:
        self.__dict__ = ledger.__dict__
        self.left, self.after = at, after

    def _die(self) -> None:
        self.left -= 1
        if self.left < 0:
            raise Killed

    def add(self, visitors: object) -> None:
        if visitors and not self.after:
            self._die()
        super().add(visitors)  # type: ignore[arg-type]
        if visitors and self.after:
            self._die()

    def settle(self, frame: int) -> None:
        if not self.after:
            self._die()
        super().settle(frame)
        if self.after:
            self._die()


def totals(store: Store) -> dict[tuple[int, str, str], int]:
    return {(row.start, row.band, row.gender): row.visitors for row in store.counts()}


def expected(visits: list[tuple[int, int]]) -> dict[tuple[int, str, str], int]:
    """Counted by hand: who stays for two frames or more, a gap of less than four frames not being one."""
    found: dict[tuple[int, str, str], int] = {}
    for place, (first, length) in enumerate(visits):
        if min(length, FRAMES - first) >= 2:
            key = (int(first / RATE), BANDS.of(7.0 * place), "female" if place % 2 else "male")
            found[key] = found.get(key, 0) + 1
    return found


people = st.lists(st.tuples(st.integers(0, FRAMES - 1), st.integers(1, 30)), max_size=6)
deaths = st.lists(st.tuples(st.integers(0, 8), st.booleans()), max_size=5)


@given(people, deaths, st.sampled_from([0.0, 1e9]))
@settings(deadline=None, max_examples=20, phases=[Phase.explicit, Phase.generate])  # each example writes to disk
@example([(0, 5), (3, 20), (9, 4), (40, 20)], [(1, True), (1, False), (0, True)], 1e9)
def test_no_visitor_is_lost_or_counted_twice(
    tmp_path_factory: pytest.TempPathFactory, visits: list[tuple[int, int]], kills: list[tuple[int, bool]], pause: float
) -> None:
    before = run.CHECKPOINT
    run.CHECKPOINT = pause  # each quiet frame is noted, or hardly any
    try:
        with Store(str(tmp_path_factory.mktemp("counts") / "counts.db")) as store:
            for at, after in kills:
                ledger = Dying(store.take(FILE), at, after=after)
                with suppress(Killed):
                    count(Visits(visits, ledger.frame), ledger, bands=BANDS, seconds=1)
            last = store.take(FILE)
            count(Visits(visits, last.frame), last, bands=BANDS, seconds=1)
            assert totals(store) == expected(visits)
            assert store.take(FILE).finished
    finally:
        run.CHECKPOINT = before


def test_who_is_in_view_at_an_interrupt_is_left_to_the_next_run(tmp_path: Path) -> None:
    with Store(str(tmp_path / "counts.db")) as store:
        first = Visits([(0, 10), (40, 20)])
        count(first, store.take(FILE), bands=BANDS, seconds=1, whole=lambda: False)
        assert totals(store) == {(0, "0-17", "male"): 1}
        ledger = store.take(FILE)
        count(Visits([(0, 10), (40, 20)], ledger.frame), ledger, bands=BANDS, seconds=1)
        assert totals(store) == expected([(0, 10), (40, 20)])


def test_intervals_of_a_dated_source_are_those_of_the_clock(tmp_path: Path) -> None:
    with Store(str(tmp_path / "counts.db")) as store:
        ledger = store.take(Identity("door", "camera", "utc", 60, str(BANDS), {}))
        count(Visits([(0, 10), (20, 10)]), ledger, bands=BANDS, seconds=60, origin=1_763_800_199.0)
        assert [(row.begins, row.visitors) for row in store.counts()] == [
            ("2025-11-22T08:29:00Z", 1),
            ("2025-11-22T08:30:00Z", 1),
        ]


def test_fingerprints_tell_files_apart(tmp_path: Path) -> None:
    names = {}
    for name, data in {"a": b"x" * 3_000_000, "b": b"x" * 3_000_001, "c": b"x" * 2_999_999 + b"y", "d": b""}.items():
        (tmp_path / name).write_bytes(data)
        names[fingerprint(tmp_path / name)] = name
    assert sorted(names.values()) == ["a", "b", "c", "d"]
