"""Learning from a model that answers for each picture as it is shown."""

import math
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file

from mien.errors import MienError, UsageError
from mien.estimate.bundle import find, read
from mien.estimate.estimator import Estimator
from mien.learn.data.dataset import Chips, augment, augment_with_clean, blend
from mien.learn.data.readers import read as read_manifest
from mien.learn.data.teachers import Guide
from mien.learn.networks.answer_kinds import Deployed
from mien.learn.networks.build import build_empty
from mien.learn.recipe import Augment, load_recipe
from mien.learn.training import loop

EXAMPLES = Path(__file__).resolve().parents[3] / "examples"
HARSH = Augment(corrupt=0.5, degrade=0.5, erase=0.5)
GENTLE = Augment(corrupt=0, degrade=0, erase=0)


@pytest.fixture(scope="module")
def guide() -> Guide:
    return Guide(Path("mien-s"))


@pytest.fixture(scope="module")
def portrait() -> np.ndarray:
    return np.asarray(Image.open(EXAMPLES / "hopper.jpg").convert("RGB").resize((200, 200)))


def test_a_guide_answers_as_the_model_does(guide: Guide, portrait: np.ndarray) -> None:
    size = guide.size
    chip = np.asarray(Image.fromarray(portrait).resize((size, size)))
    pmf, female = guide(chip)
    expected = Estimator(read(find("mien-s")))(chip[None])
    np.testing.assert_array_equal(pmf, expected.pmf[0])
    assert female == pytest.approx(float(expected.female[0]))


def test_answers_that_are_no_numbers_are_an_error(portrait: np.ndarray, monkeypatch: pytest.MonkeyPatch) -> None:
    broken = Guide(Path("mien-s"))
    chip = np.asarray(Image.fromarray(portrait).resize((broken.size, broken.size)))
    pmf, female, features = broken.with_features(chip)
    assert features.shape == (broken.features,)
    assert pmf.tolist() == broken(chip)[0].tolist()
    assert female == broken(chip)[1]

    class Session:
        @staticmethod
        def run(names: list[str], _: object) -> list[np.ndarray]:
            shapes = {"age_pmf": (1, 117), "p_female": (1,), "feature_map": (1, broken.features, 4, 4)}
            return [np.full(shapes[name], np.nan, np.float32) for name in names]

    monkeypatch.setattr(broken._estimator(), "session", Session())
    with pytest.raises(MienError, match="not a number"):
        broken.with_features(chip)


@pytest.mark.parametrize("model", ["mien-x", "no/such/folder"])
def test_an_unknown_guide_is_told_before_anything_is_written(settings: list[str], tmp_path: Path, model: str) -> None:
    recipe = load_recipe("mien-m", [*settings, f"data.guide={model}"])
    with pytest.raises(MienError, match=model):
        loop.train(recipe, tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_the_student_sees_what_it_would_without_a_guide(portrait: np.ndarray) -> None:
    for seed in range(20):
        alone = augment(portrait, 64, HARSH, np.random.default_rng(seed))
        guided, _ = augment_with_clean(portrait, 64, 96, HARSH, np.random.default_rng(seed))
        np.testing.assert_array_equal(alone, guided)


def test_the_guide_sees_the_same_view_but_nothing_that_hides_the_face(portrait: np.ndarray) -> None:
    for seed in range(20):
        chip, clean = augment_with_clean(portrait, 96, 96, GENTLE, np.random.default_rng(seed))
        np.testing.assert_array_equal(chip, clean)
    differing = 0
    for seed in range(40):
        strength = GENTLE.model_copy(update={"erase": 0.5})
        chip, clean = augment_with_clean(portrait, 96, 96, strength, np.random.default_rng(seed))
        np.testing.assert_array_equal(clean, augment(portrait, 96, GENTLE, np.random.default_rng(seed)))
        differing += not np.array_equal(chip, clean)
    assert 5 < differing < 35


def test_a_blend_lies_between_its_parts() -> None:
    black, white = np.zeros((8, 8, 3), np.uint8), np.full((8, 8, 3), 200, np.uint8)
    assert np.unique(blend(white, black, 0.25)).tolist() == [50]
    np.testing.assert_array_equal(blend(white, black, 1), white)


def test_blends_have_no_label_but_the_guides_answer(chips_folder: Path, guide: Guide) -> None:
    manifest = read_manifest(chips_folder).select(fold="train")
    blended = Chips(manifest, 64, Augment(mix=1), guide=guide)
    whole = Chips(manifest, 64, Augment(), guide=guide)
    batch = Chips.collate([blended[at] for at in range(6)])
    assert torch.isnan(batch.age).all()
    assert (batch.female == -1).all()
    assert batch.pmf is not None
    torch.testing.assert_close(batch.pmf.sum(dim=1), torch.ones(6))
    for at in range(6):
        sample = whole[at]
        assert sample.age == manifest.age[at]
        assert sample.female == manifest.female[at]
        assert 0 <= sample.soft <= 1
        assert not math.isnan(sample.soft)
        np.testing.assert_array_equal(sample.chip, Chips(manifest, 64, Augment())[at].chip)


def test_a_blend_is_the_same_at_each_asking_and_another_in_the_next_epoch(chips_folder: Path, guide: Guide) -> None:
    chips = Chips(read_manifest(chips_folder).select(fold="train"), 64, Augment(mix=1), seed=2, guide=guide)
    first = chips[3]
    again = chips[3]
    np.testing.assert_array_equal(first.chip, again.chip)
    np.testing.assert_array_equal(first.pmf, again.pmf)
    chips.epoch = 1
    assert not np.array_equal(first.chip, chips[3].chip)


def test_a_guide_is_what_a_run_learns_from(
    settings: list[str], chips_folder: Path, guide: Guide, tmp_path: Path
) -> None:
    plan = [*settings, "data.guide=[mien-s]", "loss.teacher=1", "augment.mix=0.5", "model.options={width: 0.25}"]
    weights = loop.train(load_recipe("mien-m", [*plan, "optimiser.sizes={}"]), tmp_path / "run")
    net = build_empty(load_recipe(str(tmp_path / "run" / "recipe.yaml")).model)
    net.load_state_dict(load_file(weights))
    train_set = read_manifest(chips_folder).select(fold="train")
    small, whole = Chips(train_set, 64), Chips(train_set, guide.size)
    with torch.inference_mode():
        learned = Deployed(net).eval()(torch.from_numpy(np.stack([small[at].chip for at in range(40)])))[0].numpy()
    years = np.arange(117)
    guided = np.stack([guide(whole[at].chip)[0] for at in range(40)]) @ years
    from_guide, from_labels = (np.abs(learned @ years - ages).mean() for ages in (guided, train_set.age))
    assert from_guide < 0.5 * from_labels


@pytest.mark.parametrize(
    ("overrides", "told"),
    [
        (["data.guide=mien-s", "data.teacher=x.parquet"], "not from both"),
        (["augment.mix=0.5"], "augment.mix needs a model that answers for blends: set data.guide"),
        (["data.guide=mien-s", "loss.teacher=0"], "not listened to"),
        (["data.teacher=[]"], "names one or several"),
        (["data.guide=[mien-s, mien-m]"], "names one model"),
    ],
)
def test_settings_that_contradict_each_other_are_refused(overrides: list[str], told: str) -> None:
    with pytest.raises(UsageError, match=told):
        load_recipe("mien-m", ["data.teacher=null", *overrides])
