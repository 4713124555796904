"""The models that come with mien: whole, small, licensed as the package says; and what mien-open answers."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path

import numpy as np
import pytest

import mien
from mien.arrays import Chips
from mien.cli.predict.models import models as list_models
from mien.errors import ModelError
from mien.estimate import bundle
from mien.estimate.class_activation import of_bundle
from mien.estimate.estimator import Estimator
from mien.estimate.maps import values, veiled
from mien.faces import DetectorOptions, create
from mien.faces.align import align
from mien.photos.decode import decode

REPO = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def shipped() -> Estimator:
    return Estimator(bundle.read(bundle.find("mien-open")))


@pytest.fixture(scope="module")
def portraits(examples: Path, shipped: Estimator) -> Chips:
    detector = create("mtcnn", DetectorOptions(max_faces=1))
    photos = [decode((examples / name).read_bytes()).pixels for name in ("hopper.jpg", "astronaut.jpg")]
    return np.stack([align(photo, detector.detect(photo)[0], shipped.contract) for photo in photos])


@pytest.mark.parametrize("name", bundle.available())
def test_a_model_is_whole_and_says_what_it_may_be_used_for(name: str) -> None:
    model = bundle.read(bundle.find(name))
    assert model.config.name == name
    assert model.damaged() == []
    assert (model.folder / model.config.licence_file).stat().st_size > 500
    assert model.config.use in bundle.USES.values()
    assert model.config.calibration is not None
    assert model.config.data


@pytest.mark.parametrize("name", bundle.available())
def test_the_card_says_what_the_config_says(name: str) -> None:
    model = bundle.read(bundle.find(name))
    if not model.config.figures:
        pytest.skip("its card is written with its figures, by mien lab card, and it has none yet")
    card = (model.folder / "README.md").read_text(encoding="utf-8")
    copy = (REPO / "docs" / f"model-card-{name}.md").read_text(encoding="utf-8")
    for text in (card, copy):
        assert f"{model.config.figures['all_mae']:.2f} [" in text
        assert f"{model.config.figures['all_accuracy']:.1%} [" in text
        assert model.config.licence in text
        assert all(f"- {data}" in text for data in model.config.data)
        assert all(f"- {note}" in text for note in model.config.made["notes"])


def test_mien_open_says_whose_it_is_and_what_it_saw() -> None:
    config = bundle.read(bundle.find("mien-open")).config
    told = " ".join((*config.data, *config.made["notes"]))
    for words in ("VGGFace2 and IMDB-WIKI", "for you to judge", "A. Savchenko", "30 years and more", "no age checks"):
        assert words in told


def test_all_models_together_are_small_and_the_package_names_their_licences() -> None:
    models = [bundle.read(folder) for folder in bundle.available().values()]
    assert {"mien-m", "mien-s", "mien-open"} <= {model.config.name for model in models}
    assert sum(model.size() for model in models) <= 20e6
    project = tomllib.loads((REPO / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert set(project["license"].split(" AND ")) == {"MIT", *(model.config.licence for model in models)}
    listed = {path for pattern in project["license-files"] for path in REPO.glob(pattern)}
    assert {model.folder / model.config.licence_file for model in models} <= listed


def test_the_list_tells_in_a_line_who_may_use_what(capsys: pytest.CaptureFixture[str]) -> None:
    list_models()
    lines = capsys.readouterr().out.splitlines()
    (line,) = (line for line in lines if line.startswith("mien-open "))
    assert "commercial too, as far as its authors' licence goes" in line
    assert "Apache-2.0" in line
    assert all("non-commercial research only" in line for line in lines if line.startswith(("mien-m ", "mien-s ")))


def test_mien_open_answers_the_portraits_as_ever(examples: Path) -> None:
    wanted = json.loads((REPO / "tests" / "golden" / "answers.json").read_text(encoding="utf-8"))["mien-open"]
    analyzer = mien.load("mien-open", max_faces=1)
    assert set(wanted) == {path.name for path in examples.glob("*.jpg")}
    for name, known in wanted.items():
        (face,) = analyzer(examples / name).faces
        assert face.age.years == pytest.approx(known["years"], abs=0.3)
        assert (face.age.low, face.age.high) == pytest.approx((known["low"], known["high"]), abs=1.1)
        assert face.gender.label == known["gender"]
        assert face.gender.probability == pytest.approx(known["probability"], abs=0.02)
        assert face.age.low < face.age.years < face.age.high


def test_mien_open_has_no_mass_where_it_has_no_class(shipped: Estimator, portraits: Chips) -> None:
    pmf = shipped(portraits).pmf
    np.testing.assert_allclose(pmf.sum(axis=1), 1, atol=1e-5)
    np.testing.assert_allclose(pmf[:, 0], pmf[:, 1], rtol=1e-3)
    assert pmf[:, 101:].max() == 0


@pytest.mark.parametrize("target", ["age", "gender"])
def test_its_maps_add_up_behind_the_hidden_layer(shipped: Estimator, portraits: Chips, target: str) -> None:
    cells = of_bundle(shipped.bundle)(portraits, target)
    assert cells.shape == (2, 5, 5)
    changes = values(shipped(portraits), target) - values(shipped(veiled(portraits)), target)
    np.testing.assert_allclose(cells.sum(axis=(1, 2)), changes, atol=0.05)
    assert np.abs(changes).max() > 0.5


def test_mien_open_checks_no_ages(shipped: Estimator) -> None:
    with pytest.raises(ModelError, match="mien-open has no age checks; these have: mien-m, mien-s"):
        shipped.bundle.age_checks()
