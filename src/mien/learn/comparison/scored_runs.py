"""Folders of finished runs, as `mien lab score` leaves them: run.json, test.parquet, recipe.yaml, maybe curves.csv."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from mien.errors import DataError
from mien.learn.comparison import claims
from mien.learn.comparison.claims import Row, System
from mien.learn.data.predictions import Predictions
from mien.learn.run_folder import Epoch, RunFolder

Learners = Literal["all", "women", "men"]

_SENTENCES = ("name", "system", "title")
_TEXTS = ("data", "fold", "device", "budget", "date")
_NUMBERS = (
    "epochs",
    "faces",
    "hours",
    "train_faces_per_second",
    "parameters",
    "multiply_adds",
    "size",
    "inference_ms",
    "crop_misses",
)


@dataclass(frozen=True)
class ScoredRun:
    """A run and its predictions on the test fold.

    Attributes:
        name: unique among those compared.
        title: of the run, in words.
        system: that it belongs to.
        row: of the system, where the run follows one of its recipes.
        learned_from: "women" or "men" where its recipe leaves the others out, else "all".
        record: run.json with None for what it does not say.
        curves: a row an epoch; a figure that was not measured is not in it.
        predictions: NaN where the run does not answer.
    """

    name: str
    title: str
    system: System
    row: Row | None
    learned_from: Learners
    record: dict[str, Any]
    curves: tuple[Epoch, ...]
    predictions: Predictions

    @property
    def has_age(self) -> NDArray[np.bool_]:
        """Which pictures got an age, [N]."""
        known: NDArray[np.bool_] = np.isfinite(self.predictions.pmf.sum(axis=1))
        return known

    @property
    def has_gender(self) -> NDArray[np.bool_]:
        """Which pictures got a gender, [N]."""
        return np.isfinite(self.predictions.female)


def read_run(folder: Path) -> ScoredRun:
    """Read a folder that `mien lab score` has completed.

    Raises:
        DataError: a file is missing or malformed; the sentence says which and what makes it.
    """
    record = _record(folder)
    run_folder = RunFolder(folder)
    table = run_folder.predictions()
    if not table.is_file():
        raise DataError(f"{folder} holds no test.parquet, the predictions: {_remedy(folder)}")
    predictions = Predictions.load(table)
    if not len(predictions):
        raise DataError(f"{table} holds no predictions: run mien lab score {folder} again")
    if len(set(predictions.files.tolist())) < len(predictions):
        raise DataError(f"{table} names a picture twice: run mien lab score {folder} again")
    system = claims.find_system(record["system"])
    if system is None:
        known = ", ".join(system.key for system in claims.SYSTEMS)
        raise DataError(f"{folder / 'run.json'} names the system {record['system']!r}: it must be one of {known}")
    recipe = run_folder.recipe_as_written()
    row = system.row(str(recipe.get("name", ""))) or system.row(record["name"])
    title = row.title if row is not None and record["title"] == record["name"] else record["title"]
    curves = run_folder.read_curves()
    run = ScoredRun(record["name"], title, system, row, _learners(recipe), record, curves, predictions)
    if not run.has_age.any() and not run.has_gender.any():
        raise DataError(f"{table} answers neither age nor gender of any picture")
    return run


def _record(folder: Path) -> dict[str, Any]:
    path = RunFolder(folder).record()
    if not folder.is_dir():
        raise DataError(f"there is no run folder {folder}")
    if not path.is_file():
        raise DataError(_no_record(folder))
    try:
        said = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise DataError(f"{path} is not JSON: {error}") from error
    said = said if isinstance(said, dict) else {}
    lacking = [key for key in _SENTENCES if not isinstance(said.get(key), str) or not said[key]]
    if lacking:
        raise DataError(f"{path} must say {', '.join(lacking)}")
    for kinds, keys in ((str, _TEXTS), ((int, float), _NUMBERS)):
        wrong = [key for key in keys if said.get(key) is not None and not isinstance(said[key], kinds)]
        if wrong:
            raise DataError(f"{path}: {wrong[0]} is {said[wrong[0]]!r}, which cannot be")
    return dict.fromkeys((*_TEXTS, *_NUMBERS)) | said


def _no_record(folder: Path) -> str:
    """What a folder without run.json is, and what to do."""
    if RunFolder(folder).recipe_file.is_file():
        return f"{folder} holds no run.json: {_remedy(folder)}"
    inside = sorted({path.parent.name for name in ("run.json", "recipe.yaml") for path in folder.glob(f"*/{name}")})
    if inside:
        told = ", ".join(inside[:3]) + ", ..." * (len(inside) > 3)
        return f"{folder} is no run, but holds runs ({told}): give them, {folder}/*"
    return f"{folder} is not the folder of a run: it holds neither run.json nor recipe.yaml"


def _remedy(folder: Path) -> str:
    """How the folder of a run gets run.json and test.parquet."""
    if lacking := RunFolder(folder).lacking:
        return f"without {' and '.join(lacking)} mien lab score cannot make it; give the folder that mien train made"
    return f"run mien lab score {folder}, which writes it"


def _learners(recipe: dict[str, Any]) -> Learners:
    """Whose faces a recipe trains on."""
    data = recipe.get("data")
    shown = [who for who in ("women", "men") if not isinstance(data, dict) or data.get(who, True)]
    return "women" if shown == ["women"] else "men" if shown == ["men"] else "all"
