"""Occlusion: how the answer falls when a patch of the chip is veiled. Works with any model."""

from __future__ import annotations

import numpy as np

from mien.arrays import Chips, Doubles
from mien.estimate.maps import ChipModel, check_target, values, veiled

GRID = 8
"""Cells of an occlusion map along a side; a patch covers two by two of them."""


class Occlusion:
    """Maps by veiling one patch after the other.

    Zeiler and Fergus, "Visualizing and Understanding Convolutional Networks", ECCV 2014. The chip has `GRID` by `GRID`
    cells and a patch covers two by two of them, in all places. A cell's value is the mean over the patches on it.
    """

    method = "occlusion"
    signed = True
    spread = 0.0

    def __init__(self, model: ChipModel) -> None:
        """Explain any estimator of chips."""
        self._model = model

    def __call__(self, chips: Chips, target: str) -> Doubles:
        """Maps [N, 8, 8] of chips uint8 [N, S, S, 3]."""
        check_target(target)
        maps = [self._map(*pair, target) for pair in zip(chips, veiled(chips), strict=True)]
        return np.array(maps).reshape(len(chips), GRID, GRID)

    def _map(self, chip: Chips, veil: Chips, target: str) -> Doubles:
        edges = np.linspace(0, len(chip), GRID + 1).round().astype(int)
        places = [(row, column) for row in range(GRID - 1) for column in range(GRID - 1)]
        copies = np.repeat(chip[None], 1 + len(places), axis=0)
        for copy, (row, column) in zip(copies[1:], places, strict=True):
            patch = slice(edges[row], edges[row + 2]), slice(edges[column], edges[column + 2])
            copy[patch] = veil[patch]
        whole, *without = values(self._model(copies), target).tolist()
        falls, covered = np.zeros((GRID, GRID)), np.zeros((GRID, GRID))
        for (row, column), value in zip(places, without, strict=True):
            falls[row : row + 2, column : column + 2] += whole - value
            covered[row : row + 2, column : column + 2] += 1
        return falls / covered
