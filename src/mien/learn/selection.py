"""From a recipe's `data` part to the faces it trains on."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from mien.errors import DataError
from mien.learn.crops import Boxes, of_size
from mien.learn.manifest import Manifest, read
from mien.learn.recipe import Data, DataSource


def join(sources: tuple[DataSource, ...], limit: int | None = None) -> Manifest:
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
        if not source.ages:
            manifest = replace(manifest, age=np.full_like(manifest.age, np.nan))
        parts.append(manifest.take(np.arange(min(limit, len(manifest)))) if limit else manifest)
    joined = Manifest.concatenate(parts)
    if len(joined) == 0:
        raise DataError(f"no face to use in {', '.join(str(source.data) for source in sources)}")
    return joined


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
    kept = of_size(manifest, data.min_bytes)
    if len(kept) == 0:
        raise DataError(f"no face is left: all files are smaller than data.min_bytes, {data.min_bytes} bytes")
    if left_out := len(manifest) - len(kept):
        report(f"{left_out} faces in files under {data.min_bytes} bytes are left out of training")
    return kept


def seen(
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
