"""Processes that decode: the same pictures, limits that hold, and deaths that harm nobody else."""

from __future__ import annotations

import os
import pickle
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
from tests.photos import costly_files

from mien.analyzer import Analyzer, Options
from mien.errors import NotAnImage, PhotoEmpty, PhotoTooCostly, PhotoTooLarge, PhotoUnreadable, UsageError
from mien.photos import DecodeOptions, decode
from mien.photos.decode import Fit
from mien.photos.decoders import Decoders, GivenUp, Unfinished
from mien.photos.process import AVAILABLE, SHARED, Process

pytestmark = pytest.mark.skipif(not AVAILABLE, reason="the system has no such processes")

LIMITS = DecodeOptions(max_seconds=20, max_memory=512 << 20, max_bytes=20 << 20)
PHOTO = costly_files.saved("PNG", side=300)
SLOW = costly_files.jpeg_of_scans(7000, 100, progressive=True)
"""Takes half a second or more, and is within all limits but that of time."""
LESS_SLOW = costly_files.jpeg_of_scans(3000, 100, progressive=True)


@pytest.fixture(scope="module")
def decoders() -> Iterator[Decoders]:
    decoders = Decoders(LIMITS)
    yield decoders
    decoders.close()


def processes(decoders: Decoders) -> list[Process]:
    return [*decoders._idle, *decoders._busy]


def until(true: Callable[[], object]) -> None:
    end = time.monotonic() + 30
    while not true():
        assert time.monotonic() < end
        time.sleep(0.005)


@pytest.mark.parametrize("shared", [pytest.param(True, marks=pytest.mark.skipif(not SHARED, reason="not here")), False])
def test_pictures_and_errors_are_those_of_this_process(shared: bool, examples: Path) -> None:
    decoders = Decoders(LIMITS, shared=shared)
    try:
        for data in ((examples / "hopper.jpg").read_bytes(), PHOTO, costly_files.saved("GIF", side=3000, mode="P")):
            there, here = decoders.decode(data), decode(data)
            np.testing.assert_array_equal(there.pixels, here.pixels)
            assert (there.width, there.height) == (here.width, here.height)
            assert not there.pixels.flags.writeable
        for data, kind in (
            (b"", PhotoEmpty),
            (b"no picture", NotAnImage),
            (bytes(LIMITS.max_bytes + 1), PhotoTooLarge),
        ):
            with pytest.raises(kind):
                decoders.decode(data)
        assert len(processes(decoders)) == 1
    finally:
        decoders.close()


def test_too_long_is_too_costly_and_the_process_ends(decoders: Decoders) -> None:
    hasty = Decoders(DecodeOptions(max_seconds=0.1))
    try:
        hasty.warm_up(1)
        (process,) = processes(hasty)
        with pytest.raises(PhotoTooCostly, match=r"longer than the 0\.1 s"):
            hasty.decode(SLOW)
        assert not Path(f"/proc/{process.number}").exists()
    finally:
        hasty.close()


@pytest.mark.skipif(sys.platform != "linux", reason="the system does not count memory")
def test_memory_is_held_to_the_limit_whatever_the_header_says() -> None:
    """The order says nothing of memory, so that only the system's limit is there."""
    data = costly_files.saved("PNG", side=5000)
    process = Process(DecodeOptions(max_memory=50 << 20))
    try:
        process.wait_until_ready()
        process.order(data, DecodeOptions(), 60)
        record, pixels = process.answer()
        assert (record["error"], pixels) == ("too_costly", None)
        process.order(PHOTO, DecodeOptions(), 60)
        assert process.answer()[1] is not None
        peak = next(
            int(line.split()[1])
            for line in Path(f"/proc/{process.number}/status").read_text().splitlines()
            if line.startswith("VmHWM")
        )
        assert peak << 10 < 200 << 20
    finally:
        process.kill()
        process.bury()


@pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")
def test_a_process_may_do_little(decoders: Decoders) -> None:
    decoders.warm_up(1)
    limits = Path(f"/proc/{processes(decoders)[0].number}/limits").read_text()
    for name, most in (("Max core file size", "0"), ("Max file size", "0"), ("Max open files", "64")):
        (line,) = [line for line in limits.splitlines() if line.startswith(name)]
        assert line.removeprefix(name).split()[:2] == [most, most]


def test_keys_are_not_handed_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MIEN_API_KEYS", "secret")
    decoders = Decoders(LIMITS)
    try:
        decoders.decode(PHOTO)
        if sys.platform == "linux":
            assert b"secret" not in Path(f"/proc/{processes(decoders)[0].number}/environ").read_bytes()
    finally:
        decoders.close()


def kill_whoever_works(decoders: Decoders, number: int, times: int) -> threading.Thread:
    """End processes while they decode."""

    def work() -> None:
        for _ in range(times):
            until(lambda: any(one.number not in ended for one in list(decoders._busy)))
            time.sleep(0.02)
            for one in list(decoders._busy):
                ended.add(one.number)
                os.kill(one.number, number)

    ended: set[int] = set()
    thread = threading.Thread(target=work)
    thread.start()
    return thread


def test_a_process_that_is_ended_from_outside_costs_nothing() -> None:
    decoders = Decoders(LIMITS)
    try:
        decoders.warm_up(1)
        killer = kill_whoever_works(decoders, signal.SIGKILL, 1)
        assert decoders.decode(LESS_SLOW).width == 3000
        killer.join()
    finally:
        decoders.close()


@pytest.mark.parametrize(("number", "kind"), [(signal.SIGKILL, PhotoTooCostly), (signal.SIGSEGV, PhotoUnreadable)])
def test_a_photo_that_ends_its_process_twice_fails_alone(number: int, kind: type[Exception]) -> None:
    decoders = Decoders(LIMITS)
    try:
        decoders.warm_up(1)
        killer = kill_whoever_works(decoders, number, 2)
        with pytest.raises(kind):
            decoders.decode(LESS_SLOW)
        killer.join()
        assert decoders.decode(PHOTO).width == 300
    finally:
        decoders.close()


def test_few_that_take_long_leave_the_others_undisturbed(decoders: Decoders, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(decoders, "_patience", 0.02)
    with ThreadPoolExecutor(4) as pool:
        slow = [pool.submit(decoders.begin, LESS_SLOW) for _ in range(3)]
        begun = [one.result() for one in slow]
        assert all(isinstance(one, Unfinished) for one in begun)
        assert sum(isinstance(one, Unfinished) and one.has_place for one in begun) == 1
        assert decoders.decode(PHOTO).width == 300
        rest = [pool.submit(decoders.finish, one) for one in begun if isinstance(one, Unfinished)]
        assert [one.result().width for one in rest] == [3000] * 3


def test_what_nobody_wants_any_more_is_given_up(decoders: Decoders, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(decoders, "_patience", 0.02)
    begun = [decoders.begin(SLOW), decoders.begin(SLOW)]
    for one in begun:
        assert isinstance(one, Unfinished)
        with pytest.raises(GivenUp):
            decoders.finish(one, lambda: True)
    assert not decoders._busy
    assert decoders.decode(PHOTO).width == 300


def test_a_photo_is_not_set_aside_because_the_processor_serves_others(
    decoders: Decoders, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mien.photos.decoders._HINDERED", 10_000)
    monkeypatch.setattr(decoders, "_patience", 0.002)
    found = decoders.begin(LESS_SLOW)
    assert isinstance(found, Unfinished)  # it has taken that much itself
    assert decoders.finish(found).width == 3000
    monkeypatch.setattr(Process, "seconds", lambda _: 0.0)
    found = decoders.begin(LESS_SLOW)
    assert not isinstance(found, Unfinished)
    assert found.width == 3000


def test_closing_ends_everything(monkeypatch: pytest.MonkeyPatch) -> None:
    decoders = Decoders(LIMITS)
    monkeypatch.setattr(decoders, "_patience", 10)
    decoders.warm_up(2)
    numbers = [one.number for one in processes(decoders)]
    with ThreadPoolExecutor(1) as pool:
        working = pool.submit(decoders.decode, SLOW)
        until(lambda: decoders._busy)
        decoders.close()
        with pytest.raises(GivenUp):
            working.result()
    for number in numbers:
        with pytest.raises(ProcessLookupError):
            os.kill(number, 0)
    with pytest.raises(GivenUp):
        decoders.decode(PHOTO)


@pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")
def test_processes_end_with_their_parent(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(PHOTO)
    code = f"""
import os, signal
from mien.photos.decoders import Decoders
from mien.photos import DecodeOptions
decoders = Decoders(DecodeOptions(max_seconds=5))
decoders.decode(open({str(tmp_path / "a")!r}, "rb").read())
print(decoders._idle[0].number, flush=True)
os.kill(os.getpid(), signal.SIGKILL)
"""
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert ended.returncode == -signal.SIGKILL
    number = Path(f"/proc/{int(ended.stdout)}/stat")
    until(lambda: not number.exists() or number.read_text().rsplit(")", 1)[1].split()[0] == "Z")


def test_many_threads_at_once(decoders: Decoders) -> None:
    sides = list(range(20, 60))
    with ThreadPoolExecutor(4) as pool:
        found = pool.map(decoders.decode, [costly_files.saved("PNG", side=side) for side in sides])
        assert [one.width for one in found] == sides
    assert len(processes(decoders)) <= 4


def test_an_analyzer_decodes_in_processes_where_it_has_a_limit_of_time(tiny_bundle: Path) -> None:
    limits = DecodeOptions(max_seconds=0.2)
    analyzer = Analyzer(tiny_bundle, Options(detector="whole", threads=1, decode=limits))
    plain = Analyzer(tiny_bundle, Options(detector="whole", threads=1))
    good = costly_files.saved("PNG", side=40)
    slow, first, last = analyzer.stream([SLOW, good, good])
    assert slow.error is not None
    assert slow.error.kind == "too_costly"
    assert first.faces == last.faces == plain(good).faces


def test_limits_that_cannot_be() -> None:
    with pytest.raises(UsageError, match="max_seconds must be above 0"):
        DecodeOptions(max_seconds=0)
    with pytest.raises(UsageError, match="limit of seconds"):
        Decoders(DecodeOptions())


def test_a_size_may_be_asked_for_and_copies_travel() -> None:
    data = costly_files.saved("JPEG", side=3000)
    with closing(pickle.loads(pickle.dumps(Decoders(LIMITS)))) as decoders:
        for fit, side in ((Fit(1000), 1000), (Fit(1000, 0.5), 1500), (Fit(None), 3000)):
            assert decoders.decode(data, fit).pixels.shape == (side, side, 3)
            assert decode(data, LIMITS, reduce=fit).pixels.shape == (side, side, 3)
