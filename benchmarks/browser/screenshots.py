"""Pictures of the page that `mien web` writes, for docs: python -m benchmarks.browser.screenshots docs/images."""

from __future__ import annotations

import sys
from io import BytesIO
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.browser.memory import film
from benchmarks.browser.serving import ARGUMENTS, CHROMIUM, Host, hosting
from PIL import Image
from playwright.sync_api import Browser, Page, expect, sync_playwright

from mien.web import site

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
PATIENCE = 120_000


def opened(browser: Browser, address: str, width: int, scheme: str) -> Page:
    """The page, with its model loaded."""
    page = browser.new_page(
        viewport={"width": width, "height": 800}, color_scheme="dark" if scheme == "dark" else "light"
    )
    page.set_default_timeout(PATIENCE)
    expect.set_options(timeout=PATIENCE)
    page.goto(address)
    expect(page.locator("#model-line")).to_contain_text("Licence")
    return page


def save(data: bytes, target: Path) -> None:
    """Save a picture with a palette, a third as large as one without."""
    with Image.open(BytesIO(data)) as image:
        whole = image.convert("RGB")
    palette = whole.quantize(256, Image.Quantize.MAXCOVERAGE, kmeans=1)
    whole.quantize(palette=palette, dither=Image.Dither.FLOYDSTEINBERG).save(target, optimize=True)


def main(target: Path) -> None:
    """Take them."""
    with TemporaryDirectory() as name, sync_playwright() as playwright:
        folder = Path(name)
        site.write(folder / "page", ["mien-s", "mien-m"])
        arguments = [*ARGUMENTS, f"--use-file-for-fake-video-capture={film(folder / 'film.mjpeg', 'astronaut')}"]
        with (
            hosting(Host({"/": folder / "page"})) as host,
            playwright.chromium.launch(executable_path=str(CHROMIUM), args=arguments) as browser,
        ):
            page = opened(browser, host.at("/"), 1000, "light")
            page.get_by_role("button", name="Use the camera").click()
            page.get_by_role("switch", name="Analyse all the time").check(force=True)
            expect(page.locator("#camera-boxes .box")).to_have_count(1)
            expect(page.locator("#live-list")).to_contain_text("about")
            page.wait_for_timeout(3000)
            save(page.locator("#camera").screenshot(), target / "browser-camera.png")
            page.close()
            page = opened(browser, host.at("/"), 320, "dark")
            page.get_by_role("radio", name="Old enough?").check()
            with page.expect_file_chooser() as chooser:
                page.get_by_role("button", name="Choose pictures").click()
            chooser.value.set_files(EXAMPLES / "astronaut.jpg")
            expect(page.locator(".verdict")).to_contain_text("Unsure")
            save(page.screenshot(full_page=True), target / "browser-narrow-dark.png")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
