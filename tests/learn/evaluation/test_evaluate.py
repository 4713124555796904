import json
import sys
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image

from mien.errors import DataError, MissingExtra, PhotoError
from mien.estimate.bundle import read as read_bundle
from mien.estimate.calibrate import AGES, Calibration, expectation
from mien.estimate.estimator import Estimator
from mien.learn.data.manifest import Manifest
from mien.learn.data.predictions import each_picture
from mien.learn.data.readers import read
from mien.learn.evaluation import metrics
from mien.learn.evaluation.evaluate import Predictions, Report, evaluate, predict

Array = NDArray[Any]


def certain(ages: Any) -> Array:
    """Distributions [N, 117] with the given expectations."""
    low = np.floor(ages).astype(int)
    pmf = np.zeros((len(low), AGES), np.float32)
    pmf[np.arange(len(low)), low] = 1 - (ages - low)
    pmf[np.arange(len(low)), np.minimum(low + 1, AGES - 1)] += ages - low
    return pmf


def predictions(ages: Any, female: Any, **more: Any) -> Predictions:
    files = np.array([f"{i}.png" for i in range(len(ages))])
    return Predictions(files, certain(np.asarray(ages, float)), np.asarray(female, np.float32), **more)


def listed(folder: Path, *rows: str, absent: tuple[int, ...] = ()) -> Manifest:
    """Manifest of rows "age,gender,group,fold,coral"."""
    for i in set(range(len(rows))) - set(absent):
        (folder / f"{i}.png").touch()
    lines = ["file,age,gender,group,fold,coral", *(f"{i}.png,{row}" for i, row in enumerate(rows))]
    (folder / "table.csv").write_text("\n".join(lines), encoding="utf-8")
    return read(folder / "table.csv")


@pytest.fixture
def coral(tmp_path: Path) -> Manifest:
    return listed(
        tmp_path,
        "30,0,g1,test,test",
        "50,1,,test,test",
        "5,1,,test,",
        "80,0,,test,",
        "31,0,g1,train,train",
    ).select(fold="test")


@pytest.fixture
def figures(coral: Manifest) -> Report:
    return evaluate(predictions([18, 63, 5.5, 78], [0.1, 0.4, 0.9, 0.3], model="mine"), coral, resamples=50)


def test_full_range(figures: Report) -> None:
    everything = figures.subsets["all"]
    assert (everything.ages, everything.genders) == (4, 4)
    assert everything.age["mae"].value == pytest.approx((12 + 13 + 0.5 + 2) / 4)
    assert everything.age["bias"].value == pytest.approx((-12 + 13 + 0.5 - 2) / 4)
    assert everything.age["cs5"].value == 0.5
    assert everything.gender["accuracy"].value == 0.75
    assert everything.gender["f1"].value == pytest.approx(2 / 3)
    assert everything.age["mae"].low < everything.age["mae"].value < everything.age["mae"].high


def test_coral_protocol(figures: Report) -> None:
    maes = {name: figures.subsets[name].age["mae"].value for name in figures.subsets if name.startswith("coral")}
    assert maes == pytest.approx({"coral_clipped": (9 + 10) / 2, "coral_unclipped": 12.5, "coral_without_twins": 10})
    assert figures.subsets["coral_without_twins"].genders == 1


def test_bands_and_genders(figures: Report) -> None:
    maes = {name: round(subset.age["mae"].value, 4) for name, subset in figures.subsets.items()}
    assert {name: maes[name] for name in ("3-9", "30-39", "50-59", "70+")} == {
        "3-9": 0.5,
        "30-39": 12,
        "50-59": 13,
        "70+": 2,
    }
    assert (maes["female"], maes["male"]) == (6.75, 7)
    assert maes["50-59_female"] == 13
    assert "50-59_male" not in maes
    assert set(figures.subsets["female"].gender) == {"accuracy"}


def test_every_band_edge_belongs_to_one_band(tmp_path: Path) -> None:
    ages = [0, 2, 3, 9, 10, 19, 20, 69, 70, 116]
    manifest = listed(tmp_path, *(f"{age},,,," for age in ages))
    report = evaluate(predictions(ages, [0.5] * 10), manifest, resamples=0)
    sizes = {name: subset.ages for name, subset in report.subsets.items() if name != "all"}
    assert sizes == {"0-2": 2, "3-9": 2, "10-19": 2, "20-29": 1, "60-69": 1, "70+": 2}
    assert "| 0.00 " in report.to_table()  # without resamples, no interval either
    assert "nan" not in report.to_table()


def test_without_a_coral_list_there_is_no_coral_subset(tmp_path: Path) -> None:
    report = evaluate(predictions([30], [0.1]), listed(tmp_path, "31,0,,,"), resamples=5)
    assert list(report.subsets) == ["all", "male", "30-39", "30-39_male"]


def test_twins_are_resampled_together(tmp_path: Path) -> None:
    single = listed(tmp_path, *["30,0,,,"] * 40)
    twins = listed(tmp_path, *(f"30,0,g{i // 8},," for i in range(40)))
    answers = predictions(30 + np.arange(40) // 8, [0.1] * 40)
    narrow, wide = (evaluate(answers, m).subsets["all"].age["mae"] for m in (single, twins))
    assert narrow.value == wide.value
    assert wide.high - wide.low > 2 * (narrow.high - narrow.low)


def test_what_is_lacking_is_counted(tmp_path: Path) -> None:
    manifest = listed(tmp_path, "30,0,,,", ",1,,,", "40,,,,", "50,0,,,", "60,7,,,", absent=(4,))
    full = predictions([31, 20, 42, 50, 60], [0.2, 0.9, 0.5, 0.5, 0.5])
    some = Predictions(full.files[:3], full.pmf[:3], full.female[:3], {"3.png": "breaks off"})
    report = evaluate(some, manifest, resamples=5)
    assert report.counts == {
        "listed": 5,
        "evaluated": 3,
        "missing_files": 1,
        "unreadable_files": 1,
        "unknown_ages": 1,
        "unknown_genders": 1,
        "problems_in_the_data": 1,
    }
    assert (report.subsets["all"].ages, report.subsets["all"].genders) == (2, 2)
    assert report.subsets["all"].age["mae"].value == pytest.approx(1.5)


def test_genders_alone_can_be_evaluated(tmp_path: Path) -> None:
    report = evaluate(predictions([30, 30], [0.2, 0.9]), listed(tmp_path, ",0,,,", ",0,,,"), resamples=5)
    assert report.subsets["all"].gender["accuracy"].value == 0.5
    assert report.subsets["all"].age == {}
    assert "| all" in report.to_table()


def test_median_is_an_option(tmp_path: Path) -> None:
    pmf = np.zeros((1, AGES), np.float32)
    pmf[0, [20, 90]] = 0.8, 0.2
    answer = Predictions(np.array(["0.png"]), pmf, np.array([0.5], np.float32))
    manifest = listed(tmp_path, "20,0,,,")
    assert evaluate(answer, manifest, resamples=0).subsets["all"].age["mae"].value == pytest.approx(14)
    median = evaluate(answer, manifest, resamples=0, point="median")
    assert median.subsets["all"].age["mae"].value < 0.5
    assert median.settings["point"] == "median"


def bounded(folder: Path, *rows: str) -> Manifest:
    return table_of(folder, "file,age,age_low,age_high,gender", *rows)


def table_of(folder: Path, header: str, *rows: str) -> Manifest:
    for row in range(len(rows)):
        Image.new("RGB", (4, 4)).save(folder / f"{row}.png")
    (folder / "labels.csv").write_text("\n".join([header, *(f"{row}.png,{cells}" for row, cells in enumerate(rows))]))
    return read(folder / "labels.csv")


def test_an_answer_within_the_bounds_of_an_age_is_right(tmp_path: Path) -> None:
    """Bounds of whole years reach half a year further: 39.4 still is 39."""
    manifest = bounded(tmp_path, ",30,39,0", ",30,39,0", ",0,2,1", "50,,,1")
    report = evaluate(predictions([35, 45, 2.5, 48], [0.1, 0.1, 0.9, 0.9]), manifest, resamples=5)
    assert report.counts["ages_within_bounds"] == 3
    everything = report.subsets["all"].age
    assert everything["mae"].value == pytest.approx((0 + 5.5 + 0 + 2) / 4)
    assert everything["bias"].value == pytest.approx((0 + 5.5 + 0 - 2) / 4)
    assert everything["cs5"].value == 0.75
    assert everything["mae_of_middle"].value == pytest.approx((0.5 + 10.5 + 1.5 + 2) / 4)
    sizes = {name: subset.ages for name, subset in report.subsets.items() if "_" not in name}
    assert sizes == {"all": 4, "female": 2, "male": 2, "0-2": 1, "30-39": 2, "50-59": 1}
    assert "within bounds" in report.to_table()


def test_bounds_with_decimals_are_exact_ages(tmp_path: Path) -> None:
    """Of those 47.0 to 47.99 are labelled 47, so that they lie half a year above labels."""
    manifest = bounded(tmp_path, ",47.2,49.2,0", ",60.0,60.0,0")
    report = evaluate(predictions([48.7, 60], [0.1, 0.1]), manifest, resamples=0)
    assert report.subsets["all"].age["bias"].value == pytest.approx(0.25)  # nothing, and half a year above 59.5


@given(st.lists(st.tuples(st.floats(0, 116), st.integers(0, 116), st.integers(0, 116)), min_size=1, max_size=20))
def test_the_distance_from_bounds_is_never_above_that_from_any_age_in_them(
    faces: list[tuple[float, int, int]],
) -> None:
    years = np.array([year for year, _, _ in faces])
    ends = np.sort(np.array([[low, high] for _, low, high in faces], np.float64), axis=1)
    off = metrics.distance(years, ends)
    for age in (ends[:, 0], ends[:, 1], ends.mean(axis=1)):
        assert (np.abs(off) <= np.abs(metrics.distance(years, age)) + 1e-9).all()
    outside = (years < ends[:, 0]) | (years > ends[:, 1])
    assert ((off != 0) == outside).all()


def test_an_interval_holds_an_age_whose_bounds_it_reaches(tmp_path: Path) -> None:
    manifest = bounded(tmp_path, ",30,39,0", ",60,69,0", ",80,89,0")
    answers = predictions([35, 35, 35], [0.1] * 3)
    ends = np.array([[20, 29.6], [40, 50], [85, 100]], np.float32)
    report = evaluate(Predictions(answers.files, answers.pmf, answers.female, intervals=ends), manifest, resamples=0)
    assert report.subsets["all"].age["coverage"].value == pytest.approx(2 / 3)
    assert report.subsets["all"].age["width"].value == pytest.approx((9.6 + 10 + 15) / 3, abs=1e-4)


def test_of_few_faces_no_percentages_are_told(tmp_path: Path) -> None:
    manifest = table_of(tmp_path, "file,age,gender", *["30,0"] * 9, *["45,1"] * 10)
    report = evaluate(predictions([31] * 19, [0.1] * 9 + [0.9] * 10), manifest, resamples=20)
    rows = {line.split("|")[1].strip(): line for line in report.to_table().splitlines() if line.startswith("|")}
    assert "%" not in rows["30-39"]
    assert "1.00 [1.00, 1.00]" in rows["30-39"]
    assert "100.0%" in rows["40-49"]
    assert "fewer than 10 faces no percentages" in report.to_table()


def test_coverage_of_the_models_own_intervals(tmp_path: Path) -> None:
    manifest = listed(tmp_path, "30,0,,,", "60,0,,,")
    report = evaluate(
        predictions([30, 30], [0.1, 0.1]), manifest, calibration=Calibration.identity(), interval_level=0.8
    )
    assert report.subsets["all"].age["coverage"].value == 0.5
    assert report.subsets["all"].age["width"].value == pytest.approx(2 * 1.28 * 3, abs=1)  # stated ages scatter by 3


def test_report_as_json_and_as_a_table(figures: Report) -> None:
    record = json.loads(json.dumps(figures.to_dict(), allow_nan=False))
    assert record["model"] == "mine"
    assert record["subsets"]["all"]["age"]["mae"]["value"] == pytest.approx(6.875)
    assert record["subsets"]["3-9"]["gender"]["n"] == 1
    table = figures.to_table()
    lines = [line for line in table.splitlines() if line.startswith("|")]
    assert len(lines) == len(figures.subsets) + 2
    assert len({len(line) for line in lines}) == 1
    assert "mine: 4 listed, 4 evaluated, 0 missing files" in table
    assert "6.88 [" in table


def test_what_cannot_be_evaluated_gets_a_sentence(tmp_path: Path) -> None:
    manifest = listed(tmp_path, "30,0,,,", ",,,,")
    none = predictions([], [])
    with pytest.raises(DataError, match="none of 2 pictures can be evaluated"):
        evaluate(none, manifest)
    answers = predictions([30, 30], [0.1, 0.1])
    with pytest.raises(DataError, match="same name"):
        evaluate(answers, Manifest.concatenate([manifest, manifest]))
    with pytest.raises(DataError, match="1 have no label"):
        evaluate(answers, manifest.take(np.array([1])))


@pytest.fixture
def greys(tmp_path: Path) -> Manifest:
    """Seven chips of 40 pixels, grey but the first, which is red; one is broken, one is gone."""
    for i in range(7):
        Image.new("RGB", (40, 40), (250, 20, 20) if i == 0 else (20 * i,) * 3).save(tmp_path / f"{i}.png")
    (tmp_path / "4.png").write_bytes(b"no picture")
    (tmp_path / "5.png").unlink()
    return listed(tmp_path, *(f"{i},0,,," for i in range(7)), absent=tuple(range(7)))


@pytest.mark.parametrize("batch_size", [1, 2, 32])
def test_predict_runs_the_model_over_what_is_there(greys: Manifest, tiny_bundle: Path, batch_size: int) -> None:
    ticks: list[int] = []
    estimator = Estimator(read_bundle(tiny_bundle))
    answers = predict(estimator, greys, model="tiny", batch_size=batch_size, progress=ticks.append)
    assert answers.files.tolist() == ["0.png", "1.png", "2.png", "3.png", "6.png"]
    assert list(answers.unreadable) == ["4.png"]
    assert sum(ticks) == 6
    np.testing.assert_allclose(expectation(answers.pmf)[2:], [15.7, 23.5, 47.1], atol=0.1)
    assert answers.female[0] > 0.99
    np.testing.assert_allclose(answers.female[1:], 0.5, atol=1e-6)


def test_predict_of_nothing(greys: Manifest, tiny_bundle: Path) -> None:
    answers = predict(Estimator(read_bundle(tiny_bundle)), greys.take(np.array([5])))
    assert (len(answers), answers.pmf.shape, answers.unreadable) == (0, (0, AGES), {})


def test_decoding_runs_ahead_by_a_bounded_number(tmp_path: Path) -> None:
    Image.new("RGB", (4, 4)).save(tmp_path / "one.png")
    manifest = listed(tmp_path, *["30,0,,,"] * 60)
    one = Manifest(**{**vars(manifest), "paths": (tmp_path / "one.png",) * 60})
    started, lock = [0], threading.Lock()

    def work(file: str, pixels: Array) -> str:
        with lock:
            started[0] += 1
        return file

    results = each_picture(one, work, threads=2)
    for taken in range(1, 30):
        file, result = next(results)
        assert result == file == f"{taken - 1}.png"
        assert started[0] <= taken + 16
    rest = list(results)
    assert (len(rest), started[0]) == (31, 60)
    assert not any(isinstance(result, PhotoError) for _, result in rest)


def test_predictions_go_through_parquet(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    pmf = rng.dirichlet(np.full(AGES, 0.3), 50).astype(np.float32)
    before = Predictions(np.array([f"ü{i}.png" for i in range(50)]), pmf, rng.random(50, np.float32), {"x": "y"}, "m")
    before.save(tmp_path / "p.parquet")
    after = Predictions.load(tmp_path / "p.parquet")
    assert after.files.tolist() == before.files.tolist()
    assert (after.unreadable, after.model) == ({"x": "y"}, "m")
    np.testing.assert_array_equal(after.female, before.female)
    np.testing.assert_allclose(after.pmf.sum(axis=1), 1, atol=1e-6)
    np.testing.assert_allclose(expectation(after.pmf), expectation(pmf), atol=0.01)
    assert (tmp_path / "p.parquet").stat().st_size < 50 * AGES * 2 + 8000


def test_no_predictions_go_through_parquet(tmp_path: Path) -> None:
    predictions([], []).save(tmp_path / "p.parquet")
    assert Predictions.load(tmp_path / "p.parquet").pmf.shape == (0, AGES)


def test_a_file_without_predictions_gets_a_sentence(tmp_path: Path) -> None:
    from pyarrow import parquet, table

    (tmp_path / "junk.parquet").write_bytes(b"junk")
    parquet.write_table(table({"file": ["a"]}), tmp_path / "other.parquet")
    for name in ("junk.parquet", "other.parquet", "nowhere.parquet"):
        told = "no file lies at" if name == "nowhere.parquet" else "no table of predictions"
        with pytest.raises(DataError, match=told):
            Predictions.load(tmp_path / name)


def test_without_pyarrow_the_extra_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(MissingExtra, match="train"):
        predictions([30], [0.5]).save(tmp_path / "p.parquet")
