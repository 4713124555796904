"""`mien check-age`: is the person on a photo old enough? And `mien lab audit age-checks`: how often that is wrong."""

from __future__ import annotations

import sys
from collections import Counter
from contextlib import closing
from typing import Annotated

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


def check_age(
    inputs: Annotated[
        list[str],
        typer.Argument(metavar="PHOTOS...", help="Photos of one person each: files, folders, globs, tars or '-'."),
    ],
    *,
    min_age: Annotated[int, typer.Option(help="The limit in years.")] = 18,
    max_false_pass: Annotated[
        float, typer.Option(help="Share of people of up to 8 years below the limit that may pass.")
    ] = 0.01,
    max_false_fail: Annotated[
        float, typer.Option(help="Share of people of up to 8 years above the limit that may fail.")
    ] = 0.01,
    model: ModelName = "mien-m",
    detector: DetectorName = "mtcnn",
    weights: DetectorWeights = None,
    min_face: MinFace = None,
    side: Side = "auto",
    rotate: Rotate = "auto",
    threads: AnalyzerThreads = 0,
    form: Annotated[
        str | None,
        typer.Option("--format", help="table or jsonl.", show_default="table on a terminal, jsonl in a pipe"),
    ] = None,
) -> None:
    """Decide pass, fail or unsure for the person on each photo.

    A help for deciding whom to ask for a proof of age; no proof itself. Read docs/trust.md before use.
    """
    from mien.age_check import AgeCheck, AgeChecker
    from mien.analyzer import Analyzer
    from mien.photos.sources import items
    from mien.plain import plain
    from mien.sinks.records import encode

    check_output_is_open()
    form = form or ("table" if sys.stdout.isatty() else "jsonl")
    if form not in ("table", "jsonl"):
        raise UsageError.unknown("format", form, ("table", "jsonl"))
    options = analyzer_options(
        detector=detector,
        weights=weights,
        min_face=min_face,
        rotate=rotate,
        threads=threads,
        side=side,
    )
    checker = AgeChecker(
        Analyzer(model, options), min_age=min_age, max_false_pass=max_false_pass, max_false_fail=max_false_fail
    )

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
