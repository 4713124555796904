"""From a recipe's `data` part to the faces it trains on."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from mien.errors import DataError
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
