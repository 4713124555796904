"""The built browser package, a page written from it, and a browser; all skipped with a reason where they cannot be."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

pytest.importorskip("playwright", reason="needs playwright, of the extra dev")

from benchmarks.browser.serving import ARGUMENTS, CHROMIUM
from playwright.sync_api import Browser, sync_playwright
from tests.service.browsing import film

from mien.errors import MissingExtra
from mien.web import assets, site


@pytest.fixture(scope="session")
def built() -> Path:
    """Folder of the built modules."""
    if shutil.which("npm") is None:
        pytest.skip("needs Node and npm, to build web/")
    try:
        return assets.built()
    except MissingExtra:
        pytest.skip("needs the built modules: run `make web`")


@pytest.fixture(scope="session")
def written(built: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A page as `mien web` writes it, with mien-s alone, which is the smaller."""
    folder = tmp_path_factory.mktemp("site") / "page"
    site.write(folder, ["mien-s", "mien-m"])
    return folder


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory, examples: Path) -> Iterator[Browser]:
    """Chromium with a camera that shows a portrait."""
    if not CHROMIUM.exists():
        pytest.skip(f"needs {CHROMIUM}")
    reel = film(examples / "hopper.jpg", tmp_path_factory.mktemp("film") / "hopper.mjpeg")
    arguments = [*ARGUMENTS, f"--use-file-for-fake-video-capture={reel}"]
    with (
        sync_playwright() as playwright,
        playwright.chromium.launch(executable_path=str(CHROMIUM), args=arguments) as launched,
    ):
        yield launched
