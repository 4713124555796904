from __future__ import annotations

import json
import re
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fairlearn.metrics import MetricFrame
from matplotlib.figure import Figure
from numpy.typing import NDArray
from PIL import Image
from scipy.stats import studentized_range
from sklearn.metrics import accuracy_score, mean_absolute_error
from typer.testing import CliRunner, Result

from mien.cli import app
from mien.errors import DataError, UsageError
from mien.estimate import bundle
from mien.estimate.calibrate import AGES, Calibration, expectation, intervals
from mien.learn.audits.fairness.equal_ages import AgeMix
from mien.learn.audits.fairness.fairness_audit import greatest_difference, measure
from mien.learn.audits.fairness.fairness_plots import plot
from mien.learn.audits.fairness.fairness_report import FIGURES, FairnessReport
from mien.learn.audits.groups import RACES, age_band, crossed
from mien.learn.data.manifest import Manifest
from mien.learn.data.predictions import Predictions
from mien.learn.evaluation import metrics
from mien.learn.evaluation.evaluate import BANDS

CALIBRATION = Calibration(1.0, 1.0, ((0.5, 0.4), (0.9, 0.8)))


def people(n: int, seed: int = 0, **columns: Any) -> Manifest:
    """Faces of all ages, races and genders by chance; any column may be given."""
    rng = np.random.default_rng(seed)
    names = np.array([f"{at:04}.jpg" for at in range(n)])
    values = {
        "files": names,
        "paths": tuple(Path(name) for name in names),
        "exists": np.ones(n, np.bool_),
        "age": rng.integers(0, 90, n).astype(np.float32),
        "female": rng.integers(0, 2, n).astype(np.int8),
        "group": np.full(n, "", dtype=np.str_),
        "fold": np.full(n, "test", dtype=np.str_),
        "coral": np.full(n, "", dtype=np.str_),
        "coral_twin": np.zeros(n, np.bool_),
        "race": rng.integers(0, 5, n).astype(np.int8),
        "source": np.full(n, "here", dtype=np.str_),
    }
    return Manifest(**{**values, **columns})


def answers(faces: Manifest, error: Any = 5.0, wrong: Any = 0.1, shift: Any = 0.0, seed: int = 1) -> Predictions:
    """Distributions about the true age, off by `error` years on average and by `shift` always; some genders wrong."""
    rng = np.random.default_rng(seed)
    n = len(faces)
    centre = np.clip(np.nan_to_num(faces.age) + shift + rng.normal(0, 1, n) * error, 0, 116)
    pmf = np.exp(-(((centre[:, None] - np.arange(AGES)) / 4) ** 2))
    said = np.where(rng.random(n) < wrong, 1 - faces.female, faces.female)
    return Predictions(
        faces.files,
        (pmf / pmf.sum(axis=1, keepdims=True)).astype(np.float32),
        np.where(said > 0, 0.9, 0.2).astype(np.float32),
        model="tiny",
    )


def audit(faces: Manifest, said: Predictions, *by: str, resamples: int = 50, **options: Any) -> FairnessReport:
    return measure(said, faces, by=by, calibration=CALIBRATION, resamples=resamples, **options)


def values(report: FairnessReport, partition: str, figure: str, *, equal: bool = False) -> dict[str, float]:
    groups = report.partitions[partition].groups
    found = {group.name: group.at_equal_ages if equal else group.figures for group in groups}
    return {name: figures[figure].value for name, figures in found.items() if figure in figures}


def test_figures_and_gaps_are_those_of_fairlearn() -> None:
    faces = people(900, female=np.repeat([1, 0], 450).astype(np.int8))
    said = answers(faces, error=np.where(faces.race == 2, 9, 4), wrong=np.where(faces.race == 1, 0.3, 0.05))
    report = audit(faces, said, "race", "gender")
    years = expectation(said.pmf)
    low, high = intervals(said.pmf, 0.9, CALIBRATION)
    inside = (low <= faces.age) & (faces.age <= high)
    race = np.array(RACES)[faces.race]
    gender = np.where(faces.female > 0, "female", "male")
    both = np.array([f"{one}, {other}" for one, other in zip(race, gender, strict=True)])
    references = {
        "mae": ({"m": mean_absolute_error}, faces.age, years),
        "bias": ({"m": lambda truth, said: np.mean(said - truth)}, faces.age, years),
        "cs5": ({"m": lambda truth, said: np.mean(np.abs(truth - said) <= 5)}, faces.age, years),
        "accuracy": ({"m": accuracy_score}, faces.female, (said.female >= 0.5).astype(int)),
        "coverage": ({"m": lambda truth, said: np.mean(said)}, faces.age, inside),
        "width": ({"m": lambda truth, said: np.mean(said)}, faces.age, high - low),
    }
    assert set(references) == set(FIGURES)
    for partition, groups in {"race": race, "gender": gender, "race x gender": both}.items():
        for figure, (metric, truth, answer) in references.items():
            frame = MetricFrame(metrics=metric, y_true=truth, y_pred=answer, sensitive_features=groups)
            expected = frame.by_group["m"].to_dict()
            assert values(report, partition, figure) == pytest.approx(expected), (partition, figure)
            gap = report.partitions[partition].gaps[figure]
            assert gap.difference.value == pytest.approx(frame.difference()["m"])
            assert (gap.highest, gap.lowest) == (max(expected, key=expected.get), min(expected, key=expected.get))
    assert report.whole.figures["mae"].value == pytest.approx(mean_absolute_error(faces.age, years))


def test_equal_ages_are_the_mean_over_bands_weighted_as_in_the_whole() -> None:
    faces = people(2400)
    said = answers(faces, error=1 + faces.age / 10)
    error = np.abs(expectation(said.pmf) - faces.age)
    found = values(audit(faces, said, "race"), "race", "mae", equal=True)
    for code, name in enumerate(RACES):
        parts = []
        for low, high in BANDS:
            band = (faces.age >= low) & (faces.age <= high)
            assert (band & (faces.race == code)).sum() >= 5
            parts.append(band.mean() * error[band & (faces.race == code)].mean())
        assert found[name] == pytest.approx(sum(parts))


def test_whom_all_faces_are_like_has_the_figures_of_all() -> None:
    faces = people(300, race=np.full(300, 3, np.int8))
    report = audit(faces, answers(faces), "race")
    (indian,) = [group for group in report.partitions["race"].groups if group.faces]
    assert indian.figures == report.whole.figures
    for name, figure in indian.at_equal_ages.items():
        assert figure.value == pytest.approx(report.whole.figures[name].value)
    assert indian.effective == pytest.approx(300)
    assert not report.partitions["race"].gaps  # one group has no gap


def test_a_gap_of_ages_is_gone_at_equal_ages_and_a_real_one_is_not() -> None:
    rng = np.random.default_rng(4)
    young = rng.random(2000) < 0.5
    # whites are mostly young, blacks mostly old; errors grow with age, and for blacks they are no larger
    race = np.where(rng.random(2000) < np.where(young, 0.85, 0.15), 0, 1).astype(np.int8)
    age = np.where(young, rng.integers(20, 30, 2000), rng.integers(60, 70, 2000)).astype(np.float32)
    faces = people(2000, age=age, race=race)
    found = audit(faces, answers(faces, error=np.where(young, 2, 9)), "race", resamples=300).partitions["race"]
    assert found.gaps["mae"].real
    assert found.gaps["mae"].difference.low > 2
    assert not found.gaps_at_equal_ages["mae"].real
    harmed = answers(faces, error=np.where(young, 2, 9) * np.where(race == 1, 1.0, 1.5))
    found = audit(faces, harmed, "race", resamples=300).partitions["race"]
    assert found.gaps["mae"].worst == "Black"  # by their ages
    assert found.gaps_at_equal_ages["mae"].worst == "White"
    assert found.gaps_at_equal_ages["mae"].real


def test_gaps_name_who_is_served_worse() -> None:
    faces = people(1500)
    said = answers(faces, error=1, wrong=np.choose(faces.race, [0.1, 0.4, 0.1, 0.1, 0.0]),
                   shift=np.choose(faces.race, [0.5, -6, 3, 0.0, 0.5]))  # fmt: skip
    gaps = audit(faces, said, "race").partitions["race"].gaps
    assert (gaps["accuracy"].highest, gaps["accuracy"].lowest) == ("Others", "Black")
    assert (gaps["accuracy"].best, gaps["accuracy"].worst) == ("Others", "Black")
    assert (gaps["bias"].highest, gaps["bias"].lowest) == ("Asian", "Black")
    assert (gaps["bias"].best, gaps["bias"].worst) == ("Indian", "Black")  # nearest to 0, farthest from it
    assert (gaps["mae"].best, gaps["mae"].worst) == ("Indian", "Black")
    assert gaps["coverage"].worst == "Black"


def test_intervals_are_of_the_same_resamples() -> None:
    faces = people(400)
    said = answers(faces)
    gap = audit(faces, said, "gender", resamples=80, seed=3, level=0.8).partitions["gender"].gaps["mae"]
    error = np.abs(expectation(said.pmf) - faces.age)
    draws: list[NDArray[np.float64]] = []
    for weights in metrics.resamples(faces.twins, 80, 3):
        women, men = weights * (faces.female == 1), weights * (faces.female == 0)
        draws += list((women @ error / women.sum(axis=1) - men @ error / men.sum(axis=1))[:, None])
    sign = 1 if gap.highest == "female" else -1
    low, high = np.quantile(sign * np.concatenate(draws), [0.1, 0.9])
    assert (gap.difference.low, gap.difference.high) == pytest.approx((low, high))


def test_twins_do_not_count_twice() -> None:
    single = people(300, group=np.array([f"g{at:03}" for at in range(300)]))
    said = answers(single)
    rows = np.repeat(np.arange(300), 4)
    names = np.array([f"{at:05}.jpg" for at in range(1200)])
    copied = replace(single.take(rows), files=names)
    copies = Predictions(names, said.pmf[rows], said.female[rows])
    one = audit(single, said, "race", resamples=200)
    four = audit(copied, copies, "race", resamples=200)
    for group, other in zip(one.partitions["race"].groups, four.partitions["race"].groups, strict=True):
        assert (group.faces * 4, group.name) == (other.faces, other.name)
        for figure, interval in group.figures.items():
            assert other.figures[figure].to_dict() == interval.to_dict()
    strangers = audit(replace(copied, group=np.full(1200, "")), copies, "race", resamples=200)
    wide, narrow = (report.whole.figures["mae"] for report in (four, strangers))
    assert wide.high - wide.low > 1.5 * (narrow.high - narrow.low)


@pytest.mark.parametrize("groups", [2, 5])
def test_chance_is_that_of_tukey_for_equal_spreads(groups: int) -> None:
    deviations = np.random.default_rng(0).normal(0, 3, (groups, 40_000))
    expected = studentized_range.ppf(0.95, groups, np.inf) / np.sqrt(2)
    assert greatest_difference(deviations, 0.95) == pytest.approx(expected, rel=0.01)
    unequal = deviations * np.arange(1, groups + 1)[:, None]  # a noisy group does not hide the others
    assert greatest_difference(unequal, 0.95) == pytest.approx(expected, rel=0.05)
    assert greatest_difference(np.zeros((3, 10)), 0.95) == 0


def test_alike_groups_are_mostly_within_chance() -> None:
    real = 0
    for seed in range(25):
        faces = people(500, seed)
        gaps = audit(faces, answers(faces, seed=seed), "race", resamples=100, seed=seed).partitions["race"].gaps
        real += gaps["mae"].real
    assert real <= 4  # 5 % of 25 are 1.25


def test_small_groups_are_said_and_not_averaged_away() -> None:
    faces = people(600, race=np.array([0] * 300 + [1] * 288 + [4] * 12, np.int8))
    said = answers(faces, error=np.where(faces.race == 4, 40, 4))
    report = audit(faces, said, "race", "gender")
    groups = {group.name: group for group in report.partitions["race"].groups}
    assert (groups["Others"].faces, groups["Others"].too_few, groups["Asian"].faces) == (12, True, 0)
    assert all("Others" not in (gap.worst, gap.best) for gap in report.partitions["race"].gaps.values())
    text = report.to_markdown()
    assert re.search(r"\| Others +\| 12 +\| too few faces +\|", text)
    assert re.search(r"\| Others, female +\| \d +\| too few faces +\|", text)
    assert report.to_dict()["partitions"]["race"]["groups"]["Others"]["too_few"]
    with_them = audit(faces, said, "race", min_faces=12)
    assert with_them.partitions["race"].gaps["mae"].worst == "Others"
    assert report.whole.faces == 600  # they are part of the whole all the same


def test_a_lopsided_group_is_not_measured_at_equal_ages() -> None:
    age = np.concatenate([np.full(500, 25), np.full(500, 65), np.full(60, 25), np.full(5, 65)]).astype(np.float32)
    faces = people(1065, age=age, race=np.array([0] * 1000 + [1] * 65, np.int8))
    groups = {group.name: group for group in audit(faces, answers(faces), "race").partitions["race"].groups}
    black = groups["Black"]
    assert black.figures
    assert not black.at_equal_ages  # five faces would stand for half of all
    share = 505 / 1065
    assert black.effective == pytest.approx(1 / (share**2 / 5 + (1 - share) ** 2 / 60))
    assert groups["White"].at_equal_ages


def test_bands_with_few_faces_are_joined_and_named() -> None:
    age = np.tile([1, 5, 15, 25, 35, 45, 55, 65, 75], 40).astype(np.float32)
    race = np.zeros(360, np.int8)
    race[1::2] = 1
    race[(race == 1) & (age > 60)] = 0
    faces = people(360, age=age, race=race)
    white, black = audit(faces, answers(faces), "race").partitions["race"].groups[:2]
    assert (white.joined, black.joined) == ((), ("50+",))
    mix = AgeMix.of(faces.race == 1, age_band(faces))
    assert mix.shares.tolist() == pytest.approx([1 / 9] * 6 + [3 / 9])
    weights = mix.weigh(np.ones((1, 140)), np.flatnonzero(faces.race == 1))
    assert weights.sum() == pytest.approx(1)
    assert weights[0, age[faces.race == 1] == 55].sum() == pytest.approx(3 / 9)


def test_age_bands_are_groups_and_not_weighted_by_age() -> None:
    faces = people(900)
    report = audit(faces, answers(faces, error=1 + faces.age / 8), "age-band", "gender")
    assert list(report.partitions) == ["age-band", "gender", "age-band x gender"]
    bands = report.partitions["age-band"]
    assert [group.name for group in bands.groups][::8] == ["0-2", "70+"]
    assert bands.gaps["mae"].worst == "70+"
    assert not bands.gaps_at_equal_ages
    assert report.partitions["gender"].gaps_at_equal_ages
    assert sum(group.faces for group in report.partitions["age-band x gender"].groups) == 900


def test_what_the_data_do_not_say_is_counted() -> None:
    faces = people(400)
    faces.race[:50], faces.age[50:80], faces.female[80:100] = -1, np.nan, -1
    said = answers(faces)
    part = Predictions(said.files[20:], said.pmf[20:], said.female[20:], model="tiny")
    report = audit(faces, part, "race", "gender")
    assert report.counts == {
        "listed": 400, "measured": 380, "without_an_answer": 20, "unknown_ages": 30, "unknown_genders": 20
    }  # fmt: skip
    assert (report.whole.ages, report.whole.genders) == (350, 360)
    assert [report.partitions[name].unknown for name in ("race", "gender", "race x gender")] == [30, 20, 50]
    assert "30 faces are in no group" in report.to_markdown()
    _, codes = crossed(["race", "gender"], faces)
    assert (codes < 0).sum() == 70


def test_a_model_may_answer_only_one_question() -> None:
    faces = people(400)
    said = answers(faces)
    mute = replace(said, pmf=np.full_like(said.pmf, np.nan))
    report = audit(faces, mute, "race")
    assert set(report.partitions["race"].gaps) == {"accuracy"}
    assert set(audit(faces, replace(said, female=np.full(400, np.nan, np.float32)), "race").whole.figures) == set(
        FIGURES
    ) - {"accuracy"}
    assert report.to_markdown().count("- ") > 5


def test_same_seed_same_report() -> None:
    faces = people(300)
    said = answers(faces)
    first, again, other = (audit(faces, said, "race", seed=seed).to_dict() for seed in (1, 1, 2))
    assert first == again
    assert first != other
    json.dumps(first, allow_nan=False)


def test_what_cannot_be_measured_is_refused() -> None:
    faces = people(100)
    said = answers(faces)
    with pytest.raises(UsageError, match=r"unknown group 'rase': did you mean 'race'.*age-band, gender, race"):
        audit(faces, said, "gender", "rase")
    with pytest.raises(UsageError, match="race, gender, age-band"):
        audit(faces, said)
    with pytest.raises(DataError, match="state no race of any of 100 faces"):
        audit(replace(faces, race=np.full(100, -1, np.int8)), said, "race")
    with pytest.raises(DataError, match="none of 100 faces has both a label and one of the 100 answers"):
        audit(faces, replace(said, files=np.char.add("x", said.files)), "race")
    with pytest.raises(DataError, match="same name"):
        audit(faces.take(np.array([0, 0, 1])), said, "race")


def test_the_plot_shows_the_figures() -> None:
    faces = people(500, race=np.array([0] * 240 + [1] * 250 + [2] * 10, np.int8))
    report = audit(faces, answers(faces), "race", "gender")
    figure = plot(report)
    assert len(figure.axes) == 1 + len(FIGURES)
    names = [text.get_text() for text in figure.axes[0].texts]
    assert [name for name in ("by race", "White", "by gender", "by race x gender", "Black, male") if name in names] == [
        "by race", "White", "by gender", "by race x gender", "Black, male"
    ]  # fmt: skip
    mae = figure.axes[1]
    dots = {round(float(line.get_xdata()[0]), 4) for line in mae.lines if len(line.get_xdata()) == 1}  # type: ignore[arg-type, index]
    groups = [report.whole, *(group for part in report.partitions.values() for group in part.groups)]
    drawn = [found["mae"].value for group in groups for found in (group.figures, group.at_equal_ages) if found]
    assert dots == {round(value, 4) for value in drawn}
    assert [text.get_text() for text in mae.texts].count("too few faces") == sum(group.too_few for group in groups)
    only = plot(report, ["gender"])
    assert "by race" not in [text.get_text() for text in only.axes[0].texts]
    assert isinstance(only, Figure)


def run(*arguments: str | Path) -> Result:
    return CliRunner().invoke(app, ["audit", "fairness", *map(str, arguments)])


@pytest.fixture
def model(tiny_bundle: Path, tmp_path: Path) -> Path:
    folder = Path(shutil.copytree(tiny_bundle, tmp_path / "tiny"))
    bundle.write_config(folder, replace(bundle.read(folder).config, calibration=CALIBRATION))
    return folder


@pytest.fixture(scope="module")
def chips(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Chips named as UTKFace names them: those of race 1 look six years older than they are, those of 0 as old."""
    folder = tmp_path_factory.mktemp("chips")
    rows = ["file,age,gender,group,fold,coral"]
    for number in range(80):
        years, female, race = 20 + number // 2, number // 2 % 2, number % 2
        colour = np.array([20, 0, -20] if female else [-20, 0, 20])
        pixels = np.full((40, 40, 3), round((years + 6 * race) * 2.55)) + colour
        name = f"{years}_{female}_{race}_{number}.jpg.chip.jpg"
        Image.fromarray(pixels.astype(np.uint8)).save(folder / name, quality=100, subsampling=0)
        rows.append(f"{name},{years},{'fm'[1 - female]},,test,")
    (folder / "splits.csv").write_text("\n".join(rows))
    return folder


def test_the_command_measures_a_model(model: Path, chips: Path, tmp_path: Path) -> None:
    arguments = (model, "--data", chips, "--folds", chips / "splits.csv", "--by", "race", "--threads", "1")
    done = run(*arguments, "--format", "json", "--by", "gender")
    assert done.exit_code == 0, done.output
    report = json.loads(done.stdout)
    groups = report["partitions"]["race"]["groups"]
    assert groups["White"]["figures"]["bias"]["value"] == pytest.approx(0, abs=0.2)
    assert groups["Black"]["figures"]["bias"]["value"] == pytest.approx(6, abs=0.2)
    assert report["partitions"]["race"]["gaps"]["mae"]["worst"] == "Black"
    assert report["partitions"]["race x gender"]["groups"]["Black, male"]["too_few"]  # 20 faces
    assert report["settings"]["fold"] == "test"
    table = run(*arguments, "--min-faces", "41")
    assert table.exit_code == 0
    assert re.search(r"\| White +\| 40 +\| too few faces", table.stdout)
    kept, drawing = tmp_path / "table.md", tmp_path / "drawing.png"
    done = run(*arguments, "--output", kept, "--plot", drawing)
    assert (done.exit_code, done.stdout.strip()) == (0, str(kept))
    assert re.search(r"\| Black +\| 40 +\|", kept.read_text())
    with Image.open(drawing) as picture:
        assert picture.format == "PNG"


def test_saved_predictions_serve_as_well(model: Path, chips: Path, tmp_path: Path) -> None:
    saved = tmp_path / "answers.parquet"
    data = ("--data", str(chips), "--folds", str(chips / "splits.csv"))
    done = CliRunner().invoke(app, ["evaluate", str(model), *data, "--predictions", str(saved), "--threads", "1"])
    assert done.exit_code == 0, done.output
    by = ("--by", "race", "--format", "json")
    live, kept = (
        json.loads(run(model, *data, *by, *more).stdout)["partitions"]["race"]["gaps"]["mae"]["difference"]["value"]
        for more in (("--threads", "1"), ("--predictions", saved))
    )
    assert kept == pytest.approx(live, abs=0.01)  # float16
    replace(Predictions.load(saved), model="other").save(saved)
    done = run(model, *data, *by, "--predictions", saved)
    assert done.exit_code == 6
    assert "holds answers of 'other', not of 'tiny'" in done.output


@pytest.mark.parametrize(
    ("options", "code", "words"),
    [
        (["--by", "hair"], 2, "unknown group 'hair': choices: age-band, gender, race"),
        ([], 2, "say what to group faces by: race, gender, age-band"),
        (["--by", "race", "--format", "xml"], 2, "unknown format 'xml'"),
        (["--by", "race", "--output", "x.doc"], 2, "say --format"),
        (["--by", "race", "--output", "x.html"], 2, "mien report --part fairness"),
        (["--by", "race", "--format", "html"], 2, "mien report --part fairness"),
        (["--by", "race", "--output", "/nowhere/x.md"], 2, "no folder /nowhere"),
        (["--by", "race", "--plot", "x.bmp"], 2, "unknown kind of drawing '.bmp'"),
        (["--by", "race", "--level", "1"], 2, "--level must lie between 0 and 1"),
        (["--by", "race", "--predictions", "nothing.parquet"], 6, "no file lies at nothing.parquet"),
    ],
)
def test_bad_input_is_answered_with_a_sentence(
    model: Path, chips: Path, options: list[str], code: int, words: str
) -> None:
    done = run(model, "--data", chips, *options)
    assert done.exit_code == code, done.output
    assert words in done.output


def test_a_model_without_calibration_is_told_how_to_get_one(tiny_bundle: Path, chips: Path) -> None:
    done = run(tiny_bundle, "--data", chips, "--by", "race")
    assert done.exit_code == 4
    assert "model tiny is not calibrated: run mien calibrate" in done.output


def test_data_without_a_race_is_told(model: Path, chips_folder: Path) -> None:
    done = run(model, "--data", chips_folder, "--by", "race")
    assert done.exit_code == 6
    assert "never guessed" in done.output
