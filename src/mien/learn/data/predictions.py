"""A model and a manifest to predictions, and predictions to a Parquet file and back."""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from mien.arrays import Pixels
from mien.errors import DataError, MissingExtra, PhotoError
from mien.estimate.calibrate import AGES
from mien.estimate.estimator import Estimates
from mien.faces.align import CropContract, resize_chip
from mien.learn.data.manifest import Manifest, Strings
from mien.names import absent, plain_name
from mien.photos.decode import decode
from mien.photos.item import read_file

T = TypeVar("T")

ENDS = ("low", "high")
"""Columns of a saved table that hold the intervals."""

INTERVAL_LEVEL = 0.9
"""Share of true ages that the kept intervals are to hold."""


class ChipEstimator(Protocol):
    """What predicts: `mien.estimate.estimator.Estimator` or anything that looks like it."""

    @property
    def contract(self) -> CropContract:
        """Geometry of the chips it takes."""
        ...

    def __call__(self, chips: Pixels) -> Estimates:
        """Answers for chips uint8 [N, S, S, 3]."""
        ...


@dataclass(frozen=True)
class Predictions:
    """What a model answered for the pictures of a manifest.

    Attributes:
        files: [N] names, as in the manifest.
        pmf: float32 [N, 117].
        female: float32 [N].
        unreadable: pictures without an answer, and why.
        model: its name.
        missed: pictures without an answer because no face was found in them, or not the one that is meant.
        intervals: float32 [N, 2], the ends of the intervals that `mien predict` gives at `INTERVAL_LEVEL`, which knows
            how good the view of each face was; None: they follow from pmf and a calibration.
    """

    files: Strings
    pmf: NDArray[np.float32]
    female: NDArray[np.float32]
    unreadable: dict[str, str] = field(default_factory=dict)
    model: str = ""
    missed: tuple[str, ...] = ()
    intervals: NDArray[np.float32] | None = None

    def __len__(self) -> int:
        return len(self.files)

    def rows(self, files: Strings) -> NDArray[np.intp]:
        """For each of some pictures [M] the row of its answer, -1 where it has none."""
        at = {file: row for row, file in enumerate(self.files.tolist())}
        return np.array([at.get(file, -1) for file in files.tolist()], dtype=np.intp)

    def save(self, path: Path) -> None:
        """Write Parquet: file, pmf (117 x float16), female (float32), low and high (float32) where there are intervals.

        Raises:
            MissingExtra: pyarrow is not installed.
        """
        pa, parquet = _arrow()
        mass = pa.array(self.pmf.astype(np.float16).ravel())
        columns = {
            "file": pa.array(self.files.tolist(), pa.string()),
            "pmf": pa.FixedSizeListArray.from_arrays(mass, AGES),
            "female": pa.array(self.female, pa.float32()),
        }
        if self.intervals is not None:
            columns |= {name: pa.array(ends, pa.float32()) for name, ends in zip(ENDS, self.intervals.T, strict=True)}
        notes = {"model": self.model, "unreadable": json.dumps(self.unreadable), "missed": json.dumps(self.missed)}
        with path.open("wb") as stream:
            parquet.write_table(pa.table(columns).replace_schema_metadata(notes), stream, compression="zstd")

    @classmethod
    def load(cls, path: Path) -> Predictions:
        """Read what `save` wrote.

        Raises:
            DataError: the file is none of these.
            MissingExtra: pyarrow is not installed.
        """
        pa, parquet = _arrow()
        try:
            with plain_name(path, DataError) as name:
                rows = parquet.read_table(name)
            pmf = rows["pmf"].combine_chunks().flatten().to_numpy(zero_copy_only=False)
            pmf = pmf.astype(np.float32).reshape(len(rows), AGES)
            files, female = rows["file"].to_pylist(), rows["female"].to_numpy()
            notes = {key.decode(): value.decode() for key, value in (rows.schema.metadata or {}).items()}
            unreadable, model = json.loads(notes["unreadable"]), notes["model"]
            missed = tuple(json.loads(notes.get("missed", "[]")))
            intervals = None
            if set(ENDS) <= set(rows.column_names):
                intervals = np.stack([rows[name].to_numpy() for name in ENDS], axis=1)
        except FileNotFoundError:
            raise DataError(absent(str(path))) from None
        except (OSError, KeyError, ValueError, pa.ArrowException) as error:
            raise DataError(f"{path} is no table of predictions: {error}") from error
        pmf /= pmf.sum(axis=1, keepdims=True)  # float16 rounds each of the 117 probabilities
        return cls(np.array(files, dtype=np.str_), pmf, female, unreadable, model, missed, intervals)


def mean_answers(answers: Sequence[Predictions]) -> Predictions:
    """One answer for each face that any of several models answered: the mean of those that did.

    Args:
        answers: at least one, each with an answer for age and gender of each of its faces.

    Raises:
        DataError: one of them lacks ages or genders.
    """
    if len(answers) == 1:
        return answers[0]
    for one in answers:
        if np.isnan(one.pmf).any() or np.isnan(one.female).any():
            raise DataError(f"{one.model or 'a model'} does not answer both age and gender: it cannot be averaged")
    files, at = np.unique(np.concatenate([one.files for one in answers]), return_inverse=True)
    pmf, female = np.zeros((len(files), AGES)), np.zeros(len(files))
    np.add.at(pmf, at, np.concatenate([one.pmf for one in answers]))
    np.add.at(female, at, np.concatenate([one.female for one in answers]))
    count = np.bincount(at, minlength=len(files))
    return Predictions(
        files,
        (pmf / count[:, None]).astype(np.float32),
        (female / count).astype(np.float32),
        model=" + ".join(one.model or "?" for one in answers),
    )


def predict(
    estimator: ChipEstimator,
    manifest: Manifest,
    *,
    model: str = "",
    threads: int = 2,
    batch_size: int = 32,
    progress: Callable[[int], None] = lambda done: None,
) -> Predictions:
    """Run a model over the pictures of a manifest, taken as aligned chips.

    Args:
        estimator: the model.
        manifest: its missing pictures are passed over.
        model: a name to keep with the predictions.
        threads: that decode, ahead of the model by a bounded number of pictures.
        batch_size: chips handed to the model at once.
        progress: told how many pictures were done since the last call.
    """
    contract = estimator.contract
    answers = AnswerCollector(estimator, batch_size)
    for file, chip in each_picture(manifest.present(), lambda file, pixels: resize_chip(pixels, contract), threads):
        answers.add(file, chip)
        progress(1)
    return answers.predictions(model)


class AnswerCollector:
    """Takes named chips one at a time, estimates them in batches and becomes `Predictions`."""

    def __init__(self, estimator: ChipEstimator, batch_size: int) -> None:
        self._estimator = estimator
        self._batch_size = batch_size
        self._waiting: list[Pixels] = []
        self._files: list[str] = []
        self._pmf = [np.empty((0, AGES), np.float32)]
        self._female = [np.empty(0, np.float32)]
        self._unreadable: dict[str, str] = {}

    def add(self, file: str, chip: Pixels | PhotoError) -> None:
        """A chip uint8 [S, S, 3], or why there is none."""
        if isinstance(chip, PhotoError):
            self._unreadable[file] = str(chip)
            return
        self._files.append(file)
        self._waiting.append(chip)
        if len(self._waiting) >= self._batch_size:
            self._estimate()

    def predictions(self, model: str) -> Predictions:
        """All answers so far."""
        if self._waiting:
            self._estimate()
        files = np.array(self._files, dtype=np.str_)
        return Predictions(files, np.concatenate(self._pmf), np.concatenate(self._female), self._unreadable, model)

    def _estimate(self) -> None:
        answer = self._estimator(np.stack(self._waiting))
        self._pmf.append(answer.pmf)
        self._female.append(answer.female)
        self._waiting = []


def each_picture(
    manifest: Manifest, work: Callable[[str, Pixels], T], threads: int
) -> Iterator[tuple[str, T | PhotoError]]:
    """Decode the pictures of a manifest in a few threads and do something with each.

    Yields:
        In order the name of each picture and what `work` made of that name and the RGB pixels [H, W, 3], or why it
        cannot be read. At most eight pictures a thread are held at once.
    """

    def attempt(file: str, path: Path) -> tuple[str, T | PhotoError]:
        try:
            return file, work(file, decode(read_file(path)).pixels)
        except PhotoError as error:
            return file, error

    todo = zip(manifest.files.tolist(), manifest.paths, strict=True)
    with ThreadPoolExecutor(threads) as pool:
        waiting = deque(pool.submit(attempt, *item) for item in islice(todo, 8 * threads))
        while waiting:
            result = waiting.popleft().result()
            waiting.extend(pool.submit(attempt, *item) for item in islice(todo, 1))
            yield result


def _arrow() -> tuple[Any, Any]:
    try:
        import pyarrow
        from pyarrow import parquet
    except ImportError as error:
        raise MissingExtra.named("Parquet output", "train") from error
    return pyarrow, parquet
