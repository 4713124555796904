"""Clients that are refused while they send: each gets the whole answer, and none can go on for ever."""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import uvicorn
from tests.service.test_server import Service, read_answer
from uvicorn._types import ASGIReceiveCallable, ASGISendCallable, Scope

from mien.service.lingering import Lingering, Patience

MEBIBYTE = bytes(1 << 20)
SECRET = "a-key-of-many-letters"
KEY = f"Authorization: Bearer {SECRET}\r\n"
JSON = "Content-Type: application/json\r\n"
CHUNKED = f"{KEY}{JSON}Transfer-Encoding: chunked\r\n\r\n"


def length(mebibytes: int) -> str:
    return f"Content-Length: {mebibytes << 20}\r\n\r\n"


@pytest.fixture(scope="module")
def service(tiny_bundle: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    folder = tmp_path_factory.mktemp("serve")
    (folder / "keys").write_text(f"{SECRET}\n")
    running = Service(
        tiny_bundle, folder / "service", "--api-key-file", str(folder / "keys"), "--max-body", "8", "--max-held", "16"
    )
    yield running
    running.stop()


@pytest.mark.parametrize(
    ("head", "mebibytes", "kind"),
    [
        (f"POST /v1/explain?face=false HTTP/1.1\r\nHost: a\r\n{KEY}{JSON}{length(8)}", 8, "usage"),
        (f"POST /v1/explain HTTP/1.1\r\nHost: a\r\n{JSON}{length(8)}", 8, "unauthorised"),
        (f"POST /v1/nothing HTTP/1.1\r\nHost: a\r\n{KEY}{JSON}{length(8)}", 8, "not_found"),
        (f"PUT /v1/predict HTTP/1.1\r\nHost: a\r\n{KEY}{JSON}{length(8)}", 8, "method_not_allowed"),
        (f"POST /v1/predict HTTP/1.1\r\nHost: a\r\n{KEY}Content-Type: text/plain\r\n{length(8)}", 8, "media_type"),
        (f"POST /v1/predict HTTP/1.1\r\nHost: a\r\n{KEY}{JSON}{length(32)}", 32, "too_large"),
        (f"POST /v1/predict HTTP/1.1\r\nHost: a\r\n{KEY}{JSON}{length(8)}", 8, "busy"),  # JSON counts five times
        (f"POST /v1/predict HTTP/1.1\r\nHost: a\r\n{CHUNKED}{32 << 20:x}\r\n", 32, "busy"),
        (f"POST /v1/predict HTTP/1.1\r\nHost: a\r\n{CHUNKED}ZZ\r\n", 32, ""),  # uvicorn's own answer
        ("GET /\r\n\r\n", 32, ""),
    ],
)
def test_who_reads_only_after_all_is_sent_gets_the_answer(
    service: Service, head: str, mebibytes: int, kind: str
) -> None:
    with service.connect() as connection:
        connection.sendall(head.encode())
        for _ in range(mebibytes):
            connection.sendall(MEBIBYTE)
        status, body = read_answer(connection)
        assert connection.recv(1) == b""  # an end, no reset
    if kind:
        assert json.loads(body)["type"] == f"urn:mien:problem:{kind}"
    else:
        assert (status, body) == (400, b"Invalid HTTP request received.")
    assert service.healthy()


def test_who_is_refused_at_once_may_send_the_rest_all_the_same(service: Service) -> None:
    with service.connect() as connection:
        connection.sendall(f"POST /v1/explain?face=false HTTP/1.1\r\nHost: a\r\n{KEY}{JSON}{length(1)}".encode())
        status, body = read_answer(connection)
        assert status == 422
        assert json.loads(body)["type"] == "urn:mien:problem:usage"
        assert connection.recv(1) == b""  # the answer is complete, and the client may know
        for _ in range(5):  # a reset would come between the first two
            connection.sendall(bytes(10_000))
            time.sleep(0.01)


def test_the_body_of_an_answer_does_not_wait_for_an_acknowledgement(service: Service) -> None:
    """Without TCP_NODELAY it does, some 40 ms from the second request of a connection on."""
    waits = []
    with service.connect() as connection:
        for _ in range(6):
            connection.sendall(b"GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n")
            received = connection.recv(65536)
            start = time.monotonic()
            while not received.endswith(b"}"):
                received += connection.recv(65536)
            waits.append(time.monotonic() - start)
    assert min(waits[2:]) < 0.02


class Refusing:
    """A server that refuses whatever comes before it is read; at /waits once the client has left."""

    def __init__(self, patience: Patience) -> None:
        class Connection(Lingering):
            pass

        Connection.patience = self.patience = patience
        self.left = threading.Event()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._server = uvicorn.Server(
            uvicorn.Config(self._app, http=Connection, interface="asgi3", ws="none", lifespan="off", log_config=None)
        )
        self._thread = threading.Thread(target=self._server.run, args=([self._listener],))
        self._thread.start()

    def connect(self) -> socket.socket:
        return socket.create_connection(self._listener.getsockname(), timeout=30)

    def refused(self) -> socket.socket:
        """A client that has its answer and has not sent its body."""
        connection = self.connect()
        connection.sendall(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000000\r\n\r\n")
        assert read_answer(connection) == (413, b"no")
        return connection

    def stop(self) -> None:
        self._server.should_exit = True
        self._thread.join(30)
        assert not self._thread.is_alive()

    async def _app(self, scope: Scope, receive: ASGIReceiveCallable, send: ASGISendCallable) -> None:
        assert scope["type"] == "http"
        if scope["path"] == "/waits":
            while (await receive())["type"] != "http.disconnect":
                pass
            self.left.set()
            return
        headers = [(b"content-length", b"2"), (b"connection", b"close")]
        await send({"type": "http.response.start", "status": 413, "headers": headers, "trailers": False})
        await send({"type": "http.response.body", "body": b"no", "more_body": False})


@contextmanager
def refusing(size: int = 1 << 30, seconds: float = 60, silence: float = 60, most: int = 10) -> Iterator[Refusing]:
    running = Refusing(Patience(size, seconds, silence, most))
    try:
        yield running
    finally:
        running.stop()


def wait_until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def is_cut_off(connection: socket.socket, piece: bytes, pause: float) -> bool:
    """Whether a client that goes on sending is stopped within half a minute."""
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        try:
            connection.sendall(piece)
        except OSError:
            return True
        time.sleep(pause)
    return False


def test_nobody_may_send_without_end() -> None:
    with refusing(size=10 << 20) as server, server.refused() as connection:
        for _ in range(10):
            connection.sendall(MEBIBYTE)
        assert is_cut_off(connection, MEBIBYTE, 0)


def test_nobody_may_send_for_ever() -> None:
    with refusing(seconds=0.3) as server, server.refused() as connection:
        assert is_cut_off(connection, b"x", 0.01)


def test_nobody_may_be_silent_for_long() -> None:
    with refusing(silence=0.3) as server, server.refused() as connection:
        for _ in range(5):
            connection.sendall(b"x")
            time.sleep(0.1)
        wait_until(lambda: bool(server.patience.now))
        wait_until(lambda: not server.patience.now)


def test_only_so_many_are_waited_for() -> None:
    with refusing(most=1) as server, server.refused() as first:
        with server.refused() as second:
            assert is_cut_off(second, b"x", 0.01)
        first.sendall(MEBIBYTE)
        first.close()
        wait_until(lambda: not server.patience.now)
        with server.refused() as third:
            third.sendall(MEBIBYTE)
            wait_until(lambda: bool(server.patience.now))


def test_the_end_of_the_service_is_not_held_up() -> None:
    with refusing() as server, server.refused():
        start = time.monotonic()
        server.stop()
        assert time.monotonic() - start < 20


def test_the_next_request_is_waited_for_too() -> None:
    with refusing() as server, server.connect() as connection:
        connection.sendall(b"GET / HTTP/1.1\r\nHost: a\r\n\r\nPOST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\n")
        assert read_answer(connection) == (413, b"no")
        connection.sendall(MEBIBYTE)
        assert connection.recv(1) == b""
        wait_until(lambda: bool(server.patience.now))


def test_what_works_on_a_request_learns_at_once_that_the_rest_will_not_come() -> None:
    with refusing() as server, server.connect() as connection:
        connection.sendall(b"POST /waits HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n")
        time.sleep(0.05)
        connection.sendall(b"ZZ\r\n")
        assert read_answer(connection)[0] == 400
        assert server.left.wait(30)
        wait_until(lambda: bool(server.patience.now))


def test_who_has_sent_all_is_not_waited_for() -> None:
    with refusing() as server, server.connect() as connection:
        connection.sendall(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nab")
        assert read_answer(connection) == (413, b"no")
        assert connection.recv(1) == b""
        assert not server.patience.now
