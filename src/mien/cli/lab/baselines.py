"""`mien lab baseline`: the classical methods that the published systems compare themselves with."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from mien.cli.extras import needs_extra
from mien.cli.options import Data


def baseline(
    name: Annotated[
        str, typer.Argument(help="lbp-svm, haar-boost, mlp-pixels, eigenface or fisherface.", show_default=False)
    ],
    *,
    output: Annotated[
        Path | None, typer.Option(help="Folder of the run.", show_default="runs/ and the baseline's name")
    ] = None,
    data: Data = Path("$MIEN_DATA/data/utkface/images"),
    folds: Annotated[
        Path | None,
        typer.Option(
            help="CSV table of the folds train, val and test, and of labels if it has them.",
            show_default="splits.csv beside the data if it is there",
        ),
    ] = None,
    limit: Annotated[
        int | None, typer.Option(min=1, help="Use only the first so many faces of each fold: for trials.")
    ] = None,
    seed: Annotated[int, typer.Option(help="Of all chance in learning.")] = 0,
) -> None:
    """Train a classical method on the fold train, choose its settings on val, and predict test, for [b]compare[/b]."""
    with needs_extra("the baselines"):
        from mien.learn.baselines import create

        create(name)  # what it needs, or what is wrong with the name, is told before any data is read
        from mien.learn.baselines.baseline_run import FoldedData, run_baseline
        from mien.learn.recipe.data_root import located_path
    data = located_path(data)
    beside = data.parent / "splits.csv"
    source = FoldedData(data, folds or (beside if beside.is_file() else None), limit)
    record = run_baseline(
        name, output or Path("runs") / name, source, seed=seed, report=lambda line: typer.echo(line, err=True)
    )
    typer.echo(str(record))
