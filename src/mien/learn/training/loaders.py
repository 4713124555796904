"""Batches of chips, in the order of an epoch, from the loader's processes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import cv2
import torch
from torch.utils.data import DataLoader

from mien.learn.data.batches import Batch
from mien.learn.data.dataset import Chips
from mien.learn.recipe import Recipe


def leftover(faces: int, recipe: Recipe) -> int:
    """1 if the last batch of an epoch would be a single face, which a batch norm cannot take; it is left out."""
    return int(faces > 1 and faces % recipe.optimiser.batch == 1)


def loader(chips: Chips, recipe: Recipe, shuffle_seed: int | None) -> DataLoader[Any]:
    """Batches of a data set, shuffled where a seed is given."""
    generator = torch.Generator().manual_seed(shuffle_seed or 0)
    return DataLoader(
        chips,
        batch_size=recipe.optimiser.batch,
        drop_last=shuffle_seed is not None and leftover(len(chips), recipe) > 0,
        shuffle=shuffle_seed is not None,
        num_workers=recipe.data.workers,
        collate_fn=Chips.collate,
        generator=generator,
        worker_init_fn=_one_thread,
    )


def typed(batches: DataLoader[Any]) -> Iterator[Batch]:
    """The same batches, for type checkers."""
    yield from batches


def _one_thread(_: int) -> None:
    cv2.setNumThreads(0)
    torch.set_num_threads(1)
