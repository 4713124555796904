"""A network against its start: paired differences and what chance alone would do."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from scipy.stats import norm

from mien.learn.training.progress import FaceErrors, change, change_in_words

NOTHING = torch.full((200,), math.nan)


def errors(seed: int, shift: float = 0.0) -> torch.Tensor:
    return torch.from_numpy(np.abs(np.random.default_rng(seed).normal(0, 5, 200)) + shift)


def test_the_mean_of_paired_differences_and_its_interval() -> None:
    before, now = errors(0), errors(1)
    now[3] = math.nan
    found = change(now, before)
    assert found is not None
    pairs = np.delete((now - before).numpy(), 3)
    low, high = norm.interval(0.95, pairs.mean(), pairs.std(ddof=1) / math.sqrt(len(pairs)))
    assert found.mean - found.chance == pytest.approx(low, abs=1e-3)
    assert found.mean + found.chance == pytest.approx(high, abs=1e-3)


def test_a_real_difference_is_told_from_chance() -> None:
    start = FaceErrors(errors(0), torch.ones(200).index_fill(0, torch.arange(80), 0))
    better = FaceErrors(start.errors - 1 + 0.1 * errors(2), torch.ones(200))
    assert change_in_words(better, start).count("(better)") == 2
    assert change_in_words(start, better).count("(worse)") == 2
    same = FaceErrors(errors(0) + 0.3 * (errors(3) - errors(4)), start.hits)
    assert change_in_words(same, start).count("no more than chance") == 2


def test_what_there_is_no_answer_for_is_not_told() -> None:
    assert change_in_words(FaceErrors(NOTHING, NOTHING), FaceErrors(NOTHING, NOTHING)) == ""
    only = change_in_words(FaceErrors(errors(0), NOTHING), FaceErrors(errors(1), NOTHING))
    assert only.startswith("MAE")
    assert "gender" not in only
    assert change(errors(0)[:5], errors(1)[:5]) is None
