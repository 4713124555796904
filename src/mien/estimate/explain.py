"""Which parts of a face an answer rests on, by ONNX Runtime alone.

- `cam`: class activation maps, see `mien.estimate.class_activation`. For networks with linear heads on the mean of
  their last feature map; two passes through the network.
- `occlusion`: patches of the chip are veiled one after the other, see `mien.estimate.occlusion`. For any model; 50
  passes.

The gradient methods are in `mien.learn.audits.explanations.gradients` and need torch.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mien.arrays import Chips, Doubles
from mien.errors import ModelError, UsageError
from mien.estimate.class_activation import of_bundle
from mien.estimate.estimator import Estimator
from mien.estimate.maps import TARGETS, ChipModel, MapMaker, check_target, pixels, values, veiled
from mien.estimate.occlusion import Occlusion
from mien.faces.regions import REGIONS, regions
from mien.native import Record, native, written

METHODS = ("cam", "occlusion")
"""Methods that need no torch."""

LITTLE = {"age": 1.0, "gender": 2.0}
"""Years, or percentage points, that blurring the whole face changes at least where an answer rests on the face."""

ROUNDING = 1e-9
"""A map with no more weight than this says nothing: all shares are 0."""


@dataclass(frozen=True, slots=True)
class Region(Record):
    """A part of the face, with its share of the map.

    Attributes:
        name: one of `mien.faces.regions.REGIONS`.
        share: of the map's weight without signs, 0 to 1; all shares add up to 1.
        net: the same with signs, -share to share: above 0 the part speaks for older, or for "female".
        hidden: the answer when this part is veiled, in the unit of the target: measured, whatever the map says.
    """

    name: str
    share: float = field(metadata=written(digits=4))
    net: float = field(metadata=written(digits=4))
    hidden: float = field(metadata=written(digits=3))


@dataclass(frozen=True, slots=True)
class Explanation(Record):
    """Explanation of the answer for one chip by one method.

    Attributes:
        target: "age" or "gender".
        method: name of the method.
        value: the answer: expected age in years, or log-odds of "female".
        veiled: the answer for the veiled chip.
        cells: [h, w] the map; contributions in the unit of the answer, relative ones if it is not signed.
        signed: whether what is below 0 takes away from the answer.
        spread: how far around its middle a cell sees, in cells.
        regions: all parts of the face, that with the largest share first.
    """

    target: str
    method: str
    value: float
    veiled: float
    cells: Doubles
    signed: bool
    spread: float
    regions: tuple[Region, ...]

    def pixels(self, size: int) -> Doubles:
        """The map at the chip's resolution [size, size]."""
        return pixels(self.cells, size, self.spread)

    def changed(self, answer: float) -> str:
        """Another answer in words, and its difference to this one: years, or percent female.

        >>> Explanation("age", "cam", 34.0, 30.0, np.zeros((1, 1)), True, 0, ()).changed(31.5)
        '31.5 (-2.5)'
        """
        if self.target == "age":
            return f"{answer:.1f} ({_signed(answer - self.value, 1)})"
        new, old = (100 / (1 + math.exp(-odds)) for odds in (answer, self.value))
        return f"{_percent(new)} % ({_signed(new - old)})"

    @property
    def note(self) -> str:
        """A sentence where the answer hardly rests on this face, so that its parts explain little; else empty."""
        everything = self._difference(self.veiled)
        parts = max((abs(self._difference(region.hidden)) for region in self.regions), default=0.0)
        if abs(everything) >= LITTLE[self.target]:
            return ""
        unit = "years" if self.target == "age" else "percentage points"
        return (
            f"With everything blurred the answer changes by only {abs(everything):.1f} {unit}: the model says nearly "
            "the same of a face that it cannot see"
            + (
                ", and no part matters either. The shares explain nothing here."
                if parts < LITTLE[self.target]
                else ". The shares explain little here; what the answer is without a part tells more."
            )
        )

    def _difference(self, answer: float) -> float:
        """Years, or percentage points of "female", from this answer to another."""
        if self.target == "age":
            return answer - self.value
        new, old = (100 / (1 + math.exp(-odds)) for odds in (answer, self.value))
        return new - old

    def sides(self, region: Region) -> tuple[float, float]:
        """Division of a part's share: what speaks for older or "female", and what for younger or "male".

        A map without signs tells only what speaks for the answer.
        """
        if self.signed:
            return (region.share + region.net) / 2, (region.share - region.net) / 2
        return (region.share, 0.0) if self.value >= self.veiled else (0.0, region.share)

    def speaks_for(self, region: Region) -> str:
        """Direction that a part speaks for: "both" where the smaller side is more than a third of the larger."""
        above, below = self.sides(region)
        if min(above, below) > max(above, below) / 3:
            return "both"
        return toward(self.target, below=below > above)

    def to_dict(self) -> dict[str, Any]:
        """A JSON record of native types."""
        return {
            "target": self.target,
            "method": self.method,
            "unit": TARGETS[self.target],
            "value": round(self.value, 3),
            "veiled": round(self.veiled, 3),
            "regions": native(self.regions),
            "note": self.note or None,
            "signed": self.signed,
            "spread": self.spread,
            "map": [[float(f"{value:.5g}") for value in row] for row in self.cells.tolist()],
        }


def explain(model: ChipModel, chips: Chips, target: str = "age", method: str | MapMaker = "cam") -> list[Explanation]:
    """Explanations of the answers for some chips, one a chip.

    Args:
        model: an `Estimator`, or anything that answers like it.
        chips: uint8 [N, S, S, 3], RGB, cut to the model's contract.
        target: "age" or "gender".
        method: "cam" or "occlusion"; or a maker of maps, e.g. of `mien.learn.audits.explanations.gradients`.

    Returns:
        One explanation a chip.

    Raises:
        UsageError: unknown target or method.
        ModelError: the model cannot be explained by this method; the sentence names another.
    """
    check_target(target)
    maker = make(model, method) if isinstance(method, str) else method
    if not len(chips):
        return []
    labels = regions(model.contract)
    explanations = []
    for chip, veil, cells in zip(chips, veiled(chips), maker(chips, target), strict=True):
        without = [np.where((labels == index)[..., None], veil, chip) for index in range(len(REGIONS))]
        value, blank, *hidden = values(model(np.stack([chip, veil, *without])), target).tolist()
        parts = _parts(pixels(cells, len(labels), maker.spread), labels, hidden)
        explanations.append(Explanation(target, maker.method, value, blank, cells, maker.signed, maker.spread, parts))
    return explanations


def _percent(share: float) -> str:
    """Percent without a sign; never a certainty, and a tenth more where it is near one.

    >>> _percent(63.7), _percent(99.62), _percent(99.9996), _percent(0.02)
    ('64', '99.6', '99.9', '0.1')
    """
    return f"{share:.0f}" if 1 < share < 99 else f"{min(99.9, max(0.1, share)):.1f}"


def _signed(difference: float, digits: int = 0) -> str:
    """With its sign, and none where nothing is left of it.

    >>> _signed(-0.3), _signed(-2.6), _signed(2.44, 1)
    ('0', '-3', '+2.4')
    """
    told = f"{difference:+.{digits}f}"
    return told if float(told) else told[1:]


def _parts(weights: Doubles, labels: NDArray[np.uint8], hidden: list[float]) -> tuple[Region, ...]:
    """The weight of a map [S, S] in each part of the face."""
    total = float(np.abs(weights).sum())
    weights = weights / total if total > ROUNDING else np.zeros_like(weights)
    parts = []
    for index, (name, answer) in enumerate(zip(REGIONS, hidden, strict=True)):
        inside = weights[labels == index]
        parts.append(Region(name, float(np.abs(inside).sum()), float(inside.sum()), answer))
    return tuple(sorted(parts, key=lambda region: -region.share))


def toward(target: str, *, below: bool) -> str:
    """The direction that contributions above 0, or below it, speak for.

    >>> toward("age", below=True), toward("gender", below=False)
    ('younger', 'female')
    """
    return {"age": ("older", "younger"), "gender": ("female", "male")}[target][below]


def make(model: ChipModel, method: str, threads: int = 1) -> MapMaker:
    """The maker of a method's maps for a model.

    Args:
        model: an `Estimator`, or for occlusion anything that answers like it.
        method: one of `METHODS`.
        threads: cores that class activation may use.

    Raises:
        UsageError: unknown method.
        ModelError: the model cannot be explained by it.
    """
    if method == "occlusion":
        return Occlusion(model)
    if method != "cam":
        raise UsageError.unknown("method", method, METHODS)
    if not isinstance(model, Estimator):
        raise ModelError("class activation maps (cam) need a model in a folder of its own: use the method occlusion")
    return of_bundle(model.bundle, threads)
