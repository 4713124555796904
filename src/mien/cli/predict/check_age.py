"""`mien check-age`: is the person on a photo old enough? And `mien lab audit age-checks`: how often that is wrong."""

from __future__ import annotations

import sys
from collections import Counter
from contextlib import closing
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mien.cli.closing import SOME_FAILED, close_with, number
from mien.cli.options import (
    AnalyzerThreads,
    DetectorName,
    DetectorWeights,
    MinFace,
    ModelName,
    Rotate,
    Side,
    analyzer_options,
)
from mien.cli.process import check_output_is_open
from mien.errors import UsageError

if TYPE_CHECKING:
    from mien.analyzer import Options

InputsArgument = Annotated[
    list[str],
    typer.Argument(metavar="PHOTO...", help="Photos of one person each: files, folders, globs, tars or '-'."),
]
MinAgeOption = Annotated[int, typer.Option(help="The limit in years.")]
MaxFalsePassOption = Annotated[
    float, typer.Option(help="Share of people of up to 8 years below the limit that may pass.")
]
MaxFalseFailOption = Annotated[
    float, typer.Option(help="Share of people of up to 8 years above the limit that may fail.")
]
FormOption = Annotated[
    str | None,
    typer.Option("--format", help="table or jsonl.", show_default="table on a terminal, jsonl in a pipe"),
]


def check_age(
    inputs: InputsArgument,
    *,
    min_age: MinAgeOption = 18,
    max_false_pass: MaxFalsePassOption = 0.01,
    max_false_fail: MaxFalseFailOption = 0.01,
    model: ModelName = "mien-m",
    detector: DetectorName = "mtcnn",
    weights: DetectorWeights = None,
    min_face: MinFace = None,
    side: Side = "auto",
    rotate: Rotate = "auto",
    threads: AnalyzerThreads = 0,
    form: FormOption = None,
) -> None:
    """Decide pass, fail or unsure for the person on each photo.

    A help for deciding whom to ask for a proof of age; no proof itself. Read docs/trust.md before use.
    """
    found: dict[str, Any] = {"detector": detector, "weights": weights, "min_face": min_face, "threads": threads}
    rates = {"max_false_pass": max_false_pass, "max_false_fail": max_false_fail}
    _check(inputs, model, analyzer_options(side=side, rotate=rotate, **found), min_age=min_age, rates=rates, form=form)


def _check(
    inputs: list[str], model: str, options: Options, *, min_age: int, rates: dict[str, float], form: str | None
) -> None:
    """Decide for all photos; the exit code is 3 where some failed."""
    from mien.age_check import AgeCheck, AgeChecker
    from mien.analyzer import Analyzer
    from mien.photos.sources import items
    from mien.plain import plain
    from mien.sinks.records import encode

    check_output_is_open()
    form = form or ("table" if sys.stdout.isatty() else "jsonl")
    if form not in ("table", "jsonl"):
        raise UsageError.unknown("format", form, ("table", "jsonl"))
    checker = AgeChecker(Analyzer(model, options), min_age=min_age, **rates)

    def line(check: AgeCheck) -> str:
        if form == "jsonl":
            return encode(check.to_dict()).decode()
        return f"{check.outcome:8}{plain(check.photo.source)}: {plain(check.reason)}"

    failed = 0
    outcomes: Counter[str] = Counter()
    with closing(checker.stream(items(inputs))) as checks:
        for check in checks:
            typer.echo(line(check))
            failed += check.photo.error is not None
            outcomes[check.outcome] += 1
    told = ", ".join(f"{outcomes[name]} {name}" for name in ("pass", "fail", "unsure", "error") if outcomes[name])
    close_with(number(outcomes.total(), "photo") + (f": {told}" if told else ""))
    if failed:
        raise typer.Exit(SOME_FAILED)
