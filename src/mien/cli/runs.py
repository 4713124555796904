"""`mien split`, `crossfit`, `slim`, `score` and `combine`: what comes before and after training runs."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mien.cli.learn import needs_extra, read_faces
from mien.errors import DataError, PhotoError, UsageError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from mien.learn.data.manifest import Manifest

Threads = Annotated[int, typer.Option(min=0, help="Cores to use; 0 for all.")]


def _tell(line: str) -> None:
    typer.echo(line, err=True)


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
        from mien.learn.comparison.score import record_of, retime
        from mien.learn.comparison.score import score as score_run
    for run in runs:
        if time_only:
            typer.echo(f"{run}: {retime(run):.2f} ms")
            continue
        _tell(f"{run}:")
        score_run(run, fold=fold, threads=threads, report=_tell)
        typer.echo(str(record_of(run, fold)))


def combine(
    mode: Annotated[str, typer.Argument(help="pair, gated or mean.")],
    runs: Annotated[list[Path], typer.Argument(help="pair: AGE GENDER; gated: GATE WOMEN MEN; mean: any.")],
    output: Annotated[Path, typer.Option(help="Folder of the new run.")],
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
    data: Annotated[Path, typer.Option(help="Labelled chips: a folder or a CSV table.")],
    into: Annotated[
        list[str], typer.Option(metavar="NAME=SHARE", help="A part and its share; once for each, to add up to 1.")
    ],
    output: Annotated[Path, typer.Option(help="CSV table to write, for --folds.")],
    folds: Annotated[Path | None, typer.Option(help="CSV table of folds, and of labels if it has them.")] = None,
    fold: Annotated[str | None, typer.Option(help="Cut this fold; the others stay.", show_default="all")] = None,
    seed: Annotated[int, typer.Option(help="Another seed, another cut.")] = 0,
) -> None:
    """Cut labelled faces into folds at random, pictures of one group ("twins") always together."""
    from mien.learn.data.folds import cut, write

    shares: dict[str, float] = {}
    for part in into:
        name, _, share = part.rpartition("=")
        if not name or name in shares or not _is_number(share):
            raise UsageError(f"--into takes NAME=SHARE, each name once, e.g. train=0.8, not {part!r}")
        shares[name] = float(share)
    parts = cut(read_faces(data, folds, None), shares, fold=fold, seed=seed)
    write(parts, output)
    for name in shares:
        _tell(f"{name}: {int((parts.fold == name).sum())} faces")
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
    folds: Annotated[Path | None, typer.Option(help="CSV table of folds, and of labels if it has them.")] = None,
    fold: Annotated[str | None, typer.Option(help="Fold to take.", show_default="train with --folds")] = None,
    recipe: Annotated[
        str | None, typer.Option(help="Answer for all faces that this recipe trains on, each once, instead of --data.")
    ] = None,
    also: Annotated[Path | None, typer.Option(help="Further chips to answer for; their labels are not used.")] = None,
    output: Annotated[Path, typer.Option(help="Parquet file of the answers, for data.teacher of a recipe.")],
    size: Annotated[int, typer.Option(min=32, max=512, help="Side of the chips in pixels.")] = 192,
    parts: Annotated[int, typer.Option(min=2, help="Parts the faces are cut in, twins together.")] = 5,
    seeds: Annotated[int, typer.Option(min=1, help="Heads a part, averaged.")] = 3,
    threads: Threads = 0,
) -> None:
    """Answer for training faces by heads on frozen features that did not see them: a teacher, or a check of labels."""
    with needs_extra("cross-fitting"):
        from mien.learn.comparison.score import summary
        from mien.learn.data.selection import each_once
        from mien.learn.networks.build import build
        from mien.learn.networks.heads import AgeGenderNet
        from mien.learn.recipe import Model, load_recipe
        from mien.learn.training import crossfit as fitting
    from mien.cores import physical_cores
    from mien.learn.data.manifest import Manifest

    if (data is None) == (recipe is None):
        raise UsageError("give the faces to answer for by --data or by --recipe, one of them")
    if not output.parent.is_dir():
        raise UsageError(f"there is no folder {output.parent} to save answers in")
    net = build(Model(init=start, size=size), _tell)
    assert isinstance(net, AgeGenderNet)
    cores = threads or physical_cores()
    sets: list[Manifest] = []
    if recipe is not None:
        sets.append(each_once(load_recipe(recipe).data.train))
    elif data is not None:
        sets.append(read_faces(data, folds, fold or ("train" if folds else None)).present())
    sets += [] if also is None else [read_faces(also, None, None).present()]
    faces = [fitting.extract(net, manifest, size, threads=cores) for manifest in sets]
    answers = fitting.crossfit(*faces, parts=parts, seeds=seeds, report=_tell)
    answers.save(output)
    _tell(summary(answers, Manifest.concatenate([part.manifest for part in faces])))
    typer.echo(str(output))


def slim(
    start: Annotated[Path, typer.Argument(help="The wide network: a run, a model's folder or its name.")],
    *,
    data: Annotated[Path, typer.Option(help="Chips to fit to; their labels are not used.")],
    folds: Annotated[Path | None, typer.Option(help="CSV table of folds.")] = None,
    fold: Annotated[str | None, typer.Option(help="Fold to take.", show_default="train with --folds")] = None,
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
        import torch
        from safetensors.torch import save_file

        from mien.learn.networks.build import build, build_empty
        from mien.learn.networks.heads import AgeGenderNet
        from mien.learn.networks.low_rank import slim as slim_network
        from mien.learn.recipe import Model, load_recipe
    from mien.cores import physical_cores

    model = load_recipe(recipe).model
    if model.network != "mobilenet-v1":
        raise UsageError(f"recipe {recipe} is not for a network that mien slim makes, mobilenet-v1: name another one")
    build_empty(model)  # options that it cannot have are told before any picture is read
    if not output.parent.is_dir():
        raise UsageError(f"there is no folder {output.parent} to save weights in")
    wide = build(Model(init=start, size=model.size), _tell)
    assert isinstance(wide, AgeGenderNet)
    cores = threads or physical_cores()
    torch.set_num_threads(cores)
    chips = _chips(read_faces(data, folds, fold or ("train" if folds else None)), faces, model.size, cores)
    shape = {name: model.options.get(name, ()) for name in ("front", "ranks")}
    narrow = slim_network(wide.eval(), model.options.get("width", 1.0), torch.from_numpy(chips), **shape)
    save_file(narrow.state_dict(), output)
    _tell(f"fitted to {len(chips)} chips")
    typer.echo(str(output))


def _chips(manifest: Manifest, faces: int, size: int, threads: int) -> NDArray[np.uint8]:
    """Some chips of a manifest at random, [N, size, size, 3]."""
    import numpy as np

    from mien.faces.align import CropContract, resize_chip
    from mien.learn.data.predictions import each_picture

    contract = CropContract.utkface(size)
    present = manifest.present()
    some = present.take(np.random.default_rng(0).permutation(len(present))[:faces])
    pictures = each_picture(some, lambda file, pixels: resize_chip(pixels, contract), threads)
    read = [chip for _, chip in pictures if not isinstance(chip, PhotoError)]
    if not read:
        raise DataError("there is no chip to fit to: none of the pictures can be read")
    return np.stack(read)
