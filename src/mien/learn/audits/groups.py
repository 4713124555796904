"""Which group a face belongs to: by what the data state of it, never by a guess.

Race is what UTKFace's names or a table's column say, gender is as labelled, the age band is that of the true age.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from mien.arrays import Codes
from mien.errors import DataError, UsageError
from mien.estimate.calibrate import OLDEST
from mien.learn.data.manifest import Manifest
from mien.learn.evaluation.evaluate import BANDS

RACES = ("White", "Black", "Asian", "Indian", "Others")
"""What 0 to 4 mean in UTKFace's names (Zhang et al., CVPR 2017). They are the words of its labellers."""


def span(first: int, last: int) -> str:
    """Name of the ages from one of `BANDS` to another.

    >>> span(0, 0), span(1, 2), span(7, 8)
    ('0-2', '3-19', '60+')
    """
    low, high = BANDS[first][0], BANDS[last][1]
    return f"{low}-{high}" if high < OLDEST else f"{low}+"


def race(faces: Manifest) -> Codes:
    """Row of each face [N] in `RACES`, -1 where the data do not say."""
    return faces.race.astype(np.intp)


def gender(faces: Manifest) -> Codes:
    """0 labelled female, 1 male, -1 unknown."""
    return np.where(faces.female < 0, -1, 1 - faces.female).astype(np.intp)


def age_band(faces: Manifest) -> Codes:
    """Row of each face's true age [N] in `BANDS`, -1 where it is unknown."""
    return np.digitize(np.nan_to_num(faces.age, nan=-1), [low for low, _ in BANDS]).astype(np.intp) - 1


GROUPINGS: dict[str, tuple[tuple[str, ...], Callable[[Manifest], Codes]]] = {
    "race": (RACES, race),
    "gender": (("female", "male"), gender),
    "age-band": (tuple(span(at, at) for at in range(len(BANDS))), age_band),
}
"""Ways to group faces: the names of the groups, and which of them each face is in."""


def named(by: Sequence[str]) -> list[str]:
    """The groupings asked for, each once.

    Raises:
        UsageError: there is no such grouping, or none is named.

    >>> named(["gender", "race", "gender"])
    ['gender', 'race']
    """
    if not by:
        raise UsageError(f"say what to group faces by: {', '.join(GROUPINGS)}")
    for name in by:
        if name not in GROUPINGS:
            raise UsageError.unknown("group", name, GROUPINGS)
    return list(dict.fromkeys(by))


def stated(by: Sequence[str], faces: Manifest) -> None:
    """Make sure that the data say of some face what it is to be grouped by.

    Raises:
        DataError: they do not.
    """
    for name in by:
        if not (GROUPINGS[name][1](faces) >= 0).any():
            raise DataError(
                f"the data state no {name.replace('-', ' ')} of any of {len(faces)} faces, and it is never guessed: "
                "use pictures named as those of UTKFace, or a table that has it"
            )


def crossed(by: Sequence[str], faces: Manifest) -> tuple[list[str], Codes]:
    """Groups of one grouping, or the intersections of several.

    Returns:
        All names there may be, such as "Black, female", and the row of each face [N] among them, -1 where the data do
        not say one of the groups.
    """
    names, codes = [""], np.zeros(len(faces), np.intp)
    for choices, of in (GROUPINGS[name] for name in by):
        more = of(faces)
        names = [f"{before}, {choice}" if before else choice for before in names for choice in choices]
        codes = np.where((codes < 0) | (more < 0), -1, codes * len(choices) + more)
    return names, codes
