"""The calibration audit on faces whose true distributions are known, and beside MAPIE and scikit-learn."""

import json
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import typer
from mapie.metrics.regression import regression_coverage_score, regression_mean_width_score
from mapie.regression import SplitConformalRegressor
from numpy.typing import NDArray
from PIL import Image
from sklearn.base import BaseEstimator, RegressorMixin
from sklearn.calibration import calibration_curve
from sklearn.metrics import brier_score_loss, log_loss
from tests.learn.pages import Page
from typer.testing import CliRunner

from mien.cli.audit.calibration import calibration as command
from mien.errors import DataError, ModelError, UsageError
from mien.estimate import bundle
from mien.estimate.calibrate import AGES, Calibration, expectation, intervals
from mien.learn.audits.calibration import calibration_plots as plots
from mien.learn.audits.calibration import proper_scores, selective
from mien.learn.audits.calibration.calibration_audit import LEVELS, ConstantWidth, equal_bins, measure, wilson
from mien.learn.audits.calibration.calibration_page import chief_figures, to_html
from mien.learn.audits.calibration.calibration_report import CalibrationReport
from mien.learn.data.manifest import Manifest
from mien.learn.data.predictions import Predictions
from mien.learn.data.readers import read
from mien.learn.evaluation import metrics
from mien.learn.evaluation.calibration_fit import fit_calibration

Array = NDArray[Any]

YEARS = np.arange(AGES)
N = 4000


def normalised(mass: Array) -> Array:
    pmf: Array = mass / mass.sum(axis=-1, keepdims=True)
    return pmf


def manifest(age: Array, female: Array) -> Manifest:
    n = len(age)
    empty, yes = np.array([""] * n, dtype=np.str_), np.ones(n, np.bool_)
    files = np.array([f"{i}.jpg" for i in range(n)], dtype=np.str_)
    return Manifest(
        files=files,
        paths=tuple(Path(name) for name in files.tolist()),
        exists=yes,
        age=age.astype(np.float32),
        female=female.astype(np.int8),
        group=empty,
        fold=empty,
        coral=empty,
        coral_twin=~yes,
        race=np.full(n, -1, np.int8),
        source=np.array(["made"] * n, dtype=np.str_),
    )


def crowd(seed: int, n: int = N, power: float = 1.0) -> tuple[Predictions, Manifest]:
    """Faces with labels drawn from the answers; raised to a power above 1, the answers are too sure of themselves."""
    rng = np.random.default_rng(seed)
    centre = rng.choice([5, 25, 35, 60], n) + rng.uniform(-4, 4, n)
    spread = 1 + 0.12 * centre
    pmf = normalised(np.exp(-0.5 * ((YEARS - centre[:, None]) / spread[:, None]) ** 2))
    ages = (pmf.cumsum(axis=1) < rng.random((n, 1))).sum(axis=1).clip(0, AGES - 1)
    odds = rng.normal(0, 3, n)
    female = rng.random(n) < 1 / (1 + np.exp(-odds))
    faces = replace(manifest(ages, female), race=rng.integers(0, 3, n).astype(np.int8))
    said = 1 / (1 + np.exp(-power * odds))
    answers = Predictions(
        faces.files, normalised(pmf**power).astype(np.float32), said.astype(np.float32), model="synthetic"
    )
    return answers, faces


def learned(seed: int) -> Calibration:
    """What an honest model learns on other faces."""
    answers, faces = crowd(seed)
    found = fit_calibration(answers.pmf, answers.female, faces.age, faces.female)
    return replace(found, age_temperature=1.0, gender_temperature=1.0)  # the answers above are calibrated already


@pytest.fixture(scope="module")
def calibration() -> Calibration:
    return learned(100)


@pytest.fixture(scope="module")
def reference() -> ConstantWidth:
    return ConstantWidth.learn(*crowd(100), 0.9)


@pytest.fixture(scope="module")
def honest(calibration: Calibration, reference: ConstantWidth) -> CalibrationReport:
    return measure(*crowd(1), calibration, reference=reference, resamples=40)


@pytest.fixture(scope="module")
def cocksure(calibration: Calibration, reference: ConstantWidth) -> CalibrationReport:
    return measure(*crowd(1, power=3.0), calibration, reference=reference, resamples=40)


# ------------------------------------------------------------------------------------------------------ what it finds


def test_an_honest_model_fulfils_every_demand(honest: CalibrationReport) -> None:
    assert [check.passed for check in honest.checks()] == [True] * 4
    assert honest.ages is not None
    for level in honest.ages.levels:
        assert level.coverage.value == pytest.approx(level.level, abs=0.03)
    widths = [level.width.value for level in honest.ages.levels]
    assert widths == sorted(widths)
    assert [level.level for level in honest.ages.levels] == list(LEVELS)
    assert max(abs(share.value - 0.1) for share in honest.ages.pit) < 0.02
    assert honest.genders is not None
    for one in honest.genders.bins:
        assert one.right.low - 0.03 < one.stated < one.right.high + 0.03


def test_an_overconfident_model_is_caught(cocksure: CalibrationReport) -> None:
    coverage, bands, width, ece = cocksure.checks()
    assert not coverage.passed
    assert not bands.passed
    assert width.passed  # nothing is as narrow as an interval that need not hold
    assert not ece.passed
    assert cocksure.ages is not None
    assert all(one.coverage.high < one.level for one in cocksure.ages.levels)
    ends = [cocksure.ages.pit[0].value, cocksure.ages.pit[-1].value]
    assert min(ends) > 0.15  # true ages lie outside what it thinks likely
    assert cocksure.genders is not None
    surest = cocksure.genders.bins[len(cocksure.genders.bins) // 2]
    assert surest.right.high < surest.stated


def test_scores_prefer_the_honest_model(honest: CalibrationReport, cocksure: CalibrationReport) -> None:
    assert honest.ages is not None
    assert cocksure.ages is not None
    assert honest.ages.crps.value < cocksure.ages.crps.value
    assert honest.ages.crps.value < honest.ages.mae.value
    assert honest.genders is not None
    assert cocksure.genders is not None
    for name in ("brier", "log_loss", "ece"):
        assert honest.genders.figures[name].value < cocksure.genders.figures[name].value
    assert honest.genders.figures["accuracy"] == cocksure.genders.figures["accuracy"]


def test_the_surest_answers_are_the_best(honest: CalibrationReport) -> None:
    assert honest.ages is not None
    assert honest.genders is not None
    for selection in (honest.ages.selection, honest.genders.selection):
        risks = [risk.value for risk in selection.risks.values()]
        assert risks[0] < 0.5 * risks[-1]
        assert risks[-1] == pytest.approx(selection.whole)
        assert selection.least < selection.area.low <= selection.area.value <= selection.area.high < selection.whole


def test_groups_are_counted_and_small_ones_left_out(calibration: Calibration) -> None:
    answers, faces = crowd(2)
    years = expectation(answers.pmf)
    report = measure(answers, faces, calibration, resamples=20)
    assert report.ages is not None
    groups = report.ages.groups
    assert list(groups) == ["estimated age", "true age", "gender as labelled", "race as labelled"]
    by_name = {group.name: group for group in groups["estimated age"]}
    assert by_name["20-29"].faces == ((years >= 20) & (years < 30)).sum()
    assert by_name["70+"].faces == 0
    assert by_name["70+"].coverage is None
    assert {group.name: group.faces for group in groups["gender as labelled"]} == {
        "female": int(faces.female.sum()),
        "male": int((faces.female == 0).sum()),
    }
    assert [group.faces for group in groups["race as labelled"]][3:] == [0, 0]
    for of in groups.values():
        assert sum(group.faces for group in of) == N
    assert report.ages.comparison is None
    assert len(report.checks()) == 3
    assert "too few faces" in report.to_markdown()
    many = measure(answers, faces, calibration, min_faces=1200, resamples=20)
    assert many.ages is not None
    assert all((group.coverage is None) == (group.faces < 1200) for group in many.ages.groups["estimated age"])


def test_what_the_data_do_not_say_is_left_out(calibration: Calibration) -> None:
    answers, faces = crowd(3, 400)
    nameless = replace(faces, race=np.full(400, -1, np.int8), female=np.full(400, -1, np.int8))
    report = measure(answers, nameless, calibration, resamples=20)
    assert report.genders is None
    assert report.ages is not None
    assert list(report.ages.groups) == ["estimated age", "true age"]
    assert report.counts["unknown_genders"] == 400
    ageless = replace(faces, age=np.full(400, np.nan, np.float32))
    report = measure(answers, ageless, calibration, resamples=20)
    assert report.ages is None
    assert [check.demand for check in report.checks()] == ["ECE of the gender at most 0.015"]
    assert "400 unknown ages" in report.summary()
    assert plots.certainty(report).axes[0].get_title(loc="left") == "wrong genders, %"
    assert len(re.findall("<section", to_html(report))) == 3


def test_twins_count_together(calibration: Calibration) -> None:
    answers, faces = crowd(4, 400)
    pairs = replace(faces, group=np.array([str(i // 40) for i in range(400)], dtype=np.str_))
    alone, together = (measure(answers, one, calibration, resamples=100).ages for one in (faces, pairs))
    assert alone is not None
    assert together is not None
    assert alone.whole.coverage is not None
    assert together.whole.coverage is not None
    assert alone.whole.coverage.value == together.whole.coverage.value
    assert alone.whole.coverage != together.whole.coverage


def test_same_seed_same_report(calibration: Calibration, reference: ConstantWidth) -> None:
    one, again, other = (
        measure(*crowd(1, 200), calibration, reference=reference, resamples=20, seed=seed) for seed in (0, 0, 1)
    )
    assert one == again
    assert one != other


def test_too_few_faces_are_refused(calibration: Calibration) -> None:
    answers, faces = crowd(5, 40)
    known = np.where(np.arange(40) < 29, faces.age, np.nan).astype(np.float32)
    with pytest.raises(DataError, match="29 faces of known age are too few to measure calibration on: at least 30"):
        measure(answers, replace(faces, age=known), calibration)
    with pytest.raises(DataError, match="29 faces of known gender"):
        measure(answers, replace(faces, female=np.where(np.arange(40) < 29, 1, -1).astype(np.int8)), calibration)
    with pytest.raises(DataError, match=r"40 faces of known age are too few to learn a constant width.*at least 99"):
        ConstantWidth.learn(answers, faces, 0.99)
    with pytest.raises(ValueError, match="between 0 and 1"):
        measure(answers, faces, calibration, level=1.0)
    with pytest.raises(ValueError, match=r"reference is for a level of 0\.8"):
        measure(answers, faces, calibration, reference=ConstantWidth(5.0, 100, 0.8))


# ------------------------------------------------------------------------------------- beside independent libraries


class Expected(RegressorMixin, BaseEstimator):  # type: ignore[misc]  # scikit-learn has no types
    """A regressor that answers what it is asked."""

    fitted_ = True

    def fit(self, x: Array, y: Array) -> "Expected":
        return self

    def predict(self, x: Array) -> Array:
        answer: Array = np.asarray(x)[:, 0]
        return answer


@pytest.mark.parametrize("level", [0.5, 0.9, 0.95])
def test_constant_width_is_that_of_mapie(level: float) -> None:
    (held_out, known), (unseen, faces) = crowd(6, 501), crowd(7, 600)
    regressor = SplitConformalRegressor(Expected(), confidence_level=level, prefit=True)
    regressor.conformalize(expectation(held_out.pmf)[:, None], known.age.astype(np.float64))
    theirs = regressor.predict_interval(expectation(unseen.pmf)[:, None])[1]
    constant = ConstantWidth.learn(held_out, known, level)
    ours = constant.ends(expectation(unseen.pmf))
    assert constant.faces == 501
    np.testing.assert_allclose(ours, theirs[:, :, 0])
    age = faces.age.astype(np.float64)
    assert metrics.coverage(ours, age) == pytest.approx(regression_coverage_score(age, theirs)[0])
    assert 2 * constant.half_width == pytest.approx(regression_mean_width_score(theirs)[0])


def test_coverage_and_width_are_those_of_mapie(calibration: Calibration, honest: CalibrationReport) -> None:
    answers, faces = crowd(1)
    age = faces.age.astype(np.float64)
    assert honest.ages is not None
    ends = np.stack([np.stack(intervals(answers.pmf, level, calibration), axis=1) for level in LEVELS], axis=-1)
    np.testing.assert_allclose(
        [one.coverage.value for one in honest.ages.levels], regression_coverage_score(age, ends), atol=1e-12
    )
    np.testing.assert_allclose([one.width.value for one in honest.ages.levels], regression_mean_width_score(ends))
    for group, of in zip(honest.ages.groups["race as labelled"], range(3), strict=False):
        rows = faces.race == of
        assert group.coverage is not None
        expected = regression_coverage_score(age[rows], ends[rows][:, :, LEVELS.index(0.9)])
        assert group.coverage.value == pytest.approx(expected[0])


def test_scores_of_the_gender_are_those_of_scikit_learn(honest: CalibrationReport) -> None:
    answers, faces = crowd(1)
    assert honest.genders is not None
    figures, said = honest.genders.figures, answers.female.astype(np.float64)
    assert figures["brier"].value == pytest.approx(brier_score_loss(faces.female, said))
    assert figures["log_loss"].value == pytest.approx(log_loss(faces.female, said))
    sure, right = np.maximum(said, 1 - said), (said >= 0.5) == (faces.female > 0)
    shares, stated = calibration_curve(right, sure, n_bins=15, strategy="quantile")
    np.testing.assert_allclose([one.right.value for one in honest.genders.bins], shares)
    np.testing.assert_allclose([one.stated for one in honest.genders.bins], stated)
    assert max(one.faces for one in honest.genders.bins) - min(one.faces for one in honest.genders.bins) <= 1
    shares, stated = calibration_curve(right, sure, n_bins=15, strategy="uniform")
    counts = np.histogram(sure, np.linspace(0, 1, 16))[0]
    ece = (counts[counts > 0] * np.abs(shares - stated)).sum() / N
    assert figures["ece"].value == pytest.approx(ece)


# ---------------------------------------------------------------------------------------------------- single figures


def test_the_comparison_by_hand(calibration: Calibration, reference: ConstantWidth, honest: CalibrationReport) -> None:
    answers, faces = crowd(1)
    years, age = expectation(answers.pmf), faces.age.astype(np.float64)
    low, high = intervals(answers.pmf, 0.9, calibration)
    assert honest.ages is not None
    found = honest.ages.comparison
    assert found is not None
    assert found.ratio.value == pytest.approx((high - low).mean() / (2 * reference.half_width))
    assert found.ratio.low < found.ratio.value < found.ratio.high < 0.9
    assert found.coverage.value == pytest.approx((np.abs(years - age) <= reference.half_width).mean())
    covered = ((low <= age) & (age <= high)).sum()
    assert (np.abs(years - age) <= found.matched_half_width + 1e-9).sum() == covered
    held = sum(((low[i] <= YEARS) & (high[i] >= YEARS)).sum() for i in range(N))
    constant = sum((np.abs(YEARS - years[i]) <= reference.half_width).sum() for i in range(N))
    assert found.ages.value == pytest.approx(held / constant)


def test_crps_is_the_expected_distance_less_half_the_expected_spread() -> None:
    rng = np.random.default_rng(8)
    pmf, ages = rng.dirichlet(np.full(AGES, 0.3), 30), rng.integers(0, AGES, 30)
    apart = np.abs(YEARS[:, None] - YEARS)
    expected = [row @ apart[age] - 0.5 * row @ apart @ row for row, age in zip(pmf, ages, strict=True)]
    np.testing.assert_allclose(proper_scores.crps(pmf, ages), expected, atol=1e-9)


def test_the_integral_transform_is_the_mean_of_a_randomised_one() -> None:
    rng = np.random.default_rng(9)
    pmf, ages = rng.dirichlet(np.full(AGES, 0.3), 20), rng.integers(0, AGES, 20)
    pmf[0] = np.eye(AGES)[50]
    ages[0] = 40  # all the mass is above
    ages[1] = 116
    shares = proper_scores.pit(pmf, ages, 8)
    np.testing.assert_allclose(shares.sum(axis=1), 1)
    assert shares[0].tolist() == [1, 0, 0, 0, 0, 0, 0, 0]
    above = pmf.cumsum(axis=1)[np.arange(20), ages]
    drawn = above - rng.random((20_000, 20)) * pmf[np.arange(20), ages]
    for at in range(20):
        histogram = np.histogram(drawn[:, at].clip(0, 1), np.linspace(0, 1, 9))[0] / 20_000
        np.testing.assert_allclose(shares[at], histogram, atol=0.02)


def test_risks_by_hand_and_whatever_the_order_of_equals() -> None:
    rng = np.random.default_rng(10)
    certainty, loss = rng.permutation(60).astype(float), rng.random(60)
    ordered = loss[np.argsort(-certainty)]
    assert selective.risk(certainty, loss, share=0.25) == pytest.approx(ordered[:15].mean())
    running = np.cumsum(ordered) / np.arange(1, 61)
    assert selective.area(certainty, loss) == pytest.approx(running.mean())
    assert selective.least_area(loss) == pytest.approx((np.cumsum(np.sort(loss)) / np.arange(1, 61)).mean())
    ties = np.round(certainty / 20)
    mixed = rng.permutation(60)
    for share in (0.1, 0.5, 1.0):
        one, other = (selective.risk(ties[rows], loss[rows], share=share) for rows in (np.arange(60), mixed))
        assert one == pytest.approx(other)
    assert selective.area(ties, loss) == pytest.approx(selective.area(ties[mixed], loss[mixed]))
    nothing = np.zeros(60)
    assert selective.area(nothing, loss) == pytest.approx(loss.mean())


def test_weights_are_repetitions() -> None:
    rng = np.random.default_rng(11)
    certainty, loss, weights = rng.integers(0, 9, 40).astype(float), rng.random(40), rng.integers(0, 4, (3, 40))
    said, truth = rng.random(40), rng.integers(0, 2, 40)
    for row, counts in enumerate(weights):
        again = np.repeat(np.arange(40), counts)
        for share in (0.2, 0.7):
            found = selective.risk(certainty, loss, weights.astype(float), share=share)
            assert found[row] == pytest.approx(selective.risk(certainty[again], loss[again], share=share))
        assert selective.area(certainty, loss, weights.astype(float))[row] == pytest.approx(
            selective.area(certainty[again], loss[again])
        )
        for metric in (proper_scores.brier, proper_scores.log_loss):
            assert metric(said, truth, weights.astype(float))[row] == pytest.approx(metric(said[again], truth[again]))


def test_wilson_intervals_are_those_of_scipy() -> None:
    from scipy.stats import binomtest

    for right, of in ((0, 12), (7, 12), (12, 12), (301, 306)):
        expected = binomtest(right, of).proportion_ci(0.95, method="wilson")
        found = wilson(right, of, 0.95)
        assert (found.low, found.high) == pytest.approx((expected.low, expected.high), abs=1e-9)


def test_equal_values_share_a_bin() -> None:
    code = equal_bins(np.array([0.5, 0.9, 0.9, 0.9, 0.9, 0.9, 0.9, 1.0]), 4)
    assert len(set(code[1:7].tolist())) == 1
    assert np.bincount(equal_bins(np.random.default_rng(0).random(100), 5)).tolist() == [20] * 5


# -------------------------------------------------------------------------------------------------- what it is told by


def test_the_report_for_programs_and_for_people(honest: CalibrationReport) -> None:
    record = json.loads(json.dumps(honest.to_dict(), allow_nan=False))
    assert record["settings"]["interval_level"] == 0.9
    assert record["age"]["groups"]["estimated age"]["70+"]["coverage"] is None
    assert record["age"]["constant_width"]["ratio"]["value"] < 0.9
    assert len(record["gender"]["bins"]) == 15
    assert [check["passed"] for check in record["checks"]] == [True] * 4
    text = honest.to_markdown()
    for title in honest.tables():
        assert f"## {title}" in text
    assert text.startswith("synthetic: 4,000 faces measured")
    assert "| coverage of all faces 88-92% " in text


def test_pictures_hold_every_group_and_level(honest: CalibrationReport) -> None:
    assert honest.ages is not None
    assert honest.genders is not None
    figure = plots.groups(honest, honest.ages)
    words = {text.get_text() for text in figure.axes[0].texts}
    assert {"by estimated age", "20-29", "by race as labelled", "Indian", "4,000"} <= words
    assert sum(text.get_text() == "too few faces" for text in figure.axes[1].texts) >= 2
    left, right = plots.levels(honest, honest.ages).axes
    promised = 100 * np.array(LEVELS)
    np.testing.assert_allclose(np.asarray(left.lines[-1].get_xdata(), np.float64), promised)
    np.testing.assert_allclose(np.asarray(right.lines[0].get_xdata(), np.float64), promised)
    assert len(plots.gender(honest, honest.genders).axes[0].lines) == 1 + 2 * 15
    assert len(plots.certainty(honest).axes) == 2
    assert len(plots.slices(honest, honest.ages).axes[0].patches) == 10


def test_the_page_answers_in_words_and_fetches_nothing(honest: CalibrationReport, cocksure: CalibrationReport) -> None:
    page = to_html(honest, "mien lab audit calibration synthetic")
    assert page.count("<section") == 5
    assert page.count("data:image/svg+xml;base64,") == 5
    assert "mien lab audit calibration synthetic" in page
    assert "4 of 4 demands on a calibrated model are fulfilled" in page
    assert not re.findall(r'(?:src|href)="(?!data:|#)', page)
    told = chief_figures(cocksure)[-1]
    assert (told.number, told.unit) == ("1", "of 4")
    assert "not: coverage of all faces 88-92%" in told.below


# --------------------------------------------------------------------------------------------------------- the command


@pytest.fixture(scope="module")
def chips(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Chips whose grey is about their age and whose colour is about their gender; forty in each of two folds."""
    folder = tmp_path_factory.mktemp("faces")
    rng = np.random.default_rng(0)
    rows = []
    for number in range(80):
        age, female = int(rng.integers(20, 70)), number % 2
        colour = np.array([1.25, 1, 0.75] if female else [0.75, 1, 1.25]) if number % 8 > 1 else np.ones(3)
        pixels = np.full((32, 32, 3), (age + rng.normal(0, 4)) * 2.55) * colour
        Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).save(folder / f"{number:02}.png")
        rows.append(f"{number:02}.png,{age},{female},{'val' if number < 40 else 'test'}")
    (folder / "labels.csv").write_text("\n".join(["file,age,gender,fold", *rows]), encoding="utf-8")
    return folder


@pytest.fixture
def model(tiny_bundle: Path, chips: Path, tmp_path: Path) -> Path:
    """The tiny model, calibrated."""
    folder = tmp_path / "tiny"
    folder.mkdir()
    for file in tiny_bundle.iterdir():
        (folder / file.name).write_bytes(file.read_bytes())
    config = replace(bundle.read(folder).config, calibration=Calibration(1.0, 1.0, ((0.9, 0.9),)))
    bundle.write_config(folder, config)
    return folder


@pytest.fixture
def run() -> Callable[..., str]:
    """The command alone, as the root command registers it."""
    app = typer.Typer()
    app.command()(command)

    def call(*arguments: object) -> str:
        result = CliRunner().invoke(app, [str(word) for word in arguments], catch_exceptions=False)
        assert result.exit_code == 0, result.output
        return result.stdout

    return call


def test_the_command_prints_a_table_json_or_a_page(
    run: Callable[..., str], model: Path, chips: Path, tmp_path: Path
) -> None:
    common = (model, "--data", chips, "--fold", "test", "--quiet", "--threads", 1)
    table = run(*common, "--min-faces", 5)
    assert "tiny: 40 faces measured" in table
    assert "from 40 other faces" in table  # the fold val is there
    record = json.loads(run(*common, "--format", "json", "--level", "0.8"))
    assert record["settings"]["interval_level"] == 0.8
    assert record["settings"]["reference_fold"] == "val"
    page = tmp_path / "page.html"
    assert run(*common, "--format", "html", "--output", page) == f"{page}\n"
    assert "--reference-fold val --level 0.9" in page.read_text(encoding="utf-8")
    alone = json.loads(run(model, "--data", chips, "--fold", "all", "--quiet", "--format", "json"))
    assert alone["counts"]["measured"] == 80
    assert alone["age"]["constant_width"] is None


def test_the_printed_page_is_sound_and_tells_the_figures(run: Callable[..., str], model: Path, chips: Path) -> None:
    common = (model, "--data", chips, "--fold", "test", "--quiet", "--threads", 1)
    found = json.loads(run(*common, "--format", "json"))
    page = Page(run(*common, "--format", "html"))
    assert page.faults == []
    assert len(page.pictures) >= 3
    assert f"{found['age']['all']['coverage']['value']:.1%}" in page.text
    assert f"{found['age']['all']['width']['value']:.1f} years" in page.text
    assert f"{100 * found['gender']['ece']['value']:.1f} points" in page.text
    command = page.text.partition("Made by: ")[2].partition("--level 0.9.")[0].split()
    assert command[:5] == ["mien", "lab", "audit", "calibration", str(model)]


def test_saved_answers_spare_the_model(
    run: Callable[..., str], model: Path, chips: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    everyone = read(chips)
    common = (model, "--data", chips, "--fold", "test", "--format", "json", "--quiet")
    computed = json.loads(run(*common))
    from mien.estimate.estimator import Estimator
    from mien.learn.data.predictions import predict

    estimator = Estimator(bundle.read(model))
    files = []
    for fold in ("test", "val"):
        predict(estimator, everyone.select(fold=fold), model="tiny").save(tmp_path / fold)
        files.append(tmp_path / fold)
    monkeypatch.setattr(Estimator, "__call__", lambda *_: pytest.fail("the model ran"))
    saved = json.loads(run(*common, "--predictions", files[0], "--reference-predictions", files[1]))
    assert saved["age"]["all"]["coverage"] == computed["age"]["all"]["coverage"]
    half_widths = [record["age"]["constant_width"]["half_width"] for record in (saved, computed)]
    assert half_widths[0] == pytest.approx(half_widths[1], abs=0.02)  # saved as float16
    Predictions(everyone.files, np.full((80, AGES), 1 / AGES, np.float32), np.ones(80, np.float32), model="other").save(
        tmp_path / "other"
    )
    with pytest.raises(DataError, match="holds answers of 'other', not of 'tiny'"):
        run(*common, "--predictions", tmp_path / "other")


def test_what_cannot_be_audited_gets_a_sentence(
    run: Callable[..., str], model: Path, tiny_bundle: Path, chips: Path, tmp_path: Path
) -> None:
    with pytest.raises(ModelError, match="model tiny is not calibrated: run mien calibrate"):
        run(tiny_bundle, "--data", chips)
    with pytest.raises(UsageError, match="unknown model 'nobody'"):
        run("nobody", "--data", chips)
    common = (model, "--data", chips, "--quiet")
    with pytest.raises(UsageError, match="format 'xml'"):
        run(*common, "--format", "xml")
    with pytest.raises(UsageError, match="--level must lie between 0 and 1"):
        run(*common, "--level", 90)
    with pytest.raises(UsageError, match="there is no folder"):
        run(*common, "--output", "nowhere/page.html")
    with pytest.raises(UsageError, match="both are 'val'"):
        run(*common, "--fold", "val", "--reference-fold", "val")
    with pytest.raises(UsageError, match="unknown fold 'vall': did you mean 'val'"):
        run(*common, "--fold", "test", "--reference-fold", "vall")
    with pytest.raises(DataError, match="40 faces are both measured and in the reference fold 'val'"):
        run(*common, "--fold", "all", "--reference-fold", "val")
    with pytest.raises(UsageError, match="needs --reference-fold"):
        run(*common, "--reference-predictions", tmp_path / "val")
    with pytest.raises(DataError, match="40 faces of known age are too few to learn a constant width"):
        run(*common, "--fold", "test", "--level", "0.99")
    few = tmp_path / "few"
    few.mkdir()
    (few / "labels.csv").write_text("file,age,gender\n1.png,30,1\n", encoding="utf-8")
    Image.new("RGB", (32, 32)).save(few / "1.png")
    with pytest.raises(DataError, match="1 faces of known age are too few"):
        run(model, "--data", few, "--quiet")
