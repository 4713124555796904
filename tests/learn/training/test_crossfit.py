from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from mien.estimate.calibrate import AGES
from mien.learn.data.manifest import Manifest
from mien.learn.data.predictions import Predictions
from mien.learn.data.readers import read
from mien.learn.networks.heads import mobilenet_v1
from mien.learn.training import crossfit
from mien.learn.training.crossfit import FaceFeatures


@pytest.fixture(autouse=True)
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(crossfit, "EPOCHS", 200)
    monkeypatch.setattr(crossfit, "BATCH", 64)
    monkeypatch.setattr(crossfit, "HIDDEN", 128)


def synthetic(manifest: Manifest, noise: float = 0.1) -> FaceFeatures:
    """Features that hold the age and the gender, in two noisy views."""
    rng = np.random.default_rng(0)
    truth = np.stack([manifest.age / 50, manifest.female, manifest.female * manifest.age / 50], axis=1)
    views = truth[:, None] + rng.normal(0, noise, (len(manifest), 2, 3))
    return FaceFeatures(manifest.files.tolist(), views.astype(np.float32), manifest)


def test_features_are_those_of_the_network_for_a_chip_and_its_mirror_image(chips_folder: Path) -> None:
    manifest = read(chips_folder).take(np.arange(5))
    told: list[int] = []
    faces = crossfit.extract(mobilenet_v1(64), manifest, 64, threads=1, batch_size=2, progress=told.append)
    assert faces.features.shape == (5, 2, 1024)
    assert faces.files == manifest.files.tolist()
    assert told == [2, 2, 1]
    assert np.abs(faces.features[:, 0] - faces.features[:, 1]).max() > 0


def test_faces_are_answered_by_heads_that_did_not_see_them(chips_folder: Path) -> None:
    manifest = read(chips_folder)
    taught = synthetic(manifest)
    told: list[str] = []
    answers = crossfit.crossfit(taught, parts=3, seeds=1, report=told.append)
    assert answers.files.tolist() == manifest.files.tolist()
    np.testing.assert_allclose(answers.pmf.sum(axis=1), 1, atol=1e-5)
    assert ((answers.female > 0.5) == (manifest.female == 1)).mean() > 0.9
    assert np.abs(answers.pmf @ np.arange(AGES) - manifest.age).mean() < 15
    assert len(told) == 3

    wrong = manifest.female.copy()
    wrong[7] = 1 - wrong[7]  # a wrong label convinces only heads that see it
    mislabelled = FaceFeatures(taught.files, taught.features, _with_gender(manifest, wrong))
    again = crossfit.crossfit(mislabelled, parts=3, seeds=1)
    assert (again.female[7] > 0.5) == (manifest.female[7] == 1)


def test_further_faces_are_answered_without_their_labels(chips_folder: Path, tmp_path: Path) -> None:
    manifest = read(chips_folder)
    taught, others = synthetic(manifest.take(np.arange(40))), synthetic(manifest.take(np.arange(40, 48)))
    flipped = FaceFeatures(others.files, others.features, _with_gender(others.manifest, 1 - others.manifest.female))
    one, two = (crossfit.crossfit(taught, more, parts=2, seeds=1) for more in (others, flipped))
    np.testing.assert_array_equal(one.female, two.female)
    assert len(one) == 48
    one.save(tmp_path / "teacher.parquet")
    np.testing.assert_allclose(Predictions.load(tmp_path / "teacher.parquet").pmf, one.pmf, atol=1e-3)


def test_twins_are_in_one_part(chips_folder: Path) -> None:
    manifest = read(chips_folder)
    group = np.array([str(row // 6) for row in range(len(manifest))])
    twins = replace(manifest, group=group)
    part = crossfit._parts(twins, 4)
    assert all(len(set(part[group == name])) == 1 for name in set(group))
    assert len(set(part)) > 1


def _with_gender(manifest: Manifest, female: np.ndarray) -> Manifest:
    return replace(manifest, female=female)
