"""One baseline from data to a run folder: recipe.yaml, run.json and test.parquet, as `mien lab compare` reads them."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from threadpoolctl import threadpool_limits

from mien.errors import DataError
from mien.learn.baselines import create
from mien.learn.baselines.baseline import TASKS, Baseline
from mien.learn.comparison.score import device, summary
from mien.learn.data.manifest import Manifest
from mien.learn.data.predictions import Predictions
from mien.learn.data.readers import read
from mien.learn.run_folder import RunFolder
from mien.native import native, record

TIMED = 40
"""Chips that are answered one by one to measure how long one takes."""


@dataclass(frozen=True)
class FoldedData:
    """Data of a run: what `mien.learn.data.readers.read` takes, with folds called train, val and test.

    Attributes:
        data: a folder or table of labelled chips.
        folds: a table of folds; None where the data states them.
        limit: use only the first so many faces of each fold, for trials.
    """

    data: Path
    folds: Path | None = None
    limit: int | None = None

    def read(self, fold: str) -> Manifest:
        """The pictures of one fold that are there.

        Raises:
            UsageError: there is no such fold.
            DataError: the data cannot be read.
        """
        faces = read(self.data, self.folds).select(fold=fold).present()
        return faces if self.limit is None else faces.take(np.arange(min(self.limit, len(faces))))


def run_baseline(
    name: str, output: Path, source: FoldedData, *, seed: int = 0, report: Callable[[str], None] = lambda line: None
) -> Path:
    """Learn on the fold train, choose on val, answer for test; all on one core, so that a second run says the same.

    Args:
        name: of a baseline.
        output: the run folder; made if need be.
        source: of the faces.
        seed: of all chance in learning.
        report: takes a line of progress at a time.

    Returns:
        Path of run.json.

    Raises:
        UsageError: no such baseline or fold.
        DataError: the folder holds a run, or the data cannot be used.
    """
    method = create(name)
    folder = RunFolder(output)
    if folder.record().exists():
        raise DataError(f"{output} already holds a run: choose another --output")
    train, val, test = (source.read(fold) for fold in ("train", "val", "test"))
    baseline = Baseline(method, seed=seed, report=report)
    with threadpool_limits(limits=1):
        start = time.process_time()
        baseline.fit(train, val)
        seconds = time.process_time() - start
        predictions = baseline.predict(test, name)
        milliseconds = one_chip(baseline)
    report(f"test: {summary(predictions, test)}; {seconds:.0f} s of one core, {milliseconds:.2f} ms a chip")
    output.mkdir(parents=True, exist_ok=True)
    recipe = {"name": name, "seed": seed, "data": _data(source, train, val, test), **_recipe(baseline)}
    folder.recipe_file.write_text(yaml.safe_dump(recipe, sort_keys=False, width=120), encoding="utf-8")
    predictions.save(folder.predictions())
    told = _record(name, baseline, predictions, test, seconds) | {"inference_ms": round(milliseconds, 3)}
    folder.record().write_text(json.dumps(told, indent=1) + "\n", encoding="utf-8")
    return folder.record()


def one_chip(baseline: Baseline) -> float:
    """Milliseconds of processor time from a grey chip to its answers, one chip at a time, median of many."""
    size = baseline.method.size
    chips = np.random.default_rng(0).integers(0, 256, (TIMED, 1, size, size), dtype=np.uint8)
    times = []
    for chip in chips:
        start = time.process_time()
        baseline.answer(chip)
        times.append(time.process_time() - start)
    return float(np.median(times[TIMED // 4 :])) * 1000


def _data(source: FoldedData, train: Manifest, val: Manifest, test: Manifest) -> dict[str, Any]:
    return {
        "data": str(source.data),
        "folds": source.folds and str(source.folds),
        "limit": source.limit,
        "faces": {"train": len(train), "val": len(val), "test": len(test)},
    }


def _recipe(baseline: Baseline) -> dict[str, Any]:
    """What was set, what was tried and what the validation fold chose, in types that YAML knows."""
    return {
        "method": record(baseline.method),
        "choices": list(baseline.method.choices),
        "chosen": {task: native(baseline.chosen[task].trial) for task in TASKS if task in baseline.chosen},
        "tried": native(baseline.trials),
    }


def _record(name: str, baseline: Baseline, predictions: Predictions, test: Manifest, seconds: float) -> dict[str, Any]:
    tried = sum(len(trials) for trials in baseline.trials.values())
    return {
        "name": name,
        "system": "baseline",
        "title": baseline.method.title,
        "task": sorted(baseline.chosen),
        "data": f"{test.source[0]}, fold test",
        "fold": "test",
        "device": f"{device().rpartition(', ')[0]}, 1 core",
        "epochs": None,
        "faces": len(predictions),
        "hours": round(seconds / 3600, 4),
        "train_faces_per_second": None,
        "parameters": baseline.parameters,
        "multiply_adds": baseline.multiply_adds,
        "size": baseline.method.size,
        "budget": f"{tried} settings tried on the validation fold in {seconds / 60:.1f} minutes of one core, "
        "reading the pictures included.",
        "crop_misses": None,
        "date": datetime.now(UTC).date().isoformat(),
    }
