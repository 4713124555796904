"""What a calibration audit measures, each figure with its interval."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from mien.learn.evaluation.metrics import Interval


@dataclass(frozen=True, slots=True)
class CalibrationGroup:
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
class WidthComparison:
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

    whole: CalibrationGroup
    groups: Mapping[str, tuple[CalibrationGroup, ...]]
    levels: tuple[Level, ...]
    comparison: WidthComparison | None
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
