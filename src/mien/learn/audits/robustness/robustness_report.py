"""What `mien.learn.audits.robustness.robustness_audit.measure` found, for programs and for people."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from mien.errors import DataError
from mien.learn.data.corruptions import CORRUPTIONS
from mien.learn.evaluation.evaluate import markdown
from mien.learn.evaluation.metrics import Interval
from mien.native import UNWRITTEN, Record, native, record, written


@dataclass(frozen=True, slots=True)
class Figures(Record):
    """Mean absolute error in years and share of right genders; None for what the model or the data does not say."""

    mae: float | None = field(metadata=written(digits=5))
    accuracy: float | None = field(metadata=written(digits=5))


@dataclass(frozen=True, slots=True)
class Change(Record):
    """What bad pictures cost.

    Attributes:
        mae: of corrupted pictures, as a multiple of the clean one.
        drop: of gender accuracy, as a share: 0.02 are two points.
    """

    mae: Interval | None = field(metadata=written("relative_mae"))
    drop: Interval | None = field(metadata=written("gender_drop"))


@dataclass(frozen=True, slots=True)
class Shift(Record):
    """How far estimates move from those of the clean pictures, mean over faces and severities.

    Attributes:
        years: with the sign: above 0 where spoilt faces look older.
        absolute: without it.
        faces: how many were looked at.
    """

    years: float = field(metadata=written(digits=4))
    absolute: float = field(metadata=written(digits=4))
    faces: int


@dataclass(frozen=True)
class RobustnessReport(Record):
    """What `measure` found.

    Attributes:
        model: its name.
        faces: how many were read.
        unreadable: how many could not be.
        settings: how the figures were made.
        clean: figures of the chips as they are.
        corrupted: for each corruption the figures of its five severities.
        changes: for each corruption, then each family, then "all" the mean change over severities and corruptions.
        children: for each corruption how far the estimates of children of 3 to 17 move; empty where there are none.
    """

    model: str
    faces: int
    unreadable: int
    settings: dict[str, Any]
    clean: Figures
    corrupted: dict[str, tuple[Figures, ...]] = field(metadata=UNWRITTEN)
    changes: dict[str, Change] = field(metadata=UNWRITTEN)
    children: dict[str, Shift] = field(default_factory=dict, metadata=UNWRITTEN)

    def to_dict(self) -> dict[str, Any]:
        """Native types for JSON."""
        corruptions = {
            name: {
                "family": CORRUPTIONS[name].family,
                "unit": CORRUPTIONS[name].unit,
                "levels": list(CORRUPTIONS[name].levels),
                "severities": native(cells),
                **native(self.changes[name]),
                **({"children": native(self.children[name])} if name in self.children else {}),
            }
            for name, cells in self.corrupted.items()
        }
        means = {name: change for name, change in self.changes.items() if name not in self.corrupted}
        return record(self) | {"corruptions": corruptions, "means": native(means)}

    @classmethod
    def from_dict(cls, record: Mapping[str, Any]) -> RobustnessReport:
        """Reads what `to_dict` wrote.

        Raises:
            DataError: it is something else.
        """
        try:
            corruptions = record["corruptions"]
            changes = {name: _change(entry) for name, entry in {**corruptions, **record["means"]}.items()}
            return cls(
                str(record["model"]),
                int(record["faces"]),
                int(record["unreadable"]),
                dict(record["settings"]),
                Figures(**record["clean"]),
                {name: tuple(Figures(**cell) for cell in entry["severities"]) for name, entry in corruptions.items()},
                changes,
                {name: Shift(**entry["children"]) for name, entry in corruptions.items() if "children" in entry},
            )
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise DataError(f"this is no audit of robustness: {error!r}") from error

    def to_markdown(self) -> str:
        """A line on what was measured, a row for each corruption, and the means of families and of all."""
        rows = [("corruption", "MAE at severity 1 to 5", "relative MAE", "gender at severity 1 to 5, %", "gender drop")]
        rows.append(("none", _cell(self.clean.mae, "{:.2f}"), "1.00", _cell(self.clean.accuracy, "{:.1%}"), "0.0"))
        for name, cells in self.corrupted.items():
            maes = " ".join(_cell(figures.mae, "{:.2f}") for figures in cells)
            genders = " ".join(_cell(figures.accuracy and 100 * figures.accuracy, "{:.1f}") for figures in cells)
            rows.append((name, maes, *_changed(self.changes[name], genders)))
        for name, change in self.changes.items():
            if name not in self.corrupted:
                rows.append((f"mean, {name}", "", *_changed(change, "")))
        note = (
            f"{self.model or 'model'} on {self.faces} faces. Relative MAE: mean over the severities, as a multiple of "
            f"the clean MAE; gender drop in points. In brackets {self.settings['level']:.0%} intervals from "
            f"{self.settings['resamples']} resamples that keep twins together."
        )
        return "\n".join([note, "", *markdown(rows), *self._children()])

    def _children(self) -> list[str]:
        """A table of how far the estimates of children move, the farthest first."""
        if not self.children:
            return []
        rows = [("corruption", "children of 3 to 17: mean change, years", "mean of its size, years")]
        farthest = sorted(self.children.items(), key=lambda entry: -entry[1].absolute)
        rows += [(name, f"{shift.years:+.2f}", f"{shift.absolute:.2f}") for name, shift in farthest]
        faces = max(shift.faces for shift in self.children.values())
        return ["", f"{faces} children, each under every corruption at severities 1 to 5.", "", *markdown(rows)]


def _change(record: Mapping[str, Any]) -> Change:
    found = (record["relative_mae"], record["gender_drop"])
    return Change(*(None if one is None else Interval.from_dict(one) for one in found))


def _changed(change: Change, genders: str) -> tuple[str, str, str]:
    return _with_ends(change.mae, "{:.2f}"), genders, _with_ends(change.drop, "{:.1f}", 100)


def _with_ends(interval: Interval | None, style: str, factor: float = 1) -> str:
    if interval is None or np.isnan(interval.value):
        return "-"
    value, low, high = (style.format(factor * end) for end in (interval.value, interval.low, interval.high))
    return f"{value} [{low}, {high}]"


def _cell(value: float | None, style: str) -> str:
    return "-" if value is None else style.format(value)
