"""The page of `mien serve` as a folder for any file host, where the visitor's browser works on the pictures."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Sequence
from pathlib import Path

from mien.errors import UsageError
from mien.web import assets

DEVICE = "device"
"""Folder of mien for the browser, in that of the page."""

_PAGE = Path(__file__).parent / "page"
_STATIC = Path(__file__).resolve().parents[1] / "service" / "static"
_PLACES = Path("js") / "places.js"
_POLICY = (
    "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; worker-src 'self'; style-src 'self'; "
    "img-src 'self' blob: data:; media-src 'self' blob:; connect-src 'self'; font-src 'self'; manifest-src 'self'; "
    "form-action 'none'; base-uri 'none'"
)
_CHARSET = '<meta charset="utf-8">'
_KEPT_BY_MIEN = {".wasm", ".onnx", ".safetensors"}
_MARK = ".mien-web"


def write(target: Path, models: Sequence[str | Path]) -> Path:
    """Write the page; a folder of an earlier one is written anew.

    Args:
        target: the folder; made if need be.
        models: names or folders of models; the first is the default.

    Returns:
        The page's index.html.

    Raises:
        MissingExtra: the modules for the browser are not built.
        UsageError: the folder holds something else, or a model is unknown.
        ModelError: a model is malformed.
    """
    assets.built()  # before anything is written
    if target.exists() and not target.is_dir():
        raise UsageError(f"{target} is a file: give a folder to write the page to")
    if target.is_dir() and any(target.iterdir()) and not (target / _MARK).exists():
        raise UsageError(f"{target} is not empty, and no page that mien wrote: give a new or an empty folder")
    target.mkdir(parents=True, exist_ok=True)
    (target / _MARK).touch()
    device = target / DEVICE
    shutil.rmtree(device, ignore_errors=True)
    assets.copy_built(device)
    assets.add_models(device, models)
    shutil.copytree(_STATIC, target, dirs_exist_ok=True)
    (target / _PLACES).write_text(places(server=False), encoding="utf-8")
    index = target / "index.html"
    index.write_text(_page(index.read_text(encoding="utf-8")), encoding="utf-8")
    shutil.copyfile(_PAGE / "manifest.webmanifest", target / "manifest.webmanifest")
    _write_worker(target)
    return index


def places(*, server: bool) -> str:
    """The page's module js/places.js, where it works on this device, and on the server too or not."""
    return (
        "/** Where pictures can be worked on. */\n\n"
        f"export const SERVER = {json.dumps(server)};\nexport const DEVICE = {json.dumps(f'{DEVICE}/')};\n"
    )


def _page(html: str) -> str:
    """The page of the service with a policy of its own, since a file host sends none, and with its manifest."""
    head = (
        f'{_CHARSET}\n  <meta http-equiv="Content-Security-Policy" content="{_POLICY}">\n'
        '  <link rel="manifest" href="manifest.webmanifest">'
    )
    assert html.count(_CHARSET) == 1
    told = html.replace(_CHARSET, head)
    return told.replace("worked out by this server, kept nowhere", "worked out on this device, sent nowhere")


def _write_worker(target: Path) -> None:
    """The service worker, with the files that it keeps and a version that changes with any of them."""
    files = sorted(
        file.relative_to(target)
        for file in target.rglob("*")
        if file.is_file()
        and not file.name.startswith(".")
        and file.name != "sw.js"
        and file.suffix not in _KEPT_BY_MIEN
    )
    kept = [file.as_posix() for file in files if file.suffix not in {".md", ".txt", ""}]
    digest = hashlib.sha256()
    for name in kept:
        digest.update(f"{name}\0{hashlib.sha256((target / name).read_bytes()).hexdigest()}\n".encode())
    text = (_PAGE / "sw.js").read_text(encoding="utf-8")
    text = text.replace("{{VERSION}}", digest.hexdigest()[:16]).replace('["{{FILES}}"]', json.dumps(kept))
    (target / "sw.js").write_text(text, encoding="utf-8")
