"""mien beside face-api and Human in one Chromium, WASM each, on the same photos.

    make web
    .venv/bin/python -m benchmarks.peers.browser --shared ../shared --output docs/results/browser-peers.json

For each: error of the age on scenes made of chips (UTKFace's test fold, APPA-REAL's val part: real ages), faces missed,
median time per photo, time from an empty cache to the first answer, and bytes fetched until then. Installing the peers
uses npm's registry; measuring uses no network.
"""

from __future__ import annotations

import argparse
import csv
import json
import statistics
import time
import zlib
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from benchmarks.browser.serving import ARGUMENTS, CHROMIUM, Host, hosting
from benchmarks.peers.environments import prepare
from benchmarks.peers.photos import whole_photos
from PIL import Image
from playwright.sync_api import Browser, sync_playwright

from mien.faces import Detection
from mien.learn.data import readers
from mien.learn.evaluation.through_detector import matching, pad
from mien.results import Box
from mien.web import assets

HERE = Path(__file__).resolve().parent
PATIENCE = 300_000
TOOLS: dict[str, tuple[str, dict[str, str]]] = {
    "mien-s": ("mien.js", {"model": "mien-s"}),
    "mien-m": ("mien.js", {"model": "mien-m"}),
    "face-api": ("face_api.js", {}),
    "human": ("human.js", {}),
}
START = """async ([module, options, first]) => {
    const began = performance.now();
    const { start } = await import(module);
    globalThis.answer = await start(options);
    await answer(await (await fetch(first)).blob());
    return performance.now() - began;
}"""
ANSWER = """async (path) => {
    const blob = await (await fetch(path)).blob();
    const began = performance.now();
    try {
        return { faces: await answer(blob), milliseconds: performance.now() - began };
    } catch (error) {
        return { faces: [], milliseconds: null, error: String(error) };
    }
}"""


@dataclass(frozen=True)
class Scene:
    """A chip in a picture of twice its side.

    Attributes:
        name: of its file.
        data: JPEG.
        place: where the chip lies.
        age: as stated.
        female: 1 or 0; None where it is not stated.
    """

    name: str
    data: bytes
    place: Box
    age: float
    female: int | None


def scene(path: Path, age: float, female: int | None) -> Scene:
    """One labelled chip as a photo."""
    with Image.open(path) as image:
        picture, place = pad(
            np.asarray(image.convert("RGB")), np.random.default_rng([26, zlib.crc32(path.name.encode())])
        )
    stream = BytesIO()
    Image.fromarray(picture).save(stream, "JPEG", quality=95)
    return Scene(path.name, stream.getvalue(), place, age, female)


def utkface(data: Path, count: int) -> list[Scene]:
    """Of the test fold, at random."""
    labels = readers.read(data / "images", data / "splits.csv").select(fold="test").present()
    rows = np.random.default_rng(26).permutation(len(labels))[:count]
    return [scene(labels.paths[row], float(labels.age[row]), int(labels.female[row])) for row in sorted(rows)]


def appa(data: Path, count: int) -> list[Scene]:
    """Of the val part, at random; real ages, no genders."""
    with (data / "labels.csv").open(encoding="utf-8", newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["fold"] == "val" and row["suspect"] == "0"]
    chosen = np.random.default_rng(26).permutation(len(rows))[:count]
    return [scene(data / "images" / rows[k]["file"], float(rows[k]["age"]), None) for k in sorted(chosen)]


def judged(scenes: list[Scene], answers: dict[str, dict[str, Any]], common: set[str] | None = None) -> dict[str, Any]:
    """Error and misses over scenes, or over those of them that all tools found."""
    errors, genders, missed, names = [], [], 0, []
    for one in scenes:
        if common is not None and one.name not in common:
            continue
        faces = answers[one.name]["faces"]
        seen = [Detection(Box(*face["box"]), score=None, landmarks=None) for face in faces]
        best = matching(seen, one.place)
        if best is None:
            missed += 1
            continue
        face = faces[seen.index(best)]
        names.append(one.name)
        errors.append(face["age"] - one.age)
        if one.female is not None:
            genders.append(({"female": 1, "male": 0}.get(face["gender"], -1)) == one.female)
    return {
        "faces": len(errors),
        "missed": missed,
        "mae": float(np.abs(errors).mean()) if errors else None,
        "bias": float(np.mean(errors)) if errors else None,
        "gender": float(np.mean(genders)) if genders else None,
        "names": names,
    }


def measure(  # noqa: PLR0917
    browser: Browser, host: Host, tool: str, photos: list[str], rounds: int, timed: list[str]
) -> dict[str, Any]:
    """One tool in a context of its own: cold start, answers, times."""
    module, options = TOOLS[tool]
    cold, fetched = [], 0
    for _ in range(3):
        with browser.new_context() as context:
            page = context.new_page()
            page.set_default_timeout(PATIENCE)
            page.goto(host.at("/"))
            host.sent = 0
            cold.append(page.evaluate(START, [f"/tools/{module}", options, timed[0]]))
            fetched = host.sent
    with browser.new_context() as context:
        page = context.new_page()
        page.set_default_timeout(PATIENCE)
        page.goto(host.at("/"))
        page.evaluate(START, [f"/tools/{module}", options, timed[0]])
        answers = {name: page.evaluate(ANSWER, name) for name in photos}
        times: dict[str, list[float]] = {name: [] for name in timed}
        for _ in range(rounds):
            for name in timed:
                times[name].append(page.evaluate(ANSWER, name)["milliseconds"])
    taken = [answer["milliseconds"] for answer in answers.values() if answer["milliseconds"] is not None]
    return {
        "answers": answers,
        "errors": sum("error" in answer for answer in answers.values()),
        "cold_ms": statistics.median(cold),
        "fetched": fetched,
        "scene_ms": statistics.median(taken),
        "photo_ms": statistics.median(statistics.median(each) for each in times.values()),
    }


def run(shared: Path, cache: Path, count: int, rounds: int, tools: list[str]) -> dict[str, Any]:
    """All figures."""
    sets = {"utkface": utkface(shared / "data" / "utkface", count), "appa": appa(shared / "data" / "appa", count)}
    with TemporaryDirectory() as folder, sync_playwright() as playwright:
        device = Path(folder) / "mien"
        assets.copy_built(device)
        assets.add_models(device)
        folders = {"/mien/": device, "/tools/": HERE}
        folders |= {
            f"/{name}/": prepare(name, cache, node=True, fresh=False)[0] / "node_modules"
            for name in tools
            if name in {"face-api", "human"}
        }
        files = {"/": (b"<!doctype html><title>peers</title>", "text/html")}
        for name, scenes in sets.items():
            files |= {f"/{name}/{one.name}": (one.data, "image/jpeg") for one in scenes}
        made = whole_photos(None, Path(folder) / "made").made
        files |= {f"/made/{Path(path).name}": (Path(path).read_bytes(), "image/jpeg") for path in made}
        timed = [f"/made/{Path(path).name}" for path in made]
        photos = [path for path in files if path.startswith(("/utkface/", "/appa/"))]
        began = time.time()
        with (
            hosting(Host(folders, files)) as host,
            playwright.chromium.launch(executable_path=str(CHROMIUM), args=list(ARGUMENTS)) as browser,
        ):
            version = browser.version
            found = {tool: measure(browser, host, tool, photos, rounds, timed) for tool in tools}
    return {"chromium": version, "seconds": round(time.time() - began), "tools": _figures(found, sets)}


def _figures(found: dict[str, dict[str, Any]], sets: dict[str, list[Scene]]) -> dict[str, Any]:
    record = {tool: {key: value for key, value in each.items() if key != "answers"} for tool, each in found.items()}
    for name, scenes in sets.items():
        answers = {
            tool: {one.name: each["answers"][f"/{name}/{one.name}"] for one in scenes} for tool, each in found.items()
        }
        own = {tool: judged(scenes, answers[tool]) for tool in found}
        common = set.intersection(*(set(figures["names"]) for figures in own.values()))
        for tool in found:
            both = {"own": own[tool], "common": judged(scenes, answers[tool], common)}
            record[tool][name] = {kind: {k: v for k, v in each.items() if k != "names"} for kind, each in both.items()}
    return record


def table(record: dict[str, Any]) -> str:
    """Markdown."""
    lines = [
        "| in the browser | MAE, UTKFace scenes | gender | missed | MAE, APPA-REAL scenes | missed | ms a scene | "
        "ms a photo of 1280x720 | first answer, s | MB fetched |",
        "|---|---:|---:|---:|---:|---:|---:|---:|---:|---:|",
    ]
    for tool, each in record["tools"].items():
        home, abroad = each["utkface"], each["appa"]
        lines.append(
            f"| {tool} | {home['common']['mae']:.2f} | {home['common']['gender']:.1%} | {home['own']['missed']} | "
            f"{abroad['common']['mae']:.2f} | {abroad['own']['missed']} | {each['scene_ms']:.0f} | "
            f"{each['photo_ms']:.0f} | {each['cold_ms'] / 1000:.1f} | {each['fetched'] / 1e6:.1f} |"
        )
    first = next(iter(record["tools"].values()))
    faces = first["utkface"]["common"]["faces"], first["appa"]["common"]["faces"]
    lines += ["", f"Errors and genders on the faces that all found: {faces[0]} of UTKFace, {faces[1]} of APPA-REAL."]
    return "\n".join(lines)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shared", type=Path, required=True, help="the research data")
    parser.add_argument("--cache", type=Path, default=Path(".peers"))
    parser.add_argument("--count", type=int, default=200, help="scenes of each set")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", nargs="+", choices=list(TOOLS), default=list(TOOLS))
    parser.add_argument("--output", type=Path)
    chosen = parser.parse_args()
    record = run(chosen.shared, chosen.cache, chosen.count, chosen.rounds, chosen.only)
    print(table(record))
    if chosen.output:
        chosen.output.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
