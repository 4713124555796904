"""Two models on the same faces: sure differences are told from those of chance."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from tests.learn.evaluation.test_evaluate import listed, predictions

from mien.errors import DataError
from mien.learn.data.manifest import Manifest
from mien.learn.evaluation.evaluate import Predictions
from mien.learn.evaluation.paired import compare_paired

FACES = 200


@pytest.fixture
def faces(tmp_path: Path) -> Manifest:
    rows = [
        f"{i % 80},{'female' if i % 2 else 'male'},,test,{'test' if 21 <= i % 80 <= 60 else ''}" for i in range(FACES)
    ]
    return listed(tmp_path, *rows)


def answers(faces: Manifest, error: float, wrong: int, seed: int, name: str) -> Predictions:
    noise = np.random.default_rng(seed).normal(0, error, FACES)
    female = np.where(np.arange(FACES) < wrong, 1 - faces.female, faces.female)
    return predictions(np.clip(faces.age + noise, 0, 116), 0.1 + 0.8 * female, model=name)


def test_a_better_model_is_told(faces: Manifest) -> None:
    found = compare_paired(answers(faces, 6, 40, 0, "old"), answers(faces, 2, 2, 1, "new"), faces)
    assert (found.before, found.after) == ("old", "new")
    assert [(one.subset, one.metric) for one in found.differences] == [
        (subset, metric) for subset in ("all", "coral") for metric in ("mae", "cs5", "accuracy")
    ]
    assert {one.verdict for one in found.differences} == {"better"}
    first = found.differences[0]
    assert first.n == FACES
    assert first.change.value == pytest.approx(first.after - first.before)
    assert first.change.low < first.change.value < first.change.high < 0
    table = found.to_table()
    assert table.startswith("new against old")
    assert "| all    | gender | 200" in table
    assert found.to_dict()["differences"][0]["verdict"] == "better"


def test_and_a_worse_one(faces: Manifest) -> None:
    found = compare_paired(answers(faces, 2, 2, 1, "old"), answers(faces, 6, 40, 0, "new"), faces)
    assert {one.verdict for one in found.differences} == {"worse"}


def test_the_same_is_no_difference(faces: Manifest) -> None:
    same = answers(faces, 4, 10, 0, "same")
    found = compare_paired(same, same, faces)
    assert {one.verdict for one in found.differences} == {"no more than chance"}
    assert all(one.change.value == 0 for one in found.differences)


def test_only_faces_that_both_answered(faces: Manifest) -> None:
    whole = answers(faces, 4, 10, 0, "whole")
    half = Predictions(whole.files[:50], whole.pmf[:50], whole.female[:50], {}, "half")
    assert compare_paired(half, whole, faces).differences[0].n == 50
    nothing = Predictions(np.array(["x.png"]), whole.pmf[:1], whole.female[:1], {}, "")
    with pytest.raises(DataError, match="other pictures"):
        compare_paired(nothing, whole, faces)
