"""What `mien.learn.audits.calibration.calibration_audit.measure` found, for programs and for people."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from mien.learn.audits.calibration import calibration_tables as tables
from mien.learn.audits.calibration.calibration_tables import Rows
from mien.learn.evaluation.evaluate import markdown
from mien.learn.evaluation.metrics import Interval

OVERALL = 0.02
"""Points by which the coverage of all faces may miss the level."""

BAND = 0.05
"""Points by which that of a band of estimated ages may, if it is large enough to tell."""

BAND_FACES = 200
NARROWER = 0.1
"""Share by which intervals are to be narrower than ones of constant width."""

GENDER_ECE = 0.015


@dataclass(frozen=True, slots=True)
class Group:
    """Age intervals of some faces.

    Attributes:
        name: e.g. "20-29".
        faces: those of known age.
        coverage: share of true ages inside their interval; None where the faces are too few.
        width: mean width in years.
        constant: share of true ages inside intervals of constant width; None without a reference.
    """

    name: str
    faces: int
    coverage: Interval | None = None
    width: Interval | None = None
    constant: Interval | None = None

    def to_dict(self) -> dict[str, Any]:
        """Native types for JSON."""
        figures = {"coverage": self.coverage, "width": self.width, "constant_width_coverage": self.constant}
        return {"faces": self.faces, **{name: figure and figure.to_dict() for name, figure in figures.items()}}


@dataclass(frozen=True, slots=True)
class Level:
    """Intervals that are to hold a share `level` of true ages, and what they do hold."""

    level: float
    coverage: Interval
    width: Interval

    def to_dict(self) -> dict[str, Any]:
        """Native types for JSON."""
        return {"level": self.level, "coverage": self.coverage.to_dict(), "width": self.width.to_dict()}


@dataclass(frozen=True, slots=True)
class Comparison:
    """Intervals beside ones of constant width around the same estimates.

    Attributes:
        half_width: that the constant ones need, in years, learned on other faces.
        faces: how many those were.
        coverage: share of true ages inside the constant ones, on the faces measured.
        ratio: mean width of the model's intervals as a multiple of the constant width.
        ages: mean number of whole ages, 0 to 116, inside the model's intervals, as a multiple of those inside the
            constant ones.
        matched_half_width: that constant intervals would need to hold as many ages of the faces measured as the
            model's do.
        matched_ratio: as `ratio`, for those.
        matched_ages: as `ages`, for those.
    """

    half_width: float
    faces: int
    coverage: Interval
    ratio: Interval
    ages: Interval
    matched_half_width: float
    matched_ratio: Interval
    matched_ages: Interval

    def to_dict(self) -> dict[str, Any]:
        """Native types for JSON."""
        return {
            "half_width": round(self.half_width, 5),
            "faces": self.faces,
            "coverage": self.coverage.to_dict(),
            "ratio": self.ratio.to_dict(),
            "ages_inside_ratio": self.ages.to_dict(),
            "matched_half_width": round(self.matched_half_width, 5),
            "matched_ratio": self.matched_ratio.to_dict(),
            "matched_ages_inside_ratio": self.matched_ages.to_dict(),
        }


@dataclass(frozen=True, slots=True)
class Bin:
    """Faces of about one certainty.

    Attributes:
        faces: how many.
        stated: their mean certainty.
        right: share of right answers, with a Wilson interval.
    """

    faces: int
    stated: float
    right: Interval

    def to_dict(self) -> dict[str, Any]:
        """Native types for JSON."""
        return {"faces": self.faces, "stated": round(self.stated, 5), "right": self.right.to_dict()}


@dataclass(frozen=True, slots=True)
class Selection:
    """Errors among the surest faces.

    Attributes:
        risks: by share of faces answered, from the surest on: share of wrong genders, or mean error in years.
        area: under the curve of these.
        least: the area if the certainty knew the errors: no model with these errors can do better.
        whole: the risk of all faces, which is also the area if the certainty said nothing.
    """

    risks: Mapping[float, Interval]
    area: Interval
    least: float
    whole: float

    def to_dict(self) -> dict[str, Any]:
        """Native types for JSON."""
        risks = [{"share": share, "risk": found.to_dict()} for share, found in self.risks.items()]
        ends = {"least_area": round(self.least, 5), "whole": round(self.whole, 5)}
        return {"risks": risks, "area": self.area.to_dict(), **ends}


@dataclass(frozen=True)
class Ages:
    """Age intervals and distributions.

    Attributes:
        whole: all faces of known age.
        groups: by way of grouping, e.g. "estimated age".
        levels: at many levels, ascending.
        comparison: with constant width, if there is a reference.
        crps: continuous ranked probability score in years.
        mae: mean absolute error of the median in years, which is what the former would be without any doubt.
        pit: share of true ages in each slice of equal mass, young to old.
        selection: mean errors among faces with the narrowest intervals.
    """

    whole: Group
    groups: Mapping[str, tuple[Group, ...]]
    levels: tuple[Level, ...]
    comparison: Comparison | None
    crps: Interval
    mae: Interval
    pit: tuple[Interval, ...]
    selection: Selection

    def to_dict(self) -> dict[str, Any]:
        """Native types for JSON."""
        return {
            "all": self.whole.to_dict(),
            "groups": {name: {one.name: one.to_dict() for one in groups} for name, groups in self.groups.items()},
            "levels": [level.to_dict() for level in self.levels],
            "constant_width": self.comparison and self.comparison.to_dict(),
            "crps": self.crps.to_dict(),
            "mae_of_the_median": self.mae.to_dict(),
            "pit": [share.to_dict() for share in self.pit],
            "selection": self.selection.to_dict(),
        }


@dataclass(frozen=True)
class Genders:
    """The gender's probability.

    Attributes:
        faces: of known gender.
        figures: "ece", "brier", "log_loss" and "accuracy".
        bins: of equal size, by the certainty of the answer.
        answers: the same for each answer alone, by its name.
        selection: shares of wrong genders among the surest faces.
    """

    faces: int
    figures: Mapping[str, Interval]
    bins: tuple[Bin, ...]
    answers: Mapping[str, Bin]
    selection: Selection

    def to_dict(self) -> dict[str, Any]:
        """Native types for JSON."""
        return {
            "faces": self.faces,
            **{name: figure.to_dict() for name, figure in self.figures.items()},
            "bins": [one.to_dict() for one in self.bins],
            "answers": {name: one.to_dict() for name, one in self.answers.items()},
            "selection": self.selection.to_dict(),
        }


@dataclass(frozen=True, slots=True)
class Check:
    """Something that a calibrated model must fulfil: what is asked for, what was found, and whether that is enough."""

    demand: str
    found: str
    passed: bool


@dataclass(frozen=True)
class CalibrationReport:
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
    ages: Ages | None
    genders: Genders | None

    @property
    def level(self) -> float:
        """Share of true ages that the intervals are to hold."""
        return float(self.settings["interval_level"])

    def checks(self) -> tuple[Check, ...]:
        """What is asked of a calibrated model, as far as the data can tell."""
        return (*self._age_checks(), *self._gender_checks())

    def to_dict(self) -> dict[str, Any]:
        """Native types for JSON."""
        return {
            "model": self.model,
            "counts": dict(self.counts),
            "settings": dict(self.settings),
            "checks": [asdict(check) for check in self.checks()],
            "age": self.ages and self.ages.to_dict(),
            "gender": self.genders and self.genders.to_dict(),
        }

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

    def large_bands(self) -> list[Group]:
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
