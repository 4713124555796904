"""All audits of one model, run one after the other, and the page that tells what they found."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

import numpy as np

from mien import __version__
from mien.drawing import maps
from mien.errors import DataError, ModelError
from mien.estimate.bundle import Bundle
from mien.estimate.estimator import Estimator
from mien.estimate.explain import METHODS, explain, make
from mien.estimate.maps import MapMaker
from mien.learn.audits import page_sections, speed, trust_page
from mien.learn.audits.abroad_section import section as abroad_section
from mien.learn.audits.age_checks import age_check_audit
from mien.learn.audits.calibration import calibration_audit
from mien.learn.audits.calibration.calibration_page import sections as calibration_sections
from mien.learn.audits.explanations import explanation_audit
from mien.learn.audits.explanations.explanation_report import ExplanationReport
from mien.learn.audits.fairness import fairness_audit
from mien.learn.audits.groups import GROUPINGS, named, stated
from mien.learn.audits.model_card import write_card
from mien.learn.audits.robustness import robustness_audit
from mien.learn.audits.robustness.robustness_plots import grid
from mien.learn.audits.robustness.robustness_report import RobustnessReport
from mien.learn.audits.trust_page import Picture, Section
from mien.learn.data import samples
from mien.learn.data.manifest import Manifest
from mien.learn.data.predictions import Predictions
from mien.learn.evaluation import evaluate
from mien.learn.evaluation.evaluate import markdown
from mien.learn.evaluation.home_and_abroad import Abroad


class AllAudits:
    """The audits of one model on one fold.

    Attributes:
        reference: answers and labels of the fold that intervals of constant width are learned from; None: none.
    """

    def __init__(
        self,
        model: Bundle,
        predictions: Predictions,
        faces: Manifest,
        threads: int,
        progress: Callable[[int], None] = lambda done: None,
        *,
        abroad: Abroad | None = None,
    ) -> None:
        """Measure what all sections speak of.

        Args:
            model: calibrated.
            predictions: its calibrated answers.
            faces: their labels.
            threads: cores to use.
            progress: told how many chips were estimated since the last call.
            abroad: the model's figures on several collections.
        """
        self._model = model
        self._predictions = predictions
        self._faces = faces
        self._threads = threads
        self._progress = progress
        self._abroad = abroad
        self._calibration = model.calibration()
        self._whole = evaluate.evaluate(predictions, faces, calibration=self._calibration)
        self.reference: tuple[Predictions, Manifest] | None = None

    def accuracy(self) -> list[Section]:
        """How far off it is."""
        return [page_sections.accuracy(self._whole)]

    def home_and_abroad(self) -> list[Section]:
        """What it is worth on other people's photographs, where that was measured."""
        return [] if self._abroad is None else [abroad_section(self._abroad)]

    def calibration(self) -> list[Section]:
        """What its intervals and probabilities are worth."""
        level = 0.9
        reference = self.reference and calibration_audit.ConstantWidth.learn(*self.reference, level)
        found = calibration_audit.measure(
            self._predictions, self._faces, self._calibration, level=level, reference=reference
        )
        return list(calibration_sections(found))

    def age_checks(self) -> list[Section]:
        """Whether it can tell who is old enough."""
        return [
            page_sections.age_checks(age_check_audit.measure(self._predictions, self._faces, self._model.age_checks()))
        ]

    def fairness(self, by: Sequence[str]) -> list[Section]:
        """Whether it serves groups alike."""
        found = fairness_audit.measure(self._predictions, self._faces, by=by, calibration=self._calibration)
        return [page_sections.fairness(found)]

    def robustness(self, faces: int, saved: RobustnessReport | None = None) -> list[Section]:
        """What bad pictures cost, on so many faces, or as was found before."""
        found = saved or robustness_audit.measure(
            Estimator(self._model, threads=1),  # faces are looked at side by side
            robustness_audit.stratified(self._faces, faces),
            model=self._model.config.name,
            threads=self._threads,
            progress=self._progress,
        )
        names = list(found.corrupted)
        return [
            page_sections.robustness(
                found, grid(samples.sample_chip(samples.sample_photo()), names, 0) if _samples() else None
            )
        ]

    def explanations(self, faces: int, saved: ExplanationReport | None = None) -> list[Section]:
        """Whether it can say why, measured on so many faces, or as was found before."""
        estimator = Estimator(self._model, threads=1)  # faces are looked at side by side
        found = saved or explanation_audit.measure(
            estimator,
            _makers(estimator),
            robustness_audit.stratified(self._faces, faces),
            name=self._model.config.name,
            threads=self._threads,
            progress=self._progress,
        )
        pictures = [self._explained(estimator, sample) for sample in _samples()]
        return [page_sections.explanations(found, pictures)]

    def _explained(self, estimator: Estimator, sample: str) -> Picture:
        """The map over one of the public-domain portraits."""
        chip = samples.sample_chip(samples.sample_photo(sample=sample), estimator.contract.size)[None]
        told = explain(estimator, chip, "age", "occlusion")
        title = f"{sample}: {told[0].value:.1f} years, by occlusion"
        return Picture.of_array(maps.draw(chip, told, [title]), f"Which parts of {sample} its age rests on")

    def speed(self) -> list[Section]:
        """How large it is and how long it takes."""
        return [page_sections.speed(speed.measure(self._model))]

    def card(self, on: str, by: Sequence[str], copy: Path | None = None) -> Path:
        """Write the model's card, README.md in its folder, from the same figures.

        Args:
            on: what was measured on, in words.
            by: groups to tell of.
            copy: a file that is to hold the same card.
        """
        more = {} if self._abroad is None else {"Home and abroad": self._abroad.for_card()}
        if by:
            groups = fairness_audit.measure(self._predictions, self._faces, by=by, calibration=self._calibration)
            more |= {
                f"By {name}, as the data state it (for audit only)": "\n".join(markdown(list(groups.group_rows(part))))
                for name, part in groups.partitions.items()
                if name in by
            }
        if not lacking(["age-checks"], self._model, self._faces, by):
            checks = age_check_audit.measure(self._predictions, self._faces, self._model.age_checks())
            more["Age checks"] = checks.to_markdown().partition("\n\nLimit ")[0]
        return write_card(self._model.folder, self._whole.to_dict(), on, more, copy=copy)

    def page(self, parts: Sequence[Section], data: str, left_out: Mapping[str, str] | None = None) -> str:
        """All sections as one page.

        Args:
            parts: the sections.
            data: what was measured on, in words.
            left_out: parts that could not be made, and why.
        """
        config = self._model.config
        lede = (
            f"Measured on {self._whole.counts['evaluated']:,} faces ({data}). Ages are how old a face looks, against "
            "stated ages, which are off by about two years themselves; gender is what the data call it."
        )
        lede += "".join(f" Left out: {name}, since {reason}" for name, reason in (left_out or {}).items())
        method = f"Made by mien {__version__} with mien report {config.name}. Ends of figures are 95 % intervals."
        return trust_page.to_html(config.name, lede, page_sections.chief_figures(self._whole), parts, method)


def groups_to_tell(by: Sequence[str] | None, faces: Manifest) -> list[str]:
    """What faces are grouped by: as asked for, else by all that the data state of some face.

    Raises:
        UsageError: an unknown grouping was asked for.
        DataError: the data do not state one that was asked for.
    """
    if by:
        stated(named(by), faces)
        return named(by)
    return [name for name in GROUPINGS if _states(name, faces)]


def lacking(parts: Sequence[str], model: Bundle, faces: Manifest, groups: Sequence[str]) -> dict[str, str]:
    """Which parts of a report cannot be made, and why, in words that follow "since" or a colon.

    Args:
        parts: names of parts.
        model: that is reported on.
        faces: labels of what is measured on.
        groups: that the data state, see `groups_to_tell`.
    """
    there = faces.present()
    exact, gendered = int(np.isfinite(there.age).sum()), int((there.female >= 0).sum())
    least = calibration_audit.LEAST_FACES
    found = {}
    if 0 < exact < least or 0 < gendered < least or not exact + gendered:
        found["calibration"] = (
            f"the data have {exact} faces of exactly known age and {gendered} of known gender, and below {least} of "
            "either its figures would mean nothing."
        )
    try:
        model.age_checks()
    except ModelError as error:
        found["age-checks"] = f"{error}."
    if not exact:
        found["age-checks"] = "the data state no exact age of any face."
    if not groups:
        found["fairness"] = "the data state no race, gender or exact age of any face, and none is ever guessed."
    if not exact + gendered:
        found["robustness"] = "the data state no exact age and no gender of any face."
    return {name: found[name] for name in parts if name in found}


def _states(grouping: str, faces: Manifest) -> bool:
    try:
        stated([grouping], faces)
    except DataError:
        return False
    return True


def _makers(estimator: Estimator) -> list[MapMaker]:
    """The methods that need no torch, as far as the model knows them: class activation wants linear heads."""
    makers = []
    for method in METHODS:
        with suppress(ModelError):
            makers.append(make(estimator, method))
    return makers


def _samples() -> list[str]:
    """The public-domain portraits that lie in this checkout; an installed package has none."""
    return [name for name in (samples.HOPPER, samples.ASTRONAUT) if (samples.EXAMPLES / name).is_file()]
