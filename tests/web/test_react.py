"""The example for a bundler: React with Vite, built as its package.json says, and looked at in Chromium."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

pytest.importorskip("playwright", reason="needs playwright, of the extra dev")

from benchmarks.browser.serving import Host, hosting
from playwright.sync_api import Browser, expect

WEB = Path(__file__).resolve().parents[2] / "web"
EXAMPLE = WEB / "examples" / "react"
PATIENCE = 60_000


@pytest.fixture(scope="module")
def site(built: Path) -> Path:
    """The built example."""
    if built != WEB / "dist" or not (built / "assets.json").is_file():
        pytest.skip("needs web/dist: run `make web`")
    if not (EXAMPLE / "node_modules" / "vite").is_dir():
        pytest.skip("needs the example's packages: run `make web-modules` where npm's registry can be reached")
    shutil.rmtree(EXAMPLE / "dist", ignore_errors=True)
    for command in (["npx", "--no-install", "tsc", "--noEmit"], ["npm", "run", "--silent", "build"]):
        done = subprocess.run(command, cwd=EXAMPLE, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
    return EXAMPLE / "dist"


def test_the_example_answers_below_a_sub_path(browser: Browser, site: Path, examples: Path) -> None:
    faults: list[str] = []
    with hosting(Host({"/some/where/": site})) as host, browser.new_context() as context:
        page = context.new_page()
        page.on("pageerror", lambda error: faults.append(str(error)))
        page.goto(host.at("/some/where/"))
        choose = page.get_by_label("A picture")
        expect(choose).to_be_enabled(timeout=PATIENCE)
        choose.set_input_files(examples / "hopper.jpg")
        expect(page.locator("li")).to_contain_text("about 8", timeout=PATIENCE)
        choose.set_input_files({"name": "notes.txt", "mimeType": "text/plain", "buffer": b"no picture"})
        expect(page.get_by_role("status")).to_contain_text("no picture", timeout=PATIENCE)
        choose.set_input_files(examples / "astronaut.jpg")
        expect(page.locator("li")).to_have_count(1, timeout=PATIENCE)
        assert {path.split("/")[1] for path in host.asked} <= {"some", "favicon.ico"}
    assert faults == []
