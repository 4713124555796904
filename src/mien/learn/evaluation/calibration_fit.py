"""What a model's confidence is worth: temperatures and interval masses, learned from faces it was not trained on.

The method is described in `mien.estimate.calibrate`, which applies what is learned here.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mien.arrays import Doubles, Floats
from mien.errors import DataError
from mien.estimate.calibrate import FLOOR, Band, Calibration, Pairs, expectation, log_softmax, logit, scores

LEVELS = (0.5, 0.6, 0.7, 0.75, 0.8, 0.85, 0.9, 0.925, 0.95, 0.975, 0.99)
"""Levels at which masses are learned."""

EDGES = (0.0, 3.0, 10.0, 20.0, 30.0, 40.0, 50.0, 60.0, 70.0)
"""Expected ages at which a band may begin."""

BAND_FACES = 240
"""A band with fewer faces is joined with a neighbour: a 90 % coverage learned from n faces is off by 0.3 / sqrt n."""

LEAST_FACES = 20
"""Fewer faces tell nothing about a model's confidence."""

_TEMPERATURES = (0.05, 20.0)


def fit_calibration(
    pmf: Floats,
    female: Floats,
    ages: NDArray[Any],
    is_female: NDArray[Any],
    *,
    band_faces: int = BAND_FACES,
    weights: NDArray[Any] | None = None,
    temperatures: bool = True,
) -> Calibration:
    """Learn a calibration.

    The temperatures minimise the negative log likelihood. Then the masses are finite-sample quantiles of the scores,
    rank `ceil((n + 1) * level)` of `n`, over all faces and within each band of estimated ages. One temperature learned
    from the same faces does not disturb them noticeably. Weights make them quantiles of another mixture of the faces
    (Tibshirani et al., "Conformal prediction under covariate shift", NeurIPS 2019), e.g. of collections alike.

    Args:
        pmf: [N, 117] raw age distributions.
        female: [N] raw probabilities of "female".
        ages: [N] true ages in whole years, NaN where unknown.
        is_female: [N] 1 female, 0 male, below 0 unknown.
        band_faces: least faces of a band of estimated ages.
        weights: [N] how much each face counts, relative to others; None for all alike.
        temperatures: false: leave both at 1 and learn masses alone. A temperature takes a model's doubt from these
            faces to all others; learned on easy ones, it makes wrong answers sure.

    Returns:
        The calibration; a part without any label stays as the model has it.

    Raises:
        DataError: there are labels, but of fewer than 20 faces.
    """
    ages, is_female = np.asarray(ages, np.float64), np.asarray(is_female)
    known, gendered = np.isfinite(ages), is_female >= 0
    worth = np.ones(len(ages)) if weights is None else np.asarray(weights, np.float64)
    for what, count in (("ages", int(known.sum())), ("genders", int(gendered.sum()))):
        if 0 < count < LEAST_FACES:
            raise DataError(f"{count} faces with known {what} are too few to calibrate on: at least {LEAST_FACES}")
    age_temperature = gender_temperature = 1.0
    masses: Pairs = ()
    bands: tuple[Band, ...] = ()
    if gendered.any() and temperatures:
        log_odds = logit(np.asarray(female, np.float64)[gendered]) * np.where(is_female[gendered] > 0, 1, -1)
        gender_temperature = _temperature(lambda t: float(worth[gendered] @ np.logaddexp(0, -log_odds / t)))
    if known.any():
        logs = np.log(np.maximum(np.asarray(pmf, np.float64)[known], FLOOR))
        label = ages[known].astype(np.intp)
        rows = np.arange(len(label))
        if temperatures:
            age_temperature = _temperature(lambda t: -float(worth[known] @ log_softmax(logs / t)[rows, label]))
        scaled = np.exp(log_softmax(logs / age_temperature))
        score = scores(scaled, ages[known])
        masses = conformal_masses(score, weights=worth[known])
        bands = _bands(score, expectation(scaled), masses, band_faces, worth[known])
    return Calibration(age_temperature, gender_temperature, masses, bands)


def with_doubtful(
    calibration: Calibration, pmf: Floats, ages: NDArray[Any], weights: NDArray[Any] | None = None
) -> Calibration:
    """The same calibration, with masses for faces of poor quality.

    Args:
        calibration: learned already.
        pmf: [N, 117] raw age distributions of poor views of held-out faces (`mien.learn.evaluation.poor_views`).
        ages: [N] true ages in whole years, NaN where unknown.
        weights: [N] as in `fit_calibration`.
    """
    known = np.isfinite(np.asarray(ages, np.float64))
    worth = None if weights is None else np.asarray(weights)[known]
    if known.sum() < LEAST_FACES:
        return calibration
    scaled, _ = calibration.apply(np.asarray(pmf)[known], np.full(int(known.sum()), 0.5))
    return replace(calibration, doubtful=conformal_masses(scores(scaled, np.asarray(ages)[known]), weights=worth))


def conformal_masses(score: Doubles, otherwise: Pairs = (), weights: NDArray[Any] | None = None) -> Pairs:
    """Masses for each of `LEVELS`.

    Args:
        score: [N] conformal scores of held-out faces.
        otherwise: masses to take for levels that so few faces cannot warrant; without it they get 1: every age.
        weights: [N] how much each face counts; None for all alike. A new face counts as much as the average one.

    Returns:
        Pairs (level, mass), ascending.
    """
    order, fallback = np.argsort(score, kind="stable"), dict(otherwise)
    worth = np.ones(len(score)) if weights is None else np.asarray(weights, np.float64)
    held = np.cumsum(worth[order]) * len(score) / max(float(worth.sum()), FLOOR)  # faces up to each score
    pairs, least = [], 0.0
    for level in LEVELS:
        place = int(np.searchsorted(held, (len(score) + 1) * level - 1e-9))
        mass = fallback.get(level, 1.0) if place == len(score) else float(score[order[place]])
        least = max(least, min(1.0, math.ceil(mass * 1e6) / 1e6))
        pairs.append((level, least))
    return tuple(pairs)


def _bands(score: Doubles, years: Doubles, masses: Pairs, least: int, worth: Doubles) -> tuple[Band, ...]:
    """Masses within bands of estimated ages that begin at some of `EDGES` and hold at least so many faces each."""
    firsts = _merged(np.histogram(years, [*EDGES, np.inf])[0].tolist(), least)
    if len(firsts) < 2:
        return ()
    member = np.searchsorted(firsts, years, side="right") - 1
    rows = [member == number for number in range(len(firsts))]
    return tuple(
        Band(first, conformal_masses(score[row], masses, worth[row])) for first, row in zip(firsts, rows, strict=True)
    )


def _merged(counts: Sequence[int], least: int) -> list[float]:
    """Beginnings of bands: a band too small takes in the next one, the last of all joins the one before it."""
    firsts, held = [EDGES[0]], 0
    for edge, count in zip(EDGES, counts, strict=True):
        if held >= least:
            firsts.append(edge)
            held = 0
        held += count
    if held < least and len(firsts) > 1:
        firsts.pop()
    return firsts


def _temperature(loss: Callable[[float], float]) -> float:
    """Minimiser of a loss that is convex in 1 / T, by golden-section search over log T."""
    ratio = (math.sqrt(5) - 1) / 2
    low, high = map(math.log, _TEMPERATURES)
    while high - low > 1e-4:
        left, right = high - ratio * (high - low), low + ratio * (high - low)
        if loss(math.exp(left)) < loss(math.exp(right)):
            high = right
        else:
            low = left
    return round(math.exp((low + high) / 2), 4)
