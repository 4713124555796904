"""What `mien.learn.audits.calibration.calibration_audit.measure` found, for programs and for people."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from mien.learn.audits.calibration import calibration_tables as tables
from mien.learn.audits.calibration.calibration_figures import Ages, CalibrationGroup, Genders
from mien.learn.audits.calibration.calibration_tables import Rows
from mien.learn.evaluation.evaluate import markdown
from mien.native import Record, also, written

OVERALL = 0.02
"""Points by which the coverage of all faces may miss the level."""

BAND = 0.05
"""Points by which that of a band of estimated ages may, if it is large enough to tell."""

BAND_FACES = 200
NARROWER = 0.1
"""Share by which intervals are to be narrower than ones of constant width."""

GENDER_ECE = 0.015


@dataclass(frozen=True, slots=True)
class Check:
    """Something that a calibrated model must fulfil: what is asked for, what was found, and whether that is enough."""

    demand: str
    found: str
    passed: bool


@dataclass(frozen=True)
class CalibrationReport(Record):
    """What `measure` found.

    Attributes:
        model: its name.
        counts: faces listed, measured, and what is lacking.
        settings: how the figures were made.
        ages: None where no age is known.
        genders: None where no gender is.
    """

    model: str
    counts: Mapping[str, int]
    settings: Mapping[str, Any]
    ages: Ages | None = field(metadata=written("age"))
    genders: Genders | None = field(metadata=written("gender"))

    @property
    def level(self) -> float:
        """Share of true ages that the intervals are to hold."""
        return float(self.settings["interval_level"])

    @also(before="ages")
    def checks(self) -> tuple[Check, ...]:
        """What is asked of a calibrated model, as far as the data can tell."""
        return (*self._age_checks(), *self._gender_checks())

    def to_markdown(self) -> str:
        """A line on what was measured, what is asked of the model, and all tables."""
        lines = [self.summary(), "", self.note(), "", *markdown(self.check_rows())]
        for title, rows in self.tables().items():
            lines += ["", f"## {title}", "", *markdown(rows)]
        return "\n".join(lines)

    def summary(self) -> str:
        """A line on what was measured."""
        lacking = [
            f"{count:,} {name.replace('_', ' ')}"
            for name, count in self.counts.items()
            if count and name not in ("listed", "measured")
        ]
        measured = f"{self.counts['measured']:,} faces measured"
        return f"{self.model or 'model'}: " + ", ".join([measured, *lacking])

    def note(self) -> str:
        """Sentences on how to read the tables."""
        settings = self.settings
        return (
            f"Intervals are to hold {100 * self.level:.4g}% of true ages. In brackets {settings['level']:.0%} "
            f"bootstrap intervals, {settings['resamples']:,} resamples that keep twins together; of shares of right "
            f"genders Wilson intervals. Groups under {settings['min_faces']} faces are not measured. No face counts as "
            f"a poor view: chips are not judged here."
        )

    def check_rows(self) -> Rows:
        """Header and a row for each check."""
        rows = [(check.demand, check.found, "yes" if check.passed else "NO") for check in self.checks()]
        return [("asked for", "found", "fulfilled"), *rows]

    def tables(self) -> dict[str, Rows]:
        """Rows of all tables, header first, by title."""
        of_ages = {} if self.ages is None else tables.of_ages(self.ages)
        return of_ages | ({} if self.genders is None else tables.of_genders(self.genders))

    def large_bands(self) -> list[CalibrationGroup]:
        """Bands of estimated ages with enough faces to tell."""
        bands = self.ages.groups["estimated age"] if self.ages is not None else ()
        return [band for band in bands if band.faces >= BAND_FACES and band.coverage is not None]

    def _age_checks(self) -> list[Check]:
        if self.ages is None or self.ages.whole.coverage is None:
            return []
        found, level = self.ages.whole.coverage.value, self.level
        demand = f"coverage of all faces {_within(level, OVERALL)}"
        checks = [Check(demand, f"{found:.1%}", _near(found, level, OVERALL))]
        bands = {band.name: band.coverage.value for band in self.large_bands() if band.coverage is not None}
        if bands:
            worst = max(bands, key=lambda name: abs(bands[name] - level))
            demand = f"coverage {_within(level, BAND)} in each band of estimated ages of {BAND_FACES} faces or more"
            told = f"{len(bands)} bands, farthest off {bands[worst]:.1%} at {worst}"
            checks.append(Check(demand, told, _near(bands[worst], level, BAND)))
        if self.ages.comparison is not None:
            less = 1 - self.ages.comparison.ratio.value
            demand = f"intervals at least {NARROWER:.0%} narrower than constant ones"
            checks.append(Check(demand, f"{less:.2%}", less >= NARROWER))
        return checks

    def _gender_checks(self) -> list[Check]:
        if self.genders is None:
            return []
        ece = self.genders.figures["ece"].value
        return [Check(f"ECE of the gender at most {GENDER_ECE}", f"{ece:.4f}", ece <= GENDER_ECE)]


def _within(level: float, tolerance: float) -> str:
    return f"{100 * (level - tolerance):.4g}-{min(100.0, 100 * (level + tolerance)):.4g}%"


def _near(found: float, level: float, tolerance: float) -> bool:
    return abs(found - level) <= tolerance + 1e-9
