"""`mien lab audit calibration`: whether a model's age intervals and its gender's probability can be believed."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mien.cli.audit.answers import answers
from mien.cli.options import Data, Folds, MinFaces, Model, OutputFile, Predictions, Quiet, Threads
from mien.cli.output import check_folders, write
from mien.errors import DataError, MissingExtra, UsageError

if TYPE_CHECKING:
    from mien.learn.audits.calibration.calibration_report import CalibrationReport
    from mien.learn.data.manifest import Manifest

FORMATS = ("table", "json", "html")


def calibration(
    model: Model,
    *,
    data: Data,
    folds: Folds = None,
    fold: Annotated[
        str | None,
        typer.Option(
            help="Fold to measure on: not that of [b]mien calibrate[/b].",
            show_default="test where the data have folds, else all",
        ),
    ] = None,
    predictions: Predictions = None,
    reference_fold: Annotated[
        str | None,
        typer.Option(
            help="Fold from which intervals of constant width are learned, to compare with.",
            show_default="val, if there is such a fold",
        ),
    ] = None,
    reference_predictions: Annotated[
        Path | None, typer.Option(help="Saved answers for that fold, so that the model need not run.")
    ] = None,
    level: Annotated[float, typer.Option(help="Share of true ages that the intervals are to hold.")] = 0.9,
    min_faces: MinFaces = 30,
    form: Annotated[str, typer.Option("--format", help="table (Markdown), json or html.")] = "table",
    output: OutputFile = None,
    threads: Threads = 0,
    quiet: Quiet = False,
) -> None:
    """Hold a model's age intervals and its gender's probability against labels that it did not learn from."""
    from mien.estimate import bundle
    from mien.learn.audits.calibration.calibration_audit import ConstantWidth, measure

    if form not in FORMATS:
        raise UsageError.unknown("format", form, FORMATS)
    if not 0 < level < 1:
        raise UsageError(f"--level must lie between 0 and 1, not {level}")
    check_folders(output)
    learned = bundle.read(bundle.find(model)).calibration()
    fold = fold or ("test" if folds else None)
    other = _reference_fold(data, folds, fold, reference_fold, reference_predictions)
    _, found, faces = answers(model, data, folds, fold, saved=predictions, threads=threads, quiet=quiet)
    reference = None
    if other is not None:
        _, held_out, others = answers(
            model, data, folds, other, saved=reference_predictions, threads=threads, quiet=quiet
        )
        _check_apart(faces, others, other)
        reference = ConstantWidth.learn(held_out, others, level)
    report = measure(found, faces, learned, level=level, reference=reference, min_faces=min_faces)
    told = {
        "data": data,
        "folds": folds,
        "fold": fold,
        "predictions": predictions,
        "reference-fold": other,
        "reference-predictions": reference_predictions,
    }
    write(_text(report, model, told, form, level), output)


def _reference_fold(
    data: Path, folds: Path | None, fold: str | None, asked: str | None, saved: Path | None
) -> str | None:
    """The fold to learn a constant width from; None: there is none, and none was asked for."""
    from mien.learn.data.folds import ALL
    from mien.learn.data.readers import read

    if asked is None:
        there = set(read(data, folds).fold.tolist())
        asked = "val" if "val" in there and fold not in (None, ALL, "val") else None
    if asked is None and saved is not None:
        raise UsageError("--reference-predictions needs --reference-fold, which says whose answers they are")
    if asked is not None and asked == fold:
        raise UsageError(f"the reference fold must not be the one that is measured: both are {fold!r}")
    return asked


def _check_apart(faces: Manifest, others: Manifest, name: str) -> None:
    shared = set(faces.files.tolist()) & set(others.files.tolist())
    if shared:
        raise DataError(
            f"{len(shared)} faces are both measured and in the reference fold {name!r} (e.g. {min(shared)}): name a "
            "fold with --fold"
        )


def _text(report: CalibrationReport, model: str, told: Mapping[str, object], form: str, level: float) -> str:
    from mien.sinks.records import encode

    if form == "table":
        return report.to_markdown()
    if form == "json":
        record = report.to_dict()
        record["settings"] |= {name.replace("-", "_"): value and str(value) for name, value in told.items()}
        return encode(record).decode()
    try:
        from mien.learn.audits.calibration.calibration_page import to_html
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] not in {"matplotlib", "jinja2"}:
            raise
        raise MissingExtra.named("the page", "train") from error
    words = ["mien", "lab", "audit", "calibration", model]
    for name, value in {**told, "level": level}.items():
        words += [] if value is None else [f"--{name}", str(value)]
    return to_html(report, shlex.join(words))
