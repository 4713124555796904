"""Drawings of age checks: decisions by age, and the price of safety in adults who are asked for a proof."""

from __future__ import annotations

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

from mien.learn.audits.age_checks.age_check_audit import CLEAR, AgeCheckReport, LimitReport

PASS, UNSURE, FAIL = "#2a7f62", "#d9d4c7", "#b5533c"
INK = "#33312e"


def plot(report: AgeCheckReport) -> Figure:
    """For each limit the decisions by age, and beside them the false passes against the adults not passed."""
    figure = Figure(figsize=(11, 3.1 * len(report.limits)), layout="constrained")
    axes = figure.subplots(len(report.limits), 2, squeeze=False, width_ratios=(3, 2))
    for (left, right), (limit, one) in zip(axes, report.limits.items(), strict=True):
        _decisions(left, limit, one)
        _price(right, limit, one)
    return figure


def _decisions(axis: Axes, limit: int, one: LimitReport) -> None:
    years = {year: cell for year, cell in one.years["all"].items() if cell.passed is not None}
    base = [0.0] * len(years)
    for name, colour, attribute in (("pass", PASS, "passed"), ("unsure", UNSURE, "unsure"), ("fail", FAIL, "failed")):
        shares = [getattr(cell, attribute).value for cell in years.values()]
        axis.bar(list(years), shares, 0.86, base, color=colour, label=name)
        base = [below + share for below, share in zip(base, shares, strict=True)]
    axis.axvline(limit - 0.5, color=INK, linewidth=1.2, linestyle=(0, (4, 3)))
    axis.set_title(f"Limit {limit}: what happens to faces of each age", loc="left", fontsize=10, color=INK)
    axis.set_xlabel("true age in years")
    axis.set_ylim(0, 1)
    axis.yaxis.set_major_formatter(PercentFormatter(1))
    axis.spines[["top", "right"]].set_visible(False)
    axis.legend(loc="lower right", bbox_to_anchor=(1, 1), ncols=3, fontsize=8, frameon=False)


def _price(axis: Axes, limit: int, one: LimitReport) -> None:
    stopped = [challenge.stopped for challenge in one.challenges]
    false = [challenge.false_pass for challenge in one.challenges]
    axis.plot(stopped, false, "o-", color="#8a8578", markersize=3, linewidth=1, label="pass whoever looks so old")
    for challenge in one.challenges[:: max(1, len(one.challenges) // 5)]:
        axis.annotate(
            str(challenge.age),
            (challenge.stopped, challenge.false_pass),
            (4, 4),
            textcoords="offset points",
            fontsize=8,
        )
    below, clear = one.cells["below"].passed, one.cells["clear"].passed
    if below is not None and clear is not None:
        x, y = 1 - clear.value, below.value
        axis.errorbar(
            x,
            y,
            [[y - below.low], [below.high - y]],
            [[clear.high - clear.value], [clear.value - clear.low]],
            fmt="D",
            color=PASS,
            capsize=2,
            label="mien check-age",
        )
    axis.set_title("The price of safety", loc="left", fontsize=10, color=INK)
    axis.set_xlabel(f"people of {limit + CLEAR} or older who do not pass")
    axis.set_ylabel(f"false passes below {limit}")
    axis.xaxis.set_major_formatter(PercentFormatter(1))
    axis.yaxis.set_major_formatter(PercentFormatter(1))
    axis.set_xlim(left=0)
    axis.set_ylim(bottom=-0.005)
    axis.spines[["top", "right"]].set_visible(False)
    axis.legend(loc="upper right", fontsize=8, frameon=False)
