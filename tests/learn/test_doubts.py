from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from mien.errors import DataError
from mien.estimate.calibrate import AGES
from mien.learn.doubts import without_doubted
from mien.learn.manifest import Manifest, read
from mien.learn.predictions import Predictions
from mien.learn.recipe import load_recipe
from mien.learn.train import Trainer


def around(manifest: Manifest, ages: list[float], female: list[float]) -> Predictions:
    """Answers for the first faces: Gaussians of three years around some ages."""
    apart = np.arange(AGES)[None] - np.array(ages)[:, None]
    mass = np.exp(-(apart**2) / (2 * 3.0**2))
    pmf = (mass / mass.sum(axis=1, keepdims=True)).astype(np.float32)
    return Predictions(manifest.files[: len(ages)], pmf, np.array(female, np.float32))


@pytest.fixture
def faces(chips_folder: Path) -> Manifest:
    chosen = read(chips_folder).take(np.arange(4))
    return replace(
        chosen, age=np.array([30, 30, 30, np.nan], np.float32), female=np.array([1, 0, 1, -1], chosen.female.dtype)
    )


def test_labels_far_from_the_answers_become_unknown_each_on_its_own(faces: Manifest) -> None:
    answers = around(faces, [31, 39, 21], [0.99, 0.98, 0.02])
    told: list[str] = []
    kept = without_doubted(faces, answers, 0.05, told.append)
    np.testing.assert_array_equal(kept.age, [30, np.nan, np.nan, np.nan])
    np.testing.assert_array_equal(kept.female, [1, -1, -1, -1])
    assert told == ["of 3 ages 2 are left out as doubted, of 3 genders 2"]
    assert kept.files.tolist() == faces.files.tolist()
    np.testing.assert_array_equal(faces.female, [1, 0, 1, -1])  # what was given is as it was


def test_how_unlikely_a_label_may_be_is_a_probability(faces: Manifest) -> None:
    # two spreads out: 4.6 % of a Gaussian lie as far or farther, and half a year of rounding more
    answers = around(faces, [24, 36, 30], [0.5, 0.5, 0.5])
    assert np.isfinite(without_doubted(faces, answers, 0.04).age[:3]).all()
    np.testing.assert_array_equal(np.isnan(without_doubted(faces, answers, 0.08).age[:3]), [True, True, False])
    assert (without_doubted(faces, answers, 0.49).female[:3] >= 0).all()
    assert (without_doubted(faces, answers, 0.51).female == -1).all()


def test_faces_without_an_answer_keep_their_labels(faces: Manifest) -> None:
    kept = without_doubted(faces, around(faces, [90], [0.0]), 0.05)
    np.testing.assert_array_equal(kept.age, [np.nan, 30, 30, np.nan])
    np.testing.assert_array_equal(kept.female, [-1, 0, 1, -1])


def test_answers_for_other_faces_are_an_error(faces: Manifest) -> None:
    answers = replace(around(faces, [30], [0.5]), files=np.array(["elsewhere.jpg"]))
    with pytest.raises(DataError, match=r"data.doubt has no answer for any of these faces"):
        without_doubted(faces, answers, 0.05)


def test_a_run_leaves_doubted_labels_out_of_training_and_keeps_them_in_validation(
    chips_folder: Path, settings: list[str], tmp_path: Path
) -> None:
    everyone = read(chips_folder)
    around(everyone, everyone.age.tolist(), [0.5] * len(everyone)).save(tmp_path / "sure.parquet")
    wrong = np.where(everyone.age > 50, everyone.age - 45, everyone.age + 45)
    around(everyone, wrong.tolist(), [0.5] * len(everyone)).save(tmp_path / "doubting.parquet")
    kept = {}
    for name in ("sure", "doubting"):
        recipe = load_recipe("mien-m", [*settings, f"data.doubt={tmp_path / name}.parquet"])
        told: list[str] = []
        trainer = Trainer(recipe, tmp_path / f"run-{name}", report=told.append)
        kept[name] = int(np.isfinite(trainer.train_set.age).sum())
        assert np.isfinite(trainer.val_set.age).all()
        assert any("are left out as doubted" in line for line in told)
    assert kept == {"sure": 40, "doubting": 0}
