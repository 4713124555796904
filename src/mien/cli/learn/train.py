"""`mien train`, `calibrate`, `export`, `card`: how a model comes to be. What it is worth says `mien evaluate`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from mien.cli.closing import close_with
from mien.cli.extras import needs_extra
from mien.cli.labelled import bar, note, tell
from mien.cli.options import DataRoot, Folds, Model, Quiet, RunOutput, Threads
from mien.cli.output import writing
from mien.errors import DataError


def train(
    recipe: Annotated[
        str,
        typer.Argument(
            help="Name of a recipe, or of a model made in steps (mien-m, mien-s); or a YAML file of either."
        ),
    ],
    *,
    settings: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="Change a setting of the recipe, or of that of each step."),
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
        Path | None,
        typer.Option(
            help="Folder of the run; of a model made in steps, of all its results.",
            show_default="runs/ and the recipe's name; runs for steps",
        ),
    ] = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on after the last finished epoch; steps always do.")
    ] = False,
    until: Annotated[
        str | None, typer.Option(metavar="STEP", help="Of a model made in steps, the last one to do.")
    ] = None,
    data_root: DataRoot = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", "--steps", help="List the steps of a model, and which are done.")
    ] = False,
) -> None:
    """Train a recipe, or do all steps of a model that takes several, e.g. mien-m; progress goes to standard error."""
    from mien import learn

    if dry_run:
        typer.echo("\n".join(learn.steps(recipe, output, settings=settings or ())))
        return
    made = learn.train(
        recipe,
        output,
        settings=settings or (),
        init=init,
        resume=resume,
        until=until,
        data_root=data_root,
        report=tell,
    )
    from mien.learn.training.loop import is_main

    if is_main():
        typer.echo(str(made))
    else:
        close_with("")


def average(
    runs: Annotated[list[Path], typer.Argument(help="Folders of runs that [b]mien train[/b] made from one start.")],
    output: RunOutput,
    size: Annotated[
        int | None,
        typer.Option(min=32, max=512, help="Side of the new run's chips, in pixels.", show_default="the last run's"),
    ] = None,
) -> None:
    """Average the weights of runs: part of an ensemble's accuracy at the cost of one network."""
    from mien import learn

    typer.echo(str(learn.average(runs, output, size=size)))


def export(
    run: Annotated[Path, typer.Argument(help="Folder of a run that [b]mien train[/b] made.")],
    output: Annotated[Path, typer.Option(help="Folder of the new model.")],
    name: Annotated[str | None, typer.Option(help="Name of the model.", show_default="the recipe's")] = None,
    stored: Annotated[
        str, typer.Option(help="Type the weights are stored in, float16 or float32; they compute in float32.")
    ] = "float16",
) -> None:
    """Turn a training run into a model that [b]mien predict --model FOLDER[/b] can use."""
    from mien import learn

    typer.echo(str(learn.export(run, output, name=name, stored=stored)))


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
            help="Answers for training faces by models that did not see them ([b]mien lab crossfit[/b]): age checks "
            "are learned from these, since a fold holds few faces near each limit.",
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
    quiet: Quiet = False,
) -> None:
    """Learn temperatures, interval masses and age checks from held-out chips and write them into the model's folder."""
    from mien import learn

    learned = learn.calibrate(
        model,
        data,
        folds=folds,
        fold=fold,
        collections=collections,
        cross_fitted=cross_fitted,
        temperatures=temperatures,
        age_checks=checking,
        threads=threads,
        progress=bar(quiet),
        report=note,
    )
    typer.echo(json.dumps(learned.calibration.to_dict()))


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
    from mien.learn.audits.model_card import write_card

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
