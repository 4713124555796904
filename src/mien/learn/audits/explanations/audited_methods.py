"""The audit of explanations of one model: its methods by name, and beside them its network with shuffled weights."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import torch

from mien.errors import ModelError, UsageError
from mien.estimate import explain
from mien.estimate.estimator import Estimator
from mien.estimate.maps import MapMaker
from mien.learn.audits.explanations import gradients
from mien.learn.audits.explanations.explanation_audit import Shuffled, measure
from mien.learn.audits.explanations.explanation_report import ExplanationReport
from mien.learn.audits.explanations.gradients import TorchModel
from mien.learn.audits.opened_model import OpenedModel
from mien.learn.comparison.score import RunEstimator
from mien.learn.data.counting import Report, unheard
from mien.learn.data.manifest import Manifest
from mien.learn.data.predictions import ChipEstimator
from mien.runtime.cores import physical_cores


def check_methods(names: Sequence[str]) -> None:
    """Refuse what is none of `mien.learn.audits.explanations.gradients.ALL_METHODS`.

    Raises:
        UsageError: one of them is unknown.
    """
    for name in names:
        if name not in gradients.ALL_METHODS:
            raise UsageError.unknown("method", name, gradients.ALL_METHODS)


def audit_explanations(
    model: OpenedModel,
    faces: Manifest,
    methods: Sequence[str] = ("cam", "occlusion"),
    *,
    target: str = "age",
    threads: int = 0,
    seed: int = 0,
    progress: Callable[[int], None] = lambda done: None,
    report: Report = unheard,
) -> ExplanationReport:
    """Measure whether a model's answers change where its maps say, beside random maps and a blob in the middle.

    Args:
        model: what is explained.
        faces: chips, e.g. from `mien.learn.audits.robustness.robustness_audit.stratified`.
        methods: of `mien.learn.audits.explanations.gradients.ALL_METHODS`.
        target: "age" or "gender".
        threads: cores to use; 0 for all.
        seed: of random maps and shuffled weights.
        progress: told of each face that is done.
        report: told where the network cannot be had in torch, so that nothing can be shuffled.

    Raises:
        UsageError: an unknown method or target.
        DataError: no picture can be read.
        ModelError: a method needs the network in torch, which cannot be had.
    """
    check_methods(methods)
    cores = threads or physical_cores()
    makers, shuffled = makers_of(model.estimator, methods, report)
    with _torch_threads(cores):
        return measure(
            model.estimator,
            makers,
            faces,
            target=target,
            name=model.name,
            prepare=model.prepare,
            shuffled=shuffled,
            threads=cores,
            seed=seed,
            progress=progress,
        )


def makers_of(
    estimator: ChipEstimator, methods: Sequence[str], report: Report = unheard
) -> tuple[list[MapMaker], Shuffled | None]:
    """The methods for a model or a run, and for its network with shuffled weights if that can be had in torch.

    Raises:
        ModelError: a method needs the network in torch, which cannot be had.
    """
    network = _network(estimator, needed=bool(set(methods) & set(gradients.METHODS)), report=report)
    makers = []
    for method in methods:
        in_torch = method in gradients.METHODS or (method == "cam" and not isinstance(estimator, Estimator))
        if in_torch and network is not None:
            makers.append(gradients.make(network, method))
        else:
            makers.append(explain.make(estimator, method))
    if network is None:
        return makers, None
    plain: TorchModel = network
    ready: dict[int, TorchModel] = {}

    def shuffled(method: str, seed: int) -> MapMaker:
        if seed not in ready:
            ready[seed] = plain.shuffled(seed)
        return gradients.make(ready[seed], method)

    return makers, shuffled


def _network(estimator: ChipEstimator, *, needed: bool, report: Report) -> TorchModel | None:
    """The network in torch; None where it cannot be had and is not needed."""
    if isinstance(estimator, RunEstimator):
        return TorchModel(estimator.net, estimator.contract)
    if not isinstance(estimator, Estimator):
        return None
    try:
        return gradients.of_model(estimator)
    except ModelError as error:
        if needed:
            raise
        report(f"no comparison with shuffled weights: {error}")
        return None


@contextmanager
def _torch_threads(cores: int) -> Iterator[None]:
    """So many cores for torch, as long as it lasts."""
    before = torch.get_num_threads()
    torch.set_num_threads(cores)
    try:
        yield
    finally:
        torch.set_num_threads(before)
