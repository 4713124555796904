"""Speed of `mien video` as a ratio to the clip's own rate: `python -m benchmarks.video`, on an idle machine.

The clip is made from the portraits of examples/ by `benchmarks/clip.py`, 640x480 at 25 frames a second. Reading,
detecting, estimating, following and, in the second line, drawing and writing count; loading the model does not. Beside
the wall clock stands the processor time a frame, which says more where other work runs on the machine.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
import time
from pathlib import Path

from benchmarks import clip as clips

from mien import video
from mien.analyzer import Analyzer, Options
from mien.video.writer import AnnotatedVideo

RATE = 25.0


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="mien-m")
    parser.add_argument("--seconds", type=float, default=10.0, help="of the clip")
    parser.add_argument("--cores", type=int, default=2)
    parser.add_argument("--format", choices=("table", "json"), default="table")
    options = parser.parse_args()
    mine = sorted(os.sched_getaffinity(0))[: options.cores]
    os.sched_setaffinity(0, mine)
    analyzer = Analyzer(options.model, Options(threads=len(mine)))
    figures = []
    with tempfile.TemporaryDirectory() as folder:
        path = clips.write(Path(folder) / "clip.mp4", clips.frames(round(RATE * options.seconds)))
        measure(path, None, analyzer, most=16)  # the first frames load what later ones need not
        for suffix in (None, ".mp4", ".webm"):
            out = None if suffix is None else Path(folder) / f"annotated{suffix}"
            figures.append({"annotated": suffix, "cores": len(mine), **measure(path, out, analyzer)})
    load = os.getloadavg()[0]
    if options.format == "json":
        print(json.dumps({"date": time.strftime("%Y-%m-%d"), "load": round(load, 1), "figures": figures}))
        return
    print(f"640x480, two faces, {options.seconds:.0f} s at {RATE:.0f} frames/s; load of the machine {load:.1f}\n")
    print("| output | cores | frames/s | times the clip's rate | processor ms a frame |")
    print("|---|---:|---:|---:|---:|")
    for row in figures:
        name = "records alone" if row["annotated"] is None else f"records and {row['annotated']}"
        print(f"| {name} | {row['cores']} | {row['fps']} | {row['ratio']} | {row['cpu_ms']} |")


def measure(path: Path, out: Path | None, analyzer: Analyzer, most: int | None = None) -> dict[str, float]:
    """Frames a second of one run."""
    wall, cpu, frames = time.perf_counter(), time.process_time(), 0
    with video.analyze(video.Clip(path, max_frames=most), analyzer, pictures=out is not None) as found:
        if out is None:
            frames = sum(1 for _ in found)
        else:
            with AnnotatedVideo(out, RATE) as annotated:
                for frame in found:
                    annotated.write(frame, found.model)
                    frames += 1
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    fps = frames / wall
    return {"fps": round(fps, 1), "ratio": round(fps / RATE, 2), "cpu_ms": round(1000 * cpu / frames, 1)}


if __name__ == "__main__":
    main()
