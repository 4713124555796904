"""How fast the published systems train and answer, each at the side its paper gives and two of them at equal sides.

    .venv/bin/python benchmarks/training_speed.py --data ../shared/data/utkface/images \
        --folds ../shared/data/utkface/splits.csv combined@128 separate-age@128+separate-gender@128 compact@224

`RECIPE@SIDE` trains that recipe for two epochs on a few hundred faces, one thread, and takes the second epoch's rate,
reading and augmentation of the chips included; `+` joins networks that are trained, and asked, one after the other.
The first one named is the baseline of the ratios. Run it on an idle machine; needs the extra train.
"""

from __future__ import annotations

import argparse
import csv
import re
import tempfile
import time
from pathlib import Path
from statistics import median

import numpy as np
import torch

from mien.faces.align import CropContract, resize_chip
from mien.learn.comparison.score import RunEstimator, device
from mien.learn.data.predictions import each_picture
from mien.learn.data.readers import read
from mien.learn.recipe import load_recipe
from mien.learn.training.loop import train

MEMBER = re.compile(r"(?P<recipe>[^@+]+)@(?P<side>\d+)")
ASKED = 64
"""Chips that a network is asked about, one at a time."""


def main() -> None:
    """Train, ask and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("networks", nargs="+")
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--folds", type=Path, required=True)
    parser.add_argument("--faces", type=int, default=512)
    options = parser.parse_args()
    torch.set_num_threads(1)
    print(f"{options.faces} faces an epoch, one core of {device()}\n")
    print("| networks | training, faces/s | ratio | a chip, ms | ratio |")
    print("|---|---:|---:|---:|---:|")
    baseline: tuple[float, float] | None = None
    for named in options.networks:
        each = []
        for member in named.split("+"):
            if not (parts := MEMBER.fullmatch(member)):
                parser.error(f"{member!r} is not of the form RECIPE@SIDE")
            each.append(measure(parts["recipe"], int(parts["side"]), options.data, options.folds, options.faces))
        rate = 1 / sum(1 / rate for rate, _ in each)
        milliseconds = sum(one for _, one in each)
        baseline = baseline or (rate, milliseconds)
        print(
            f"| `{named}` | {rate:.0f} | {rate / baseline[0]:.2f} | {milliseconds:.2f} | "
            f"{milliseconds / baseline[1]:.2f} |",
            flush=True,
        )


def measure(recipe: str, side: int, data: Path, folds: Path, faces: int) -> tuple[float, float]:
    """Faces a second in training, and milliseconds in which ONNX Runtime answers for one chip."""
    changes = {
        "model.size": side,
        "optimiser.sizes": "{}",
        "optimiser.epochs": 2,
        "data.limit": faces,
        "data.crop": "chip",
        "data.val.data": data,
        "data.val.folds": folds,
        "data.train": f"[{{data: {data}, folds: {folds}, fold: train}}]",
    }
    with tempfile.TemporaryDirectory() as folder:
        output = Path(folder)
        train(load_recipe(recipe, [f"{key}={value}" for key, value in changes.items()]), output)
        with (output / "curves.csv").open(newline="", encoding="utf-8") as file:
            rate = float(list(csv.DictReader(file))[-1]["rate"])
        return rate, asked(RunEstimator(output, threads=1), side, data, folds)


def asked(estimator: RunEstimator, side: int, data: Path, folds: Path) -> float:
    """The median time in milliseconds of one answer, on chips of the val fold."""
    contract = CropContract.utkface(side)
    chosen = read(data, folds).select(fold="val").present()
    chosen = chosen.take(np.arange(min(ASKED, len(chosen))))
    times = []
    for _, chip in each_picture(chosen, lambda file, pixels: resize_chip(pixels, contract), 1):
        if isinstance(chip, np.ndarray):
            start = time.perf_counter()
            estimator(chip[None])
            times.append(time.perf_counter() - start)
    return 1000 * median(times[len(times) // 4 :])


if __name__ == "__main__":
    main()
