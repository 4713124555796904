"""How often age checks are wrong: tables in the manner of NIST IR 8525 (2024), for each limit, age year and gender.

A false pass is a person below the limit who passes; a false fail one at or above it who fails. Rates are given among
those within eight years of the limit, since babies and the old are told apart by anyone. The faces are aligned chips,
so that what `mien check-age` refuses for the quality of the photo is not counted here.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import beta

from mien.arrays import Mask
from mien.errors import DataError, UsageError
from mien.estimate.age_check import SPAN, AgeChecks, Rule, old_enough, percent
from mien.estimate.calibrate import expectation
from mien.learn.data.manifest import Manifest
from mien.learn.data.predictions import Predictions
from mien.learn.evaluation.evaluate import markdown, paired
from mien.learn.evaluation.metrics import Array, Interval, Weights, bootstrap
from mien.native import Record, written

LIMITS = (13, 16, 18, 21)
CLEAR = 7
"""Years above the limit from which on a person should pass: adults over 25 for a limit of 18."""

CHALLENGES = 21
"""So many challenge ages are tried, from the limit on."""

LEAST_FACES = 10
"""A cell of a table with fewer faces is shown as its count alone."""

FEW = 5
"""With fewer events than that on either side, an interval is the exact one of a binomial share."""


@dataclass(frozen=True)
class Cell(Record):
    """Decisions on one set of faces; None where the faces are too few to tell.

    Attributes:
        faces: how many.
        passed: share that passed.
        failed: share that failed.
        unsure: share that is asked for a proof of age.
    """

    faces: int
    passed: Interval | None = field(metadata=written("pass"))
    failed: Interval | None = field(metadata=written("fail"))
    unsure: Interval | None


@dataclass(frozen=True)
class Challenge:
    """The same faces under the rule of a shop: pass whoever looks at least so old.

    Attributes:
        age: the challenge age in years.
        false_pass: share of people of up to eight years below the limit who pass.
        stopped: share of people at least seven years above it who do not.
    """

    age: int
    false_pass: float = field(metadata=written(digits=5))
    stopped: float = field(metadata=written(digits=5))


@dataclass(frozen=True)
class LimitReport:
    """One limit.

    Attributes:
        rule: limit and thresholds.
        cells: "below" (eight years), "above" (eight years), "clear" (seven years above the limit and older), each also
            with " female" and " male".
        years: by age in years, for all, women and men.
        challenges: the rule of shops, for comparison.
    """

    rule: Rule = field(metadata=written(flat=True))
    cells: dict[str, Cell] = field(metadata=written("groups"))
    years: dict[str, dict[int, Cell]] = field(metadata=written("by_year"))
    challenges: tuple[Challenge, ...] = field(metadata=written("challenge_age"))


@dataclass(frozen=True)
class AgeCheckReport(Record):
    """What `measure` found.

    Attributes:
        model: its name.
        faces: that were measured.
        settings: wanted rates, bootstrap, and what the thresholds were learned from.
        limits: a report for each.
    """

    model: str
    faces: int
    settings: dict[str, Any]
    limits: dict[int, LimitReport]

    def to_markdown(self) -> str:
        """A table of all limits, then one by age year for each."""
        wanted = self.settings
        parts = [
            f"{self.model}: age checks on {self.faces} faces, wanted at most {percent(wanted['max_false_pass'])} false "
            f"passes and {percent(wanted['max_false_fail'])} false fails; "
            f"thresholds learned from {wanted['learned_from']}.",
            "\n".join(markdown(self._summary())),
            f"False passes are counted among people up to {SPAN} years below the limit, false fails among those up to "
            f"{SPAN} years above; in brackets: {wanted['level']:.0%} intervals, bootstrapped with twins kept together, "
            f"exact where fewer than {FEW} faces decide.",
        ]
        parts += [f"Limit {limit}, by age:\n\n" + "\n".join(markdown(_by_year(r))) for limit, r in self.limits.items()]
        return "\n\n".join(parts)

    def _summary(self) -> list[tuple[str, ...]]:
        rows: list[tuple[str, ...]] = [
            ("limit", "faces", "false passes", "women", "men", "false fails", f"{CLEAR}+ years above: not passed")
        ]
        for limit, report in self.limits.items():
            cells = report.cells
            passed = [cells[name].passed for name in ("below", "below female", "below male")]
            rows.append(
                (
                    str(limit),
                    f"{cells['below'].faces} below, {cells['above'].faces} above",
                    *(_share(share) for share in passed),
                    _share(cells["above"].failed),
                    _share(_rest(cells["clear"].passed)),
                )
            )
        return rows


def measure(
    predictions: Predictions,
    faces: Manifest,
    checks: AgeChecks,
    *,
    limits: Sequence[int] = LIMITS,
    max_false_pass: float = 0.01,
    max_false_fail: float = 0.01,
    resamples: int = 1000,
    level: float = 0.95,
    seed: int = 0,
) -> AgeCheckReport:
    """Decide on every face at every limit, and count.

    Args:
        predictions: calibrated answers.
        faces: their labels.
        checks: the model's thresholds.
        limits: in years.
        max_false_pass: wanted rate.
        max_false_fail: wanted rate.
        resamples: of the bootstrap.
        level: of its intervals.
        seed: of the bootstrap.

    Raises:
        UsageError: no limit was given, or the model has no thresholds for one.
        DataError: no face with an age.
    """
    if not limits:
        raise UsageError("give at least one limit")
    pmf, _, known = paired(predictions, faces)
    aged = np.isfinite(known.age)
    if not aged.any():
        raise DataError("no face has a known age: age checks cannot be measured")
    table = _Table(pmf[aged], known.take(aged), {"n": resamples, "level": level, "seed": seed})
    settings = {
        "max_false_pass": max_false_pass,
        "max_false_fail": max_false_fail,
        "learned_from": checks.source,
        "confidence": checks.confidence,
        "resamples": resamples,
        "level": level,
        "seed": seed,
    }
    reports = {limit: table.at(checks.rule(limit, max_false_pass, max_false_fail)) for limit in limits}
    return AgeCheckReport(predictions.model, int(aged.sum()), settings, reports)


@dataclass(frozen=True)
class _Table:
    """Age distributions beside labels."""

    pmf: NDArray[np.float32]
    faces: Manifest
    options: dict[str, Any]

    def at(self, rule: Rule) -> LimitReport:
        share = old_enough(self.pmf, rule.limit)
        passed, failed = share > rule.pass_above, share < rule.fail_below
        decided = np.stack([passed, failed, ~passed & ~failed], axis=1)
        age, limit = self.faces.age, rule.limit
        groups = {
            "below": (age >= limit - SPAN) & (age < limit),
            "above": (age >= limit) & (age < limit + SPAN),
            "clear": age >= limit + CLEAR,
        }
        genders = {"": np.ones(len(age), np.bool_), "female": self.faces.female == 1, "male": self.faces.female == 0}
        cells = {
            f"{name} {gender}".strip(): self._cell(decided, rows & of)
            for name, rows in groups.items()
            for gender, of in genders.items()
        }
        years = {
            gender or "all": {
                year: self._cell(decided, of & (age == year)) for year in range(limit - SPAN, limit + 2 * SPAN)
            }
            for gender, of in genders.items()
        }
        looks = expectation(self.pmf)
        challenges = tuple(
            Challenge(
                challenge,
                float((looks[groups["below"]] >= challenge).mean()) if groups["below"].any() else float("nan"),
                float((looks[groups["clear"]] < challenge).mean()) if groups["clear"].any() else float("nan"),
            )
            for challenge in range(limit, limit + CHALLENGES)
        )
        return LimitReport(rule, cells, years, challenges)

    def _cell(self, decided: NDArray[np.bool_], rows: Mask) -> Cell:
        count = int(rows.sum())
        if count < LEAST_FACES:
            return Cell(count, None, None, None)
        twins = self.faces.twins[rows]
        return Cell(count, *(_interval(decided[rows, at], twins, self.options) for at in range(3)))


def _interval(events: Mask, twins: NDArray[np.str_], options: dict[str, Any]) -> Interval:
    """Share of events: bootstrapped, or exact (Clopper and Pearson, 1934) where resampling so few shows nothing."""
    count, n = int(events.sum()), len(events)
    if FEW <= count <= n - FEW:
        return bootstrap({"": _mean}, events.astype(np.float64), np.zeros(n), twins, **options)[""]
    tail = (1 - options["level"]) / 2
    low = float(beta.ppf(tail, count, n - count + 1)) if count else 0.0
    high = float(beta.ppf(1 - tail, count + 1, n - count)) if count < n else 1.0
    return Interval(count / n, low, high)


def _mean(values: Array, _: Array, weights: Weights = None, /) -> Any:
    if weights is None:
        return values.mean()
    return weights @ values / weights.sum(axis=1)


def _rest(share: Interval | None) -> Interval | None:
    return None if share is None else Interval(1 - share.value, 1 - share.high, 1 - share.low)


def _share(share: Interval | None) -> str:
    return "-" if share is None else f"{share.value:.1%} [{share.low:.1%}, {share.high:.1%}]"


def _by_year(report: LimitReport) -> list[tuple[str, ...]]:
    rows: list[tuple[str, ...]] = [("age", "faces", "pass", "unsure", "fail", "women: pass", "men: pass")]
    for year, cell in report.years["all"].items():
        women, men = report.years["female"][year].passed, report.years["male"][year].passed
        shares = (cell.passed, cell.unsure, cell.failed, women, men)
        rows.append((str(year), str(cell.faces), *("-" if s is None else f"{s.value:.1%}" for s in shares)))
    return rows
