"""Does mien in the browser give the answers of Python? The same photos through both, in one run.

    make web
    .venv/bin/python -m benchmarks.browser.parity --shared ../shared --output docs/results/browser-parity.json

Photos: the portraits of examples/, whole photos and chips of the research data where it is there, chips of UTKFace's
test fold in scenes, upright, lying, and small in big photos. Default options on both sides. Needs Chromium and
playwright.
"""

from __future__ import annotations

import argparse
import json
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from benchmarks.browser.serving import ARGUMENTS, CHROMIUM, Host, hosting
from PIL import Image
from playwright.sync_api import Page, sync_playwright

import mien
from mien.faces.align import resize_chip
from mien.photos.decode import FIRST_SIDE, decode
from mien.results import Face
from mien.web import assets

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
MODELS = ("mien-m", "mien-s")
PATIENCE = 120_000

START = """async ([model, options]) => {
    const mien = await import(new URL("/device/index.js", location.href));
    globalThis.mien = mien;
    globalThis.analyzer?.close();
    globalThis.analyzer = await mien.load({ model, backend: "wasm", ...options });
    return analyzer.about.backend;
}"""
ANALYZE = """async (path) => {
    const blob = await (await fetch(path)).blob();
    const began = performance.now();
    try {
        const photo = await analyzer.analyze(blob);
        return { photo, record: mien.toRecord(photo), milliseconds: performance.now() - began };
    } catch (error) {
        return { error: { kind: error.kind, message: error.message } };
    }
}"""


@dataclass
class Differences:
    """What differs between the two, over all faces of both.

    Attributes:
        photos: how many were asked about.
        faces: found by both.
        unmatched: found by one alone.
        overlaps: IoU of the boxes of the faces found by both.
        years: how far the ages are apart.
        intervals: the same of the intervals' ends.
        swapped: labels that differ though Python's probability is 0.52 or more.
        failures: photos that only one of them answered, or looked at in another size or turn.
        closer: photos that Python looked at a second time, at a larger size.
        turned: photos that it turned.
    """

    photos: int = 0
    faces: int = 0
    unmatched: list[str] = field(default_factory=list)
    overlaps: list[float] = field(default_factory=list)
    years: list[float] = field(default_factory=list)
    intervals: list[float] = field(default_factory=list)
    swapped: list[str] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)
    closer: int = 0
    turned: int = 0

    def add(self, name: str, ours: Sequence[Face], theirs: Sequence[dict[str, Any]]) -> None:
        """Compare the faces of one photo, each with the one in the browser that overlaps it best."""
        self.photos += 1
        left = list(theirs)
        for face in ours:
            best = max(left, key=lambda other: overlap(face, other), default=None)
            if best is None or overlap(face, best) < 0.5:
                self.unmatched.append(name)
                continue
            left.remove(best)
            self.faces += 1
            self.overlaps.append(overlap(face, best))
            self.years.append(abs(face.age.years - best["age"]["years"]))
            self.intervals.append(max(abs(face.age.low - best["age"]["low"]), abs(face.age.high - best["age"]["high"])))
            if face.gender.label != best["gender"]["label"] and face.gender.probability >= 0.52:
                self.swapped.append(name)
        self.unmatched += [name] * len(left)

    def to_dict(self) -> dict[str, Any]:
        """Figures for the page."""
        return {
            "photos": self.photos,
            "faces": self.faces,
            "closer": self.closer,
            "turned": self.turned,
            "unmatched": self.unmatched,
            "failures": self.failures,
            "swapped": self.swapped,
            "overlap_p1": _quantile(self.overlaps, 0.01),
            "overlap_least": min(self.overlaps, default=None),
            "years_p99": _quantile(self.years, 0.99),
            "years_most": max(self.years, default=None),
            "interval_p99": _quantile(self.intervals, 0.99),
        }


def overlap(face: Face, other: dict[str, Any]) -> float:
    """IoU of two boxes."""
    a, b = face.box, other["box"]
    width = max(0.0, min(a.right, b["right"]) - max(a.left, b["left"]))
    height = max(0.0, min(a.bottom, b["bottom"]) - max(a.top, b["top"]))
    area = (b["right"] - b["left"]) * (b["bottom"] - b["top"])
    return float(width * height / (a.width * a.height + area - width * height))


def _quantile(values: Sequence[float], share: float) -> float | None:
    return float(np.quantile(values, share)) if values else None


@contextmanager
def browsing(photos: dict[str, bytes]) -> Iterator[Page]:
    """A page of a host that has mien at /device/ and the photos at their names."""
    with TemporaryDirectory() as folder, sync_playwright() as playwright:
        device = Path(folder) / "device"
        assets.copy_built(device)
        assets.add_models(device, MODELS)
        files = {"/": (b"<!doctype html><title>parity</title>", "text/html")}
        files |= {f"/photos/{name}": (data, "application/octet-stream") for name, data in photos.items()}
        with (
            hosting(Host({"/device/": device}, files)) as host,
            playwright.chromium.launch(executable_path=str(CHROMIUM), args=list(ARGUMENTS)) as browser,
        ):
            page = browser.new_page()
            page.set_default_timeout(PATIENCE)
            page.goto(host.at("/"))
            yield page


def whole_photos(page: Page, photos: dict[str, bytes], model: str) -> Differences:
    """Compare the answers for photos."""
    page.evaluate(START, [model, {}])
    analyzer = mien.load(model, threads=1)
    found = Differences()
    for name, data in photos.items():
        (ours,) = analyzer.stream([data])
        theirs = page.evaluate(ANALYZE, f"/photos/{name}")
        if "error" in theirs or ours.error is not None:
            found.photos += 1
            if "error" not in theirs or ours.error is None:
                found.failures.append(f"{name}: {theirs.get('error') or ours.error}")
            continue
        looked = [(one["scale"], one["turned"], one["incomplete"]) for one in (ours.to_dict(), theirs["record"])]
        if looked[0] != looked[1]:
            found.failures.append(f"{name}: looked at as {looked[1]}, by Python as {looked[0]}")
        found.closer += ours.scale is not None and max(ours.width or 0, ours.height or 0) * ours.scale > FIRST_SIDE
        found.turned += ours.turned != 0
        found.add(name, ours.faces, theirs["photo"]["faces"])
    return found


def equal_chips(page: Page, chips: dict[str, bytes], model: str) -> float:
    """The largest difference in probability of a year of age, over chips of the contract's size."""
    page.evaluate(START, [model, {"detector": "whole"}])
    analyzer = mien.load(model, threads=1, detector="whole")
    worst = 0.0
    for name, data in chips.items():
        theirs = page.evaluate(ANALYZE, f"/photos/{model}-{name}")["photo"]["faces"][0]["age"]["pmf"]
        ours = analyzer(_chip(data, analyzer.config.contract)).faces[0].age.pmf
        worst = max(worst, float(np.abs(np.array(ours) - np.array(theirs)).max()))
    return worst


def _chip(data: bytes, contract: Any) -> bytes:
    """A picture at the size of a chip, without loss."""
    stream = BytesIO()
    Image.fromarray(resize_chip(decode(data).pixels, contract)).save(stream, "PNG")
    return stream.getvalue()


def compare(photos: dict[str, bytes], chips: dict[str, bytes], models: Sequence[str] = MODELS) -> dict[str, Any]:
    """All figures, by model."""
    served = dict(photos)
    for model in models:
        contract = mien.load(model).config.contract
        served |= {f"{model}-{name}": _chip(data, contract) for name, data in chips.items()}
    with browsing(served) as page:
        return {
            model: {
                **whole_photos(page, photos, model).to_dict(),
                "chips": len(chips),
                "probability_most": equal_chips(page, chips, model),
            }
            for model in models
        }


def collect(shared: Path | None, scenes: int) -> tuple[dict[str, bytes], dict[str, bytes]]:
    """Photos and chips: the examples, and of the research data what there is."""
    photos = {path.name: path.read_bytes() for path in sorted(EXAMPLES.glob("*.jpg"))}
    chips: dict[str, bytes] = {}
    if shared is None:
        return photos, photos
    for path in sorted((shared / "photos").glob("*/*.jpg")):
        photos[path.name] = path.read_bytes()
    for path in sorted((shared / "data" / "appa").rglob("val_*.jpg"))[:: max(1, 1460 // max(scenes, 1))]:
        photos[path.name] = path.read_bytes()
    scenes_made = _scenes(shared / "data" / "utkface", scenes)
    photos |= {f"{name}.jpg": saved(image) for name, image in scenes_made.items()}
    photos |= crowds(list(scenes_made.values()), max(1, scenes // 6))
    photos |= lying(scenes_made, max(1, scenes // 6))
    rng = np.random.default_rng(26)
    files = sorted((shared / "data" / "utkface" / "images").glob("*.jpg"))
    for number in sorted(rng.choice(len(files), min(scenes, len(files)), replace=False)):
        chips[files[number].name] = files[number].read_bytes()
    return photos, chips


def saved(image: Image.Image) -> bytes:
    """As JPEG."""
    stream = BytesIO()
    image.save(stream, "JPEG", quality=92)
    return stream.getvalue()


def crowds(scenes: Sequence[Image.Image], count: int) -> dict[str, bytes]:
    """Big photos of a telephone's size, each with twelve scenes whose faces are small beside it."""
    rng = np.random.default_rng(27)
    found = {}
    for number in range(count):
        photo = Image.new("RGB", (4032, 3024), tuple(int(level) for level in rng.integers(60, 200, 3)))
        for place in range(12):
            scene = scenes[int(rng.integers(len(scenes)))]
            side = int(np.exp(rng.uniform(np.log(110), np.log(900))))  # its face has about a third of that
            across, down = 1008 * (place % 4), 1008 * (place // 4)
            shift = rng.integers(0, 1008 - side, 2).tolist()
            photo.paste(scene.resize((side, side), Image.Resampling.LANCZOS), (across + shift[0], down + shift[1]))
        found[f"crowd_{number}.jpg"] = saved(photo)
    return found


def lying(scenes: dict[str, Image.Image], count: int) -> dict[str, bytes]:
    """Scenes that lie on a side or stand on their head, with no word of it in the file."""
    turns = (Image.Transpose.ROTATE_90, Image.Transpose.ROTATE_180, Image.Transpose.ROTATE_270)
    some = list(scenes.items())[:: max(1, len(scenes) // count)]
    return {f"lying_{name}.jpg": saved(scene.transpose(turns[k % 3])) for k, (name, scene) in enumerate(some)}


def _scenes(data: Path, count: int) -> dict[str, Image.Image]:
    """Chips of the test fold, each in a picture of twice its side."""
    from mien.learn.data import readers
    from mien.learn.evaluation.through_detector import pad

    labels = readers.read(data / "images", data / "splits.csv").select(fold="test").present()
    rng = np.random.default_rng(26)
    found = {}
    for row in sorted(rng.choice(len(labels), min(count, len(labels)), replace=False)):
        path = labels.paths[row]
        with Image.open(path) as image:
            scene, _ = pad(
                np.asarray(image.convert("RGB")), np.random.default_rng([26, zlib.crc32(path.name.encode())])
            )
        found[f"scene_{path.stem}"] = Image.fromarray(scene)
    return found


def main() -> None:
    """Compare and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shared", type=Path, help="the research data")
    parser.add_argument("--scenes", type=int, default=60, help="scenes, and chips, of UTKFace; as many of APPA-REAL")
    parser.add_argument("--output", type=Path)
    chosen = parser.parse_args()
    photos, chips = collect(chosen.shared, chosen.scenes)
    text = json.dumps(compare(photos, chips), indent=1)
    print(text)
    if chosen.output:
        chosen.output.write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
