"""Clients with bad manners against a running service: they hold no place, no connection and no memory for long."""

from __future__ import annotations

import json
import signal
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from pathlib import Path

import pytest
from tests.service.test_server import BODY, HEADERS, Service, read, read_answer


@pytest.fixture(scope="module")
def service(tiny_bundle: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    running = Service(
        tiny_bundle,
        tmp_path_factory.mktemp("patience"),
        *("--max-concurrent", "4", "--body-seconds", "20", "--answer-seconds", "1.5", "--max-connections", "90"),
    )
    yield running
    running.stop()


def predict(service: Service) -> int:
    with service.connect() as connection:
        connection.sendall(HEADERS + BODY)
        return read_answer(connection)[0]


def test_slow_bodies_hold_no_place(service: Service) -> None:
    with ExitStack() as stack:
        slow = [stack.enter_context(service.connect()) for _ in range(64)]
        for connection in slow:
            connection.sendall(HEADERS + BODY[:50])
        deadline = time.monotonic() + 30
        while service.gauges("mien_bodies_arriving") != [64]:
            assert time.monotonic() < deadline
            time.sleep(0.05)
        assert [predict(service) for _ in range(10)] == [200] * 10
        assert service.healthy()
        for connection in slow[:3]:  # and those that are slow in good faith are answered in the end
            connection.sendall(BODY[50:])
            assert read_answer(connection)[0] == 200


def test_who_never_reads_is_let_go(service: Service) -> None:
    """Each asks for more than the system keeps for it, and takes nothing."""
    ask = b"GET /openapi.json HTTP/1.1\r\nHost: a\r\n\r\n" * 200
    with ExitStack() as stack:
        mute = []
        for _ in range(40):
            connection = stack.enter_context(socket.socket())
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            connection.connect(("127.0.0.1", service.port))
            connection.settimeout(0.5)
            with suppress(OSError):
                connection.sendall(ask)
            mute.append(connection)
        deadline = time.monotonic() + 20
        while (left := connections(service)) > 0:
            assert time.monotonic() < deadline, left
            time.sleep(0.2)
    assert predict(service) == 200


def connections(service: Service) -> int:
    """Connections that the service has, by the system's list, without those that only the client has left."""
    inodes = {path.readlink().name for path in Path(f"/proc/{service.process.pid}/fd").iterdir() if path.is_symlink()}
    rows = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    own = f":{service.port:04X}"
    return sum(row[1].endswith(own) and row[3] != "0A" and f"socket:[{row[9]}]" in inodes for row in rows)


def test_one_address_has_so_many_connections(service: Service) -> None:
    with ExitStack() as stack:
        for _ in range(90):
            stack.enter_context(service.connect()).sendall(b"GET /hea")
        time.sleep(0.3)
        with service.connect() as one_more:
            one_more.sendall(HEADERS + BODY)
            status, body = read_answer(one_more)
        assert status == 503
        assert json.loads(body)["type"] == "urn:mien:problem:busy"
        with socket.create_connection(("127.0.0.1", service.port), 30, ("127.0.0.9", 0)) as other:  # another address
            other.sendall(HEADERS + BODY)
            assert read_answer(other)[0] == 200
    deadline = time.monotonic() + 10
    while predict(service) != 200:
        assert time.monotonic() < deadline


def test_what_is_cut_at_the_end_is_told(tiny_bundle: Path, tmp_path: Path) -> None:
    service = Service(tiny_bundle, tmp_path / "serve", "--shutdown-seconds", "1", "--body-seconds", "60")
    answers: list[bytes] = []
    with service.connect() as connection:
        connection.sendall(HEADERS + BODY[:50])
        time.sleep(0.3)
        reader = threading.Thread(target=lambda: answers.append(read(connection)))
        reader.start()
        service.process.send_signal(signal.SIGTERM)
        reader.join(30)
    head, _, body = answers[0].partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 503 "), head
    assert b"retry-after: 5" in head.lower()
    record = json.loads(body)
    assert record["type"] == "urn:mien:problem:busy"
    assert "ending" in record["detail"]
    assert service.stop() in {0, -signal.SIGTERM}
    assert "Traceback" not in service.log()


def test_the_log_names_requests_and_nothing_forged(tiny_bundle: Path, tmp_path: Path) -> None:
    service = Service(tiny_bundle, tmp_path / "serve", "--trusted-proxies", "127.0.0.1")
    try:
        for forwarded in ("203.0.113.7", "\x9b31m\xe2\x80\xaeevil", "a" * 5000):
            with service.connect() as connection:
                request = (
                    f"GET /healthz HTTP/1.1\r\nHost: a\r\nX-Request-ID: id-5\r\nX-Forwarded-For: {forwarded}\r\n\r\n"
                )
                connection.sendall(request.encode("latin-1"))
                assert read_answer(connection)[0] == 200
        time.sleep(0.2)
        lines = [line for line in service.log().splitlines() if "/healthz" in line]
        assert len(lines) == 3
        assert all(line.endswith("[id-5]") for line in lines)
        assert "203.0.113.7" in lines[0]
        assert all("unknown" in line and "evil" not in line and len(line) < 200 for line in lines[1:])
    finally:
        service.stop()
