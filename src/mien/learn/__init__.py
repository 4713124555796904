"""Learning, from labelled pictures to a model that can be trusted as far as it says. Needs the extra `train`.

The verbs: `train` a recipe or all steps of a model, `average` runs, `export` a run as a model, `calibrate` a model on
faces that it was not trained on, `evaluate` it, `compare` runs with each other and with papers, `audit` a model. The
command line turns options into calls of these and prints what they return. Importing this module loads no torch.

Wherever a model is asked for, its name or folder is meant; data are a folder of labelled chips or a CSV table, folds a
CSV table of folds (docs/training.md, Data). `report` takes one line in words at a time. `progress` is called with the
number of pictures that are to be done, and gives a context manager whose value is told how many were done since.
Where a package of the extra is missing, every verb raises `MissingExtra`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from mien.extras import needs_extra
from mien.learn.data.counting import Progress, Report, silent, unheard

if TYPE_CHECKING:
    from mien.learn.audits.whole_audit import Audited
    from mien.learn.comparison.compare import Comparison
    from mien.learn.evaluation.held_out import LearnedCalibration
    from mien.learn.evaluation.measuring import Evaluation

__all__ = ["audit", "average", "calibrate", "compare", "evaluate", "export", "steps", "train"]

Point = Literal["expectation", "median"]


@needs_extra("training")
def train(
    recipe: str,
    output: Path | None = None,
    *,
    settings: Sequence[str] = (),
    init: Path | None = None,
    resume: bool = False,
    until: str | None = None,
    data_root: Path | None = None,
    report: Report = unheard,
) -> Path:
    """Train a recipe, or do all steps of a model that is made in several, e.g. mien-m.

    Args:
        recipe: name of a recipe or of a model made in steps, or a YAML file of either.
        output: folder of the run, by default runs/NAME; of a model made in steps the folder of all its results, by
            default runs.
        settings: "optimiser.epochs=3"-like changes; of a model made in steps, in each of its recipes.
        init: start weights in place of the recipe's: a run, a model, its name, or a safetensors file.
        resume: go on after the last finished epoch. Steps always do, and those done are not done again.
        until: the last step to do.
        data_root: the folder that `$MIEN_DATA` stands for in recipes; None: that of the environment.
        report: takes one line of progress at a time.

    Returns:
        The weights of the run (`model.safetensors`), or the result of the last step, e.g. a model's folder.

    Raises:
        UsageError: there is no such recipe, setting or step, or nothing says where the data are.
        DataError: the data cannot be used, the output holds another run, or the loss is not finite.
    """
    from mien.errors import UsageError
    from mien.learn.comparison.claims import how_made
    from mien.learn.recipe import load_pipeline, load_recipe, located
    from mien.learn.training.ancestry import write_lineage
    from mien.learn.training.loop import is_main, train

    if load_pipeline(recipe) is not None:
        if init is not None:
            raise UsageError(f"{recipe} is made in steps, each with a start of its own: give --init to one recipe")
        from mien.learn.recipes.run_pipeline import PipelineRun

        made = PipelineRun(recipe, output or Path("runs"), settings=settings, root=data_root, report=report)
        return made.run(until)
    if until is not None:
        raise UsageError(f"{recipe} is one run, not made in steps: leave --until out")
    if told := how_made(recipe):
        raise UsageError(told)
    plan = located(load_recipe(recipe, list(settings)), data_root)
    if init is not None:
        plan = plan.model_copy(update={"model": plan.model.model_copy(update={"init": init})})
    weights = train(plan, output or Path("runs") / plan.name, resume=resume, report=report)
    if is_main():
        write_lineage(weights.parent)
    return weights


@needs_extra("training")
def steps(recipe: str, output: Path | None = None, *, settings: Sequence[str] = ()) -> list[str]:
    """What `train` would do for a model that is made in steps: a line each, with those that are done marked.

    Args:
        recipe: name of the model, or a YAML file of steps.
        output: folder of the results, by default runs.
        settings: as for `train`.

    Raises:
        UsageError: it is not made in steps.
    """
    from mien.learn.recipes.run_pipeline import PipelineRun

    return [str(one) for one in PipelineRun(recipe, output or Path("runs"), settings=settings).planned()]


@needs_extra("averaging")
def average(
    runs: Sequence[Path], output: Path, *, weights: Sequence[int] | None = None, size: int | None = None
) -> Path:
    """Average the weights of runs that were trained from one start, or one from the other.

    Args:
        runs: folders of at least two runs of one network.
        output: folder of the new run; it must not exist yet.
        weights: how often each run counts, whole numbers; None: all once.
        size: side in pixels of the chips that the new run takes; None: the last run's.

    Returns:
        The weights of the new run.

    Raises:
        DataError: a folder is no run, the networks differ, or the output exists.
        UsageError: there are not as many weights as runs, or one is below 1.
    """
    from mien.errors import UsageError
    from mien.learn.training.ancestry import write_lineage
    from mien.learn.training.average import average_runs

    shares = [1] * len(runs) if weights is None else list(weights)
    if len(shares) != len(runs) or min(shares, default=1) < 1:
        raise UsageError(f"{len(runs)} runs take as many weights, whole numbers from 1 on, not {shares}")
    made = average_runs([run for run, share in zip(runs, shares, strict=True) for _ in range(share)], output, size=size)
    write_lineage(output)
    return made


@needs_extra("exporting")
def export(run: Path, output: Path, *, name: str | None = None, stored: str = "float16") -> Path:
    """Turn a run into a model: an ONNX graph and its weights, checked against torch, config.json and LICENSE.

    Args:
        run: folder of a run.
        output: folder of the model; one that is there is replaced when all else has succeeded.
        name: of the model; None: the recipe's.
        stored: type the weights are kept in, "float16" or "float32"; they compute in float32.

    Returns:
        The model's folder.

    Raises:
        DataError: the folder is no run, the output holds something else, or the networks disagree.
        UsageError: unknown type.
    """
    from mien.errors import UsageError
    from mien.learn.exporting.bundle import DTYPES, export_run

    if stored not in DTYPES:
        raise UsageError.unknown("type", stored, DTYPES)
    return export_run(run, output, name, dtype=stored)


@needs_extra("calibrating")
def calibrate(
    model: str | Path,
    data: Path | None = None,
    *,
    folds: Path | None = None,
    fold: str | None = None,
    collections: Path | None = None,
    cross_fitted: Path | None = None,
    temperatures: bool = True,
    age_checks: bool = True,
    threads: int = 0,
    progress: Progress = silent,
    report: Report = unheard,
) -> LearnedCalibration:
    """Learn temperatures, masses of intervals and age checks from held-out faces, and write them into a model's folder.

    Args:
        model: name or folder.
        data: labelled chips, or None with `collections`.
        folds: table of folds.
        fold: never one trained on; None: "val" where the data have it.
        collections: YAML file of collections that count alike; the folds of each that may choose are taken.
        cross_fitted: answers for training faces by models that did not see them; age checks are learned from these.
        temperatures: false: learn only how wide intervals must be.
        age_checks: false: leave the model without age checks.
        threads: cores to use; 0 for all.
        progress: see the module.
        report: takes what is odd, and how well intervals hold on each collection.

    Returns:
        The calibration, what it was learned from, and the share of ages in 90 % intervals by collection.

    Raises:
        UsageError: there is no such model, fold or file, or both data and collections were given.
        DataError: too few faces can be used.
        ModelError: the model cannot be read, or written to.
    """
    from mien.estimate import bundle
    from mien.learn.evaluation.calibrating import HeldOut
    from mien.learn.evaluation.calibrating import calibrate as learn

    bundle.find(str(model))  # told before the data are read
    held = HeldOut.stated(data, folds, fold, collections, report)
    return learn(
        model,
        held,
        cross_fitted=cross_fitted,
        temperatures=temperatures,
        age_checks=age_checks,
        threads=threads,
        progress=progress,
        report=report,
    )


@needs_extra("evaluating")
def evaluate(
    model: str | Path,
    data: Path,
    *,
    folds: Path | None = None,
    fold: str | None = None,
    only: str | None = None,
    photos: bool = False,
    detector: str = "mtcnn",
    min_face: int = 30,
    through: str | None = None,
    weights: Path | None = None,
    mirror: bool = False,
    point: Point = "expectation",
    against: Path | None = None,
    answers: Path | None = None,
    threads: int = 0,
    progress: Progress = silent,
    report: Report = unheard,
) -> Evaluation:
    """Measure a model on labelled chips or photographs, with bootstrap intervals.

    Args:
        model: name or folder.
        data: labelled chips, or with `photos` whole photographs.
        folds: table of folds.
        fold: None: "test" where the data have folds, else all pictures; "all" for all.
        only: of a table with a column source, the rows of this one.
        photos: find the face in each picture first, as `mien predict` does.
        detector: what finds the faces of photographs.
        min_face: smallest face to look for in photographs, in pixels.
        through: a detector that has to find each chip, padded into a larger picture.
        weights: file of the detector's weights, for yunet.
        mirror: average with the mirror image.
        point: the estimate of an age that is measured, in years.
        against: saved answers of another model: which differences are real?
        answers: file to save all answers in, as Parquet; None not to.
        threads: cores to use; 0 for all.
        progress: see the module.
        report: takes what is odd about the data.

    Returns:
        Figures, answers and labels; `to_table()` and `to_dict()` put the figures in words.

    Raises:
        UsageError: there is no such model, fold or detector.
        DataError: the data cannot be used, or no picture has both an answer and a label.
        ModelError: the model cannot be read.
    """
    from mien.estimate import bundle
    from mien.learn.data.labelled import labelled
    from mien.learn.data.predictions import Predictions
    from mien.learn.evaluation.measuring import Measuring

    found = bundle.read(bundle.find(str(model)))
    other = None if against is None else Predictions.load(against)
    faces = labelled(data, folds, fold, "test", only=only, report=report)
    how = Measuring(found, detector, weights, min_face, mirror, threads, progress, report)
    worth = how.one(faces, photos=photos, through=through, point=point, other=other)
    if answers is not None:
        worth.answers.save(answers)
    return worth


@needs_extra("comparing")
def compare(
    runs: Sequence[Path], data: Path | None = None, *, folds: Path | None = None, data_root: Path | None = None
) -> Comparison:
    """Compare runs with the papers and with each other, on the faces that all of them answered.

    Args:
        runs: folders that `mien lab score` completed.
        data: the labelled pictures; None: UTKFace below the root of data if it is there, else the pictures' names.
        folds: table of folds.
        data_root: the folder that holds data/; None: that of the environment.

    Returns:
        Every figure with its interval; `mien.learn.comparison` makes Markdown or a page of it.

    Raises:
        UsageError: no run, or two of one name.
        DataError: a folder was not scored, or no label fits.
    """
    from mien.learn.comparison.compare import compare as measure
    from mien.learn.comparison.picture_labels import read_labels
    from mien.learn.comparison.scored_runs import read_run
    from mien.learn.recipe.data_root import data_root as stated

    found = [read_run(folder) for folder in runs]
    utkface = None if (root := stated(data_root)) is None else root / "data" / "utkface"
    if data is None and utkface is not None and (utkface / "images").is_dir():
        data, folds = utkface / "images", folds or utkface / "splits.csv"
    files = sorted({file for run in found for file in run.predictions.files.tolist()})
    return measure(found, read_labels(files, data, folds))


@needs_extra("auditing")
def audit(
    model: str | Path,
    data: Path,
    *,
    folds: Path | None = None,
    fold: str | None = None,
    parts: Sequence[str] = (),
    collections: Path | None = None,
    by: Sequence[str] | None = None,
    reference_fold: str | None = None,
    faces: int = 1000,
    explained: int = 500,
    saved: Mapping[str, Path] | None = None,
    threads: int = 0,
    progress: Progress = silent,
    report: Report = unheard,
) -> Audited:
    """Audit a model in every way there is, as one page for people who are no experts.

    Args:
        model: name or folder; it must be calibrated.
        data: labelled chips.
        folds: table of folds.
        fold: None: "test" where the data have folds, else all pictures.
        parts: of accuracy, calibration, age-checks, fairness, robustness, explanations and speed; none for all that
            can be made.
        collections: to measure on too: a YAML file, or what `mien evaluate --collections --format json` printed.
        by: groups of the fairness audit; None: those of race, gender and age-band that the data state.
        reference_fold: that intervals of constant width are learned from; None: "val" where the data have it.
        faces: so many in the audit of bad pictures.
        explained: so many in the audit of explanations.
        saved: what was measured before and need not be again, by name: "predictions", "robustness", "explanations".
        threads: cores to use; 0 for all.
        progress: see the module.
        report: takes what is odd or left out, and each part as it begins.

    Returns:
        The page, which parts it has, and what was left out; `write_card()` writes the model's card.

    Raises:
        UsageError: there is no such model, fold, part or file.
        DataError: the data cannot be used, or a saved audit is of another model.
        ModelError: the model is not calibrated, or lacks the age checks that were asked for.
    """
    from mien.learn.audits.whole_audit import audit as measure

    return measure(
        model,
        data,
        folds=folds,
        fold=fold,
        parts=parts,
        collections=collections,
        by=by,
        reference_fold=reference_fold,
        faces=faces,
        explained=explained,
        saved=saved,
        threads=threads,
        progress=progress,
        report=report,
    )
