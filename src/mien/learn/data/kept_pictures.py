"""Pictures made once, with what a guide says of them, in memory shared with the loader's processes; nothing on disk.

Turning, cutting and lighting a chip costs about as much as a small network's step, and a guide's answer several times
that. A network that is trained for many epochs loses little if it sees the same few pictures of each face again and
again, every second time mirrored, as long as they are more than it can learn by heart. What the guide said of a
picture stands for its mirror image too.

A picture depends on nothing but the seed, its face and its number. So a run that is resumed makes them again, just as
one does of several processes under Accelerate's launcher, which share nothing, where it is given a face for the first
time. Answers and features are kept as float16, and a picture's first showing takes them from here as well.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from mien.errors import DataError
from mien.estimate.calibrate import AGES
from mien.learn.data.batches import Sample


class Turn(NamedTuple):
    """Which of the kept pictures an epoch shows, and whether mirrored."""

    number: int
    mirrored: bool


class KeptPictures:
    """Room for some pictures of each face; a picture is there after `put`.

    Args:
        faces: how many.
        count: pictures of each.
        size: their side in pixels.
        features: how many features of the guide to keep with each; 0 for none.

    Raises:
        DataError: there is not so much shared memory.
    """

    def __init__(self, faces: int, count: int, size: int, features: int = 0) -> None:
        self.count = count
        self._there = _room(count, faces, kind=torch.bool).zero_()
        self._chips = _room(count, faces, size, size, 3, kind=torch.uint8)
        self._labels = _room(count, faces, 5, kind=torch.float32)  # age, gender, guide's "female", bounds of the age
        self._pmf = _room(count, faces, AGES, kind=torch.float16)
        self._features = _room(count, faces, features, kind=torch.float16) if features else None

    def place(self, epoch: int, *, flip: bool) -> Turn:
        """Where an epoch (from 0) looks: the views in turn, then all of them mirrored if allowed, then again."""
        times, number = divmod(epoch, self.count)
        return Turn(number, flip and times % 2 == 1)

    def holds(self, number: int, face: int) -> bool:
        """Whether a sample was put there."""
        return bool(self._there[number, face])

    def get(self, number: int, face: int, *, mirrored: bool) -> Sample:
        """The sample that was put there, its picture mirrored if asked for."""
        chip = self._chips[number, face].numpy()
        age, female, soft, low, high = self._labels[number, face].tolist()
        return Sample(
            chip[:, ::-1].copy() if mirrored else chip.copy(),
            age,
            int(female),
            self._pmf[number, face].float().numpy(),
            soft,
            None if self._features is None else self._features[number, face].float().numpy(),
            low,
            high,
        )

    def put(self, number: int, face: int, sample: Sample) -> None:
        """Keep a sample."""
        self._chips[number, face] = torch.from_numpy(sample.chip)
        self._labels[number, face] = torch.tensor([sample.age, sample.female, sample.soft, sample.low, sample.high])
        self._pmf[number, face] = torch.from_numpy(np.full(AGES, np.nan) if sample.pmf is None else sample.pmf)
        if self._features is not None:
            assert sample.features is not None
            self._features[number, face] = torch.from_numpy(sample.features)
        self._there[number, face] = True


def _room(*shape: int, kind: torch.dtype) -> Tensor:
    try:
        shared: Tensor = torch.empty(shape, dtype=kind).share_memory_()  # type: ignore[no-untyped-call]
    except RuntimeError as error:
        size = math.prod(shape) * kind.itemsize / 1e9
        raise DataError(f"data.views has no room, {size:.1f} GB of shared memory: set it lower ({error})") from error
    return shared
