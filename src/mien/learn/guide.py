"""A model that answers for each picture a network learns from, just as it was turned, cut and blended.

Answers given once for every face (`data.teacher`) fit the picture as it is stored; a network that sees it turned, cut
or blended with another learns what no longer quite belongs to it. Beyer et al., "Knowledge distillation: a good teacher
is patient and consistent" (CVPR 2022), show teacher and student the same view, blends of two pictures included: they
never run out of examples, and need no labels, which a blend does not have.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mien.errors import UsageError
from mien.estimate.bundle import find, read
from mien.estimate.estimator import Estimator


class Guide:
    """Loaded where it is first asked, so that each process that prepares batches has its own.

    Args:
        model: a model's name, or the path of its folder.

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
        self._estimator: Estimator | None = None

    @property
    def size(self) -> int:
        """Side of the chips that it takes, in pixels."""
        return self._bundle.config.contract.size

    def __call__(self, chip: NDArray[np.uint8]) -> tuple[NDArray[np.float32], float]:
        """Age distribution float32 [117] and probability of "female" for a chip uint8 [size, size, 3]."""
        if self._estimator is None:
            self._estimator = Estimator(self._bundle)
        answer = self._estimator(chip[None])
        return answer.pmf[0], float(answer.female[0])
