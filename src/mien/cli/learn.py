"""`mien train`, `calibrate`, `export`, `card`: how a model comes to be. What it is worth says `mien evaluate`."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mien.cli.closing import close_with
from mien.errors import DataError, MissingExtra, ModelError, UsageError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from mien.learn.data.manifest import Manifest
    from mien.learn.evaluation.held_out import Learned

TRAIN_PACKAGES = frozenset(
    {
        "torch",
        "accelerate",
        "safetensors",
        "onnx",
        "pydantic",
        "yaml",
        "pyarrow",
        "matplotlib",
        "sklearn",
        "skimage",
        "scipy",
        "jinja2",
    }
)

Model = Annotated[str, typer.Argument(help="Name of a model or its folder.")]
Data = Annotated[Path, typer.Option(help="Labelled chips: a folder or a CSV table.")]
Folds = Annotated[Path | None, typer.Option(help="CSV table of folds, and of labels if it has them.")]
Threads = Annotated[int, typer.Option(min=0, help="Cores to use; 0 for all.")]


def train(
    recipe: Annotated[str, typer.Argument(help="Name of a recipe or a YAML file.")],
    settings: Annotated[
        list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Change a setting of the recipe.")
    ] = None,
    init: Annotated[
        Path | None,
        typer.Option(
            metavar="START",
            help="Start weights: the folder of a run or of a model, a model's name, or a safetensors file. Tensors "
            "that fit by name and shape are taken; at least half of the trunk must fit. Sets model.init.",
            show_default="the recipe's",
        ),
    ] = None,
    output: Annotated[
        Path | None, typer.Option(help="Folder of the run.", show_default="runs/ and the recipe's name")
    ] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on after the last finished epoch.")] = False,
) -> None:
    """Train a model as a recipe says; progress goes to standard error."""
    with needs_extra("training"):
        from mien.learn.recipe import load_recipe
        from mien.learn.training.loop import is_main, run
    plan = load_recipe(recipe, settings or [])
    if init is not None:
        plan = plan.model_copy(update={"model": plan.model.model_copy(update={"init": init})})
    weights = run(
        plan, output or Path("runs") / plan.name, resume=resume, report=lambda line: typer.echo(line, err=True)
    )
    if is_main():
        typer.echo(str(weights))
    else:
        close_with("")


def average(
    runs: Annotated[list[Path], typer.Argument(help="Folders of runs that [b]mien train[/b] made from one start.")],
    output: Annotated[Path, typer.Option(help="Folder of the new run.")],
    size: Annotated[
        int | None,
        typer.Option(min=32, max=512, help="Side of the new run's chips, in pixels.", show_default="the last run's"),
    ] = None,
) -> None:
    """Average the weights of runs: part of an ensemble's accuracy at the cost of one network."""
    with needs_extra("averaging"):
        from mien.learn.training.average import average_runs
    typer.echo(str(average_runs(runs, output, size=size)))


def export(
    run: Annotated[Path, typer.Argument(help="Folder of a run that [b]mien train[/b] made.")],
    output: Annotated[Path, typer.Option(help="Folder of the new model.")],
    name: Annotated[str | None, typer.Option(help="Name of the model.", show_default="the recipe's")] = None,
    stored: Annotated[
        str, typer.Option(help="Type the weights are stored in, float16 or float32; they compute in float32.")
    ] = "float16",
) -> None:
    """Turn a training run into a model that [b]mien predict --model FOLDER[/b] can use."""
    with needs_extra("exporting"):
        from mien.learn.export.bundle import DTYPES, export_run
    if stored not in DTYPES:
        raise UsageError.unknown("type", stored, DTYPES)
    typer.echo(str(export_run(run, output, name, dtype=stored)))


def calibrate(
    model: Model,
    *,
    data: Annotated[
        Path | None,
        typer.Option(help="Labelled chips: a folder or a CSV table; needed without --collections.", show_default=False),
    ] = None,
    folds: Folds = None,
    fold: Annotated[
        str | None, typer.Option(help="Fold to learn from: never one trained on.", show_default="val with --folds")
    ] = None,
    collections: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Learn from several collections that count alike, instead of --data: YAML, the folds that each lets "
            "choose (see docs/training.md).",
        ),
    ] = None,
    cross_fitted: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Answers for training faces by models that did not see them ([b]mien crossfit[/b]): age checks are "
            "learned from these, since a fold holds few faces near each limit.",
        ),
    ] = None,
    temperatures: Annotated[
        bool,
        typer.Option(
            "--temperatures/--no-temperatures",
            help="Learn how sure the model is of its answers, or only how wide its intervals must be: where the faces "
            "are easier than those it will see.",
        ),
    ] = True,
    checking: Annotated[
        bool,
        typer.Option(
            "--age-checks/--no-age-checks",
            help="Learn thresholds of age checks too, or leave the model without any: where ages are known only "
            "within bounds, or nobody is near the limits that matter.",
        ),
    ] = True,
    threads: Threads = 0,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No progress bar.")] = False,
) -> None:
    """Learn temperatures, interval masses and age checks from held-out chips and write them into the model's folder."""
    from mien.cli.progress import ProgressBar
    from mien.cores import physical_cores
    from mien.estimate import bundle
    from mien.estimate.estimator import Estimator
    from mien.learn.evaluation import age_check_thresholds, held_out

    found = bundle.read(bundle.find(model))
    cores = threads or physical_cores()
    raw = Estimator(replace(found, config=replace(found.config, calibration=None)), threads=cores)
    parts = _to_calibrate_on(data, folds, fold, collections)
    pictures = sum(held_out.pictures(faces, temperatures=temperatures) for faces in parts.values())
    with ProgressBar(pictures, quiet=quiet) as bar:
        learned = held_out.learn(
            raw, list(parts.values()), temperatures=temperatures, threads=cores, progress=bar.advance
        )
    for name, share in zip(parts, learned.held, strict=True):
        if share is not None and len(parts) > 1:
            typer.echo(f"{name}: 90 % intervals hold {share:.1%}", err=True)
    checks = None
    if checking:
        try:
            pmf, ages, source = _checked_on(learned, cross_fitted, data, folds, collections)
            checks = age_check_thresholds.fit(pmf, ages, source=source)
        except DataError as error:
            typer.echo(
                f"mien: no age checks: {error}. Give more faces, or the training faces by --cross-fitted (mien "
                "crossfit); all else is learned and written, and check-age alone will not work with this model",
                err=True,
            )
    with writing(found.folder):
        bundle.write_config(found.folder, replace(found.config, calibration=learned.calibration))
        if checks is not None:
            bundle.write_age_checks(found.folder, checks)
        elif not checking:
            (found.folder / bundle.AGE_CHECKS).unlink(missing_ok=True)  # of an earlier calibration
    typer.echo(json.dumps(learned.calibration.to_dict()))


def _to_calibrate_on(
    data: Path | None, folds: Path | None, fold: str | None, collections: Path | None
) -> dict[str, Manifest]:
    """The faces of each collection, by name."""
    if (data is None) == (collections is None):
        raise UsageError("give the faces to learn from by --data or by --collections, one of them")
    if data is not None:
        return {"": read_faces(data, folds, fold, "val")}
    from mien.learn.evaluation.collection import load, parts

    assert collections is not None
    chosen = [part for part in parts(load(collections), choosing=True) if part.collection.kind == "chips"]
    if not chosen:
        raise UsageError(f"no collection of chips in {collections} has folds that may choose")
    return {part.name: part.faces for part in chosen}


def _checked_on(
    learned: Learned, cross_fitted: Path | None, data: Path | None, folds: Path | None, collections: Path | None
) -> tuple[NDArray[np.float32], NDArray[np.float32], str]:
    """Calibrated age distributions, ages, and in words what they are: what age checks are learned from."""
    from mien.learn.data.manifest import read
    from mien.learn.data.predictions import Predictions
    from mien.learn.evaluation import held_out
    from mien.learn.evaluation.calibration import fit
    from mien.learn.evaluation.collection import load

    if cross_fitted is None:
        faces, calibration, source = learned.answered, learned.calibration, "held-out faces"
    else:
        pictures = [(data, folds)] if data is not None else []
        if collections is not None:
            pictures = list(dict.fromkeys((one.data, one.folds) for one in load(collections).values() if one.choose))
        answers = Predictions.load(cross_fitted)
        faces = held_out.answered([(answers, read(*where)) for where in pictures])
        calibration, source = fit(faces.pmf, faces.female, faces.ages, faces.is_female), "cross-fitted training faces"
    return calibration.apply(faces.pmf, faces.female)[0], faces.ages, f"{len(faces)} {source}"


def card(
    model: Model,
    *,
    evaluation: Annotated[Path, typer.Option(help="What [b]mien evaluate --format json[/b] printed for it.")],
    on: Annotated[str, typer.Option(help="What it was evaluated on, in words.")],
    collections: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="What [b]mien evaluate --collections --format json[/b] printed for it: home and abroad.",
        ),
    ] = None,
    copy: Annotated[Path | None, typer.Option(metavar="FILE", help="Write the same card there too.")] = None,
) -> None:
    """Write the model's card, README.md in its folder, and its chief figures from an evaluation."""
    from mien.estimate import bundle
    from mien.learn.audits.card import write_card

    folder = bundle.find(model)
    more = None
    if collections is not None:
        with needs_extra("collections"):
            from mien.learn.evaluation.home_and_abroad import saved
        more = {"Home and abroad": saved(collections, bundle.read(folder).config.name).for_card()}
    try:
        report = json.loads(evaluation.read_text(encoding="utf-8"))
        with writing(folder):
            typer.echo(str(write_card(folder, report, on, more, copy=copy)))
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise DataError(f"{evaluation} is not what mien evaluate --format json prints: {error!r}") from error


def read_faces(
    data: Path, folds: Path | None, fold: str | None, usual: str | None = None, *, only: str | None = None
) -> Manifest:
    """The pictures of one fold; what is odd about the data, or that the fold was not asked for, goes to standard error.

    Args:
        data: a folder or a table.
        folds: table of folds.
        fold: which to take; "all" for all of them; None: the usual one where the data have it, else all.
        usual: the fold for the purpose, if there is one.
        only: of a table the rows of this source.

    Raises:
        UsageError: there is no such fold or source, or a table of folds lacks the usual fold.
    """
    from mien.learn.data.folds import usual_fold
    from mien.learn.data.manifest import read

    faces = read(data, folds)
    if only is not None:
        faces = faces.of_source(only)
    taken = usual_fold(faces, fold or (usual if folds else None), usual)
    there = sorted(set(faces.fold.tolist()) - {""})
    listed = len(faces)
    if taken is not None:
        faces = faces.select(fold=taken)
    if usual and fold is None and folds is None and there:
        named = (
            f"fold {taken}, {len(faces)} of {listed} pictures"
            if taken
            else f"all {listed} pictures, folds {_listed(there)}"
        )
        typer.echo(f"mien: {named} of {data} (choose with --fold, all for all)", err=True)
    if faces.problems:
        typer.echo(f"mien: {len(faces.problems)} problems in the data, first: {faces.problems[0]}", err=True)
    return faces


def _listed(names: list[str]) -> str:
    """Names with commas and an "and"."""
    return " and ".join(filter(None, (", ".join(names[:-1]), names[-1])))


@contextmanager
def writing(folder: Path) -> Iterator[None]:
    """Around changes of a model."""
    try:
        yield
    except OSError as error:
        raise ModelError(f"cannot write to {folder}: {error.strerror}") from error


@contextmanager
def needs_extra(feature: str) -> Iterator[None]:
    """Around imports that need the extra "train"."""
    try:
        yield
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] not in TRAIN_PACKAGES:
            raise
        raise MissingExtra.named(feature, "train") from error
