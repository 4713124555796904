"""Pictures that are made once and shown again."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader

from mien.errors import DataError, UsageError
from mien.learn.data.batches import Batch
from mien.learn.data.dataset import Chips
from mien.learn.data.kept_pictures import KeptPictures
from mien.learn.data.manifest import Manifest
from mien.learn.data.readers import read as read_manifest
from mien.learn.data.teachers import Guide
from mien.learn.networks.answer_kinds import AgeKind, GenderKind, Output
from mien.learn.recipe import Augment, Loss, load_recipe
from mien.learn.training import loop
from mien.learn.training.losses import AgeGenderLoss

SIZE = 48


@pytest.fixture
def faces(chips_folder: Path) -> Manifest:
    return read_manifest(chips_folder).select(fold="train").take(np.arange(6))


def batch_of(chips: Chips, workers: int = 0) -> Batch:
    (batch,) = DataLoader(chips, batch_size=len(chips), num_workers=workers, collate_fn=Chips.collate)
    assert isinstance(batch, Batch)
    return batch


@pytest.mark.parametrize("workers", [0, 2])
def test_views_come_in_turn_then_mirrored_then_again(faces: Manifest, workers: int) -> None:
    kept = KeptPictures(len(faces), 2, SIZE)
    chips = Chips(faces, SIZE, Augment(), kept=kept)
    shown = []
    for epoch in range(6):
        chips.epoch = epoch
        shown.append(batch_of(chips, workers).chips)
        made = [[kept.holds(number, face) for face in range(len(faces))] for number in (0, 1)]
        assert made == [[True] * len(faces), [epoch > 0] * len(faces)]  # here, whichever process made them
    for epoch, fresh in enumerate((Chips(faces, SIZE, Augment()), Chips(faces, SIZE, Augment()))):
        fresh.epoch = epoch
        assert torch.equal(shown[epoch], batch_of(fresh).chips)
        assert torch.equal(shown[epoch + 2], shown[epoch].flip(2))
        assert torch.equal(shown[epoch + 4], shown[epoch])
    assert not torch.equal(shown[0], shown[1])


def test_without_flips_nothing_is_mirrored(faces: Manifest) -> None:
    chips = Chips(faces, SIZE, Augment(flip=False), kept=KeptPictures(len(faces), 1, SIZE))
    first = batch_of(chips).chips
    chips.epoch = 1
    assert torch.equal(batch_of(chips).chips, first)


def test_labels_and_what_the_guide_said_are_kept(faces: Manifest) -> None:
    class Counting(Guide):
        asked = 0

        def with_features(self, chip: np.ndarray) -> tuple[np.ndarray, float, np.ndarray]:
            self.asked += 1
            return super().with_features(chip)

    guide = Counting(Path("mien-s"))
    chips = Chips(
        faces, SIZE, Augment(), guide=guide, hinted=True, kept=KeptPictures(len(faces), 1, SIZE, guide.features)
    )
    alone = batch_of(Chips(faces, SIZE, Augment(), guide=Guide(Path("mien-s")), hinted=True))
    for _ in range(2):
        kept = batch_of(chips)
        assert torch.equal(kept.chips, alone.chips)
        assert torch.equal(kept.age, torch.from_numpy(faces.age))
        assert torch.equal(kept.female, torch.from_numpy(faces.female).to(torch.int8))
        assert kept.pmf is not None
        assert alone.pmf is not None
        assert kept.features is not None
        assert alone.features is not None
        torch.testing.assert_close(kept.pmf, alone.pmf, atol=1e-3, rtol=0)
        torch.testing.assert_close(kept.soft, alone.soft)
        torch.testing.assert_close(kept.features, alone.features, atol=5e-3, rtol=1e-3)
    assert guide.asked == len(faces)


def test_unknown_labels_stay_unknown(faces: Manifest) -> None:
    chips = Chips(faces, SIZE, Augment(mix=1), guide=Guide(Path("mien-s")), kept=KeptPictures(len(faces), 1, SIZE))
    for _ in range(2):
        batch = batch_of(chips)
        assert torch.isnan(batch.age).all()
        assert (batch.female == -1).all()
        assert batch.features is None


def test_a_hint_counts_the_distance_in_units_of_the_spread() -> None:
    class Silent:
        age_kind: AgeKind | None = None
        gender_kind: GenderKind | None = None

    wanted = torch.tensor([[0.0, 2.0], [4.0, 2.0]])  # variances 4 and 0: 2 on average
    unknown = torch.full((2,), torch.nan), torch.full((2,), -1)
    loss = AgeGenderLoss(Loss(hint=3.0), Silent())
    same, off = Output(None, None, wanted), Output(None, None, wanted + 1)
    assert loss(same, *unknown, features=wanted).item() == 0
    assert loss(off, *unknown, features=wanted).item() == pytest.approx(3 * 1 / 2)
    assert AgeGenderLoss(Loss(), Silent())(off, *unknown, features=wanted).item() == 0
    alone = Output(None, None, wanted[:1] + 1)  # no spread to go by
    assert loss(alone, unknown[0][:1], unknown[1][:1], features=wanted[:1]).item() == 0


def test_a_hinted_network_comes_to_give_its_guides_features(settings: list[str], tmp_path: Path) -> None:
    guide = Guide(Path("mien-s"))
    front = [3, 6, 13, 13, 26, 26, *[51] * 6, 102, guide.features]  # a tenth of the channels up to the last map
    plan = [
        *settings,
        "data.guide=mien-s",
        "loss.teacher=0.5",
        "data.views=2",
        "optimiser.sizes={}",
        "optimiser.layer_decay=0.95",
        f"model.options={{front: {front}}}",
    ]
    distances = []
    for hint in (0, 30):
        recipe = load_recipe("mien-m", [*plan, "data.teacher=null", f"loss.hint={hint}", "optimiser.epochs=8"])
        trainer = loop.Trainer(recipe, tmp_path / str(hint), lambda line: None)
        trainer.fit()
        chips = Chips(trainer.train_set, recipe.model.size, Augment(), guide=guide, hinted=True)
        batch = batch_of(chips)
        assert batch.features is not None
        with torch.inference_mode():
            mine = trainer.net.eval()(batch.chips).features
        distances.append((mine - batch.features).square().mean().item())
    assert distances[1] < 0.75 * distances[0]


def test_a_network_with_other_features_is_told(settings: list[str], tmp_path: Path) -> None:
    plan = [*settings, "data.teacher=null", "data.guide=mien-s", "loss.hint=1", "model.options={width: 0.1}"]
    with pytest.raises(DataError, match="features and the network 102: set"):
        loop.train(load_recipe("mien-m", plan), tmp_path / "run")


@pytest.mark.parametrize(
    ("overrides", "told"),
    [
        (["loss.hint=1"], "loss.hint needs a model"),
        (["loss.hint=1", "data.teacher=null", "data.guide=mien-s", "optimiser.batch=1"], "set optimiser.batch to 2"),
        (["data.views=2", "optimiser.sizes={1: 64}"], "leave optimiser.sizes empty"),
    ],
)
def test_settings_that_contradict_each_other_are_refused(overrides: list[str], told: str) -> None:
    with pytest.raises(UsageError, match=told):
        load_recipe("mien-m", overrides)
