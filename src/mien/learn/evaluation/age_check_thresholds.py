"""Thresholds for age checks, learned from faces that the model, or one like it, was not trained on.

A threshold that lets exactly 1 % of the learning faces pass would let more than 1 % of others pass every second time.
So it is moved until at most 1 % pass with 90 % confidence, by the binomial test (the bound of Clopper and Pearson, as
used in Angelopoulos et al., "Learn then test: calibrating predictive algorithms to achieve risk control", 2021).
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from mien.errors import DataError
from mien.estimate.age_check import LEAST_FACES, RATES, SPAN, AgeChecks, old_enough
from mien.estimate.calibrate import OLDEST

CONFIDENCE = 0.9
"""With which a threshold keeps its rate."""


def fit_thresholds(pmf: NDArray[Any], ages: NDArray[Any], *, source: str) -> AgeChecks:
    """Learn the thresholds of every limit for which there are faces.

    Args:
        pmf: [N, 117] calibrated age distributions of held-out or cross-fitted faces.
        ages: [N] true ages in whole years, NaN where unknown.
        source: what they are, in words, for the model's config.json.

    Raises:
        DataError: no limit has enough faces.
    """
    ages = np.asarray(ages, np.float64)
    passing: dict[int, dict[float, float]] = {}
    failing: dict[int, dict[float, float]] = {}
    faces: dict[int, tuple[int, int]] = {}
    most = (0, 0, 0)
    for limit in range(1, OLDEST):
        below = (ages >= limit - SPAN) & (ages < limit)
        above = (ages >= limit) & (ages < limit + SPAN)
        if (fewer := int(min(below.sum(), above.sum()))) < LEAST_FACES:
            most = max(most, (fewer, int(below.sum()), int(above.sum())))
            continue
        share = old_enough(pmf, limit)
        passing[limit] = _thresholds(share[below])
        failing[limit] = {rate: _up(1 - value) for rate, value in _thresholds(1 - share[above]).items()}
        faces[limit] = int(below.sum()), int(above.sum())
    if not passing:
        raise DataError(
            f"a limit needs {LEAST_FACES} faces of up to {SPAN} years below it and as many above, and these have "
            f"{most[1]} and {most[2]} at best; the same faces again will not do"
        )
    return AgeChecks(passing, failing, CONFIDENCE, faces, source)


def _thresholds(scores: NDArray[np.float64]) -> dict[float, float]:
    """Rate -> the score that at most so many exceed, for each rate that so many scores can warrant."""
    ordered = np.sort(scores)[::-1]
    allowed = {rate: allowed_errors(len(ordered), rate, CONFIDENCE) for rate in RATES}
    return {rate: _up(float(ordered[count])) for rate, count in allowed.items() if count is not None}


def allowed_errors(n: int, rate: float, confidence: float) -> int | None:
    """Most errors among n that show, with this confidence, that the true rate is at most `rate`; None: not even 0 do.

    >>> allowed_errors(700, 0.01, 0.9), allowed_errors(50, 0.01, 0.9)
    (3, None)
    """
    from scipy.stats import binom

    counts = np.arange(int(n * rate) + 1)
    enough = np.flatnonzero(binom.cdf(counts, n, rate) <= 1 - confidence)
    return int(enough[-1]) if len(enough) else None


def _up(value: float) -> float:
    """To six places, never down: thresholds must not let more faces pass for having been rounded."""
    return min(1.0, float(np.ceil(value * 1e6) / 1e6))
