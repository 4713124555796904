"""A finished run on a fold: its predictions and a description, all that a comparison needs without the weights."""

from __future__ import annotations

import json
import platform
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from mien.errors import DataError
from mien.estimate.calibrate import AGES
from mien.estimate.estimator import Estimates
from mien.faces.align import CropContract, resize_chip
from mien.learn.comparison.cost import training_cost
from mien.learn.data.dataset import ShownPart
from mien.learn.data.manifest import Manifest
from mien.learn.data.predictions import AnswerCollector, Predictions, each_picture
from mien.learn.data.readers import read
from mien.learn.networks.answer_kinds import Deployed
from mien.learn.networks.arithmetic import multiply_adds
from mien.learn.networks.build import build_trained
from mien.learn.networks.onnx_graph import to_proto
from mien.learn.recipe import Recipe
from mien.learn.run_folder import RunFolder
from mien.runtime.cores import physical_cores
from mien.runtime.sessions import open_network

Report = Callable[[str], None]
TIMED = 40


class RunEstimator:
    """The network of a run in ONNX Runtime; answers NaN for what the network does not answer.

    Args:
        run: a folder that `mien.learn.training.loop.train` or `mien.learn.training.combine.combine_runs` made.
        threads: cores to use.

    Raises:
        DataError: the folder is no run.
    """

    def __init__(self, run: Path, threads: int = 1) -> None:
        folder = RunFolder.finished(run)
        self.recipe = folder.read_recipe()
        self.net = build_trained(self.recipe.model, folder.weights).eval()
        deployed = Deployed(self.net).eval()
        self.names = deployed.names
        size = self.recipe.model.size
        graph = to_proto(deployed, torch.zeros(2, size, size, 3, dtype=torch.uint8), "chips", self.names)
        self._session = open_network(graph.SerializeToString(), threads)

    @property
    def contract(self) -> CropContract:
        """Geometry of the chips it takes."""
        return CropContract.utkface(self.recipe.model.size)

    def __call__(self, chips: NDArray[np.uint8]) -> Estimates:
        """Answers for chips uint8 [N, S, S, 3]."""
        said = dict(zip(self.names, self._session.run(self.names, {"chips": chips}), strict=True))
        return Estimates(
            said.get("age_pmf", np.full((len(chips), AGES), np.nan, np.float32)),
            said.get("p_female", np.full(len(chips), np.nan, np.float32)),
        )


def score(run: Path, *, fold: str = "test", threads: int = 0, report: Report = lambda line: None) -> dict[str, Any]:
    """Predict a fold of the data a run was validated on; write `FOLD.parquet` and the fold's record into its folder.

    Args:
        run: the run's folder.
        fold: of the data set that the recipe validates on, of several the first.
        threads: cores to use, 0 for all; the time for one chip is always taken on one.
        report: takes lines of progress.

    Returns:
        What the record holds, the file that `RunFolder.record` names.

    Raises:
        DataError: no run, or no data.
    """
    cores = threads or physical_cores()
    estimator = RunEstimator(run, cores)
    recipe = estimator.recipe
    source = recipe.data.vals[0]
    manifest = read(source.data, source.folds).select(fold=fold).present()
    shown = ShownPart.of(recipe.data, (manifest,), report)
    answers = AnswerCollector(estimator, 32)
    contract = estimator.contract
    for file, chip in each_picture(manifest, lambda file, pixels: resize_chip(shown(file, pixels), contract), cores):
        answers.add(file, chip)
    predictions = answers.predictions(recipe.name)
    predictions.save(RunFolder(run).predictions(fold))
    described = _describe(run, recipe, estimator, manifest, shown)
    described["data"] = f"{manifest.source[0]}, fold {fold}"
    described["fold"] = fold
    RunFolder(run).record(fold).write_text(json.dumps(described, indent=1) + "\n", encoding="utf-8")
    report(summary(predictions, manifest))
    return described


def retime(run: Path) -> float:
    """Take the time for one chip again, on a machine that is idle by now, and write it into a scored run's records.

    Returns:
        Milliseconds.

    Raises:
        DataError: the run has not been scored.
    """
    paths = RunFolder(run).records
    if not paths:
        raise DataError(f"{run} has no run.json: score it first")
    records = {path: json.loads(path.read_text(encoding="utf-8")) for path in paths}
    milliseconds = round(one_chip(run, records[paths[0]]["size"]), 3)
    for path, record in records.items():
        path.write_text(json.dumps(record | {"inference_ms": milliseconds}, indent=1) + "\n", encoding="utf-8")
    return milliseconds


def summary(predictions: Predictions, manifest: Manifest) -> str:
    """One line: MAE and gender accuracy."""
    faces = manifest.named(predictions.files)
    error = np.abs(predictions.pmf @ np.arange(AGES) - faces.age)
    known = (faces.female >= 0) & ~np.isnan(predictions.female)
    right = (predictions.female >= 0.5) == (faces.female == 1)
    told = [] if np.isnan(error).all() else [f"MAE {np.nanmean(error):.3f} years"]
    told += [f"gender {right[known].mean():.2%}"] if known.any() else []
    return f"{len(faces)} faces: {', '.join(told)}"


def _describe(
    run: Path, recipe: Recipe, estimator: RunEstimator, manifest: Manifest, shown: ShownPart
) -> dict[str, Any]:
    folder = RunFolder(run)
    spent = training_cost(run)
    chosen = {"age_pmf": "age", "p_female": "gender"}
    described = {
        "name": recipe.name,
        "system": recipe.about.system,
        "title": recipe.about.title or recipe.name,
        "task": [chosen[name] for name in estimator.names],
        "device": device(),
        "epochs": spent.epochs,
        "faces": len(manifest),
        "hours": round(spent.seconds / 3600, 5),
        "train_faces_per_second": round(spent.faces / spent.seconds, 1) if spent.faces else None,
        "parameters": sum(p.numel() for p in estimator.net.parameters()),
        "multiply_adds": multiply_adds(estimator.net, recipe.model.size),
        "size": recipe.model.size,
        "inference_ms": round(one_chip(run, recipe.model.size), 3),
        "budget": recipe.about.budget,
        "crop_misses": None if shown.boxes is None else shown.boxes.misses,
        "parts": [part.name for part in folder.trained_parts()] if folder.parts else [],
        "date": datetime.now(UTC).date().isoformat(),
    }
    return described | ({"epochs_by_run": spent.by_run} if len(spent.by_run) > 1 else {})


def one_chip(run: Path, size: int) -> float:
    """Milliseconds that ONNX Runtime takes for one chip on one core, median of many; smooth random chips."""
    estimator = RunEstimator(run, threads=1)
    rng = np.random.default_rng(0)
    chips = rng.integers(0, 256, (1, size, size, 3), dtype=np.uint8)
    times = []
    for _ in range(TIMED):
        start = time.perf_counter()
        estimator(chips)
        times.append(time.perf_counter() - start)
    return float(np.median(times[TIMED // 4 :])) * 1000


def device() -> str:
    """The processor's name and the number of cores."""
    name = platform.processor() or platform.machine()
    info = Path("/proc/cpuinfo")
    if info.is_file():
        lines = [line for line in info.read_text(encoding="utf-8").splitlines() if line.startswith("model name")]
        name = lines[0].partition(":")[2].strip() if lines else name
    return f"{name}, {physical_cores()} cores"
