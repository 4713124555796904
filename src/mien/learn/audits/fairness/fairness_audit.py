"""Whether a model serves some people worse than others: the same figures for each group, and the largest gaps.

Groups are crossed as well as taken one by one: what holds for women and for one race need not hold for the women of
that race (Buolamwini and Gebru, "Gender Shades", FAT* 2018). Each figure is given a second time at equal ages (see
`mien.learn.audits.fairness.equal_ages`), so that a gap is not just one of ages.

Among many groups some two always lie far apart. Beside each largest gap stands how large chance alone would make it: a
difference of these two groups of as many standard errors as the greatest one among all pairs stays below in nearly all
resamples, if all groups are really alike (Westfall and Young, "Resampling-Based Multiple Testing", 1993). The resamples
are those of `mien.learn.evaluation.metrics`, whole groups of twins, the same for all figures.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mien.arrays import Codes, Doubles, Mask
from mien.errors import DataError
from mien.estimate.calibrate import Calibration, expectation, intervals
from mien.learn.audits.fairness.equal_ages import CELL, AgeMix
from mien.learn.audits.fairness.fairness_report import FIGURES, FairnessGroup, FairnessReport, Gap, Partition
from mien.learn.audits.groups import age_band, crossed, named, stated
from mien.learn.data.manifest import Manifest
from mien.learn.data.predictions import Predictions
from mien.learn.evaluation import metrics
from mien.learn.evaluation.metrics import Interval, Metric

Array = NDArray[Any]

MIN_FACES = 30

_WHOLE = ("", "all")


def measure(
    predictions: Predictions,
    faces: Manifest,
    *,
    by: Sequence[str],
    calibration: Calibration,
    interval_level: float = 0.9,
    min_faces: int = MIN_FACES,
    resamples: int = 1000,
    level: float = 0.95,
    seed: int = 0,
) -> FairnessReport:
    """Figures of every group, of every intersection of groups, and the largest gaps between them.

    Args:
        predictions: calibrated answers; those for other pictures are passed over.
        faces: the fold to measure on; faces without an answer are counted.
        by: names of `mien.learn.audits.groups.GROUPINGS`; two or more are crossed as well.
        calibration: of the model, for its intervals.
        interval_level: share of true ages that those intervals are to hold.
        min_faces: a smaller group is named, but not measured.
        resamples: of the bootstrap.
        level: of the bootstrap's intervals, and of what chance makes of a gap.
        seed: of the bootstrap.

    Raises:
        UsageError: an unknown group, or none.
        DataError: no face has both an answer and a label, two pictures have one name, or the data do not say the group.
    """
    names = named(by)
    stated(names, faces)
    counts, answers, known = _matched(predictions, faces)
    questions = _questions(answers, known, calibration, interval_level)
    cells = {_WHOLE: _Cell.of(np.ones(len(known), np.bool_), questions)}
    unknown = {}
    for combo in (combo for size in range(1, len(names) + 1) for combo in combinations(names, size)):
        partition = " x ".join(combo)
        groups, codes = crossed(combo, known)
        unknown[partition] = int((codes < 0).sum())
        bands = None if "age-band" in combo else age_band(known)
        cells |= {
            (partition, name): _Cell.of(codes == at, questions, bands, min_faces) for at, name in enumerate(groups)
        }
    found = _resampled(cells, known, resamples, seed)
    settings = {
        "by": names,
        "interval_level": interval_level,
        "min_faces": min_faces,
        "faces_to_stand_for_a_band": CELL,
        "level": level,
        "resamples": resamples,
        "seed": seed,
    }
    partitions = {
        partition: _partition({name: found[at, name] for at, name in cells if at == partition}, number, level)
        for partition, number in unknown.items()
    }
    return FairnessReport(predictions.model, counts, settings, found[_WHOLE].group("all", level), partitions)


@dataclass(frozen=True)
class _Question:
    """One figure's answers and labels, rows as the faces [N]; `rows` says who has both."""

    metric: Metric
    prediction: Array
    truth: Array
    rows: Mask


@dataclass(frozen=True)
class _Rows:
    """The faces `at` [n] of a group that some questions can be asked of; also at equal ages if a mix is given."""

    questions: Mapping[str, _Question]
    at: Codes
    mix: AgeMix | None

    def __call__(self, counts: Doubles) -> dict[tuple[str, bool], Doubles]:
        """[R, N], how often each face counts -> for each figure, plain and at equal ages, [R]."""
        weights = counts[:, self.at]
        found = self._ask(False, self.at, weights)
        if self.mix is not None:
            aged = self.mix.member[self.at] >= 0
            at = self.at[aged]
            found |= self._ask(True, at, self.mix.weigh(weights if aged.all() else weights[:, aged], at))
        return found

    def _ask(self, at_equal_ages: bool, at: Codes, weights: Doubles) -> dict[tuple[str, bool], Doubles]:
        return {
            (name, at_equal_ages): question.metric(question.prediction[at], question.truth[at], weights)
            for name, question in self.questions.items()
        }


@dataclass(frozen=True)
class _Cell:
    """One group, before it is measured."""

    faces: int
    ages: int
    genders: int
    effective: float
    joined: tuple[str, ...]
    rows: tuple[_Rows, ...]

    @classmethod
    def of(
        cls, rows: Mask, questions: Mapping[str, _Question], bands: Codes | None = None, min_faces: int = 1
    ) -> _Cell:
        """A group's rows [N]; with the age bands [N] of all faces it is measured at equal ages too."""
        aged, gendered = (rows & questions[name].rows for name in ("mae", "accuracy"))
        mix = None if bands is None or not (bands >= 0).any() else AgeMix.of(aged, bands)
        effective = 0.0 if mix is None else mix.effective(aged)
        parts = []
        for known, of_gender in ((aged, False), (gendered, True)):
            if known.sum() >= min_faces:
                asked = {name: question for name, question in questions.items() if (name == "accuracy") is of_gender}
                parts.append(_Rows(asked, np.flatnonzero(known), mix if effective >= min_faces else None))
        names = () if mix is None else mix.joined
        return cls(int(rows.sum()), int(aged.sum()), int(gendered.sum()), effective, names, tuple(parts))

    def draw(self, counts: Doubles) -> dict[tuple[str, bool], Doubles]:
        """[R, N], how often each face counts -> every figure [R]."""
        return {key: values for part in self.rows for key, values in part(counts).items()}


@dataclass(frozen=True)
class _Figure:
    """A figure, and what the resamples make of it [R]."""

    value: float
    draws: Doubles

    def interval(self, level: float) -> Interval:
        low, high = np.nanquantile(self.draws, [(1 - level) / 2, (1 + level) / 2])
        return Interval(self.value, float(low), float(high))


@dataclass(frozen=True)
class _Found:
    """A measured group; figures by name and whether they are at equal ages."""

    cell: _Cell
    figures: Mapping[tuple[str, bool], _Figure]

    def group(self, name: str, level: float) -> FairnessGroup:
        plain, equal = (
            {figure: self.figures[figure, at].interval(level) for figure in FIGURES if (figure, at) in self.figures}
            for at in (False, True)
        )
        cell = self.cell
        return FairnessGroup(name, cell.faces, cell.ages, cell.genders, plain, cell.effective, equal, cell.joined)


def _resampled(
    cells: Mapping[tuple[str, str], _Cell], faces: Manifest, n: int, seed: int
) -> dict[tuple[str, str], _Found]:
    """Every figure of every cell, on all faces and on the same resamples of them."""
    whole = {key: cell.draw(np.ones((1, len(faces)))) for key, cell in cells.items()}
    steps = [
        {key: cell.draw(counts) for key, cell in cells.items()} for counts in metrics.resamples(faces.twins, n, seed)
    ]
    return {
        key: _Found(
            cell,
            {
                figure: _Figure(float(value[0]), np.concatenate([step[key][figure] for step in steps]))
                for figure, value in whole[key].items()
            },
        )
        for key, cell in cells.items()
    }


def _partition(found: Mapping[str, _Found], unknown: int, level: float) -> Partition:
    groups = tuple(own.group(name, level) for name, own in found.items())
    return Partition(groups, _gaps(found, level, False), _gaps(found, level, True), unknown)


def _gaps(found: Mapping[str, _Found], level: float, at_equal_ages: bool) -> dict[str, Gap]:
    gaps = {}
    for figure in FIGURES:
        key = figure, at_equal_ages
        having = {name: own.figures[key] for name, own in found.items() if key in own.figures}
        if len(having) > 1:
            gaps[figure] = _gap(figure, having, level)
    return gaps


def _gap(figure: str, groups: Mapping[str, _Figure], level: float) -> Gap:
    """Between the highest and the lowest of the groups, and what chance would make of it if all were alike."""
    values = {name: group.value for name, group in groups.items()}
    highest, lowest = max(values, key=values.__getitem__), min(values, key=values.__getitem__)
    harm = {name: FIGURES[figure].harm(value) for name, value in values.items()}
    worst, best = max(harm, key=harm.__getitem__), min(harm, key=harm.__getitem__)
    high, low = groups[highest], groups[lowest]
    difference = _Figure(high.value - low.value, high.draws - low.draws)
    errors = greatest_difference(np.stack([group.draws - group.value for group in groups.values()]), level)
    chance = errors * float(np.nanstd(difference.draws))
    return Gap(difference.interval(level), chance, highest, lowest, worst, best)


def greatest_difference(deviations: Doubles, level: float) -> float:
    """What the greatest difference of any two of K groups stays below in a share `level` of resamples.

    Args:
        deviations: [K, R] of the groups' figures in each resample from those of all faces.
        level: share of resamples.

    Returns:
        In standard errors of the difference; 0 where nothing varies.
    """
    greatest = np.zeros(deviations.shape[1])
    for at, own in enumerate(deviations[:-1]):
        others = np.abs(deviations[at + 1 :] - own)
        error = np.nanstd(deviations[at + 1 :] - own, axis=1)[:, None]
        scaled = np.divide(others, error, out=np.zeros_like(others), where=error > 0)
        greatest = np.fmax(greatest, np.fmax.reduce(scaled, axis=0))
    return float(np.quantile(greatest, level))


def _questions(
    predictions: Predictions, faces: Manifest, calibration: Calibration, level: float
) -> dict[str, _Question]:
    """By figure, in the order of `FIGURES`; an answer that is NaN is none."""
    pmf, ages = predictions.pmf, faces.age.astype(np.float64)
    aged = np.isfinite(ages) & np.isfinite(pmf).all(axis=1)
    gendered = (faces.female >= 0) & np.isfinite(predictions.female)
    years, ends = np.full(len(faces), np.nan), np.full((len(faces), 2), np.nan)
    years[aged] = expectation(pmf[aged])
    ends[aged] = np.stack(intervals(pmf[aged], level, calibration), axis=1)
    found = {
        "mae": _Question(metrics.mae, years, ages, aged),
        "bias": _Question(metrics.bias, years, ages, aged),
        "cs5": _Question(metrics.cs5, years, ages, aged),
        "accuracy": _Question(metrics.accuracy, predictions.female, faces.female, gendered),
        "coverage": _Question(metrics.coverage, ends, ages, aged),
        "width": _Question(metrics.width, ends, ages, aged),
    }
    return {name: found[name] for name in FIGURES}


def _matched(predictions: Predictions, faces: Manifest) -> tuple[dict[str, int], Predictions, Manifest]:
    """Counts, and row by row the answers and labels of the faces that have both."""
    rows = predictions.rows(faces.files)
    if any(len(np.unique(files)) < len(files) for files in (predictions.files, faces.files)):
        raise DataError("two pictures have the same name: audit one data set at a time")
    usable = (rows >= 0) & (np.isfinite(faces.age) | (faces.female >= 0))
    if not usable.any():
        raise DataError(f"none of {len(faces)} faces has both a label and one of the {len(predictions)} answers")
    kept, known = rows[usable], faces.take(usable)
    answers = Predictions(predictions.files[kept], predictions.pmf[kept], predictions.female[kept])
    counts = {
        "listed": len(faces),
        "measured": len(known),
        "without_an_answer": int((rows < 0).sum()),
        "unknown_ages": int(np.isnan(known.age).sum()),
        "unknown_genders": int((known.female < 0).sum()),
    }
    return counts, answers, known
