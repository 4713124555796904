"""A model on several collections, as a section of the report and as a page of its own."""

from __future__ import annotations

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from mien import __version__
from mien.learn.audits import trust_page
from mien.learn.audits.trust_page import ChiefFigure, Detail, Picture, Section
from mien.learn.evaluation.evaluate import BANDS, FEW, band_name
from mien.learn.evaluation.home_and_abroad import Abroad, Entry
from mien.learn.evaluation.metrics import Interval

HOME, ABROAD, INK, WHISKER = "#2867b2", "#c2571a", "#33312e", "#191b20"
LINES = ("#2867b2", "#c2571a", "#3f8f5b", "#8a4fa8", "#b08a00", "#5a6472", "#a83a5b", "#2a9aa8")


def section(found: Abroad) -> Section:
    """How the model does on other people's photographs."""
    return Section(
        "abroad",
        "Home and abroad",
        "Does it hold on other people's photographs?",
        tuple(_answer(found)),
        (
            Picture.of(
                _figures(found), "Age error, genders and intervals of each collection, with intervals", wide=True
            ),
            Picture.of(_bias(found), "How much too old each collection's faces are taken for, by age", wide=True),
        ),
        (Detail.of_markdown("All figures", found.to_markdown()),),
    )


def page(found: Abroad, file: str) -> str:
    """One self-contained page; `file` names the collections."""
    cards = [
        ChiefFigure(
            entry.name,
            f"{figure.value:.2f}",
            "years",
            f"mean error of the age, {entry.report.counts['evaluated']} faces, {'home' if entry.home else 'abroad'}",
        )
        for entry, figure in _aged(found)
    ]
    faces = sum(entry.report.counts["evaluated"] for entry in found.entries)
    lede = (
        f"Measured on {faces:,} faces of {len(found.entries)} collections ({file}), each answered as mien predict "
        "answers. Gender is what the collections call it."
    )
    method = f"Made by mien {__version__} with mien evaluate {found.model} --collections {file}."
    return trust_page.to_html(found.model, lede, cards, [section(found)], method)


def _answer(found: Abroad) -> list[str]:
    told = []
    aged = _aged(found)
    for words, entries in (
        ("At home", [one for one in aged if one[0].home]),
        ("Abroad", [one for one in aged if not one[0].home]),
    ):
        if entries:
            errors = [f"{figure.value:.1f} years off on {entry.name}" for entry, figure in entries]
            told.append(f"{words} the age is {', '.join(errors)}, on average.")
    held = [
        (entry, entry.report.subsets["all"].age["coverage"].value)
        for entry, _ in aged
        if "coverage" in entry.report.subsets["all"].age and entry.report.subsets["all"].ages >= FEW
    ]
    if held:
        entry, least = min(held, key=lambda one: one[1])
        level = entry.report.settings.get("interval_level", 0.9)
        told.append(f"Intervals that are to hold {level:.0%} of ages hold {least:.0%} or more; least on {entry.name}.")
    missed = [(entry, len(entry.missed)) for entry in found.entries if entry.kind == "photos" and entry.missed]
    told += [
        f"In {count} of {entry.pictures} photographs of {entry.name} the face was not found." for entry, count in missed
    ]
    return told


def _aged(found: Abroad) -> list[tuple[Entry, Interval]]:
    """The collections whose ages are known, and the mean error on each."""
    figures = [(entry, entry.report.subsets["all"].age.get("mae")) for entry in found.entries]
    return [(entry, figure) for entry, figure in figures if figure is not None]


def _figures(found: Abroad) -> Figure:
    figure = Figure(figsize=(12, 1.2 + 0.42 * len(found.entries)), layout="constrained")
    axes = figure.subplots(1, 3, sharey=True)
    for axis, part, key, factor, title in zip(
        axes,
        ("age", "gender", "age"),
        ("mae", "accuracy", "coverage"),
        (1.0, 100.0, 100.0),
        ("Mean error of the age, years", "Genders named as labelled, %", "Ages inside the intervals, %"),
        strict=True,
    ):
        for at, entry in enumerate(found.entries):
            subset = entry.report.subsets["all"]
            count = subset.genders if part == "gender" else subset.ages
            value = getattr(subset, part).get(key)
            if value is not None and (factor == 1.0 or count >= FEW):
                _dot(axis, at, value, factor, HOME if entry.home else ABROAD)
        axis.set_title(title, loc="left", fontsize=10, color=INK)
        axis.spines[["top", "right"]].set_visible(False)
        axis.grid(axis="x", alpha=0.3)
    level = 100 * found.level
    axes[2].axvline(level, color=INK, linewidth=1, linestyle=":")
    axes[0].set_xlim(left=0)
    names = [f"{entry.name}{', home' if entry.home else ''}" for entry in found.entries]
    axes[0].set_yticks(range(len(names)), names)
    axes[0].invert_yaxis()
    axes[0].set_ylim(len(names) - 0.5, -0.5)
    return figure


def _dot(axis: Axes, at: int, value: Interval, factor: float, colour: str) -> None:
    ends = [[factor * (value.value - value.low)], [factor * (value.high - value.value)]]
    axis.errorbar(
        [factor * value.value], [at], xerr=ends, fmt="o", color=colour, ecolor=WHISKER, elinewidth=1, capsize=2
    )


def _bias(found: Abroad) -> Figure:
    figure = Figure(figsize=(12, 3.4), layout="constrained")
    axis = figure.subplots()
    names = [band_name(band) for band in BANDS]
    for number, (entry, _) in enumerate(_aged(found)):
        subsets = entry.report.subsets
        told = [(at, subsets[name]) for at, name in enumerate(names) if name in subsets and subsets[name].ages >= FEW]
        axis.plot(
            [at for at, _ in told],
            [subset.age["bias"].value for _, subset in told],
            marker="o",
            color=LINES[number % len(LINES)],
            linestyle="-" if number < len(LINES) else "--",
            label=entry.name,
        )
    axis.axhline(0, color=INK, linewidth=1)
    axis.set_xticks(range(len(names)), names)
    axis.set_xlabel("true age in years")
    axis.set_title("How much too old faces are taken for, years", loc="left", fontsize=10, color=INK)
    axis.spines[["top", "right"]].set_visible(False)
    axis.legend(loc="upper right", frameon=False, fontsize=9)
    return figure
