"""`mien report`: all audits of a model, as one page."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeVar

import typer

from mien.cli.answers import answers
from mien.cli.learn import needs_extra, writing
from mien.cli.written import write
from mien.errors import DataError, UsageError

if TYPE_CHECKING:
    from mien.learn.audit.explanations_report import ExplanationReport
    from mien.learn.audit.trust import Section
    from mien.learn.robustness_report import RobustnessReport

PARTS = ("accuracy", "calibration", "age-checks", "fairness", "robustness", "explanations", "speed")


def report(
    model: Annotated[str, typer.Argument(help="Name of a model or its folder.")],
    *,
    data: Annotated[Path, typer.Option(help="Labelled chips: a folder or a CSV table.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="HTML file to write.")],
    folds: Annotated[Path | None, typer.Option(help="CSV table of folds, and of labels if it has them.")] = None,
    fold: Annotated[
        str | None, typer.Option(help="Fold to measure on.", show_default="test with --folds, else all pictures")
    ] = None,
    part: Annotated[
        list[str] | None,
        typer.Option("--part", help=f"Of {', '.join(PARTS)}; may be repeated.", show_default="all"),
    ] = None,
    by: Annotated[
        list[str] | None, typer.Option(help="Groups of the fairness audit.", show_default="race, gender, age-band")
    ] = None,
    reference_fold: Annotated[
        str | None,
        typer.Option(help="Fold that intervals of constant width are learned from.", show_default="val with --folds"),
    ] = None,
    faces: Annotated[int, typer.Option(min=1, help="Faces of the audit of bad pictures.")] = 1000,
    explained: Annotated[int, typer.Option(min=1, help="Faces of the audit of explanations.")] = 500,
    predictions: Annotated[
        Path | None, typer.Option(help="Answers saved by [b]mien evaluate --predictions[/b] for that fold.")
    ] = None,
    robustness: Annotated[
        Path | None,
        typer.Option(
            help="What [b]mien audit robustness --format json[/b] printed for the model: it need not be measured again."
        ),
    ] = None,
    explanations: Annotated[
        Path | None, typer.Option(help="The same of [b]mien audit explanations --format json[/b].")
    ] = None,
    card: Annotated[
        str | None,
        typer.Option(
            metavar="WORDS", help="Also write the model's card, README.md in its folder; say what it was measured on."
        ),
    ] = None,
    card_copy: Annotated[Path | None, typer.Option(metavar="FILE", help="Write the same card there too.")] = None,
    threads: Annotated[int, typer.Option(min=0, help="Cores to use; 0 for all.")] = 0,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No progress bar.")] = False,
) -> None:
    """Write one self-contained page on how far a model can be trusted, for people who are no experts."""
    with needs_extra("the report"):
        from mien.learn.audit.everything import Everything
        from mien.learn.audit.explanations_report import ExplanationReport
        from mien.learn.robustness_report import RobustnessReport
    from mien.cores import physical_cores
    from mien.estimate import bundle

    chosen = part or list(PARTS)
    for name in chosen:
        if name not in PARTS:
            raise UsageError.unknown("part", name, PARTS)
    for file in (robustness, explanations):
        if file is not None and not file.is_file():
            raise UsageError(f"there is no file {file}")
    if card_copy is not None and card is None:
        raise UsageError("--card-copy needs --card")
    for path in (output, card_copy or output):
        if not path.parent.is_dir():
            raise UsageError(f"there is no folder {path.parent} to save {path.name} in")
    found = bundle.read(bundle.find(model))
    found.calibration()  # what is lacking is told before minutes of work rather than after them
    if "age-checks" in chosen:
        found.age_checks()
    fold = fold or ("test" if folds else None)
    _, measured, people = answers(model, data, folds, fold, saved=predictions, threads=threads, quiet=quiet)
    everything = Everything(found, measured, people, threads or physical_cores())
    if "calibration" in chosen and (reference_fold or folds):
        _, reference, others = answers(model, data, folds, reference_fold or "val", threads=threads, quiet=quiet)
        everything.reference = reference, others
    spoilt = None if robustness is None else _load(robustness, RobustnessReport, found.config.name)
    mapped = None if explanations is None else _load(explanations, ExplanationReport, found.config.name)
    groups = by or ["race", "gender", "age-band"]
    makers = {
        "accuracy": everything.accuracy,
        "calibration": everything.calibration,
        "age-checks": everything.age_checks,
        "fairness": lambda: everything.fairness(groups),
        "robustness": lambda: everything.robustness(faces, spoilt),
        "explanations": lambda: everything.explanations(explained, mapped),
        "speed": everything.speed,
    }
    sections: list[Section] = []
    for name in (name for name in PARTS if name in chosen):
        if not quiet:
            typer.echo(f"mien: {name}", err=True)
        sections += makers[name]()
    page = everything.page(sections, f"{data.name}, fold {fold}" if fold else data.name)
    write(page, output)
    if card is not None:
        with writing(found.folder):
            typer.echo(str(everything.card(card, groups, card_copy)))


Audit = TypeVar("Audit", "RobustnessReport", "ExplanationReport")


def _load(file: Path, kind: type[Audit], model: str) -> Audit:
    """A saved audit of this model."""
    import json

    try:
        found = kind.from_dict(json.loads(file.read_text(encoding="utf-8")))
    except (DataError, ValueError) as error:
        raise DataError(f"{file} cannot be used: {error}") from error
    if found.model != model:
        raise DataError(f"{file} is an audit of {found.model!r}, not of {model!r}")
    return found
