"""Chips in, augmented arrays out; the same seed, epoch and index always give the same picture."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch.utils.data import Dataset

from mien.errors import DataError, PhotoError
from mien.estimate.calibrate import AGES
from mien.faces.align import CropContract, resize_chip
from mien.learn.data import prints
from mien.learn.data.batches import Batch, Sample
from mien.learn.data.corruptions import chosen, corrupt
from mien.learn.data.detector_boxes import Boxes, find_boxes
from mien.learn.data.kept_pictures import KeptPictures
from mien.learn.data.manifest import Manifest
from mien.learn.data.predictions import Predictions
from mien.learn.data.teachers import Guide
from mien.learn.recipe import Augment, Data
from mien.photos.decode import decode

Chip = NDArray[np.uint8]

CACHE = Path("runs") / "boxes"
"""Where the boxes that detectors found in chips are kept: four numbers a file, no pictures."""


@dataclass(frozen=True)
class ShownPart:
    """What a network is shown of a stored chip: all of it or the face a detector found in it, in colour or grey."""

    boxes: Boxes | None = None
    grey: bool = False

    @classmethod
    def of(
        cls, data: Data, manifests: Sequence[Manifest], report: Callable[[str], None] = lambda line: None
    ) -> ShownPart:
        """The view a recipe asks for; looks for the faces if need be."""
        boxes = None
        if data.crop != "chip":
            boxes = find_boxes(
                Manifest.concatenate(manifests), data.crop, cache=CACHE / f"{data.crop}.csv", report=report
            )
        return cls(boxes, data.grey)

    def __call__(self, file: str, pixels: Chip) -> Chip:
        """The part of a chip [H, W, 3] that is shown, [h, w, 3]."""
        if self.boxes is not None:
            pixels = self.boxes.crop(file, pixels)
        if self.grey:
            pixels = cv2.cvtColor(cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY), cv2.COLOR_GRAY2RGB)  # type: ignore[assignment]
        return pixels


class Chips(Dataset[Sample]):
    """The faces of a manifest at one size. Files are kept as bytes in memory and decoded when asked for."""

    def __init__(
        self,
        manifest: Manifest,
        size: int,
        augment: Augment | None = None,
        seed: int = 0,
        *,
        teacher: Predictions | None = None,
        guide: Guide | None = None,
        hinted: bool = False,
        kept: KeptPictures | None = None,
        shown: ShownPart | None = None,
    ) -> None:
        """Read the files.

        Args:
            manifest: the faces.
            size: side of the chips in pixels.
            augment: how to disturb them; None for chips as they are.
            seed: of all chance.
            teacher: answers for the stored faces.
            guide: answers for each picture as it is shown.
            hinted: ask the guide for its features too.
            kept: where to keep pictures, to show the same in later epochs; None makes new ones.
            shown: what is shown of a chip.
        """
        self.manifest = manifest
        self.size = size
        self.augment = augment
        self.seed = seed
        self.epoch = 0
        self.shown = shown or ShownPart()
        self.teacher = teacher
        self.guide = guide
        self.hinted = hinted
        self.kept = kept
        self._taught = {} if teacher is None else {file: row for row, file in enumerate(teacher.files.tolist())}
        if teacher is not None and self._taught.keys().isdisjoint(manifest.files.tolist()):
            raise DataError("the teacher has no answer for any of these faces: is it of another data set?")
        self._bytes: list[bytes] = [path.read_bytes() for path in manifest.paths]

    def __len__(self) -> int:
        return len(self._bytes)

    def __getitem__(self, index: int) -> Sample:
        """One chip uint8 [S, S, 3] with its labels."""
        if self.augment is None or self.kept is None:
            return self._made(index, self.epoch)
        number, mirrored = self.kept.place(self.epoch, flip=self.augment.flip)
        if not self.kept.holds(number, index):
            self.kept.put(number, index, self._made(index, number))
        return self.kept.get(number, index, mirrored=mirrored)

    def _made(self, index: int, epoch: int) -> Sample:
        """The sample as an epoch without views shows it; with views, their numbers stand for those of epochs."""
        if self.augment is not None and self.guide is not None:
            return self._guided(index, self.augment, self.guide, self._chance(index, epoch))
        pixels = self._stored(index)
        if self.augment is None:
            return self._labelled(index, resize_chip(pixels, CropContract.utkface(self.size)))
        sample = self._labelled(index, augment(pixels, self.size, self.augment, self._chance(index, epoch)))
        if self.teacher is None:
            return sample
        row = self._taught.get(str(self.manifest.files[index]))
        if row is None:
            return sample._replace(pmf=np.full(AGES, np.nan, np.float32))
        return sample._replace(pmf=self.teacher.pmf[row], soft=float(self.teacher.female[row]))

    def _stored(self, index: int) -> Chip:
        """What is shown of a chip, before any augmentation."""
        try:
            pixels = decode(self._bytes[index]).pixels
        except PhotoError as error:
            raise DataError(f"{self.manifest.paths[index]}: {error}") from None
        return self.shown(str(self.manifest.files[index]), pixels)

    def _labelled(self, index: int, chip: Chip) -> Sample:
        """A picture of a face with what is known of it."""
        faces = self.manifest
        low, high = (float(np.floor(bound[index])) for bound in (faces.age_low, faces.age_high))
        return Sample(chip, float(faces.age[index]), int(faces.female[index]), low=low, high=high)

    def _chance(self, index: int, epoch: int) -> np.random.Generator:
        return np.random.default_rng([self.seed, epoch, index])

    def _guided(self, index: int, strength: Augment, guide: Guide, rng: np.random.Generator) -> Sample:
        """One chip, perhaps blended with another, and what the guide says of the same; a blend has no label."""
        chip, clean = augment_with_clean(self._stored(index), self.size, guide.size, strength, rng)
        if rng.random() < strength.mix:
            other = self._stored(int(rng.integers(len(self))))
            share = float(rng.uniform())
            pair = augment_with_clean(other, self.size, guide.size, strength, rng)
            chip, clean = (blend(one, two, share) for one, two in zip((chip, clean), pair, strict=True))
            sample = Sample(chip, math.nan, -1)
        else:
            sample = self._labelled(index, chip)
        if self.hinted:
            pmf, soft, features = guide.with_features(clean)
            return sample._replace(pmf=pmf, soft=soft, features=features)
        pmf, soft = guide(clean)
        return sample._replace(pmf=pmf, soft=soft)

    @staticmethod
    def collate(samples: list[Sample]) -> Batch:
        """Stack samples to a batch."""
        chips, ages, genders, pmfs, softs, features, *bounds = zip(*samples, strict=True)
        taught, hinted = pmfs[0] is not None, features[0] is not None
        return Batch(
            torch.from_numpy(np.stack(chips)),
            torch.tensor(ages, dtype=torch.float32),
            torch.tensor(genders, dtype=torch.int8),
            torch.from_numpy(np.stack(pmfs)) if taught else None,
            torch.tensor(softs, dtype=torch.float32) if taught else None,
            torch.from_numpy(np.stack(features)) if hinted else None,
            *(torch.tensor(bound, dtype=torch.float32) for bound in bounds),
        )


def augment(pixels: Chip, size: int, strength: Augment, rng: np.random.Generator) -> Chip:
    """A random variant of a chip: perhaps a corruption, one warp, then light, degradation and erasing.

    Args:
        pixels: RGB uint8 [H, W, 3].
        size: side of the result.
        strength: what to do how strongly.
        rng: source of all chance.

    Returns:
        RGB uint8 [size, size, 3].
    """
    pixels = _spoil(pixels, strength, rng)
    return _degrade(_light(_warp(pixels, size, strength, rng), strength, rng), strength, rng)


def augment_with_clean(
    pixels: Chip, size: int, clean_size: int, strength: Augment, rng: np.random.Generator
) -> tuple[Chip, Chip]:
    """`augment`, and the same view in the same light at another size with nothing corrupted, degraded or erased.

    Returns:
        RGB uint8 [size, size, 3] and [clean_size, clean_size, 3].
    """
    whole, pixels = pixels, _spoil(pixels, strength, rng)
    same = copy.deepcopy(rng)
    clean = _light(_warp(whole, clean_size, strength, same), strength, same)
    return _degrade(_light(_warp(pixels, size, strength, rng), strength, rng), strength, rng), clean


def blend(one: Chip, two: Chip, share: float) -> Chip:
    """`share` parts of one chip and the rest of another (Zhang et al., "mixup", ICLR 2018): uint8 [S, S, 3]."""
    return cv2.addWeighted(one, share, two, 1 - share, 0)  # type: ignore[return-value]


def _degrade(chip: Chip, strength: Augment, rng: np.random.Generator) -> Chip:
    if rng.random() < strength.degrade:
        chip = _DEGRADE[rng.integers(len(_DEGRADE))](chip, rng)
    if rng.random() < strength.erase:
        chip = _erase(chip, rng)
    return chip


def _spoil(pixels: Chip, strength: Augment, rng: np.random.Generator) -> Chip:
    """Now and then one corruption of the robustness audit, or the look of an old print, or both.

    Before the warp, since occluders go by the geometry of the chip.
    """
    if strength.corrupt > 0 and rng.random() < strength.corrupt:
        name = _CORRUPT[rng.integers(len(_CORRUPT))]
        pixels = corrupt(pixels, name, int(rng.integers(1, 5)), rng)
    if strength.old_print > 0 and rng.random() < strength.old_print:
        pixels = prints.aged(pixels, float(rng.uniform(0.1, 0.9)), rng)
    return pixels


def _warp(pixels: Chip, size: int, strength: Augment, rng: np.random.Generator) -> Chip:
    """Rotation, scale, shift and flip in one interpolation around the centre of the chip."""
    height, width = pixels.shape[:2]
    angle = np.deg2rad(rng.uniform(-strength.rotation, strength.rotation))
    zoom = np.exp(rng.uniform(np.log(1 - strength.zoom_out), np.log(1 + strength.zoom_in)))
    shift = rng.uniform(-strength.shift, strength.shift, size=2) * size
    mirror = -1.0 if strength.flip and rng.random() < 0.5 else 1.0
    scale = zoom * size / max(height, width)
    linear = scale * np.array(
        [[mirror * np.cos(angle), -np.sin(angle)], [mirror * np.sin(angle), np.cos(angle)]], dtype=np.float64
    )
    centre = np.array([(width - 1) / 2, (height - 1) / 2])
    offset = (size - 1) / 2 + shift - linear @ centre
    matrix = np.column_stack([linear, offset])
    border = cv2.BORDER_REPLICATE if rng.random() < 0.5 else cv2.BORDER_CONSTANT
    return cv2.warpAffine(pixels, matrix, (size, size), flags=cv2.INTER_LINEAR, borderMode=border)  # type: ignore[return-value]


def _light(chip: Chip, strength: Augment, rng: np.random.Generator) -> Chip:
    """Gamma, contrast, brightness and a gain a channel through one look-up table; now and then grey."""
    if strength.light > 0:
        span = strength.light
        gamma = np.exp(rng.uniform(-span, span))
        contrast = 1 + rng.uniform(-span, span)
        brightness = rng.uniform(-span, span) * 0.5
        gains = 1 + rng.uniform(-span, span, size=3) * 0.3
        ramp = np.linspace(0, 1, 256)[:, None] ** gamma
        table = ((ramp - 0.5) * contrast + 0.5 + brightness) * gains
        chip = cv2.LUT(chip, np.clip(table * 255, 0, 255).astype(np.uint8).reshape(1, 256, 3))  # type: ignore[assignment]
    if rng.random() < strength.grey:
        chip = cv2.cvtColor(cv2.cvtColor(chip, cv2.COLOR_RGB2GRAY), cv2.COLOR_GRAY2RGB)  # type: ignore[assignment]
    return chip


def _blur(chip: Chip, rng: np.random.Generator) -> Chip:
    return cv2.GaussianBlur(chip, (0, 0), rng.uniform(0.5, 2.0) * chip.shape[0] / 200)  # type: ignore[return-value]


def _low_resolution(chip: Chip, rng: np.random.Generator) -> Chip:
    size = chip.shape[0]
    small = max(16, int(size / rng.uniform(1.3, 5.0)))
    reduced = cv2.resize(chip, (small, small), interpolation=cv2.INTER_AREA)
    return cv2.resize(reduced, (size, size), interpolation=cv2.INTER_LINEAR)  # type: ignore[return-value]


def _noise(chip: Chip, rng: np.random.Generator) -> Chip:
    noise = rng.standard_normal(chip.shape, dtype=np.float32) * np.float32(rng.uniform(2, 14))
    return np.clip(chip + noise, 0, 255).astype(np.uint8)


def _jpeg(chip: Chip, rng: np.random.Generator) -> Chip:
    bgr = cv2.cvtColor(chip, cv2.COLOR_RGB2BGR)
    _, code = cv2.imencode(".jpg", bgr, [cv2.IMWRITE_JPEG_QUALITY, int(rng.integers(15, 80))])
    return cv2.imdecode(code, cv2.IMREAD_COLOR_RGB)  # type: ignore[return-value]


_CORRUPT = chosen(["blur", "quality", "occlusion", "shadow", "low-contrast"])
_DEGRADE: tuple[Callable[[Chip, np.random.Generator], Chip], ...] = (_blur, _low_resolution, _noise, _jpeg)


def _erase(chip: Chip, rng: np.random.Generator) -> Chip:
    """A rectangle of one random colour (Zhong et al., "Random erasing data augmentation", 2020)."""
    size = chip.shape[0]
    height, width = (int(side) for side in rng.uniform(0.1, 0.4, size=2) * size)
    top, left = int(rng.integers(0, size - height)), int(rng.integers(0, size - width))
    chip = chip.copy()
    chip[top : top + height, left : left + width] = rng.integers(0, 256, size=3)
    return chip
