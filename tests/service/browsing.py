"""A real `mien serve` and a real Chromium to look at its page with."""

from __future__ import annotations

import re
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from PIL import Image
from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, FilePayload, Locator, Page, Request, expect

CHROMIUM = Path("/usr/bin/chromium")
ARGUMENTS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--use-fake-device-for-media-stream",
    "--use-fake-ui-for-media-stream",
)
PATIENCE = 60_000
"""Milliseconds that an answer may take on a machine with much else to do."""


@contextmanager
def running(folder: Path, *options: str) -> Iterator[str]:
    """A `mien serve` as a process of its own; gives its address."""
    log = folder / "serve.log"
    command = [sys.executable, "-m", "mien", "serve", "--port", "0", *options]
    with log.open("wb") as output, subprocess.Popen(command, stdout=output, stderr=output) as process:
        try:
            deadline = time.monotonic() + 120
            while not (found := re.search(r"http://127\.0\.0\.1:\d+", log.read_text())):
                assert process.poll() is None, log.read_text()
                assert time.monotonic() < deadline, log.read_text()
                time.sleep(0.05)
            yield found[0]
        finally:
            process.terminate()


def film(portrait: Path, target: Path) -> Path:
    """A camera's film for Chromium, which it plays over and over: the portrait in the middle of 640x480."""
    frame = Image.new("RGB", (640, 480), (120, 130, 140))
    with Image.open(portrait) as image:
        image.thumbnail((640, 480))
        frame.paste(image, ((640 - image.width) // 2, 0))
    stream = BytesIO()
    frame.save(stream, "JPEG", quality=92)
    target.write_bytes(stream.getvalue() * 5)
    return target


def payload(file: Path | FilePayload) -> FilePayload:
    """A file as Playwright wants it: it takes no paths beside contents."""
    if isinstance(file, Path):
        return {"name": file.name, "mimeType": "image/jpeg", "buffer": file.read_bytes()}
    return file


@dataclass
class Visit:
    """One visit to the page: what it asked for, and what went wrong in it."""

    context: BrowserContext
    page: Page
    requests: list[Request] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)

    def hosts(self) -> set[str]:
        """Hosts that were asked for anything."""
        return {urlsplit(request.url).netloc for request in self.requests} - {""}

    def choose(self, *files: Path | FilePayload) -> None:
        """Choose files as the button's dialog would."""
        with self.page.expect_file_chooser() as chooser:
            self.page.get_by_role("button", name="Choose pictures").click()
        chooser.value.set_files([payload(file) for file in files])

    def photo(self, position: int = 0) -> Locator:
        """The article of one picture, by its position, answered or failed."""
        article = self.page.locator(".photo").nth(position)
        expect(article).to_have_attribute("data-state", re.compile("done|failed"))
        return article

    def module(self, name: str, call: str, *arguments: Any) -> Any:
        """Call a function of one of the page's modules."""
        code = "async ([name, call, given]) => (await import(`/js/${name}.js`))[call](...given)"
        return self.page.evaluate(code, [name, call, list(arguments)])


def visit(browser: Browser, address: str, **options: Any) -> Visit:
    """Open the page in a context of its own.

    Playwright takes no methods of built-in types for handlers.
    """
    expect.set_options(timeout=PATIENCE)
    context = browser.new_context(**{"viewport": {"width": 1280, "height": 900}, **options})
    context.set_default_timeout(PATIENCE)
    page = context.new_page()
    made = Visit(context, page)

    def heed(message: ConsoleMessage) -> None:
        if message.type in {"error", "warning"}:
            made.faults.append(message.text)

    def note(request: Request) -> None:
        made.requests.append(request)

    context.on("request", note)
    page.on("filechooser", lambda _: None)  # from now on they are caught: expect_file_chooser() alone begins too late
    page.on("console", heed)
    page.on("pageerror", lambda error: made.faults.append(str(error)))
    page.goto(address)
    expect(page.locator("#model-line")).to_contain_text(re.compile("Model|^$"))
    return made
