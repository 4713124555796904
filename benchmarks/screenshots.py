"""Pictures of the page for docs/service.md, made with the example portraits, a group of fifteen among them.

    mien serve --port 8000 &
    python benchmarks/screenshots.py http://127.0.0.1:8000 docs/images

Needs Debian's Chromium and Playwright (the extra dev).
"""

from __future__ import annotations

import sys
from io import BytesIO
from pathlib import Path

from PIL import Image, ImageEnhance, ImageOps
from playwright.sync_api import Browser, FilePayload, Page, sync_playwright

CHROMIUM = "/usr/bin/chromium"
PATIENCE = 120_000
EXAMPLES = Path(__file__).resolve().parents[1] / "examples"
PARTS = {"astronaut.jpg": (100, 0, 380, 280), "hopper.jpg": (115, 40, 415, 340)}
"""What of each portrait a group is made of."""


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
        page = visit(browser, address, 1280, 1460, "light")
        add(page, group(15, 5))
        save(page, folder / "page-group-light.png")
        page = visit(browser, address, 390, 1000, "dark")
        add(page, group(15, 5))
        page.locator(".row summary").first.click()
        page.locator(".row .plot").wait_for(timeout=PATIENCE)
        page.mouse.move(0, 0)
        save(page, folder / "page-group-dark-narrow.png")
        page = visit(browser, address, 1280, 1180, "light")
        page.get_by_role("radio", name="Old enough?").check()
        add(page, group(3, 3))
        save(page, folder / "page-three-light.png")


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


def group(faces: int, columns: int) -> FilePayload:
    """A picture of so many faces, cut from the portraits by turns, each in another light and size."""
    rows = -(-faces // columns)
    whole = Image.new("RGB", (240 * columns, 260 * rows), (70, 84, 92))
    for at in range(faces):
        name, box = list(PARTS.items())[at % 2]
        side = 236 - 12 * (at % 4)
        with Image.open(EXAMPLES / name) as image:
            part = ImageEnhance.Brightness(image.crop(box).resize((side, side))).enhance(0.8 + 0.1 * (at % 5))
        left, top = 240 * (at % columns) + (240 - side) // 2, 260 * (at // columns) + 260 - side
        whole.paste(ImageOps.mirror(part) if at % 3 == 0 else part, (left, top))
    stream = BytesIO()
    whole.save(stream, "JPEG", quality=92)
    return {"name": "group.jpg", "mimeType": "image/jpeg", "buffer": stream.getvalue()}


def add(page: Page, file: FilePayload) -> None:
    """Have a picture of one's own analysed."""
    with page.expect_file_chooser() as chooser:
        page.get_by_role("button", name="Choose pictures").click()
    chooser.value.set_files(file)
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
