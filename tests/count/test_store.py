from __future__ import annotations

import sqlite3
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from threading import Thread

import pytest

from mien.count import store as stores
from mien.count.store import Count, Identity, Store, Visitor
from mien.errors import MissingExtra, StoreError, UsageError

SHOP = Identity("shop.mp4", "file", "offset", 60, "0-17,18+", {"every": 1}, "abc")
DOOR = Identity("camera:0", "camera", "utc", 60, "0-17,18+", {"every": 1})
CHILD, WOMAN, LATER = Visitor(0, "0-17", "male"), Visitor(0, "18+", "female"), Visitor(60, "18+", "female")


def numbers(counts: Sequence[Count]) -> list[tuple[int, str, str, int]]:
    return [(count.start, count.band, count.gender, count.visitors) for count in counts]


def test_counts_add_up_over_runs(database: str) -> None:
    with Store(database) as store:
        ledger = store.take(SHOP)
        assert (ledger.frame, ledger.again, ledger.finished) == (0, 0, False)
        ledger.add([WOMAN, CHILD, WOMAN])
        ledger.settle(100)
        ledger.add([])
    with Store(database) as store:
        ledger = store.take(SHOP)
        assert (ledger.frame, ledger.again) == (100, 0)
        ledger.add([LATER, WOMAN])
        ledger.finish()
        assert store.take(SHOP).finished
        assert numbers(store.counts()) == [(0, "0-17", "male", 1), (0, "18+", "female", 3), (60, "18+", "female", 1)]


def test_visitors_since_the_last_note_are_passed_over(database: str) -> None:
    with Store(database) as store:
        first = store.take(SHOP)
        first.add([CHILD])
        first.settle(50)
        first.add([WOMAN])
        first.add([WOMAN, LATER])
        again = store.take(SHOP)
        assert (again.frame, again.again) == (50, 3)
        again.add([WOMAN])
        again.settle(70)  # not yet: two more are to come that are counted already
        assert store.take(SHOP).frame == 50
        last = store.take(SHOP)
        last.add([WOMAN, WOMAN, LATER, CHILD])
        last.settle(90)
        assert (last.again, store.take(SHOP).frame) == (0, 90)
        assert numbers(store.counts()) == [(0, "0-17", "male", 2), (0, "18+", "female", 2), (60, "18+", "female", 1)]


def test_a_camera_goes_on(database: str) -> None:
    with Store(database) as store:
        store.take(DOOR).add([WOMAN])
        ledger = store.take(DOOR)
        assert (ledger.frame, ledger.again) == (0, 0)
        ledger.add([WOMAN])
        ledger.finish()
        assert not store.take(DOOR).finished
        assert [count.visitors for count in store.counts()] == [2]


def test_a_process_that_was_replaced_writes_no_more(database: str) -> None:
    with Store(database) as one, Store(database) as two:
        before, after = one.take(SHOP), two.take(SHOP)
        writes: list[Callable[[], None]] = [lambda: before.add([WOMAN]), lambda: before.settle(9), before.finish]
        for write in writes:
            with pytest.raises(StoreError, match="another process counts"):
                write()
        after.add([WOMAN])
        assert [count.visitors for count in one.counts()] == [1]


def test_many_sources_at_once(database: str) -> None:
    def work(name: str) -> None:
        with Store(database) as store:
            ledger = store.take(replace(SHOP, name=name))
            for _ in range(10):
                ledger.add([WOMAN, CHILD])

    threads = [Thread(target=work, args=(name,)) for name in "abc"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with Store(database) as store:
        assert [count.visitors for count in store.counts()] == [10] * 6
        assert [count.visitors for count in store.counts("b")] == [10] * 2
        with pytest.raises(UsageError, match="unknown source 'd'"):
            store.counts("d")


def test_intervals_can_be_joined(database: str) -> None:
    with Store(database) as store:
        store.take(SHOP).add([WOMAN, LATER, Visitor(3600, "18+", "female")])
        assert numbers(store.counts(seconds=3600)) == [(0, "18+", "female", 2), (3600, "18+", "female", 1)]
        with pytest.raises(UsageError, match="multiple"):
            store.counts(seconds=90)


@pytest.mark.parametrize(
    ("other", "sentence"),
    [
        (replace(SHOP, fingerprint="def"), "another file was counted"),
        (replace(SHOP, kind="camera", fingerprint=None), "another file was counted"),
        (replace(SHOP, seconds=30), "with --interval 60"),
        (replace(SHOP, bands="0+"), "with --interval 60"),
        (replace(SHOP, settings={"every": 2}), "begun with every 1"),
    ],
)
def test_a_name_stands_for_one_source_and_way(tmp_path: Path, other: Identity, sentence: str) -> None:
    with Store(str(tmp_path / "counts.db")) as store:
        ledger = store.take(SHOP)
        with pytest.raises(UsageError, match=sentence):
            store.take(other)
        ledger.add([WOMAN])  # the one before is not fenced off by it


def test_an_answer_that_was_lost_is_no_second_visitor(tmp_path: Path) -> None:
    with Store(str(tmp_path / "counts.db")) as store:
        ledger = store.take(SHOP)
        ledger.add([WOMAN])
        ledger._visitors = 0  # as if the database had gone after the commit, and the transaction were tried again
        ledger.add([WOMAN])
        assert [count.visitors for count in store.counts()] == [1]


def test_a_busy_database_is_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stores, "_BUSY", 0.05)
    monkeypatch.setattr(stores, "PATIENCE", (0.01,) * 3)
    path = tmp_path / "counts.db"
    with Store(str(path)) as store:
        ledger = store.take(SHOP)
        other = sqlite3.connect(path)
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(StoreError, match="does not answer: database is locked"):
            ledger.add([WOMAN])
        other.rollback()
        other.close()
        ledger.add([WOMAN])
        assert [count.visitors for count in store.counts()] == [1]


@pytest.mark.parametrize(
    ("database", "kind", "sentence"),
    [
        ("mysql://host/name", UsageError, "unknown database 'mysql'"),
        ("sqlite://", UsageError, "names no file"),
        ("sqlite:///no/such/folder/x.db", UsageError, "does not exist"),
        ("://", UsageError, "a database is given as"),
        ("postgresql://me:secret@/x?host=/nowhere", StoreError, r"postgresql://me:\*\*\*@/x"),
    ],
)
def test_what_is_no_database(database: str, kind: type[Exception], sentence: str) -> None:
    with pytest.raises(kind, match=sentence) as raised:
        Store(database)
    assert "secret" not in str(raised.value)


def test_a_file_that_is_no_database(tmp_path: Path) -> None:
    path = tmp_path / "text.db"
    path.write_text("hello " * 1000)
    with pytest.raises(StoreError, match="not a database"):
        Store(str(path))
    assert path.read_text().startswith("hello")


def test_nothing_but_counts_is_stored(tmp_path: Path) -> None:
    path = tmp_path / "counts.db"
    with Store(str(path)) as store:
        store.take(SHOP).add([WOMAN])
    connection = sqlite3.connect(path)
    columns = {
        table: [row[1] for row in connection.execute(f"PRAGMA table_info({table})")]
        for (table,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")
    }
    connection.close()
    assert set(columns) == {"mien_sources", "mien_counts"}
    assert columns["mien_counts"] == ["source_id", "start", "band", "gender", "visitors"]


def test_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    import importlib
    import sys

    monkeypatch.setitem(sys.modules, "sqlalchemy", None)
    monkeypatch.delitem(sys.modules, "mien.count.store")
    with pytest.raises(MissingExtra, match="'count'"):
        importlib.import_module("mien.count.store")
