"""What a calibration audit measures, each figure with its interval."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from mien.learn.evaluation.metrics import Interval
from mien.native import UNWRITTEN, Record, native, record, written


@dataclass(frozen=True, slots=True)
class CalibrationGroup(Record):
    """Age intervals of some faces.

    Attributes:
        name: e.g. "20-29".
        faces: those of known age.
        coverage: share of true ages inside their interval; None where the faces are too few.
        width: mean width in years.
        constant: share of true ages inside intervals of constant width; None without a reference.
    """

    name: str = field(metadata=UNWRITTEN)
    faces: int
    coverage: Interval | None = None
    width: Interval | None = None
    constant: Interval | None = field(default=None, metadata=written("constant_width_coverage"))


@dataclass(frozen=True, slots=True)
class Level:
    """Intervals that are to hold a share `level` of true ages, and what they do hold."""

    level: float = field(metadata=written(digits=5))
    coverage: Interval
    width: Interval


@dataclass(frozen=True, slots=True)
class WidthComparison(Record):
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

    half_width: float = field(metadata=written(digits=5))
    faces: int
    coverage: Interval
    ratio: Interval
    ages: Interval = field(metadata=written("ages_inside_ratio"))
    matched_half_width: float = field(metadata=written(digits=5))
    matched_ratio: Interval
    matched_ages: Interval = field(metadata=written("matched_ages_inside_ratio"))


@dataclass(frozen=True, slots=True)
class Bin:
    """Faces of about one certainty.

    Attributes:
        faces: how many.
        stated: their mean certainty.
        right: share of right answers, with a Wilson interval.
    """

    faces: int
    stated: float = field(metadata=written(digits=5))
    right: Interval


@dataclass(frozen=True, slots=True)
class Selection(Record):
    """Errors among the surest faces.

    Attributes:
        risks: by share of faces answered, from the surest on: share of wrong genders, or mean error in years.
        area: under the curve of these.
        least: the area if the certainty knew the errors: no model with these errors can do better.
        whole: the risk of all faces, which is also the area if the certainty said nothing.
    """

    risks: Mapping[float, Interval]
    area: Interval
    least: float = field(metadata=written("least_area", digits=5))
    whole: float = field(metadata=written(digits=5))

    def to_dict(self) -> dict[str, Any]:
        """Native types for JSON."""
        risks = [{"share": share, "risk": native(found)} for share, found in self.risks.items()]
        return record(self) | {"risks": risks}


@dataclass(frozen=True)
class Ages(Record):
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

    whole: CalibrationGroup = field(metadata=written("all"))
    groups: Mapping[str, tuple[CalibrationGroup, ...]] = field(metadata=written(by="name"))
    levels: tuple[Level, ...]
    comparison: WidthComparison | None = field(metadata=written("constant_width"))
    crps: Interval
    mae: Interval = field(metadata=written("mae_of_the_median"))
    pit: tuple[Interval, ...]
    selection: Selection


@dataclass(frozen=True)
class Genders(Record):
    """The gender's probability.

    Attributes:
        faces: of known gender.
        figures: "ece", "brier", "log_loss" and "accuracy".
        bins: of equal size, by the certainty of the answer.
        answers: the same for each answer alone, by its name.
        selection: shares of wrong genders among the surest faces.
    """

    faces: int
    figures: Mapping[str, Interval] = field(metadata=written(flat=True))
    bins: tuple[Bin, ...]
    answers: Mapping[str, Bin]
    selection: Selection
