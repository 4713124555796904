import json
from math import isclose
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from mien.errors import ModelError
from mien.estimate.calibrate import AGES, Band, Calibration, expectation, interval, intervals, median
from mien.estimate.calibrate import scores as conformal_scores

Array = NDArray[Any]

AS_IS = Calibration.identity()
EVERY_AGE = Calibration(1.0, 1.0, ((0.9, 1.0),))
LEARNED = Calibration(
    1.3,
    0.8,
    ((0.5, 0.4), (0.9, 0.85)),
    (Band(20.0, ((0.5, 0.3), (0.9, 0.6))), Band(40.0, ((0.5, 0.5), (0.9, 0.95)))),
    ((0.5, 0.6), (0.9, 0.9)),
)
YEARS = np.arange(AGES)


def point(age: int) -> Array:
    mass: Array = np.eye(AGES)[age]
    return mass


def bell(centre: float, spread: float) -> Array:
    return normalised(np.exp(-0.5 * ((YEARS - centre) / spread) ** 2))


def normalised(mass: Array) -> Array:
    pmf: Array = mass / mass.sum(axis=-1, keepdims=True)
    return pmf


def jagged(seed: int, evenness: float) -> Array:
    """Any distribution: a few lonely ages where `evenness` is small."""
    drawn: Array = np.random.default_rng(seed).dirichlet(np.full(AGES, evenness))
    return drawn


distributions = st.builds(jagged, st.integers(0, 2**32 - 1), st.sampled_from([0.01, 0.1, 1.0, 100.0]))
fixed = settings(derandomize=True, deadline=None, max_examples=100)


def test_temperature_gives_back_the_true_distribution() -> None:
    truth = np.stack([bell(centre, 4) for centre in (8, 30, 90)])
    pmf, female = Calibration(2.0, 2.0, ()).apply(normalised(truth**2), np.array([0.8] * 3))
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


def estimates(pmf: Array) -> tuple[float, float]:
    return float(expectation(pmf[None])[0]), float(median(pmf[None])[0])


@fixed
@given(distributions, st.floats(0.02, 0.97))
def test_intervals_lie_among_the_ages_hold_the_expectation_and_grow_with_the_level(pmf: Array, level: float) -> None:
    inner, outer = interval(pmf, level, AS_IS), interval(pmf, level + 0.02, AS_IS)
    assert 0 <= outer[0] <= inner[0] <= expectation(pmf[None])[0] <= inner[1] <= outer[1] <= 116


@fixed
@given(distributions, st.floats(0.02, 0.97))
def test_an_interval_spans_the_ages_whose_score_is_within_its_mass(pmf: Array, level: float) -> None:
    low, high = interval(pmf, level, AS_IS)
    within = YEARS[conformal_scores(np.tile(pmf, (AGES, 1)), YEARS) <= level]
    middle = expectation(pmf[None])[0]
    assert low == min([*within, middle])
    assert high == max([*within, middle])


@pytest.mark.parametrize(("centre", "spread"), [(9, 5), (30, 5), (60.4, 8), (106, 7)])
@pytest.mark.parametrize("level", [0.5, 0.8, 0.9, 0.99])
def test_no_other_ages_with_as_much_mass_are_fewer(centre: float, spread: float, level: float) -> None:
    pmf = bell(centre, spread)
    low, high = interval(pmf, level, AS_IS)
    assert low == int(low)
    assert high == int(high)
    cumulated = np.concatenate([[0], np.cumsum(pmf)])
    mass = cumulated[int(high) + 1] - cumulated[int(low)]
    for shorter in range(int(high - low)):  # windows of `shorter` + 1 ages
        assert (cumulated[shorter + 1 :] - cumulated[: -shorter - 1]).max() < mass + 0.01
    tail = 0.5 * max(pmf[int(low)], pmf[int(high)])
    assert level - tail - 0.01 < mass < level + tail + 0.1  # whole ages; the kernel for rounded ages asks for more


def test_a_baby_s_interval_begins_at_birth_where_a_central_one_would_not() -> None:
    pmf = normalised(0.6**YEARS)  # the likeliest age is 0
    low, high = interval(pmf, 0.9, AS_IS)
    assert low == 0
    assert 3 <= high <= 5  # 1 - 0.6 ** 5 is 92 %


@pytest.mark.parametrize("age", [0, 1, 40, 115, 116])
def test_all_mass_on_one_age(age: int) -> None:
    assert estimates(point(age)) == (age, age)
    low, high = interval(point(age), 0.9, AS_IS)
    assert 0 <= low <= age <= high <= 116
    assert high - low <= min(12, 0.5 * age)  # stated ages are rounded, the more the older
    assert conformal_scores(point(age)[None], np.array([age]))[0] <= 0.5


def test_two_separate_likely_ages_are_spanned() -> None:
    two = 0.5 * (point(10) + point(30))
    assert estimates(two) == (20.0, 20.0)
    low, high = interval(two, 0.9, AS_IS)
    assert low <= 10
    assert high >= 30
    low, high = interval(0.9 * point(10) + 0.1 * point(60), 0.5, AS_IS)
    assert 9 <= low <= 10
    assert high == pytest.approx(15.0)  # the expectation, far above the likeliest age


@pytest.mark.parametrize("spread", [0.3, 2, 12, 1000])
def test_all_of_the_mass_takes_every_age(spread: float) -> None:
    pmf = np.stack([bell(centre, spread) for centre in np.linspace(0, 116, 40)])
    low, high = intervals(pmf, 0.9, EVERY_AGE)
    assert (low == 0).all()
    assert (high == 116).all()
    assert conformal_scores(pmf, np.full(40, 116)).max() <= 1


def test_mass_between_learned_levels() -> None:
    learned = Calibration(1.0, 1.0, ((0.5, 0.4), (0.9, 0.8)))
    assert learned.mass(0.7) == pytest.approx(0.6)
    assert learned.mass(0.25) == pytest.approx(0.2)
    assert learned.mass(0.95) == pytest.approx(0.9)


def test_each_band_of_estimated_ages_has_its_own_masses() -> None:
    years = np.array([0.0, 19.999, 20.0, 39.9, 40.0, 116.0])
    np.testing.assert_allclose(LEARNED.masses_for(0.9, years), [0.85, 0.85, 0.6, 0.6, 0.95, 0.95])
    np.testing.assert_allclose(LEARNED.masses_for(0.7, years), [0.625, 0.625, 0.45, 0.45, 0.725, 0.725])
    pmf = np.stack([bell(10, 5), bell(30, 5), bell(60, 5)])
    for row, mass in zip(pmf, (0.85, 0.6, 0.95), strict=True):
        assert interval(row, 0.9, LEARNED) == interval(row, 0.9, Calibration(1.0, 1.0, ((0.9, mass),)))


def test_doubtful_faces_take_the_larger_mass() -> None:
    years, doubtful = np.array([10.0, 10.0, 30.0, 30.0, 50.0, 50.0]), np.array([False, True] * 3)
    np.testing.assert_allclose(LEARNED.masses_for(0.9, years, doubtful), [0.85, 0.9, 0.6, 0.9, 0.95, 0.95])
    pmf = np.stack([bell(30, 6)] * 2)
    low, high = intervals(pmf, 0.9, LEARNED, np.array([False, True]))
    assert low[1] < low[0]
    assert high[1] > high[0]
    never = Calibration(1.3, 0.8, LEARNED.masses, LEARNED.bands)
    np.testing.assert_array_equal(never.masses_for(0.9, years, doubtful), never.masses_for(0.9, years))


@pytest.mark.parametrize("level", [0.0, 1.0, 90.0])
def test_a_level_outside_0_to_1_is_refused(level: float) -> None:
    with pytest.raises(ValueError, match="between 0 and 1"):
        interval(point(30), level, AS_IS)


def test_vector_forms_agree_with_the_single_one() -> None:
    rng = np.random.default_rng(5)
    pmf = np.stack([bell(centre, spread) for centre, spread in rng.uniform((5, 2), (95, 9), (7, 2))])
    low, high = intervals(pmf, 0.8, LEARNED)
    assert [interval(row, 0.8, LEARNED) for row in pmf] == list(zip(low, high, strict=True))
    np.testing.assert_allclose([estimates(row) for row in pmf], np.stack([expectation(pmf), median(pmf)], axis=1))
    assert intervals(pmf[:0], 0.8, LEARNED)[0].shape == expectation(pmf[:0]).shape == median(pmf[:0]).shape == (0,)


def test_the_median_is_interpolated_within_a_year_around_the_label() -> None:
    uniform = np.zeros(AGES)
    uniform[20:30] = 0.1  # the ages 20 to 29: from 19.5 to 29.5 years
    assert estimates(uniform) == pytest.approx((24.5, 24.5))
    assert isclose(median((0.25 * point(30) + 0.75 * point(31))[None])[0], 30.5 + 1 / 3)


def test_through_json_and_back() -> None:
    for calibration in (LEARNED, AS_IS):
        assert Calibration.from_dict(json.loads(json.dumps(calibration.to_dict()))) == calibration


def test_bands_and_doubtful_faces_may_be_absent() -> None:
    record = {"age_temperature": 1.0, "gender_temperature": 1.0, "masses": [[0.9, 0.8]]}
    assert Calibration.from_dict(record) == Calibration(1.0, 1.0, ((0.9, 0.8),))


@pytest.mark.parametrize(
    "change",
    [
        {"age_temperature": 0},
        {"gender_temperature": float("nan")},
        {"age_temperature": "hot"},
        {"masses": [[0.9, 0.8], [0.5, 0.9]]},
        {"masses": [[0.5, 0.9], [0.9, 0.8]]},
        {"masses": [[0.5, 1.2]]},
        {"masses": 3},
        {"bands": [{"first": 0.0}]},
        {"bands": [{"first": 0.0, "masses": [[0.9, 0.8], [0.5, 0.9]]}]},
        {"bands": [{"first": 30.0, "masses": []}, {"first": 20.0, "masses": []}]},
        {"doubtful": [[0.5, -0.1]]},
        {"doubtful": 0.9},
    ],
)
def test_a_malformed_record_is_refused(change: dict[str, Any]) -> None:
    with pytest.raises(ModelError, match="calibration"):
        Calibration.from_dict({**LEARNED.to_dict(), **change})


@pytest.mark.parametrize("field", ["age_temperature", "gender_temperature", "masses"])
def test_a_missing_field_is_named(field: str) -> None:
    record = LEARNED.to_dict()
    del record[field]
    with pytest.raises(ModelError, match=field):
        Calibration.from_dict(record)
