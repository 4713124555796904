"""`mien report`: all audits of a model, as one page."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from mien.cli.extras import needs_extra
from mien.cli.labelled import bar, note
from mien.cli.options import Data, Fold, Folds, Model, Predictions, Quiet, Threads
from mien.cli.output import check_folders, write
from mien.errors import UsageError

PARTS = ("accuracy", "calibration", "age-checks", "fairness", "robustness", "explanations", "speed")


def report(
    model: Model,
    *,
    data: Data,
    output: Annotated[Path, typer.Option("--output", "-o", help="HTML file to write.")],
    folds: Folds = None,
    fold: Fold = None,
    part: Annotated[
        list[str] | None,
        typer.Option("--part", help=f"Of {', '.join(PARTS)}; may be repeated.", show_default="all"),
    ] = None,
    collections: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Collections to measure on too, home and abroad: a YAML file, or what [b]mien evaluate --collections "
            "--format json[/b] printed for the model.",
        ),
    ] = None,
    by: Annotated[
        list[str] | None,
        typer.Option(
            help="Groups of the fairness audit.", show_default="those of race, gender, age-band that are stated"
        ),
    ] = None,
    reference_fold: Annotated[
        str | None,
        typer.Option(help="Fold that intervals of constant width are learned from.", show_default="val with --folds"),
    ] = None,
    faces: Annotated[int, typer.Option(min=1, help="Faces of the audit of bad pictures.")] = 1000,
    explained: Annotated[int, typer.Option(min=1, help="Faces of the audit of explanations.")] = 500,
    predictions: Predictions = None,
    robustness: Annotated[
        Path | None,
        typer.Option(
            help="What [b]mien lab audit robustness --format json[/b] printed for the model: it need not run again."
        ),
    ] = None,
    explanations: Annotated[
        Path | None, typer.Option(help="The same of [b]mien lab audit explanations --format json[/b].")
    ] = None,
    card: Annotated[
        str | None,
        typer.Option(
            metavar="WORDS", help="Also write the model's card, README.md in its folder; say what it was measured on."
        ),
    ] = None,
    card_copy: Annotated[Path | None, typer.Option(metavar="FILE", help="Write the same card there too.")] = None,
    threads: Threads = 0,
    quiet: Quiet = False,
) -> None:
    """Write one self-contained page on how far a model can be trusted, for people who are no experts."""
    if card_copy is not None and card is None:
        raise UsageError("--card-copy needs --card")
    with needs_extra("the report"):
        from mien import learn
        from mien.learn.audits.whole_audit import check_parts
    check_parts(part or (), robustness, explanations, collections)
    check_folders(output, card_copy or output)
    saved = {"predictions": predictions, "robustness": robustness, "explanations": explanations}
    found = learn.audit(
        model,
        data,
        folds=folds,
        fold=fold,
        parts=part or (),
        collections=collections,
        by=by,
        reference_fold=reference_fold,
        faces=faces,
        explained=explained,
        saved={name: file for name, file in saved.items() if file is not None},
        threads=threads,
        progress=bar(quiet),
        report=(lambda line: None if line in PARTS else note(line)) if quiet else note,
    )
    write(found.page, output)
    if card is not None:
        typer.echo(str(found.write_card(card, card_copy)))
