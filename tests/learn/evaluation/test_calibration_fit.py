"""What `evaluation.calibration` learns, where true distributions are known, and beside MAPIE and scikit-learn."""

from collections.abc import Callable
from math import ceil, isclose
from typing import Any

import numpy as np
import pytest
from mapie.regression import SplitConformalRegressor
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin
from sklearn.calibration import CalibratedClassifierCV
from sklearn.frozen import FrozenEstimator
from sklearn.metrics import log_loss

from mien.errors import DataError
from mien.estimate.calibrate import AGES, Calibration, expectation, intervals, scores
from mien.learn.evaluation.calibration_fit import EDGES, LEVELS, conformal_masses, fit_calibration, with_doubtful

Array = NDArray[Any]

YEARS = np.arange(AGES)


def bells(rng: np.random.Generator, n: int) -> Array:
    """True age distributions [N, 117] of faces between 5 and 95 years."""
    centre, spread = rng.uniform(5, 95, (n, 1)), rng.uniform(2, 8, (n, 1))
    return normalised(np.exp(-0.5 * ((YEARS - centre) / spread) ** 2))


def normalised(mass: Array) -> Array:
    pmf: Array = mass / mass.sum(axis=-1, keepdims=True)
    return pmf


def draw(rng: np.random.Generator, pmf: Array) -> Array:
    """An age from each distribution."""
    ages: Array = (pmf.cumsum(axis=1) < rng.random((len(pmf), 1))).sum(axis=1).clip(0, AGES - 1)
    return ages


def of_ages(pmf: Array, ages: Array, **options: Any) -> Calibration:
    """A calibration of ages alone."""
    return fit_calibration(pmf, np.full(len(pmf), 0.5), ages, np.full(len(pmf), -1), **options)


def covered(pmf: Array, ages: Array, level: float, calibration: Calibration) -> Array:
    low, high = intervals(pmf, level, calibration)
    inside: Array = (low <= ages) & (ages <= high)
    return inside


def test_known_temperatures_are_recovered() -> None:
    rng = np.random.default_rng(0)
    truth, odds = bells(rng, 3000), rng.normal(0, 1.5, 3000)
    is_female = rng.random(3000) < 1 / (1 + np.exp(-odds))
    learned = fit_calibration(normalised(truth**2.5), 1 / (1 + np.exp(-3 * odds)), draw(rng, truth), is_female)
    assert isclose(learned.age_temperature, 2.5, rel_tol=0.06)
    assert isclose(learned.gender_temperature, 3.0, rel_tol=0.1)


@pytest.mark.parametrize("fault", [lambda p: p, lambda p: normalised(p**3), lambda p: np.roll(p, 6, axis=1)])
def test_intervals_cover_as_many_ages_as_they_say_even_of_a_wrong_model(fault: Callable[[Array], Array]) -> None:
    rng = np.random.default_rng(2)
    truth = bells(rng, 5000)
    pmf, ages = fault(truth), draw(rng, truth)
    learned = of_ages(pmf[:2500], ages[:2500])
    calibrated, _ = learned.apply(pmf[2500:], np.full(2500, 0.5))
    for level in (0.5, 0.66, 0.8, 0.9, 0.95):
        assert abs(covered(calibrated, ages[2500:], level, learned).mean() - level) < 0.025


def test_an_honest_model_is_taken_at_its_word() -> None:
    rng = np.random.default_rng(3)
    truth = bells(rng, 5000)
    learned = of_ages(truth, draw(rng, truth))
    assert isclose(learned.age_temperature, 1.0, rel_tol=0.05)
    # the kernel for rounded ages spreads each distribution a little, so that a little less of its mass is enough
    assert all(-0.12 < mass - level < 0.02 for level, mass in learned.masses)


def test_coverage_holds_in_each_band_where_one_mass_for_all_does_not() -> None:
    """Estimates of the young are better than they say, and those of the old worse."""
    rng = np.random.default_rng(4)
    truth = bells(rng, 12000)
    ages = draw(rng, truth)
    power = np.where(expectation(truth) < 40, 0.4, 2.5)[:, None]
    pmf = normalised(truth**power)
    old = expectation(pmf[6000:]) >= 40
    banded = of_ages(pmf[:6000], ages[:6000])
    plain = of_ages(pmf[:6000], ages[:6000], band_faces=6000)
    assert len(plain.bands) == 0
    assert len(banded.bands) > 5
    calibrated, _ = banded.apply(pmf[6000:], np.full(6000, 0.5))
    by_band = covered(calibrated, ages[6000:], 0.9, banded)
    by_one = covered(calibrated, ages[6000:], 0.9, plain)
    assert abs(by_band[old].mean() - 0.9) < 0.03
    assert abs(by_band[~old].mean() - 0.9) < 0.03
    assert by_one[old].mean() < 0.85
    assert by_one[~old].mean() > 0.95


def test_bands_hold_enough_faces_each() -> None:
    rng = np.random.default_rng(5)
    pmf = bells(rng, 1000)
    ages = draw(rng, pmf)
    for least in (60, 150, 400):
        learned = of_ages(pmf, ages, band_faces=least)
        firsts = [band.first for band in learned.bands]
        assert firsts[0] == 0
        assert set(firsts) <= set(EDGES)
        years = expectation(learned.apply(pmf, np.full(1000, 0.5))[0])
        counts = np.histogram(years, [*firsts, np.inf])[0]
        assert counts.sum() == 1000
        assert counts.min() >= least
    assert of_ages(pmf, ages, band_faces=501).bands == ()


def test_a_level_that_few_faces_cannot_warrant() -> None:
    """60 faces cannot say where 99 % lie: every age, unless something else is known."""
    few = np.linspace(0, 0.8, 60)
    assert dict(conformal_masses(few))[0.99] == 1.0
    assert dict(conformal_masses(few))[0.975] == pytest.approx(0.8)
    all_faces = tuple((level, 0.93 * level) for level in LEVELS)
    assert dict(conformal_masses(few, all_faces))[0.99] == pytest.approx(0.93 * 0.99, abs=1e-6)
    assert dict(conformal_masses(few[:0], all_faces))[0.9] == pytest.approx(0.93 * 0.9, abs=1e-6)
    below = tuple((level, 0.1 * level) for level in LEVELS)
    assert dict(conformal_masses(few, below))[0.99] == pytest.approx(0.8)  # masses never fall as the level rises


@pytest.mark.parametrize(("faces", "seed"), [(30, 0), (39, 1), (99, 2), (1360, 3)])
def test_masses_are_the_finite_sample_quantiles_of_numpy(faces: int, seed: int) -> None:
    score = np.random.default_rng(seed).random(faces)
    masses = conformal_masses(score)
    assert [level for level, _ in masses] == list(LEVELS)
    for level, mass in masses:
        rank = ceil(round((faces + 1) * level, 9))
        if rank > faces:
            assert mass == 1
        else:
            quantile = np.quantile(score, (rank - 0.5) / faces, method="inverted_cdf")
            assert mass == pytest.approx(quantile, abs=1.1e-6)
            assert mass >= quantile  # rounding may only widen


def test_what_has_no_label_stays_as_it_is() -> None:
    nothing = fit_calibration(
        np.full((3, AGES), 1 / AGES), np.array([0.1, 0.5, 0.9]), np.full(3, np.nan), np.full(3, -1)
    )
    assert nothing == Calibration.identity()
    rng = np.random.default_rng(6)
    pmf = bells(rng, 400)
    ages = draw(rng, pmf).astype(float)
    half = np.where(np.arange(400) < 200, ages, np.nan)
    assert of_ages(pmf, half) == of_ages(pmf[:200], ages[:200])
    genders = fit_calibration(pmf, rng.random(400), np.full(400, np.nan), rng.integers(0, 2, 400))
    assert genders.age_temperature == 1
    assert genders.masses == ()
    assert genders.bands == ()
    assert genders.gender_temperature != 1


@pytest.mark.parametrize(("ages", "genders", "what"), [(19, 300, "19 faces with known ages"), (300, 7, "7 .* genders")])
def test_too_few_faces_are_refused(ages: int, genders: int, what: str) -> None:
    rng = np.random.default_rng(7)
    pmf = bells(rng, 300)
    known = np.where(np.arange(300) < ages, draw(rng, pmf), np.nan)
    is_female = np.where(np.arange(300) < genders, rng.integers(0, 2, 300), -1)
    with pytest.raises(DataError, match=f"{what} are too few to calibrate on: at least 20"):
        fit_calibration(pmf, rng.random(300), known, is_female)


def test_poor_views_widen_intervals_to_what_they_need() -> None:
    rng = np.random.default_rng(8)
    truth = bells(rng, 6000)
    ages = draw(rng, truth)
    learned = of_ages(truth[:2000], ages[:2000])
    poor = np.roll(truth, 6, axis=1)  # a poor view makes everybody six years older
    both = with_doubtful(learned, poor[2000:4000], ages[2000:4000].astype(float))
    assert (both.age_temperature, both.masses, both.bands) == (learned.age_temperature, learned.masses, learned.bands)
    pmf, _ = both.apply(poor[4000:], np.full(2000, 0.5))
    assert covered(pmf, ages[4000:], 0.9, both).mean() < 0.75
    low, high = intervals(pmf, 0.9, both, np.ones(2000, np.bool_))
    assert 0.88 < ((low <= ages[4000:]) & (ages[4000:] <= high)).mean() < 0.96
    unknown = np.full(2000, np.nan)
    unknown[:19] = 30
    assert with_doubtful(learned, poor[:2000], unknown) is learned


# ------------------------------------------------------------------------------------- beside independent libraries


class Told(RegressorMixin, BaseEstimator):  # type: ignore[misc]  # scikit-learn has no types
    """A regressor that answers what it is asked: MAPIE then does nothing but conformal prediction."""

    fitted_ = True

    def fit(self, x: Array, y: Array) -> "Told":
        return self

    def predict(self, x: Array) -> Array:
        answer: Array = np.asarray(x)[:, 0]
        return answer


def mapie_thresholds(score: Array, levels: tuple[float, ...]) -> Array:
    """Upper ends of MAPIE's split-conformal intervals around 0, whose residuals are the scores."""
    regressor = SplitConformalRegressor(Told(), confidence_level=list(levels), prefit=True)
    regressor.conformalize(np.zeros((len(score), 1)), score)
    ends: Array = regressor.predict_interval(np.zeros((1, 1)))[1][0, 1]
    return ends


def test_masses_are_the_thresholds_of_mapie() -> None:
    rng = np.random.default_rng(9)
    truth = bells(rng, 1500)
    pmf = normalised(truth**1.8)
    ages = draw(rng, truth)
    learned = of_ages(pmf, ages)
    calibrated = normalised(pmf ** (1 / learned.age_temperature))
    expected = mapie_thresholds(scores(calibrated, ages), LEVELS)
    np.testing.assert_allclose([mass for _, mass in learned.masses], expected, atol=1.1e-6)


def test_masses_of_bands_are_those_of_mapie_fitted_to_each_band_alone() -> None:
    """Mondrian conformal prediction is split conformal prediction within each class."""
    rng = np.random.default_rng(10)
    truth = bells(rng, 6000)
    ages = draw(rng, truth)
    power = np.where(expectation(truth) < 40, 0.5, 2.0)[:, None]
    pmf = normalised(truth**power)
    learned = of_ages(pmf[:3000], ages[:3000])
    held_out, test = (normalised(half ** (1 / learned.age_temperature)) for half in (pmf[:3000], pmf[3000:]))
    score, unseen = scores(held_out, ages[:3000]), scores(test, ages[3000:])
    firsts = [band.first for band in learned.bands]
    assert len(firsts) > 4
    for at, band in enumerate(learned.bands):
        mine = np.digitize(expectation(held_out), firsts) == at + 1
        thresholds = mapie_thresholds(score[mine], LEVELS)
        np.testing.assert_allclose([mass for _, mass in band.masses], thresholds, atol=1.1e-6)
        theirs = np.digitize(expectation(test), firsts) == at + 1
        for level in (0.5, 0.9):
            of_mapie = unseen[theirs] <= thresholds[LEVELS.index(level)]
            of_ours = covered(test[theirs], ages[3000:][theirs], level, learned)
            assert (of_ours >= of_mapie).all()  # an interval may also span an age between two likelier ones
            assert of_ours.mean() - of_mapie.mean() < 0.03
            assert abs(of_mapie.mean() - level) < 0.09


class Opinions(ClassifierMixin, BaseEstimator):  # type: ignore[misc]  # scikit-learn has no types
    """A classifier whose probabilities are its features."""

    def fit(self, x: Array, y: Array) -> "Opinions":
        self.classes_ = np.unique(y)
        return self

    def predict_proba(self, x: Array) -> Array:
        return x

    def predict(self, x: Array) -> Array:
        answer: Array = self.classes_[x.argmax(axis=1)]
        return answer


def by_sklearn(probabilities: Array, labels: Array) -> Array:
    """Probabilities after scikit-learn's own temperature scaling."""
    frozen = FrozenEstimator(Opinions().fit(probabilities, labels))
    scaled: Array = (
        CalibratedClassifierCV(frozen, method="temperature").fit(probabilities, labels).predict_proba(probabilities)
    )
    return scaled


def test_the_gender_temperature_is_that_of_scikit_learn() -> None:
    rng = np.random.default_rng(11)
    odds = rng.normal(0.3, 2, 4000)
    is_female = (rng.random(4000) < 1 / (1 + np.exp(-odds))).astype(int)
    for sharper in (0.6, 1.0, 2.2):
        raw = 1 / (1 + np.exp(-sharper * odds))
        learned = fit_calibration(np.full((4000, AGES), 1 / AGES), raw, np.full(4000, np.nan), is_female)
        _, ours = learned.apply(np.full((4000, AGES), 1 / AGES), raw)
        np.testing.assert_allclose(ours, by_sklearn(np.stack([1 - raw, raw], axis=1), is_female)[:, 1], atol=5e-4)


def test_the_age_temperature_is_that_of_scikit_learn() -> None:
    rng = np.random.default_rng(12)
    truth = normalised(bells(rng, 4000)[:, :20] + 1e-4)  # the ages 0 to 19, all of which occur
    ages = draw(rng, truth)
    assert len(np.unique(ages)) == 20
    sharp = normalised(truth**1.7)
    pmf = np.pad(sharp, ((0, 0), (0, AGES - 20)))
    ours = of_ages(pmf, ages).apply(pmf, np.full(4000, 0.5))[0][:, :20].astype(np.float64)
    theirs = by_sklearn(sharp, ages)
    np.testing.assert_allclose(ours, theirs, atol=5e-4)
    assert log_loss(ages, normalised(ours)) == pytest.approx(log_loss(ages, theirs), abs=1e-5)
    assert log_loss(ages, theirs) < log_loss(ages, sharp)


def test_weights_are_faces_that_count_more_than_once() -> None:
    rng = np.random.default_rng(4)
    score, weights = rng.random(200), rng.integers(1, 4, 200)
    repeated = conformal_masses(np.repeat(score, weights))
    for (level, mass), (same, wanted) in zip(conformal_masses(score, weights=weights), repeated, strict=True):
        assert level == same
        assert mass == pytest.approx(wanted, abs=0.02)  # a new face counts as much as the average one, not as 1
    assert conformal_masses(score, weights=np.full(200, 7.0)) == conformal_masses(score)


def test_collections_that_count_alike_share_what_intervals_lack() -> None:
    """A small collection on which the model errs more is not drowned by a large one."""
    rng = np.random.default_rng(5)
    easy, hard = 3000, 300
    pmf = np.stack([_bell(40.0, 5.0)] * (easy + hard))
    ages = np.concatenate([rng.normal(40, 4, easy), rng.normal(40, 10, hard)]).round().clip(0, 116)
    female, unknown = np.full(len(ages), 0.5), np.full(len(ages), -1)
    weights = np.concatenate([np.full(easy, 1 / easy), np.full(hard, 1 / hard)])
    held = []
    for given in (None, weights):
        calibration = fit_calibration(pmf, female, ages, unknown, weights=given)
        low, high = intervals(calibration.apply(pmf, female)[0], 0.9, calibration)
        inside = (low <= ages) & (ages <= high)
        held.append((inside[:easy].mean(), inside[easy:].mean()))
    assert sum(held[1]) / 2 == pytest.approx(0.9, abs=0.03)
    assert held[1][1] > held[0][1] + 0.1


def _bell(middle: float, spread: float) -> Array:
    bell: Array = normalised(np.exp(-((YEARS - middle) ** 2) / (2 * spread**2))[None])[0]
    return bell
