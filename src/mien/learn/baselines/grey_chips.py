"""The grey chips of a manifest in one array, and their pixels as features."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from mien.arrays import Singles
from mien.errors import DataError, PhotoError
from mien.faces.align import CropContract, resize_chip
from mien.learn.baselines.method import Grey
from mien.learn.data.manifest import Manifest
from mien.learn.data.predictions import each_picture

FLAT = 1.0
"""Standard deviation, in grey levels, below which a chip counts as flat: noise is not blown up beyond this."""


@dataclass(frozen=True)
class GreyFaces:
    """Chips in memory.

    Attributes:
        manifest: the pictures that can be read, a row each.
        grey: uint8 [N, S, S].
        unreadable: the other pictures that are there, and why they cannot be read.
    """

    manifest: Manifest
    grey: Grey
    unreadable: dict[str, str]


def read_grey(manifest: Manifest, size: int) -> GreyFaces:
    """Read all pictures of a manifest as grey chips; those that are missing are passed over.

    Raises:
        DataError: none can be read.
    """
    contract = CropContract.utkface(size)
    listed = manifest.present()
    chips: list[Grey] = []
    unreadable: dict[str, str] = {}
    rows = []
    pictures = each_picture(
        listed, lambda _, pixels: cv2.cvtColor(resize_chip(pixels, contract), cv2.COLOR_RGB2GRAY), 1
    )
    for row, (file, chip) in enumerate(pictures):
        if isinstance(chip, PhotoError):
            unreadable[file] = str(chip)
        else:
            rows.append(row)
            chips.append(np.asarray(chip, np.uint8))
    if not chips:
        raise DataError(f"none of the {len(manifest)} pictures can be read: is the data where the manifest says?")
    return GreyFaces(listed.take(np.array(rows, dtype=np.intp)), np.stack(chips), unreadable)


def standardised(grey: Grey) -> Singles:
    """Pixels as features [N, S x S], each chip with mean 0 and standard deviation 1: light and contrast taken away."""
    pixels = grey.reshape(len(grey), -1).astype(np.float32)
    pixels -= pixels.mean(axis=1, keepdims=True)
    pixels /= np.maximum(pixels.std(axis=1, keepdims=True), FLAT)
    return pixels


class PixelFeatures:
    """The part of a `Method` that has standardised pixels for features."""

    size: int

    @property
    def multiply_adds(self) -> int:
        """A pixel is scaled once."""
        return self.size**2

    def features(self, grey: Grey) -> Singles:
        """Map grey chips [N, S, S] to standardised pixels [N, S x S]."""
        return standardised(grey)
