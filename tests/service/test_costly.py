"""Photos that take too much: refused alone, while the others are answered and /readyz tells the truth."""

from __future__ import annotations

import threading
import time
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from tests.photos import costly_files
from tests.service.conftest import Serve, picture

from mien.analyzer import Analyzer, Draft, Options, PhotoRequest
from mien.photos import DecodeOptions
from mien.photos.decoders import Decoders
from mien.photos.process import AVAILABLE
from mien.results import Failure, Photo
from mien.service.engine import Engine
from mien.service.jobs import Order
from mien.service.memory import larger, needed, places, workers_that_fit
from mien.service.pace import Pace
from mien.service.settings import MEBIBYTE, Settings

SLOW = costly_files.jpeg_of_scans(7000, 100, progressive=True)
LESS_SLOW = costly_files.jpeg_of_scans(3000, 100, progressive=True)
processes = pytest.mark.skipif(not AVAILABLE, reason="the system has no such processes")


@processes
@pytest.mark.parametrize("path", ["/v1/predict", "/v1/check-age", "/v1/explain"])
def test_a_costly_photo_is_a_problem_of_its_own_kind(serve: Serve, path: str) -> None:
    client = serve(models=("mien-m",), decode_seconds=0.1, workers=1)
    answer = client.post(path, files=[("photos", ("a.jpg", SLOW))])
    assert answer.status_code == 422
    assert answer.json()["type"] == "urn:mien:problem:too_costly"
    assert client.get("/readyz").status_code == 200


@processes
def test_others_of_the_same_request_and_of_other_requests_are_answered(serve: Serve) -> None:
    client = serve(decode_seconds=30, workers=1)
    good = ("photos", ("good.png", picture()))
    client.post("/v1/predict", files=[good])
    with ThreadPoolExecutor(4) as pool:
        costly = [
            pool.submit(client.post, "/v1/predict", files=[("photos", ("a.jpg", LESS_SLOW)), good]) for _ in range(3)
        ]
        assert client.post("/v1/predict", files=[good]).status_code == 200
        for one in costly:
            assert one.result().status_code == 200
            assert one.result().json()["photos"][1]["error"] is None


@processes
def test_a_budget_of_memory(serve: Serve) -> None:
    client = serve(decode_memory=1 * MEBIBYTE, workers=1)
    large = costly_files.saved("PNG", side=1000)
    answer = client.post("/v1/predict", files=[("photos", ("a.png", large)), ("photos", ("b.png", picture()))])
    first, second = answer.json()["photos"]
    assert first["error"]["kind"] == "too_costly"
    assert second["error"] is None


@processes
def test_engine_threads_are_not_held_by_photos_that_are_set_aside(
    tiny_bundle: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    decoders = Decoders(DecodeOptions(max_seconds=30))
    monkeypatch.setattr(decoders, "_patience", 0.02)
    analyzer = Analyzer(tiny_bundle, Options(detector="whole", threads=1))
    with Engine(1, decoders=decoders) as engine:
        slow = [engine.analyse(Order(analyzer, LESS_SLOW, "slow")) for _ in range(3)]
        good = engine.analyse(Order(analyzer, picture(), "good"))
        assert good.result(30)[0].faces
        assert not all(one.done() for one in slow)
        dropped = slow.pop()
        dropped.cancel()
        assert [one.result(60)[0].width for one in slow] == [3000] * 2
    assert not decoders._busy


def test_readyz_fails_while_no_photo_is_finished(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    client = serve(decode_seconds=0, work_seconds=0.2, workers=1)
    state = client.app.state.mien  # type: ignore[attr-defined]
    analyzer = state.analyzer(None)
    look, go = analyzer.find_faces, threading.Event()
    monkeypatch.setattr("mien.service.readiness.PROBE_SECONDS", 0.1)

    def stuck(photo: bytes, source: str, *, request: PhotoRequest) -> object:
        assert go.wait(60)
        return look(photo, source, request=request)

    monkeypatch.setattr(analyzer, "find_faces", stuck)
    assert client.get("/readyz").status_code == 200
    photos = [state.engine.analyse(Order(analyzer, picture(), name)) for name in ("works", "waits")]
    time.sleep(0.3)
    answer = client.get("/readyz")
    assert answer.status_code == 503
    assert answer.json()["detail"] == "photos wait, and none was finished within 0.2 s"
    go.set()
    for photo in photos:
        photo.result(60)
    assert client.get("/readyz").status_code == 200


@processes
def test_readyz_fails_while_every_photo_is_set_aside(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    """No thread is stuck, and each photo gets an answer; but none of them is decoded."""
    client = serve(decode_seconds=0.3, workers=1)
    good = ("photos", ("good.png", picture()))
    assert client.post("/v1/predict", files=[good]).status_code == 200
    monkeypatch.setattr("mien.service.readiness.PROBE_SECONDS", 0.5)
    monkeypatch.setattr("mien.photos.process.Process.order", lambda *_: None)  # none of them ever begins
    assert client.post("/v1/predict", files=[good]).json()["type"] == "urn:mien:problem:too_costly"
    answer = client.get("/readyz")
    assert answer.status_code == 503
    assert answer.json()["detail"] == "photos wait, and none was finished within 0.3 s"
    monkeypatch.undo()
    deadline = time.monotonic() + 30
    while client.get("/readyz").status_code != 200:
        assert time.monotonic() < deadline


@processes
def test_readyz_says_yes_while_none_but_costly_photos_come(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mien.service.readiness.PROBE_SECONDS", 60.0)
    client = serve(decode_seconds=0.5, workers=1)
    state = client.app.state.mien  # type: ignore[attr-defined]
    with ThreadPoolExecutor(3) as pool:
        costly = [pool.submit(client.post, "/v1/predict", files=[("photos", ("a.jpg", SLOW))]) for _ in range(3)]
        while not state.engine.doubtful(0.5):
            time.sleep(0.02)
        assert client.get("/readyz").status_code == 200
        assert [one.result().status_code for one in costly] == [422] * 3
    assert client.get("/readyz").status_code == 200


def test_pace() -> None:
    pace = Pace()
    answered = Photo("a", "tiny", 1, 1), Draft("a")
    refused = Photo("a", "tiny", error=Failure("too_costly", "")), Draft("a")
    first, second, third, fourth = (Future[tuple[Photo, Draft]]() for _ in range(4))
    assert not pace.doubtful(0)
    for one in (first, second, third):
        pace.begin(one)
    time.sleep(0.02)
    assert pace.doubtful(0.01)
    first.set_result(answered)
    assert not pace.doubtful(0.01)
    time.sleep(0.02)
    second.cancel()
    third.set_result(refused)
    assert pace.doubtful(0.01)  # nothing is there any more, and nothing was finished
    pace.begin(fourth)
    assert pace.doubtful(0.01)
    fourth.set_result(answered)
    assert not pace.doubtful(0)


def test_workers_are_as_many_as_there_is_memory_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mien.service.memory.physical_cores", lambda: 8)
    ample = Settings(memory=100_000 * MEBIBYTE)
    assert workers_that_fit(ample) == 8
    for megabytes in (1, 2_000, 4_000, 6_000, 8_000):
        settings = Settings(memory=megabytes * MEBIBYTE)
        workers = workers_that_fit(settings)
        assert workers == 1 or needed(settings, workers) <= settings.memory
        assert workers == 8 or needed(settings, workers + 1) > settings.memory
    of_one = (1024 + 64) * MEBIBYTE + 3 * (4000**2 - 2048**2)
    of_a_pause = 3 * 4000**2
    assert needed(ample, 8) - needed(ample, 4) == 4 * of_one + (places(8) - places(4)) * (of_one + of_a_pause)
    assert larger(Settings(side=2048)) == larger(Settings(side=100)) == 0
    assert larger(Settings(min_face=30)) == larger(Settings(side=None)) == 3 * (50_000_000 - 2048**2)


def test_the_composed_service_fits(monkeypatch: pytest.MonkeyPatch) -> None:
    """With the limits of deploy/compose.yaml, on whatever machine."""
    import yaml

    compose = yaml.safe_load((Path(__file__).parents[2] / "deploy/compose.yaml").read_text())
    service = compose["services"]["mien"]
    names = {"MIEN_MAX_HELD": "max_held", "MIEN_DECODE_MEMORY": "decode_memory"}
    given: dict[str, Any] = {
        names[name]: int(value) * MEBIBYTE for name, value in service["environment"].items() if name in names
    }
    monkeypatch.setattr("mien.service.memory.physical_cores", lambda: 64)
    limit = int(service["mem_limit"].removesuffix("g")) << 30
    settings = Settings(memory=limit, max_held=given["max_held"], decode_memory=given["decode_memory"])
    assert set(given) == set(names.values())
    assert workers_that_fit(settings) >= 2
    assert needed(settings, workers_that_fit(settings)) <= limit
