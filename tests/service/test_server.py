"""The command `mien serve` as a process of its own: slow clients, broken HTTP, the end, and what it leaves behind."""

from __future__ import annotations

import http.client
import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from tests.service.conftest import picture
from typer.testing import CliRunner

from mien.cli import app

NAME = "a-name-that-must-not-be-logged.png"
START = (
    f'--x\r\nContent-Disposition: form-data; name="photos"; filename="{NAME}"\r\nContent-Type: image/png\r\n\r\n'
).encode()
BODY = START + picture() + b"\r\n--x--\r\n"
HEADERS = (
    f"POST /v1/predict HTTP/1.1\r\nHost: a\r\nContent-Type: multipart/form-data; boundary=x\r\n"
    f"Content-Length: {len(BODY)}\r\n\r\n"
).encode()


class Service:
    """A running `mien serve`."""

    def __init__(self, model: Path, folder: Path, *options: str) -> None:
        (folder / "tmp").mkdir(parents=True)
        self.folder = folder
        self._log = (folder / "log").open("wb")
        command = [sys.executable, "-m", "mien", "serve", "--model", str(model), "--detector", "whole", "--port", "0"]
        environment = {**os.environ, "TMPDIR": str(folder / "tmp"), "PYTHONDONTWRITEBYTECODE": "1"}
        self.process = subprocess.Popen(
            [*command, *options], stdout=self._log, stderr=self._log, cwd=folder / "tmp", env=environment
        )
        deadline = time.monotonic() + 60
        while not (found := re.search(r"http://127\.0\.0\.1:(\d+)", self.log())):
            assert self.process.poll() is None, self.log()
            assert time.monotonic() < deadline, self.log()
            time.sleep(0.05)
        self.port = int(found[1])

    def log(self) -> str:
        return (self.folder / "log").read_text()

    def connect(self) -> socket.socket:
        return socket.create_connection(("127.0.0.1", self.port), timeout=30)

    def healthy(self) -> bool:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        try:
            connection.request("GET", "/readyz")
            return connection.getresponse().status == 200
        finally:
            connection.close()

    def gauges(self, *names: str) -> list[float]:
        with self.connect() as connection:
            connection.sendall(b"GET /metrics HTTP/1.1\r\nHost: a\r\n\r\n")
            text = read_answer(connection)[1].decode()
        return [float(found[1]) for name in names if (found := re.search(rf"^{name} (\S+)$", text, re.MULTILINE))]

    def stop(self) -> int:
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        code = self.process.wait(60)
        self._log.close()
        return code


def read(connection: socket.socket) -> bytes:
    """All that the other side sends until it closes."""
    received = b""
    try:
        while data := connection.recv(65536):
            received += data
    except ConnectionResetError:
        pass
    return received


def read_answer(connection: socket.socket) -> tuple[int, bytes]:
    answer = http.client.HTTPResponse(connection)
    answer.begin()
    return answer.status, answer.read()


@pytest.fixture(scope="module")
def service(tiny_bundle: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    running = Service(tiny_bundle, tmp_path_factory.mktemp("serve"), "--header-seconds", "0.5", "--body-seconds", "0.7")
    yield running
    running.stop()


def test_answers(service: Service) -> None:
    with service.connect() as connection:
        connection.sendall(HEADERS + BODY)
        status, body = read_answer(connection)
    assert status == 200
    assert json.loads(body)["photos"][0]["faces"]


def test_headers_that_never_come_do_not_hold_a_connection(service: Service) -> None:
    with service.connect() as silent, service.connect() as slow:
        slow.sendall(b"POST /v1/predict HTTP/1.1\r\nHost: a\r\n")
        for letter in b"X-Slow: 1":
            try:
                slow.sendall(bytes([letter]))
            except OSError:
                break
            time.sleep(0.1)
        assert read(slow) == b""
        assert read(silent) == b""
    assert service.healthy()


def test_a_second_request_may_be_as_slow_as_the_first(service: Service) -> None:
    with service.connect() as connection:
        for _ in range(2):
            connection.sendall(HEADERS + BODY)
            assert read_answer(connection)[0] == 200
        connection.sendall(HEADERS[:20])
        assert read(connection) == b""
    assert service.healthy()


def test_a_body_that_never_comes_is_given_up(service: Service) -> None:
    with service.connect() as connection:
        connection.sendall(HEADERS + BODY[:50])
        status, body = read_answer(connection)
    assert status == 408
    assert json.loads(body)["type"] == "urn:mien:problem:slow_request"
    assert service.healthy()


def test_a_body_that_nobody_wants_does_not_hold_a_connection(service: Service) -> None:
    for path in ("/v1/nothing", "/v1/predict"):
        with service.connect() as connection:
            connection.sendall(f"POST {path} HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000\r\n\r\nhello".encode())
            assert re.match(rb"HTTP/1\.1 4\d\d ", read(connection))  # it ends, though the body does not


def test_nobody_chooses_an_address_of_his_own(tiny_bundle: Path, tmp_path: Path) -> None:
    service = Service(tiny_bundle, tmp_path / "serve", "--rate", "2")
    try:
        statuses = []
        for number in range(4):
            with service.connect() as connection:
                request = f"GET /v1/models HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: 10.0.0.{number}\r\n\r\n"
                connection.sendall(request.encode())
                statuses.append(read_answer(connection)[0])
        assert statuses == [200, 200, 429, 429]
    finally:
        service.stop()


def test_clients_that_leave_leave_nothing(service: Service) -> None:
    for _ in range(20):
        with service.connect() as connection:
            connection.sendall(HEADERS + BODY[:50])
        with service.connect() as connection:
            connection.sendall(HEADERS + BODY)
    deadline = time.monotonic() + 30
    while (left := service.gauges("mien_requests_inside", "mien_held_bytes", "mien_queue_photos")) != [0, 0, 0]:
        assert time.monotonic() < deadline, left
        time.sleep(0.05)


@pytest.mark.parametrize(
    "sent",
    [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(200),  # a TLS greeting
        b"\x00" * 1000,
        b"GET / HTTP/9.9\r\n\r\n",
        b"GET /\r\n\r\n",
        b"POST /v1/predict HTTP/1.1\r\nHost: a\r\nContent-Length: -5\r\n\r\n",
        b"POST /v1/predict HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello",
        b"POST /v1/predict HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n"
        b"Content-Type: application/json\r\n\r\nZZ\r\n",
        b"GET /" + b"a" * 200_000 + b" HTTP/1.1\r\nHost: a\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\n" + b"X: " + b"a" * 200_000 + b"\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\n" + b"X: a\r\n" * 50_000 + b"\r\n",
    ],
    ids=lambda sent: repr(sent[:24]),
)
def test_broken_http_is_refused(service: Service, sent: bytes) -> None:
    with service.connect() as connection:
        with suppress(OSError):  # it may close before it was all sent
            connection.sendall(sent)
        answer = read(connection)
    assert not answer.startswith(b"HTTP/1.1 5"), answer[:200]
    assert service.healthy()


def test_the_end_waits_for_running_requests_and_nothing_is_left(tiny_bundle: Path, tmp_path: Path) -> None:
    service = Service(tiny_bundle, tmp_path / "serve")
    large = START + picture() + bytes(3 << 20) + b"\r\n--x--\r\n"  # what comes after a PNG's end does no harm
    headers = HEADERS.replace(str(len(BODY)).encode(), str(len(large)).encode())
    with service.connect() as connection:
        connection.sendall(headers + large[:100_000])
        deadline = time.monotonic() + 60
        while service.gauges("mien_requests_inside") != [1]:
            assert time.monotonic() < deadline
            time.sleep(0.02)
        service.process.send_signal(signal.SIGTERM)
        while True:  # until nobody is let in any more
            try:
                service.connect().close()
            except ConnectionRefusedError:
                break
            assert time.monotonic() < deadline
            time.sleep(0.02)
        connection.sendall(large[100_000:])
        assert read_answer(connection)[0] == 200
    assert service.stop() in {0, -signal.SIGTERM}
    assert list((tmp_path / "serve" / "tmp").rglob("*")) == []
    assert NAME not in service.log()
    assert "Traceback" not in service.log()


def test_a_port_in_use(service: Service, tiny_bundle: Path) -> None:
    command = [sys.executable, "-m", "mien", "serve", "--model", str(tiny_bundle), "--port", str(service.port)]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert ended.returncode == 2
    assert f"cannot listen at 127.0.0.1:{service.port}" in ended.stderr
    assert "give another --port" in ended.stderr
    assert "Traceback" not in ended.stderr


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (["--model", "mien-x"], "unknown model 'mien-x'"),
        (["--detector", "mtcn"], "did you mean 'mtcnn'"),
        (["--max-photos", "0"], "max-photos must be 1 or more"),
        (["--log-level", "loud"], "unknown log level 'loud'"),
        (["--api-key-file", "absent"], "cannot read the API keys in absent"),
        (["--api-key-file", "empty"], "holds no API key"),
        (["--api-key-file", "odd"], "not ASCII"),
        (["--api-key-file", "short"], "line 2: an API key must have 16 characters or more"),
        (["--trusted-proxies", "*"], "anybody could choose"),
        (["--trusted-proxies", "10.0.0.1, 0.0.0.0/0"], "everybody"),
        (["--trusted-proxies", "::/0"], "everybody"),
        (["--trusted-proxies", "proxy.example.org"], "an address or a network"),
        (["--root-path", "mien"], "begins with /"),
        (["--cors", "example.org"], "an origin is"),
    ],
)
def test_impossible_options(options: list[str], sentence: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("empty").write_text(" \n")
    Path("odd").write_text("schlüssel\n")
    Path("short").write_text("a-key-of-many-letters\nx\n")
    result = CliRunner().invoke(app, ["serve", "--port", "0", *options])
    assert result.exit_code == 2, result.output
    assert sentence in result.output
    assert "Traceback" not in result.output
