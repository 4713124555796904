"""Which labels are likely wrong, by answers of models that did not see the face; such labels become unknown.

Confident learning (Northcutt et al., "Confident learning: estimating uncertainty in dataset labels", JAIR 2021), for an
age as for a gender. The answers have to be cross-fitted (`mien.learn.crossfit`): a model finds few faults in labels
that it learned.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from mien.errors import DataError
from mien.estimate.calibrate import AGES
from mien.learn.manifest import Manifest
from mien.learn.predictions import Predictions


def without_doubted(
    manifest: Manifest, answers: Predictions, unlikely: float, report: Callable[[str], None] = lambda line: None
) -> Manifest:
    """The same faces, with those labels unknown that the answers give less than a probability of `unlikely`.

    Of a gender that is the probability answered for it; of an age that of an age as far out on its side of the
    distribution, or farther, twice. Faces without an answer keep their labels. How many labels go is told in one line.

    Raises:
        DataError: there is an answer for none of these faces.
    """
    row = {file: at for at, file in enumerate(answers.files.tolist())}
    answered = np.array([file in row for file in manifest.files.tolist()], dtype=np.bool_)
    if not answered.any():
        raise DataError("data.doubt has no answer for any of these faces: is it of another data set?")
    rows = np.array([row[file] for file in manifest.files[answered].tolist()], dtype=np.intp)
    age, female = manifest.age.copy(), manifest.female.copy()
    aged, gendered = ~np.isnan(age), female >= 0
    wrong_age, wrong_gender = np.zeros(len(age), np.bool_), np.zeros(len(age), np.bool_)
    wrong_age[answered] = _tail(answers.pmf[rows], np.nan_to_num(age[answered])) < unlikely
    share = answers.female[rows]
    wrong_gender[answered] = np.where(female[answered] == 1, share, 1 - share) < unlikely
    wrong_age &= aged
    wrong_gender &= gendered
    age[wrong_age], female[wrong_gender] = np.nan, -1
    report(
        f"of {int(aged.sum())} ages {int(wrong_age.sum())} are left out as doubted, "
        f"of {int(gendered.sum())} genders {int(wrong_gender.sum())}"
    )
    return replace(manifest, age=age, female=female)


def _tail(pmf: NDArray[np.float32], age: NDArray[np.float32]) -> NDArray[np.float64]:
    """Twice the smaller of the probabilities [N] of at most and of at least these ages [N]."""
    mass, year = pmf.astype(np.float64), np.clip(np.rint(age), 0, AGES - 1).astype(np.intp)
    up_to = np.take_along_axis(mass.cumsum(axis=1), year[:, None], axis=1)[:, 0]
    at = np.take_along_axis(mass, year[:, None], axis=1)[:, 0]
    total = mass.sum(axis=1)
    smaller: NDArray[np.float64] = np.minimum(up_to, total - up_to + at) / total
    return 2 * smaller
