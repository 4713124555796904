"""`mien lab split`, `crossfit`, `slim`, `score` and `combine`: what comes before and after training runs."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Annotated

import typer

from mien.cli.extras import needs_extra
from mien.cli.labelled import read_faces, tell
from mien.cli.options import Data, DataRoot, Folds, RunOutput, Threads, TrainFold
from mien.cli.output import check_folders
from mien.errors import UsageError


def score(
    runs: Annotated[list[Path], typer.Argument(help="Folders of runs.")],
    fold: Annotated[str, typer.Option(help="Fold of the data the recipe validates on.")] = "test",
    threads: Threads = 0,
    time_only: Annotated[
        bool, typer.Option("--time-only", help="Only take the time for one chip again, e.g. on an idle machine.")
    ] = False,
) -> None:
    """Predict a fold with finished runs, for [b]compare[/b]: FOLD.parquet and run.json go into their folders.

    Of other folds than test the record is called run-FOLD.json; [b]compare[/b] reads that of test.
    """
    with needs_extra("scoring"):
        from mien.learn.comparison.score import retime
        from mien.learn.comparison.score import score as score_run
        from mien.learn.run_folder import RunFolder
    for run in runs:
        if time_only:
            typer.echo(f"{run}: {retime(run):.2f} ms")
            continue
        tell(f"{run}:")
        score_run(run, fold=fold, threads=threads, report=tell)
        typer.echo(str(RunFolder(run).record(fold)))


def combine(
    mode: Annotated[str, typer.Argument(help="pair, gated or mean.")],
    runs: Annotated[list[Path], typer.Argument(help="pair: AGE GENDER; gated: GATE WOMEN MEN; mean: any.")],
    output: RunOutput,
    title: Annotated[str, typer.Option(help="What to call it in tables.", show_default="the folder's name")] = "",
) -> None:
    """Make one network of several trained ones: one for each task, experts behind a gate, or an ensemble's mean."""
    with needs_extra("combining"):
        from mien.learn.networks.published.combination import ROLES
        from mien.learn.training.combine import combine_runs
    if mode not in ROLES:
        raise UsageError.unknown("mode", mode, ROLES)
    roles = ROLES[mode] or tuple(f"member{number}" for number in range(1, len(runs) + 1))
    if len(roles) != len(runs):
        raise UsageError(f"{mode} takes {len(roles)} runs ({', '.join(roles)}), not {len(runs)}")
    typer.echo(str(combine_runs(mode, dict(zip(roles, runs, strict=True)), output, title)))


def split(
    *,
    data: Data,
    into: Annotated[
        list[str], typer.Option(metavar="NAME=SHARE", help="A part and its share; once for each, to add up to 1.")
    ],
    output: Annotated[Path, typer.Option(help="CSV table to write, for --folds.")],
    folds: Folds = None,
    fold: Annotated[str | None, typer.Option(help="Cut this fold; the others stay.", show_default="all")] = None,
    seed: Annotated[int, typer.Option(help="Another seed, another cut.")] = 0,
) -> None:
    """Cut labelled faces into folds at random, pictures of one group ("twins") always together."""
    from mien.learn.data.folds import cut_folds, write

    shares: dict[str, float] = {}
    for part in into:
        name, _, share = part.rpartition("=")
        if not name or name in shares or not _is_number(share):
            raise UsageError(f"--into takes NAME=SHARE, each name once, e.g. train=0.8, not {part!r}")
        shares[name] = float(share)
    parts = cut_folds(read_faces(data, folds, None), shares, fold=fold, seed=seed)
    write(parts, output)
    for name in shares:
        tell(f"{name}: {int((parts.fold == name).sum())} faces")
    typer.echo(str(output))


def _is_number(text: str) -> bool:
    try:
        return math.isfinite(float(text))
    except ValueError:
        return False


def crossfit(
    start: Annotated[Path, typer.Argument(help="Weights of a backbone: a file, a model's folder, or its name.")],
    *,
    data: Annotated[
        Path | None,
        typer.Option(
            help="Labelled chips to answer for: a folder or a CSV table; needed without --recipe.", show_default=False
        ),
    ] = None,
    folds: Folds = None,
    fold: TrainFold = None,
    recipe: Annotated[
        str | None, typer.Option(help="Answer for all faces that this recipe trains on, each once, instead of --data.")
    ] = None,
    also: Annotated[Path | None, typer.Option(help="Further chips to answer for; their labels are not used.")] = None,
    output: Annotated[Path, typer.Option(help="Parquet file of the answers, for data.teacher of a recipe.")],
    size: Annotated[int, typer.Option(min=32, max=512, help="Side of the chips in pixels.")] = 192,
    parts: Annotated[int, typer.Option(min=2, help="Parts the faces are cut in, twins together.")] = 5,
    seeds: Annotated[int, typer.Option(min=1, help="Heads a part, averaged.")] = 3,
    threads: Threads = 0,
    data_root: DataRoot = None,
) -> None:
    """Answer for training faces by heads on frozen features that did not see them: a teacher, or a check of labels."""
    with needs_extra("cross-fitting"):
        from mien.learn.comparison.score import summary
        from mien.learn.data.selection import each_once
        from mien.learn.recipe import load_recipe, located
        from mien.learn.training.answering import cross_fitted

    if (data is None) == (recipe is None):
        raise UsageError("give the faces to answer for by --data or by --recipe, one of them")
    check_folders(output)
    if data is not None:
        taught = read_faces(data, folds, fold or ("train" if folds else None)).present()
    else:
        taught = each_once(located(load_recipe(str(recipe)), data_root).data.train)
    others = None if also is None else read_faces(also, None, None).present()
    answers, faces = cross_fitted(
        start, taught, others, size=size, parts=parts, seeds=seeds, threads=threads, report=tell
    )
    answers.save(output)
    tell(summary(answers, faces))
    typer.echo(str(output))


def slim(
    start: Annotated[Path, typer.Argument(help="The wide network: a run, a model's folder or its name.")],
    *,
    data: Annotated[Path, typer.Option(help="Chips to fit to; their labels are not used.")],
    folds: Annotated[Path | None, typer.Option(help="CSV table of folds.")] = None,
    fold: TrainFold = None,
    output: Annotated[Path, typer.Option(help="Weights of the narrow network, for model.init of a recipe.")],
    recipe: Annotated[
        str,
        typer.Option(
            help="Recipe to make start weights for: its model.size, and width, front and ranks of its options."
        ),
    ],
    faces: Annotated[int, typer.Option(min=1, help="How many chips, at random.")] = 2000,
    threads: Threads = 0,
) -> None:
    """Make a small network of a large one, fitted layer by layer to real chips: where a small model starts."""
    with needs_extra("slimming"):
        from mien.learn.training.slimming import check_slim, slim_weights

    model = check_slim(recipe)
    check_folders(output)
    chips = read_faces(data, folds, fold or ("train" if folds else None))
    tell(f"fitted to {slim_weights(start, model, chips, output, faces=faces, threads=threads, report=tell)} chips")
    typer.echo(str(output))
