"""Each method learns what shows in the pictures; settings are chosen on the validation fold alone."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from mien.errors import DataError, UsageError
from mien.learn import baselines
from mien.learn.baselines.baseline import Baseline, PixelScale, years
from mien.learn.baselines.boosting import HaarBoost
from mien.learn.baselines.lbp import LbpSvm
from mien.learn.baselines.method import Method
from mien.learn.baselines.mlp import MlpPixels
from mien.learn.baselines.subspace import Eigenface, Fisherface
from mien.learn.comparison import claims
from mien.learn.data.manifest import Manifest
from mien.learn.networks.answer_kinds import age_pmf

SMALL: dict[str, Method] = {
    "lbp-svm": LbpSvm(size=40, cells=4, costs=(0.01, 0.1), penalties=(1e-2, 1e-3), epochs=25),
    "haar-boost": HaarBoost(size=20, counts=(150, 300), rounds=(10, 30), class_rounds=(5, 10), class_rate=0.3),
    "mlp-pixels": MlpPixels(size=16, widths=(32,), epochs=12, rate=3e-3),
    "eigenface": Eigenface(size=16, components=(8, 20), neighbours=7),
    "fisherface": Fisherface(size=16, components=(8, 20)),
}
AGES = np.arange(117)
Folds = dict[str, Manifest]


def fit(name: str, striped: Folds) -> Baseline:
    baseline = Baseline(SMALL[name])
    baseline.fit(striped["train"], striped["val"])
    return baseline


@pytest.fixture(scope="module", params=list(SMALL))
def fitted(request: pytest.FixtureRequest, striped: Folds) -> tuple[str, Baseline]:
    return request.param, fit(request.param, striped)


def without(manifest: Manifest, label: str) -> Manifest:
    if label == "age":
        return replace(manifest, age=np.full(len(manifest), np.nan, np.float32))
    return replace(manifest, female=np.full(len(manifest), -1, np.int8))


def test_every_baseline_is_covered_here_and_in_the_catalogue() -> None:
    assert SMALL.keys() == baselines.BASELINES.keys()
    system = claims.find_system("baseline")
    assert system is not None
    for name in baselines.BASELINES:
        row = system.row(name)
        assert row is not None
        assert (type(SMALL[name]), row.title) == (type(baselines.create(name)), SMALL[name].title)


def test_it_beats_chance_clearly_and_repeats_itself(fitted: tuple[str, Baseline], striped: Folds) -> None:
    name, baseline = fitted
    test = striped["test"]
    answers = baseline.predict(test, name)
    assert (answers.model, answers.files.tolist()) == (name, test.files.tolist())
    assert ((answers.female >= 0.5) == (test.female == 1)).mean() > 0.9
    np.testing.assert_allclose(answers.pmf.sum(axis=1), 1, rtol=1e-4)
    assert (answers.pmf >= 0).all()
    error = np.abs(answers.pmf @ AGES - test.age).mean()
    chance = np.abs(np.median(striped["train"].age) - test.age).mean()
    assert error < 0.6 * chance
    again = fit(name, striped).predict(test, name)
    np.testing.assert_array_equal(again.pmf, answers.pmf)
    np.testing.assert_array_equal(again.female, answers.female)


def test_the_best_trial_on_the_validation_fold_is_kept(fitted: tuple[str, Baseline], striped: Folds) -> None:
    _, baseline = fitted
    accuracies = [trial.figures["accuracy"] for trial in baseline.trials["gender"]]
    errors = [trial.figures["mae"] for trial in baseline.trials["age"]]
    assert baseline.chosen["gender"].trial is baseline.trials["gender"][int(np.argmax(accuracies))]
    assert baseline.chosen["age"].trial is baseline.trials["age"][int(np.argmin(errors))]
    answers = baseline.predict(striped["val"])
    error = np.abs(answers.pmf @ AGES - striped["val"].age).mean()
    assert error == pytest.approx(min(errors), abs=1e-3), "what is kept is what was measured"
    assert baseline.parameters > 0
    assert baseline.multiply_adds > 0


@pytest.mark.parametrize("label", ["age", "gender"])
def test_what_the_labels_do_not_say_is_not_answered(label: str, striped: Folds) -> None:
    baseline = Baseline(SMALL["fisherface"])
    baseline.fit(without(striped["train"], label), striped["val"])
    answers = baseline.predict(striped["test"])
    assert np.isnan(answers.pmf).all() == (label == "age")
    assert np.isnan(answers.female).all() == (label == "gender")


def test_labels_that_do_not_suffice_are_refused(striped: Folds) -> None:
    train, val = striped["train"], striped["val"]
    unlabelled = without(without(train, "age"), "gender")
    with pytest.raises(DataError, match="neither two genders nor two age classes: add labels"):
        Baseline(SMALL["fisherface"]).fit(unlabelled, val)
    with pytest.raises(DataError, match="the validation fold has no gender to choose settings by"):
        Baseline(SMALL["fisherface"]).fit(train, without(val, "gender"))


def test_an_unknown_baseline_is_told_with_the_nearest() -> None:
    with pytest.raises(UsageError, match="unknown baseline 'eigenfaces': did you mean 'eigenface'"):
        baselines.create("eigenfaces")


def test_pictures_that_cannot_be_read_are_told_and_left_out(striped: Folds, tmp_path: Path) -> None:
    broken = tmp_path / "broken.png"
    broken.write_bytes(b"no picture")
    folds = {name: replace(faces, paths=(broken, *faces.paths[1:])) for name, faces in striped.items()}
    lines: list[str] = []
    baseline = Baseline(SMALL["fisherface"], report=lines.append)
    baseline.fit(folds["train"], folds["val"])
    assert any(line.startswith("239 faces to learn from, 59 to choose by") for line in lines)
    answers = baseline.predict(folds["test"])
    assert (len(answers), list(answers.unreadable)) == (59, [striped["test"].files[0]])
    nothing = striped["train"].take(np.array([0]))
    with pytest.raises(DataError, match="none of the 1 pictures can be read"):
        baseline.predict(replace(nothing, paths=(broken,)))


def test_ages_that_only_the_validation_fold_has_are_measured(striped: Folds) -> None:
    young = striped["train"].take(striped["train"].age < 80)
    baseline = Baseline(SMALL["fisherface"])
    baseline.fit(young, striped["val"])
    assert baseline.chosen["age"].classes.tolist() == list(range(16))
    assert not baseline.predict(striped["test"]).pmf[:, 80:].any()


def test_the_scale_of_scores_is_found() -> None:
    rng = np.random.default_rng(0)
    log_prior = np.log(np.array([0.6, 0.3, 0.1], np.float32))
    scores = rng.normal(0, 8, (4000, 3)).astype(np.float32)
    true = PixelScale(5.0, 0.75, log_prior)
    chance = rng.random((4000, 1))
    columns = (true(scores).cumsum(axis=1) < chance).sum(axis=1)
    found = PixelScale.fit(scores, columns, log_prior)
    assert found.temperature == pytest.approx(5, rel=0.15)
    assert found.prior_weight == pytest.approx(0.75, abs=0.25)
    nothing = PixelScale.fit(scores[:0], columns[:0], log_prior)
    assert (nothing.temperature, nothing.prior_weight) == (1, 0)


def test_classes_spread_as_those_of_the_networks_do() -> None:
    scores = np.random.default_rng(0).normal(0, 2, (5, 24)).astype(np.float32)
    mass = np.exp(scores) / np.exp(scores).sum(axis=1, keepdims=True)
    expected = age_pmf(torch.from_numpy(scores), "classes").numpy()
    np.testing.assert_allclose(years(mass, np.arange(24)), expected, atol=1e-6)
    some = np.array([0, 6, 23])
    assert years(np.eye(3, dtype=np.float32), some)[2, 115:].tolist() == [0.5, 0.5]
