"""A model and labelled pictures -> what it is worth: from names of files to figures, for chips and photographs."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from mien.analyzer import Analyzer, Options
from mien.errors import DataError, UsageError
from mien.estimate import bundle
from mien.estimate.bundle import Bundle
from mien.estimate.estimator import Estimator
from mien.extras import needs_extra
from mien.faces import DetectorOptions, create
from mien.learn.data.counting import Progress, Report, silent, unheard
from mien.learn.data.manifest import Manifest
from mien.learn.data.predictions import INTERVAL_LEVEL, Predictions, predict
from mien.learn.evaluation import evaluate as figures
from mien.learn.evaluation.evaluate import Point
from mien.learn.evaluation.paired import PairedReport, compare_paired
from mien.learn.evaluation.photographs import predict_photographs
from mien.learn.evaluation.through_detector import ThroughReport, predict_through
from mien.native import UNWRITTEN, Record, also, written
from mien.runtime.cores import physical_cores

if TYPE_CHECKING:
    from mien.learn.evaluation.home_and_abroad import Abroad


@dataclass(frozen=True)
class Evaluation(Record):
    """What a model is worth on one fold.

    Attributes:
        report: the figures.
        answers: of the model, for each picture.
        faces: the labels.
        through: what the way through a detector costs, where that was measured.
        against: differences to another model's answers, where those were given.
    """

    report: figures.Report = field(metadata=written(flat=True))
    answers: Predictions = field(metadata=UNWRITTEN)
    faces: Manifest = field(metadata=UNWRITTEN)
    through: ThroughReport | None = None
    against: PairedReport | None = None

    @property
    @also(before="through")
    def missed_files(self) -> tuple[str, ...]:
        """Pictures without an answer."""
        return self.answers.missed

    def to_table(self) -> str:
        """Markdown."""
        return "\n\n".join(part.to_table() for part in (self.report, self.through, self.against) if part is not None)


@dataclass(frozen=True)
class Measuring:
    """A model, and how pictures come to it.

    Attributes:
        model: calibrated or not.
        detector: what finds the faces of photographs.
        weights: the detector's own, for yunet.
        min_face: smallest face to look for in photographs, in pixels.
        mirror: average with the mirror image.
        threads: cores to use; 0 for all.
        progress: told how many pictures there are and were done.
        report: told what is odd about the data.
    """

    model: Bundle
    detector: str = "mtcnn"
    weights: Path | None = None
    min_face: int = 30
    mirror: bool = False
    threads: int = 0
    progress: Progress = silent
    report: Report = unheard

    def one(
        self,
        faces: Manifest,
        *,
        photos: bool = False,
        through: str | None = None,
        point: Point = "expectation",
        other: Predictions | None = None,
    ) -> Evaluation:
        """The figures of one fold.

        Args:
            faces: its pictures, chips or whole photographs.
            photos: they are photographs.
            through: a detector that has to find each chip in a larger picture.
            point: the estimate of an age that is measured.
            other: answers of another model to compare with.

        Raises:
            DataError: no picture has both an answer and a label.
        """
        answers, comparison = (self.photographs(faces), None) if photos else self.chips(faces, through)
        report = figures.evaluate(answers, faces, point=point, calibration=self.model.config.calibration)
        report.settings.update(mirror=self.mirror, detector=self.detector if photos else None, fold=faces.only_fold)
        differences = None if other is None else compare_paired(other, answers, faces)
        return Evaluation(report, answers, faces, comparison, differences)

    def analyzer(self, kind: str) -> Analyzer:
        """For "photos" behind the detector, for "chips" without one."""
        options = Options(
            detector="whole" if kind == "chips" else self.detector,
            weights=self.weights,
            min_face=self.min_face,
            level=INTERVAL_LEVEL,
            abstain=0.5,
            mirror=self.mirror,
            threads=self.threads,
        )
        return Analyzer(self.model.folder, options)

    def photographs(self, faces: Manifest) -> Predictions:
        """Answers for whole photographs."""
        with self.progress(len(faces) - faces.missing) as advance:
            return predict_photographs(self.analyzer("photos"), faces, progress=advance)

    def chips(self, faces: Manifest, through: str | None = None) -> tuple[Predictions, ThroughReport | None]:
        """Answers for chips as they are, or padded and found again."""
        cores = self.threads or physical_cores()
        estimator = Estimator(self.model, threads=cores, mirror=self.mirror)
        name = self.model.config.name
        detector = None if through is None else create(through, DetectorOptions(weights=self.weights))
        with self.progress(len(faces) - faces.missing) as advance:
            if detector is None:
                return predict(estimator, faces, model=name, threads=cores, progress=advance), None
            return predict_through(detector, estimator, faces, model=name, threads=cores, progress=advance)

    def chips_or_saved(self, faces: Manifest, saved: Path | None) -> Predictions:
        """Answers for chips, computed now or read from a file that `mien evaluate --predictions` wrote.

        Raises:
            DataError: the file holds another model's answers.
        """
        if saved is None:
            return self.chips(faces)[0]
        given, name = Predictions.load(saved), self.model.config.name
        if given.model != name:
            raise DataError(f"{saved} holds answers of {given.model or 'an unnamed model'!r}, not of {name!r}")
        return given

    def several(
        self,
        file: Path,
        names: Sequence[str] = (),
        *,
        choosing: bool = False,
        point: Point = "expectation",
        kept: Path | None = None,
    ) -> Abroad:
        """The figures of several collections.

        Args:
            file: that states them.
            names: of those to measure; none for all.
            choosing: measure the folds that may choose.
            point: the estimate of an age that is measured.
            kept: a folder for the answers.

        Raises:
            UsageError: the file does not fit, or names no such collection or fold.
            DataError: a collection is not there, or none of its faces can be evaluated.
        """
        from mien.learn.evaluation import collections_file  # needs pydantic, which measuring one fold does not
        from mien.learn.evaluation.home_and_abroad import measure

        stated = collections_file.load_collections(file)
        for name in names:
            if name not in stated:
                raise UsageError.unknown("collection", name, stated)
        parts = collections_file.collection_parts({name: stated[name] for name in names or stated}, choosing=choosing)
        for part in parts:
            if part.faces.problems:
                problems = part.faces.problems
                self.report(f"{part.name}: {len(problems)} problems in the data, first: {problems[0]}")

        def keep(name: str, answers: Predictions, faces: Manifest) -> None:
            if kept is not None:
                kept.mkdir(exist_ok=True)
                answers.save(kept / f"{re.sub(r'[^A-Za-z0-9]+', '-', name).lower()}.parquet")

        kinds: set[str] = {part.collection.kind for part in parts}
        analyzers = {kind: self.analyzer(kind) for kind in sorted(kinds)}
        with self.progress(sum(len(part.faces) - part.faces.missing for part in parts)) as advance:
            return measure(analyzers, parts, point=point, progress=advance, keep=keep)


@needs_extra("measuring collections")
def evaluate_collections(
    model: str | Path,
    collections: Path,
    *,
    names: Sequence[str] = (),
    choosing: bool = False,
    detector: str = "mtcnn",
    min_face: int = 30,
    weights: Path | None = None,
    mirror: bool = False,
    point: Point = "expectation",
    answers: Path | None = None,
    threads: int = 0,
    progress: Progress = silent,
    report: Report = unheard,
) -> Abroad:
    """Measure a model on several collections at once, home and abroad.

    Args:
        model: name or folder.
        collections: YAML file that states them (docs/training.md).
        names: of those to measure; none for all.
        choosing: measure the folds that may choose between models.
        detector: what finds the faces of photographs.
        min_face: smallest face to look for in photographs, in pixels.
        weights: file of the detector's weights, for yunet.
        mirror: average with the mirror image.
        point: the estimate of an age that is measured, in years.
        answers: a folder to keep all answers in.
        threads: cores to use; 0 for all.
        progress: see `mien.learn`.
        report: takes what is odd about the data.

    Returns:
        The figures of each; `to_markdown()` and `to_dict()` put them in words.

    Raises:
        UsageError: the file does not fit, or names no such collection.
        DataError: a collection cannot be used.
        ModelError: the model cannot be read.
    """
    found = bundle.read(bundle.find(str(model)))
    how = Measuring(found, detector, weights, min_face, mirror, threads, progress, report)
    return how.several(collections, names, choosing=choosing, point=point, kept=answers)
