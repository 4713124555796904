"""What every audit starts from: a model, labelled faces of a fold, and the model's answers for them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from mien.cli.labelled import read_faces
from mien.errors import DataError

if TYPE_CHECKING:
    from mien.estimate.bundle import Bundle
    from mien.learn.data.manifest import Manifest
    from mien.learn.data.predictions import Predictions


def answers(
    model: str,
    data: Path,
    folds: Path | None,
    fold: str | None,
    *,
    faces: Manifest | None = None,
    saved: Path | None = None,
    threads: int = 0,
    quiet: bool = False,
) -> tuple[Bundle, Predictions, Manifest]:
    """A model's calibrated answers for a fold, computed now or read from a file.

    Args:
        model: name or folder.
        data: labelled chips: a folder or a table.
        folds: table of folds.
        fold: which to take; "all" for all of them; None: "test" with folds or where the data have it, else all.
        faces: the pictures of that fold, if they were read before.
        saved: file that `mien evaluate --predictions` wrote; None: the model runs.
        threads: cores to use; 0 for all.
        quiet: no progress bar.

    Raises:
        DataError: the file holds another model's answers.
    """
    from mien.cli.progress import ProgressBar
    from mien.estimate import bundle
    from mien.estimate.estimator import Estimator
    from mien.learn.data.predictions import Predictions, predict
    from mien.runtime.cores import physical_cores

    found = bundle.read(bundle.find(model))
    name = found.config.name
    faces = read_faces(data, folds, fold, "test") if faces is None else faces
    if saved is not None:
        given = Predictions.load(saved)
        if given.model != name:
            raise DataError(f"{saved} holds answers of {given.model or 'an unnamed model'!r}, not of {name!r}")
        return found, given, faces
    cores = threads or physical_cores()
    with ProgressBar(len(faces) - faces.missing, quiet=quiet) as bar:
        computed = predict(Estimator(found, threads=cores), faces, model=name, threads=cores, progress=bar.advance)
    return found, computed, faces
