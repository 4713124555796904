"""Class activation maps: what each cell of a network's last feature map has in its answers.

Zhou et al., "Learning Deep Features for Discriminative Localization", CVPR 2016. Where the heads are linear in the mean
of the last feature map, every logit is the mean of what the head makes of the single cells, so each cell's part in it
is exact. Only differences have a meaning, since adding a number to all logits of the ages changes nothing: a cell is
therefore compared with the same cell of the veiled chip (`mien.estimate.maps.veiled`).

The expected age is not linear in the logits. What a logit is worth in years is therefore averaged over the straight way
from the veiled chip's features to those of the chip (integrated gradients: Sundararajan et al., ICML 2017), and a map
adds up to the difference between the two answers. The slope at the chip alone does not: it may say that nothing speaks
for 82 years where the face is 57 years older than its veiled copy. A hidden layer between the mean and the heads bends
the way once more, and is averaged over in the same steps.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mien.arrays import Chips, Doubles
from mien.errors import ModelError
from mien.estimate.bundle import Bundle
from mien.estimate.calibrate import AGES, Calibration, expectation, log_softmax
from mien.estimate.estimator import INPUT, OUTPUTS
from mien.estimate.maps import check_target, veiled
from mien.names import plain_name
from mien.runtime.sessions import Network, Session, open_network

FEATURES = "feature_map"
"""Output of the graph with the last feature map, float32 [N, C, h, w]."""

WEIGHTS = "model.safetensors"
NAMES = ("age.weight", "age.bias", "gender.weight", "gender.bias")
HIDDEN = ("embed.weight", "embed.bias")
"""A layer between the mean of the map and the heads, which some networks have."""
TOLERANCE = 1e-3
"""Largest difference in probability between the network's answer and that of its heads on the mean feature map."""

SIGHT = 1.25
"""How far around its middle a cell of the last feature map sees, in cells: the spread of its effective receptive field
(Luo et al., NeurIPS 2016), 40 to 48 of 192 pixels for mien-m by the gradients of cells in the middle of two faces."""

STEPS = 64
"""On the way from the veiled chip to the chip."""
FINER = 8
"""So many times more where rectifiers of a hidden layer switch on the way."""

Features = Callable[[Chips], NDArray[np.float32]]
"""Chips uint8 [N, S, S, 3] -> last feature maps [N, C, h, w]."""


@dataclass(frozen=True)
class Heads:
    """Two linear layers on pooled features, or on a hidden layer of rectifiers on them, in float64.

    Attributes:
        age: [117, C], or [117, H].
        age_bias: [117].
        gender: [C], or [H].
        gender_bias: of the logit of "female".
        calibration: whose temperatures divide the logits.
        hidden: weight [H, C] and bias [H] of the hidden layer; None without one.
    """

    age: Doubles
    age_bias: Doubles
    gender: Doubles
    gender_bias: float
    calibration: Calibration
    hidden: tuple[Doubles, Doubles] | None = None

    @property
    def channels(self) -> int:
        """Number of features that the heads read."""
        return int((self.age if self.hidden is None else self.hidden[0]).shape[1])

    def read(self, pooled: Doubles) -> Doubles:
        """Inputs of the linear layers for pooled features [N, C]."""
        return pooled if self.hidden is None else np.maximum(pooled @ self.hidden[0].T + self.hidden[1], 0)

    def pmf(self, pooled: Doubles, *, calibrated: bool = True) -> Doubles:
        """Age distributions [N, 117] of pooled features [N, C]."""
        heat = self.calibration.age_temperature if calibrated else 1.0
        return np.exp(log_softmax((self.read(pooled) @ self.age.T + self.age_bias) / heat))

    def female(self, pooled: Doubles) -> Doubles:
        """Probabilities [N] of "female", not calibrated."""
        return 1 / (1 + np.exp(-(self.read(pooled) @ self.gender + self.gender_bias)))

    def direction(self, pooled: Doubles, without: Doubles, target: str) -> Doubles:
        """Worth of each feature between two points, [C]: years or log-odds, calibrated.

        With probabilities p of the years y and their expectation E, a logit z_k moves E by p_k (y_k - E) / T.

        Args:
            pooled: [C] features of the chip.
            without: [C] features of the veiled chip.
            target: "age" or "gender".

        Returns:
            Such that its product with `pooled - without` is the difference between the answers.
        """
        steps = STEPS if self.hidden is None else FINER * STEPS
        way = without + (np.arange(steps)[:, None] + 0.5) / steps * (pooled - without)
        if target == "gender":
            slopes = np.broadcast_to(self.gender / self.calibration.gender_temperature, (steps, len(self.gender)))
        else:
            pmf = self.pmf(way)
            slopes = pmf * (np.arange(AGES) - expectation(pmf)[:, None]) @ self.age / self.calibration.age_temperature
        worth: Doubles = slopes.mean(axis=0)
        if self.hidden is not None:
            worth = (slopes * (self.read(way) > 0)).mean(axis=0) @ self.hidden[0]
        return worth


class ClassActivation:
    """Class activation maps by feature maps and heads."""

    method = "cam"
    signed = True
    spread = SIGHT

    def __init__(self, features: Features, heads: Heads) -> None:
        """Take both; `of_bundle` finds them in a model."""
        self._features = features
        self._heads = heads

    def __call__(self, chips: Chips, target: str) -> Doubles:
        """Maps [N, h, w] of chips uint8 [N, S, S, 3]; their unit is that of the target.

        A map adds up to the difference between the answers for the chip and for the veiled chip.
        """
        check_target(target)
        maps = []
        for pair in zip(chips, veiled(chips), strict=True):
            features, without = self._features(np.stack(pair)).astype(np.float64)
            worth = self._heads.direction(features.mean(axis=(1, 2)), without.mean(axis=(1, 2)), target)
            maps.append(np.tensordot(worth, features - without, axes=1) / features[0].size)
        return np.array(maps).reshape(len(chips), *(maps[0].shape if maps else (0, 0)))


def of_bundle(bundle: Bundle, threads: int = 1) -> ClassActivation:
    """Class activation maps of a model.

    Args:
        bundle: the model; its network is loaded once more, with its feature map.
        threads: cores that one call may use.

    Raises:
        ModelError: the model does not show its feature map, or its answers are not its heads' on the mean of it.
    """

    def opened() -> Network:
        with plain_name(bundle.folder, ModelError) as folder:
            return open_network(str(Path(folder) / bundle.network.name), threads, spinning=False)

    bundle.check_network()
    session = Session(opened)
    if FEATURES not in [port.name for port in session.get_outputs()]:
        raise _refusal(bundle, f"its network has no output {FEATURES!r}")
    try:
        heads = _heads(bundle.folder / WEIGHTS, bundle.config.calibration or Calibration.identity())
    except (OSError, KeyError, ValueError, TypeError, AttributeError, OverflowError, RecursionError) as error:
        raise _refusal(bundle, f"the weights of its heads cannot be read ({error!r})") from error

    def features(chips: Chips) -> NDArray[np.float32]:
        pmf, female, maps = session.run([*OUTPUTS, FEATURES], {INPUT: chips})
        pooled = maps.mean(axis=(2, 3), dtype=np.float64)
        if not _agrees(heads, pooled, pmf, female):
            raise _refusal(bundle, "its answers are not those of its heads on the mean of its feature map")
        out: NDArray[np.float32] = maps
        return out

    return ClassActivation(features, heads)


def _heads(weights: Path, calibration: Calibration) -> Heads:
    age, age_bias, gender, gender_bias = tensors(weights, NAMES)
    hidden = None
    if set(HIDDEN) <= set(tensor_names(weights)):
        weight, bias = tensors(weights, HIDDEN)
        hidden = weight, bias
    return Heads(age, age_bias, gender.reshape(-1), float(gender_bias.item()), calibration, hidden)


def _agrees(heads: Heads, pooled: Doubles, pmf: NDArray[Any], female: NDArray[Any]) -> bool:
    """Whether the heads on the pooled features give the network's own answers."""
    width = heads.channels if heads.hidden is None else len(heads.hidden[1])
    if heads.channels != pooled.shape[1] or heads.age.shape != (AGES, width) or heads.gender.shape != (width,):
        return False
    away = np.abs(heads.pmf(pooled, calibrated=False) - pmf).max(), np.abs(heads.female(pooled) - female).max()
    return bool(max(away) < TOLERANCE)


def _refusal(bundle: Bundle, reason: str) -> ModelError:
    return ModelError(
        f"model {bundle.config.name} has no class activation maps (cam): {reason}. The method occlusion works with any "
        "model; `mien export` shows the feature map of our own network"
    )


def tensors(path: Path, names: tuple[str, ...]) -> list[Doubles]:
    """Some tensors of a safetensors file, in float64.

    Raises:
        KeyError: the file has no tensor of that name, or not in a type of floats that numpy knows.
    """
    found = []
    entries, length = header(path)
    with path.open("rb") as file:
        for name in names:
            kind = {"F16": "<f2", "F32": "<f4", "F64": "<f8"}[entries[name]["dtype"]]
            start, end = entries[name]["data_offsets"]
            file.seek(8 + length + start)
            stored = np.frombuffer(file.read(end - start), kind).reshape(entries[name]["shape"])
            found.append(stored.astype(np.float64))
    return found


def tensor_names(path: Path) -> list[str]:
    """Names of the tensors in a safetensors file."""
    return list(header(path)[0])


def header(path: Path) -> tuple[dict[str, Any], int]:
    """The header of a safetensors file, and its length in bytes."""
    with path.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
        return json.loads(file.read(length)), length
