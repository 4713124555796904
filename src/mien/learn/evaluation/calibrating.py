"""A model and held-out faces -> the model that knows how sure it may be: calibration and age checks in its folder."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from mien.errors import DataError, ModelError, UsageError
from mien.estimate import bundle
from mien.estimate.estimator import Estimator
from mien.learn.data.counting import Progress, Report, silent, unheard
from mien.learn.data.labelled import labelled
from mien.learn.data.manifest import Manifest
from mien.learn.data.predictions import Predictions
from mien.learn.data.readers import read
from mien.learn.evaluation import age_check_thresholds, held_out
from mien.learn.evaluation.calibration_fit import fit_calibration
from mien.learn.evaluation.held_out import LearnedCalibration
from mien.runtime.cores import physical_cores

if TYPE_CHECKING:
    from mien.learn.evaluation.collections_file import Collection


@dataclass(frozen=True)
class HeldOut:
    """Faces that a model was not trained on.

    Attributes:
        faces: of each collection, by name.
        pictures: where each of them lies: its data and table of folds, all folds of it.
    """

    faces: Mapping[str, Manifest]
    pictures: Sequence[tuple[Path, Path | None]]

    @classmethod
    def of_one(cls, data: Path, folds: Path | None, fold: str | None, report: Report = unheard) -> HeldOut:
        """One data set; its fold "val" where none is named.

        Raises:
            DataError: the data cannot be used.
            UsageError: there is no such fold.
        """
        return cls({"": labelled(data, folds, fold, "val", report=report)}, [(data, folds)])

    @classmethod
    def of_several(cls, stated: Mapping[str, Collection]) -> HeldOut:
        """The folds of several collections that may choose.

        Raises:
            DataError: a collection cannot be used.
            UsageError: none of them has such folds.
        """
        from mien.learn.evaluation.collections_file import (
            collection_parts,  # needs pydantic, which one data set does not
        )

        chosen = [part for part in collection_parts(dict(stated), choosing=True) if part.collection.kind == "chips"]
        if not chosen:
            raise UsageError(f"no collection of chips among {', '.join(stated)} has folds that may choose")
        pictures = list(dict.fromkeys((one.data, one.folds) for one in stated.values() if one.choose))
        return cls({part.name: part.faces for part in chosen}, pictures)

    @classmethod
    def stated(
        cls,
        data: Path | None,
        folds: Path | None = None,
        fold: str | None = None,
        collections: Path | None = None,
        report: Report = unheard,
    ) -> HeldOut:
        """One data set or a file of collections, as the command line names them.

        Raises:
            DataError: the data cannot be used.
            UsageError: both or none are named, or what is named does not fit.
        """
        if (data is None) == (collections is None):
            raise UsageError("give the faces to learn from by --data or by --collections, one of them")
        if data is not None:
            return cls.of_one(data, folds, fold, report)
        from mien.learn.evaluation.collections_file import load_collections

        assert collections is not None
        return cls.of_several(load_collections(collections))


def calibrate(
    model: str | Path,
    held: HeldOut,
    *,
    cross_fitted: Path | None = None,
    temperatures: bool = True,
    age_checks: bool = True,
    threads: int = 0,
    progress: Progress = silent,
    report: Report = unheard,
) -> LearnedCalibration:
    """Learn a model's calibration and age checks and write them into its folder; `mien.learn.calibrate` explains."""
    found = bundle.read(bundle.find(str(model)))
    cores = threads or physical_cores()
    raw = Estimator(replace(found, config=replace(found.config, calibration=None)), threads=cores)
    faces = list(held.faces.values())
    with progress(sum(held_out.picture_count(one, temperatures=temperatures) for one in faces)) as advance:
        learned = held_out.learn_calibration(raw, faces, temperatures=temperatures, threads=cores, progress=advance)
    for name, share in zip(held.faces, learned.held, strict=True):
        if share is not None and len(faces) > 1:
            report(f"{name}: 90 % intervals hold {share:.1%}")
    checks = None
    if age_checks:
        try:
            pmf, ages, source = _checked_on(learned, cross_fitted, held)
            checks = age_check_thresholds.fit_thresholds(pmf, ages, source=source)
        except DataError as error:
            report(
                f"no age checks: {error}. Give more faces, or the training faces by --cross-fitted (mien lab "
                "crossfit); all else is learned and written, and check-age alone will not work with this model"
            )
    try:
        bundle.write_config(found.folder, replace(found.config, calibration=learned.calibration))
        if checks is not None:
            bundle.write_age_checks(found.folder, checks)
        elif not age_checks:
            (found.folder / bundle.AGE_CHECKS).unlink(missing_ok=True)  # of an earlier calibration
    except OSError as error:
        raise ModelError(f"cannot write to {found.folder}: {error.strerror}") from error
    return learned


def _checked_on(
    learned: LearnedCalibration, cross_fitted: Path | None, held: HeldOut
) -> tuple[NDArray[np.float32], NDArray[np.float32], str]:
    """Calibrated age distributions, ages, and in words what they are: what age checks are learned from."""
    if cross_fitted is None:
        faces, calibration, source = learned.answered, learned.calibration, "held-out faces"
    else:
        answers = Predictions.load(cross_fitted)
        faces = held_out.join_answers([(answers, read(*where)) for where in held.pictures])
        calibration, source = (
            fit_calibration(faces.pmf, faces.female, faces.ages, faces.is_female),
            "cross-fitted training faces",
        )
    return calibration.apply(faces.pmf, faces.female)[0], faces.ages, f"{len(faces)} {source}"
