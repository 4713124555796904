"""Saved answers of models, and the mean of several."""

from __future__ import annotations

import numpy as np
import pytest

from mien.errors import DataError
from mien.estimate.calibrate import AGES
from mien.learn.data.predictions import Predictions, mean_answers


def sure(files: list[str], age: int, female: float) -> Predictions:
    pmf = np.zeros((len(files), AGES), np.float32)
    pmf[:, age] = 1
    return Predictions(np.array(files), pmf, np.full(len(files), female, np.float32), model=f"at {age}")


def test_the_mean_is_over_those_that_answered() -> None:
    both = mean_answers([sure(["a", "b"], 20, 0.2), sure(["b", "c"], 40, 0.6)])
    assert both.files.tolist() == ["a", "b", "c"]
    np.testing.assert_allclose(both.pmf @ np.arange(AGES), [20, 30, 40])
    np.testing.assert_allclose(both.female, [0.2, 0.4, 0.6], atol=1e-6)
    np.testing.assert_allclose(both.pmf.sum(axis=1), 1)
    assert both.model == "at 20 + at 40"


def test_one_alone_is_itself() -> None:
    one = sure(["a"], 3, 0.5)
    assert mean_answers([one]) is one


def test_a_model_without_genders_is_refused() -> None:
    silent = sure(["a"], 3, np.nan)
    with pytest.raises(DataError, match="at 3 does not answer both age and gender"):
        mean_answers([sure(["a"], 5, 0.5), silent])
