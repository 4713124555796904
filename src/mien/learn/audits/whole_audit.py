"""All audits of a model on one fold, in one call: what is lacking is told first, what was measured before is taken."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from mien.errors import DataError, ModelError, UsageError
from mien.estimate import bundle
from mien.learn.audits.all_audits import AllAudits, groups_to_tell, lacking
from mien.learn.audits.explanations.explanation_report import ExplanationReport
from mien.learn.audits.robustness.robustness_report import RobustnessReport
from mien.learn.audits.trust_page import Section
from mien.learn.data.counting import Progress, Report, silent, unheard
from mien.learn.data.labelled import labelled
from mien.learn.data.manifest import Manifest
from mien.learn.data.readers import read
from mien.learn.evaluation.home_and_abroad import Abroad
from mien.learn.evaluation.home_and_abroad import saved as read_saved
from mien.learn.evaluation.measuring import Measuring
from mien.runtime.cores import physical_cores

PARTS = ("accuracy", "calibration", "age-checks", "fairness", "robustness", "explanations", "speed")
"""What can be audited, in the order of the page."""

SAVED = ("predictions", "robustness", "explanations")
"""What need not be measured again."""

Audit = TypeVar("Audit", RobustnessReport, ExplanationReport)


@dataclass(frozen=True)
class Audited:
    """What was found.

    Attributes:
        page: one self-contained HTML page.
        parts: that were measured.
        left_out: parts that could not be, and why.
    """

    page: str
    parts: tuple[str, ...]
    left_out: dict[str, str]
    _everything: AllAudits = field(repr=False)
    _groups: Sequence[str] = ()
    _folder: Path = Path()

    def write_card(self, on: str, copy: Path | None = None) -> Path:
        """Write the model's card, README.md in its folder, from the same figures.

        Args:
            on: what was measured on, in words.
            copy: a file that is to hold the same card.

        Raises:
            ModelError: the folder cannot be written to.
        """
        try:
            return self._everything.card(on, self._groups, copy)
        except OSError as error:
            raise ModelError(f"cannot write to {self._folder}: {error.strerror}") from error


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
    """Hold a model against labels in every way there is; `mien.learn.audit` explains."""
    kept = dict(saved or {})
    for name in kept:
        if name not in SAVED:
            raise UsageError.unknown("saved part", name, SAVED)
    predictions, robustness, explanations = (kept.get(name) for name in SAVED)
    check_parts(parts, robustness, explanations, collections)
    wanted = list(parts) or list(PARTS)
    found = bundle.read(bundle.find(str(model)))
    found.calibration()  # what is lacking is told before minutes of work rather than after them
    if "age-checks" in parts:
        found.age_checks()
    how = Measuring(found, threads=threads, progress=progress, report=report)
    people = labelled(data, folds, fold, "test", report=report)
    groups = groups_to_tell(by, people)
    left_out = lacking(wanted, found, people, groups)
    for name, reason in left_out.items():
        report(f"{name} is left out, since {reason}")
    chosen = [name for name in PARTS if name in wanted and name not in left_out]
    if not chosen:
        raise DataError(f"nothing of the report can be made of {data}")
    abroad = None if collections is None else _abroad(how, collections)
    spoilt = None if robustness is None else _load(robustness, RobustnessReport, found.config.name)
    mapped = None if explanations is None else _load(explanations, ExplanationReport, found.config.name)
    measured = how.chips_or_saved(people, predictions)
    everything = AllAudits(found, measured, people, threads or physical_cores(), abroad=abroad)
    other = _reference_fold(data, folds, people, reference_fold) if "calibration" in chosen else None
    if other is not None:
        others = labelled(data, folds, other, "test", report=report)
        everything.reference = how.chips(others)[0], others
    makers = {
        "accuracy": everything.accuracy,
        "calibration": everything.calibration,
        "age-checks": everything.age_checks,
        "fairness": lambda: everything.fairness(groups),
        "robustness": lambda: everything.robustness(faces, spoilt),
        "explanations": lambda: everything.explanations(explained, mapped),
        "speed": everything.speed,
    }
    sections = _sections(everything, {name: makers[name] for name in chosen}, report)
    named = f"{data.name}, fold {people.only_fold}" if people.only_fold else data.name
    page = everything.page(sections, named, left_out)
    return Audited(page, tuple(chosen), left_out, everything, groups, found.folder)


def _sections(audits: AllAudits, makers: Mapping[str, Callable[[], list[Section]]], report: Report) -> list[Section]:
    """The page's sections in order, that on other collections behind the first."""
    sections: list[Section] = []
    for name, make in makers.items():
        report(name)
        sections += make()
        if name == next(iter(makers)):
            sections += audits.home_and_abroad()
    return sections


def check_parts(parts: Sequence[str], *files: Path | None) -> None:
    """Names and files that cannot be, before minutes of work rather than after them.

    Raises:
        UsageError: there is no such part or file.
    """
    for name in parts:
        if name not in PARTS:
            raise UsageError.unknown("part", name, PARTS)
    for file in files:
        if file is not None and not file.is_file():
            raise UsageError(f"there is no file {file}")


def _reference_fold(data: Path, folds: Path | None, faces: Manifest, asked: str | None) -> str | None:
    """The fold that intervals of constant width are learned from; None where the data have none for it."""
    if asked is not None or folds is not None:
        return asked or "val"
    there, measured = set(read(data).fold.tolist()), set(faces.fold.tolist())
    return "val" if "val" in there - measured else None


def _abroad(how: Measuring, file: Path) -> Abroad:
    """Figures of several collections, measured now or before."""
    if file.suffix.lower() in {".yaml", ".yml"}:
        return how.several(file)
    return read_saved(file, how.model.config.name)


def _load(file: Path, kind: type[Audit], model: str) -> Audit:
    """A saved audit of this model."""
    try:
        found = kind.from_dict(json.loads(file.read_text(encoding="utf-8")))
    except (DataError, ValueError) as error:
        raise DataError(f"{file} cannot be used: {error}") from error
    if found.model != model:
        raise DataError(f"{file} is an audit of {found.model!r}, not of {model!r}")
    return found
