"""Old enough? One photo of one person to "pass", "fail" or "unsure", with the reason."""

from __future__ import annotations

from collections.abc import Generator, Iterable
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np

from mien.analyzer import Analyzer, Input
from mien.estimate.age_check import Outcome, check_rate, old_enough
from mien.estimate.quality import VAGUE, VAGUE_SENTENCE
from mien.native import Record, native, written
from mien.results import SCHEMA_VERSION, Face, Photo


@dataclass(frozen=True, slots=True)
class FaceCheck(Record):
    """The decision on one face.

    Attributes:
        outcome: "pass", "fail" or "unsure".
        probability: that the person is as old as the limit.
        reason: why, in a sentence.
        face: the face and its estimates.
    """

    outcome: Outcome
    probability: float = field(metadata=written(digits=6))
    reason: str
    face: Face


@dataclass(frozen=True, slots=True)
class AgeCheck(Record):
    """The decision on one photo.

    Attributes:
        outcome: that of its only face; "unsure" where there is none, or several; "error" where the photo failed.
        reason: why, in a sentence.
        faces: the decision on each face.
        photo: what was found in the photo.
        rule: limit, wanted rates of error and the thresholds that keep them.
    """

    outcome: Outcome | Literal["error"]
    reason: str
    faces: tuple[FaceCheck, ...]
    photo: Photo
    rule: dict[str, float]

    def to_dict(self) -> dict[str, Any]:
        """The JSON record, with `schema_version` first."""
        photo = self.photo
        return {
            "schema_version": SCHEMA_VERSION,
            "source": photo.source,
            "model": photo.model,
            "outcome": self.outcome,
            "reason": self.reason,
            "rule": self.rule,
            "faces": native(self.faces),
            "error": native(photo.error),
        }


class AgeChecker:
    """Decides for photos whether the person on them is old enough."""

    def __init__(
        self,
        analyzer: Analyzer | None = None,
        *,
        min_age: int = 18,
        max_false_pass: float = 0.01,
        max_false_fail: float = 0.01,
    ) -> None:
        """Look up the thresholds for a limit and two rates.

        Args:
            analyzer: finds faces and estimates them; None: one with the default model.
            min_age: the limit in years.
            max_false_pass: share of people of up to eight years below the limit that may pass.
            max_false_fail: share of people of up to eight years above the limit that may fail.

        Raises:
            UsageError: an impossible rate, or a limit or rate that the model learned no threshold for.
            ModelError: the model has learned no age checks.
        """
        check_rate("max_false_pass", max_false_pass)
        check_rate("max_false_fail", max_false_fail)
        self.analyzer = analyzer or Analyzer()
        self.rule = self.analyzer.estimator.bundle.age_checks().rule(min_age, max_false_pass, max_false_fail)
        self._told: dict[str, float] = {
            "min_age": min_age,
            "max_false_pass": max_false_pass,
            "max_false_fail": max_false_fail,
            "pass_above": self.rule.pass_above,
            "fail_below": self.rule.fail_below,
        }

    def __call__(self, photo: Input, *, bgr: bool = False) -> AgeCheck:
        """Check one photo: a path, bytes, a PIL image or an array.

        Raises:
            PhotoError: the photo is missing, damaged or too large.
        """
        return self.decide(self.analyzer(photo, bgr=bgr))

    def stream(self, photos: Iterable[Input] | Input) -> Generator[AgeCheck]:
        """Check many photos; where one failed, its `photo.error` says why and the outcome is "error"."""
        for photo in self.analyzer.stream(photos):
            yield self.decide(photo)

    def decide(self, photo: Photo) -> AgeCheck:
        """The decision on an analysed photo."""
        checks = tuple(self._decide_on(face) for face in photo.faces)
        outcome: Outcome | Literal["error"] = "unsure"
        if photo.error is not None:
            outcome, reason = "error", photo.error.message
        elif len(checks) == 1:
            outcome, reason = checks[0].outcome, checks[0].reason
        else:
            reason = "no face was found" if not checks else f"there are {len(checks)} faces: whose age is asked for?"
        return AgeCheck(outcome, reason, checks, photo, dict(self._told))

    def _decide_on(self, face: Face) -> FaceCheck:
        probability = float(old_enough(np.array([face.age.pmf]), self.rule.limit)[0])
        flags = face.quality.flags
        outcome = self.rule(probability, doubtful=bool(flags))
        limit = self.rule.limit
        if flags == (VAGUE,):
            reason = VAGUE_SENTENCE
        elif flags:
            poor = [flag for flag in flags if flag != VAGUE]
            reason = f"the face is {' and '.join(poor)}: a better photo is needed"
        elif outcome == "pass":
            reason = f"{limit} or older with a probability of {_percent(probability)}"
        elif outcome == "fail":
            reason = f"younger than {limit} with a probability of {_percent(1 - probability)}"
        else:
            reason = _undecided(limit, probability, self.rule.pass_above, self.rule.fail_below)
        return FaceCheck(outcome, probability, reason, face)


def _undecided(limit: int, probability: float, pass_above: float, fail_below: float) -> str:
    """The probability and the threshold in words, with as many digits as tell the two apart.

    >>> _undecided(18, 0.9951, 0.9968, 0.02)
    '18 or older with a probability of 99.5 %; a pass needs 99.7 %'
    >>> _undecided(18, 0.31, 0.9968, 0.3)
    '18 or older with a probability of 31.0 %; a pass needs 99.7 %, a fail less than 30.0 %'
    >>> _undecided(18, 0.99971, 0.99974, 0.02)
    '18 or older with a probability of 99.971 %; a pass needs 99.974 %'
    """
    near_pass = probability - fail_below > pass_above - probability
    other = pass_above if near_pass else fail_below
    digits = next((n for n in range(1, 5) if f"{100 * probability:.{n}f}" != f"{100 * other:.{n}f}"), 4)
    told = f"{limit} or older with a probability of {100 * probability:.{digits}f} %"
    needed = f"a pass needs {100 * pass_above:.{digits}f} %"
    if pass_above >= 1:
        needed = "no probability is high enough for a pass"
    return f"{told}; {needed}" + ("" if near_pass else f", a fail less than {100 * fail_below:.{digits}f} %")


def _percent(share: float) -> str:
    """A probability in per cent, at most 99.9 %.

    >>> _percent(0.99996), _percent(0.5)
    ('99.9 %', '50.0 %')
    """
    return f"{min(99.9, max(0.1, 100 * share)):.1f} %"
