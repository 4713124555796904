"""`mien batch` against a plain loop over the Python API: photos a second, memory, and what corrupt files cost.

    .venv/bin/python benchmarks/batch.py --chips ../shared/data/utkface/images

Run it on an idle machine; needs the extra scale. Chips are real ones from a folder (each once, in order, begun anew
where they do not suffice); photos of 1280x720 are made of a portrait of examples/ on a ground of coloured noise, each
another. The baseline of every ratio is measured in the same run: `for photo in paths: analyzer(photo)` with one thread,
on the first of the same files.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from itertools import cycle, islice
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

import mien
from mien.runtime.cores import physical_cores

EXAMPLES = Path(__file__).resolve().parents[1] / "examples"
LOOP_SECONDS = 30


def main() -> None:
    """Measure and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--chips", type=Path, default=EXAMPLES, help="folder of aligned chips")
    parser.add_argument("--count", type=int, default=20_000, help="chips")
    parser.add_argument("--photos", type=int, default=2_000)
    parser.add_argument("--corrupt", type=int, default=300, help="corrupt files among 10,000 chips; 0 for none")
    parser.add_argument("--json", type=Path, help="write the figures there too, for benchmarks/scale.py")
    options = parser.parse_args()
    figures: dict[str, Any] = {
        "version": mien.__version__, "date": time.strftime("%Y-%m-%d"), "cores": physical_cores(), "runs": {}
    }  # fmt: skip
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        chips = gather(options.chips, folder / "chips", options.count)
        figures["runs"][f"{options.count} chips, whole"] = measure(chips, "whole", folder)
        if options.corrupt:
            spoilt = spoil(chips, folder / "spoilt", min(options.count, 10_000), options.corrupt)
            figures["runs"][f"{options.corrupt} corrupt among them"] = measure(spoilt, "whole", folder)
            shutil.rmtree(spoilt)
        shutil.rmtree(chips)
        photos = compose(folder / "photos", options.photos)
        figures["runs"][f"{options.photos} photos of 1280x720, mtcnn"] = measure(photos, "mtcnn", folder)
        one = measure(photos, "mtcnn", folder, "--processes", "1")
        figures["runs"]["the same, one process"] = one
    if options.json is not None:
        options.json.write_text(json.dumps(figures, indent=1) + "\n", encoding="utf-8")
    print(table(figures))


def gather(source: Path, folder: Path, count: int) -> Path:
    """Links to so many pictures."""
    found = sorted(path for path in source.iterdir() if path.suffix.lower() in {".jpg", ".png"})
    folder.mkdir()
    for number, path in enumerate(islice(cycle(found), count)):
        (folder / f"{number:06d}{path.suffix}").symlink_to(path.resolve())
    return folder


def spoil(source: Path, folder: Path, count: int, corrupt: int) -> Path:
    """The first so many chips, some of them cut off in their middle."""
    folder.mkdir()
    every = count // corrupt
    for number, path in enumerate(islice(sorted(source.iterdir()), count)):
        if number % every == every - 1 and number // every < corrupt:
            data = path.read_bytes()
            (folder / path.name).write_bytes(data[: len(data) // 3])
        else:
            (folder / path.name).symlink_to(path.resolve())
    return folder


def compose(folder: Path, count: int) -> Path:
    """Photos of 1280x720 with one face each."""
    folder.mkdir()
    portrait = Image.open(EXAMPLES / "hopper.jpg").convert("RGB")
    generator = np.random.default_rng(0)
    for number in range(count):
        coarse = generator.integers(0, 256, (9, 16, 3), dtype=np.uint8)
        ground = Image.fromarray(coarse).resize((1280, 720), Image.Resampling.BICUBIC)
        side = int(generator.integers(300, 620))
        face = portrait.resize((side * portrait.width // portrait.height, side), Image.Resampling.LANCZOS)
        ground.paste(face, (int(generator.integers(0, 1280 - face.width)), int(generator.integers(0, 720 - side))))
        ground.save(folder / f"{number:05d}.jpg", quality=90)
    return folder


def measure(folder: Path, detector: str, scratch: Path, *options: str) -> dict[str, Any]:
    """The loop, then the command."""
    loop = run_loop(folder, detector)
    output = scratch / "out"
    command = [sys.executable, "-m", "mien", "batch", str(folder), "--output", str(output), "--detector", detector]
    start = time.monotonic()
    with subprocess.Popen([*command, *options], stderr=subprocess.PIPE, text=True) as process:
        memory = Memory(process.pid)
        told = process.communicate()[1]
        found = memory.stop()
    seconds = time.monotonic() - start
    if process.returncode not in {0, 3}:
        sys.exit(told)
    sizes = [path.stat().st_size for path in folder.iterdir()]
    count, written = len(sizes), sum(path.stat().st_size for path in output.rglob("*") if path.is_file())
    failed = sum(int(part) for part in told.split(" failed")[0].split("; ")[-1:] if part.isdigit())
    shutil.rmtree(output)
    rate = count / seconds
    return {"photos": count, "seconds": seconds, "rate": rate, "loop_rate": loop, "ratio": rate / loop,
            "failed": failed, "exit": process.returncode, "memory": found,
            "processes": 1 if options else physical_cores(),
            "bytes_read": sum(sizes) / count, "bytes_written": written / count}  # fmt: skip


def run_loop(folder: Path, detector: str) -> float:
    """Photos a second of a plain loop with one thread."""
    code = f"""
import sys, time, mien
from mien.errors import PhotoError
analyzer = mien.load(detector={detector!r}, threads=1)
paths = [line.strip() for line in sys.stdin]
analyzer(paths[0])
start, count = time.monotonic(), 0
for path in paths:
    try:
        analyzer(path)
    except PhotoError:
        pass
    count += 1
    if time.monotonic() - start > {LOOP_SECONDS}:
        break
print(count / (time.monotonic() - start))
"""
    paths = "\n".join(str(path) for path in sorted(folder.iterdir()))
    done = subprocess.run([sys.executable, "-c", code], input=paths, capture_output=True, text=True, check=True)
    return float(done.stdout)


class Memory:
    """Watches the resident memory of a process and its children."""

    def __init__(self, process: int) -> None:
        self._root = process
        self._seen: list[tuple[float, float]] = []
        self._start = time.monotonic()
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._watch)
        self._thread.start()

    def _watch(self) -> None:
        while not self._done.wait(1):
            self._seen.append((time.monotonic() - self._start, sum(map(_resident, _family(self._root)))))

    def stop(self) -> dict[str, float]:
        """Megabytes of all processes: mean around the end of the first minute, mean of the last tenth, the most."""
        self._done.set()
        self._thread.join()
        early = [size for at, size in self._seen if 50 <= at <= 70] or [size for _, size in self._seen[:3]]
        late = [size for _, size in self._seen[-max(1, len(self._seen) // 10) - 1 : -1]] or early
        return {
            "minute": sum(early) / max(1, len(early)),
            "end": sum(late) / max(1, len(late)),
            "most": max((size for _, size in self._seen), default=0.0),
        }


def _family(root: int) -> list[int]:
    found = [root]
    for member in found:
        try:
            children = Path(f"/proc/{member}/task/{member}/children").read_text(encoding="ascii")
        except OSError:
            continue
        found += [int(child) for child in children.split()]
    return found


def _resident(process: int) -> float:
    try:
        pages = int(Path(f"/proc/{process}/statm").read_text(encoding="ascii").split()[1])
    except (OSError, IndexError):
        return 0.0
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


def table(figures: dict[str, Any]) -> str:
    """The figures as Markdown."""
    lines = [
        f"mien {figures['version']}, {figures['cores']} cores, {figures['date']}",
        "",
        "| what | photos/s | plain loop, one thread | ratio | failed | memory MB after a minute, at the end, most |",
        "|---|---:|---:|---:|---:|---|",
    ]
    for name, one in figures["runs"].items():
        memory = ", ".join(f"{one['memory'][key]:.0f}" for key in ("minute", "end", "most"))
        lines.append(
            f"| {name} | {one['rate']:.1f} | {one['loop_rate']:.1f} | {one['ratio']:.2f} | {one['failed']} | {memory} |"
        )
    return "\n".join(lines)


if __name__ == "__main__":
    main()
