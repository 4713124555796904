"""Many runs, one comparison: every figure on the same faces, beside the papers' claims, and which differences are real.

The rules, the same for every run:

- The age that is measured is the expectation of the run's distribution. Its age class is the one that holds most of
  the distribution; for a run that answers a number of years this is the class of that number, rounded, for a classifier
  the class it names. Classes are the 24 of five years from 0 to 119, and the 12 decades.
- A figure is measured on the faces that all runs which answer that question have answered.
- Intervals come from a bootstrap that keeps near-identical pictures together. A difference between two runs is called
  real if the interval of the paired bootstrap leaves out 0 (both runs measured on the same resamples).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from mien.arrays import Floats
from mien.errors import DataError, UsageError
from mien.estimate.calibrate import AGES, expectation
from mien.learn.comparison.claims import SYSTEMS, Claim, Figure
from mien.learn.comparison.picture_labels import Labels
from mien.learn.comparison.scored_runs import ScoredRun
from mien.learn.data.manifest import Manifest
from mien.learn.evaluation import metrics
from mien.learn.evaluation.metrics import Interval, Metric
from mien.native import Record, native

Question = Literal["age", "gender"]
Verdict = Literal["better", "reached", "short"]

QUESTIONS: tuple[Question, ...] = ("age", "gender")

CLASS_YEARS, DECADE_YEARS = 5, 10

AGE_FIGURES: tuple[Figure, ...] = ("mae", "mse", "rmse", "cs5", "age_class", "decade")
GENDER_FIGURES: tuple[Figure, ...] = ("accuracy", "precision", "recall", "f1")
LOWER_IS_BETTER: frozenset[Figure] = frozenset({"mae", "mse", "rmse"})

_GENDER_METRICS: dict[str, Metric] = {
    "accuracy": metrics.accuracy,
    "precision": metrics.precision,
    "recall": metrics.recall,
    "f1": metrics.f1,
}


@dataclass(frozen=True)
class Pairs:
    """Differences between all pairs of K runs: row minus column, each [K, K], with the ends of its interval."""

    names: tuple[str, ...]
    value: Floats
    low: Floats
    high: Floats

    @property
    def real(self) -> NDArray[np.bool_]:
        """Where the interval leaves out 0."""
        return (self.low > 0) | (self.high < 0)

    def count(self) -> tuple[int, int]:
        """How many of the pairs differ really, and how many there are."""
        return int(self.real.sum()) // 2, len(self.names) * (len(self.names) - 1) // 2


@dataclass(frozen=True)
class Task:
    """The answers to one question, on the faces [N] that all runs which answer it have answered.

    Attributes:
        question: "age" or "gender".
        faces: their labels.
        answers: by run, [N, 117] age distributions or [N] probabilities of "female".
        answered: by run, how many labelled faces it answered in all.
        pairs: differences of the MAE or of the share of right genders.
    """

    question: Question
    faces: Manifest
    answers: dict[str, Floats]
    answered: dict[str, int]
    pairs: Pairs

    @property
    def figure(self) -> Figure:
        """The chief one, whose differences are told."""
        return "mae" if self.question == "age" else "accuracy"

    def wrong(self, name: str) -> Floats:
        """How wrong each answer of a run is, [N]: years, or 1 for the other gender."""
        return _wrong(self.answers[name], self.faces, self.question)


@dataclass(frozen=True)
class Comparison(Record):
    """Runs in order of their systems, and all that was measured of them.

    Attributes:
        runs: at least one.
        labels: of the faces.
        tasks: by question, those that some run answers; age first.
        figures: by run, only those that it can have.
        settings: of the bootstrap.
        own: of runs that learned from one gender only, the MAE on the faces of that gender.
    """

    runs: tuple[ScoredRun, ...]
    labels: Labels
    tasks: dict[Question, Task]
    figures: dict[str, dict[Figure, Interval]]
    settings: dict[str, Any]
    own: dict[str, Interval] = field(default_factory=dict)

    def claims(self, run: ScoredRun) -> dict[Figure, Claim]:
        """What the paper claims of this run."""
        return {} if run.row is None else run.row.beside()

    def best(self, figure: Figure, runs: Iterable[ScoredRun] | None = None) -> ScoredRun | None:
        """The run with the best value among some, or all."""
        having = [run for run in (self.runs if runs is None else runs) if figure in self.figures[run.name]]
        sign = 1 if figure in LOWER_IS_BETTER else -1
        return min(having, key=lambda run: sign * self.figures[run.name][figure].value, default=None)

    def contested(self, figure: Figure) -> bool:
        """Whether more than one run has the figure, so that one of them can be the best."""
        return sum(figure in own for own in self.figures.values()) > 1

    def to_dict(self) -> dict[str, Any]:
        """Native types for JSON."""
        return {
            "settings": self.settings,
            "labels": self.labels.origin,
            "faces": {name: len(task.faces) for name, task in self.tasks.items()},
            "systems": native(SYSTEMS),
            "runs": [self._run(run) for run in self.runs],
            "differences": {name: _pairs_record(task.pairs) for name, task in self.tasks.items()},
        }

    def _run(self, run: ScoredRun) -> dict[str, Any]:
        figures = native(self.figures[run.name])
        claims = {
            figure: {"value": claim.value, "data": claim.data, "note": claim.note}
            | ({"verdict": verdict(self.figures[run.name][figure], claim)} if figure in figures else {})
            for figure, claim in self.claims(run).items()
        }
        answered = {name: task.answered.get(run.name, 0) for name, task in self.tasks.items()}
        record = run.record | {"title": run.title, "system": run.system.key, "learned_from": run.learned_from}
        record["own_gender_mae"] = native(self.own.get(run.name))
        return record | {"answered": answered, "figures": figures, "claims": claims}


def verdict(figure: Interval, claim: Claim) -> Verdict:
    """How a measured figure stands to a claim.

    Returns:
        "better" if the whole interval is, "reached" if the value is or the interval holds the claim, else "short".
    """
    sign = -1 if claim.figure in LOWER_IS_BETTER else 1
    worst, best = sorted((sign * figure.low, sign * figure.high))
    if worst > sign * claim.value:
        return "better"
    return "reached" if max(best, sign * figure.value) >= sign * claim.value else "short"


def compare(
    runs: Sequence[ScoredRun], labels: Labels, *, resamples: int = 1000, level: float = 0.95, seed: int = 0
) -> Comparison:
    """Measure runs against the labels and against each other.

    Args:
        runs: in any order; each under a name of its own.
        labels: of at least some of their pictures.
        resamples: of the bootstrap.
        level: of its intervals.
        seed: of it.

    Raises:
        UsageError: no run, or two of one name.
        DataError: two runs answered no face in common, or no label fits.
    """
    names = [run.name for run in runs]
    if not names:
        raise UsageError("there is nothing to compare: give the folders of runs")
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise UsageError(f"two runs are called {twice[0]!r}: compare one of them, or change its name in run.json")
    order = {system.key: at for at, system in enumerate(SYSTEMS)}
    ordered = tuple(sorted(runs, key=lambda run: (order[run.system.key], _place(run), run.name)))
    settings = {"resamples": resamples, "level": level, "seed": seed}
    options = {"n": resamples, "level": level, "seed": seed}
    lined_up = [_task(ordered, labels.manifest, question, options) for question in QUESTIONS]
    tasks = {task.question: task for task in lined_up if task is not None}
    if not tasks:
        raise DataError("no label fits any picture of these runs: give the --data and --folds they were scored on")
    figures: dict[str, dict[Figure, Interval]] = {run.name: {} for run in ordered}
    for task in tasks.values():
        measure = age_figures if task.question == "age" else gender_figures
        for name, answers in task.answers.items():
            figures[name] |= measure(answers, task.faces, options)
    return Comparison(ordered, labels, tasks, figures, settings, _of_own_gender(ordered, tasks.get("age"), options))


def _of_own_gender(runs: Sequence[ScoredRun], task: Task | None, options: Mapping[str, Any]) -> dict[str, Interval]:
    """The MAE on women of the runs that learned from women only, and on men of those from men."""
    found: dict[str, Interval] = {}
    for run in runs:
        if task is not None and run.name in task.answers and run.learned_from != "all":
            rows = np.flatnonzero(task.faces.female == (run.learned_from == "women"))
            if len(rows):
                faces, pmf = task.faces.take(rows), task.answers[run.name][rows]
                found[run.name] = age_figures(pmf, faces, options)["mae"]
    return found


def age_figures(pmf: Floats, faces: Manifest, options: Mapping[str, Any]) -> dict[Figure, Interval]:
    """MAE, MSE, RMSE, CS@5 and the shares of right classes of distributions [N, 117]."""
    ages = faces.age.astype(np.float64)
    prediction = np.stack([expectation(pmf), likeliest(pmf, CLASS_YEARS), likeliest(pmf, DECADE_YEARS)], axis=1)
    truth = np.stack([ages, ages // CLASS_YEARS, ages // DECADE_YEARS], axis=1)
    same = partial(metrics.cs, k=0)
    columns: dict[str, Metric] = {
        "mae": _column(metrics.mae, 0),
        "mse": _column(metrics.mse, 0),
        "rmse": _column(metrics.rmse, 0),
        "cs5": _column(metrics.cs5, 0),
        "age_class": _column(same, 1),
        "decade": _column(same, 2),
    }
    found = metrics.bootstrap(columns, prediction, truth, faces.twins, **options)
    return {figure: found[figure] for figure in AGE_FIGURES}


def gender_figures(female: Floats, faces: Manifest, options: Mapping[str, Any]) -> dict[Figure, Interval]:
    """Accuracy, precision, recall and F1 of probabilities [N] of "female"."""
    found = metrics.bootstrap(_GENDER_METRICS, female, faces.female, faces.twins, **options)
    return {figure: found[figure] for figure in GENDER_FIGURES}


def likeliest(pmf: Floats, years: int) -> NDArray[np.intp]:
    """The class [N], of so many years each, that holds most of each distribution [N, 117]."""
    mass = np.add.reduceat(pmf, np.arange(0, AGES, years), axis=1)
    classes: NDArray[np.intp] = mass.argmax(axis=1)
    return classes


def _column(metric: Callable[..., Any], at: int) -> Metric:
    def measure(prediction: Any, truth: Any, weights: Any = None, /) -> Any:
        return metric(prediction[:, at], truth[:, at], weights)

    return measure


def _task(runs: Sequence[ScoredRun], labels: Manifest, question: Question, options: Mapping[str, Any]) -> Task | None:
    """Line up the answers of the runs that answer a question; None if there are none."""
    known = np.isfinite(labels.age) if question == "age" else labels.female >= 0
    row = {file: at for at, file in enumerate(labels.files.tolist()) if known[at]}
    places: dict[str, dict[int, int]] = {}  # run -> row of the labels -> row of its predictions
    for run in runs:
        has = run.has_age if question == "age" else run.has_gender
        files = run.predictions.files.tolist()
        found = {row[file]: at for at, file in enumerate(files) if has[at] and file in row}
        if found:
            places[run.name] = found
        elif has.any():
            raise DataError(
                f"no picture of the run {run.name} has a label: give the --data and --folds it was scored on"
            )
    if not places:
        return None
    shared = sorted(set.intersection(*(set(found) for found in places.values())))
    if not shared:
        raise DataError(f"{_disjoint(places)} answered no picture in common: score them on the same fold")
    faces = labels.take(np.array(shared, dtype=np.intp))
    answers: dict[str, Floats] = {}
    for run in runs:
        if run.name in places:
            rows = np.array([places[run.name][at] for at in shared], dtype=np.intp)
            answers[run.name] = run.predictions.pmf[rows] if question == "age" else run.predictions.female[rows]
    sign = 1 if question == "age" else -1  # the share of right genders falls by as much as that of wrong ones rises
    terms = {name: sign * _wrong(answer, faces, question) for name, answer in answers.items()}
    answered = {name: len(found) for name, found in places.items()}
    return Task(question, faces, answers, answered, _differences(terms, faces, options))


def _wrong(answers: Floats, faces: Manifest, question: Question) -> Floats:
    if question == "age":
        wrong: Floats = np.abs(expectation(answers) - faces.age)
    else:
        wrong = ((answers >= 0.5) != (faces.female > 0)).astype(np.float64)
    return wrong


def _differences(terms: Mapping[str, Floats], faces: Manifest, options: Mapping[str, Any]) -> Pairs:
    """What `metrics.paired_bootstrap` finds for every pair, from one pass over the resamples."""
    each = np.stack(list(terms.values()), axis=1)
    draws = np.concatenate(
        [
            weights @ each / weights.sum(axis=1, keepdims=True)
            for weights in metrics.resamples(faces.twins, options["n"], options["seed"])
        ]
    )
    mean = each.mean(axis=0)
    ends = [(1 - options["level"]) / 2, (1 + options["level"]) / 2]
    low, high = np.quantile(draws[:, :, None] - draws[:, None, :], ends, axis=0)
    return Pairs(tuple(terms), mean[:, None] - mean[None, :], low, high)


def _disjoint(places: Mapping[str, Mapping[int, int]]) -> str:
    """Two runs without a common picture, or all of them."""
    names = list(places)
    for at, first in enumerate(names):
        for second in names[at + 1 :]:
            if not set(places[first]) & set(places[second]):
                return f"the runs {first} and {second}"
    return f"the runs {', '.join(names)}"


def _place(run: ScoredRun) -> int:
    return run.system.rows.index(run.row) if run.row is not None else len(run.system.rows)


def _pairs_record(pairs: Pairs) -> list[dict[str, Any]]:
    """Each pair once, the earlier run first."""
    count = len(pairs.names)
    return [
        {
            "first": pairs.names[i],
            "second": pairs.names[j],
            **Interval(float(pairs.value[i, j]), float(pairs.low[i, j]), float(pairs.high[i, j])).to_dict(),
            "real": bool(pairs.real[i, j]),
        }
        for i in range(count)
        for j in range(i + 1, count)
    ]
