"""Does an installation work? The core and the service with the oldest versions of all that they need: `make lowest`.

    python tests/smoke.py PHOTO

A script without pytest, as that would bring newer versions of its own. Each check is one that failed with versions that
were allowed once.
"""

from __future__ import annotations

import http.client
import json
import re
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

PIECE = 1 << 16


@contextmanager
def service(folder: Path) -> Iterator[int]:
    """The port of a running `mien serve`."""
    log = folder / "log"
    command = [sys.executable, "-m", "mien", "serve", "--port", "0", "--detector", "haar"]
    with log.open("wb") as stream, subprocess.Popen(command, stdout=stream, stderr=stream) as process:
        try:
            end = time.monotonic() + 120
            while not (found := re.search(r"listens at http://127\.0\.0\.1:(\d+)", log.read_text())):
                if process.poll() is not None or time.monotonic() > end:
                    raise RuntimeError(log.read_text())
                time.sleep(0.1)
            yield int(found[1])
        finally:
            process.terminate()


def ask(port: int, method: str, path: str, body: bytes = b"", kind: str = "") -> tuple[int, bytes]:
    """Status and body of an answer."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=120)
    try:
        connection.request(method, path, body or None, {"Content-Type": kind} if kind else {})
        answer = connection.getresponse()
        return answer.status, answer.read()
    finally:
        connection.close()


def raw(port: int, data: bytes) -> bytes:
    """What a service says to bytes."""
    with socket.create_connection(("127.0.0.1", port), timeout=60) as connection:
        with suppress(OSError):
            connection.sendall(data)
        found = b""
        with suppress(OSError):
            while part := connection.recv(PIECE):
                found += part
        return found


def part(header: bytes, data: bytes) -> bytes:
    """A multipart body of one file."""
    return (
        b'--x\r\nContent-Disposition: form-data; name="photos"; filename="a.jpg"'
        + header
        + b"\r\n\r\n"
        + data
        + b"\r\n--x--\r\n"
    )


def check_command(photo: Path) -> None:
    """The command finds the face."""
    told = subprocess.run(
        [sys.executable, "-m", "mien", "predict", str(photo)], check=True, capture_output=True, text=True
    ).stdout
    (face,) = json.loads(told)["faces"]
    assert 60 < face["age"]["years"] < 95, face["age"]


def check_answers(port: int, photo: Path) -> None:
    """The service answers files, JSON and bare pictures alike, and describes itself."""
    data = photo.read_bytes()
    status, body = ask(port, "POST", "/v1/predict", part(b"", data), "multipart/form-data; boundary=x")
    assert status == 200, body
    faces: Any = json.loads(body)["photos"][0]["faces"]
    bare = json.loads(ask(port, "POST", "/v1/predict", data, "image/jpeg")[1])
    assert bare["photos"][0]["faces"] == faces
    for path in ("/healthz", "/readyz", "/metrics", "/openapi.json", "/", "/v1/models"):
        assert ask(port, "GET", path)[0] == 200, path
        assert ask(port, "HEAD", path) == (200, b""), path


def check_long_headers(port: int) -> None:
    """A header in a multipart body takes time in proportion to its length at most, or is refused."""
    seconds = []
    for mebibytes in (4, 16):
        begun = time.monotonic()
        body = part(b"\r\nX: " + b"a" * (mebibytes << 20), b"")
        status, _ = ask(port, "POST", "/v1/predict", body, "multipart/form-data; boundary=x")
        assert 400 <= status < 500, status
        seconds.append(time.monotonic() - begun)
    assert seconds[1] < 8 * seconds[0] + 1, seconds


def check_chunks(port: int) -> None:
    """Bytes where the end of a chunk should be are refused: with them a proxy and the service see other requests."""
    head = b"POST /v1/predict HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nContent-Type: image/jpeg\r\n\r\n"
    answer = raw(port, head + b"5\r\nhelloXX0\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 4"), answer
    assert answer.count(b"HTTP/1.1") == 1, answer


def check_ranges(port: int) -> None:
    """A header of very many ranges does not occupy the service."""
    ranges = ",".join(f"{start}-" for start in range(10_000))[:60_000]
    begun = time.monotonic()
    raw(port, f"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\nRange: bytes={ranges}\r\n\r\n".encode())
    assert time.monotonic() - begun < 5


def main() -> None:
    """Run all of them."""
    photo = Path(sys.argv[1])
    passed = failed = 0
    with tempfile.TemporaryDirectory() as folder, service(Path(folder)) as port:
        for check, arguments in (
            (check_command, (photo,)),
            (check_answers, (port, photo)),
            (check_long_headers, (port,)),
            (check_chunks, (port,)),
            (check_ranges, (port,)),
        ):
            try:
                check(*arguments)
                passed += 1
            except (AssertionError, OSError, ValueError, subprocess.CalledProcessError) as error:
                failed += 1
                print(f"{check.__name__}: {error!r}")  # noqa: T201
    print(f"{passed} passed, {failed} failed")  # noqa: T201
    sys.exit(bool(failed))


if __name__ == "__main__":
    main()
