"""What each kind of step of a pipeline does."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from mien.errors import DataError, UsageError
from mien.estimate import bundle
from mien.estimate.estimator import Estimator
from mien.learn.data.counting import Report
from mien.learn.data.labelled import labelled
from mien.learn.data.manifest import Manifest
from mien.learn.data.predictions import Predictions, predict
from mien.learn.data.selection import each_once
from mien.learn.evaluation.calibrating import HeldOut, calibrate
from mien.learn.evaluation.collections_file import Collection
from mien.learn.exporting.bundle import export_run
from mien.learn.recipe import DataSource, Recipe, located
from mien.learn.recipe.data_root import located_path
from mien.learn.recipe.faults import in_words
from mien.learn.recipe.library import load_recipe, read_recipe
from mien.learn.recipe.pipeline import Answer, Average, Calibrate, Crossfit, Export, Pipeline, Slim, Step, Train
from mien.learn.training import loop
from mien.learn.training.answering import cross_fitted
from mien.learn.training.average import average_runs
from mien.learn.training.slimming import check_slim, slim_weights
from mien.runtime.cores import physical_cores
from mien.unfinished import part_name


@dataclass(frozen=True)
class Workshop:
    """Where a pipeline is worked on, and how.

    Attributes:
        pipeline: its steps.
        folder: of the results.
        beside: folder of the pipeline's own file, for recipes that are named by path.
        settings: "optimiser.epochs=1"-like changes of every recipe that is trained.
        root: folder of data; None: that of the environment.
        threads: cores to use; 0 for all.
        report: takes one line at a time.
    """

    pipeline: Pipeline
    folder: Path
    beside: Path
    settings: Sequence[str]
    root: Path | None
    threads: int
    report: Report

    def result(self, step: str) -> Path:
        """Where the result of a step lies, or a path or model that is no step's."""
        return located_path(self.pipeline.result(step, self.folder), self.root)

    def recipe(self, step: Train) -> Recipe:
        """The recipe of a step, starting and learning from what the steps before it made here."""
        links: list[str] = []
        if step.start is not None:
            links.append(f"model.init={self.result(step.start)}")
        if step.teacher:
            links.append(f"data.teacher=[{', '.join(str(self.result(one)) for one in step.teacher)}]")
        if step.guide is not None:
            links.append(f"data.guide={self.result(step.guide)}")
        changes = [*links, *self.settings]
        if step.train.endswith((".yaml", ".yml")):
            return located(read_recipe(self.beside / step.train, step.train, changes), self.root)
        return located(load_recipe(step.train, changes), self.root)

    def faces(self, source: DataSource) -> Manifest:
        """The pictures of one fold of a data set."""
        here = located(source, self.root)
        return labelled(here.data, here.folds, here.fold, only=here.only, report=self.report)

    def plan(self, name: str) -> dict[str, Any]:
        """All that decides what a step makes, as JSON has it: another plan makes another result."""
        step = self.pipeline.steps[name]
        found = step.model_dump(mode="json", by_alias=True)
        if isinstance(step, Train):
            recipe = self.recipe(step).model_dump(mode="json", exclude={"about"})
            recipe["data"].pop("workers")
            found |= {"recipe": recipe}
        return found

    def do(self, name: str) -> None:
        """Do a step, from where it was stopped.

        Raises:
            MienError: as what it does raises.
        """
        step = self.pipeline.steps[name]
        for used in step.used():
            if used in self.pipeline.steps and not self.result(used).exists():
                raise DataError(f"step {name} takes {self.result(used)}, which is not there: do step {used} first")
        _DOERS[type(step)](self, step, self.result(name))


def _train(shop: Workshop, step: Train, output: Path) -> None:
    loop.train(shop.recipe(step), output, resume=True, report=shop.report)


def _average(shop: Workshop, step: Average, output: Path) -> None:
    members = [shop.result(name) for name, times in step.average.items() for _ in range(times)]
    part = part_name(output)
    average_runs(members, part, size=step.size)
    part.rename(output)


def _crossfit(shop: Workshop, step: Crossfit, output: Path) -> None:
    taught = each_once(tuple(located(source, shop.root) for source in step.faces))
    also = None if step.also is None else shop.faces(step.also).present()
    start = shop.result(step.crossfit)
    answers, _ = cross_fitted(start, taught, also, size=step.size, threads=shop.threads, report=shop.report)
    _save(answers, output)


def _answer(shop: Workshop, step: Answer, output: Path) -> None:
    model = bundle.read(bundle.find(shop.result(step.answer)))
    cores = shop.threads or physical_cores()
    estimator = Estimator(model, threads=cores)
    _save(predict(estimator, shop.faces(step.faces), model=model.config.name, threads=cores), output)


def _save(answers: Predictions, output: Path) -> None:
    part = part_name(output)
    answers.save(part)
    part.replace(output)


def _slim(shop: Workshop, step: Slim, output: Path) -> None:
    part = part_name(output)
    faces = shop.faces(step.faces)
    slim_weights(shop.result(step.slim), check_slim(step.recipe), faces, part, threads=shop.threads, report=shop.report)
    part.replace(output)


def _export(shop: Workshop, step: Export, output: Path) -> None:
    export_run(shop.result(step.export), output, step.name)


def _calibrate(shop: Workshop, step: Calibrate, output: Path) -> None:
    if step.faces is not None:
        here = located(step.faces, shop.root)
        held = HeldOut.of_one(here.data, here.folds, here.fold, shop.report)
    else:
        try:
            stated = {name: Collection.model_validate(one) for name, one in step.collections.items()}
        except ValidationError as error:
            raise UsageError(f"a collection to calibrate on does not fit: {in_words(error, Collection)}") from error
        held = HeldOut.of_several({name: located(one, shop.root) for name, one in stated.items()})
    honest = None if step.cross_fitted is None else shop.result(step.cross_fitted)
    calibrate(output, held, cross_fitted=honest, threads=shop.threads, report=shop.report)


_DOERS: dict[type[Step], Callable[[Workshop, Any, Path], None]] = {
    Train: _train,
    Average: _average,
    Crossfit: _crossfit,
    Answer: _answer,
    Slim: _slim,
    Export: _export,
    Calibrate: _calibrate,
}
