"""`mien serve --web`: the visitor chooses whether this device or the server works on pictures."""

from __future__ import annotations

from pathlib import Path

import pytest

pytest.importorskip("fastapi", reason="needs the extra serve")
pytest.importorskip("playwright", reason="needs playwright, of the extra dev")

from playwright.sync_api import Browser, expect
from tests.service.browsing import Visit, running, visit


def asked(made: Visit) -> list[str]:
    """What the server was asked to answer."""
    return [request.url for request in made.requests if "/v1/predict" in request.url]


def test_the_switch(browser: Browser, written: Path, tmp_path: Path, examples: Path) -> None:
    with running(tmp_path, "--model", "mien-s", "--web", str(written)) as address:
        made = visit(browser, address)
        made.choose(examples / "hopper.jpg")
        by_server = made.photo().locator(".figure strong").inner_text()
        assert len(asked(made)) == 1
        made.page.get_by_role("button", name="Settings").click()
        made.page.get_by_label("Work on pictures").select_option("device")
        made.page.get_by_role("button", name="Done").click()
        expect(made.page.locator(".where")).to_contain_text("Stays on this device")
        expect(made.page.locator("#model-line")).to_contain_text("Model mien-s")
        made.choose(examples / "hopper.jpg")
        expect(made.photo(1).locator(".figure strong")).to_have_text(by_server)
        assert len(asked(made)) == 1
        assert made.page.evaluate("() => crossOriginIsolated")
        assert [fault for fault in made.faults if fault != "No available adapters."] == []
        made.context.close()
