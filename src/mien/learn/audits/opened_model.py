"""A model or a training run, opened so that an audit can show it faces side by side."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from mien.arrays import Pixels
from mien.estimate import bundle
from mien.estimate.estimator import Estimator
from mien.extras import needs_extra
from mien.learn.data.counting import Report, unheard
from mien.learn.data.manifest import Manifest
from mien.learn.data.predictions import ChipEstimator


@dataclass(frozen=True, slots=True)
class OpenedModel:
    """A model or a run that answers, on one core.

    Attributes:
        estimator: what answers.
        name: of the model, or of the run's recipe.
        prepare: what it is shown of a chip, given the file's name and the chip.
    """

    estimator: ChipEstimator
    name: str
    prepare: Callable[[str, Pixels], Pixels]


def open_model(name_or_path: str | Path, faces: Manifest, report: Report = unheard) -> OpenedModel:
    """Open a model by its name or folder, or a training run by its folder.

    Args:
        name_or_path: the model or the run.
        faces: that it is to see; the recipe of a run may want a detector's boxes in them.
        report: told of these boxes.

    Raises:
        UsageError: there is no such model.
        ModelError: it cannot be read.
        MissingExtra: a run without the extra "train".
    """
    folder = Path(name_or_path)
    if not (folder / "recipe.yaml").is_file() or (folder / bundle.CONFIG).is_file():
        model = bundle.read(bundle.find(str(name_or_path)))
        return OpenedModel(Estimator(model, threads=1), model.config.name, lambda file, pixels: pixels)
    with needs_extra("reading a run"):
        from mien.learn.comparison.score import RunEstimator
        from mien.learn.data.dataset import ShownPart
    run = RunEstimator(folder)
    return OpenedModel(run, run.recipe.name, ShownPart.of(run.recipe.data, (faces,), report))
