"""Labels of the pictures that runs were scored on: from the data set, or from the pictures' own names."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from mien.errors import DataError
from mien.estimate.calibrate import OLDEST
from mien.learn.data import readers
from mien.learn.data.manifest import Manifest
from mien.learn.data.readers import UTKFACE_NAME


@dataclass(frozen=True)
class Labels:
    """What the pictures are labelled.

    Attributes:
        manifest: of all folds if the data is there, else of the runs' pictures alone.
        origin: where the labels come from, as a sentence.
    """

    manifest: Manifest
    origin: str

    @property
    def twins(self) -> bool:
        """Whether near-identical pictures are known, so that the bootstrap keeps them together."""
        return bool((self.manifest.group != "").any())


def read_labels(files: Sequence[str], data: Path | None, folds: Path | None = None) -> Labels:
    """Labels of pictures from the data set, or from their own names where it is not there.

    Args:
        files: names of the runs' pictures.
        data: what `mien.learn.data.readers.read` takes; None reads the names, which are UTKFace's.
        folds: its table of folds.

    Raises:
        DataError: no label at all.
    """
    if data is not None:
        labels = Labels(readers.read(data, folds), f"read from {folds or data}")
        known = "are kept together" if labels.twins else "are not known"
        return replace(labels, origin=f"{labels.origin}; near-identical pictures {known}")
    named = [(file, match) for file in files if (match := UTKFACE_NAME.fullmatch(Path(file).name))]
    named = [(file, match) for file, match in named if int(match["age"]) <= OLDEST]
    if not named:
        raise DataError("the pictures' names do not say ages and genders as UTKFace's do: give --data and --folds")
    size, nameless = len(named), np.full(len(named), "")
    said = Manifest(
        files=np.array([file for file, _ in named], dtype=np.str_),
        paths=tuple(Path(file) for file, _ in named),
        exists=np.zeros(size, np.bool_),
        age=np.array([int(match["age"]) for _, match in named], dtype=np.float32),
        female=np.array([int(match["gender"]) for _, match in named], dtype=np.int8),
        group=nameless,
        fold=np.full(size, "test"),
        coral=nameless,
        coral_twin=np.zeros(size, np.bool_),
        race=np.array([int(match["race"]) for _, match in named], dtype=np.int8),
        source=np.full(size, "utkface"),
    )
    return Labels(said, "read from the file names, since the data is not here; near-identical pictures are not known")
