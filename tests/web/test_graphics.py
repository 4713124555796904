"""WebGPU, by a graphics card that Chromium plays in software: its answers, and a card that is lost."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("playwright", reason="needs playwright, of the extra dev")

from benchmarks.browser.serving import ARGUMENTS, CHROMIUM, Host, hosting
from playwright.sync_api import Page, sync_playwright

PATIENCE = 120_000
SOFTWARE = ("--enable-unsafe-webgpu", "--use-webgpu-adapter=swiftshader", "--enable-features=Vulkan")
WATCHED = b"""
const { requestDevice } = GPUAdapter.prototype;
GPUAdapter.prototype.requestDevice = async function (...given) {
    const device = await requestDevice.apply(this, given);
    new BroadcastChannel("graphics").onmessage = () => device.destroy();
    return device;
};
"""
"""Goes before the worker, so that a test can take its graphics card away."""


@pytest.fixture(scope="module")
def page(written: Path, examples: Path) -> Iterator[Page]:
    """A page in a Chromium with WebGPU; its worker's card can be destroyed."""
    if not CHROMIUM.exists():
        pytest.skip(f"needs {CHROMIUM}")
    worker = (written / "device" / "worker-webgpu.js").read_bytes()
    files = {
        "/": (b"<!doctype html><title>graphics</title>", "text/html"),
        "/hopper.jpg": ((examples / "hopper.jpg").read_bytes(), "image/jpeg"),
        "/mien/watched.js": (WATCHED, "text/javascript"),
        "/mien/real.js": (worker, "text/javascript"),
        "/mien/worker-webgpu.js": (b'import "./watched.js"; import "./real.js";', "text/javascript"),
    }
    arguments = [argument for argument in ARGUMENTS if argument != "--disable-gpu"]
    with (
        hosting(Host({"/mien/": written / "device"}, files)) as host,
        sync_playwright() as playwright,
        playwright.chromium.launch(executable_path=str(CHROMIUM), args=[*arguments, *SOFTWARE]) as browser,
    ):
        made = browser.new_page()
        made.set_default_timeout(PATIENCE)
        made.goto(host.at("/"))
        if not made.evaluate("async () => Boolean(await navigator.gpu?.requestAdapter())"):
            pytest.skip("this Chromium plays no graphics card")
        made.evaluate(
            """async () => {
                globalThis.mien = await import(new URL("/mien/index.js", location.href));
                globalThis.hopper = await (await fetch("/hopper.jpg")).blob();
            }"""
        )
        yield made


def run(page: Page, code: str) -> Any:
    return page.evaluate(f"async () => {{ {code} }}")


def test_a_graphics_card_gives_the_same_answers_and_when_it_is_lost_the_processor_goes_on(page: Page) -> None:
    found = run(
        page,
        """
        const years = async (analyzer) => (await analyzer.analyze(hopper)).faces[0].age.years;
        const plain = await mien.load({ model: "mien-s", backend: "wasm" });
        const card = await mien.load({ model: "mien-s", backend: "webgpu" });
        const found = { wasm: await years(plain), webgpu: await years(card), before: card.backend };
        new BroadcastChannel("graphics").postMessage("lose it");
        await new Promise((resolve) => setTimeout(resolve, 300));
        found.lost = await years(card);
        found.after = card.backend;
        plain.close();
        card.close();
        return found;
        """,
    )
    assert (found["before"], found["after"]) == ("webgpu", "wasm")
    assert abs(found["webgpu"] - found["wasm"]) < 0.05
    assert found["lost"] == found["wasm"]


def test_a_card_lost_in_the_middle_of_an_answer_costs_no_answer(page: Page) -> None:
    found = run(
        page,
        """
        const card = await mien.load({ model: "mien-s", backend: "webgpu" });
        await card.analyze(hopper);
        const asked = [0, 1, 2, 3].map(() => card.analyze(hopper));
        new BroadcastChannel("graphics").postMessage("lose it");
        const counts = (await Promise.all(asked)).map(({ faces }) => faces.length);
        const { backend } = card;
        card.close();
        return [counts, backend];
        """,
    )
    assert found == [[1, 1, 1, 1], "wasm"]


def test_no_card_at_all_is_no_fault(page: Page) -> None:
    found = run(
        page,
        """
        const automatic = await mien.load({ model: "mien-m" }); // the software's card is none to change to
        const { faces } = await automatic.analyze(hopper);
        automatic.close();
        return [faces.length, automatic.backend];
        """,
    )
    assert found == [1, "wasm"]
