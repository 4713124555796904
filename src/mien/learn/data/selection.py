"""From a recipe's `data` part to the faces it trains on."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from mien.errors import DataError
from mien.estimate.calibrate import AGES
from mien.learn.data.detector_boxes import Boxes, in_large_files
from mien.learn.data.manifest import Manifest
from mien.learn.data.readers import read
from mien.learn.recipe import Data, DataSource

SMOOTHING = 2.0
"""Standard deviation, in years, of the window that an age's rarity is counted in."""


def joined_sources(sources: tuple[DataSource, ...], limit: int | None = None) -> Manifest:
    """Read and join data sets, at most `limit` faces of each.

    Raises:
        DataError: no face is left.
    """
    parts = []
    for source in sources:
        manifest = read(source.data, source.folds)
        if source.fold is not None:
            manifest = manifest.select(fold=source.fold)
        manifest = manifest.present()
        if source.only is not None:
            manifest = manifest.of_source(source.only)
        if not source.ages:
            manifest = manifest.ageless()
        if limit:
            manifest = manifest.take(np.arange(min(limit, len(manifest))))
        parts.append(repeated(manifest, source.times, source.balance))
    joined = Manifest.concatenate(parts)
    if len(joined) == 0:
        raise DataError(f"no face to use in {', '.join(str(source.data) for source in sources)}")
    return joined


def each_once(sources: tuple[DataSource, ...]) -> Manifest:
    """All faces of some sources, each once, however often they are shown; labels as the first source has them.

    Raises:
        DataError: no face is left, or two faces of different sources have the same name.
    """
    plain = joined_sources(tuple(source.model_copy(update={"times": 1.0, "balance": 0.0}) for source in sources))
    _, first = np.unique([str(path) for path in plain.paths], return_index=True)
    faces = plain.take(np.sort(first))
    names, counts = np.unique(faces.files, return_counts=True)
    if (counts > 1).any():
        raise DataError(f"{names[counts > 1][0]} names two faces of different sources: answers could not be told apart")
    return faces


def repeated(manifest: Manifest, times: float, balance: float = 0.0) -> Manifest:
    """Each row `times` times on average, in order; rows of rare ages more often.

    Of the fraction in "2.4 times" chance makes 2 or 3, always the same for the same rows. Rows without an age are as
    frequent as the average.

    Args:
        manifest: what to repeat.
        times: how often.
        balance: power of an age's rarity, see `rarity`.
    """
    wanted = times * rarity(*manifest.bounds, balance)
    counts = np.floor(wanted + np.random.default_rng(0).random(len(manifest))).astype(np.intp)
    return manifest.take(np.repeat(np.arange(len(manifest)), counts))


def rarity(low: NDArray[np.float32], high: NDArray[np.float32], power: float) -> NDArray[np.float64]:
    """How much each face should count so that rare ages are not drowned: [N], 1 on average.

    The density of ages is smoothed, so that neighbours count for each other (Yang et al., "Delving into deep imbalanced
    regression", ICML 2021).

    Args:
        low: between which years each age lies, [N]; NaN where nothing is known, which counts 1.
        high: likewise.
        power: 0 for all alike, 1 for each age as much as any other; nothing counts over eight times the average.

    >>> rarity(np.float32([20, 20, 20, 20, 70]), np.float32([20, 20, 20, 20, 70]), 0.5).round(2).tolist()
    [0.83, 0.83, 0.83, 0.83, 1.67]
    """
    known = ~np.isnan(low)
    weights = np.ones(len(low))
    if power == 0 or not known.any():
        return weights
    years = np.arange(AGES)
    inside = (years >= np.floor(low[known, None])) & (years <= np.floor(high[known, None]))
    shares = inside / inside.sum(axis=1, keepdims=True)
    kernel = np.exp(-((years[:, None] - years) ** 2) / (2 * SMOOTHING**2))
    density = kernel @ shares.sum(axis=0)
    found = (shares @ density) ** -power
    weights[known] = np.minimum(found / found.mean(), 8.0)
    return weights


def of_gender(manifest: Manifest, data: Data) -> Manifest:
    """The women, the men or all, as a recipe says; faces of unknown gender only among all.

    Raises:
        DataError: no face is left.
    """
    if data.women and data.men:
        return manifest
    wanted = ([1] if data.women else []) + ([0] if data.men else [])
    kept = manifest.take(np.isin(manifest.female, wanted))
    if len(kept) == 0:
        raise DataError("no face is left: data.women and data.men leave none of those there are")
    return kept


def large_enough(manifest: Manifest, data: Data, report: Callable[[str], None] = lambda line: None) -> Manifest:
    """The faces in files of at least `data.min_bytes`; how many are left out is told in one line.

    Raises:
        DataError: no face is left.
    """
    kept = in_large_files(manifest, data.min_bytes)
    if len(kept) == 0:
        raise DataError(f"no face is left: all files are smaller than data.min_bytes, {data.min_bytes} bytes")
    if left_out := len(manifest) - len(kept):
        report(f"{left_out} faces in files under {data.min_bytes} bytes are left out of training")
    return kept


def detected_faces(
    manifest: Manifest, data: Data, boxes: Boxes | None, report: Callable[[str], None] = lambda line: None
) -> Manifest:
    """Where a recipe drops misses the faces in which its detector found one, else all; those left out are counted.

    Raises:
        DataError: no face is left.
    """
    if not data.drop_misses or boxes is None:
        return manifest
    kept = manifest.take(np.array([boxes.sees(file) for file in manifest.files.tolist()], dtype=np.bool_))
    if len(kept) == 0:
        raise DataError(f"no face is left: {boxes.detector} found none in any chip, and data.drop_misses is true")
    report(f"{len(manifest) - len(kept)} faces in which {boxes.detector} found none are left out of training")
    return kept
