"""From what each audit found to a section of the report: a question, an answer with its figures, a picture, tables."""

from __future__ import annotations

from collections.abc import Sequence

from matplotlib.figure import Figure

from mien.estimate.age_check import SPAN
from mien.learn.audits.age_checks.age_check_audit import CLEAR, AgeCheckReport, rest
from mien.learn.audits.age_checks.age_check_plots import plot as age_check_plot
from mien.learn.audits.explanations.explanation_plots import plot as explanation_plot
from mien.learn.audits.explanations.explanation_report import ExplanationReport
from mien.learn.audits.fairness.fairness_plots import plot as fairness_plot
from mien.learn.audits.fairness.fairness_report import FIGURES, FairnessReport
from mien.learn.audits.robustness.robustness_plots import heat_map
from mien.learn.audits.robustness.robustness_report import RobustnessReport
from mien.learn.audits.speed import Speed
from mien.learn.audits.trust_page import ChiefFigure, Detail, Picture, Section
from mien.learn.data.corruptions import CORRUPTIONS
from mien.learn.data.labelled import listed
from mien.learn.evaluation import evaluate
from mien.learn.evaluation.evaluate import Subset
from mien.learn.evaluation.metrics import Interval

BAR, WHISKER, INK = "#2867b2", "#191b20", "#33312e"
CHIEF = ("mae", "accuracy", "coverage")
"""Figures of the fairness audit that the answer speaks of."""


def chief_figures(report: evaluate.Report) -> list[ChiefFigure]:
    """The chief figures of the whole fold."""
    age, gender = report.subsets["all"].age, report.subsets["all"].gender
    told = []
    if "mae" in age:
        told.append(
            ChiefFigure(
                "mean error of the age", f"{age['mae'].value:.2f}", "years", f"{_ends(age['mae'], '{:.2f}')} years"
            )
        )
    if "cs5" in age and report.subsets["all"].ages >= evaluate.FEW:
        told.append(ChiefFigure("at most five years off", f"{age['cs5'].value:.0%}", "", "of all faces"))
    if "coverage" in age and report.subsets["all"].ages >= evaluate.FEW:
        level = report.settings["interval_level"]
        told.append(
            ChiefFigure(
                f"true ages inside the {level:.0%} interval",
                f"{age['coverage'].value:.1%}",
                "",
                f"intervals of {age['width'].value:.1f} years on average",
            )
        )
    if "accuracy" in gender and report.subsets["all"].genders >= evaluate.FEW:
        told.append(
            ChiefFigure(
                "gender named as labelled", f"{gender['accuracy'].value:.1%}", "", _ends(gender["accuracy"], "{:.1%}")
            )
        )
    return told


def accuracy(report: evaluate.Report) -> Section:
    """How far off ages and genders are, by age band."""
    whole = report.subsets["all"]
    bands = {name: report.subsets[name] for name in map(evaluate.band_name, evaluate.BANDS) if name in report.subsets}
    answer = []
    if "mae" in whole.age:
        answer.append(f"On {whole.ages:,} faces the age is {whole.age['mae'].value:.1f} years off on average.")
        told = {name: band.age["mae"].value for name, band in bands.items() if band.ages >= evaluate.FEW}
        if len(told) > 1:
            best, worst = min(told, key=told.__getitem__), max(told, key=told.__getitem__)
            answer[-1] += (
                f" It is best for ages of {best} ({told[best]:.1f} years) and worst for {worst} "
                f"({told[worst]:.1f} years)."
            )
    if "accuracy" in whole.gender:
        right = {name: one.gender["accuracy"].value for name, one in bands.items() if one.genders >= evaluate.FEW}
        if whole.genders >= evaluate.FEW:
            answer.append(f"The gender is named as labelled for {whole.gender['accuracy'].value:.1%}.")
        if len(right) > 1:
            least = min(right, key=right.__getitem__)
            answer[-1] = answer[-1][:-1] + f"; least often at ages of {least} ({right[least]:.1%})."
        answer += [f"Of fewer than {evaluate.FEW} faces no percentages are told."] if _few(whole, bands) else []
    picture = Picture.of(_bands_figure(bands), "Mean error of the age, and share of right genders, for each age band")
    return Section(
        "accuracy",
        "Accuracy",
        "How far off is it?",
        tuple(answer),
        (picture,),
        (Detail.of_markdown("All figures", report.to_table()),),
    )


def age_checks(report: AgeCheckReport) -> Section:
    """What age checks let pass."""
    answer = [
        f"A check is to let at most {report.settings['max_false_pass']:.0%} of people pass who are up to {SPAN} years "
        "too young. Here is what happened, and what it costs older people."
    ]
    for limit, one in report.limits.items():
        below, clear = one.cells["below"], one.cells["clear"]
        if below.passed is None or clear.passed is None:
            answer.append(f"Limit {limit}: {below.faces} faces below it are too few to tell.")
            continue
        answer.append(
            f"Limit {limit}: {round(below.passed.value * below.faces)} of {below.faces} younger people passed "
            f"({_ends(below.passed, '{:.1%}')}); {1 - clear.passed.value:.0%} of people of {limit + CLEAR} or older "
            "would be asked for a proof."
        )
    return Section(
        "age-checks",
        "Age checks",
        "Can it tell who is old enough?",
        tuple(answer),
        (Picture.of(age_check_plot(report), "Decisions by true age, and false passes against adults not passed"),),
        (Detail.of_markdown("All figures", report.to_markdown()),),
    )


def fairness(report: FairnessReport) -> Section:
    """Whether groups are served alike."""
    answer = []
    for name, partition in report.partitions.items():
        if " x " in name:
            continue
        told = []
        for key in CHIEF:
            gap = partition.gaps_at_equal_ages.get(key) or partition.gaps.get(key)
            if gap is None:
                continue
            words = FIGURES[key].as_gap
            verdict = f"{gap.worst} served worst" if gap.real else "no more than chance makes"
            told.append(f"{words.name} {words.value(gap.difference.value)} {words.unit} ({verdict})")
        if told:
            answer.append(f"Largest gaps by {name}: {', '.join(told)}.")
    pictures = tuple(
        Picture.of(fairness_plot(report, [name]), f"Figures of each group by {name}, with intervals", wide=True)
        for name in report.partitions
        if " x " not in name  # dozens of groups: the tables have them
    )
    return Section(
        "fairness",
        "Fairness",
        "Does it serve everyone alike?",
        (
            "Race, gender and age are what the data state of a face; the model is never asked for a race, and cannot "
            "answer. Except between ages, gaps are at equal ages.",
            *answer,
        ),
        pictures,
        (Detail.of_markdown("All figures", report.to_markdown()),),
    )


def robustness(report: RobustnessReport, sample: Figure | None = None) -> Section:
    """What bad pictures cost."""
    ways = len(report.corrupted)
    answer = [f"{report.faces:,} faces, each spoilt in {ways} way{'s' * (ways > 1)}, from lightly to badly."]
    everything = report.changes.get("all")
    if everything is not None and everything.mae is not None and everything.drop is not None:
        answer.append(
            f"On average over all of them the error of the age is {everything.mae.value:.2f} times that of good "
            f"pictures, and {100 * everything.drop.value:.1f} points fewer genders are right."
        )
    costs = {name: change.mae.value for name, change in report.changes.items() if name in CORRUPTIONS and change.mae}
    if costs:
        order = sorted(costs, key=costs.__getitem__)
        answer.append(
            f"It hardly minds {listed(order[:3])}; worst are {listed(order[:-4:-1])} "
            f"({costs[order[-1]]:.1f} times the error)."
        )
    pictures = [Picture.of(heat_map(report), "What each corruption costs at each severity")]
    if sample is not None:
        pictures.append(Picture.of_pixels(sample, "One public-domain face under all corruptions", wide=True))
    return Section(
        "robustness",
        "Bad pictures",
        "What if the picture is bad?",
        tuple(answer),
        tuple(pictures),
        (Detail.of_markdown("All figures", report.to_markdown()),),
    )


def explanations(report: ExplanationReport, samples: Sequence[Picture] = ()) -> Section:
    """Whether maps of what an answer rests on can be believed."""
    unit = "years" if report.target == "age" else "log-odds"
    answer = [
        "mien explain marks the parts of a face that an answer rests on. Such a map is worth something if blurring "
        f"what it marks changes the answer sooner than blurring anything else. On {report.faces:,} faces:"
    ]
    for name, one in report.methods.items():
        beaten = one.beats()
        against = [control for control in ("random", "blob") if beaten[f"{control}, deletion"]]
        told = {"random": "random spots", "blob": "a blob in the middle"}
        verdict = f"better than {listed([told[a] for a in against])}" if against else "no better than chance"
        answer.append(
            f"{name}: {verdict} (the answer moves by {one.deletion.value:.2f} {unit} on the way, against "
            f"{one.deletion.value - one.deletion_over_random.value:.2f} and "
            f"{one.deletion.value - one.deletion_over_blob.value:.2f})."
        )
    curves = Picture.of(explanation_plot(report), "How answers change as marked pixels are blurred or shown", wide=True)
    return Section(
        "explanations",
        "Explanations",
        "Can it say why?",
        tuple(answer),
        (*samples, curves),
        (Detail.of_markdown("All figures", report.to_markdown()),),
    )


def speed(found: Speed) -> Section:
    """How large it is and how long it takes."""
    times = listed([f"{ms:.1f} ms on {cores} core{'s'[: cores != 1]}" for cores, ms in found.milliseconds.items()])
    return Section(
        "speed",
        "Speed",
        "How fast is it?",
        (
            f"It has {found.parameters / 1e6:.1f} million weights, takes {found.megabytes:.1f} MB on disk and "
            f"{found.multiply_adds / 1e6:.0f} million multiply-adds a face: {times} of this page's machine. "
            "Finding the face comes on top.",
        ),
    )


def _bands_figure(bands: dict[str, Subset]) -> Figure:
    figure = Figure(figsize=(10, 3), layout="constrained")
    left, right = figure.subplots(1, 2)
    names = list(bands)
    maes = [bands[name].age.get("mae") for name in names]
    enough = [bands[name].genders >= evaluate.FEW for name in names]
    shares = [bands[name].gender.get("accuracy") if many else None for name, many in zip(names, enough, strict=True)]
    for axis, values, factor, title in (
        (left, maes, 1.0, "Mean error of the age, years"),
        (right, [rest(share) for share in shares], 100.0, "Wrong genders, %"),
    ):
        known = [(at, value) for at, value in enumerate(values) if value is not None]
        heights = [factor * value.value for _, value in known]
        ends = [
            [factor * (value.value - value.low) for _, value in known],
            [factor * (value.high - value.value) for _, value in known],
        ]
        axis.bar(
            [at for at, _ in known],
            heights,
            color=BAR,
            alpha=0.8,
            yerr=ends,
            error_kw={"ecolor": WHISKER, "elinewidth": 1, "capsize": 2},
        )
        axis.set_xticks(range(len(names)), names)
        axis.set_xlabel("true age in years")
        axis.set_title(title, loc="left", fontsize=10, color=INK)
        axis.spines[["top", "right"]].set_visible(False)
    return figure


def _few(whole: Subset, bands: dict[str, Subset]) -> bool:
    return any(0 < max(one.ages, one.genders) < evaluate.FEW for one in (whole, *bands.values()))


def _ends(interval: Interval, style: str) -> str:
    """The interval in words.

    >>> _ends(Interval(0.2, 0.1, 0.3), "{:.0%}")
    'between 10% and 30%'
    """
    return f"between {style.format(interval.low)} and {style.format(interval.high)}"
