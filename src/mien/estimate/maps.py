"""Maps of contributions: what is explained, in which unit, and compared with what.

A map says of each place on the chip how much the detail there adds to the answer: years to the expected age, or
log-odds to "female"; below 0 it takes away. "Detail" is what the chip has beyond its blurred copy, the `veiled` chip:
class activation and occlusion compare with it, and so does the audit of faithfulness.
"""

from __future__ import annotations

from typing import Any, Protocol

import cv2
import numpy as np
from numpy.typing import NDArray

from mien.arrays import Chips, Doubles
from mien.errors import UsageError
from mien.estimate.calibrate import expectation, logit
from mien.estimate.estimator import Estimates
from mien.faces.align import CropContract

TARGETS = {"age": "years", "gender": "log-odds of female"}
"""Answer that is explained, and its unit: the expected age, or the log-odds of "female"."""

VEIL = 1 / 16
"""Spread of the blur, as a share of the chip's side: of the features only their rough places remain."""


class ChipModel(Protocol):
    """An `Estimator`, or anything that answers like it, to be explained."""

    @property
    def contract(self) -> CropContract:
        """Geometry of the chips that the method reads."""
        ...

    def __call__(self, chips: Chips) -> Estimates:
        """Calibrated estimates for chips uint8 [N, S, S, 3]."""
        ...


class MapMaker(Protocol):
    """A method of explanation: chips to maps."""

    @property
    def method(self) -> str:
        """Name of the method, as `--method` takes it."""
        ...

    @property
    def signed(self) -> bool:
        """Whether its maps tell what adds from what takes away; otherwise they are 0 or above."""
        ...

    @property
    def spread(self) -> float:
        """Spread of what a cell sees around its middle, in cells; see `pixels`."""
        ...

    def __call__(self, chips: Chips, target: str) -> Doubles:
        """Maps [N, h, w] of chips uint8 [N, S, S, 3]; their cells divide a chip evenly."""
        ...


def check_target(target: str) -> None:
    """Raise a UsageError unless there is such a target."""
    if target not in TARGETS:
        raise UsageError.unknown("target", target, TARGETS)


def values(estimates: Estimates, target: str) -> Doubles:
    """Values of the answer that is explained, [N]: expected ages in years, or log-odds of "female"."""
    return expectation(estimates.pmf) if target == "age" else logit(estimates.female.astype(np.float64))


def veiled(chips: Chips) -> Chips:
    """Copies of chips uint8 [N, S, S, 3] without their detail."""
    spread = VEIL * chips.shape[1]
    veils = [cv2.GaussianBlur(chip, (0, 0), spread, borderType=cv2.BORDER_REPLICATE) for chip in chips]
    return np.asarray(veils, np.uint8).reshape(chips.shape)


def pixels(cells: NDArray[Any], size: int, spread: float = 0.0) -> Doubles:
    """A map [h, w] at the chip's resolution.

    Args:
        cells: the map.
        size: side of the chip, S.
        spread: standard deviation, in cells, of the bell over which the value of a cell is laid; 0 for straight lines
            between the middles of cells.

    Returns:
        [S, S]; in the middle of a large map of equal cells it has their value.
    """
    if spread <= 0:
        straight = cv2.resize(cells.astype(np.float64), (size, size), interpolation=cv2.INTER_LINEAR)
        return np.asarray(straight, np.float64)
    down, across = (_bells(count, size, spread) for count in cells.shape)
    laid: Doubles = down @ cells.astype(np.float64) @ across.T
    return laid


def _bells(count: int, size: int, spread: float) -> Doubles:
    """[size, count]: the weight of each cell at each pixel along one side."""
    away = (np.arange(size)[:, None] + 0.5) * count / size - (np.arange(count) + 0.5)
    weights: Doubles = np.exp(-(away**2) / (2 * spread**2)) / (spread * np.sqrt(2 * np.pi))
    return weights
