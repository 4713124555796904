"""How large a model is and how long it takes on this machine."""

from __future__ import annotations

import time
from dataclasses import dataclass

import numpy as np

from mien.estimate.bundle import Bundle
from mien.estimate.estimator import Estimator
from mien.runtime.cores import physical_cores

CHIPS, ROUNDS = 16, 5


@dataclass(frozen=True, slots=True)
class Speed:
    """What `measure` found.

    Attributes:
        parameters: of the model.
        multiply_adds: of one chip.
        megabytes: of the model's folder.
        milliseconds: cores -> time of one chip, in batches of 16, the best of five rounds.
    """

    parameters: int
    multiply_adds: int
    megabytes: float
    milliseconds: dict[int, float]


def measure(model: Bundle) -> Speed:
    """Time the network on random chips: what they show makes no difference to it."""
    times = {}
    for threads in sorted({1, physical_cores()}):
        estimator = Estimator(model, threads=threads)
        size = estimator.contract.size
        chips = np.random.default_rng(0).integers(0, 256, (CHIPS, size, size, 3), dtype=np.uint8)
        estimator(chips)
        rounds = []
        for _ in range(ROUNDS):
            start = time.perf_counter()
            estimator(chips)
            rounds.append(time.perf_counter() - start)
        times[threads] = 1000 * min(rounds) / CHIPS
    config = model.config
    return Speed(config.parameters, config.multiply_adds, model.size() / 1e6, times)
