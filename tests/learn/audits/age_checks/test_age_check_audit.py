from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from scipy.stats import binomtest

from mien.errors import DataError, UsageError
from mien.estimate.age_check import AgeChecks, old_enough
from mien.learn.audits.age_checks.age_check_audit import LEAST_FACES, AgeCheckReport, measure
from mien.learn.audits.age_checks.age_check_plots import plot
from mien.learn.data.manifest import Manifest
from mien.learn.data.predictions import Predictions
from mien.learn.evaluation.age_check_thresholds import fit_thresholds

N = 3000


def people(seed: int = 0, error: float = 3.0) -> tuple[Predictions, Manifest]:
    """Faces of 5 to 45 years, seen by a model that is off by some years and knows it."""
    rng = np.random.default_rng(seed)
    ages = rng.integers(5, 46, N)
    centre = ages + rng.normal(0, error, N)
    mass = np.exp(-0.5 * ((np.arange(117) - centre[:, None]) / error) ** 2)
    files = np.array([f"{at}.jpg" for at in range(N)])
    blank = np.full(N, "")
    manifest = Manifest(
        files=files,
        paths=tuple(Path(name) for name in files.tolist()),
        exists=np.ones(N, np.bool_),
        age=ages.astype(np.float32),
        female=(np.arange(N) % 2).astype(np.int8),
        group=blank,
        fold=blank,
        coral=blank,
        coral_twin=np.zeros(N, np.bool_),
        race=np.full(N, -1, np.int8),
        source=np.full(N, "here"),
    )
    pmf = (mass / mass.sum(axis=1, keepdims=True)).astype(np.float32)
    return Predictions(files, pmf, np.full(N, 0.5, np.float32), {}, "model"), manifest


@pytest.fixture(scope="module")
def checks() -> AgeChecks:
    predictions, faces = people(1)
    return fit_thresholds(predictions.pmf, faces.age, source="other faces")


@pytest.fixture(scope="module")
def report(checks: AgeChecks) -> AgeCheckReport:
    return measure(*people(2), checks, limits=(16, 18), max_false_pass=0.05, max_false_fail=0.05, resamples=200)


def test_shares_are_counted_as_by_hand(report: AgeCheckReport) -> None:
    predictions, faces = people(2)
    one = report.limits[18]
    share = old_enough(predictions.pmf, 18)
    below = (faces.age >= 10) & (faces.age < 18)
    cell = one.cells["below"]
    assert cell.faces == below.sum()
    assert cell.passed is not None
    assert cell.failed is not None
    assert cell.unsure is not None
    assert cell.passed.value == pytest.approx((share[below] > one.rule.pass_above).mean())
    assert cell.passed.value + cell.failed.value + cell.unsure.value == pytest.approx(1)
    assert cell.passed.value < 0.06  # wanted: 5 %
    women = one.cells["below female"]
    assert women.faces == (below & (faces.female == 1)).sum()
    year = one.years["all"][20]
    assert year.passed is not None
    assert year.passed.value == pytest.approx((share[faces.age == 20] > one.rule.pass_above).mean())


def test_a_count_of_nothing_has_the_exact_interval(checks: AgeChecks) -> None:
    predictions, faces = people(3, error=0.5)  # so sure that nobody passes wrongly
    cell = measure(predictions, faces, checks, limits=[18]).limits[18].cells["below"]
    assert cell.passed is not None
    assert cell.passed.value == cell.passed.low == 0
    exact = binomtest(0, cell.faces).proportion_ci(0.95, "exact")
    assert cell.passed.high == pytest.approx(exact.high)


def test_the_rule_of_a_shop_trades_one_error_for_the_other(report: AgeCheckReport) -> None:
    curve = report.limits[18].challenges
    assert [c.age for c in curve[:3]] == [18, 19, 20]
    assert all(a.false_pass >= b.false_pass and a.stopped <= b.stopped for a, b in pairwise(curve))
    assert curve[0].false_pass > 0.1 > curve[-1].false_pass


def test_too_few_faces_are_said_not_measured(checks: AgeChecks) -> None:
    predictions, faces = people(2)
    few = faces.take(
        np.concatenate([np.flatnonzero(faces.age == 17)[: LEAST_FACES - 1], np.flatnonzero(faces.age > 20)])
    )
    report = measure(predictions, few, checks, limits=[18])
    cell = report.limits[18].cells["below"]
    assert (cell.faces, cell.passed) == (LEAST_FACES - 1, None)
    assert "| -" in report.to_markdown()


def test_bad_questions_are_refused(checks: AgeChecks) -> None:
    predictions, faces = people(2)
    with pytest.raises(UsageError, match="cannot check for an age of 90"):
        measure(predictions, faces, checks, limits=[90])
    with pytest.raises(UsageError, match="at least one limit"):
        measure(predictions, faces, checks, limits=[])
    nameless = Manifest(**{**vars(faces), "age": np.full(N, np.nan, np.float32)})
    with pytest.raises(DataError, match="no face has a known age"):
        measure(predictions, nameless, checks, limits=[18])


def test_for_programs_and_for_people(report: AgeCheckReport) -> None:
    record = report.to_dict()["limits"]["18"]
    assert record["groups"]["below"]["faces"] == report.limits[18].cells["below"].faces
    assert record["challenge_age"][0]["age"] == 18
    text = report.to_markdown()
    assert "at most 5 % false passes" in text
    assert "Limit 16, by age" in text
    assert len(plot(report).axes) == 4
