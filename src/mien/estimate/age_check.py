"""Old enough? From an age distribution to "pass", "fail" or "unsure", at thresholds learned for a wanted error rate.

What is compared is P(age >= limit). A threshold belongs to a limit and to a rate of false passes: the share of people
of up to eight years below the limit who may pass. It plays the part of the "challenge age" of shops, who ask anyone
that looks under 25 for a proof of being 18; see NIST IR 8525, "Face Analysis Technology Evaluation: Age Estimation and
Verification" (2024). `mien.learn.evaluation.age_check_thresholds` learns the thresholds, and says how sure they are.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from mien.errors import ModelError, UsageError
from mien.estimate.calibrate import AGES
from mien.native import UNWRITTEN, Record

Outcome = Literal["pass", "fail", "unsure"]

LEAST_FACES = 100
"""Held-out faces within `SPAN` years on either side that a limit needs; fewer, and it is left out."""

RATES = (0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2)
"""Rates of error for which thresholds are kept."""

SPAN = 8
"""Years on either side of a limit whose faces count: those of babies would flatter the rate of false passes."""

Thresholds = dict[int, dict[float, float]]


@dataclass(frozen=True, slots=True)
class AgeChecks(Record):
    """Thresholds on P(age >= limit) of one model.

    Attributes:
        passing: limit -> rate -> a face passes where its probability is above this; at most a share `rate` of people of
            up to eight years below the limit do.
        failing: limit -> rate -> a face fails where its probability is below this; at most a share `rate` of people of
            up to eight years above the limit do.
        confidence: how sure it is that each threshold keeps its rate, given how few faces it was learned from.
        faces: limit -> faces below and above it that its thresholds were learned from.
        source: what they were learned from, in words.
    """

    passing: Thresholds
    failing: Thresholds
    confidence: float
    faces: dict[int, tuple[int, int]]
    source: str

    @classmethod
    def from_dict(cls, record: Mapping[str, Any]) -> AgeChecks:
        """The object that a record of `to_dict` describes.

        Raises:
            ModelError: where a field is absent or impossible.
        """
        try:
            passing, failing, faces = {}, {}, {}
            for text, entry in record["limits"].items():
                limit = int(text)
                passing[limit] = {float(rate): _share(value) for rate, value in entry["pass_above"].items()}
                failing[limit] = {float(rate): _share(value) for rate, value in entry["fail_below"].items()}
                below, above = entry["faces"]
                faces[limit] = int(below), int(above)
            return cls(passing, failing, _share(record["confidence"]), faces, str(record["source"]))
        except (AttributeError, KeyError, TypeError, ValueError, OverflowError) as error:
            raise ModelError(f"the age checks of the model are malformed: {error!r:.200}") from error

    def to_dict(self) -> dict[str, Any]:
        """A record of native types for config.json."""
        limits = {
            str(limit): {
                "pass_above": {str(rate): value for rate, value in self.passing[limit].items()},
                "fail_below": {str(rate): value for rate, value in self.failing[limit].items()},
                "faces": list(self.faces[limit]),
            }
            for limit in self.passing
        }
        return {"confidence": self.confidence, "source": self.source, "limits": limits}

    def rule(self, limit: int, max_false_pass: float, max_false_fail: float) -> Rule:
        """The thresholds for a limit, each of the highest kept rate that is not above the wanted one.

        Raises:
            UsageError: there are none for this limit, or the data did not suffice for so low a rate.
        """
        if limit not in self.passing:
            known = sorted(self.passing)
            span = f"{known[0]} to {known[-1]}" if known else "none"
            raise UsageError(
                f"this model cannot check for an age of {limit}: it learned the limits {span}, those for which it was "
                f"calibrated on {LEAST_FACES} faces or more of up to {SPAN} years below and as many above"
            )
        above = _strictest(self.passing[limit], max_false_pass, "pass", limit)
        below = _strictest(self.failing[limit], max_false_fail, "fail", limit)
        return Rule(limit, above, min(below, above))


@dataclass(frozen=True, slots=True)
class Rule:
    """A rule for one age limit: the thresholds between pass, unsure and fail.

    Attributes:
        limit: years; whoever is this old may pass.
        pass_above: probability of being that old, above which a face passes.
        fail_below: the same, below which it fails.
    """

    limit: int = field(metadata=UNWRITTEN)
    pass_above: float
    fail_below: float

    def __call__(self, probability: float, *, doubtful: bool = False) -> Outcome:
        """Decide on one face; a face of poor quality is always "unsure".

        >>> rule = Rule(18, pass_above=0.99, fail_below=0.1)
        >>> rule(0.995), rule(0.5), rule(0.02), rule(0.995, doubtful=True)
        ('pass', 'unsure', 'fail', 'unsure')
        """
        if doubtful:
            return "unsure"
        if probability > self.pass_above:
            return "pass"
        return "fail" if probability < self.fail_below else "unsure"


def old_enough(pmf: NDArray[Any], limit: int) -> NDArray[np.float64]:
    """P(age >= limit) [N] of age distributions [N, 117].

    >>> old_enough(np.eye(117)[[17, 18]], 18)
    array([0., 1.])
    """
    mass = np.asarray(pmf, np.float64)
    share: NDArray[np.float64] = mass[:, min(limit, AGES) :].sum(axis=1) / mass.sum(axis=1)
    return share


def check_rate(name: str, rate: float) -> None:
    """Refuse what is no rate of error.

    Raises:
        UsageError: it does not lie between 0 and 0.5.
    """
    if not 0 < rate <= 0.5:
        raise UsageError(f"{name} is a share of people above 0 and at most 0.5, e.g. 0.01, not {rate}")


def percent(rate: float) -> str:
    """A rate with as many digits as it was given with, and never as none at all.

    >>> percent(0.00001), percent(0.01), percent(0.0025)
    ('0.001 %', '1 %', '0.25 %')
    """
    return f"{(Decimal(repr(float(rate))) * 100).normalize():f} %"


def _strictest(kept: dict[float, float], wanted: float, what: str, limit: int) -> float:
    check_rate(f"the rate of false {what}es" if what == "pass" else "the rate of false fails", wanted)
    fitting = [rate for rate in kept if rate <= wanted + 1e-12]
    if not fitting:
        raise UsageError(
            f"this model has no threshold for at most {percent(wanted)} false {what} decisions at {limit} years: "
            f"its data warrants {percent(min(kept, default=1.0))} at least"
        )
    return kept[max(fitting)]


def _share(value: Any) -> float:
    number = float(value)
    if not (math.isfinite(number) and 0 <= number <= 1):
        raise ValueError(f"{value!r} is no share between 0 and 1")
    return number
