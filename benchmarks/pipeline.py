"""End-to-end speed and memory of the main job, as one table. Run it on an idle machine: `make bench`.

Photos are the portraits of examples/, scaled into 640x480 JPEGs with one face each; chips are cut from them. Each set
of timings runs in a process of its own, pinned to one core or two, and reports medians. The baseline of every ratio is
measured in the same run: the bare network on one chip, and the machine's own matrix-product rate.
"""

from __future__ import annotations

import argparse
import io
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import numpy as np
from PIL import Image

import mien
from mien.analyzer import Analyzer, Options
from mien.estimate import bundle
from mien.estimate.estimator import Estimator
from mien.faces import DetectorOptions, create
from mien.faces.align import align
from mien.photos.decode import FIRST_SIDE, DecodeOptions, decode
from mien.speed.peak import matrix_rate

T = TypeVar("T")

EXAMPLES = Path(__file__).resolve().parents[1] / "examples"


def main() -> None:
    """Measure on one core and on two, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="mien-m")
    parser.add_argument("--photos", type=int, default=1000, help="photos of the memory run")
    parser.add_argument("--format", choices=("table", "json"), default="table")
    parser.add_argument("--part", choices=("speed", "memory"), help=argparse.SUPPRESS)
    parser.add_argument("--cores", type=int, default=1, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.part == "speed":
        print(json.dumps(measure_speed(options.model, options.cores)))
    elif options.part == "memory":
        print(json.dumps(measure_memory(options.model, options.photos)))
    else:
        cores = [count for count in (1, 2) if count <= len(os.sched_getaffinity(0))]
        figures = {
            "version": mien.__version__,
            "model": options.model,
            "date": time.strftime("%Y-%m-%d"),
            "speed": {str(count): _in_child(options, "speed", count) for count in cores},
            "memory": _in_child(options, "memory", 1),
            "cold_start_s": measure_cold_start(options.model),
        }
        print(json.dumps(figures, indent=2) if options.format == "json" else to_table(figures))


def photos() -> list[bytes]:
    """Each portrait at half a dozen sizes on a 640x480 canvas of its own colours, as JPEG."""
    made = []
    for path in sorted(EXAMPLES.glob("*.jpg")):
        portrait = Image.open(path).convert("RGB")
        background = portrait.resize((640, 480))
        for height in (240, 300, 360, 420):
            scaled = portrait.resize(
                (round(portrait.width * height / portrait.height), height), Image.Resampling.LANCZOS
            )
            canvas = background.point(lambda value: value // 2 + 40).copy()
            canvas.paste(scaled, ((640 - scaled.width) // 2, (480 - height) // 2))
            stream = io.BytesIO()
            canvas.save(stream, "JPEG", quality=90)
            made.append(stream.getvalue())
    return made


def portraits() -> list[bytes]:
    """Each portrait as a JPEG of 4,000 x 3,000 pixels with the grain of a sensor."""
    made = []
    grain = np.random.default_rng(0).normal(0, 5, (3000, 4000, 3)).astype(np.float32)
    for path in sorted(EXAMPLES.glob("*.jpg")):
        portrait = Image.open(path).convert("RGB")
        large = portrait.resize((round(portrait.width * 3000 / portrait.height), 3000), Image.Resampling.LANCZOS)
        canvas = portrait.resize((4000, 3000)).point(lambda value: value // 2 + 40)
        canvas.paste(large, ((4000 - large.width) // 2, 0))
        stream = io.BytesIO()
        Image.fromarray((np.asarray(canvas) + grain).clip(0, 255).astype(np.uint8)).save(stream, "JPEG", quality=92)
        made.append(stream.getvalue())
    return made


def measure_speed(model: str, cores: int) -> dict[str, float]:
    """Median milliseconds of each stage and of the whole, on so many cores."""
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:cores])
    data = photos()
    pictures = [decode(photo) for photo in data]
    detector = create("mtcnn", DetectorOptions())  # one thread, as the analyzer has it: photos run side by side
    estimator = Estimator(bundle.read(bundle.find(model)), threads=cores)
    found = [detector.detect(picture.pixels) for picture in pictures]
    single = [(p, f[0]) for p, f in zip(pictures, found, strict=True) if len(f) == 1]
    chips = np.stack([align(picture.pixels, face, estimator.contract) for picture, face in single])
    analyzer = Analyzer(model, Options(threads=cores))
    chip_analyzer = Analyzer(model, Options(threads=cores, detector="whole"))
    jpegs = [_jpeg(chip) for chip in chips]
    large = portraits()
    fixed = Analyzer(model, Options(threads=cores, decode=DecodeOptions(target_side=FIRST_SIDE)))
    return {
        "photos_with_one_face": len(single),
        "machine_gflops": 2e-9 * matrix_rate(cores),
        "decode": per_item(decode, data),
        "detect": per_item(detector.detect, [picture.pixels for picture, _ in single]),
        "align": per_item(lambda pair: align(pair[0].pixels, pair[1], estimator.contract), single),
        "estimate": per_item(lambda chip: estimator(chip[None]), list(chips)),
        "estimate_in_batch": per_item(estimator, [chips], repeats=20) / len(chips),
        "chip_end_to_end": per_item(chip_analyzer, jpegs),
        "photo_end_to_end": per_item(analyzer, data),
        "photo_in_stream": per_item(lambda many: list(analyzer.stream(many)), [data * 2], repeats=5) / (2 * len(data)),
        "portrait_at_2048": per_item(fixed, large),
        "portrait_of_12_megapixels": per_item(analyzer, large),
    }


def per_item(call: Callable[[T], object], items: list[T], repeats: int = 12) -> float:
    """Median milliseconds of one call, after a warm-up round."""
    for item in items:
        call(item)
    times = []
    for _ in range(repeats):
        for item in items:
            start = time.perf_counter()
            call(item)
            times.append(time.perf_counter() - start)
    return statistics.median(times) * 1e3


def measure_memory(model: str, count: int) -> dict[str, float]:
    """Resident megabytes after the first tenth of a long stream and at its end."""
    data = photos()
    analyzer = Analyzer(model, Options(threads=1))
    early = 0.0
    for number, _ in enumerate(analyzer.stream(data[i % len(data)] for i in range(count))):
        if number == count // 10:
            early = resident()
    return {"photos": count, "after_a_tenth_mb": early, "at_the_end_mb": resident()}


def measure_cold_start(model: str) -> dict[str, float]:
    """Wall seconds of a whole `mien predict` on one photo, and of `import mien`."""
    portrait = str(sorted(EXAMPLES.glob("*.jpg"))[0])
    predict = [sys.executable, "-m", "mien", "predict", portrait, "--model", model, "--format", "jsonl"]
    return {
        "predict": _wall(predict),
        "import": _wall([sys.executable, "-c", "import mien"]),
        "python": _wall([sys.executable, "-c", "pass"]),
    }


def resident() -> float:
    """Resident memory of this process in megabytes."""
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


def to_table(figures: dict[str, object]) -> str:
    """The figures as Markdown."""
    speed, memory, cold = figures["speed"], figures["memory"], figures["cold_start_s"]
    assert isinstance(speed, dict)
    assert isinstance(memory, dict)
    assert isinstance(cold, dict)
    lines = [f"mien {figures['version']}, {figures['model']}, {figures['date']}", ""]
    lines.append(
        "| milliseconds, median | "
        + " | ".join(f"{count} core(s)" for count in speed)
        + " | ratio to the network, 1 core |"
    )
    lines.append("|---|" + "---:|" * (len(speed) + 1))
    network = speed["1"]["estimate"]
    for key, name in _ROWS.items():
        cells = [f"{column[key]:.1f}" for column in speed.values()]
        lines.append(f"| {name} | {' | '.join(cells)} | {speed['1'][key] / network:.2f} |")
    rates = [f"{column['machine_gflops']:.0f}" for column in speed.values()]
    lines.append(f"| machine, GFLOP/s of a float32 matrix product in ONNX Runtime | {' | '.join(rates)} | |")
    longer = speed["1"]["portrait_of_12_megapixels"] / speed["1"]["portrait_at_2048"]
    growth = memory["at_the_end_mb"] / memory["after_a_tenth_mb"] - 1
    lines += [
        "",
        f"A portrait of 12 megapixels takes {longer:.2f} times as long as when it is searched at 2048 pixels.",
        f"Memory over {memory['photos']} photos: {memory['after_a_tenth_mb']:.0f} MB after a tenth, "
        f"{memory['at_the_end_mb']:.0f} MB at the end ({growth:+.1%}).",
        f"Cold start: `mien predict` on one photo {cold['predict']:.2f} s wall, `import mien` {cold['import']:.3f} s "
        f"(bare Python {cold['python']:.3f} s).",
    ]
    return "\n".join(lines)


_ROWS = {
    "decode": "decode a 640x480 JPEG",
    "detect": "find its face (mtcnn)",
    "align": "cut the chip",
    "estimate": "the network on one chip",
    "estimate_in_batch": "the network on one chip of a batch",
    "chip_end_to_end": "a chip, file bytes to answer",
    "photo_end_to_end": "a photo, file bytes to answer",
    "photo_in_stream": "a photo in a stream",
    "portrait_at_2048": "a portrait of 12 megapixels, for faces of 60 pixels, as before min_face decided",
    "portrait_of_12_megapixels": "a portrait of 12 megapixels, for faces of 50 pixels",
}


def _in_child(options: argparse.Namespace, part: str, cores: int) -> dict[str, float]:
    command = [
        sys.executable,
        __file__,
        "--part",
        part,
        "--cores",
        str(cores),
        "--model",
        options.model,
        "--photos",
        str(options.photos),
    ]
    # OpenBLAS must know its cores before it starts, or the machine's rate would be that of another number of cores.
    environment = {**os.environ, "OPENBLAS_NUM_THREADS": str(cores)}
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, env=environment)
    figures: dict[str, float] = json.loads(done.stdout)
    return figures


def _wall(command: list[str], repeats: int = 7) -> float:
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        times.append(time.perf_counter() - start)
    return statistics.median(times[1:])


def _jpeg(chip: np.ndarray) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(chip).save(stream, "JPEG", quality=95)
    return stream.getvalue()


if __name__ == "__main__":
    main()
