"""A fairness report as one self-contained HTML page, dressed like the page of `mien compare`."""

from __future__ import annotations

import base64
import io
from importlib.resources import files
from typing import Any

import jinja2
from matplotlib import rc_context
from matplotlib.figure import Figure

from mien.learn.audit.fairness_plots import plot
from mien.learn.audit.fairness_report import FIGURES, TOO_FEW, FairnessReport, Gap, Group, Partition
from mien.learn.metrics import Interval

View = dict[str, Any]

CHIEF = ("mae", "bias", "accuracy", "coverage")
"""Figures whose gaps are shown first."""


def to_html(report: FairnessReport, command: str = "") -> str:
    """The page.

    Args:
        report: what to show.
        command: how it was made, if that is to be told.
    """
    environment = jinja2.Environment(
        autoescape=True, trim_blocks=True, lstrip_blocks=True, undefined=jinja2.StrictUndefined
    )
    template = environment.from_string((files(__package__) / "fairness.html.jinja").read_text(encoding="utf-8"))
    sections = [_section(report, name, partition) for name, partition in report.partitions.items()]
    return template.render(
        report=report,
        sections=sections,
        cards=_cards(sections),
        figures=list(FIGURES.values()),
        command=command,
        style=(files("mien.learn.report") / "page.css").read_text(encoding="utf-8"),
    )


def data_uri(figure: Figure) -> str:
    """A drawing as an SVG that a page can hold as a picture; the same drawing gives the same text."""
    stream = io.BytesIO()
    with rc_context({"svg.hashsalt": "mien"}):
        figure.savefig(stream, format="svg", metadata={"Date": None})
    return "data:image/svg+xml;base64," + base64.b64encode(stream.getvalue()).decode()


def _section(report: FairnessReport, name: str, partition: Partition) -> View:
    plain = [_gap(figure, gap, partition, at_equal_ages=False) for figure, gap in partition.gaps.items()]
    equal = [_gap(figure, gap, partition, at_equal_ages=True) for figure, gap in partition.gaps_at_equal_ages.items()]
    return {
        "name": name,
        "anchor": name.replace(" ", "-"),
        "plot": data_uri(plot(report, [name])),
        "rows": [_row(group) for group in (report.whole, *partition.groups)],
        "equal": any(group.at_equal_ages for group in partition.groups),
        "gaps": plain,
        "equal_gaps": equal,
        "unknown": partition.unknown,
    }


def _row(group: Group) -> View:
    return {
        "name": group.name,
        "faces": f"{group.faces:,}",
        "note": TOO_FEW if group.too_few else "",
        "cells": [_cell(name, group.figures.get(name)) for name in FIGURES],
        "effective": f"{group.effective:,.0f}" if group.at_equal_ages else "",
        "equal": [_cell(name, group.at_equal_ages.get(name)) for name in FIGURES],
        "joined": ", ".join(group.joined) if group.at_equal_ages else "",
    }


def _cell(name: str, interval: Interval | None) -> View:
    words = FIGURES[name]
    if interval is None:
        return {"name": words.name, "value": "", "ends": ""}
    ends = f"{words.value(interval.low)} – {words.value(interval.high)}"
    return {"name": words.name, "value": words.value(interval.value), "ends": ends}


def _gap(figure: str, gap: Gap, partition: Partition, *, at_equal_ages: bool) -> View:
    words = FIGURES[figure]
    sizes = words.as_gap
    values = {group.name: (group.at_equal_ages if at_equal_ages else group.figures) for group in partition.groups}
    high, low = ((name, words.value(values[name][figure].value)) for name in (gap.highest, gap.lowest))
    worst, other = (high, low) if gap.worst == gap.highest else (low, high)
    return {
        "figure": figure,
        "words": words,
        "value": sizes.value(gap.difference.value),
        "ends": f"{sizes.value(gap.difference.low)} – {sizes.value(gap.difference.high)}",
        "unit": sizes.unit,
        "chance": sizes.value(gap.chance),
        "real": gap.real,
        "verdict": gap.verdict,
        "worst": worst,
        "other": other,
    }


def _cards(sections: list[View]) -> list[View]:
    """The chief gaps of the first way to group that has any; at equal ages where that can be said."""
    for section in sections:
        gaps = {gap["figure"]: gap for gap in section["equal_gaps"] or section["gaps"]}
        if gaps:
            at = "at equal ages " if section["equal_gaps"] else ""
            return [{"by": section["name"], "at": at, **gaps[name]} for name in CHIEF if name in gaps]
    return []
