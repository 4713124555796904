"""How figures are called and written, the same in Markdown and on the page."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from mien.learn.comparison.claims import Claim, Figure
from mien.learn.comparison.scored_runs import ScoredRun
from mien.learn.evaluation.metrics import Interval


@dataclass(frozen=True, slots=True)
class Words:
    """Name of a figure, what it means, and how its values are written."""

    name: str
    meaning: str
    style: str
    factor: float = 1
    unit: str = ""

    def value(self, value: float) -> str:
        """The bare number, without its unit."""
        return self.style.format(self.factor * value)


WORDS: dict[Figure, Words] = {
    "mae": Words("MAE", "mean absolute error of the age, years; less is better", "{:.2f}", unit=" years"),
    "mse": Words("MSE", "mean squared error of the age, years squared; less is better", "{:.0f}", unit=" years²"),
    "rmse": Words("RMSE", "root of the mean squared error of the age, years; less is better", "{:.2f}", unit=" years"),
    "cs5": Words("CS@5", "share of ages missed by at most five years, %", "{:.1f}", 100, " %"),
    "age_class": Words("5-year class", "share of right age classes among 24 of five years, %", "{:.1f}", 100, " %"),
    "decade": Words("decade", "share of right decades, %", "{:.1f}", 100, " %"),
    "accuracy": Words("gender right", "share of genders named as labelled, %", "{:.1f}", 100, " %"),
    "precision": Words("precision", "share of women among those taken for women", "{:.3f}"),
    "recall": Words("recall", "share of women that are taken for women", "{:.3f}"),
    "f1": Words("F1", "harmonic mean of precision and recall", "{:.3f}"),
}


def cell(figure: Figure, interval: Interval) -> str:
    """A value with its interval, without unit.

    >>> cell("accuracy", Interval(0.9465, 0.9397, 0.9531))
    '94.7 [94.0, 95.3]'
    """
    words = WORDS[figure]
    if not math.isfinite(interval.value):
        return "-"
    if not math.isfinite(interval.low):
        return words.value(interval.value)
    return f"{words.value(interval.value)} [{words.value(interval.low)}, {words.value(interval.high)}]"


def ends(figure: Figure, interval: Interval) -> str:
    """The interval alone, as short as can be.

    >>> ends("mae", Interval(4.36, 4.23, 4.49)), ends("f1", Interval(0.9, 0.891, 0.916))
    ('4.23–4.49', '.891–.916')
    """
    if not math.isfinite(interval.low):
        return ""
    low, high = WORDS[figure].value(interval.low), WORDS[figure].value(interval.high)
    return "–".join(end.removeprefix("0") if figure in ("precision", "recall", "f1") else end for end in (low, high))


def claimed(claim: Claim) -> str:
    """The value of a claim, as its figure is written, but no more exact than the paper has it.

    >>> claimed(Claim("mae", 4.25)), claimed(Claim("accuracy", 0.8809)), claimed(Claim("f1", 0.95))
    ('4.25', '88.09', '0.95')
    """
    return f"{WORDS[claim.figure].factor * claim.value:.4g}"


def short(number: float | None) -> str:
    """A count in thousands, millions or billions.

    >>> short(910_000), short(15_500_000_000), short(0.0), short(None)
    ('910 k', '15.5 G', '0', '–')
    """
    if number is None:
        return "–"
    for unit, letter in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if abs(number) >= unit:
            return f"{number / unit:.3g} {letter}"
    return f"{number:g}"


def hours(value: float | None) -> str:
    """Training time; a dash for a run that was not trained, but made of others.

    >>> hours(1.52), hours(0.2), hours(0.0073), hours(0.0), hours(None)
    ('1.5 h', '12 min', '26 s', '–', '–')
    """
    if not value:
        return "–"
    if value < 1 / 60:
        return f"{3600 * value:.0f} s"
    return f"{value:.1f} h" if value >= 1 else f"{60 * value:.0f} min"


def plain(number: float | None) -> str:
    """A number to three digits, a dash where there is none."""
    return "–" if number is None else f"{number:.3g}" if abs(number) < 1000 else f"{number:,.0f}"


def epochs(run: ScoredRun) -> str:
    """Epochs of a run, a dash where it has none.

    "15 + 4" are those of a run that started from another; "38, 15, 15" those of the runs that were combined, with what
    they started from.
    """
    by_run = run.record.get("epochs_by_run") or {}
    if len(by_run) > 1:
        return (", " if run.record.get("parts") else " + ").join(map(str, by_run.values()))
    return plain(run.record["epochs"] or None)


def conditions(run: ScoredRun) -> str:
    """Size and epochs of a run in one line."""
    said = [f"{run.record['size']} px"] * bool(run.record["size"])
    if run.record["epochs"]:
        said.append(f"{epochs(run)} epoch{'s'[: run.record['epochs'] != 1]}")
    return " · ".join(said)


def own_gender(run: ScoredRun, own: Mapping[str, Interval]) -> str:
    """A sentence on a run that learned from one gender only, "" on others; `own` is the comparison's."""
    if run.name not in own:
        return ""
    who = run.learned_from
    return f"Learned from {who} only and answers here for all faces; on {who} its MAE is {cell('mae', own[run.name])}."


def whole_chips(run: ScoredRun) -> str:
    """A sentence on the test chips in which the run's detector found no face, "" where there are none."""
    misses = run.record["crop_misses"]
    return f"In {misses} of the test chips the detector found no face: they are taken whole." if misses else ""
