from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.stats import binomtest

from mien.errors import DataError
from mien.estimate.age_check import RATES, SPAN, old_enough
from mien.learn.evaluation.age_check_thresholds import allowed_errors, fit_thresholds


def seen(rng: np.random.Generator, ages: NDArray[np.float64]) -> NDArray[np.float64]:
    """Distributions [N, 117] of a model that is off by three years and knows it."""
    centre = ages + rng.normal(0, 3, len(ages))
    mass = np.exp(-0.5 * ((np.arange(117) - centre[:, None]) / 3) ** 2)
    return np.asarray(mass / mass.sum(axis=1, keepdims=True))


def test_thresholds_keep_their_rate_on_fresh_faces_with_the_promised_confidence() -> None:
    rng = np.random.default_rng(0)
    broken, strict = [], []
    fresh = rng.integers(18 - SPAN, 18, 20_000).astype(np.float64)
    passed = old_enough(seen(rng, fresh), 18)
    for _ in range(200):
        ages = rng.integers(18 - SPAN, 18 + SPAN, 1100).astype(np.float64)
        rule = fit_thresholds(seen(rng, ages), ages, source="").rule(18, 0.05, 0.05)
        broken.append((passed > rule.pass_above).mean() > 0.05)
        strict.append((passed > rule.pass_above).mean())
    assert np.mean(broken) <= 0.14  # 10 % promised; 14 % is the 97 % quantile of 200 such trials
    assert np.mean(strict) > 0.02  # and not by letting nobody pass


def test_adults_fail_as_seldom_as_wanted() -> None:
    rng = np.random.default_rng(1)
    ages = rng.integers(5, 35, 4000).astype(np.float64)
    rule = fit_thresholds(seen(rng, ages), ages, source="").rule(18, 0.05, 0.02)
    adults = rng.integers(18, 18 + SPAN, 20_000).astype(np.float64)
    assert 0.005 < (old_enough(seen(rng, adults), 18) < rule.fail_below).mean() < 0.025


@pytest.mark.parametrize("n", [60, 300, 700, 2000])
@pytest.mark.parametrize("rate", RATES)
def test_allowed_errors_agree_with_the_binomial_test(n: int, rate: float) -> None:
    allowed = allowed_errors(n, rate, 0.9)
    shown = [k for k in range(n) if binomtest(k, n, rate, "less").pvalue <= 0.1]
    assert allowed == (shown[-1] if shown else None)


def test_limits_without_faces_are_left_out() -> None:
    rng = np.random.default_rng(2)
    ages = rng.integers(10, 30, 3000).astype(np.float64)
    ages[:20] = np.nan
    checks = fit_thresholds(seen(rng, np.nan_to_num(ages, nan=50)), ages, source="here")
    assert min(checks.passing) == 11
    assert max(checks.passing) == 29
    assert checks.source == "here"
    assert checks.faces[20] == (int(((ages >= 12) & (ages < 20)).sum()), int(((ages >= 20) & (ages < 28)).sum()))


def test_too_few_faces_are_refused() -> None:
    with pytest.raises(DataError, match="a limit needs 100 faces"):
        fit_thresholds(np.full((50, 117), 1 / 117), np.arange(50), source="")
