"""Whether a model's confidence can be believed: age intervals against true ages, and the gender's probability.

Coverage is given for all faces and by group. Bands of estimated ages are those that intervals are learned for, and in
which they promise something; nobody who sees an interval knows the true age, so that coverage by true age is no promise
and is shown because it is lower where a model is drawn to commoner ages. Intervals stand beside the simplest valid
ones: a constant width around the estimate, split-conformal on other faces (Lei et al., "Distribution-Free Predictive
Inference for Regression", JASA 2018).

A gender's certainty is the probability of the answered one. Its faces are binned by equal counts, and each bin has a
Wilson interval (JASA 1927), which a bin without any error has too; all others are cluster-bootstrap intervals.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from statistics import NormalDist
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mien.arrays import Doubles, Floats
from mien.errors import DataError
from mien.estimate.calibrate import OLDEST, Calibration, expectation, intervals, median
from mien.learn.audits.calibration.calibration_figures import (
    Ages,
    Bin,
    CalibrationGroup,
    Genders,
    Level,
    Selection,
    WidthComparison,
)
from mien.learn.audits.calibration.calibration_report import CalibrationReport
from mien.learn.audits.calibration.proper_scores import brier, crps, log_loss, mean, pit
from mien.learn.audits.calibration.selective import area, least_area, risk
from mien.learn.audits.groups import GROUPINGS
from mien.learn.data.manifest import Manifest
from mien.learn.data.predictions import Predictions
from mien.learn.evaluation import metrics
from mien.learn.evaluation.evaluate import BANDS, paired
from mien.learn.evaluation.metrics import Array, Interval, Metric, Weights

LEVELS = (0.5, 0.55, 0.6, 0.65, 0.7, 0.75, 0.8, 0.85, 0.9, 0.95, 0.975, 0.99)
"""Levels at which coverage is measured; masses are learned at some of them and interpolated at others."""

SHARES = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0)
"""Shares of surest faces."""

BINS = 15
SLICES = 10
LEAST_FACES = 30
"""Fewer faces tell nothing about a model's confidence."""


@dataclass(frozen=True, slots=True)
class ConstantWidth:
    """Intervals of one width for everybody, around the expected age.

    Attributes:
        half_width: years to either side.
        faces: that it was learned from.
        level: share of true ages that these intervals are to hold.
    """

    half_width: float
    faces: int
    level: float

    @classmethod
    def learn(cls, predictions: Predictions, faces: Manifest, level: float) -> ConstantWidth:
        """The split-conformal half-width: the finite-sample quantile of absolute errors.

        Args:
            predictions: calibrated answers for held-out faces.
            faces: their labels.
            level: share of true ages that the intervals are to hold.

        Raises:
            DataError: the faces of known age are too few for that level.
        """
        pmf, _, known = paired(predictions, faces)
        aged = np.isfinite(known.age)
        errors = np.sort(np.abs(expectation(pmf[aged]) - known.age[aged].astype(np.float64)))
        rank = math.ceil((len(errors) + 1) * level)
        if rank > len(errors):
            raise DataError(
                f"{len(errors)} faces of known age are too few to learn a constant width for {level:.4g} of them: "
                f"at least {math.ceil(level / (1 - level))}"
            )
        return cls(float(errors[rank - 1]), len(errors), level)

    def ends(self, years: Doubles) -> Doubles:
        """[N] expected ages -> [N, 2]."""
        return around(years, self.half_width)


def measure(
    predictions: Predictions,
    faces: Manifest,
    calibration: Calibration,
    *,
    level: float = 0.9,
    reference: ConstantWidth | None = None,
    min_faces: int = LEAST_FACES,
    resamples: int = 1000,
    confidence: float = 0.95,
    seed: int = 0,
) -> CalibrationReport:
    """Hold a model's confidence against the labels.

    Args:
        predictions: calibrated answers; those for other pictures are passed over.
        faces: the fold to measure on, which the calibration was not learned from.
        calibration: of the model, for its intervals.
        level: share of true ages that the intervals are to hold, above 0 and below 1.
        reference: intervals of constant width to compare with.
        min_faces: a smaller group is named, but not measured.
        resamples: of the bootstrap.
        confidence: level of the bootstrap's intervals.
        seed: of the bootstrap.

    Raises:
        DataError: no face has both an answer and a label, or fewer than 30 have an age, or a gender.
        ValueError: an impossible level, or a reference for another one.
    """
    if not 0 < level < 1:
        raise ValueError(f"the level of an interval lies between 0 and 1, not {level}")
    if reference is not None and reference.level != level:
        raise ValueError(f"the reference is for a level of {reference.level}, not {level}")
    pmf, female, known = paired(predictions, faces)
    aged = np.isfinite(known.age) & np.isfinite(pmf).all(axis=1)
    gendered = (known.female >= 0) & np.isfinite(female)
    for what, rows in (("age", aged), ("gender", gendered)):
        if 0 < rows.sum() < LEAST_FACES:
            raise DataError(
                f"{int(rows.sum())} faces of known {what} are too few to measure calibration on: at least {LEAST_FACES}"
            )
    bootstrap = _Bootstrap(resamples, confidence, seed)
    counts = {
        "listed": len(faces),
        "measured": len(known),
        "unknown_ages": int((~aged).sum()),
        "unknown_genders": int((~gendered).sum()),
    }
    settings = {"interval_level": level, "min_faces": min_faces, "level": confidence}
    settings |= {"resamples": resamples, "seed": seed}
    ages = genders = None
    if aged.any():
        task = _AgeTask(pmf[aged], known.take(aged), calibration, level, reference, min_faces, bootstrap)
        ages = task.report()
    if gendered.any():
        genders = _genders(female[gendered].astype(np.float64), known.take(gendered), bootstrap)
    return CalibrationReport(predictions.model, counts, settings, ages, genders)


def around(years: Doubles, half_width: float) -> Doubles:
    """[N] ages -> [N, 2]: constant intervals around them."""
    return np.stack([years - half_width, years + half_width], axis=1)


def wilson(right: int, faces: int, confidence: float) -> Interval:
    """A share with its score interval (Wilson, JASA 1927), which is none of zero width where all are right.

    >>> wilson(10, 10, 0.95).to_dict()
    {'value': 1.0, 'low': 0.72247, 'high': 1.0}
    """
    z = NormalDist().inv_cdf((1 + confidence) / 2)
    share = right / faces
    middle = (share + z * z / (2 * faces)) / (1 + z * z / faces)
    half = z / (1 + z * z / faces) * math.sqrt(share * (1 - share) / faces + z * z / (4 * faces * faces))
    return Interval(share, max(0.0, middle - half), min(1.0, middle + half))


@dataclass(frozen=True)
class _Bootstrap:
    """How intervals of figures are made."""

    n: int
    level: float
    seed: int

    def __call__(
        self, figures: Mapping[str, Metric], prediction: Array, truth: Array, faces: Manifest
    ) -> dict[str, Interval]:
        return metrics.bootstrap(figures, prediction, truth, faces.twins, n=self.n, seed=self.seed, level=self.level)

    def selection(self, certainty: Doubles, loss: Doubles, faces: Manifest) -> Selection:
        """Risks among the surest, and the area under them."""
        figures: dict[str, Metric] = {str(share): partial(risk, share=share) for share in SHARES}
        found = self({**figures, "area": area}, certainty, loss, faces)
        risks = {share: found[str(share)] for share in SHARES}
        return Selection(risks, found["area"], least_area(loss), float(loss.mean()))


@dataclass(frozen=True)
class _AgeTask:
    """Faces [N] of known age, and how to look at them."""

    pmf: Floats
    faces: Manifest
    calibration: Calibration
    level: float
    reference: ConstantWidth | None
    min_faces: int
    bootstrap: _Bootstrap

    def report(self) -> Ages:
        """All that is said of ages."""
        truth = self.faces.age.astype(np.float64)
        years, ends = expectation(self.pmf), self._ends(self.level)
        constant = None if self.reference is None else self.reference.ends(years)
        everybody = np.ones(len(truth), np.bool_)
        whole = self._group("all", everybody, ends, constant)
        slices = pit(self.pmf, truth, SLICES)
        columns = np.stack([crps(self.pmf, truth), np.abs(median(self.pmf) - truth), *slices.T], axis=1)
        means = self.bootstrap(
            {str(at): partial(_column_mean, column=at) for at in range(columns.shape[1])}, columns, truth, self.faces
        )
        found = list(means.values())
        return Ages(
            whole=whole,
            groups={
                by: tuple(self._group(name, codes == at, ends, constant) for at, name in enumerate(names))
                for by, (names, codes) in self._groupings(years).items()
            },
            levels=self._levels(),
            comparison=self._comparison(years, ends),
            crps=found[0],
            mae=found[1],
            pit=tuple(found[2:]),
            selection=self.bootstrap.selection(ends[:, 0] - ends[:, 1], np.abs(years - truth), self.faces),
        )

    def _ends(self, level: float) -> Doubles:
        return np.stack(intervals(self.pmf, level, self.calibration), axis=1)

    def _groupings(self, years: Doubles) -> dict[str, tuple[tuple[str, ...], NDArray[np.intp]]]:
        """Names and codes [N] of groups; those that the data do not state of anybody are left out."""
        band_names = GROUPINGS["age-band"][0]
        estimated = np.digitize(years, [low for low, _ in BANDS]).astype(np.intp) - 1
        found = {"estimated age": (band_names, estimated)}
        for by, title in (("age-band", "true age"), ("gender", "gender as labelled"), ("race", "race as labelled")):
            names, of = GROUPINGS[by]
            codes = of(self.faces)
            if (codes >= 0).any():
                found[title] = names, codes
        return found

    def _group(self, name: str, rows: NDArray[np.bool_], ends: Doubles, constant: Doubles | None) -> CalibrationGroup:
        count = int(rows.sum())
        if count < self.min_faces:
            return CalibrationGroup(name, count)
        figures: dict[str, Metric] = {
            "coverage": partial(_coverage, column=0),
            "width": partial(_width, column=0),
        }
        if constant is not None:
            figures["constant"] = partial(_coverage, column=2)
        both = ends if constant is None else np.concatenate([ends, constant], axis=1)
        faces = self.faces.take(rows)
        return CalibrationGroup(name, count, **self.bootstrap(figures, both[rows], faces.age.astype(np.float64), faces))

    def _levels(self) -> tuple[Level, ...]:
        levels = sorted({*LEVELS, self.level})
        figures: dict[str, Metric] = {}
        for at, level in enumerate(levels):
            figures[f"coverage {level}"] = partial(_coverage, column=2 * at)
            figures[f"width {level}"] = partial(_width, column=2 * at)
        ends = np.concatenate([self._ends(level) for level in levels], axis=1)
        found = self.bootstrap(figures, ends, self.faces.age.astype(np.float64), self.faces)
        return tuple(Level(level, found[f"coverage {level}"], found[f"width {level}"]) for level in levels)

    def _comparison(self, years: Doubles, ends: Doubles) -> WidthComparison | None:
        if self.reference is None:
            return None
        truth = self.faces.age.astype(np.float64)
        inside = int(metrics.coverage(ends, truth) * len(truth) + 0.5)
        matched = float(np.sort(np.abs(years - truth))[max(0, inside - 1)])
        figures: dict[str, Metric] = {
            "coverage": partial(_coverage, column=2),
            "ratio": partial(_width_ratio, column=2),
            "ages": partial(_ages_ratio, column=2),
            "matched_ratio": partial(_width_ratio, column=4),
            "matched_ages": partial(_ages_ratio, column=4),
        }
        three = np.concatenate([ends, self.reference.ends(years), around(years, matched)], axis=1)
        found = self.bootstrap(figures, three, truth, self.faces)
        return WidthComparison(self.reference.half_width, self.reference.faces, matched_half_width=matched, **found)


def _genders(female: Doubles, faces: Manifest, bootstrap: _Bootstrap) -> Genders:
    truth = faces.female.astype(np.float64)
    figures: dict[str, Metric] = {
        "ece": metrics.ece,
        "brier": brier,
        "log_loss": log_loss,
        "accuracy": metrics.accuracy,
    }
    sure, right = np.maximum(female, 1 - female), (female >= 0.5) == (truth > 0)
    code = equal_bins(sure, BINS)
    bins = [_bin(sure[code == at], right[code == at], bootstrap.level) for at in np.unique(code)]
    said = {"female": female >= 0.5, "male": female < 0.5}
    return Genders(
        faces=len(truth),
        figures=bootstrap(figures, female, truth, faces),
        bins=tuple(bins),
        answers={name: _bin(sure[rows], right[rows], bootstrap.level) for name, rows in said.items() if rows.any()},
        selection=bootstrap.selection(sure, (~right).astype(np.float64), faces),
    )


def equal_bins(values: Doubles, bins: int) -> NDArray[np.intp]:
    """Bin of each value [N], about as many in each; equal values share a bin, so that some may stay empty."""
    edges = np.quantile(values, np.linspace(0, 1, bins + 1)[1:-1])
    return np.searchsorted(edges, values).astype(np.intp)


def _bin(sure: Doubles, right: NDArray[np.bool_], confidence: float) -> Bin:
    return Bin(len(sure), float(sure.mean()), wilson(int(right.sum()), len(right), confidence))


def _coverage(ends: Array, ages: Array, weights: Weights = None, /, *, column: int) -> Any:
    return metrics.coverage(ends[:, column : column + 2], ages, weights)


def _width(ends: Array, ages: Array, weights: Weights = None, /, *, column: int) -> Any:
    return metrics.width(ends[:, column : column + 2], ages, weights)


def _width_ratio(ends: Array, ages: Array, weights: Weights = None, /, *, column: int) -> Any:
    """Mean width of the first interval over that of the one at a column."""
    return _width(ends, ages, weights, column=0) / _width(ends, ages, weights, column=column)


def _ages_ratio(ends: Array, ages: Array, weights: Weights = None, /, *, column: int) -> Any:
    """Whole ages inside the first interval over those inside the one at a column."""
    return mean(_held(ends[:, :2]), weights) / mean(_held(ends[:, column : column + 2]), weights)


def _held(ends: Array) -> Doubles:
    """How many whole ages from 0 to 116 lie within intervals [N, 2]."""
    low, high = np.ceil(ends[:, 0].clip(0, OLDEST)), np.floor(ends[:, 1].clip(0, OLDEST))
    held: Doubles = np.maximum(0.0, high - low + 1)
    return held


def _column_mean(columns: Array, ages: Array, weights: Weights = None, /, *, column: int) -> Any:
    return mean(columns[:, column], weights)
