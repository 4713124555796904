from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn import metrics as sk

from mien.learn.evaluation import metrics
from mien.learn.evaluation.metrics import Interval, Metric, bootstrap, paired_bootstrap, resamples

Array = NDArray[Any]

rng = np.random.default_rng(0)
N = 400
AGES = rng.integers(0, 100, N).astype(np.float64)
YEARS = AGES + rng.normal(1, 6, N)
IS_FEMALE = rng.integers(0, 2, N)
FEMALE = np.round(np.clip(0.5 + (IS_FEMALE - 0.5) * 0.4 + rng.normal(0, 0.3, N), 0, 1), 2)  # rounded: many ties
ENDS = np.stack([YEARS - 8, YEARS + 9], axis=1)
SINGLE = np.full(N, "")

AGE: dict[str, Metric] = {
    "mae": metrics.mae,
    "rmse": metrics.rmse,
    "bias": metrics.bias,
    "cs": metrics.cs,
}
GENDER: dict[str, Metric] = {
    "accuracy": metrics.accuracy,
    "precision": metrics.precision,
    "recall": metrics.recall,
    "f1": metrics.f1,
    "auc": metrics.auc,
    "ece": metrics.ece,
}
SPAN: dict[str, Metric] = {"coverage": metrics.coverage, "width": metrics.width}
ALL = (
    *((metric, YEARS, AGES) for metric in AGE.values()),
    *((metric, FEMALE, IS_FEMALE) for metric in GENDER.values()),
    *((metric, ENDS, AGES) for metric in SPAN.values()),
)


def naive_ece(female: Array, is_female: Array, bins: int) -> float:
    total = 0.0
    for low in np.arange(bins) / bins:
        picked = []
        for p, truth in zip(female, is_female, strict=True):
            confidence = p if p >= 0.5 else 1 - p
            if low <= confidence < low + 1 / bins or (confidence == 1 and low + 1 / bins >= 1 - 1e-9):
                picked.append((confidence, (p >= 0.5) == truth))
        if picked:
            conf, hit = np.mean(picked, axis=0)
            total += len(picked) * abs(conf - hit)
    return total / len(female)


@pytest.mark.parametrize(
    ("metric", "reference"),
    [
        (metrics.mae, sk.mean_absolute_error),
        (metrics.rmse, sk.root_mean_squared_error),
        (metrics.bias, lambda truth, years: sum(y - t for y, t in zip(years, truth, strict=True)) / len(truth)),
        (metrics.cs, lambda truth, years: sum(abs(y - t) <= 5 for y, t in zip(years, truth, strict=True)) / len(truth)),
    ],
)
def test_age_metrics_agree_with_a_reference(metric: Metric, reference: Callable[[Array, Array], float]) -> None:
    assert float(metric(YEARS, AGES)) == pytest.approx(reference(AGES, YEARS))


@pytest.mark.parametrize(
    ("metric", "reference"),
    [
        (metrics.accuracy, lambda t, p: sk.accuracy_score(t, p >= 0.5)),
        (metrics.precision, lambda t, p: sk.precision_score(t, p >= 0.5)),
        (metrics.recall, lambda t, p: sk.recall_score(t, p >= 0.5)),
        (metrics.f1, lambda t, p: sk.f1_score(t, p >= 0.5)),
        (metrics.auc, sk.roc_auc_score),
        (metrics.ece, lambda t, p: naive_ece(p, t, 15)),
    ],
)
def test_gender_metrics_agree_with_a_reference(metric: Metric, reference: Callable[[Array, Array], float]) -> None:
    assert float(metric(FEMALE, IS_FEMALE)) == pytest.approx(reference(IS_FEMALE, FEMALE))


def test_cumulative_score_counts_an_error_of_exactly_k() -> None:
    assert metrics.cs(np.array([25.0, 26.0]), np.array([20, 20])) == 0.5
    assert metrics.cs(np.array([25.0, 26.0]), np.array([20, 20]), k=4) == 0.0


@pytest.mark.parametrize(("metric", "prediction", "truth"), ALL)
def test_a_weight_counts_a_row_so_many_times(metric: Metric, prediction: Array, truth: Array) -> None:
    weights = np.random.default_rng(1).integers(0, 4, (3, N)).astype(float)
    repeated = [np.repeat(np.arange(N), row.astype(int)) for row in weights]
    expected = [float(metric(prediction[rows], truth[rows])) for rows in repeated]
    assert metric(prediction, truth, weights) == pytest.approx(expected)


@pytest.mark.parametrize("metric", [metrics.precision, metrics.recall, metrics.f1, metrics.auc])
def test_without_any_woman_ratios_are_undefined_not_an_error(metric: Metric) -> None:
    assert np.isnan(metric(np.array([0.1, 0.2]), np.array([0, 0])))


@pytest.mark.parametrize(("metric", "prediction", "truth"), ALL)
def test_of_no_rows_everything_is_undefined(metric: Metric, prediction: Array, truth: Array) -> None:
    assert np.isnan(metric(prediction[:0], truth[:0]))
    assert np.isnan(bootstrap({"m": metric}, prediction[:0], truth[:0], SINGLE[:0])["m"].low)


def test_interval_of_independent_rows_matches_theory() -> None:
    interval = bootstrap(AGE, YEARS, AGES, SINGLE, n=4000)["bias"]
    error = YEARS - AGES
    half = 1.96 * error.std() / np.sqrt(N)
    assert interval.value == pytest.approx(error.mean())
    assert interval.low == pytest.approx(error.mean() - half, abs=0.05 * half)
    assert interval.high == pytest.approx(error.mean() + half, abs=0.05 * half)


def test_four_copies_of_a_row_in_one_group_add_no_certainty() -> None:
    groups = np.char.add("g", np.arange(N).astype(str))
    once = bootstrap({"mae": metrics.mae}, YEARS, AGES, groups)["mae"]
    copies = bootstrap({"mae": metrics.mae}, np.tile(YEARS, 4), np.tile(AGES, 4), np.tile(groups, 4))["mae"]
    naive = bootstrap({"mae": metrics.mae}, np.tile(YEARS, 4), np.tile(AGES, 4), np.tile(SINGLE, 4))["mae"]
    assert copies.value == pytest.approx(once.value)
    assert copies.high - copies.low == pytest.approx(once.high - once.low, rel=0.1)
    assert naive.high - naive.low == pytest.approx((once.high - once.low) / 2, rel=0.1)


def test_resamples_draw_whole_groups_and_single_rows_on_their_own() -> None:
    groups = np.array(["a", "", "b", "a", "", "b", "b"])
    (counts,) = resamples(groups, 2000, seed=3)
    assert counts.shape == (2000, 7)
    assert (counts[:, 0] == counts[:, 3]).all()
    assert (counts[:, 2] == counts[:, 5]).all()
    assert (counts[:, 1] != counts[:, 4]).any()
    assert (counts[:, [0, 1, 2, 4]].sum(axis=1) == 4).all()  # as many draws as clusters
    assert counts.mean(axis=0) == pytest.approx(np.ones(7), abs=0.06)


def test_many_rows_are_resampled_in_parts() -> None:
    parts = list(resamples(np.full(300_000, ""), 3, seed=0))
    assert [part.shape for part in parts] == [(1, 300_000)] * 3
    assert not np.array_equal(parts[0], parts[1])


def test_same_seed_same_interval() -> None:
    first, again = (bootstrap(GENDER, FEMALE, IS_FEMALE, SINGLE, n=50, seed=7) for _ in range(2))
    assert first == again != bootstrap(GENDER, FEMALE, IS_FEMALE, SINGLE, n=50, seed=8)


def test_a_wider_level_gives_a_wider_interval() -> None:
    narrow, wide = (bootstrap({"mae": metrics.mae}, YEARS, AGES, SINGLE, level=level)["mae"] for level in (0.5, 0.99))
    assert wide.low < narrow.low < narrow.value < narrow.high < wide.high


def test_paired_difference_cancels_what_both_find_hard() -> None:
    worse = AGES + (YEARS - AGES) * 1.1
    paired = paired_bootstrap(metrics.mae, YEARS, worse, AGES, SINGLE)
    mae = metrics.mae(YEARS, AGES)
    assert paired.value == pytest.approx(0.1 * mae)
    alone = bootstrap({"mae": metrics.mae}, YEARS, AGES, SINGLE)["mae"]
    assert paired.high - paired.low == pytest.approx(0.1 * (alone.high - alone.low))
    assert paired.low > 0


def test_a_model_against_itself_differs_by_nothing() -> None:
    assert paired_bootstrap(metrics.f1, FEMALE, FEMALE, IS_FEMALE, SINGLE) == Interval(0.0, 0.0, 0.0)


def test_no_resamples_give_the_figure_alone() -> None:
    interval = bootstrap({"mae": metrics.mae}, YEARS, AGES, SINGLE, n=0)["mae"]
    assert interval.value == metrics.mae(YEARS, AGES)
    assert np.isnan(interval.low)


def test_json_knows_no_nan() -> None:
    assert Interval(float("nan"), 0.123456, float("inf")).to_dict() == {"value": None, "low": 0.12346, "high": None}
