"""Pictures of the page for docs/service.md, made with the example portrait.

    mien serve --port 8000 &
    python benchmarks/screenshots.py http://127.0.0.1:8000 docs/images

Needs Debian's Chromium and Playwright (the extra dev).
"""

from __future__ import annotations

import sys
from io import BytesIO
from pathlib import Path

from PIL import Image
from playwright.sync_api import Browser, Page, sync_playwright

CHROMIUM = "/usr/bin/chromium"
PATIENCE = 120_000


def main(address: str, folder: Path) -> None:
    """Make the pictures."""
    with (
        sync_playwright() as playwright,
        playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"]) as browser,
    ):
        page = visit(browser, address, 1280, 1010, "light")
        save(page, folder / "page-empty-light.png")
        page = visit(browser, address, 1280, 940, "light")
        example(page)
        save(page, folder / "page-result-light.png")
        page = visit(browser, address, 1280, 1060, "dark")
        page.get_by_role("radio", name="Old enough?").check()
        example(page)
        page.locator(".verdict").wait_for(timeout=PATIENCE)
        save(page, folder / "page-check-dark.png")
        page = visit(browser, address, 390, 1660, "dark")
        example(page)
        page.get_by_role("button", name="Why this age?").click()
        page.locator(".parts").wait_for(timeout=PATIENCE)
        page.locator(".photo").scroll_into_view_if_needed()
        save(page, folder / "page-why-dark-narrow.png")


def visit(browser: Browser, address: str, width: int, height: int, scheme: str) -> Page:
    """Open the page."""
    dark = scheme == "dark"
    page = browser.new_page(viewport={"width": width, "height": height}, color_scheme="dark" if dark else "light")
    page.goto(address, wait_until="networkidle")
    return page


def example(page: Page) -> None:
    """Have the example portrait analysed."""
    page.get_by_role("button", name="Eileen Collins").click()
    page.locator(".photo[data-state=done]").wait_for(timeout=PATIENCE)
    page.wait_for_timeout(500)  # the picture is drawn
    page.mouse.move(0, 0)


def save(page: Page, target: Path) -> None:
    """Save what is in view as a PNG with a palette, a third as large as one without."""
    with Image.open(BytesIO(page.screenshot())) as image:
        whole = image.convert("RGB")
    palette = whole.quantize(256, Image.Quantize.MAXCOVERAGE, kmeans=1)
    whole.quantize(palette=palette, dither=Image.Dither.FLOYDSTEINBERG).save(target, optimize=True)
    print(f"{target}: {target.stat().st_size / 1000:.0f} kB")


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
