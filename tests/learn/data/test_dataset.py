from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from mien.learn.data.dataset import Chips, augment
from mien.learn.data.readers import read
from mien.learn.recipe import Augment

EXAMPLES = Path(__file__).resolve().parents[3] / "examples"
NOTHING = Augment(flip=False, rotation=0, zoom_out=0, zoom_in=0, shift=0, light=0, grey=0, degrade=0, erase=0)


@pytest.fixture(scope="module")
def portrait() -> np.ndarray:
    picture = Image.open(sorted(EXAMPLES.glob("*.jpg"))[0]).convert("RGB").resize((200, 200))
    return np.asarray(picture)


def test_with_everything_off_the_chip_is_the_chip(portrait: np.ndarray) -> None:
    same = augment(portrait, 200, NOTHING, np.random.default_rng(0))
    assert np.abs(same.astype(int) - portrait).max() <= 1


def test_flip_mirrors_about_the_middle(portrait: np.ndarray) -> None:
    flips = NOTHING.model_copy(update={"flip": True})
    variants = [augment(portrait, 200, flips, np.random.default_rng(seed)).astype(int) for seed in range(12)]
    mirrored = [np.abs(chip - portrait[:, ::-1]).max() <= 1 for chip in variants]
    kept = [np.abs(chip - portrait).max() <= 1 for chip in variants]
    assert all(m != k for m, k in zip(mirrored, kept, strict=True))
    assert 2 <= sum(mirrored) <= 10


@pytest.mark.parametrize(
    "what", ["rotation", "zoom_out", "zoom_in", "shift", "light", "grey", "degrade", "erase", "corrupt"]
)
def test_each_augmentation_alone_changes_the_chip(portrait: np.ndarray, what: str) -> None:
    strength = {"rotation": 15.0, "zoom_in": 0.5, "grey": 1.0, "degrade": 1.0, "erase": 1.0, "corrupt": 1.0}.get(
        what, 0.3
    )
    changed = augment(portrait, 160, NOTHING.model_copy(update={what: strength}), np.random.default_rng(3))
    plain = augment(portrait, 160, NOTHING, np.random.default_rng(3))
    assert np.abs(changed.astype(int) - plain).mean() > 0.5


@given(seed=st.integers(0, 2**32 - 1), size=st.integers(32, 224))
def test_any_draw_gives_a_chip_of_the_size_asked_for(portrait: np.ndarray, seed: int, size: int) -> None:
    chip = augment(portrait, size, Augment(degrade=1, erase=1, grey=0.5, corrupt=0.5), np.random.default_rng(seed))
    assert chip.shape == (size, size, 3)
    assert chip.dtype == np.uint8


def test_same_seed_epoch_and_index_give_the_same_picture(chips_folder: Path) -> None:
    manifest = read(chips_folder).select(fold="train")
    one, two = (Chips(manifest, 64, Augment(), seed=5) for _ in range(2))
    assert (one[3][0] == two[3][0]).all()
    two.epoch = 1
    assert (one[3][0] != two[3][0]).any()
    assert (one[3][0] != Chips(manifest, 64, Augment(), seed=6)[3][0]).any()


def test_batches_hold_chips_and_labels(chips_folder: Path) -> None:
    manifest = read(chips_folder).select(fold="val")
    chips = Chips(manifest, 48)
    batch = Chips.collate([chips[i] for i in range(len(chips))])
    assert tuple(batch.chips.shape) == (8, 48, 48, 3)
    assert batch.age.tolist() == manifest.age.tolist()
    assert batch.female.tolist() == manifest.female.tolist()
