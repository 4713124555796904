"""What `mien.learn.audits.explanations.explanation_audit.measure` found, for programs and for people."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any

import numpy as np

from mien.arrays import Doubles
from mien.errors import DataError
from mien.estimate.maps import TARGETS
from mien.learn.evaluation.evaluate import markdown
from mien.learn.evaluation.metrics import Interval
from mien.native import Record, also, written

BLOB = "blob"


def random_of(shape: tuple[int, ...], spread: float = 0.0) -> str:
    """Name of the random maps with so many cells, laid over the chip in the same way.

    >>> random_of((8, 8)), random_of((6, 6), spread=1.25)
    ('random 8x8', 'random 6x6, spread 1.25')
    """
    return f"random {shape[0]}x{shape[1]}" + (f", spread {spread:g}" if spread else "")


@dataclass(frozen=True, slots=True)
class Curves:
    """How far deletion has moved an answer back and how far insertion still has to go, [steps + 1] each."""

    deletion: Doubles = field(metadata=written(digits=4))
    insertion: Doubles = field(metadata=written(digits=4))

    def areas(self) -> tuple[float, float]:
        """The mean of each over the share of pixels, 0 to 1, by trapezoids.

        >>> Curves(np.array([0.0, 2.0, 4.0]), np.array([4.0, 1.0, 0.0])).areas()
        (2.0, 1.5)
        """
        steps = len(self.deletion) - 1
        return float(np.trapezoid(self.deletion) / steps), float(np.trapezoid(self.insertion) / steps)


@dataclass(frozen=True, slots=True)
class Faithfulness(Record):
    """Areas under the curves of one method, in years or log-odds, and how much better they are than those of controls.

    Attributes:
        control: the random maps with as many cells.
        deletion: area; more is better.
        insertion: area; less is better.
        deletion_over_random: how much more it is than that of random maps, face by face.
        deletion_over_blob: than that of the blob.
        insertion_under_random: how much less it is than that of random maps.
        insertion_under_blob: than that of the blob.
    """

    control: str
    deletion: Interval
    insertion: Interval
    deletion_over_random: Interval
    deletion_over_blob: Interval
    insertion_under_random: Interval
    insertion_under_blob: Interval

    @also()
    def beats(self) -> dict[str, bool]:
        """Whether it beats each control by more than chance makes: the whole interval lies above 0."""
        return {
            "random, deletion": self.deletion_over_random.low > 0,
            "blob, deletion": self.deletion_over_blob.low > 0,
            "random, insertion": self.insertion_under_random.low > 0,
            "blob, insertion": self.insertion_under_blob.low > 0,
        }


_AREAS = tuple(field.name for field in fields(Faithfulness) if field.name != "control")


@dataclass(frozen=True, slots=True)
class Randomised:
    """Rank correlation with the maps of networks whose last weights are shuffled.

    Attributes:
        faces: how many were compared.
        correlation: mean over faces; 0 if the maps have nothing in common.
        strength: mean of its absolute value, which chance alone keeps above 0.
    """

    faces: int
    correlation: Interval
    strength: Interval


@dataclass(frozen=True)
class ExplanationReport(Record):
    """What `measure` found.

    Attributes:
        model: its name.
        target: what was explained, "age" or "gender".
        faces: how many were measured.
        unreadable: how many could not be.
        settings: how the figures were made.
        moved: how far the detail of a chip moves the answer from that for the veiled chip, on average.
        curves: mean curves of each method and control.
        methods: figures of each method.
        randomised: comparison with shuffled networks, for each method; empty where it was not made.
    """

    model: str
    target: str
    faces: int
    unreadable: int
    settings: dict[str, Any]
    moved: Interval
    curves: dict[str, Curves]
    methods: dict[str, Faithfulness]
    randomised: dict[str, Randomised]

    @property
    @also(before="faces")
    def unit(self) -> str:
        """Unit of the target."""
        return TARGETS[self.target]

    @classmethod
    def from_dict(cls, record: Mapping[str, Any]) -> ExplanationReport:
        """Reads what `to_dict` wrote.

        Raises:
            DataError: it is something else.
        """
        try:
            return cls(
                model=str(record["model"]),
                target=str(record["target"]),
                faces=int(record["faces"]),
                unreadable=int(record["unreadable"]),
                settings=dict(record["settings"]),
                moved=Interval.from_dict(record["moved"]),
                curves={
                    name: Curves(np.array(both["deletion"], np.float64), np.array(both["insertion"], np.float64))
                    for name, both in record["curves"].items()
                },
                methods={
                    name: Faithfulness(
                        str(entry["control"]),
                        *(Interval.from_dict(entry[field]) for field in _AREAS),
                    )
                    for name, entry in record["methods"].items()
                },
                randomised={
                    name: Randomised(
                        int(entry["faces"]),
                        Interval.from_dict(entry["correlation"]),
                        Interval.from_dict(entry["strength"]),
                    )
                    for name, entry in record["randomised"].items()
                },
            )
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise DataError(f"this is no audit of explanations: {error!r}") from error

    def to_markdown(self) -> str:
        """A line on what was measured, the areas of methods and controls, the comparisons, and the sanity check."""
        unit = "years" if self.target == "age" else "log-odds"
        level = f"{self.settings['level']:.0%} intervals from {self.settings['resamples']} resamples"
        head = (
            f"Maps of {self.model or 'model'} for {self.target} on {self.faces} faces, whose detail moves the answer "
            f"by {_cell(self.moved)} {unit}. Areas in {unit}; in brackets {level} that keep twins together."
        )
        areas: list[tuple[str, ...]] = [("map", "deletion (more is better)", "insertion (less is better)")]
        for name, both in self.curves.items():
            figures = self.methods.get(name)
            if figures is None:
                areas.append((name, *(f"{area:.2f}" for area in both.areas())))
            else:
                areas.append((name, _cell(figures.deletion), _cell(figures.insertion)))
        better: list[tuple[str, ...]] = [
            ("better than", "random, deletion", "blob, deletion", "random, insertion", "blob, insertion")
        ]
        for name, figures in self.methods.items():
            differences = (
                figures.deletion_over_random,
                figures.deletion_over_blob,
                figures.insertion_under_random,
                figures.insertion_under_blob,
            )
            better.append((name, *(_cell(difference, "{:+.2f}") for difference in differences)))
        parts = [head, *("\n".join(markdown(rows)) for rows in (areas, better))]
        if self.randomised:
            rows = [("with shuffled weights", "rank correlation", "its absolute value")]
            rows += [(name, _cell(one.correlation), _cell(one.strength)) for name, one in self.randomised.items()]
            parts.append("\n".join(markdown(rows)))
        return "\n\n".join(parts)


def _cell(interval: Interval, style: str = "{:.2f}") -> str:
    if np.isnan(interval.value):
        return "-"
    value, low, high = (style.format(end) for end in (interval.value, interval.low, interval.high))
    return f"{value} [{low}, {high}]"
