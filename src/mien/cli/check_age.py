"""`mien check-age`: is the person on a photo old enough? And `mien audit age-checks`: how often that is wrong."""

from __future__ import annotations

import sys
from collections import Counter
from contextlib import closing
from pathlib import Path
from typing import Annotated

import typer

from mien.cli.closing import close_with, number
from mien.cli.process import check_output_is_open
from mien.errors import UsageError

SOME_FAILED = 3


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
    model: Annotated[str, typer.Option(help="Name of a model or its folder.")] = "mien-m",
    detector: Annotated[str, typer.Option(help="mtcnn, haar, yunet, or whole.")] = "mtcnn",
    weights: Annotated[Path | None, typer.Option(help="File of the detector's weights, for yunet.")] = None,
    min_face: Annotated[
        int | None,
        typer.Option(
            help="Smallest face to look for, in pixels of the photo.", show_default="30, or an 80th of the longer side"
        ),
    ] = None,
    side: Annotated[
        str,
        typer.Option(
            metavar="PIXELS|full|auto", help="Longer side that big photos are reduced to; auto: as --min-face needs."
        ),
    ] = "auto",
    rotate: Annotated[
        str,
        typer.Option(
            metavar="auto|0|90|180|270",
            help="Degrees to turn photos clockwise by; auto: tried where nothing sure is found upright.",
        ),
    ] = "auto",
    threads: Annotated[int, typer.Option(help="Cores to use; 0 for all.")] = 0,
    form: Annotated[
        str | None,
        typer.Option("--format", help="table or jsonl.", show_default="table on a terminal, jsonl in a pipe"),
    ] = None,
) -> None:
    """Decide pass, fail or unsure for the person on each photo.

    A help for deciding whom to ask for a proof of age; no proof itself. Read docs/trust.md before use.
    """
    from mien.age_check import AgeCheck, AgeChecker
    from mien.analyzer import Analyzer, Options
    from mien.cli.looking import rotation, side_of
    from mien.photos.decode import DecodeOptions
    from mien.photos.sources import items
    from mien.plain import plain
    from mien.sinks.records import encode

    check_output_is_open()
    form = form or ("table" if sys.stdout.isatty() else "jsonl")
    if form not in ("table", "jsonl"):
        raise UsageError.unknown("format", form, ("table", "jsonl"))
    options = Options(
        detector=detector,
        weights=weights,
        min_face=min_face,
        rotate=rotation(rotate),
        threads=threads,
        decode=DecodeOptions(target_side=side_of(side)),
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
