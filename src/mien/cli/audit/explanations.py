"""`mien lab audit explanations`: whether what `mien explain` says can be trusted."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mien.cli.extras import needs_extra
from mien.cli.labelled import read_faces
from mien.cli.options import Data, Fold, Folds, MarkdownOrJson, ModelOrRun, Quiet, Threads
from mien.cli.output import check_folders
from mien.cli.predict.explain import FORMATS, METHODS
from mien.cli.process import say
from mien.errors import ModelError, UsageError

if TYPE_CHECKING:
    from mien.estimate.maps import MapMaker
    from mien.learn.audits.explanations.gradients import TorchModel
    from mien.learn.data.predictions import ChipEstimator


def explanations(
    model: ModelOrRun,
    *,
    data: Data,
    folds: Folds = None,
    fold: Fold = None,
    faces: Annotated[int, typer.Option(min=2, help="Measure on so many, chosen by age band and gender.")] = 500,
    methods: Annotated[
        list[str] | None,
        typer.Option(help=f"Of {', '.join(METHODS)}; with commas or repeated.", show_default="cam,occlusion"),
    ] = None,
    target: Annotated[str, typer.Option(help="What is explained: age or gender.")] = "age",
    seed: Annotated[int, typer.Option(help="Of the choice of faces, random maps and shuffled weights.")] = 0,
    form: MarkdownOrJson = "table",
    plot: Annotated[Path | None, typer.Option(help="Save the curves there, as PNG, SVG or PDF.")] = None,
    threads: Threads = 0,
    quiet: Quiet = False,
) -> None:
    """Measure whether answers change where the maps say, beside random maps and a blob in the middle."""
    from mien.cli.audit.robustness import open_model
    from mien.cli.progress import ProgressBar
    from mien.estimate.maps import check_target
    from mien.learn.audits.robustness.robustness_audit import stratified
    from mien.runtime.cores import physical_cores
    from mien.sinks.records import encode

    with needs_extra("the audit of explanations"):
        import torch

        from mien.learn.audits.explanations.explanation_audit import measure
        from mien.learn.audits.explanations.explanation_plots import plot as draw
    wanted = list(dict.fromkeys(name.strip() for text in methods or ["cam,occlusion"] for name in text.split(",")))
    check_target(target)
    for name in wanted:
        if name not in METHODS:
            raise UsageError.unknown("method", name, METHODS)
    if form not in FORMATS:
        raise UsageError.unknown("format", form, FORMATS)
    check_folders(plot)
    cores = threads or physical_cores()
    torch.set_num_threads(cores)
    fold = fold or ("test" if folds else None)
    some = stratified(read_faces(data, folds, fold), faces, seed)
    estimator, name, prepare = open_model(model, some)
    makers, shuffled = _makers(estimator, wanted)
    with ProgressBar(len(some), quiet=quiet) as bar:
        report = measure(
            estimator,
            makers,
            some,
            target=target,
            name=name,
            prepare=prepare,
            shuffled=shuffled,
            threads=cores,
            seed=seed,
            progress=bar.advance,
        )
    if plot is not None:
        draw(report).savefig(plot, dpi=150)
    if form == "json":
        record = report.to_dict()
        record["settings"] |= {"data": str(data), "folds": folds and str(folds), "fold": fold}
        typer.echo(encode(record).decode())
    else:
        typer.echo(report.to_markdown())


def _makers(
    estimator: ChipEstimator, methods: list[str]
) -> tuple[list[MapMaker], Callable[[str, int], MapMaker] | None]:
    """The methods for a model or a run, and for its network with shuffled weights if that can be had in torch."""
    from mien.estimate import explain
    from mien.estimate.estimator import Estimator
    from mien.learn.audits.explanations.gradients import METHODS as GRADIENT_METHODS
    from mien.learn.audits.explanations.gradients import TorchModel, make, of_model
    from mien.learn.comparison.score import RunEstimator

    network: TorchModel | None = None
    if isinstance(estimator, RunEstimator):
        network = TorchModel(estimator.net, estimator.contract)
    elif isinstance(estimator, Estimator):
        try:
            network = of_model(estimator)
        except ModelError as error:
            if set(methods) & set(GRADIENT_METHODS):
                raise
            say(f"no comparison with shuffled weights: {error}")
    makers = []
    for method in methods:
        in_torch = method in GRADIENT_METHODS or (method == "cam" and not isinstance(estimator, Estimator))
        if in_torch and network is not None:
            makers.append(make(network, method))
        else:
            makers.append(explain.make(estimator, method))
    if network is None:
        return makers, None
    plain, ready = network, {}

    def shuffled(method: str, seed: int) -> MapMaker:
        if seed not in ready:
            ready[seed] = plain.shuffled(seed)
        return make(ready[seed], method)

    return makers, shuffled
