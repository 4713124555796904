"""What `mien.learn.audits.fairness.fairness_audit.measure` found, for programs and for people."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from mien.learn.evaluation.evaluate import markdown
from mien.learn.evaluation.metrics import Interval
from mien.native import UNWRITTEN, Record, also, written

TOO_FEW = "too few faces"


@dataclass(frozen=True, slots=True)
class FairnessFigure:
    """How a figure is called, what it means, how it is written, and how bad a value of it is.

    Attributes:
        name: for tables.
        meaning: a phrase.
        good: what a good value is.
        style: of a number that was multiplied by `factor`.
        factor: 100 for shares.
        unit: of a value.
        harm: larger is worse.
    """

    name: str
    meaning: str
    good: str
    style: str
    factor: float
    unit: str
    harm: Callable[[float], float]

    def value(self, value: float) -> str:
        """The bare number."""
        return self.style.format(self.factor * value)

    def ends(self, interval: Interval) -> str:
        """The interval alone."""
        return f"[{self.value(interval.low)}, {self.value(interval.high)}]"

    def cell(self, interval: Interval | None) -> str:
        """A value with its interval; a dash where there is none."""
        return "-" if interval is None else f"{self.value(interval.value)} {self.ends(interval)}"

    @property
    def as_gap(self) -> FairnessFigure:
        """The same for differences: without a sign, and points for shares."""
        unit = "points" if self.unit == "%" else self.unit
        return replace(self, style=self.style.replace("+", ""), unit=unit)


def _less(value: float) -> float:
    return value


def _more(value: float) -> float:
    return -value


FIGURES: dict[str, FairnessFigure] = {
    "mae": FairnessFigure("MAE", "mean absolute error of the age", "less is better", "{:.2f}", 1, "years", _less),
    "bias": FairnessFigure(
        "bias", "mean signed error of the age; above 0 is taken for older", "0 is best", "{:+.2f}", 1, "years", abs
    ),
    "cs5": FairnessFigure("CS@5", "ages missed by at most five years", "more is better", "{:.1f}", 100, "%", _more),
    "accuracy": FairnessFigure(
        "gender right", "genders named as labelled", "more is better", "{:.1f}", 100, "%", _more
    ),
    "coverage": FairnessFigure(
        "coverage", "true ages inside their interval", "neither more nor less than stated", "{:.1f}", 100, "%", _more
    ),
    "width": FairnessFigure("width", "mean width of that interval", "less is better", "{:.1f}", 1, "years", _less),
}
"""What is measured of each group, in order."""


@dataclass(frozen=True, slots=True)
class FairnessGroup(Record):
    """Figures of some faces.

    Attributes:
        name: e.g. "Black, female".
        faces: how many are in the group.
        ages: those whose age is known to both the data and the model.
        genders: those whose gender is.
        figures: by name, with intervals; lacking where the faces were too few.
        effective: how many equally weighted faces those at equal ages are worth; 0 where that was not asked.
        at_equal_ages: the figures with the group's faces weighted to the age mix of all; lacking where the effective
            faces were too few, or where groups are bands of age.
        joined: spans of age bands that were joined for that, since the group has too few faces in one of them.
    """

    name: str = field(metadata=UNWRITTEN)
    faces: int
    ages: int
    genders: int
    figures: Mapping[str, Interval]
    effective: float = field(default=0.0, metadata=written("effective_faces", digits=1))
    at_equal_ages: Mapping[str, Interval] = field(default_factory=dict)
    joined: tuple[str, ...] = field(default=(), metadata=written("joined_bands"))

    @property
    @also(before="figures")
    def too_few(self) -> bool:
        """Whether nothing could be measured."""
        return not self.figures


@dataclass(frozen=True, slots=True)
class Gap(Record):
    """How far a figure's groups lie apart.

    Attributes:
        difference: the highest group's figure minus the lowest one's, on the same resamples.
        chance: what it would stay below in most resamples if all groups were really alike, these two being the farthest
            apart of all pairs.
        highest: group with the highest figure.
        lowest: with the lowest.
        worst: the group served worst; for the bias the one farthest from 0.
        best: the group served best.
    """

    difference: Interval
    chance: float = field(metadata=written(digits=5))
    highest: str
    lowest: str
    worst: str
    best: str

    @property
    @also(before="highest")
    def real(self) -> bool:
        """Whether the gap is larger than chance alone would make it."""
        return self.difference.value > self.chance

    @property
    def verdict(self) -> str:
        """The same in words."""
        return "real" if self.real else "within chance"


@dataclass(frozen=True, slots=True)
class Partition(Record):
    """Faces parted one way.

    Attributes:
        groups: all that there may be, in the order of the data's names; some may be empty.
        gaps: by figure, over the groups that have it; lacking where only one has.
        gaps_at_equal_ages: the same at equal ages.
        unknown: faces that belong to no group, because the data do not say.
    """

    groups: tuple[FairnessGroup, ...] = field(metadata=written(by="name"))
    gaps: Mapping[str, Gap]
    gaps_at_equal_ages: Mapping[str, Gap]
    unknown: int


@dataclass(frozen=True)
class FairnessReport(Record):
    """What `measure` found.

    Attributes:
        model: its name.
        counts: faces listed, measured, and what is lacking.
        settings: how the figures were made.
        whole: all measured faces.
        partitions: by name, e.g. "race", "gender", "race x gender".
    """

    model: str
    counts: Mapping[str, int]
    settings: Mapping[str, Any]
    whole: FairnessGroup = field(metadata=written("all"))
    partitions: Mapping[str, Partition]

    def to_markdown(self) -> str:
        """For each partition the groups, the groups at equal ages, and the largest gaps."""
        lines = [self.summary(), "", self.note()]
        for name, partition in self.partitions.items():
            lines += ["", f"## {name}", "", *markdown(list(self.group_rows(partition)))]
            if partition.unknown:
                lines += ["", f"{partition.unknown:,} faces are in no group: the data do not say."]
            if partition.gaps_at_equal_ages:
                lines += ["", "At equal ages:", "", *markdown(list(equal_age_rows(partition)))]
            if partition.gaps:
                lines += ["", "Largest gaps:", "", *markdown(list(gap_rows(partition)))]
        return "\n".join(lines)

    def summary(self) -> str:
        """A line on what was measured."""
        counts = dict(self.counts)
        measured = counts.pop("measured")
        lacking = [
            f"{count:,} {name.replace('_', ' ')}" for name, count in counts.items() if count and name != "listed"
        ]
        return f"{self.model or 'model'}: {measured:,} faces measured" + "".join(f", {part}" for part in lacking)

    def note(self) -> str:
        """Sentences on how to read the tables."""
        settings = self.settings
        return (
            f"MAE, bias and width in years, shares in %. Coverage and width are those of the model's "
            f"{settings['interval_level']:.0%} intervals. In brackets {settings['level']:.0%} bootstrap intervals, "
            f"{settings['resamples']:,} resamples that keep twins together. Groups under {settings['min_faces']} faces "
            f"are not measured. By chance: what a gap stays below in {settings['level']:.0%} of resamples if all "
            f"groups are alike, though it is picked as the largest of all pairs."
        )

    def group_rows(self, partition: Partition) -> Iterator[tuple[str, ...]]:
        """Header, all faces, each group."""
        yield "group", "faces", *(words.name for words in FIGURES.values())
        for group in (self.whole, *partition.groups):
            cells = [words.cell(group.figures.get(name)) for name, words in FIGURES.items()]
            if group.too_few:
                cells = [TOO_FEW, *[""] * (len(FIGURES) - 1)]
            yield group.name, str(group.faces), *cells


def equal_age_rows(partition: Partition) -> Iterator[tuple[str, ...]]:
    """Header, and each group that was measured, weighted to the ages of all."""
    yield "group", "effective faces", *(words.name for words in FIGURES.values()), "bands joined"
    for group in partition.groups:
        if group.too_few:
            continue
        cells = [words.cell(group.at_equal_ages.get(name)) for name, words in FIGURES.items()]
        if not group.at_equal_ages:
            cells = [TOO_FEW, *[""] * (len(FIGURES) - 1)]
        yield group.name, f"{group.effective:.0f}", *cells, ", ".join(group.joined)


def gap_rows(partition: Partition) -> Iterator[tuple[str, ...]]:
    """Header, each figure's largest gap, and then those at equal ages; the group served worse is marked."""
    yield "figure", "largest gap", "by chance", "", "highest", "lowest"
    for gaps, suffix in ((partition.gaps, ""), (partition.gaps_at_equal_ages, ", equal ages")):
        for name, gap in gaps.items():
            words = FIGURES[name].as_gap
            ends = [f"{end} (worst)" if end == gap.worst else end for end in (gap.highest, gap.lowest)]
            size = f"{words.cell(gap.difference)} {words.unit}"
            yield words.name + suffix, size, words.value(gap.chance), gap.verdict, *ends
