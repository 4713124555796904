"""Answers for training faces that heads on frozen features, or a model, give: teachers of a later run."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from mien.learn.data.counting import Report, unheard
from mien.learn.data.manifest import Manifest
from mien.learn.data.predictions import Predictions
from mien.learn.networks.build import build
from mien.learn.networks.heads import AgeGenderNet
from mien.learn.recipe import Model
from mien.learn.training import crossfit as fitting
from mien.runtime.cores import physical_cores


def cross_fitted(
    start: Path,
    taught: Manifest,
    also: Manifest | None = None,
    *,
    size: int = 192,
    parts: int = 5,
    seeds: int = 3,
    threads: int = 0,
    report: Report = unheard,
) -> tuple[Predictions, Manifest]:
    """Answers for each face by heads that did not see it, on the features of a backbone.

    Args:
        start: weights of the backbone: a file, a model's folder, or its name.
        taught: labelled faces; their pictures must be there.
        also: further faces to answer for; their labels are not used.
        size: side of the chips in pixels.
        parts: that the faces are cut in, twins together.
        seeds: heads a part, averaged.
        threads: cores to use; 0 for all.
        report: takes one line of progress at a time.

    Returns:
        The answers, and the faces that they are for.

    Raises:
        DataError: the start weights do not fit.
    """
    net = build(Model(init=start, size=size), report)
    assert isinstance(net, AgeGenderNet)
    cores = threads or physical_cores()
    sets: Sequence[Manifest] = [taught] if also is None else [taught, also]
    faces = [fitting.extract(net, manifest, size, threads=cores) for manifest in sets]
    answers = fitting.crossfit(*faces, parts=parts, seeds=seeds, report=report)
    return answers, Manifest.concatenate([part.manifest for part in faces])
