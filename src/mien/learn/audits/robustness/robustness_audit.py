"""How much worse a model answers when pictures are bad: clean and corrupted figures on the same faces.

After Hendrycks and Dietterich (ICLR 2019), with age's mean absolute error in place of the error rate: each corruption
of `mien.learn.data.corruptions` at each severity gives an MAE, a ratio to the clean MAE and a drop of gender accuracy;
their means over severities, families and all corruptions sum a model up. The chip is spoilt as it lies in the data,
before it is brought to the model's size, and the faces stay where alignment put them: what a detector would make of a
bad picture is not part of this. A face meets the same chance (direction of the shadow, noise) with every model.

Expression, which one paper claims to be robust to, cannot be measured: UTKFace has no labels of it, and we know of no
data here that has.
"""

from __future__ import annotations

import os
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mien.arrays import Doubles, Pixels
from mien.errors import DataError, PhotoError
from mien.estimate.calibrate import AGES, expectation
from mien.estimate.estimator import Estimates
from mien.faces.align import resize_chip
from mien.learn.audits.robustness.robustness_report import Change, Figures, RobustnessReport, Shift
from mien.learn.data.corruptions import CORRUPTIONS, SEVERITIES, chosen, corrupt
from mien.learn.data.manifest import Manifest
from mien.learn.data.predictions import ChipEstimator, each_picture
from mien.learn.evaluation import metrics
from mien.learn.evaluation.evaluate import BANDS

Prepare = Callable[[str, Pixels], Pixels]

FACES = 1000

CHILDREN = (3, 17)
"""Ages, both included, told apart: a child in an old print must not be taken for an old person."""


def stratified(manifest: Manifest, n: int = FACES, seed: int = 0) -> Manifest:
    """At most n faces, of each age band and gender as large a share as in the whole, and at least one if n allows it.

    Args:
        manifest: faces to choose from; those whose picture is missing, or without any label, are not chosen.
        n: how many; all where there are no more.
        seed: another seed, other faces.

    Returns:
        The chosen rows in the manifest's order.
    """
    faces = manifest.present()
    faces = faces.take(faces.aged | (faces.female >= 0))
    if len(faces) <= n:
        return faces
    band = np.digitize(np.nan_to_num(faces.middle, nan=-1), [low for low, _ in BANDS])
    _, stratum, sizes = np.unique(3 * band + faces.female + 1, return_inverse=True, return_counts=True)
    wanted = sizes * n / len(faces)
    take = np.maximum(np.floor(wanted), 1).astype(int)
    while take.sum() > n:
        take[take.argmax()] -= 1
    rest = np.argsort(-(wanted - take), kind="stable")
    take[rest[: max(0, n - int(take.sum()))]] += 1
    rng = np.random.default_rng(seed)
    rows = [rng.permutation(np.flatnonzero(stratum == at))[:count] for at, count in enumerate(take.tolist())]
    return faces.take(np.sort(np.concatenate(rows)))


def measure(
    estimator: ChipEstimator,
    manifest: Manifest,
    *,
    names: Sequence[str] | None = None,
    model: str = "",
    prepare: Prepare = lambda file, pixels: pixels,
    threads: int = 2,
    seed: int = 0,
    resamples: int = 1000,
    level: float = 0.95,
    progress: Callable[[int], None] = lambda done: None,
) -> RobustnessReport:
    """Run a model over clean and corrupted chips.

    Args:
        estimator: the model, one that uses a single core, since faces are looked at side by side; what it does not
            answer is NaN.
        manifest: labelled chips, e.g. from `stratified`; missing pictures are passed over.
        names: corruptions or families; None for all.
        model: a name to keep.
        prepare: what a recipe shows its network of a chip, e.g. the box of a detector; given the file's name and the
            spoilt chip.
        threads: faces that are looked at side by side; the model is called from all of them at once.
        seed: of all chance in the corruptions.
        resamples: of the bootstrap.
        level: of its intervals.
        progress: told how many chips were estimated since the last call; `chips(n, names)` says how many there will be.

    Raises:
        DataError: no face can be measured.
    """
    wanted = chosen(names)
    faces = manifest.present()
    looks = _Looks(estimator, faces, prepare, threads, seed, progress)
    (clean,) = looks.errors(lambda file, pixels: [pixels], 1)
    if not len(clean.files) or (np.isnan(clean.age).all() and np.isnan(clean.wrong).all()):
        raise DataError(f"none of the {len(manifest)} pictures can be measured: no readable picture has a label")
    cells = {name: looks.errors(looks.spoilt(name), len(SEVERITIES)) for name in wanted}
    settings = {"corruptions": wanted, "seed": seed, "resamples": resamples, "level": level}
    return RobustnessReport(
        model,
        len(clean.files),
        len(faces) - len(clean.files),
        settings,
        clean.figures(),
        {name: tuple(errors.figures() for errors in row) for name, row in cells.items()},
        _changes(clean, cells, faces, resamples, level),
        _children(clean, cells),
    )


@dataclass(frozen=True)
class _Looks:
    """A model's answers for every face, whatever was done to its chip before."""

    estimator: ChipEstimator
    faces: Manifest
    prepare: Prepare
    threads: int
    seed: int
    progress: Callable[[int], None]

    def errors(self, copies_of: Callable[[str, Pixels], Sequence[Pixels]], copies: int) -> list[_Errors]:
        """The errors on each of so many copies of the faces."""
        contract = self.estimator.contract

        def answer(file: str, pixels: Pixels) -> Estimates:
            shown = [resize_chip(self.prepare(file, chip), contract) for chip in copies_of(file, pixels)]
            return self.estimator(np.stack(shown))

        files, found = [], []
        for file, answers in each_picture(self.faces, answer, self.threads):
            if not isinstance(answers, PhotoError):
                files.append(file)
                found.append(answers)
            self.progress(copies)
        names = np.array(files, dtype=np.str_)
        pmf = np.array([answers.pmf for answers in found]).reshape(len(files), copies, AGES)
        female = np.array([answers.female for answers in found]).reshape(len(files), copies)
        return [_errors(names, pmf[:, at], female[:, at], self.faces) for at in range(copies)]

    def spoilt(self, name: str) -> Callable[[str, Pixels], list[Pixels]]:
        """A corruption at every severity; the chance in it is the same for a face whatever the other faces."""

        def copies(file: str, pixels: Pixels) -> list[Pixels]:
            chance = [self.seed, zlib.crc32(name.encode()), zlib.crc32(os.fsencode(file))]
            return [corrupt(pixels, name, severity, np.random.default_rng(chance)) for severity in SEVERITIES]

        return copies


def chips(n: int, names: Sequence[str] | None = None) -> int:
    """How many chips `measure` estimates for n faces."""
    return n * (1 + len(SEVERITIES) * len(chosen(names)))


@dataclass(frozen=True)
class _Errors:
    """Absolute errors in years [N] and wrong genders [N] as 0 or 1; NaN where label or answer is unknown.

    With them the estimates in years [N], and the labels, NaN where unknown.
    """

    files: NDArray[np.str_]
    age: Doubles
    wrong: Doubles
    years: Doubles
    truth: Doubles

    def figures(self) -> Figures:
        mae = None if np.isnan(self.age).all() else float(np.nanmean(self.age))
        return Figures(mae, None if np.isnan(self.wrong).all() else 1 - float(np.nanmean(self.wrong)))


def _errors(files: NDArray[np.str_], pmf: NDArray[np.float32], female: NDArray[np.float32], faces: Manifest) -> _Errors:
    labels = faces.named(files)
    wrong = ((female >= 0.5) != (labels.female == 1)).astype(np.float64)
    wrong[np.isnan(female) | (labels.female < 0)] = np.nan
    years, truth = expectation(pmf), labels.age.astype(np.float64)
    return _Errors(files, np.abs(years - truth), wrong, years, truth)


def _children(clean: _Errors, cells: dict[str, list[_Errors]]) -> dict[str, Shift]:
    """How far the estimates of children move under each corruption, over its severities; none without children."""
    low, high = CHILDREN
    rows = (clean.truth >= low) & (clean.truth <= high) & np.isfinite(clean.years)
    if not rows.any():
        return {}
    moved = {name: np.concatenate([e.years[rows] - clean.years[rows] for e in row]) for name, row in cells.items()}
    return {
        name: Shift(float(gaps.mean()), float(np.abs(gaps).mean()), int(rows.sum())) for name, gaps in moved.items()
    }


def _changes(
    clean: _Errors, cells: dict[str, list[_Errors]], faces: Manifest, resamples: int, level: float
) -> dict[str, Change]:
    """Of each corruption, each family of several and all, from the mean error of each face over their chips."""
    families: dict[str, list[str]] = {}
    for name in cells:
        families.setdefault(CORRUPTIONS[name].family, []).append(name)
    parts = {name: [name] for name in cells}
    parts |= {family: names for family, names in families.items() if len(names) > 1}
    parts["all"] = list(cells)
    twins = faces.named(clean.files).twins
    bootstrap = partial(metrics.bootstrap, n=resamples, level=level)
    changes = {}
    for part, names in parts.items():
        spoilt = [errors for name in names for errors in cells[name]]
        age, wrong = np.mean([e.age for e in spoilt], axis=0), np.mean([e.wrong for e in spoilt], axis=0)
        mae = drop = None
        if (known := np.isfinite(clean.age)).any():
            figures = bootstrap({"": _ratio}, age[known], clean.age[known], twins[known])
            mae = figures[""]
        if (known := np.isfinite(clean.wrong)).any():
            figures = bootstrap({"": metrics.bias}, wrong[known], clean.wrong[known], twins[known])
            drop = figures[""]
        changes[part] = Change(mae, drop)
    return changes


def _ratio(above: Any, below: Any, weights: Any = None) -> Any:
    """Sum over sum: how many times the clean error the spoilt one is; NaN where there was no error at all."""
    sums = (values.sum() if weights is None else weights @ values for values in (above, below))
    top, bottom = (np.asarray(value, np.float64) for value in sums)
    return np.divide(top, bottom, out=np.full(bottom.shape, np.nan), where=bottom > 0)
