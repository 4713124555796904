"""One model on several collections: what it is worth at home, on photographs like those it learned from, and abroad.

All collections are answered as `mien predict` answers: decoded, found (chips are taken as they are), cut, judged, and
with the intervals that a user gets. No figure here chooses anything; the report says on which folds choices were made.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mien.analyzer import Analyzer
from mien.errors import DataError
from mien.learn.data.manifest import Manifest
from mien.learn.data.predictions import Predictions
from mien.learn.evaluation import evaluate
from mien.learn.evaluation.collections_file import CollectionPart
from mien.learn.evaluation.evaluate import BANDS, FEW, WITHIN_BOUNDS, Point, Report, Subset, band_name, cell, markdown
from mien.learn.evaluation.metrics import Interval
from mien.learn.evaluation.photographs import predict_photographs
from mien.native import Record, also, written

CHIEF = (("age", "mae"), ("age", "bias"), ("age", "cs5"), ("gender", "accuracy"), ("age", "coverage"), ("age", "width"))
"""Figures of which the mean over the collections is told."""


@dataclass(frozen=True)
class Entry(Record):
    """What was found on one collection.

    Attributes:
        name: of the collection.
        kind: "chips" or "photos".
        fold: that was measured; None for all pictures.
        home: whether models learned from its other folds.
        chosen_on: whether choices may be made on this fold.
        note: what the collection is, in words.
        missed: files in which no face was found, or not the one that was meant.
        report: the figures of the faces found.
    """

    name: str
    kind: str
    fold: str | None
    home: bool
    chosen_on: bool
    note: str
    missed: tuple[str, ...] = field(metadata=written("missed_files"))
    report: Report

    @property
    def pictures(self) -> int:
        """How many pictures could be read, with those whose face was not found."""
        return self.report.counts["evaluated"] + len(self.missed)

    @classmethod
    def from_dict(cls, record: Mapping[str, Any]) -> Entry:
        """Reads what `to_dict` wrote."""
        own = {name: record[name] for name in ("name", "kind", "fold", "home", "chosen_on", "note")}
        return cls(**own, missed=tuple(record["missed_files"]), report=Report.from_dict(record["report"]))


@dataclass(frozen=True)
class Abroad(Record):
    """A model on several collections.

    Attributes:
        model: its name.
        detector: that found the faces of whole photographs.
        entries: in the order of the file.
    """

    model: str
    detector: str
    entries: tuple[Entry, ...] = field(metadata=written("collections"))

    @also(before="entries")
    def means(self) -> dict[str, float | None]:
        """The mean over the collections of each chief figure, each counting alike; None where none has it."""
        found: dict[str, float | None] = {}
        for part, key in CHIEF:
            figures = [getattr(entry.report.subsets["all"], part).get(key) for entry in self.entries]
            values = [round(one.value, 5) for one in figures if one is not None and math.isfinite(one.value)]
            found[key] = round(sum(values) / len(values), 5) if values else None
        return found

    @classmethod
    def from_dict(cls, record: Mapping[str, Any]) -> Abroad:
        """Reads what `to_dict` wrote.

        Raises:
            DataError: it is no such record.
        """
        try:
            entries = tuple(Entry.from_dict(entry) for entry in record["collections"])
            return cls(record["model"], record["detector"], entries)
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise DataError(f"this is not what mien evaluate --collections --format json prints: {error!r}") from error

    def to_markdown(self) -> str:
        """The table of all collections, two by age band, and what the collections are."""
        parts = [
            f"{self.model}: {len(self.entries)} collection{'s'[: len(self.entries) != 1]}, home and abroad",
            self.summary(),
            "MAE in years, bias, and in brackets the faces, by age:",
            "\n".join(markdown(list(self._bands(_error)))),
        ]
        if any("coverage" in entry.report.subsets["all"].age for entry in self.entries):
            parts += [f"Share of ages in the {self.level:.0%} intervals, by age:"]
            parts += ["\n".join(markdown(list(self._bands(_held))))]
        parts += ["Share of genders named as labelled, by age:", "\n".join(markdown(list(self._bands(_named))))]
        return "\n\n".join([*parts, *self.notes()])

    def for_card(self) -> str:
        """What a model card says: the summary, the errors by age, and how to read them."""
        errors = "MAE in years, bias, and in brackets the faces, by age:"
        return "\n\n".join([self.summary(), errors, "\n".join(markdown(list(self._bands(_error)))), *self.notes()])

    def summary(self) -> str:
        """A row for each collection, and the mean over them."""
        head = ("collection", "measured", "faces", "not found", "MAE, years", "bias", "within 5 years", "gender right")
        rows: list[tuple[str, ...]] = [(*head, f"in {self.level:.0%} intervals", "width, years", "MAE to the middle")]
        for entry in self.entries:
            everything = entry.report.subsets["all"]
            age, ages, genders = everything.age, everything.ages, everything.genders
            rows.append(
                (
                    entry.name,
                    _measured(entry),
                    str(entry.report.counts["evaluated"]),
                    _share_missed(entry),
                    cell(age.get("mae"), "{:.2f}"),
                    cell(age.get("bias"), "{:+.2f}"),
                    cell(age.get("cs5"), "{:.1%}", ages),
                    cell(everything.gender.get("accuracy"), "{:.1%}", genders),
                    cell(age.get("coverage"), "{:.1%}", ages),
                    cell(age.get("width"), "{:.1f}"),
                    cell(age.get("mae_of_middle"), "{:.2f}"),
                )
            )
        if len(self.entries) > 1:
            styles = ("{:.2f}", "{:+.2f}", "{:.1%}", "{:.1%}", "{:.1%}", "{:.1f}")
            means = (
                "-" if mean is None else style.format(mean)
                for mean, style in zip(self.means().values(), styles, strict=True)
            )
            rows.append(("mean", "each collection alike", "", "", *means, ""))
        if not any("mae_of_middle" in entry.report.subsets["all"].age for entry in self.entries):
            rows = [row[:-1] for row in rows]
        return "\n".join(markdown(rows))

    def notes(self) -> list[str]:
        """How to read the tables, and what the collections are."""
        told = [
            "In brackets 95 % bootstrap intervals that keep twins together. Bias is above 0 where faces are taken for "
            "older than they are. Figures marked 'chosen on' are of folds on which choices may have been made, and "
            "flatter a little."
        ]
        if any(entry.report.counts.get("ages_within_bounds") for entry in self.entries):
            told.append(WITHIN_BOUNDS)
        told.append(f"Of fewer than {FEW} faces no percentages are told.")
        if any(entry.kind == "photos" for entry in self.entries):
            told.append(
                f"Faces of whole photographs were found by {self.detector}: the largest, or the one nearest to a given "
                "point. The figures are of the faces found."
            )
        for entry in self.entries:
            counts = entry.report.counts
            lacking = {"are missing": counts["missing_files"], "cannot be read": counts["unreadable_files"]}
            if words := [f"{count} {what}" for what, count in lacking.items() if count]:
                told.append(f"{entry.name}: of {counts['listed']} pictures {' and '.join(words)}.")
        told += [f"{entry.name}: {entry.note.strip()}" for entry in self.entries if entry.note.strip()]
        return told

    @property
    def level(self) -> float:
        """Share of true ages that the intervals are to hold."""
        return float(next((e.report.settings.get("interval_level", 0.9) for e in self.entries), 0.9))

    def _bands(self, told: Callable[[Subset], str]) -> Iterable[tuple[str, ...]]:
        names = [name for name in map(band_name, BANDS) if any(name in entry.report.subsets for entry in self.entries)]
        yield ("collection", *names)
        for entry in self.entries:
            subsets = entry.report.subsets
            yield (entry.name, *(told(subsets[name]) if name in subsets else "-" for name in names))


def measure(
    analyzers: Mapping[str, Analyzer],
    parts: Sequence[CollectionPart],
    *,
    point: Point = "expectation",
    resamples: int = 1000,
    progress: Callable[[int], None] = lambda done: None,
    keep: Callable[[str, Predictions, Manifest], None] = lambda name, answers, faces: None,
) -> Abroad:
    """Measure one model on several collections.

    Args:
        analyzers: the same model for each kind of collection: behind a detector for "photos", with the detector "whole"
            for "chips"; the level of intervals and `abstain` as they are by default.
        parts: what to measure on.
        point: the estimate of an age that is measured.
        resamples: of the bootstrap.
        progress: told how many pictures were done since the last call.
        keep: takes the name, the answers and the labels of each collection.

    Raises:
        DataError: no face of a collection can be evaluated; the sentence names it.
    """
    entries = []
    for part in parts:
        analyzer = analyzers[part.collection.kind]
        answers = predict_photographs(analyzer, part.faces, progress=progress)
        keep(part.name, answers, part.faces)
        try:
            report = evaluate.evaluate(answers, part.faces, point=point, resamples=resamples)
        except DataError as error:
            raise DataError(f"collection {part.name}: {error}") from error
        one = part.collection
        entries.append(
            Entry(part.name, one.kind, part.fold, one.home, part.chosen_on, one.note, answers.missed, report)
        )
    model = next(iter(analyzers.values())).config.name
    detector = analyzers["photos"].options.detector if "photos" in analyzers else "whole"
    return Abroad(model, detector, tuple(entries))


def _measured(entry: Entry) -> str:
    words = ["home" if entry.home else "abroad", entry.fold or "all", entry.kind]
    return ", ".join([*words, *(["chosen on"] if entry.chosen_on else [])])


def _share_missed(entry: Entry) -> str:
    if entry.kind == "chips":
        return "-"
    missed = len(entry.missed)
    return str(missed) if not missed or entry.pictures < FEW else f"{missed} ({missed / entry.pictures:.1%})"


def _error(subset: Subset) -> str:
    mae, bias = subset.age.get("mae"), subset.age.get("bias")
    return "-" if mae is None or bias is None else f"{mae.value:.2f}, {bias.value:+.2f} ({subset.ages})"


def _held(subset: Subset) -> str:
    return _share(subset.age.get("coverage"), subset.ages)


def _named(subset: Subset) -> str:
    return _share(subset.gender.get("accuracy"), subset.genders)


def _share(figure: Interval | None, faces: int) -> str:
    return "-" if figure is None or faces < FEW else f"{figure.value:.1%} ({faces})"


def saved(file: Path, model: str) -> Abroad:
    """What `mien evaluate --collections --format json` printed for a model.

    Raises:
        DataError: the file is nothing of the kind, or tells of another model.
    """
    try:
        found = Abroad.from_dict(json.loads(file.read_text(encoding="utf-8")))
    except (OSError, ValueError, DataError) as error:
        raise DataError(f"{file} cannot be used: {error}") from error
    if found.model != model:
        raise DataError(f"{file} tells of {found.model!r}, not of {model!r}")
    return found
