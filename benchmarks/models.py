"""Milliseconds a chip of several models, taken in turn: `python benchmarks/models.py mien-s mien-m`.

Each is the name or the folder of a model. They answer for the same faces of `--data` (aligned chips), a batch at a time
on one core, one model after the other in every round, so that a machine that slows down slows all of them. The last
columns are ratios to the first model: of the fastest rounds, and the median over rounds.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import numpy as np

from mien.errors import MienError
from mien.estimate.bundle import find, read
from mien.estimate.estimator import Estimator
from mien.faces.align import resize_chip
from mien.photos.decode import decode


def main() -> None:
    """Time the models and print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("models", nargs="+")
    parser.add_argument("--data", type=Path, default=Path("../shared/data/utkface/images"), help="folder of chips")
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--rounds", type=int, default=60)
    options = parser.parse_args()
    files = sorted(options.data.glob("*.jpg"))[: options.batch]
    if len(files) < options.batch:
        parser.error(
            f"{options.data} has {len(files)} .jpg files: name a folder with {options.batch}, or a smaller --batch"
        )
    faces = [decode(file.read_bytes()).pixels for file in files]
    try:
        estimators = [Estimator(read(find(model)), threads=1, batch_size=options.batch) for model in options.models]
    except MienError as error:
        parser.error(str(error))
    chips = [np.stack([resize_chip(face, one.contract) for face in faces]) for one in estimators]
    taken = np.zeros((options.rounds, len(estimators)))
    for number in range(-3, options.rounds):  # the first rounds warm up
        for column, (estimator, batch) in enumerate(zip(estimators, chips, strict=True)):
            start = time.perf_counter()
            estimator(batch)
            if number >= 0:
                taken[number, column] = (time.perf_counter() - start) / len(batch) * 1000
    print(
        "| model | chip | ms, fastest | ms, median | ratio, fastest | ratio, median |\n|---|---:|---:|---:|---:|---:|"
    )
    fastest, ratios = taken.min(axis=0), np.median(taken / taken[:, :1], axis=0)
    middles = np.median(taken, axis=0)
    for model, one, least, middle, ratio in zip(options.models, estimators, fastest, middles, ratios, strict=True):
        shown = f"{least:.2f} | {middle:.2f} | {least / fastest[0]:.2f} | {ratio:.2f}"
        print(f"| {model} | {one.contract.size} px | {shown} |")


if __name__ == "__main__":
    main()
