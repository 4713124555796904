"""A model that answers for each picture a network learns from, just as it was turned, cut and blended.

Answers given once for every face (`data.teacher`) fit the picture as it is stored; a network that sees it turned, cut
or blended with another learns what no longer quite belongs to it. Beyer et al., "Knowledge distillation: a good teacher
is patient and consistent" (CVPR 2022), show teacher and student the same view, blends of two pictures included: they
never run out of examples, and need no labels, which a blend does not have.
"""

from __future__ import annotations

from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mien.errors import DataError, ModelError, UsageError
from mien.estimate.bundle import find, read
from mien.estimate.class_activation import FEATURES
from mien.estimate.estimator import INPUT, OUTPUTS, Estimator
from mien.faces.align import resize_chip

GuideAnswer = tuple[NDArray[np.float32], float]
"""An age distribution [117] and the probability of "female"."""


class Guide:
    """Loaded where it is first asked, so that each process that prepares batches has its own.

    Args:
        model: name of a model, or the path of its folder.

    Raises:
        UsageError: there is no such model.
        ModelError: the path is none of a model.
    """

    def __init__(self, model: Path) -> None:
        try:
            folder = find(str(model))
        except UsageError as error:
            raise UsageError(f"data.guide: {error}") from None
        self._bundle = read(folder)
        self._loaded: Estimator | None = None

    @cached_property
    def features(self) -> int:
        """How many features its heads read.

        Raises:
            DataError: the model's graph does not give them.
        """
        for port in Estimator(self._bundle).session.get_outputs():  # not the one that processes to come would inherit
            if port.name == FEATURES:
                return int(port.shape[1])
        raise DataError(f"model {self._bundle.config.name} gives no features that could be learned: set loss.hint to 0")

    @property
    def size(self) -> int:
        """Side of the chips that it takes, in pixels."""
        return self._bundle.config.contract.size

    def __call__(self, chip: NDArray[np.uint8]) -> GuideAnswer:
        """Age distribution float32 [117] and probability of "female" for a chip uint8 [size, size, 3]."""
        answer = self._estimator()(self._fitting(chip))
        return answer.pmf[0], float(answer.female[0])

    def with_features(self, chip: NDArray[np.uint8]) -> tuple[NDArray[np.float32], float, NDArray[np.float32]]:
        """The same, and the `features` that its heads read, float32 [C].

        Raises:
            ModelError: an answer is not finite.
        """
        config = self._bundle.config
        pmf, female, maps = self._estimator().session.run([*OUTPUTS, FEATURES], {INPUT: self._fitting(chip)})
        if config.calibration is not None:
            pmf, female = config.calibration.apply(pmf, female)
        if not all(np.isfinite(answer).all() for answer in (pmf, female, maps)):
            raise ModelError(f"model {config.name} answered with something that is not a number")
        return pmf[0], float(female[0]), maps[0].mean(axis=(1, 2))

    def _fitting(self, chip: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """The chip as a batch of one, at the model's size."""
        return resize_chip(chip, self._bundle.config.contract)[None]

    def _estimator(self) -> Estimator:
        if self._loaded is None:
            self._loaded = Estimator(self._bundle)
        return self._loaded
