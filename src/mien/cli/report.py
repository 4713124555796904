"""`mien report`: all audits of a model, as one page."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeVar

import typer

from mien.cli.answers import answers
from mien.cli.learn import needs_extra, read_faces, writing
from mien.cli.written import write
from mien.errors import DataError, UsageError

if TYPE_CHECKING:
    from mien.estimate.bundle import Bundle
    from mien.learn.audits.explanations.explanation_report import ExplanationReport
    from mien.learn.audits.robustness.robustness_report import RobustnessReport
    from mien.learn.audits.trust_page import Section
    from mien.learn.data.manifest import Manifest
    from mien.learn.evaluation.home_and_abroad import Abroad

PARTS = ("accuracy", "calibration", "age-checks", "fairness", "robustness", "explanations", "speed")


def report(
    model: Annotated[str, typer.Argument(help="Name of a model or its folder.")],
    *,
    data: Annotated[Path, typer.Option(help="Labelled chips: a folder or a CSV table.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="HTML file to write.")],
    folds: Annotated[Path | None, typer.Option(help="CSV table of folds, and of labels if it has them.")] = None,
    fold: Annotated[
        str | None,
        typer.Option(help="Fold to measure on, or all.", show_default="test where the data have folds, else all"),
    ] = None,
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
        from mien.learn.audits.all_audits import Everything, groups_to_tell, lacking
        from mien.learn.audits.explanations.explanation_report import ExplanationReport
        from mien.learn.audits.robustness.robustness_report import RobustnessReport
    from mien.cores import physical_cores
    from mien.estimate import bundle

    wanted = part or list(PARTS)
    _check(wanted, output, (robustness, explanations, collections), card, card_copy)
    found = bundle.read(bundle.find(model))
    found.calibration()  # what is lacking is told before minutes of work rather than after them
    if part and "age-checks" in part:
        found.age_checks()
    people = read_faces(data, folds, fold, "test")
    groups = groups_to_tell(by, people)
    left_out = lacking(wanted, found, people, groups)
    for name, reason in left_out.items():
        typer.echo(f"mien: {name} is left out, since {reason}", err=True)
    chosen = [name for name in PARTS if name in wanted and name not in left_out]
    if not chosen:
        raise DataError(f"nothing of the report can be made of {data}")
    abroad = None if collections is None else _abroad(found, collections, threads, quiet)
    spoilt = None if robustness is None else _load(robustness, RobustnessReport, found.config.name)
    mapped = None if explanations is None else _load(explanations, ExplanationReport, found.config.name)
    _, measured, _ = answers(model, data, folds, fold, faces=people, saved=predictions, threads=threads, quiet=quiet)
    everything = Everything(found, measured, people, threads or physical_cores(), abroad=abroad)
    other = _reference_fold(data, folds, people, reference_fold) if "calibration" in chosen else None
    if other is not None:
        everything.reference = answers(model, data, folds, other, threads=threads, quiet=quiet)[1:]
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
    for name in chosen:
        if not quiet:
            typer.echo(f"mien: {name}", err=True)
        sections += makers[name]()
        if name == chosen[0]:
            sections += everything.home_and_abroad()
    named = f"{data.name}, fold {people.only_fold}" if people.only_fold else data.name
    write(everything.page(sections, named, left_out), output)
    if card is not None:
        with writing(found.folder):
            typer.echo(str(everything.card(card, groups, card_copy)))


def _check(
    parts: Sequence[str], output: Path, files: Sequence[Path | None], card: str | None, card_copy: Path | None
) -> None:
    """Names and places that cannot be, before minutes of work rather than after them."""
    for name in parts:
        if name not in PARTS:
            raise UsageError.unknown("part", name, PARTS)
    for file in files:
        if file is not None and not file.is_file():
            raise UsageError(f"there is no file {file}")
    if card_copy is not None and card is None:
        raise UsageError("--card-copy needs --card")
    for path in (output, card_copy or output):
        if not path.parent.is_dir():
            raise UsageError(f"there is no folder {path.parent} to save {path.name} in")


def _reference_fold(data: Path, folds: Path | None, faces: Manifest, asked: str | None) -> str | None:
    """The fold that intervals of constant width are learned from; None where the data have none for it."""
    from mien.learn.data.manifest import read

    if asked is not None or folds is not None:
        return asked or "val"
    there, measured = set(read(data).fold.tolist()), set(faces.fold.tolist())
    return "val" if "val" in there - measured else None


def _abroad(model: Bundle, file: Path, threads: int, quiet: bool) -> Abroad:
    """Figures of several collections, measured now or before."""
    from mien.cli.evaluate import How
    from mien.learn.evaluation.home_and_abroad import saved

    if file.suffix.lower() in {".yaml", ".yml"}:
        return How(model, threads=threads, quiet=quiet).several(file)
    return saved(file, model.config.name)


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
