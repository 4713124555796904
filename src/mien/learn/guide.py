"""Models that answer for each picture a network learns from, just as it was turned, cut and blended.

Answers given once for every face (`data.teacher`) fit the picture as it is stored; a network that sees it turned, cut
or blended with another learns what no longer quite belongs to it. Beyer et al., "Knowledge distillation: a good teacher
is patient and consistent" (CVPR 2022), show teacher and student the same view, blends of two pictures included: they
never run out of examples, and need no labels, which a blend does not have. Of several models the mean answer counts.
"""

from __future__ import annotations

from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from torch import nn

from mien.errors import DataError, ModelError, UsageError
from mien.estimate.bundle import find, read
from mien.estimate.class_activation import FEATURES
from mien.estimate.estimator import INPUT, OUTPUTS, Estimator
from mien.faces.align import resize_chip
from mien.learn.heads import AgeGenderNet

Answer = tuple[NDArray[np.float32], float]
"""An age distribution [117] and the probability of "female"."""


class Guide:
    """Loaded where it is first asked, so that each process that prepares batches has its own.

    Args:
        models: names of models, or the paths of their folders. Features are those of the first.

    Raises:
        UsageError: there is no such model, or none is named.
        ModelError: a path is none of a model.
    """

    def __init__(self, *models: Path) -> None:
        if not models:
            raise UsageError("data.guide: no model is named")
        try:
            folders = [find(str(model)) for model in models]
        except UsageError as error:
            raise UsageError(f"data.guide: {error}") from None
        self._bundles = [read(folder) for folder in folders]
        self._loaded: dict[int, Estimator] = {}

    @cached_property
    def features(self) -> int:
        """How many features its heads read.

        Raises:
            DataError: the model's graph does not give them.
        """
        first = self._bundles[0]
        for port in Estimator(first).session.get_outputs():  # not the one that processes to come would inherit
            if port.name == FEATURES:
                return int(port.shape[1])
        raise DataError(f"model {first.config.name} gives no features that could be learned: set loss.hint to 0")

    def features_for(self, net: nn.Module) -> int:
        """How many features a network of ours and its guide share.

        Raises:
            DataError: they have unequally many, or one of them gives none.
        """
        mine = net.backbone.channels_out if isinstance(net, AgeGenderNet) else None
        if mine != self.features:
            has = "none to teach" if mine is None else str(mine)
            raise DataError(
                f"the guide has {self.features} features and the network {has}: set model.options so that both have "
                "as many, or loss.hint to 0"
            )
        return self.features

    @property
    def size(self) -> int:
        """Side of the chips that it takes, in pixels: the largest that one of its models takes."""
        return max(bundle.config.contract.size for bundle in self._bundles)

    def __call__(self, chip: NDArray[np.uint8]) -> Answer:
        """Age distribution float32 [117] and probability of "female" for a chip uint8 [size, size, 3]."""
        return _mean([self._answer(at, chip) for at in range(len(self._bundles))])

    def with_features(self, chip: NDArray[np.uint8]) -> tuple[NDArray[np.float32], float, NDArray[np.float32]]:
        """The same, and the `features` that the heads of its first model read, float32 [C].

        Raises:
            ModelError: an answer is not finite.
        """
        first = self._bundles[0].config
        pmf, female, maps = self._estimator(0).session.run([*OUTPUTS, FEATURES], {INPUT: self._fitting(0, chip)})
        if first.calibration is not None:
            pmf, female = first.calibration.apply(pmf, female)
        if not all(np.isfinite(answer).all() for answer in (pmf, female, maps)):
            raise ModelError(f"model {first.name} answered with something that is not a number")
        others = [self._answer(at, chip) for at in range(1, len(self._bundles))]
        return *_mean([(pmf[0], float(female[0])), *others]), maps[0].mean(axis=(1, 2))

    def _answer(self, at: int, chip: NDArray[np.uint8]) -> Answer:
        answer = self._estimator(at)(self._fitting(at, chip))
        return answer.pmf[0], float(answer.female[0])

    def _fitting(self, at: int, chip: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """The chip as a batch of one, at the size of the model at that place."""
        return resize_chip(chip, self._bundles[at].config.contract)[None]

    def _estimator(self, at: int) -> Estimator:
        if at not in self._loaded:
            self._loaded[at] = Estimator(self._bundles[at])
        return self._loaded[at]


def _mean(answers: list[Answer]) -> Answer:
    ages, genders = zip(*answers, strict=True)
    return np.mean(ages, axis=0), float(np.mean(genders))
