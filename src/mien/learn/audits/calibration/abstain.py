"""What it costs not to name a gender where the model is not sure, and what it saves: risk and coverage by age band.

For each threshold: how many faces get no name (silenced), how often the likelier label would have been wrong for them,
how many of all errors are avoided so, and how often the names that are left are wrong. `mien.results.ABSTAIN` is chosen
from this on a validation fold. Chow, "On optimum recognition error and reject tradeoff", IEEE Transactions on
Information Theory 1970.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mien.arrays import Doubles
from mien.errors import DataError, UsageError
from mien.learn.audits.groups import GROUPINGS
from mien.learn.data.manifest import Manifest
from mien.learn.data.predictions import Predictions
from mien.learn.evaluation.evaluate import markdown, paired
from mien.native import Record, also
from mien.results import ABSTAIN

THRESHOLDS = (0.55, 0.6, 0.65, 0.7, 0.75, 0.8, 0.85, 0.9, 0.95)

WRONG = 0.44
"""Where the likelier label is wrong as often as that, or more, it is hardly better than a coin's throw."""

LEAST_FACES = 10
"""Of fewer faces no share is told."""

ALL = "all"


@dataclass(frozen=True)
class AbstainRow(Record):
    """One group of faces at one threshold.

    Attributes:
        threshold: probability of the likelier label below which none is named.
        faces: in the group.
        silenced: faces without a name.
        errors: faces of the group whose likelier label is wrong.
        avoided: those of them that are silenced.
    """

    threshold: float
    faces: int
    silenced: int
    errors: int
    avoided: int

    @property
    @also(digits=5)
    def coverage(self) -> float:
        """Share of faces that are named."""
        return 1 - self.silenced / self.faces

    @property
    @also(digits=5)
    def risk(self) -> float | None:
        """Share of the names that are wrong; None where there is none."""
        named = self.faces - self.silenced
        return (self.errors - self.avoided) / named if named else None

    @property
    @also("wrong_among_silenced", digits=5)
    def wrong(self) -> float | None:
        """Share of the silenced faces whose likelier label is wrong; None where there is none."""
        return self.avoided / self.silenced if self.silenced else None


@dataclass(frozen=True)
class AbstainReport(Record):
    """What `measure` found.

    Attributes:
        model: its name.
        at: the threshold that is shown by age band.
        groups: "all" and the bands of true age -> cuts, by ascending threshold.
    """

    model: str
    at: float
    groups: dict[str, tuple[AbstainRow, ...]]

    @property
    @also(before="groups")
    def proposed(self) -> float | None:
        """The highest threshold below which the likelier label is wrong for a share `WRONG` of all faces or more."""
        return max((cut.threshold for cut in self.groups[ALL] if (cut.wrong or 0.0) >= WRONG), default=None)

    def to_markdown(self) -> str:
        """All faces at each threshold, then each age band at one."""
        whole = self.groups[ALL]
        bands = [(name, next(cut for cut in cuts if cut.threshold == self.at)) for name, cuts in self.groups.items()]
        head = ("no gender named, %", "of these the likelier is wrong, %", "errors avoided", "wrong names left, %")
        proposed = "none" if self.proposed is None else f"{self.proposed:g}"
        return "\n\n".join(
            (
                f"{self.model}: {whole[0].faces} faces of known gender; without a threshold the likelier label is "
                f"wrong for {whole[0].errors / whole[0].faces:.1%}. The highest threshold below which it is wrong for "
                f"{WRONG:.0%} of the faces or more: {proposed}.",
                "\n".join(markdown([("threshold", *head), *((f"{cut.threshold:g}", *cells(cut)) for cut in whole)])),
                f"By true age, at {self.at:g}:",
                "\n".join(
                    markdown([("age", "faces", *head), *((name, str(cut.faces), *cells(cut)) for name, cut in bands)])
                ),
            )
        )


def measure(
    predictions: Predictions, faces: Manifest, *, thresholds: Sequence[float] = THRESHOLDS, at: float = ABSTAIN
) -> AbstainReport:
    """Count what each threshold silences and avoids.

    Args:
        predictions: calibrated answers; those for other pictures are passed over.
        faces: their labels; faces of unknown gender are passed over, those of unknown age count in "all" only.
        thresholds: to try, each between 0.5 and 1.
        at: the one that is shown by age band.

    Raises:
        UsageError: an impossible threshold.
        DataError: fewer than ten faces have an answer and a label of gender.
    """
    tried = sorted({*thresholds, at})
    for threshold in tried:
        if not 0.5 <= threshold <= 1:
            raise UsageError(f"a threshold lies between 0.5 and 1, not {threshold}", option="threshold")
    _, answers, known = paired(predictions, faces)
    rows = (known.female >= 0) & np.isfinite(answers)
    if rows.sum() < LEAST_FACES:
        raise DataError(f"{int(rows.sum())} faces of known gender are too few to tell: at least {LEAST_FACES}")
    known, female = known.take(rows), answers[rows].astype(np.float64)
    wrong = (female >= 0.5) != (known.female == 1)
    likelier = np.maximum(female, 1 - female)
    names, group = GROUPINGS["age-band"]
    codes = group(known)
    members = {ALL: np.ones(len(known), np.bool_)} | {name: codes == at for at, name in enumerate(names)}
    return AbstainReport(
        predictions.model,
        at,
        {
            name: tuple(_cut(threshold, likelier[inside], wrong[inside]) for threshold in tried)
            for name, inside in members.items()
            if inside.any()
        },
    )


def cells(cut: AbstainRow) -> tuple[str, ...]:
    """A cut in words: silenced, wrong among these, avoided errors, wrong names left."""
    avoided = f"{cut.avoided} of {cut.errors}"
    if cut.faces < LEAST_FACES:
        return "", "", avoided, ""
    return (
        f"{100 * (1 - cut.coverage):.1f}",
        f"{100 * cut.wrong:.0f}" if cut.wrong is not None and cut.silenced >= LEAST_FACES else "",
        avoided,
        "" if cut.risk is None else f"{100 * cut.risk:.1f}",
    )


def _cut(threshold: float, likelier: Doubles, wrong: NDArray[np.bool_]) -> AbstainRow:
    silenced = likelier < threshold
    return AbstainRow(threshold, len(wrong), int(silenced.sum()), int(wrong.sum()), int((wrong & silenced).sum()))
