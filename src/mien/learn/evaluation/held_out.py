"""Faces that a model was not trained on, of one or several collections, and what it learns of itself from them.

Collections count alike, however many faces they have: a model errs more on photographs unlike those it learned from,
and intervals learned from its home alone would be too narrow abroad.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mien.estimate.calibrate import Calibration, intervals
from mien.learn.data.manifest import Manifest
from mien.learn.data.predictions import ChipEstimator, Predictions, predict
from mien.learn.evaluation.calibration_fit import fit_calibration, with_doubtful
from mien.learn.evaluation.evaluate import paired
from mien.learn.evaluation.poor_views import predict_poor_views

NARROW = 3.0
"""Years between bounds up to which their middle is taken for the age; wider ones tell too little of an interval."""


LEVEL = 0.9
"""Of the intervals that `LearnedCalibration.held` tells of."""


@dataclass(frozen=True)
class Answered:
    """Raw answers for labelled faces, and how much each face counts.

    Attributes:
        pmf: [N, 117] age distributions.
        female: [N] probabilities of "female".
        ages: [N] in whole years, NaN where unknown.
        is_female: [N] 1 female, 0 male, -1 unknown.
        weights: [N], of each collection 1 in all.
        part: [N] the number of the collection.
    """

    pmf: NDArray[np.float32]
    female: NDArray[np.float32]
    ages: NDArray[np.float32]
    is_female: NDArray[np.int8]
    weights: NDArray[np.float64]
    part: NDArray[np.intp]

    def __len__(self) -> int:
        return len(self.ages)


@dataclass(frozen=True)
class LearnedCalibration:
    """A calibration, and how well its intervals hold on the collections it was learned from.

    Attributes:
        calibration: to be kept with the model.
        answered: what it was learned from.
        held: of each collection the share of ages in 90 % intervals; None without ages.
    """

    calibration: Calibration
    answered: Answered
    held: tuple[float | None, ...]


def whole_ages(faces: Manifest) -> NDArray[np.float32]:
    """Ages in whole years [N], of narrow bounds the middle; NaN where nothing so exact is known."""
    low, high = faces.bounds
    ages: NDArray[np.float32] = np.where(high - low <= NARROW, np.floor(faces.middle), np.nan).astype(np.float32)
    return ages


def picture_count(faces: Manifest, *, temperatures: bool = True) -> int:
    """How many pictures `learn_calibration` goes through for a collection."""
    there = faces.present()
    dated = _dated(there)
    return len(there if temperatures else dated) + len(dated)


def join_answers(found: Sequence[tuple[Predictions, Manifest]]) -> Answered:
    """Answers beside labels, the collections one after another.

    Raises:
        DataError: no face of a collection has both.
    """
    pairs = [paired(answers, faces) for answers, faces in found]
    sizes = [len(faces) for _, _, faces in pairs]
    return Answered(
        np.concatenate([pmf for pmf, _, _ in pairs]),
        np.concatenate([female for _, female, _ in pairs]),
        np.concatenate([whole_ages(faces) for _, _, faces in pairs]),
        np.concatenate([faces.female for _, _, faces in pairs]),
        np.concatenate([np.full(size, 1 / size) for size in sizes]),
        np.repeat(np.arange(len(sizes)), sizes),
    )


def learn_calibration(
    estimator: ChipEstimator,
    collections: Sequence[Manifest],
    *,
    temperatures: bool = True,
    threads: int = 2,
    progress: Callable[[int], None] = lambda done: None,
) -> LearnedCalibration:
    """Temperatures and masses of intervals from held-out chips, and from small and blurred copies of them.

    Args:
        estimator: the model with its raw answers.
        collections: at least one; faces that it was not trained on.
        temperatures: false: learn masses alone, see `fit_calibration`; only faces with ages serve then.
        threads: that decode.
        progress: told how many pictures were done since the last call; those with ages are done twice.

    Raises:
        DataError: a collection has no face that can be used, or all of them together too few.
    """
    dated = [_dated(faces) for faces in collections]  # poor views serve the intervals of ages alone
    sure = collections if temperatures else dated
    clean = join_answers([(predict(estimator, faces, threads=threads, progress=progress), faces) for faces in sure])
    poor = join_answers(
        [(predict_poor_views(estimator, faces, threads=threads, progress=progress), faces) for faces in dated]
    )
    calibration = fit_calibration(
        clean.pmf, clean.female, clean.ages, clean.is_female, weights=clean.weights, temperatures=temperatures
    )
    calibration = with_doubtful(calibration, poor.pmf, poor.ages, poor.weights)
    return LearnedCalibration(calibration, clean, _held(clean, calibration))


def _dated(faces: Manifest) -> Manifest:
    """The faces whose age is known; all where none is."""
    known = np.isfinite(whole_ages(faces))
    return faces.take(known) if known.any() else faces


def _held(faces: Answered, calibration: Calibration) -> tuple[float | None, ...]:
    low, high = intervals(calibration.apply(faces.pmf, faces.female)[0], LEVEL, calibration)
    inside, known = (low <= faces.ages) & (faces.ages <= high), np.isfinite(faces.ages)
    parts = [inside[known & (faces.part == part)] for part in range(int(faces.part.max()) + 1)]
    return tuple(float(part.mean()) if len(part) else None for part in parts)
