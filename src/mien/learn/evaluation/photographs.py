"""A model and labelled pictures to predictions, all the way of `mien predict`: decoded, found, cut, answered.

Of several faces in a photograph the largest is taken, or where the table states a point (columns x and y) the one
whose middle lies nearest to it. A point that lies further from that middle than the face is large belongs to somebody
whom the detector did not find.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path

import numpy as np

from mien.analyzer import Analyzer
from mien.estimate.calibrate import AGES
from mien.learn.data.manifest import Manifest
from mien.learn.data.predictions import INTERVAL_LEVEL, Predictions
from mien.photos.sources import Item
from mien.results import Face, Point


def predict_photographs(
    analyzer: Analyzer, manifest: Manifest, *, progress: Callable[[int], None] = lambda done: None
) -> Predictions:
    """Answer every row of a manifest as `mien predict` answers its photograph.

    Args:
        analyzer: the model behind a detector; with the detector "whole" every picture is an aligned chip.
        manifest: its missing pictures are passed over; rows of one photograph share its faces.
        progress: told how many rows were done since the last call.

    Returns:
        The answers, with the intervals at `INTERVAL_LEVEL`; `missed` names the rows whose face was not found.

    Raises:
        ValueError: the analyzer answers with intervals at another level, or may call a gender uncertain.
    """
    if (analyzer.options.level, analyzer.options.abstain) != (INTERVAL_LEVEL, 0.5):
        raise ValueError(f"the analyzer must give intervals at {INTERVAL_LEVEL} and always name a gender")
    there = manifest.present()
    rows_of: dict[Path, list[int]] = {}
    for row, path in enumerate(there.paths):
        rows_of.setdefault(path, []).append(row)
    faces: dict[int, Face] = {}
    missed: list[int] = []
    unreadable: dict[str, str] = {}
    photos = (Item.file(str(path)) for path in rows_of)
    with closing(analyzer.stream(photos)) as answers:
        for rows, photo in zip(rows_of.values(), answers, strict=True):
            for row in rows:
                found = None if photo.error is not None else meant_face(photo.faces, there.place[row].tolist())
                if photo.error is not None:
                    unreadable[str(there.files[row])] = photo.error.message
                elif found is None:
                    missed.append(row)
                else:
                    faces[row] = found
            progress(len(rows))
    order = sorted(faces)
    return Predictions(
        there.files[order],
        np.array([faces[row].age.pmf for row in order], np.float32).reshape(-1, AGES),
        np.array([faces[row].gender.female for row in order], np.float32),
        unreadable,
        analyzer.config.name,
        tuple(there.files[sorted(missed)].tolist()),
        np.array([(faces[row].age.low, faces[row].age.high) for row in order], np.float32).reshape(-1, 2),
    )


def meant_face(faces: Sequence[Face], point: Point | Sequence[float]) -> Face | None:
    """The face that a row of a table is about.

    Args:
        faces: of the photograph, the largest first.
        point: x and y on the face, in pixels of the photograph; NaN where none is stated.

    Returns:
        The largest face, or the nearest to the point; None where there is none, or none that the point can lie on.
    """
    x, y = point
    if math.isnan(x) or math.isnan(y):
        return faces[0] if faces else None
    nearest = min(faces, key=lambda face: math.dist(_middle(face), (x, y)), default=None)
    if nearest is None or math.dist(_middle(nearest), (x, y)) > max(nearest.box.width, nearest.box.height):
        return None
    return nearest


def _middle(face: Face) -> Point:
    return (face.box.left + face.box.right) / 2, (face.box.top + face.box.bottom) / 2
