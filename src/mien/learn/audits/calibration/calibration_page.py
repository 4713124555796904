"""A calibration report as sections of a page: what an interval and a probability are worth, in words and pictures."""

from __future__ import annotations

from collections.abc import Iterator

from mien.learn.audits.calibration import calibration_plots as plots
from mien.learn.audits.calibration.calibration_figures import Ages, Genders
from mien.learn.audits.calibration.calibration_report import CalibrationReport
from mien.learn.audits.trust_page import Block, ChiefFigure, Detail, Picture, Section
from mien.learn.audits.trust_page import to_html as page


def to_html(report: CalibrationReport, command: str = "") -> str:
    """The page, in one file.

    Args:
        report: what to show.
        command: how it was made, if that is to be told.
    """
    lede = (
        f"Whether the model's own doubts can be believed, on {report.counts['measured']:,} faces that it did not learn "
        f"from: its age intervals, which are to hold {_percent(report.level)} of true ages, and its probability of the "
        "gender."
    )
    method = " ".join([report.note(), *([f"Made by: {command}."] if command else [])])
    return page(report.model or "the model", lede, chief_figures(report), list(sections(report)), method)


def chief_figures(report: CalibrationReport) -> list[ChiefFigure]:
    """The chief figures."""
    told = []
    ages, genders = report.ages, report.genders
    if ages is not None and ages.whole.coverage is not None and ages.whole.width is not None:
        found = ages.whole.coverage
        below = f"{_percent(report.level)} are promised; between {found.low:.1%} and {found.high:.1%}"
        told.append(ChiefFigure("true ages inside the interval", f"{found.value:.1%}", "", below))
        told.append(
            ChiefFigure("mean width of the interval", f"{ages.whole.width.value:.1f}", "years", _compared(ages))
        )
    if genders is not None:
        ece = genders.figures["ece"]
        words = f"between what it says and what is; {100 * ece.low:.1f} to {100 * ece.high:.1f}"
        told.append(ChiefFigure("gap of the gender's probability", f"{100 * ece.value:.1f}", "points", words))
    checks = report.checks()
    below = "; ".join(f"not: {check.demand} ({check.found})" for check in checks if not check.passed) or "all of them"
    told.append(
        ChiefFigure("demands fulfilled", str(sum(check.passed for check in checks)), f"of {len(checks)}", below)
    )
    return told


def sections(report: CalibrationReport) -> Iterator[Section]:
    """One for each question."""
    tables = {title: Detail(title, (Block(rows=tuple(rows)),)) for title, rows in report.tables().items()}
    if report.ages is not None:
        yield _intervals(report, report.ages, tables)
    if report.genders is not None:
        yield _genders(report, report.genders, tables)
    if report.ages is not None or report.genders is not None:
        yield _certainty(report, tables)
    if report.ages is not None:
        yield _distributions(report, report.ages, tables)
    demands = Detail("What was asked for", (Block(rows=tuple(report.check_rows())),))
    passed = sum(check.passed for check in report.checks())
    answer = f"{passed} of {len(report.checks())} demands on a calibrated model are fulfilled."
    yield Section("demands", "Demands", "What is asked of it?", (answer,), details=(demands,))


def _intervals(report: CalibrationReport, ages: Ages, tables: dict[str, Detail]) -> Section:
    answer = []
    if ages.whole.coverage is not None:
        answer.append(
            f"{ages.whole.coverage.value:.1%} of {ages.whole.faces:,} true ages lie inside the interval; "
            f"{_percent(report.level)} were promised. The promise is made to everybody who looks about so old, not to "
            "everybody who is: who looks much younger or older than they are is missed more often."
        )
    bands = {band.name: band.coverage.value for band in report.large_bands() if band.coverage is not None}
    if bands:
        least, most = min(bands, key=bands.__getitem__), max(bands, key=bands.__getitem__)
        answer.append(
            f"By estimated age it is between {bands[least]:.1%} ({least}) and {bands[most]:.1%} ({most}), in bands of "
            "two hundred faces or more."
        )
    if ages.comparison is not None:
        one = ages.comparison
        answer.append(
            f"Intervals are short for children and long where ages are hard to tell. One width for everybody would be "
            f"{2 * one.half_width:.1f} years, and would hold {one.coverage.value:.1%}."
        )
    pictures = (
        Picture.of(plots.groups(report, ages), "Coverage and width of the intervals of each group", wide=True),
        Picture.of(plots.levels(report, ages), "Measured against promised coverage, and mean width, at many levels"),
    )
    details = tuple(
        detail for title, detail in tables.items() if title.startswith("Intervals by") or title in _OF_INTERVALS
    )
    return Section(
        "intervals", "Age intervals", "Does the interval hold the true age?", tuple(answer), pictures, details
    )


def _genders(report: CalibrationReport, genders: Genders, tables: dict[str, Detail]) -> Section:
    unsure, surest = genders.bins[0], genders.bins[-1]
    answer = (
        f"Where it says it is sure by {unsure.stated:.0%}, it names the gender as labelled for "
        f"{unsure.right.value:.0%} of {unsure.faces:,} faces; where it says {surest.stated:.1%}, for "
        f"{surest.right.value:.1%}.",
        f"On average the two are {100 * genders.figures['ece'].value:.1f} points apart.",
    )
    picture = Picture.of(plots.gender(report, genders), "Share of right genders against the stated probability")
    details = (tables["Probability of the gender"], tables["Certainty and truth of the gender"])
    return Section("gender", "Gender", "May one believe the gender's probability?", answer, (picture,), details)


def _certainty(report: CalibrationReport, tables: dict[str, Detail]) -> Section:
    answer, details = [], []
    if report.ages is not None:
        risks = report.ages.selection.risks
        answer.append(
            f"On the half of the faces with the narrowest intervals the age is {risks[0.5].value:.1f} years off on "
            f"average, on all faces {risks[1.0].value:.1f}."
        )
        details.append(tables["Ages among the narrowest intervals"])
    if report.genders is not None:
        risks = report.genders.selection.risks
        answer.append(
            f"Left to answer only the nine in ten faces of whose gender it is surest, it is wrong about "
            f"{risks[0.9].value:.1%} of them rather than {risks[1.0].value:.1%}."
        )
        details.append(tables["Genders among the surest"])
    picture = Picture.of(plots.certainty(report), "Errors among the surest faces, by how many are answered")
    return Section(
        "certainty", "Certainty", "Does it know which faces are hard?", tuple(answer), (picture,), tuple(details)
    )


def _distributions(report: CalibrationReport, ages: Ages, tables: dict[str, Detail]) -> Section:
    answer = (
        "Each answer is a probability for every age. Cut it into ten slices of equal mass, from young to old, and each "
        "slice should hold a tenth of true ages.",
        f"As a whole the distributions are {ages.crps.value:.2f} years off (CRPS); without their doubt, as bare "
        f"medians, they would be {ages.mae.value:.2f}.",
    )
    picture = Picture.of(plots.slices(report, ages), "Share of true ages in each tenth of the distribution")
    details = (tables["Whole distributions of ages"],)
    return Section("distributions", "Distributions", "Is the whole distribution honest?", answer, (picture,), details)


def _compared(ages: Ages) -> str:
    if ages.comparison is None:
        return "short for children, long where ages are hard to tell"
    less = 1 - ages.comparison.ratio.value
    return f"{abs(less):.1%} {'narrower' if less >= 0 else 'wider'} than one width for everybody"


def _percent(share: float) -> str:
    return f"{100 * share:.4g}%"


_OF_INTERVALS = ("Intervals at many levels", "Beside intervals of constant width")
