import json
from collections.abc import Callable
from math import isclose
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray

from mien.errors import ModelError
from mien.estimate.calibrate import AGES, LEVELS, Calibration, expectation, fit, interval, intervals, median, summarise
from mien.estimate.calibrate import scores as conformal_scores

Array = NDArray[Any]

AS_IS = Calibration.identity()
YEARS = np.arange(AGES)


def point(age: int) -> Array:
    mass: Array = np.eye(AGES)[age]
    return mass


def bells(rng: np.random.Generator, n: int) -> Array:
    """True age distributions [N, 117] of faces between 5 and 95 years."""
    centre, spread = rng.uniform(5, 95, (n, 1)), rng.uniform(2, 8, (n, 1))
    mass = np.exp(-0.5 * ((YEARS - centre) / spread) ** 2)
    return normalised(mass)


def normalised(mass: Array) -> Array:
    pmf: Array = mass / mass.sum(axis=-1, keepdims=True)
    return pmf


def draw(rng: np.random.Generator, pmf: Array) -> Array:
    """An age from each distribution."""
    ages: Array = (pmf.cumsum(axis=1) < rng.random((len(pmf), 1))).sum(axis=1).clip(0, AGES - 1)
    return ages


def sharpen(pmf: Array, power: float) -> Array:
    return normalised(pmf**power)


distributions = (
    arrays(np.float64, AGES, elements=st.floats(0, 1)).filter(lambda mass: bool(mass.sum() > 0.1)).map(normalised)
)
fixed = settings(derandomize=True, deadline=None, max_examples=60)


def test_known_temperatures_are_recovered() -> None:
    rng = np.random.default_rng(0)
    truth, odds = bells(rng, 3000), rng.normal(0, 1.5, 3000)
    is_female = rng.random(3000) < 1 / (1 + np.exp(-odds))
    learned = fit(sharpen(truth, 2.5), 1 / (1 + np.exp(-3 * odds)), draw(rng, truth), is_female)
    assert isclose(learned.age_temperature, 2.5, rel_tol=0.06)
    assert isclose(learned.gender_temperature, 3.0, rel_tol=0.1)


def test_temperature_gives_back_the_true_distribution() -> None:
    truth = bells(np.random.default_rng(1), 20)
    pmf, female = Calibration(2.0, 2.0, ()).apply(sharpen(truth, 2), np.array([0.8] * 20))
    np.testing.assert_allclose(pmf, truth, atol=1e-6)
    np.testing.assert_allclose(female, 2 / 3, atol=1e-6)  # odds 4 become odds 2


def test_apply_keeps_shapes_and_takes_certainty() -> None:
    pmf, female = Calibration(1.7, 0.6, ()).apply(np.stack([point(0), point(116)]), np.array([0.0, 1.0]))
    assert pmf.shape == (2, AGES)
    assert pmf.dtype == female.dtype == np.dtype(np.float32)
    np.testing.assert_allclose(pmf.sum(axis=1), 1, atol=1e-6)
    assert pmf.argmax(axis=1).tolist() == [0, 116]
    assert female[0] < 1e-6 < 1 - 1e-6 < female[1]
    assert Calibration(1.7, 0.6, ()).apply(pmf[:0], female[:0])[0].shape == (0, AGES)
    assert Calibration(1.7, 0.6, ()).apply(pmf[0], female[0])[0].shape == (AGES,)


@pytest.mark.parametrize("fault", [lambda p: p, lambda p: sharpen(p, 3), lambda p: np.roll(p, 6, axis=1)])
def test_intervals_cover_as_many_ages_as_they_say_even_of_a_wrong_model(fault: Callable[[Array], Array]) -> None:
    rng = np.random.default_rng(2)
    truth = bells(rng, 8000)
    pmf, ages = fault(truth), draw(rng, truth)
    learned = fit(pmf[:4000], np.full(4000, 0.5), ages[:4000], np.full(4000, -1))
    calibrated, _ = learned.apply(pmf[4000:], np.full(4000, 0.5))
    for level in (0.5, 0.8, 0.9, 0.95):
        low, high = intervals(calibrated, level, learned)
        assert abs(((low <= ages[4000:]) & (ages[4000:] <= high)).mean() - level) < 0.02


def test_an_honest_model_is_taken_at_its_word() -> None:
    rng = np.random.default_rng(3)
    truth = bells(rng, 5000)
    learned = fit(truth, np.full(5000, 0.5), draw(rng, truth), np.full(5000, -1))
    assert isclose(learned.age_temperature, 1.0, rel_tol=0.05)
    assert all(abs(mass - level) < 0.03 for level, mass in learned.central_mass)


@fixed
@given(distributions, st.floats(0.02, 0.97))
def test_intervals_lie_among_the_ages_and_grow_with_the_level(pmf: Array, level: float) -> None:
    inner, outer = interval(pmf, level, AS_IS), interval(pmf, level + 0.02, AS_IS)
    assert 0 <= outer[0] <= inner[0] <= summarise(pmf)[1] <= inner[1] <= outer[1] <= 116


@fixed
@given(distributions, st.sampled_from([0.1234567, 0.5432101, 0.8765432]))
def test_an_interval_holds_exactly_the_ages_whose_score_is_within_its_mass(pmf: Array, level: float) -> None:
    low, high = interval(pmf, level, AS_IS)
    inside = (low <= YEARS) & (high >= YEARS)
    assert (inside == (conformal_scores(np.tile(pmf, (AGES, 1)), YEARS) <= level)).all()


@pytest.mark.parametrize("age", [0, 1, 40, 115, 116])
def test_all_mass_on_one_age(age: int) -> None:
    assert summarise(point(age)) == (age, age)
    low, high = interval(point(age), 0.9, AS_IS)
    assert max(0, age - 0.5) <= low <= age <= high <= min(116, age + 0.5)
    assert conformal_scores(point(age)[None], np.array([age])) == [0.0]


def test_ends_are_interpolated_within_a_year_around_the_label() -> None:
    uniform = np.zeros(AGES)
    uniform[20:30] = 0.1  # the ages 20 to 29: from 19.5 to 29.5 years
    assert interval(uniform, 0.5, AS_IS) == pytest.approx((22.0, 27.0))
    assert summarise(uniform) == pytest.approx((24.5, 24.5))


def test_a_gap_in_the_distribution() -> None:
    two = 0.5 * (point(10) + point(20))
    assert summarise(two) == (15.0, 15.0)
    low, high = interval(two, 0.01, AS_IS)
    assert low < 10.5
    assert high > 19.5


def test_a_level_that_few_faces_cannot_warrant_gives_every_age() -> None:
    learned = fit(np.tile(point(30), (5, 1)), np.full(5, 0.5), np.array([30] * 5), np.full(5, -1))
    assert dict(learned.central_mass)[0.9] == 1.0
    assert interval(point(30), 0.9, learned) == (0.0, 116.0)


def test_finite_sample_rank() -> None:
    ages = np.arange(20, 39)  # 19 faces: the 90 % mass is the ceil(20 * 0.9) = 18th score of 19
    uniform = np.full((19, AGES), 1 / AGES)
    ordered = np.sort(np.abs(2 * (ages + 0.5) / AGES - 1))
    assert dict(fit(uniform, np.full(19, 0.5), ages, np.full(19, -1)).central_mass)[0.9] == pytest.approx(ordered[17])


def test_what_has_no_label_stays_as_it_is() -> None:
    nothing = fit(np.tile(point(30), (3, 1)), np.array([0.1, 0.5, 0.9]), np.full(3, np.nan), np.full(3, -1))
    assert nothing == AS_IS
    rng = np.random.default_rng(4)
    pmf = bells(rng, 400)
    ages = draw(rng, pmf).astype(float)
    half = np.where(np.arange(400) < 200, ages, np.nan)
    known = fit(pmf[:200], np.full(200, 0.5), ages[:200], np.full(200, -1))
    assert fit(pmf, np.full(400, 0.5), half, np.full(400, -1)) == known


def test_mass_between_learned_levels() -> None:
    learned = Calibration(1.0, 1.0, ((0.5, 0.4), (0.9, 0.8)))
    assert learned.mass(0.7) == pytest.approx(0.6)
    assert learned.mass(0.25) == pytest.approx(0.2)
    assert learned.mass(0.95) == pytest.approx(0.9)


@pytest.mark.parametrize("level", [0.0, 1.0, 90.0])
def test_a_level_outside_0_to_1_is_refused(level: float) -> None:
    with pytest.raises(ValueError, match="between 0 and 1"):
        interval(point(30), level, AS_IS)


def test_vector_forms_agree_with_the_single_one() -> None:
    pmf = bells(np.random.default_rng(5), 7)
    low, high = intervals(pmf, 0.8, AS_IS)
    assert [interval(row, 0.8, AS_IS) for row in pmf] == list(zip(low, high, strict=True))
    np.testing.assert_allclose([summarise(row) for row in pmf], np.stack([expectation(pmf), median(pmf)], axis=1))
    assert intervals(pmf[:0], 0.8, AS_IS)[0].shape == expectation(pmf[:0]).shape == median(pmf[:0]).shape == (0,)


def test_through_json_and_back() -> None:
    rng = np.random.default_rng(6)
    pmf = bells(rng, 300)
    learned = fit(pmf, rng.random(300), draw(rng, pmf), rng.integers(0, 2, 300))
    assert [level for level, _ in learned.central_mass] == list(LEVELS)
    assert Calibration.from_dict(json.loads(json.dumps(learned.to_dict()))) == learned


@pytest.mark.parametrize(
    "change",
    [
        {"age_temperature": 0},
        {"gender_temperature": float("nan")},
        {"age_temperature": "hot"},
        {"central_mass": [[0.9, 0.8], [0.5, 0.9]]},
        {"central_mass": [[0.5, 0.9], [0.9, 0.8]]},
        {"central_mass": [[0.5, 1.2]]},
        {"central_mass": 3},
    ],
)
def test_a_malformed_record_is_refused(change: dict[str, Any]) -> None:
    with pytest.raises(ModelError, match="calibration"):
        Calibration.from_dict({**Calibration(1.0, 1.0, ((0.5, 0.4),)).to_dict(), **change})


def test_a_missing_field_is_refused() -> None:
    with pytest.raises(ModelError, match="gender_temperature"):
        Calibration.from_dict({"age_temperature": 1.0, "central_mass": []})
