from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn import metrics as reference

from mien.errors import DataError, UsageError
from mien.estimate.calibrate import AGES
from mien.learn.comparison.claims import Claim
from mien.learn.comparison.compare import Comparison, compare, likeliest, verdict
from mien.learn.comparison.picture_labels import read_labels
from mien.learn.comparison.scored_runs import ScoredRun, read_run
from mien.learn.data.predictions import Predictions
from mien.learn.evaluation import metrics
from mien.learn.evaluation.metrics import Interval

RNG = np.random.default_rng(7)
AGE = RNG.integers(1, 100, size=240)
FEMALE = RNG.integers(0, 2, size=240)
FILES = [f"{age}_{female}_0_{at}.jpg.chip.jpg" for at, (age, female) in enumerate(zip(AGE, FEMALE, strict=True))]
YEARS = np.arange(AGES)


def years(values: NDArray[Any]) -> NDArray[np.float32]:
    """Numbers of years as the two years beside each."""
    near = np.abs(np.clip(values, 0, AGES - 1)[:, None] - YEARS)
    return np.asarray(np.maximum(0, 1 - near), np.float32)


def bells(centres: NDArray[Any], spread: float) -> NDArray[np.float32]:
    mass = np.exp(-(((centres[:, None] - YEARS) / spread) ** 2))
    return np.asarray(mass / mass.sum(axis=1, keepdims=True), np.float32)


def guesses(right: float, seed: int = 0) -> NDArray[np.float32]:
    """Probabilities of "female" of which about a share is on the side of the label."""
    rng = np.random.default_rng(seed)
    sure = rng.uniform(0.55, 1, size=len(FEMALE))
    believed = np.where(rng.random(len(FEMALE)) < right, FEMALE, 1 - FEMALE)
    return np.where(believed == 1, sure, 1 - sure).astype(np.float32)


def write_run(
    folder: Path,
    *,
    system: str = "mien",
    pmf: NDArray[Any] | None = None,
    female: NDArray[Any] | None = None,
    files: list[str] = FILES,
    recipe: str = "",
    **record: Any,
) -> Path:
    folder.mkdir()
    size = len(files)
    none = np.full((size, AGES), np.nan, np.float32)
    answers = np.full(size, np.nan, np.float32) if female is None else female
    Predictions(np.array(files, dtype=np.str_), none if pmf is None else pmf, answers).save(folder / "test.parquet")
    said = {"name": folder.name, "system": system, "title": folder.name} | record
    (folder / "run.json").write_text(json.dumps(said), encoding="utf-8")
    if recipe:
        (folder / "recipe.yaml").write_text(f"name: {recipe}\n", encoding="utf-8")
    return folder


def measured(*folders: Path) -> Comparison:
    runs = [read_run(folder) for folder in folders]
    files = sorted({file for run in runs for file in run.predictions.files.tolist()})
    return compare(runs, read_labels(files, None), resamples=200)


def test_figures_are_those_of_scikit_learn(tmp_path: Path) -> None:
    pmf = bells(AGE + RNG.normal(0, 6, len(AGE)), 5.0)
    run = read_run(write_run(tmp_path / "one", pmf=pmf, female=guesses(0.8)))
    figures = compare([run], read_labels(FILES, None)).figures["one"]
    stored = run.predictions.pmf.astype(np.float64)
    answers = stored @ YEARS / stored.sum(axis=1)
    classes = np.array([[row[low : low + 5].sum() for low in range(0, AGES, 5)] for row in stored]).argmax(axis=1)
    decades = np.array([[row[low : low + 10].sum() for low in range(0, AGES, 10)] for row in stored]).argmax(axis=1)
    said = run.predictions.female >= 0.5
    expected = {
        "mae": reference.mean_absolute_error(AGE, answers),
        "mse": reference.mean_squared_error(AGE, answers),
        "rmse": reference.root_mean_squared_error(AGE, answers),
        "cs5": np.mean(np.abs(answers - AGE) <= 5),
        "age_class": reference.accuracy_score(AGE // 5, classes),
        "decade": reference.accuracy_score(AGE // 10, decades),
        "accuracy": reference.accuracy_score(FEMALE, said),
        "precision": reference.precision_score(FEMALE, said),
        "recall": reference.recall_score(FEMALE, said),
        "f1": reference.f1_score(FEMALE, said),
    }
    assert {name: figure.value for name, figure in figures.items()} == pytest.approx(expected)
    assert all(figure.low < figure.value < figure.high for figure in figures.values())


def test_the_class_is_that_which_holds_most() -> None:
    numbers = years(np.array([24.3, 24.7, 3.0, 116.0]))
    assert likeliest(numbers, 5).tolist() == [4, 5, 0, 23]
    assert likeliest(numbers, 10).tolist() == [2, 2, 0, 11]
    spread = np.zeros((1, AGES), np.float32)
    spread[0, [20, 21, 22, 23, 24]] = 0.11  # the class of most mass, though 40 is the likeliest year
    spread[0, 40] = 0.45
    assert likeliest(spread, 5).tolist() == [4]


def test_differences_are_those_of_the_paired_bootstrap(tmp_path: Path) -> None:
    rough, fine = AGE + RNG.normal(0, 9, len(AGE)), AGE + RNG.normal(0, 3, len(AGE))
    comparison = measured(
        write_run(tmp_path / "a", pmf=years(rough), female=guesses(0.6)),
        write_run(tmp_path / "b", pmf=years(fine), female=guesses(0.95)),
        write_run(tmp_path / "c", pmf=years(fine), female=guesses(0.95)),
    )
    task = comparison.tasks["age"]
    pairs, groups = task.pairs, task.faces.twins
    answers = {name: pmf @ YEARS / pmf.sum(axis=1) for name, pmf in task.answers.items()}
    expected = metrics.paired_bootstrap(metrics.mae, answers["b"], answers["a"], task.faces.age, groups, n=200)
    found = [float(part[0, 1]) for part in (pairs.value, pairs.low, pairs.high)]
    assert found == pytest.approx([expected.value, expected.low, expected.high], abs=1e-5)
    assert pairs.real.tolist() == [[False, True, True], [True, False, False], [True, False, False]]
    assert pairs.count() == (2, 3)
    assert pairs.value[1, 0] == -pairs.value[0, 1] < 0
    gender = comparison.tasks["gender"]
    expected = metrics.paired_bootstrap(
        metrics.accuracy, gender.answers["b"], gender.answers["a"], gender.faces.female, groups, n=200
    )
    assert gender.pairs.value[0, 1] == pytest.approx(expected.value)
    assert gender.pairs.low[0, 1] == pytest.approx(expected.low)


def test_a_run_that_answers_one_question_has_gaps(tmp_path: Path) -> None:
    comparison = measured(
        write_run(tmp_path / "both", pmf=years(AGE), female=guesses(0.9)),
        write_run(tmp_path / "age", pmf=years(AGE)),
        write_run(tmp_path / "gender", female=guesses(0.9)),
    )
    assert set(comparison.figures["age"]) == {"mae", "mse", "rmse", "cs5", "age_class", "decade"}
    assert set(comparison.figures["gender"]) == {"accuracy", "precision", "recall", "f1"}
    assert comparison.tasks["age"].pairs.names == ("age", "both")
    assert len(comparison.tasks["gender"].faces) == len(FILES)
    record = comparison.to_dict()
    runs = {run["name"]: run for run in record["runs"]}
    assert runs["age"]["answered"] == {"age": 240, "gender": 0}


def test_all_runs_are_measured_on_the_faces_they_have_in_common(tmp_path: Path) -> None:
    unsure = guesses(0.9)
    unsure[:7] = np.nan
    comparison = measured(
        write_run(tmp_path / "whole", pmf=years(AGE + 1), female=guesses(0.9)),
        write_run(tmp_path / "part", pmf=years(AGE + 1)[40:], female=unsure[40:], files=FILES[40:]),
        write_run(tmp_path / "unsure", pmf=years(AGE + 1), female=unsure),
    )
    age, gender = comparison.tasks["age"], comparison.tasks["gender"]
    assert len(age.faces) == 200
    assert age.answered == {"whole": 240, "part": 200, "unsure": 240}
    assert gender.answered == {"whole": 240, "part": 200, "unsure": 233}
    assert set(age.faces.files.tolist()) == set(FILES[40:])
    assert comparison.figures["whole"]["mae"] == comparison.figures["part"]["mae"]


def test_runs_stand_in_the_order_of_their_systems(tmp_path: Path) -> None:
    names = ("mien-m", "lbp-svm", "hybrid-gru", "hybrid-cnn", "other-hybrid", "compact")
    systems = ("mien", "baseline", "hybrid", "hybrid", "hybrid", "compact")
    folders = [
        write_run(tmp_path / name, system=system, female=guesses(0.9))
        for name, system in zip(names, systems, strict=True)
    ]
    order = [run.name for run in measured(*folders).runs]
    assert order == ["compact", "hybrid-cnn", "hybrid-gru", "other-hybrid", "lbp-svm", "mien-m"]


def test_the_recipe_says_which_claims_stand_beside_a_run(tmp_path: Path) -> None:
    folder = write_run(tmp_path / "on-a-gpu", system="one-or-two", recipe="combined", pmf=years(AGE + 8))
    comparison = measured(folder)
    (run,) = comparison.runs
    assert comparison.claims(run)["mae"].value == 7.0
    (record,) = comparison.to_dict()["runs"]
    assert record["claims"]["mae"]["verdict"] == "short"
    assert "verdict" not in record["claims"]["accuracy"]
    assert run.title == "Combined"


@pytest.mark.parametrize(
    ("figure", "claim", "expected"),
    [
        (Interval(6.0, 5.8, 6.2), Claim("mae", 7.0), "better"),
        (Interval(6.0, 5.8, 6.2), Claim("mae", 6.1), "reached"),
        (Interval(6.0, 5.8, 6.2), Claim("mae", 5.9), "reached"),
        (Interval(6.0, 5.8, 6.2), Claim("mae", 5.7), "short"),
        (Interval(0.9, 0.88, 0.92), Claim("accuracy", 0.87), "better"),
        (Interval(0.9, 0.88, 0.92), Claim("accuracy", 0.91), "reached"),
        (Interval(0.9, 0.88, 0.92), Claim("accuracy", 0.93), "short"),
    ],
)
def test_a_claim_is_reached_or_not(figure: Interval, claim: Claim, expected: str) -> None:
    assert verdict(figure, claim) == expected


def test_labels_come_from_the_names_where_the_data_is_not(tmp_path: Path) -> None:
    labels = read_labels([*FILES, "whoever.jpg", "300_0_0_1.jpg"], None)
    assert labels.manifest.files.tolist() == FILES
    assert labels.manifest.age.tolist() == AGE.tolist()
    assert labels.manifest.female.tolist() == FEMALE.tolist()
    assert "file names" in labels.origin
    with pytest.raises(DataError, match="give --data and --folds"):
        read_labels(["whoever.jpg"], None)


def test_twins_of_the_data_stay_together(tmp_path: Path) -> None:
    (tmp_path / "images").mkdir()
    rows = ["file,age,gender,group,fold"]
    for at, file in enumerate(FILES):
        (tmp_path / "images" / file).touch()
        rows.append(f"{file},{AGE[at]},{FEMALE[at]},g{at // 12},test")
    (tmp_path / "splits.csv").write_text("\n".join(rows), encoding="utf-8")
    off = np.repeat(RNG.normal(0, 12, 20), 12)  # twins are missed alike
    run = read_run(write_run(tmp_path / "run", pmf=years(np.clip(AGE + off, 0, 116))))
    known = read_labels(FILES, tmp_path / "images", tmp_path / "splits.csv")
    grouped = compare([run], known).figures["run"]["mae"]
    single = compare([run], read_labels(FILES, None)).figures["run"]["mae"]
    assert "kept together" in known.origin
    assert grouped.value == pytest.approx(single.value)
    assert grouped.high - grouped.low > 1.5 * (single.high - single.low)


def test_a_comparison_becomes_json(tmp_path: Path) -> None:
    comparison = measured(
        write_run(tmp_path / "compact", system="compact", pmf=years(AGE + 3), female=guesses(0.9), hours=1.5),
        write_run(tmp_path / "eigenface", system="baseline", female=guesses(0.7)),
    )
    record = json.loads(json.dumps(comparison.to_dict(), allow_nan=False))
    assert [run["name"] for run in record["runs"]] == ["compact", "eigenface"]
    first = record["runs"][0]
    assert first["figures"]["mse"]["value"] == pytest.approx(first["figures"]["rmse"]["value"] ** 2, abs=1e-3)
    assert (first["hours"], first["multiply_adds"]) == (1.5, None)
    assert first["claims"]["accuracy"]["value"] == 0.945
    (pair,) = record["differences"]["gender"]
    assert (pair["first"], pair["second"], pair["real"]) == ("compact", "eigenface", True)
    assert record["faces"] == {"age": 240, "gender": 240}


def _spoil(folder: Path, name: str, text: str) -> None:
    (folder / name).write_text(text, encoding="utf-8")


def test_a_folder_that_is_no_finished_run_is_told(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="there is no run folder"):
        read_run(tmp_path / "nowhere")
    with pytest.raises(DataError, match=r"is not the folder of a run: it holds neither run\.json nor recipe\.yaml"):
        read_run(tmp_path)
    (tmp_path / "inside").mkdir()
    (tmp_path / "inside" / "run.json").touch()
    with pytest.raises(DataError, match=r"is no run, but holds runs \(inside\): give them, .*/\*"):
        read_run(tmp_path)
    (tmp_path / "recipe.yaml").touch()
    with pytest.raises(DataError, match=r"no run\.json: without model\.safetensors mien lab score cannot make it"):
        read_run(tmp_path)
    (tmp_path / "model.safetensors").touch()
    with pytest.raises(DataError, match=r"no run\.json: run mien lab score"):
        read_run(tmp_path)
    (tmp_path / "run.json").write_text('{"name": "x", "system": "mien", "title": "X"}')
    with pytest.raises(DataError, match=r"no test\.parquet"):
        read_run(tmp_path)


@pytest.mark.parametrize(
    ("file", "text", "sentence"),
    [
        ("run.json", "{", "is not JSON"),
        ("run.json", "[]", "must say name, system, title"),
        ("run.json", '{"name": "x", "system": "", "title": "X"}', "must say system"),
        ("run.json", '{"name": "x", "system": "deep", "title": "X"}', "must be one of compact, regularised"),
        ("run.json", '{"name": "x", "system": "mien", "title": "X", "hours": "two"}', "hours is 'two'"),
        ("recipe.yaml", "name: [", "not valid YAML"),
        ("curves.csv", "epoch,loss\n1,low", "no table of numbers"),
        ("test.parquet", "?", "no table of predictions"),
    ],
)
def test_a_file_that_is_malformed_is_told(tmp_path: Path, file: str, text: str, sentence: str) -> None:
    folder = write_run(tmp_path / "run", female=guesses(0.9))
    _spoil(folder, file, text)
    with pytest.raises(DataError, match=sentence):
        read_run(folder)


def test_predictions_that_cannot_be_used_are_told(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="holds no predictions"):
        read_run(write_run(tmp_path / "empty", files=[], female=np.empty(0, np.float32)))
    with pytest.raises(DataError, match="names a picture twice"):
        read_run(write_run(tmp_path / "twice", files=FILES[:1] * 2, female=np.array([0.5, 0.5], np.float32)))
    with pytest.raises(DataError, match="neither age nor gender"):
        read_run(write_run(tmp_path / "silent"))


def test_runs_that_cannot_be_compared_are_told(tmp_path: Path) -> None:
    labels = read_labels(FILES, None)
    with pytest.raises(UsageError, match="nothing to compare"):
        compare([], labels)
    first = read_run(write_run(tmp_path / "first", female=guesses(0.9)[:100], files=FILES[:100]))
    with pytest.raises(UsageError, match="two runs are called 'first'"):
        compare([first, first], labels)
    second = read_run(write_run(tmp_path / "second", female=guesses(0.9)[100:], files=FILES[100:]))
    with pytest.raises(DataError, match="first and second answered no picture in common"):
        compare([first, second], labels)
    with pytest.raises(DataError, match="no picture of the run first has a label"):
        compare([first], read_labels(FILES[200:], None))


def test_curves_keep_what_was_measured(tmp_path: Path) -> None:
    folder = write_run(tmp_path / "run", female=guesses(0.9))
    _spoil(folder, "curves.csv", "epoch,loss,mae,gender\n1,2.5,,0.8\n2,2.0,nan,0.9\n")
    run: ScoredRun = read_run(folder)
    assert run.curves == ({"epoch": 1, "loss": 2.5, "gender": 0.8}, {"epoch": 2, "loss": 2.0, "gender": 0.9})
