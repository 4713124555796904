"""How right the peers are: the same figures for all, over the same faces."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from benchmarks.peers.measure import Run
from benchmarks.peers.photos import BANDS, Chips, in_band
from numpy.typing import NDArray

from mien.faces import Detection
from mien.learn.data.manifest import Manifest
from mien.learn.evaluation import metrics
from mien.learn.evaluation.evaluate import true_ages
from mien.learn.evaluation.through_detector import matching
from mien.results import Box

RESAMPLES = 2000
AGE: dict[str, metrics.Metric] = {"mae": metrics.mae, "bias": metrics.bias, "cs5": partial(metrics.cs, k=5)}


@dataclass(frozen=True)
class Estimates:
    """A peer's answers to labelled chips.

    Attributes:
        years: float64 [N], NaN where there is none.
        female: float64 [N], 1 where it says female, 0 for male, NaN where it says neither.
        found: bool [N], whether its detector found the face.
        errors: files that it could not answer.
    """

    years: NDArray[np.float64]
    female: NDArray[np.float64]
    found: NDArray[np.bool_]
    errors: int = 0


def estimates(run: Run, chips: Chips) -> Estimates:
    """Of the faces found, the one where the chip lies: its box holds the chip's middle and overlaps it best.

    In photographs without such places it is the largest.
    """
    count = len(chips.photos)
    years, female, found = np.full(count, np.nan), np.full(count, np.nan), np.zeros(count, np.bool_)
    errors = 0
    places: Sequence[Box | None] = [None] * count if chips.places is None else chips.places
    for row, (file, place) in enumerate(zip(chips.photos, places, strict=True)):
        answer = run.answers[file]
        errors += answer.error is not None
        seen = [Detection(Box(*face["box"]), score=None, landmarks=None) for face in answer.faces]
        best = max(seen, key=_area, default=None) if place is None else matching(seen, place)
        if best is not None:
            face = next(face for face, detection in zip(answer.faces, seen, strict=True) if detection is best)
            found[row], years[row], female[row] = True, face["age"], _female(face)
    return Estimates(years, female, found, errors)


def completed(before: Estimates, run: Run, chips: Chips) -> Estimates:
    """With the missed faces filled in from a run over their whole chips."""
    years, female = before.years.copy(), before.female.copy()
    for row in np.flatnonzero(~before.found):
        for face in run.answers[chips.chips[row]].faces[:1]:
            years[row], female[row] = face["age"], _female(face)
    return Estimates(years, female, before.found, before.errors)


def accuracy(
    peers: Mapping[str, Estimates], full: Mapping[str, Estimates], labels: Manifest, first: str = "mien"
) -> dict[str, Any]:
    """The figures of all peers.

    Args:
        peers: estimates by detection, by name of the peer.
        full: of those that take whole chips, the estimates with none missing.
        labels: the truth.
        first: the one that the others are held against.
    """
    common = np.logical_and.reduce([peer.found & ~np.isnan(peer.years) for peer in peers.values()])
    everything = np.ones(len(labels), np.bool_)
    record: dict[str, Any] = {"faces": len(labels), "common": int(common.sum()), "peers": {}}
    for name, peer in peers.items():
        figures: dict[str, Any] = {
            "missed": int((~peer.found).sum()),
            "errors": peer.errors,
            "found": figure(peer, labels, peer.found),
            "common": figure(peer, labels, common),
            "bands": {band: figure(peer, labels, common & in_band(labels, band)) for band in BANDS},
            "all": figure(full[name], labels, everything) if name in full else None,
        }
        if name != first and first in peers and common.any():
            figures["minus_mien"] = against(peers[first], peer, labels, common)
        record["peers"][name] = figures
    return record


def figure(peer: Estimates, labels: Manifest, rows: NDArray[np.bool_]) -> dict[str, Any]:
    """Age and gender on some rows, each figure with a 95 % interval of a bootstrap that keeps twins together."""
    found: dict[str, Any] = {"n": int((rows & ~np.isnan(peer.years)).sum())}
    truth = true_ages(labels).astype(np.float64)
    for chosen, prediction, label, known in (
        (AGE, peer.years, truth, rows & labels.aged & ~np.isnan(peer.years)),
        (
            {"gender": metrics.accuracy},
            peer.female,
            labels.female,
            rows & (labels.female >= 0) & ~np.isnan(peer.female),
        ),
    ):
        if known.any():
            figures = metrics.bootstrap(
                chosen, prediction[known], label[known].astype(np.float64), labels.twins[known], n=RESAMPLES
            )
            found |= {name: value.to_dict() for name, value in figures.items()}
    return found


def against(mien: Estimates, peer: Estimates, labels: Manifest, rows: NDArray[np.bool_]) -> dict[str, Any]:
    """The peer's figure minus mien's on the same faces, from a paired bootstrap."""
    found = {}
    truth = true_ages(labels).astype(np.float64)
    named = rows & (labels.female >= 0) & ~np.isnan(peer.female) & ~np.isnan(mien.female)
    for name, metric, sides, label, known in (
        ("mae", metrics.mae, (mien.years, peer.years), truth, rows & labels.aged),
        ("gender", metrics.accuracy, (mien.female, peer.female), labels.female, named),
    ):
        if known.any():
            one, other = (side[known] for side in sides)
            difference = metrics.paired_bootstrap(
                metric, one, other, label[known].astype(np.float64), labels.twins[known], n=RESAMPLES
            )
            found[name] = difference.to_dict()
    return found


def found_boxes(run: Run, boxes: Mapping[str, list[Box]]) -> dict[str, int]:
    """True faces found, and false ones, in whole photos.

    A face is found where the middle of an answer's box lies in its true box; each answer finds one face at most. Boxes
    of detectors differ in how much of the head they take in, so their overlap would favour some.
    """
    true = hits = false = 0
    for file, truth in boxes.items():
        middles = [
            ((face["box"][0] + face["box"][2]) / 2, (face["box"][1] + face["box"][3]) / 2)
            for face in run.answers[file].faces
        ]
        free = list(middles)
        for box in truth:
            inside = [(x, y) for x, y in free if box.left <= x <= box.right and box.top <= y <= box.bottom]
            if inside:
                free.remove(inside[0])
                hits += 1
        true += len(truth)
        false += len(free)
    return {"true": true, "found": hits, "false": false}


def _female(face: Mapping[str, Any]) -> float:
    return {"female": 1.0, "male": 0.0}.get(face["gender"], np.nan)


def _area(face: Detection) -> float:
    return face.box.width * face.box.height
