"""Does the memory of mien in the browser stay flat over photos, hostile files and the page's camera? All of Chromium.

make web
.venv/bin/python -m benchmarks.browser.memory [--photos 500] [--hostile 50] [--seconds 60]
"""

from __future__ import annotations

import argparse
import json
import os
import random
import time
from collections import Counter
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from benchmarks.browser.serving import ARGUMENTS, CHROMIUM, Host, hosting
from PIL import Image
from playwright.sync_api import Page, sync_playwright

from mien.web import site

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
PATIENCE = 120_000
LOAD = """async () => {
    const { load } = await import(new URL("/page/device/index.js", location.href));
    globalThis.analyzer = await load({ model: "mien-s" });
}"""
HOSTILE = """async (names) => {
    const kinds = [];
    for (const name of names) {
        const blob = await (await fetch(name)).blob();
        kinds.push(await analyzer.analyze(blob).then(() => "answered", (error) => error.kind ?? String(error)));
    }
    return kinds;
}"""
MANY = """async (names) => {
    for (const name of names) await analyzer.analyze(await (await fetch(name)).blob());
}"""


def resident() -> int:
    """Bytes in memory of Chromium's processes that this process has started, what they share counted once."""
    parents, kinds = {}, {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                name, _, rest = (entry / "stat").read_text().partition("(")[2].rpartition(")")
            except OSError:
                continue  # it has ended
            parents[int(entry.name)], kinds[int(entry.name)] = int(rest.split()[1]), name
    return sum(_share(pid) for pid, kind in kinds.items() if kind.startswith("chrom") and _ours(pid, parents))


def _ours(pid: int, parents: dict[int, int]) -> bool:
    while pid in parents:
        if pid == os.getpid():
            return True
        pid = parents[pid]
    return False


def _share(pid: int) -> int:
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    except OSError:
        return 0
    return sum(int(line.split()[1]) << 10 for line in lines if line.startswith("Pss:"))


def over_photos(page: Page, names: list[str], count: int, step: int) -> list[int]:
    """Bytes after every `step` photos, of `count`."""
    page.evaluate(LOAD)
    found = []
    for start in range(0, count, step):
        page.evaluate(MANY, [names[k % len(names)] for k in range(start, min(start + step, count))])
        found.append(resident())
    return found


def hostile(photos: list[bytes], count: int) -> dict[str, tuple[bytes, str]]:
    """Files with bytes changed, cut off, or of no kind at all, by their address."""
    rng = random.Random(26)
    found = {}
    for number in range(count):
        data = bytearray(rng.choice(photos))
        for _ in range(rng.choice((1, 20, 400))):
            data[rng.randrange(len(data))] = rng.randrange(256)
        if number % 3 == 0:
            del data[rng.randrange(len(data)) :]
        if number % 7 == 0:
            data = bytearray(rng.randbytes(3000))
        found[f"/hostile-{number}"] = bytes(data), "application/octet-stream"
    return found


def over_hostile(page: Page, names: list[str]) -> tuple[list[int], dict[str, int]]:
    """Bytes after every fifth of the files, and what became of them; the worker still answers in the end."""
    page.evaluate(LOAD)
    found, kinds = [], Counter[str]()
    step = max(1, len(names) // 5)
    for start in range(0, len(names), step):
        kinds.update(page.evaluate(HOSTILE, names[start : start + step]))
        found.append(resident())
    assert page.evaluate(HOSTILE, ["/hopper.jpg"]) == ["answered"]
    return found, dict(sorted(kinds.items()))


def over_camera(page: Page, seconds: int) -> list[int]:
    """Bytes at every tenth of the time that the page's camera follows faces."""
    page.get_by_role("button", name="Use the camera").click()
    page.get_by_role("switch", name="Analyse all the time").check(force=True)
    page.locator("#camera-boxes .box").wait_for()
    found = []
    for _ in range(10):
        time.sleep(seconds / 10)
        found.append(resident())
    return found


def film(target: Path, *portraits: str) -> Path:
    """A camera's film for Chromium: portraits of examples/ one after the other, ten frames each."""
    frames = []
    for path in [EXAMPLES / f"{portrait}.jpg" for portrait in portraits]:
        picture = Image.new("RGB", (640, 480), (120, 130, 140))
        with Image.open(path) as image:
            image.thumbnail((480, 480))
            picture.paste(image, (80, 0))
        frame = target.with_suffix(".jpg")
        picture.save(frame, "JPEG", quality=92)
        frames.append(frame.read_bytes() * 10)
    target.write_bytes(b"".join(frames))
    return target


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--photos", type=int, default=500)
    parser.add_argument("--seconds", type=int, default=60)
    parser.add_argument("--hostile", type=int, default=50)
    parser.add_argument("--output", type=Path)
    chosen = parser.parse_args()
    with TemporaryDirectory() as name, sync_playwright() as playwright:
        folder = Path(name)
        site.write(folder / "page", ["mien-s"])
        files = {"/": (b"<!doctype html><title>memory</title>", "text/html")}
        files |= {f"/{path.name}": (path.read_bytes(), "image/jpeg") for path in EXAMPLES.glob("*.jpg")}
        photos = [path for path in files if path.endswith(".jpg")]
        bad = hostile([files[path][0] for path in photos], chosen.hostile)
        files |= bad
        arguments = [
            *ARGUMENTS,
            f"--use-file-for-fake-video-capture={film(folder / 'film.mjpeg', 'hopper', 'astronaut')}",
        ]
        with (
            hosting(Host({"/page/": folder / "page"}, files)) as host,
            playwright.chromium.launch(executable_path=str(CHROMIUM), args=arguments) as browser,
        ):
            record: dict[str, Any] = {}
            for kind in ("photos", "hostile", "camera"):
                page = browser.new_page()
                page.set_default_timeout(PATIENCE)
                page.goto(host.at("/page/" if kind == "camera" else "/"))
                kinds = None
                if kind == "photos":
                    found = over_photos(page, photos, chosen.photos, max(1, chosen.photos // 10))
                elif kind == "hostile":
                    found, kinds = over_hostile(page, list(bad))
                else:
                    found = over_camera(page, chosen.seconds)
                page.close()
                record[kind] = {
                    "megabytes": [round(size / 1e6) for size in found],
                    **({"told": kinds} if kinds else {}),
                }
    text = json.dumps(record, indent=1)
    print(text)
    if chosen.output:
        chosen.output.write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
