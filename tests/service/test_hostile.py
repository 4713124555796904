"""Photos sent in bad faith: each is refused within limits, nothing reaches a disk, and the service lives on."""

from __future__ import annotations

import gzip
import io
import struct
import subprocess
import sys
import tempfile
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from starlette.testclient import TestClient
from tests.service.conftest import Serve, picture


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(width: int, height: int, data: bytes = b"", *more: bytes) -> bytes:
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + b"".join(more) + chunk(b"IDAT", data) + chunk(b"IEND", b"")


def zipped() -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a.png", picture())
        archive.writestr("bomb", bytes(1 << 24))
    return stream.getvalue()


def bmp(width: int, height: int) -> bytes:
    return b"BM" + struct.pack("<IHHIIiiHHIIiiII", 70, 0, 0, 54, 40, width, height, 1, 24, 0, 0, 0, 0, 0, 0) + bytes(16)


def tiff_in_a_circle() -> bytes:
    """A TIFF whose first directory names itself as the next."""
    return b"II*\x00" + struct.pack("<IHHHIII", 8, 1, 256, 4, 1, 8, 8)


JPEG = picture(form="JPEG")
HOSTILE: dict[str, bytes] = {
    "bomb of declared size": png(100_000, 100_000, zlib.compress(bytes(1000))),
    "bomb below the cap, without its pixels": png(7000, 7000, zlib.compress(bytes(1000))),
    "negative size": bmp(-5, 5),
    "bmp of 2 giga": bmp(2**31 - 1, 2**31 - 1),
    "no size": png(0, 0),
    "text bomb in a PNG": png(32, 32, b"", chunk(b"zTXt", b"a\0\0" + zlib.compress(bytes(1 << 26)))),
    "truncated JPEG": JPEG[: len(JPEG) // 2],
    "truncated PNG": picture()[:60],
    "only a signature": b"\x89PNG\r\n\x1a\n",
    "JPEG markers only": b"\xff\xd8\xff\xe0" + b"\xff" * 1000,
    "HTML then JPEG": b"<html><script>alert(1)</script>" + JPEG,
    "SVG with an entity": b'<?xml version="1.0"?><!DOCTYPE a [<!ENTITY b SYSTEM "file:///etc/passwd">]><svg>&b;</svg>',
    "ZIP": zipped(),
    "gzip": gzip.compress(picture()),
    "PDF": b"%PDF-1.7\n" + bytes(100),
    "ELF": b"\x7fELF" + bytes(100),
    "PostScript": b"%!PS-Adobe-3.0\n(/etc/passwd) (r) file\n",
    "pickle": b"\x80\x04\x95\x1c\x00\x00\x00\x00\x00\x00\x00\x8c\x05posix\x94\x8c\x06system\x94",
    "TIFF in a circle": tiff_in_a_circle(),
    "MP4": b"\x00\x00\x00\x20ftypisom" + bytes(100),
    "zeros": bytes(1 << 20),
    "a path": b"/etc/passwd",
    "an address": b"http://127.0.0.1:1/a.jpg",
}


@pytest.mark.parametrize("name", HOSTILE)
@pytest.mark.parametrize("path", ["/v1/predict", "/v1/check-age", "/v1/explain"])
def test_each_is_refused(hostile_client: TestClient, name: str, path: str) -> None:
    answer = hostile_client.post(path, files=[("photos", ("a.jpg", HOSTILE[name], "image/jpeg"))])
    assert 400 <= answer.status_code < 500, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    assert "root:" not in answer.text
    assert hostile_client.get("/readyz").status_code == 200


@pytest.fixture
def hostile_client(serve: Serve) -> TestClient:
    return serve(models=("mien-m",), detector="haar")


def test_bombs_are_refused_before_they_are_unpacked(tiny_bundle: Path, tmp_path: Path) -> None:
    """In a process of its own, whose memory is what the system says it is: Pillow's is not Python's."""
    names = []
    for name, data in HOSTILE.items():
        if "bomb" in name:
            names.append(tmp_path / name)
            names[-1].write_bytes(data)
    code = f"""
import resource, sys
from pathlib import Path
from starlette.testclient import TestClient
from mien.service import Settings, create_app
with TestClient(create_app(Settings(models=({str(tiny_bundle)!r},), detector="whole", workers=1))) as client:
    good = client.post("/v1/predict", files=[("photos", ("a.png", Path(sys.argv[1]).read_bytes()))])
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for name in sys.argv[2:]:
        client.post("/v1/predict", files=[("photos", ("a.png", Path(name).read_bytes()))])
    print(good.status_code, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""
    (tmp_path / "good.png").write_bytes(picture())
    words = [sys.executable, "-c", code, str(tmp_path / "good.png"), *map(str, names)]
    status, grown = subprocess.run(words, capture_output=True, text=True, check=True).stdout.split()
    assert status == "200"
    assert int(grown) < 64 << 10  # kibibytes; the smallest of them has 147 MB of pixels


def test_a_picture_that_is_something_else_too_is_only_a_picture(client: TestClient) -> None:
    """What stands behind a picture's end is not looked at."""
    for rest in (b"<script>alert(1)</script>", zipped(), b"\x7fELF" + bytes(99)):
        answer = client.post("/v1/predict", files=[("photos", ("a.jpg", JPEG + rest))])
        assert answer.status_code == 200
        assert answer.headers["content-type"] == "application/json"
        assert "script" not in answer.text


def test_large_photos_stay_in_memory(client: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    def forbidden(*_: Any, **__: Any) -> Any:
        raise AssertionError("a file was made")

    monkeypatch.setattr(tempfile, "TemporaryFile", forbidden)
    monkeypatch.setattr(tempfile, "NamedTemporaryFile", forbidden)
    monkeypatch.setattr(tempfile, "mkstemp", forbidden)
    stream = io.BytesIO()
    noise = np.random.default_rng(0).integers(0, 255, (1000, 1500, 3), dtype=np.uint8)
    Image.fromarray(noise).save(stream, "PNG")
    assert len(stream.getvalue()) > 4 << 20
    answer = client.post("/v1/predict", files=[("photos", ("a.png", stream.getvalue()))])
    assert answer.status_code == 200


@pytest.mark.parametrize(
    "change",
    [
        lambda body: body.replace(b'name="photos"', b'name="photos"; name="b"'),
        lambda body: body.replace(b"\r\n\r\n", b"\r\n", 1),
        lambda body: body.replace(b'filename="a.png"', b'filename="' + b"a" * 100_000 + b'"'),
        lambda body: body.replace(b'filename="a.png"', b'filename="\x00\xff\xfe.png"'),
        lambda body: body.replace(b'filename="a.png"', b"filename*=UTF-8''..%2F..%2Fetc%2Fpasswd"),
        lambda body: body.replace(b"--x\r\n", b"--x\r\n" + b"X-A: b\r\n" * 10_000, 1),
        lambda body: body * 50,
        lambda body: b"--x\r\n" * 100_000 + body,
    ],
)
def test_spoilt_multipart_never_breaks_the_service(client: TestClient, change: Callable[[bytes], bytes]) -> None:
    whole = (
        b'--x\r\nContent-Disposition: form-data; name="photos"; filename="a.png"\r\n\r\n' + picture() + b"\r\n--x--\r\n"
    )
    headers = {"content-type": "multipart/form-data; boundary=x"}
    answer = client.post("/v1/predict", content=change(whole), headers=headers)
    assert answer.status_code < 500, answer.text
    assert "/etc" not in answer.text
    assert client.post("/v1/predict", content=whole, headers=headers).status_code == 200
