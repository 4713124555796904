"""What `mien web` writes, and what `mien serve --web` does with it; no browser is needed."""

from __future__ import annotations

import hashlib
import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from mien.errors import MissingExtra, UsageError
from mien.web import assets, site


@pytest.fixture
def modules(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Stand-ins for the built modules, so that no npm is needed."""
    folder = tmp_path / "built"
    (folder / "ort").mkdir(parents=True)
    for name in (*assets.MODULES, "node.js", "index.d.ts", "ort/runtime.wasm", "ort/runtime.mjs"):
        (folder / name).write_text(name)
    monkeypatch.setattr(assets, "_CHECKOUT", folder)
    return folder


def test_a_page_with_its_models_and_a_list_of_what_there_is(modules: Path, tmp_path: Path, tiny_bundle: Path) -> None:
    out = tmp_path / "page"
    assert site.write(out, [tiny_bundle, "mien-s"]) == out / "index.html"
    record = json.loads((out / "device" / "assets.json").read_text())
    assert record["models"] == ["tiny", "mien-s"]
    assert {"ort/runtime.wasm", "mtcnn/pnet.onnx", "models/tiny/model.onnx", "models/mien-s/age_checks.json"} <= set(
        record["files"]
    )
    for name, entry in record["files"].items():
        data = (out / "device" / name).read_bytes()
        assert (hashlib.sha256(data).hexdigest(), len(data)) == (entry["sha256"], entry["size"])
    assert (out / "device" / "models" / "mien-s" / "LICENSE").is_file()
    assert not (out / "device" / "node.js").exists()


def test_the_page_has_a_policy_of_its_own_and_asks_for_nothing_elsewhere(modules: Path, tmp_path: Path) -> None:
    out = tmp_path / "page"
    html = site.write(out, ["mien-s"]).read_text(encoding="utf-8")
    policy = re.search(r'Content-Security-Policy" content="([^"]+)"', html)
    assert policy
    assert "default-src 'none'" in policy[1]
    assert "unsafe-inline" not in policy[1]
    assert not re.search(r"'unsafe-eval'", policy[1])
    texts = [file.read_text(encoding="utf-8") for file in out.rglob("*") if file.suffix in {".html", ".js", ".css"}]
    hosts = {host for text in texts for host in re.findall(r"https?://([\w.-]+)", text)}
    assert hosts <= {"www.w3.org"}  # the name space of SVG
    assert "export const SERVER = false;" in (out / "js" / "places.js").read_text()


def test_the_service_worker_keeps_every_file_of_the_page_and_its_version_follows_them(
    modules: Path, tmp_path: Path
) -> None:
    out = tmp_path / "page"
    site.write(out, ["mien-s"])
    worker = (out / "sw.js").read_text()
    kept = json.loads(worker.partition("const FILES = ")[2].partition(";")[0])
    assert {
        "index.html",
        "js/app.js",
        "js/places.js",
        "css/base.css",
        "device/index.js",
        "device/ort/runtime.mjs",
    } <= set(kept)
    assert all((out / name).is_file() for name in kept)
    assert not [name for name in kept if name.endswith((".safetensors", ".wasm", ".onnx"))]  # mien itself keeps these
    site.write(out, ["mien-s"])
    assert (out / "sw.js").read_text() == worker
    (modules / "worker.js").write_text("newer")
    site.write(out, ["mien-s"])
    assert (out / "sw.js").read_text() != worker


def test_a_folder_with_other_things_is_left_alone(modules: Path, tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("years of work")
    with pytest.raises(UsageError, match="not empty"):
        site.write(tmp_path / "mine", ["mien-s"])
    assert [file.name for file in (tmp_path / "mine").iterdir()] == ["thesis.txt"]
    with pytest.raises(UsageError, match="is a file"):
        site.write(tmp_path / "mine" / "thesis.txt", ["mien-s"])
    with pytest.raises(UsageError, match="unknown model"):
        site.write(tmp_path / "other", ["mien-x"])


def test_without_built_modules_the_command_says_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(assets, "_CHECKOUT", tmp_path / "nowhere")
    monkeypatch.setattr(assets, "PACKAGE", "mien_web_that_is_not_there")
    with pytest.raises(MissingExtra, match="make web"):
        site.write(tmp_path / "page", ["mien-s"])
    assert not (tmp_path / "page").exists()


def test_the_command_line(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "mien", "web", str(tmp_path / "page"), "--model", "mien-x"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode in {2, 5}  # the model is unknown; or first of all the modules are not built
    assert done.stderr.startswith("mien: ")


def test_the_service_offers_both_places(modules: Path, tmp_path: Path, tiny_bundle: Path) -> None:
    pytest.importorskip("fastapi", reason="needs the extra serve")
    from starlette.testclient import TestClient

    from mien.service import Settings, create_app

    with pytest.raises(UsageError, match="holds no page for the browser"):
        Settings(web=tmp_path)
    site.write(tmp_path / "page", ["mien-s"])
    chosen = Settings(models=(str(tiny_bundle),), detector="whole", workers=1, web=tmp_path / "page")
    with TestClient(create_app(chosen)) as client:
        places = client.get("/js/places.js")
        assert "SERVER = true" in places.text
        assert 'DEVICE = "device/"' in places.text
        assert places.headers["content-type"].startswith("text/javascript")
        assert client.get("/device/assets.json").json()["models"] == ["mien-s"]
        headers = client.get("/").headers
        assert "'wasm-unsafe-eval'" in headers["content-security-policy"]
        assert headers["cross-origin-embedder-policy"] == "require-corp"
        assert client.get("/js/app.js").status_code == 200
    with TestClient(create_app(Settings(models=(str(tiny_bundle),), detector="whole", workers=1))) as client:
        assert "DEVICE = null" in client.get("/js/places.js").text
        assert "wasm" not in client.get("/").headers["content-security-policy"]
