"""Keys: their file, ids, ends, changes while the service runs, and who tries wrong ones."""

from __future__ import annotations

import os
import time
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from starlette.testclient import TestClient
from tests.service.conftest import Serve
from tests.service.test_gate import Clock

from mien.errors import UsageError
from mien.service import gate, keys
from mien.service.gate import WRONG_KEYS_A_MINUTE, network
from mien.service.keys import SHORTEST, Keys

ONE, TWO, THREE = (f"{word}-" * 8 for word in ("one", "two", "three"))


def test_lines_are_keys_with_ids_and_ends() -> None:
    found = keys.parse([f"{ONE}  # of the shop", "", "# nothing", f"two\t{TWO}", f"three {THREE} 2027-03-31", ONE])
    assert [key.name for key in found[1:]] == ["two", "three"]
    assert found[2].until == datetime(2027, 4, 1, tzinfo=UTC).timestamp()
    assert len(found) == 3


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        ("x", f"{SHORTEST} characters"),
        ("a" * (SHORTEST - 1), f"{SHORTEST} characters"),
        (f"id {'a' * 5}", f"{SHORTEST} characters"),
        (f"id {ONE} soon", "no day"),
        (f"id {ONE} 2027-02-30", "no day"),
        (f"id {ONE} 2027-01-01 more", "a line is a key"),
        (f"i/d {ONE}", "the id of a key"),
        ("schlüssel-mit-umlaut", "ASCII"),
    ],
)
def test_what_is_no_key_is_named_by_its_line_and_not_shown(line: str, sentence: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=sentence) as told:
        keys.parse([ONE, line], "keys, line ")
    assert "keys, line 2" in str(told.value)
    assert ONE not in str(told.value)


def test_a_key_ends() -> None:
    known = Keys([f"a {ONE} 2027-03-31", f"b {TWO} 2027-03-31T12:00+02:00", THREE])
    end = datetime(2027, 4, 1, tzinfo=UTC).timestamp()
    noon = datetime(2027, 3, 31, 10, tzinfo=UTC).timestamp()
    clock = Clock()
    for clock.now, valid in ((noon - 1, "abc"), (noon, "ac"), (end - 1, "ac"), (end, "c")):
        found = [known.find(key, clock) for key in (ONE, TWO, THREE)]
        assert [key is not None for key in found] == [letter in valid for letter in "abc"]
    assert known.needed


@settings(deadline=None)
@given(st.text(max_size=40))
def test_nothing_but_the_key_is_the_key(given_: str) -> None:
    known = Keys([ONE])
    assert (known.find(given_) is not None) == (given_ == ONE)


def test_the_file_is_read_again(serve: Serve, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keys, "LOOK_SECONDS", 0.0)
    file = tmp_path / "keys"
    file.write_text(f"one {ONE}\n")
    client = serve(api_key_file=file)

    def valid(key: str) -> bool:
        return client.get("/v1/models", headers={"Authorization": f"Bearer {key}"}).status_code == 200

    assert (valid(ONE), valid(TWO)) == (True, False)
    (tmp_path / "new").write_text(f"one {ONE} 2020-01-01\ntwo {TWO}\n")
    os.replace(tmp_path / "new", file)  # noqa: PTH105 - as an editor does
    assert (valid(ONE), valid(TWO)) == (False, True)
    file.write_text("x\n")  # cannot be: the keys stay
    assert (valid(ONE), valid(TWO)) == (False, True)
    file.unlink()
    assert valid(TWO)
    file.write_text(f"{THREE}\n")
    assert (valid(TWO), valid(THREE)) == (False, True)


def ask(client: TestClient, key: str) -> int:
    return client.get("/v1/models", headers={"Authorization": f"Bearer {key}"}).status_code


def test_wrong_keys_are_limited(serve: Serve) -> None:
    client = serve(api_keys=(ONE,))
    begun = time.monotonic()
    statuses = [ask(client, f"guess-{number}") for number in range(100)]
    assert statuses.count(401) <= WRONG_KEYS_A_MINUTE * (1 + (time.monotonic() - begun) / 60) + 1
    assert set(statuses) == {401, 429}
    refused = client.get("/v1/models", headers={"Authorization": "Bearer guess"})
    assert refused.json()["type"] == "urn:mien:problem:too_many_requests"
    assert int(refused.headers["retry-after"]) >= 1
    assert ask(client, ONE) == 429  # whoever guesses is not told which one is right
    assert client.get("/healthz").status_code == 200


def test_who_has_used_a_right_key_is_let_in_all_the_same(serve: Serve) -> None:
    client = serve(api_keys=(ONE, TWO))
    assert ask(client, ONE) == 200
    for number in range(30):
        ask(client, f"guess-{number}")
    assert ask(client, ONE) == 200
    assert ask(client, TWO) == 429


def test_no_key_is_no_guess(serve: Serve) -> None:
    client = serve(api_keys=(ONE,))
    assert [client.get("/v1/models").status_code for _ in range(50)] == [401] * 50
    assert ask(client, ONE) == 200


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("10.0.0.1", "10.0.0.2", False),
        ("2001:db8::1", "2001:db8::ffff", True),
        ("2001:db8:0:1::1", "2001:db8:0:2::1", False),
        ("::ffff:10.0.0.1", "10.0.0.1", True),
        ("fe80::1%eth0", "fe80::2", True),
    ],
)
def test_one_subscriber_is_one_caller(one: str, other: str, same: bool) -> None:
    assert (network(one) == network(other)) is same


def test_failures_come_back_with_time() -> None:
    clock = Clock()
    limit = gate.RateLimit(WRONG_KEYS_A_MINUTE, clock)
    assert all(not limit.wait("a") and not limit.take("a") for _ in range(WRONG_KEYS_A_MINUTE))
    assert limit.wait("a") > 0
    clock.now += 60 / WRONG_KEYS_A_MINUTE + 0.001
    assert limit.wait("a") == 0
