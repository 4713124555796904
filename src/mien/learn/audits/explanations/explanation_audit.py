"""Whether explanation maps are faithful: do answers change where the maps say, and do maps depend on what was learned?

Deletion and insertion (Petsiuk et al., "RISE", BMVC 2018), for answers that are numbers. The detail of a chip moves the
answer from that for the veiled chip (`mien.estimate.maps.veiled`) to that for the chip: towards older or towards
younger. A map ranks the pixels by what they add in this direction. Deletion veils them in that order, the first eighth,
then the second; its curve tells how far the answer has moved back. Insertion starts from the veiled chip and shows
them in that order; its curve tells how far the answer still has to go. The area under a curve is its mean over the
share of pixels, in years (or log-odds). A better map has more area in deletion and less in insertion. A map that knows
what speaks against the answer shows that first or last and gets beyond both ends.

Controls are ranked in the same way: smooth random maps, with as many cells as the method's, and a round blob in the
middle of the chip, where all that matters of an aligned face lies. Random maps are drawn anew for each face.

Weight randomisation (Adebayo et al., "Sanity Checks for Saliency Maps", NeurIPS 2018): the map of the model, and that
of the same network after the weights of its heads and of its last stage were shuffled, should have little in common.
"""

from __future__ import annotations

import os
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata

from mien.arrays import Chips, Doubles, Pixels
from mien.errors import DataError, PhotoError
from mien.estimate.maps import VEIL, ChipModel, MapMaker, check_target, pixels, values, veiled
from mien.faces.align import resize_chip
from mien.learn.audits.explanations.explanation_report import (
    BLOB,
    Curves,
    ExplanationReport,
    Faithfulness,
    Randomised,
    random_of,
)
from mien.learn.data.manifest import Manifest
from mien.learn.data.predictions import each_picture
from mien.learn.evaluation import metrics

Prepare = Callable[[str, Pixels], Pixels]
Shuffled = Callable[[str, int], MapMaker]
"""A method's name and a seed -> that method for the network with its last weights shuffled."""

FACES = 500
STEPS = 8
"""Parts into which the pixels of a chip are divided by rank."""

SHUFFLES = 5
"""Networks with shuffled weights; each is compared on `PER_SHUFFLE` faces."""
PER_SHUFFLE = 8

BLOB_SPREAD = 1 / 4
"""Of the blob, as a share of the chip's side; only its order counts."""


def measure(
    model: ChipModel,
    makers: Sequence[MapMaker],
    faces: Manifest,
    *,
    target: str = "age",
    name: str = "",
    prepare: Prepare = lambda file, pixels: pixels,
    shuffled: Shuffled | None = None,
    threads: int = 2,
    seed: int = 0,
    resamples: int = 1000,
    level: float = 0.95,
    progress: Callable[[int], None] = lambda done: None,
) -> ExplanationReport:
    """Measure the maps of several methods on the same faces.

    Args:
        model: what is explained; one that uses a single core is best, since faces are looked at side by side.
        makers: the methods.
        faces: chips, e.g. from `mien.learn.audits.robustness.robustness_audit.stratified`; missing pictures are passed
            over.
        target: "age" or "gender".
        name: of the model, to keep.
        prepare: what a recipe shows its network of a chip, given the file's name and the chip.
        shuffled: makes the methods for shuffled networks; None where the network cannot be shuffled.
        threads: faces that are looked at side by side; model and methods are called from all of them at once.
        seed: of random maps, shuffled weights and resamples.
        resamples: of the bootstrap.
        level: of its intervals.
        progress: told of each face that is done, 1 at a time; the comparison with shuffled networks comes last.

    Raises:
        DataError: no picture can be read.
    """
    check_target(target)
    present = faces.present()
    contract = model.contract
    study = _Study(model, makers, target, seed)
    wanted = SHUFFLES * PER_SHUFFLE if shuffled is not None else 0
    spread = np.linspace(0, len(present) - 1, min(wanted, len(present))).round().astype(int)
    kept = set(present.files[spread].tolist())

    def look(file: str, pixels: Pixels) -> _Face:
        return study.face(file, resize_chip(prepare(file, pixels), contract), keep=file in kept)

    found: list[tuple[str, _Face]] = []
    for group, (_, face) in zip(present.twins.tolist(), each_picture(present, look, threads), strict=True):
        progress(1)
        if not isinstance(face, PhotoError):
            found.append((group, face))
    if not found:
        raise DataError(f"none of the {len(faces)} pictures can be read")
    settings = {"steps": STEPS, "veil": VEIL, "seed": seed, "resamples": resamples, "level": level}
    rows = [face for _, face in found]
    bootstrap = _Bootstrap(np.array([group for group, _ in found], dtype=np.str_), resamples, seed, level)
    return _report(rows, len(present), study, shuffled, bootstrap, name=name, settings=settings)


def _report(
    rows: list[_Face],
    present: int,
    study: _Study,
    shuffled: Shuffled | None,
    bootstrap: _Bootstrap,
    *,
    name: str,
    settings: dict[str, Any],
) -> ExplanationReport:
    chosen = {maker.method: random_of(rows[0].maps[maker.method].shape, maker.spread) for maker in study.makers}
    return ExplanationReport(
        model=name,
        target=study.target,
        faces=len(rows),
        unreadable=present - len(rows),
        settings=settings,
        moved=bootstrap(np.array([abs(face.value - face.blank) for face in rows])),
        curves={map_: _mean_curves([face.curves[map_] for face in rows]) for map_ in rows[0].curves},
        methods={method: _faithfulness(rows, method, control, bootstrap) for method, control in chosen.items()},
        randomised={} if shuffled is None else _randomised(rows, study, shuffled, bootstrap),
    )


@dataclass(frozen=True)
class _Face:
    """What was measured on one face; `chip` only where shuffled networks shall see it too."""

    value: float
    blank: float
    maps: dict[str, Doubles]
    curves: dict[str, Curves]
    chip: Chips | None


@dataclass(frozen=True)
class _Study:
    """What is asked of each face."""

    model: ChipModel
    makers: Sequence[MapMaker]
    target: str
    seed: int

    def face(self, file: str, chip: Chips, *, keep: bool) -> _Face:
        veil = veiled(chip[None])[0]
        value, blank = values(self.model(np.stack([chip, veil])), self.target).tolist()
        towards = 1.0 if value >= blank else -1.0
        maps = {maker.method: maker(chip[None], self.target)[0] for maker in self.makers}
        curves = {}
        for map_, weights in self._ranked(maps, file, len(chip), towards).items():
            deleted, inserted = self._answers(chip, veil, ranks(weights))
            deletion = towards * (value - np.array([value, *deleted, blank]))
            curves[map_] = Curves(deletion, towards * (value - np.array([blank, *inserted, value])))
        return _Face(value, blank, maps, curves, chip if keep else None)

    def _ranked(self, maps: dict[str, Doubles], file: str, size: int, towards: float) -> dict[str, Doubles]:
        """Maps and controls [S, S], larger where more is said to speak for the answer."""
        found = {}
        for maker in self.makers:
            cells = maps[maker.method]
            found[maker.method] = pixels(towards * cells if maker.signed else cells, size, maker.spread)
        for maker in self.makers:
            shape, name = maps[maker.method].shape, random_of(maps[maker.method].shape, maker.spread)
            chance = np.random.default_rng([self.seed, zlib.crc32(os.fsencode(file)), *shape])
            found[name] = pixels(chance.normal(size=shape), size, maker.spread)
        return found | {BLOB: blob(size)}

    def _answers(self, chip: Chips, veil: Chips, places: Doubles) -> tuple[Doubles, Doubles]:
        """Answers [STEPS - 1] for chips with more and more pixels deleted, and inserted."""
        shares = np.arange(1, STEPS) / STEPS
        deleted = [np.where(places[..., None] < share, veil, chip) for share in shares]
        inserted = [np.where(places[..., None] < share, chip, veil) for share in shares]
        answers = values(self.model(np.stack([*deleted, *inserted])), self.target)
        return answers[: len(shares)], answers[len(shares) :]


def blob(size: int) -> Doubles:
    """A round blob [size, size] in the middle, 1 at most."""
    away = (np.arange(size) + 0.5) / size - 0.5
    bell = np.exp(-(away**2) / (2 * BLOB_SPREAD**2))
    return np.outer(bell, bell)


def ranks(weights: Doubles) -> Doubles:
    """The place of each pixel in the order of a map [S, S], largest first, as a share from 0 to below 1."""
    order = np.argsort(-weights.ravel(), kind="stable")
    places = np.empty(order.size)
    places[order] = np.arange(order.size) / order.size
    return places.reshape(weights.shape)


def _mean_curves(curves: Sequence[Curves]) -> Curves:
    deletion = np.mean([one.deletion for one in curves], axis=0)
    insertion = np.mean([one.insertion for one in curves], axis=0)
    return Curves(deletion, insertion)


@dataclass(frozen=True)
class _Bootstrap:
    """The mean of a figure over faces, with its interval."""

    twins: NDArray[np.str_]
    resamples: int
    seed: int
    level: float

    def __call__(self, figure: Doubles, rows: Sequence[int] | None = None) -> metrics.Interval:
        twins = self.twins if rows is None else self.twins[list(rows)]
        finite = np.isfinite(figure)
        figure, twins = figure[finite], twins[finite]
        found = metrics.bootstrap(
            {"": metrics.bias}, figure, np.zeros(len(figure)), twins, n=self.resamples, seed=self.seed, level=self.level
        )
        return found[""]


def _faithfulness(rows: Sequence[_Face], method: str, control: str, bootstrap: _Bootstrap) -> Faithfulness:
    def areas(map_: str) -> tuple[Doubles, Doubles]:
        both = [face.curves[map_].areas() for face in rows]
        return np.array([area for area, _ in both]), np.array([area for _, area in both])

    (deletion, insertion), chance, middle = areas(method), areas(control), areas(BLOB)
    return Faithfulness(
        control=control,
        deletion=bootstrap(deletion),
        insertion=bootstrap(insertion),
        deletion_over_random=bootstrap(deletion - chance[0]),
        deletion_over_blob=bootstrap(deletion - middle[0]),
        insertion_under_random=bootstrap(chance[1] - insertion),
        insertion_under_blob=bootstrap(middle[1] - insertion),
    )


def _randomised(
    rows: Sequence[_Face], study: _Study, shuffled: Shuffled, bootstrap: _Bootstrap
) -> dict[str, Randomised]:
    """Rank correlation of each method's maps with those of shuffled networks."""
    seen = [at for at, face in enumerate(rows) if face.chip is not None]
    found = {}
    for maker in study.makers:
        others = [shuffled(maker.method, study.seed + turn) for turn in range(min(SHUFFLES, len(seen)))]
        likeness = np.empty(len(seen))
        for number, at in enumerate(seen):
            face = rows[at]
            assert face.chip is not None
            cells = others[number % len(others)](face.chip[None], study.target)[0]
            likeness[number] = correlation(face.maps[maker.method], cells)
        found[maker.method] = Randomised(len(seen), bootstrap(likeness, seen), bootstrap(np.abs(likeness), seen))
    return found


def correlation(first: Doubles, second: Doubles) -> float:
    """Spearman's rank correlation of two maps; NaN if one of them is flat.

    >>> correlation(np.array([[1.0, 2.0], [3.0, 9.0]]), np.array([[0.0, -1.0], [-2.0, -3.0]]))
    -1.0
    """
    a, b = rankdata(first), rankdata(second)
    a, b = a - a.mean(), b - b.mean()
    scale = float(np.sqrt((a**2).sum() * (b**2).sum()))
    return round(float((a * b).sum()) / scale, 12) if scale else float("nan")
