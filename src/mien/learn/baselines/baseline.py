"""A classical method with its settings chosen on the validation fold: manifests in, predictions out.

Scores become probabilities by softmax(scores / T + w log(prior)), the prior being the classes' shares of the training
fold. T and w, two numbers, make the validation labels likeliest. A temperature alone (Guo et al., "On Calibration of
Modern Neural Networks", ICML 2017) would suit classifiers that know how rare a class is; the margins of support vector
machines and the distances to class means know it in part or not at all, and would give to rare ages what is not theirs.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import product
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mien.arrays import Singles
from mien.errors import DataError
from mien.estimate.calibrate import AGES, expectation
from mien.learn.baselines.grey_chips import GreyFaces, read_grey
from mien.learn.baselines.method import Classifier, Grey, Labels, Method, Task
from mien.learn.comparison.compare import DECADE_YEARS, likeliest
from mien.learn.data.manifest import Manifest
from mien.learn.data.predictions import Predictions
from mien.learn.evaluation import metrics
from mien.learn.networks.answer_kinds import CLASS_YEARS
from mien.native import UNWRITTEN, Record, written

TASKS: tuple[Task, ...] = ("gender", "age")
TEMPERATURES = np.geomspace(0.01, 100, 41)
PRIOR_WEIGHTS = (0.0, 0.25, 0.5, 0.75, 1.0)
FLOOR = 1e-7
"""Least probability of a true class where its logarithm is taken."""

AT_ONCE = 1024
"""Chips whose features are in memory at a time when predicting."""

Figures = dict[str, float]


@dataclass(frozen=True)
class PixelScale:
    """How scores become probabilities: softmax(scores / temperature + prior_weight x log_prior).

    Attributes:
        temperature: above 0.
        prior_weight: from 0 to 1.
        log_prior: of the classes, [K].
    """

    temperature: float = field(metadata=written(digits=5))
    prior_weight: float
    log_prior: Singles = field(metadata=UNWRITTEN)

    def __call__(self, scores: Singles) -> Singles:
        """Map scores [N, K] to probabilities [N, K]."""
        scaled = scores / np.float32(self.temperature) + np.float32(self.prior_weight) * self.log_prior
        mass = np.exp(scaled - scaled.max(axis=1, keepdims=True))
        return np.asarray(mass / mass.sum(axis=1, keepdims=True), np.float32)

    @classmethod
    def fit(cls, scores: Singles, columns: Labels, log_prior: Singles) -> PixelScale:
        """The scale under which the true columns [N] of scores [N, K] are likeliest; (1, 0) where there are none."""
        found, highest = cls(1.0, 0.0, log_prior), -np.inf
        rows = np.arange(len(columns))
        for weight, temperature in product(PRIOR_WEIGHTS, TEMPERATURES.tolist() if len(rows) else ()):
            scale = cls(temperature, weight, log_prior)
            likelihood = float(np.log(np.maximum(scale(scores)[rows, columns], FLOOR)).sum())
            if likelihood > highest:
                found, highest = scale, likelihood
        return found


@dataclass(frozen=True)
class Trial(Record):
    """One point of the grid, measured on the validation fold.

    Attributes:
        settings: as the method names them.
        scale: how scores become probabilities.
        figures: gender: accuracy; age: mae in years, age_class and decade as shares of right ones.
    """

    settings: dict[str, Any] = field(metadata=written(flat=True))
    scale: PixelScale = field(metadata=written(flat=True))
    figures: Figures = field(metadata=written("val", digits=5))


@dataclass(frozen=True)
class Chosen:
    """The classifier of the best trial.

    Attributes:
        classifier: fitted.
        classes: what its columns stand for: 0 male, 1 female; or indices of five-year classes.
        trial: the best.
    """

    classifier: Classifier
    classes: Labels
    trial: Trial

    def probabilities(self, features: Singles) -> Singles:
        """Map features [N, F] to probabilities [N, K] of `classes`."""
        return self.trial.scale(self.classifier.scores(features))


class Baseline:
    """A method that is fitted on one fold, with settings chosen on another.

    Gender is chosen by accuracy, age by the mean absolute error of the expectation; of equals the first is kept.

    Attributes:
        chosen: by task; a task that the training fold has no labels of is not answered.
        trials: all that was tried, by task.
    """

    def __init__(self, method: Method, *, seed: int = 0, report: Callable[[str], None] = lambda line: None) -> None:
        self.method, self.seed, self.report = method, seed, report
        self.chosen: dict[Task, Chosen] = {}
        self.trials: dict[Task, list[Trial]] = {}

    def fit(self, train: Manifest, val: Manifest) -> None:
        """Learn from one fold and choose on another.

        Raises:
            DataError: no picture can be read, or the labels do not suffice to learn and choose.
        """
        tasks = [task for task in TASKS if len(np.unique(_labels(train, task)[1])) > 1]
        if not tasks:
            raise DataError("the training fold has neither two genders nor two age classes: add labels to it")
        for task in tasks:
            if not _labels(val, task)[0].any():
                raise DataError(f"the validation fold has no {task} to choose settings by: add labels to it")
        self.chosen, self.trials = {}, {}
        learned, judged = (self._read(manifest) for manifest in (train, val))
        features, val_features = (self.method.features(faces.grey) for faces in (learned, judged))
        self.report(
            f"{len(features)} faces to learn from, {len(val_features)} to choose by, {features.shape[1]} features"
        )
        for task in tasks:
            known, labels = _labels(learned.manifest, task)
            told = _labels(judged.manifest, task)[0]
            self._choose(task, features[known], labels, val_features[told], judged.manifest.take(told))

    def predict(self, manifest: Manifest, name: str = "") -> Predictions:
        """Answer for the pictures of a manifest, as `mien.learn.data.predictions.predict` does."""
        faces = read_grey(manifest, self.method.size)
        parts = [self.answer(faces.grey[start : start + AT_ONCE]) for start in range(0, len(faces.grey), AT_ONCE)]
        pmf, female = (np.concatenate(answers) for answers in zip(*parts, strict=True))
        return Predictions(faces.manifest.files, pmf, female, faces.unreadable, name)

    def answer(self, grey: Grey) -> tuple[Singles, Singles]:
        """Map grey chips [N, S, S] to age distributions [N, 117] and probabilities of "female" [N], NaN if unknown."""
        features = self.method.features(grey)
        pmf, female = np.full((len(grey), AGES), np.nan, np.float32), np.full(len(grey), np.nan, np.float32)
        if "age" in self.chosen:
            age = self.chosen["age"]
            pmf = years(age.probabilities(features), age.classes)
        if "gender" in self.chosen:
            female = self.chosen["gender"].probabilities(features)[:, 1]
        return pmf, female

    @property
    def parameters(self) -> int:
        """Numbers learned, of all tasks."""
        return sum(chosen.classifier.parameters for chosen in self.chosen.values())

    @property
    def multiply_adds(self) -> int:
        """An estimate for one chip: its features once, then each task's classifier."""
        return self.method.multiply_adds + sum(chosen.classifier.multiply_adds for chosen in self.chosen.values())

    def _read(self, manifest: Manifest) -> GreyFaces:
        faces = read_grey(manifest, self.method.size)
        for file, reason in faces.unreadable.items():
            self.report(f"left out: {file}: {reason}")
        return faces

    def _choose(self, task: Task, features: Singles, labels: Labels, val_features: Singles, val: Manifest) -> None:
        """Try the grid of one task."""
        classes, numbers, counts = np.unique(labels, return_inverse=True, return_counts=True)
        log_prior = np.log(counts / counts.sum()).astype(np.float32)
        told = _labels(val, task)[1]
        seen = np.isin(told, classes)  # a class that nobody of the training fold has is not in the scores
        columns = np.searchsorted(classes, told[seen])
        trials = self.trials[task] = []
        for settings, classifier in self.method.grid(features, numbers, self.seed):
            scores = classifier.scores(val_features)
            scale = PixelScale.fit(scores[seen], columns, log_prior)
            figures = _figures(task, scale(scores), classes, val)
            trial = Trial(settings, scale, figures)
            trials.append(trial)
            best = self.chosen.get(task)
            if best is None or _merit(task, figures) > _merit(task, best.trial.figures):
                self.chosen[task] = Chosen(classifier, classes, trial)
            self.report(f"{task}: {_said(settings)}: {_said(figures)}")
        self.report(f"{task}: chose {_said(self.chosen[task].trial.settings)} of {len(trials)}")


def years(probabilities: Singles, classes: Labels) -> Singles:
    """Probabilities [N, K] of some five-year classes as float32 [N, 117]: each class spreads evenly over its years."""
    spread = np.arange(AGES) // CLASS_YEARS == classes[:, None]  # [K, 117]
    pmf: Singles = probabilities @ (spread / spread.sum(axis=1, keepdims=True)).astype(np.float32)
    return pmf


def _labels(manifest: Manifest, task: Task) -> tuple[NDArray[np.bool_], Labels]:
    """Which rows are labelled, [N], and the labels of those: 1 for female, or the five-year class."""
    if task == "gender":
        known = manifest.female >= 0
        return known, manifest.female[known].astype(np.intp)
    known = ~np.isnan(manifest.age)
    return known, manifest.age[known].astype(np.intp) // CLASS_YEARS


def _figures(task: Task, probabilities: Singles, classes: Labels, faces: Manifest) -> Figures:
    if task == "gender":
        return {"accuracy": float(metrics.accuracy(probabilities[:, 1], faces.female))}
    pmf, ages = years(probabilities, classes), faces.age
    return {
        "mae": float(metrics.mae(expectation(pmf), ages)),
        "age_class": float((likeliest(pmf, CLASS_YEARS) == ages // CLASS_YEARS).mean()),
        "decade": float((likeliest(pmf, DECADE_YEARS) == ages // DECADE_YEARS).mean()),
    }


def _merit(task: Task, figures: Figures) -> float:
    return figures["accuracy"] if task == "gender" else -figures["mae"]


def _said(values: dict[str, Any]) -> str:
    told = {name: f"{value:.4g}" if isinstance(value, float) else value for name, value in values.items()}
    return ", ".join(f"{name} {value}" for name, value in told.items())
