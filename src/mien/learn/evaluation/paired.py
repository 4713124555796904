"""One model's answers against another's on the same faces: which differences are real."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mien.errors import DataError
from mien.estimate.calibrate import expectation
from mien.learn.data.manifest import Manifest
from mien.learn.data.predictions import Predictions
from mien.learn.evaluation import metrics
from mien.learn.evaluation.evaluate import CORAL_AGES, markdown, true_ages
from mien.learn.evaluation.metrics import Interval, Metric
from mien.native import Record, also

Rows = NDArray[np.bool_]


@dataclass(frozen=True)
class Difference(Record):
    """One figure of both models on the same faces.

    Attributes:
        subset: "all", or "coral" for the CORAL list, its estimates clipped to 21-60.
        metric: "mae", "cs5" or "accuracy".
        n: faces that both models answered.
        before: of the other model.
        after: of this model.
        change: after minus before, with the interval of a paired bootstrap that keeps twins together.
    """

    subset: str
    metric: str
    n: int
    before: float
    after: float
    change: Interval

    @property
    @also()
    def verdict(self) -> str:
        """Better, worse, or neither where the interval holds 0."""
        if self.change.low <= 0 <= self.change.high:
            return "no more than chance"
        return "better" if (self.change.value < 0) == (self.metric == "mae") else "worse"


@dataclass(frozen=True)
class PairedReport(Record):
    """All differences between two models.

    Attributes:
        before: name of the other model.
        after: name of this one.
        differences: each figure.
    """

    before: str
    after: str
    differences: tuple[Difference, ...]

    def to_table(self) -> str:
        """Markdown."""
        rows: list[tuple[str, ...]] = [("subset", "figure", "faces", "before", "now", "change", "")]
        for one in self.differences:
            low, high = one.change.low, one.change.high
            if one.metric == "mae":
                values = f"{one.before:.2f}", f"{one.after:.2f}", f"{one.change.value:+.3f} [{low:+.3f}, {high:+.3f}]"
            else:
                change = f"{100 * one.change.value:+.2f} [{100 * low:+.2f}, {100 * high:+.2f}] points"
                values = f"{one.before:.1%}", f"{one.after:.1%}", change
            rows.append(
                (
                    one.subset,
                    {"mae": "MAE", "cs5": "CS@5", "accuracy": "gender"}[one.metric],
                    str(one.n),
                    *values,
                    one.verdict,
                )
            )
        return "\n".join([f"{self.after} against {self.before}, paired on the same faces:", "", *markdown(rows)])


def compare_paired(
    before: Predictions, after: Predictions, manifest: Manifest, *, resamples: int = 1000, seed: int = 0
) -> PairedReport:
    """Measure two models on the faces that both have answered.

    Args:
        before: of the other model.
        after: of this model.
        manifest: the labels.
        resamples: of the bootstrap.
        seed: of the bootstrap.

    Raises:
        DataError: no face has been answered by both.
    """
    rows = [predictions.rows(manifest.files) for predictions in (before, after)]
    both = (rows[0] >= 0) & (rows[1] >= 0)
    if not both.any():
        raise DataError(f"none of the {len(manifest)} pictures has an answer of both models: were they other pictures?")
    faces = manifest.take(both)
    years = [expectation(p.pmf[at[both]]) for p, at in zip((before, after), rows, strict=True)]
    female = [p.female[at[both]] for p, at in zip((before, after), rows, strict=True)]
    found: list[Difference] = []

    def add(
        subset: str, metric: tuple[str, Metric], sides: list[NDArray[Any]], truth: NDArray[Any], known: Rows
    ) -> None:
        name, measure = metric
        if known.any():
            first, second, labels = (values[known].astype(np.float64) for values in (*sides, truth))
            change = metrics.paired_bootstrap(
                measure, first, second, labels, faces.twins[known], n=resamples, seed=seed
            )
            values = float(measure(first, labels)), float(measure(second, labels))
            found.append(Difference(subset, name, int(known.sum()), *values, change))

    coral, ages = faces.coral == "test", true_ages(faces)
    for subset, part in (("all", np.ones(len(faces), np.bool_)), ("coral", coral)):
        aged = part & faces.aged
        sides = years if subset == "all" else [np.clip(side, *CORAL_AGES) for side in years]
        add(subset, ("mae", metrics.mae), sides, ages, aged)
        add(subset, ("cs5", metrics.cs5), sides, ages, aged)
        add(subset, ("accuracy", metrics.accuracy), female, faces.female, part & (faces.female >= 0))
    return PairedReport(before.model or "the other model", after.model or "this model", tuple(found))
