"""Tables of a calibration report: rows of text, the first of them the header."""

from __future__ import annotations

from collections.abc import Sequence

from mien.learn.audits.calibration.calibration_figures import (
    Ages,
    CalibrationGroup,
    Genders,
    Level,
    Selection,
    WidthComparison,
)
from mien.learn.evaluation.metrics import Interval

Rows = list[tuple[str, ...]]


def of_ages(ages: Ages) -> dict[str, Rows]:
    """Tables of intervals and distributions, by title."""
    tables = {f"Intervals by {name}": _group_rows((ages.whole, *groups)) for name, groups in ages.groups.items()}
    tables["Intervals at many levels"] = _level_rows(ages.levels)
    if ages.comparison is not None:
        tables["Beside intervals of constant width"] = _comparison_rows(ages.whole, ages.comparison)
    tables["Whole distributions of ages"] = _distribution_rows(ages)
    tables["Ages among the narrowest intervals"] = _selection_rows(ages.selection, "MAE", "{:.2f}", 1)
    return tables


def of_genders(genders: Genders) -> dict[str, Rows]:
    """Tables of the gender's probability, by title."""
    return {
        "Probability of the gender": _gender_rows(genders),
        "Certainty and truth of the gender": _bin_rows(genders),
        "Genders among the surest": _selection_rows(genders.selection, "wrong, %", "{:.2f}", 100),
    }


def cell(figure: Interval | None, style: str = "{:.1f}", factor: float = 1) -> str:
    """A value with its interval; a dash where there is none.

    >>> cell(Interval(0.9, 0.88, 0.92), factor=100), cell(None)
    ('90.0 [88.0, 92.0]', '-')
    """
    if figure is None:
        return "-"
    value, low, high = (style.format(factor * end) for end in (figure.value, figure.low, figure.high))
    return f"{value} [{low}, {high}]"


def _group_rows(groups: Sequence[CalibrationGroup]) -> Rows:
    constant = any(group.constant is not None for group in groups)
    rows: Rows = [("faces", "count", "coverage, %", "width, years", *["constant width, %"] * constant)]
    for group in groups:
        if group.coverage is None:
            rows.append((group.name, str(group.faces), "too few faces", "", *[""] * constant))
            continue
        last = [cell(group.constant, factor=100)] * constant
        rows.append((group.name, str(group.faces), cell(group.coverage, factor=100), cell(group.width), *last))
    return rows


def _level_rows(levels: Sequence[Level]) -> Rows:
    rows = [(f"{100 * one.level:.4g}", cell(one.coverage, factor=100), cell(one.width)) for one in levels]
    return [("promised, %", "held, %", "width, years"), *rows]


def _comparison_rows(whole: CalibrationGroup, comparison: WidthComparison) -> Rows:
    assert whole.coverage is not None
    equal = f"{whole.coverage.value:.1%} too, fitted to these faces"
    return [
        ("constant interval", "holds", "width of the model's, as a multiple", "whole ages 0-116 inside, as a multiple"),
        (
            f"± {comparison.half_width:.2f} years, from {comparison.faces:,} other faces",
            cell(comparison.coverage, "{:.1f}", 100) + " %",
            cell(comparison.ratio, "{:.3f}"),
            cell(comparison.ages, "{:.3f}"),
        ),
        (
            f"± {comparison.matched_half_width:.2f} years",
            equal,
            cell(comparison.matched_ratio, "{:.3f}"),
            cell(comparison.matched_ages, "{:.3f}"),
        ),
    ]


def _distribution_rows(ages: Ages) -> Rows:
    rows: Rows = [("figure", "value"), ("CRPS, years", cell(ages.crps, "{:.2f}"))]
    rows.append(("MAE of the median, years", cell(ages.mae, "{:.2f}")))
    slices = len(ages.pit)
    for at, share in enumerate(ages.pit):
        name = f"true ages in slice {at + 1} of {slices} of the mass, %"
        rows.append((name, cell(share, factor=100)))
    return rows


def _selection_rows(selection: Selection, name: str, style: str, factor: float) -> Rows:
    rows: Rows = [("surest faces", name)]
    rows += [(f"{share:.0%}", cell(risk, style, factor)) for share, risk in selection.risks.items()]
    least, whole = (style.format(factor * value) for value in (selection.least, selection.whole))
    area = f"{cell(selection.area, style, factor)}; at best {least}, by chance {whole}"
    return [*rows, ("area under the curve", area)]


def _gender_rows(genders: Genders) -> Rows:
    names = {"ece": "ECE, 15 bins", "brier": "Brier score", "log_loss": "log loss", "accuracy": "share right"}
    rows = [(title, cell(genders.figures[name], "{:.4f}")) for name, title in names.items()]
    return [("figure", "value"), *rows]


def _bin_rows(genders: Genders) -> Rows:
    rows: Rows = [("faces", "count", "says it is sure by, %", "is right, %")]
    named = [(f"bin {at}", one) for at, one in enumerate(genders.bins, 1)]
    named += [(f'answered "{name}"', one) for name, one in genders.answers.items()]
    return rows + [
        (name, str(one.faces), f"{100 * one.stated:.1f}", cell(one.right, factor=100)) for name, one in named
    ]
