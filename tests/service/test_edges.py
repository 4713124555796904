"""What every request meets: forms of bodies, bounded answers, HEAD, ids, a root path, other origins, hosts."""

from __future__ import annotations

import base64
import io
import json
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from starlette.testclient import TestClient
from tests.service.conftest import Serve, picture

from mien.service import base64s, faults
from mien.service.settings import Settings
from mien.service.uploads import MOST_TOKENS

JSON = {"content-type": "application/json"}
LONGEST_ANSWER = 20_000


def ask(client: TestClient, data: str) -> Any:
    return client.post("/v1/predict", json={"photos": [{"name": "a.png", "data": data}]})


def test_base64_in_all_its_forms(client: TestClient) -> None:
    data = picture()
    plain = base64.b64encode(data).decode()
    wanted = ask(client, plain).json()["photos"]
    assert wanted[0]["faces"]
    for form in (
        base64.encodebytes(data).decode(),
        "\r\n".join(plain[at : at + 60] for at in range(0, len(plain), 60)) + "\r\n",
        plain.rstrip("="),
        base64.urlsafe_b64encode(data).decode(),
        base64.urlsafe_b64encode(data).decode().rstrip("="),
        f"data:image/png;base64,{plain}",
        f"data:;base64,{plain.replace('+', '%2B').replace('=', '%3D')}",
        f"DATA:image/png;charset=x;BASE64,\n {base64.encodebytes(data).decode()}",
    ):
        answer = ask(client, form)
        assert answer.status_code == 200, answer.text
        assert answer.json()["photos"] == wanted


@pytest.mark.parametrize(
    ("data", "word"),
    [
        ("aGk", None),
        ("a", "breaks off"),
        ("aGk=aGk=", "after its padding"),
        ("aG k", "letters"),
        ("aé==", "letters"),
        ("+-+-", "mixes"),
        ("data:image/png,aGk=", ";base64,"),
        ("data:image/png;base64", ";base64,"),
        ("http://example.org/a.jpg", "an address"),
        ("file:///etc/passwd", "an address"),
        ("ftp://example.org/a.jpg", "an address"),
    ],
)
def test_what_is_no_base64_is_told(client: TestClient, data: str, word: str | None) -> None:
    answer = ask(client, data)
    assert answer.status_code == (415 if word is None else 422)
    assert word is None or word in answer.json()["detail"]
    assert "passwd" not in answer.json()["detail"]


@settings(deadline=None)
@given(st.binary(), st.booleans(), st.booleans(), st.integers(1, 80))
def test_base64_is_that_of_python(data: bytes, safe: bool, padded: bool, width: int) -> None:
    text = base64.urlsafe_b64encode(data) if safe else base64.b64encode(data)
    text = text if padded else text.rstrip(b"=")
    lines = b"\r\n".join(text[at : at + width] for at in range(0, len(text), width))
    assert base64s.decode(text) == base64s.decode(lines) == data


@settings(deadline=None)
@given(st.binary(max_size=100))
def test_any_text_is_base64_or_a_sentence(text: bytes) -> None:
    with suppress(ValueError):
        assert isinstance(base64s.decode(text), bytes)


def test_a_bare_picture(client: TestClient) -> None:
    wanted = client.post("/v1/predict", files=[("photos", ("a.png", picture()))]).json()["photos"]
    for headers, name in (
        ({"content-type": "image/png"}, "photo-1"),
        ({"content-type": "IMAGE/JPEG; x=y"}, "photo-1"),  # its bytes say what it is
        ({"content-type": "application/octet-stream"}, "photo-1"),
        ({"content-type": "image/png", "content-disposition": 'attachment; filename="../a.png"'}, "a.png"),
    ):
        for path in ("/v1/predict", "/v1/explain"):
            answer = client.post(path, content=picture(), headers=headers)
            assert answer.status_code == 200, answer.text
        photo = client.post("/v1/predict", content=picture(), headers=headers).json()["photos"][0]
        assert photo == wanted[0] | {"source": name}
    empty = client.post("/v1/predict", content=b"", headers={"content-type": "image/png"})
    assert (empty.status_code, empty.json()["type"]) == (422, "urn:mien:problem:usage")
    told = client.post("/v1/predict", content=b"a=b", headers={"content-type": "application/x-www-form-urlencoded"})
    assert "image/jpeg" in told.json()["detail"]


HOSTILE_JSON: dict[str, bytes] = {
    "unknown keys": b'{"photos": [{"data": "aGk="}]' + b"".join(b',"k%d":0' % n for n in range(1_600_000)) + b"}",
    "one long key": b'{"' + b"k" * (19 << 20) + b'": 0}',
    "long keys": b"{" + b",".join(b'"%d%s":0' % (n, b"k" * 100_000) for n in range(150)) + b"}",
    "numbers": b'{"photos": [' + b"0," * 9_000_000 + b"0]}",
    "lists": b"[" * (19 << 20),
    "empty lists": b'{"photos": [' + b"[]," * 6_000_000 + b"[]]}",
    "photos": b'{"photos": [' + b'{"data":""},' * 1_500_000 + b'{"data":""}]}',
    "keys of photos": b'{"photos": [{"data": ""' + b"".join(b',"k%d":0' % n for n in range(5_000)) + b"}]}",
    "a wide text": b'{"photos": [{"data": "' + "🙂".encode() + b"a" * (19 << 20) + b'"}]}',
    "escapes": b'{"photos": [{"data": "' + b"\\u0041" * 3_000_000 + b'"}]}',
    "a long name": b'{"photos": [{"data": "", "name": "' + b"n" * (19 << 20) + b'"}]}',
}


def test_json_costs_no_more_than_it_counts_for(tiny_bundle: Path, tmp_path: Path) -> None:
    """In a process of its own, whose memory is what the system says it is."""
    for name, body in HOSTILE_JSON.items():
        assert len(body) <= 20 << 20
        (tmp_path / name).write_bytes(body)
    code = f"""
import json, resource, sys, time
from pathlib import Path
from starlette.testclient import TestClient
from mien.service import Settings, create_app
with TestClient(create_app(Settings(models=({str(tiny_bundle)!r},), detector="whole", workers=1))) as client:
    for name in sys.argv[1:]:
        body = Path(name).read_bytes()
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        begun = time.process_time()
        answer = client.post("/v1/predict", content=body, headers={JSON!r})
        grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
        seconds = time.process_time() - begun
        print(json.dumps([Path(name).name, answer.status_code, len(answer.content), grown, seconds]))
"""
    words = [sys.executable, "-c", code, *(str(tmp_path / name) for name in HOSTILE_JSON)]
    ended = subprocess.run(words, capture_output=True, text=True, check=True)
    for name, status, size, grown, seconds in map(json.loads, ended.stdout.splitlines()):
        assert 400 <= status < 500, name
        assert size <= LONGEST_ANSWER, (name, size)
        assert grown < 200 << 10, (name, grown)  # KiB: the client's copies are in the same process
        assert seconds < 10, (name, seconds)


@pytest.mark.parametrize(
    "ask_",
    [
        lambda client: client.get("/" + "a" * 60_000),
        lambda client: client.post("/" + "a" * 60_000),
        lambda client: client.get("/healthz/" + "a" * 60_000),
        lambda client: client.post("/v1/predict?" + "&".join(f"k{n}=v" for n in range(8_000)), content=b""),
        lambda client: client.post("/v1/predict?" + "k" * 60_000 + "=v", content=b""),
        lambda client: client.post("/v1/predict?model=" + "m" * 60_000, content=b""),
        lambda client: client.post("/v1/explain?target=" + "m" * 60_000, content=b""),
        lambda client: client.post("/v1/predict", files=[("f" * 60_000, ("a.png", picture()))]),
        lambda client: client.post("/v1/predict", files=[("photos", ("n" * 60_000, b"no"))] * 16),
        lambda client: client.post("/v1/predict", content=b"x", headers={"content-type": "a" * 60_000}),
        lambda client: client.request("M" * 60_000, "/v1/predict"),
        lambda client: client.post(
            "/v1/predict", content=b"--x", headers={"content-type": "multipart/form-data; boundary=" + "x" * 60_000}
        ),
    ],
)
def test_no_answer_grows_with_the_request(client: TestClient, ask_: Any) -> None:
    answer = ask_(client)
    assert 400 <= answer.status_code < 500
    assert len(answer.content) <= LONGEST_ANSWER
    assert len(answer.json()["detail"]) <= faults.LONGEST_DETAIL


def test_some_faults_are_listed_and_the_rest_is_counted(client: TestClient) -> None:
    body = json.dumps({"photos": [{"data": ""}], **{f"key-{n}": 0 for n in range(100)}})
    record = client.post("/v1/predict", content=body, headers=JSON).json()
    assert len(record["errors"]) == faults.MOST_FAULTS
    assert record["errors"][0] == {"at": "body.key-0", "fault": "Extra inputs are not permitted"}
    assert record["detail"].endswith("and 80 more")
    most = json.dumps({"photos": [{"data": ""}] * 16, "more": [0] * MOST_TOKENS})
    assert "more than" in client.post("/v1/predict", content=most, headers=JSON).json()["detail"]


def test_head_is_get_without_its_body(client: TestClient) -> None:
    paths = ["/", "/healthz", "/readyz", "/metrics", "/v1/models", "/openapi.json"]
    page = client.get("/").text
    paths += [f"/{part}" for part in ("css/page.css", "js/app.js") if part in page]
    for path in paths:
        told, whole = client.head(path), client.get(path)
        assert (told.status_code, told.content) == (200, b""), path
        assert told.headers["content-type"] == whole.headers["content-type"]
        if path != "/metrics":  # it has counted the request before
            assert told.headers["content-length"] == whole.headers["content-length"]
    assert client.head("/v1/nothing").status_code == 404
    wrong = client.head("/v1/predict")
    assert (wrong.status_code, wrong.headers["allow"]) == (405, "POST")
    assert client.delete("/healthz").headers["allow"] == "GET, HEAD"
    assert 'mien_requests_total{method="HEAD",route="/healthz",status="200"} 1.0' in client.get("/metrics").text


def test_a_request_has_an_id(client: TestClient) -> None:
    given = client.get("/healthz", headers={"x-request-id": "proxy-17"})
    assert given.headers["x-request-id"] == "proxy-17"
    ids = {client.get("/healthz").headers["x-request-id"] for _ in range(10)}
    assert len(ids) == 10
    for odd in ("a b", "a" * 65, "é", "<script>", "a\x9b"):
        assert client.get("/healthz", headers={b"x-request-id": odd.encode("latin-1")}).headers["x-request-id"] != odd
    problem = client.get("/v1/nothing", headers={"x-request-id": "proxy-18"})
    assert problem.headers["x-request-id"] == "proxy-18"
    assert problem.json()["instance"] == "urn:mien:request:proxy-18"


@pytest.mark.parametrize("path", ["/v1/models/", "/healthz/", "/js/", "/js", "//evil.example/", "/v1/predict/"])
@pytest.mark.parametrize("method", ["GET", "POST", "HEAD"])
def test_nothing_leads_to_another_host(client: TestClient, path: str, method: str) -> None:
    headers = {"host": "evil.example", "x-forwarded-host": "evil.example", "x-forwarded-proto": "http"}
    answer = client.request(method, f"http://testserver{path}", headers=headers, follow_redirects=False)
    assert answer.status_code in {404, 405}
    assert "location" not in answer.headers
    assert "evil.example/" not in answer.text.replace("//evil.example/", "")


@pytest.mark.parametrize("path", ["/", "/healthz", "/healthz/", "/v1/models", "/v1/models/", "/docs/", "/js"])
def test_nothing_leads_from_https_to_http(client: TestClient, path: str) -> None:
    headers = {"host": "faces.example", "x-forwarded-proto": "https"}
    answer = client.get(path, headers=headers, follow_redirects=False)
    assert answer.status_code in {200, 404}
    assert "http://" not in answer.headers.get("location", "")


@pytest.mark.parametrize("root", ["/a", "/tools/mien", "/a.b/c-d"])
def test_the_way_to_the_page_below_a_path_names_no_scheme(serve: Serve, root: str) -> None:
    home = serve(root_path=root).get(root, headers={"x-forwarded-proto": "https"}, follow_redirects=False)
    assert home.status_code == 308
    assert home.headers["location"].startswith("/")


@pytest.mark.parametrize("form", ["JPEG", "PNG", "BMP", "WEBP", "TIFF", "GIF"])
def test_bare_pictures_of_any_format(client: TestClient, form: str) -> None:
    data = picture(100, form)
    answer = client.post("/v1/predict", content=data, headers={"content-type": f"image/{form.lower()}"})
    assert answer.status_code == 200, answer.text
    (face,) = answer.json()["photos"][0]["faces"]
    assert face["age"]["years"] == pytest.approx(100 / 2.55, abs=0.5)


@pytest.mark.parametrize("turn", [90, 180, 270])
def test_faces_that_lie_are_found_here_too(serve: Serve, examples: Path, turn: int) -> None:
    stream = io.BytesIO()
    with Image.open(examples / "hopper.jpg") as image:
        image.convert("RGB").rotate(turn, expand=True).save(stream, "PNG")
    found, upright = (
        serve(detector="mtcnn", **settings)
        .post("/v1/predict", content=stream.getvalue(), headers={"content-type": "image/png"})
        .json()["photos"][0]
        for settings in ({}, {"rotate": 0})
    )
    assert (found["turned"], len(found["faces"])) == (turn, 1)
    assert (upright["turned"], upright["faces"]) == (0, [])


@pytest.mark.parametrize("stripped", [False, True])
def test_below_a_path(serve: Serve, stripped: bool) -> None:
    client = serve(root_path="/tools/mien")
    before = "" if stripped else "/tools/mien"
    for path in ("/", "/healthz", "/v1/models", "/openapi.json"):
        assert client.get(before + path).status_code == 200, path
    script = next(part for part in client.get(before + "/").text.split('"') if part.endswith(".js"))
    assert not script.startswith("/")  # the page finds its parts below its own address
    assert client.get(f"{before}/{script}").status_code == 200
    assert client.post(f"{before}/v1/predict", files=[("photos", ("a.png", picture()))]).status_code == 200
    assert client.get(before + "/openapi.json").json()["servers"] == [{"url": "/tools/mien"}]
    home = client.get("/tools/mien", follow_redirects=False)
    assert (home.status_code, home.headers["location"]) == (308, "/tools/mien/")


def test_pages_of_other_origins_ask_only_where_they_may(serve: Serve, client: TestClient) -> None:
    origin = "https://example.org"
    assert "access-control-allow-origin" not in client.get("/v1/models", headers={"origin": origin}).headers
    open_ = serve(cors=(origin,), api_keys=("a-key-of-many-letters",))
    asked = open_.options(
        "/v1/predict",
        headers={
            "origin": origin,
            "access-control-request-method": "POST",
            "access-control-request-headers": "authorization, content-type",
        },
    )
    assert asked.status_code == 200
    assert asked.headers["access-control-allow-origin"] == origin
    assert "access-control-allow-credentials" not in asked.headers
    refused = open_.get("/v1/models", headers={"origin": origin})  # without a key: the page may read the problem
    assert (refused.status_code, refused.headers["access-control-allow-origin"]) == (401, origin)
    assert "X-Request-ID" in refused.headers["access-control-expose-headers"]
    other = open_.get("/v1/models", headers={"origin": "https://evil.example"})
    assert "access-control-allow-origin" not in other.headers


def test_a_fault_of_ours_has_all_headers(client: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(_: Any) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(type(client.app.state.mien), "describe", broken)  # type: ignore[attr-defined]
    answer = client.get("/v1/models")
    assert answer.status_code == 500
    assert answer.json()["type"] == "urn:mien:problem:internal"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["x-request-id"] in answer.json()["instance"]


def test_limits_follow_from_each_other() -> None:
    assert Settings(max_concurrent=64).max_explained == 8
    assert Settings(max_concurrent=2).max_explained == 1
    assert Settings(max_bodies=100).max_bodies_each == 50
