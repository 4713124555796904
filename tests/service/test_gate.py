"""Rates and keys."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.service.conftest import Serve, picture

from mien.service import gate
from mien.service.gate import RateLimit

RIGHT, OTHER = "right-key-of-many-letters", "other-key-of-many-letters"
FILES = [("photos", ("a.png", picture()))]


class Clock:
    """Seconds that pass when told."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def test_as_many_as_allowed_then_a_wait() -> None:
    clock = Clock()
    limit = RateLimit(60, clock)
    assert [limit.take("a") for _ in range(60)] == [0.0] * 60
    assert limit.take("a") == pytest.approx(1.0)
    assert limit.take("b") == 0.0
    clock.now += 1.001
    assert limit.take("a") == 0.0
    assert limit.take("a") > 0.9


@given(st.integers(1, 120), st.lists(st.floats(0, 5), max_size=200))
def test_never_more_than_the_rate(a_minute: int, pauses: list[float]) -> None:
    clock = Clock()
    limit = RateLimit(a_minute, clock)
    passed = 0
    for pause in pauses:
        clock.now += pause
        passed += limit.take("a") == 0.0
        assert passed <= a_minute + clock.now * a_minute / 60 + 1e-6


def test_no_rate_no_limit() -> None:
    limit = RateLimit(0)
    assert all(limit.take("a") == 0.0 for _ in range(1000))


def test_callers_are_forgotten_in_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gate, "MOST_CALLERS", 3)
    limit = RateLimit(1, Clock())
    assert all(limit.take(name) == 0.0 for name in "abc")
    assert limit.take("a") > 0
    assert limit.take("d") == 0.0  # b is forgotten
    assert limit.take("b") == 0.0
    assert limit.take("a") > 0


@pytest.mark.parametrize(
    "header",
    [
        None,
        "",
        "Bearer",
        "Bearer ",
        "Bearer wrong",
        f"Bearer {RIGHT}1",
        f"Basic {RIGHT}",
        RIGHT,
        "Bearer rïght-right-right",
    ],
)
def test_wrong_keys_are_refused(serve: Serve, header: str | None) -> None:
    client = serve(api_keys=(RIGHT, OTHER))
    headers = {} if header is None else {b"Authorization": header.encode()}
    for path in ("/v1/predict", "/v1/check-age", "/v1/explain"):
        answer = client.post(path, files=FILES, headers=headers)
        assert answer.status_code == 401
        assert answer.json()["type"] == "urn:mien:problem:unauthorised"
        assert answer.headers["www-authenticate"].startswith("Bearer")
    assert client.get("/v1/models", headers=headers).status_code == 401


def test_right_keys_are_let_in_and_health_needs_none(serve: Serve) -> None:
    client = serve(api_keys=(RIGHT, OTHER))
    for key in (RIGHT, OTHER):
        answer = client.post("/v1/predict", files=FILES, headers={"Authorization": f"Bearer {key}"})
        assert answer.status_code == 200
    for path in ("/healthz", "/readyz", "/metrics"):
        assert client.get(path).status_code == 200


def test_each_key_has_its_own_rate(serve: Serve) -> None:
    client = serve(api_keys=(RIGHT, OTHER), rate=2)
    statuses = [client.get("/v1/models", headers={"Authorization": f"Bearer {RIGHT}"}).status_code for _ in range(3)]
    assert statuses == [200, 200, 429]
    refused = client.get("/v1/models", headers={"Authorization": f"Bearer {RIGHT}"})
    assert 1 <= int(refused.headers["retry-after"]) <= 31
    assert client.get("/v1/models", headers={"Authorization": f"Bearer {OTHER}"}).status_code == 200


def test_a_wrong_key_is_not_told_by_the_rate(serve: Serve) -> None:
    client = serve(api_keys=(RIGHT,), rate=1)
    assert [client.get("/v1/models", headers={"Authorization": "Bearer no"}).status_code for _ in range(5)] == [401] * 5
