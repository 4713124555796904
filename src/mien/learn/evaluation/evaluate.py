"""Predictions and labels to a report: figures of subsets, bands and genders, each with its bootstrap interval.

The CORAL subset follows Cao, Mirjalili and Raschka, "Rank consistent ordinal regression for neural networks with
application to age estimation" (Pattern Recognition Letters, 2020): the faces of 21 to 60 years of their public test
list. Their models know no other ages, so "coral clipped" clips estimates to 21-60, as models that know all ages must be
to compare with theirs. Of that list, 189 pictures have a near-identical twin in the training list; one subset leaves
them out.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from mien.errors import DataError
from mien.estimate import calibrate
from mien.estimate.calibrate import Calibration
from mien.learn.data.manifest import Manifest
from mien.learn.data.predictions import INTERVAL_LEVEL, Predictions, predict
from mien.learn.evaluation import metrics
from mien.learn.evaluation.metrics import Interval, Metric
from mien.native import Record, native

__all__ = ["Predictions", "Report", "Subset", "evaluate", "markdown", "predict"]

Point = Literal["expectation", "median"]

WITHIN_BOUNDS = (
    "Where an age is known only within bounds, an answer is off by as much as it lies outside of them, and an interval "
    "holds the age that reaches into them: the wider the bounds, the more both flatter. By age, such a face belongs "
    "where their middle lies."
)

FEW = 10
"""Of fewer faces no percentages are told: a single one would move them by more than ten points."""

BANDS = ((0, 2), (3, 9), (10, 19), (20, 29), (30, 39), (40, 49), (50, 59), (60, 69), (70, calibrate.OLDEST))
"""Age bands of the report, both ends included; ages within bounds belong where the middle of these lies."""


def band_name(band: tuple[int, int]) -> str:
    """What an age band is called.

    >>> [band_name(band) for band in BANDS[-2:]]
    ['60-69', '70+']
    """
    low, high = band
    return f"{low}-{high}" if high < calibrate.OLDEST else f"{low}+"


CORAL_AGES = (21, 60)

AGE_METRICS: dict[str, Metric] = {
    "mae": metrics.mae,
    "rmse": metrics.rmse,
    "bias": metrics.bias,
    "cs5": metrics.cs5,
}
GENDER_METRICS: dict[str, Metric] = {
    "accuracy": metrics.accuracy,
    "precision": metrics.precision,
    "recall": metrics.recall,
    "f1": metrics.f1,
    "auc": metrics.auc,
    "ece": metrics.ece,
}
ONE_GENDER_METRICS: dict[str, Metric] = {"accuracy": metrics.accuracy}
"""Among women alone, or men, only the share of right answers means something."""

BOUNDS_METRICS: dict[str, Metric] = {"mae_of_middle": metrics.mae_of_middle}
"""Of faces some of whose ages are known only within bounds, besides."""

INTERVAL_METRICS: dict[str, Metric] = {"coverage": metrics.coverage, "width": metrics.width}


@dataclass(frozen=True)
class Subset(Record):
    """Figures of one part of the faces, each with its interval."""

    ages: int
    genders: int
    age: dict[str, Interval]
    gender: dict[str, Interval]

    def to_dict(self) -> dict[str, Any]:
        """Native types; `n` counts the faces whose label is known."""
        return {
            "age": {"n": self.ages, **native(self.age)},
            "gender": {"n": self.genders, **native(self.gender)},
        }

    @classmethod
    def from_dict(cls, record: Mapping[str, Any]) -> Subset:
        """Reads what `to_dict` wrote."""
        age, gender = (
            {name: Interval.from_dict(figure) for name, figure in record[part].items() if name != "n"}
            for part in ("age", "gender")
        )
        return cls(record["age"]["n"], record["gender"]["n"], age, gender)


@dataclass(frozen=True)
class Report(Record):
    """What `evaluate` found.

    Attributes:
        model: its name.
        counts: rows of the manifest, those with an answer, and what is lacking.
        settings: how the figures were made.
        subsets: by name; "all" is first.
    """

    model: str
    counts: dict[str, int]
    settings: dict[str, Any]
    subsets: dict[str, Subset]

    @classmethod
    def from_dict(cls, record: Mapping[str, Any]) -> Report:
        """Reads what `to_dict` wrote."""
        subsets = {name: Subset.from_dict(subset) for name, subset in record["subsets"].items()}
        return cls(record["model"], record["counts"], record["settings"], subsets)

    def to_table(self) -> str:
        """Markdown: a line on what was measured, then a row for each subset."""
        counts = ", ".join(f"{number} {name.replace('_', ' ')}" for name, number in self.counts.items())
        held = "interval_level" in self.settings
        titles = (f"in {self.settings['interval_level']:.0%} intervals", "width") if held else ()
        rows = [("subset", "faces", "MAE", "CS@5", "bias", "gender", "F1", *titles)]
        for name, subset in self.subsets.items():
            age, gender = subset.age, subset.gender
            row = (
                name.replace("_", " "),
                str(max(subset.ages, subset.genders)),
                cell(age.get("mae"), "{:.2f}"),
                cell(age.get("cs5"), "{:.1%}", subset.ages),
                cell(age.get("bias"), "{:+.2f}"),
                cell(gender.get("accuracy"), "{:.1%}", subset.genders),
                cell(gender.get("f1"), "{:.3f}", subset.genders),
                *((cell(age.get("coverage"), "{:.1%}", subset.ages), cell(age.get("width"), "{:.1f}")) if held else ()),
            )
            rows.append(row)
        return "\n".join([f"{self.model or 'model'}: {counts}", "", *markdown(rows), "", *self.notes()])

    def notes(self) -> list[str]:
        """How to read the table, in sentences."""
        level, resamples = self.settings["level"], self.settings["resamples"]
        told = [f"In brackets: {level:.0%} intervals from {resamples} resamples that keep twins together."]
        if any(0 < max(subset.ages, subset.genders) < FEW for subset in self.subsets.values()):
            told.append(f"Of fewer than {FEW} faces no percentages are told.")
        if self.counts.get("ages_within_bounds"):
            told.append(WITHIN_BOUNDS)
        return told


def evaluate(
    predictions: Predictions,
    manifest: Manifest,
    *,
    point: Point = "expectation",
    calibration: Calibration | None = None,
    interval_level: float = 0.9,
    resamples: int = 1000,
    level: float = 0.95,
    seed: int = 0,
) -> Report:
    """Measure predictions against labels.

    Args:
        predictions: of the pictures of the manifest; others are passed over.
        manifest: the fold to measure on, with its missing pictures, which are counted.
        point: the estimate of an age that is measured.
        calibration: of the model; if given, the coverage and width of its intervals are measured too, as they are where
            the predictions have intervals of their own.
        interval_level: share of ages that those intervals are to hold.
        resamples: of the bootstrap.
        level: of the bootstrap's intervals.
        seed: of the bootstrap.

    Returns:
        Subsets: all; coral clipped, unclipped and without twins (clipped), where the manifest knows that list; women
        and men; age bands, and women and men within them.

    Raises:
        DataError: no picture has both a prediction and a label, or two pictures have one name.
    """
    rows = _matched(predictions, manifest)
    found, faces = rows[rows >= 0], manifest.take(rows >= 0)
    pmf, female = predictions.pmf[found], predictions.female[found]
    years = calibrate.expectation(pmf) if point == "expectation" else calibrate.median(pmf)
    ends = None
    if predictions.intervals is not None and interval_level == INTERVAL_LEVEL:
        ends = predictions.intervals[found].astype(np.float64)
    elif calibration is not None:
        ends = np.stack(calibrate.intervals(pmf, interval_level, calibration), axis=1)
    measure = _Measure(faces, years, female, ends, {"n": resamples, "level": level, "seed": seed})
    settings = {
        "point": point,
        "level": level,
        "resamples": resamples,
        "seed": seed,
        "coral_clip": list(CORAL_AGES),
        **({} if ends is None else {"interval_level": interval_level}),
    }
    return Report(predictions.model, _counts(predictions, manifest, faces), settings, dict(_subsets(measure)))


def _counts(predictions: Predictions, manifest: Manifest, faces: Manifest) -> dict[str, int]:
    """How many pictures a table lists, how many of them are measured, and what the others lack."""
    counts = {
        "listed": len(manifest),
        "evaluated": len(faces),
        "missing_files": manifest.missing,
        "unreadable_files": sum(file in predictions.unreadable for file in manifest.files.tolist()),
        "unknown_ages": int((~faces.aged).sum()),
        "unknown_genders": int((faces.female < 0).sum()),
        "problems_in_the_data": len(manifest.problems),
    }
    listed = set(manifest.files.tolist())
    if missed := len(listed & set(predictions.missed)):
        counts["faces_not_found"] = missed
    if bounded := int((faces.aged & np.isnan(faces.age)).sum()):
        counts["ages_within_bounds"] = bounded
    return counts


@dataclass(frozen=True)
class _Measure:
    """Estimates of faces beside their labels; measures any part of them."""

    faces: Manifest
    years: NDArray[np.float64]
    female: NDArray[np.float32]
    ends: NDArray[np.float64] | None
    options: dict[str, Any]

    @cached_property
    def ages(self) -> NDArray[Any]:
        """As `true_ages` gives them."""
        return true_ages(self.faces)

    def __call__(
        self,
        rows: NDArray[np.bool_],
        clip: tuple[int, int] | None = None,
        gender_metrics: dict[str, Metric] = GENDER_METRICS,
    ) -> Subset:
        aged, gendered = rows & self.faces.aged, rows & (self.faces.female >= 0)
        years = self.years if clip is None else np.clip(self.years, *clip)
        chosen = AGE_METRICS if self.ages.ndim == 1 else {**AGE_METRICS, **BOUNDS_METRICS}
        age = self._figures(chosen, years, self.ages, aged)
        if self.ends is not None and clip is None:
            age |= self._figures(INTERVAL_METRICS, self.ends, self.ages, aged)
        gender = self._figures(gender_metrics, self.female, self.faces.female, gendered)
        return Subset(int(aged.sum()), int(gendered.sum()), age, gender)

    def _figures(
        self, chosen: dict[str, Metric], prediction: NDArray[Any], truth: NDArray[Any], rows: NDArray[np.bool_]
    ) -> dict[str, Interval]:
        if not rows.any():
            return {}
        twins = self.faces.twins[rows]
        prediction, truth = prediction[rows].astype(np.float64), truth[rows].astype(np.float64)
        return metrics.bootstrap(chosen, prediction, truth, twins, **self.options)


def _subsets(measure: _Measure) -> Iterator[tuple[str, Subset]]:
    faces = measure.faces
    yield "all", measure(np.ones(len(faces), np.bool_))
    coral = faces.coral == "test"
    if coral.any():
        yield "coral_clipped", measure(coral, CORAL_AGES)
        yield "coral_unclipped", measure(coral)
        yield "coral_without_twins", measure(coral & ~faces.coral_twin, CORAL_AGES)
    genders = {"female": faces.female == 1, "male": faces.female == 0}
    for gender, rows in genders.items():
        if rows.any():
            yield gender, measure(rows, None, ONE_GENDER_METRICS)
    years = np.floor(faces.middle)
    for low, high in BANDS:
        band = (years >= low) & (years <= high)
        name = band_name((low, high))
        if band.any():
            yield name, measure(band)
        for gender, rows in genders.items():
            if (band & rows).any():
                yield f"{name}_{gender}", measure(band & rows, None, ONE_GENDER_METRICS)


def true_ages(faces: Manifest) -> NDArray[Any]:
    """What answers are held against: ages [N], or bounds [N, 2] where some ages are known only within such.

    An estimate is on the scale of labels in whole years, where 59.4 still is 59: bounds of whole years reach half a
    year beyond. Bounds with decimals are exact ages, of which 59.0 to 59.99 are labelled 59: they lie half a year lower
    on that scale. A source whose bounds are all whole numbers has them in whole years.
    """
    bounded = faces.aged & np.isnan(faces.age)
    if not bounded.any():
        return faces.age
    low, high = (ends.astype(np.float64) for ends in faces.bounds)
    for source in np.unique(faces.source[bounded]):
        rows = bounded & (faces.source == source)
        whole = not (low[rows] % 1).any() and not (high[rows] % 1).any()
        low[rows] -= 0.5
        high[rows] += 0.5 if whole else -0.5
    return np.stack([low, high], axis=1)


def paired(predictions: Predictions, manifest: Manifest) -> tuple[NDArray[np.float32], NDArray[np.float32], Manifest]:
    """Predictions beside their labels, in the manifest's order.

    Returns:
        Age distributions [N, 117], probabilities of "female" [N] and the faces [N] that have both.

    Raises:
        DataError: no picture has both a prediction and a label, or two pictures have one name.
    """
    rows = _matched(predictions, manifest)
    found = rows[rows >= 0]
    return predictions.pmf[found], predictions.female[found], manifest.take(rows >= 0)


def _matched(predictions: Predictions, manifest: Manifest) -> NDArray[np.intp]:
    """For each row of the manifest the row of its prediction, -1 where it has none."""
    rows = predictions.rows(manifest.files)
    if any(len(np.unique(files)) < len(files) for files in (predictions.files, manifest.files)):
        raise DataError("two pictures have the same name: evaluate one data set at a time")
    labelled = manifest.aged | (manifest.female >= 0)
    if not ((rows >= 0) & labelled).any():
        missed = f"in {len(predictions.missed)} no face is found, " if predictions.missed else ""
        raise DataError(
            f"none of {len(manifest)} pictures can be evaluated: {manifest.missing} are missing, "
            f"{len(predictions.unreadable)} cannot be read, {missed}{int((~labelled).sum())} have no label"
        )
    return rows


def cell(figure: Interval | None, style: str, faces: int = FEW) -> str:
    """A figure with its interval, or a dash where it is undefined or `faces` are too few to tell a share of them.

    >>> cell(Interval(0.5, 0.25, 0.75), "{:.0%}", 20), cell(Interval(0.5, 0.25, 0.75), "{:.0%}", 4)
    ('50% [25%, 75%]', '-')
    """
    if figure is None or np.isnan(figure.value) or faces < FEW:
        return "-"
    if np.isnan(figure.low):
        return style.format(figure.value)
    return f"{style.format(figure.value)} [{style.format(figure.low)}, {style.format(figure.high)}]"


def markdown(rows: Sequence[Sequence[str]]) -> list[str]:
    """Lines of a table whose columns line up; the first row is the header."""
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines = ["| " + " | ".join(cell.ljust(n) for cell, n in zip(row, widths, strict=True)) + " |" for row in rows]
    return [lines[0], "|" + "|".join("-" * (n + 2) for n in widths) + "|", *lines[1:]]
