"""Flat rows of photos, one a face, for CSV and Parquet, with the same columns in the same order."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any

from mien.names import printable
from mien.results import SCHEMA_VERSION, Face, Photo

POINTS = ("left_eye", "right_eye", "nose", "left_mouth", "right_mouth")
COLUMNS: dict[str, type] = {
    "schema_version": int,
    "source": str,
    "model": str,
    "width": int,
    "height": int,
    "faces": int,
    "face": int,
    "left": float,
    "top": float,
    "right": float,
    "bottom": float,
    "score": float,
    "age": float,
    "age_median": float,
    "age_low": float,
    "age_high": float,
    "age_level": float,
    "gender": str,
    "gender_probability": float,
    "eyes": float,
    "sharpness": float,
    "turn": float,
    "quality_flags": str,
    **{f"{point}_{axis}": float for point in POINTS for axis in "xy"},
    "error_kind": str,
    "error_message": str,
    "scale": float,
    "turned": int,
    "incomplete": bool,
}
"""Columns of CSV and Parquet. `faces` counts the faces of the photo, `face` numbers them from 0, largest first;
`quality_flags` are separated by spaces, empty for a good view. A photo without a face, or one that failed, has one row
with the columns of a face empty. With `--pmf` follow `age_pmf_0` to `age_pmf_116` (CSV) or the list `age_pmf`
(Parquet)."""

PICTURES = ("annotated", "crop")
"""Further columns, where such pictures are asked for: names of the files, within their folders."""

YEARS = 117
"""Years of a distribution."""


def rows(photo: Photo, *, pmf: bool = False, pictures: Sequence[str] = ()) -> Iterator[dict[str, Any]]:
    """The rows of one photo, with the columns of `PICTURES` that are asked for; with `pmf` each has "age_pmf" last."""
    head = {
        "schema_version": SCHEMA_VERSION,
        "source": printable(photo.source),
        "model": photo.model,
        "width": photo.width,
        "height": photo.height,
        "scale": None if photo.scale is None else round(photo.scale, 4),
        "turned": photo.turned,
        "incomplete": photo.incomplete,
        "faces": len(photo.faces),
    }
    tail = {
        "error_kind": photo.error and photo.error.kind,
        "error_message": photo.error and printable(photo.error.message),
    }
    for index, face in enumerate(photo.faces or (None,)):
        middle = {} if face is None else {"face": index, **_flat(face)}
        row = dict.fromkeys(COLUMNS) | head | middle | tail
        row = {name: None if isinstance(v, float) and not math.isfinite(v) else v for name, v in row.items()}
        named = {"annotated": photo.annotated, "crop": None if face is None else face.crop}
        row |= {name: named[name] for name in pictures}
        if pmf:
            row["age_pmf"] = None if face is None else [round(p, 6) for p in face.age.pmf]
        yield row


def _flat(face: Face) -> dict[str, Any]:
    record = face.to_dict()
    age, gender, quality = record["age"], record["gender"], record["quality"]
    points = zip(POINTS, record["landmarks"] or [], strict=False)
    return {
        **record["box"],
        "score": record["score"],
        "age": age["years"],
        **{f"age_{part}": age[part] for part in ("median", "low", "high", "level")},
        "gender": gender["label"],
        "gender_probability": gender["probability"],
        **{name: quality[name] for name in ("eyes", "sharpness", "turn")},
        "quality_flags": " ".join(quality["flags"]) or None,
        **{f"{name}_{axis}": value for name, point in points for axis, value in zip("xy", point, strict=True)},
    }


def wide(row: dict[str, Any]) -> dict[str, Any]:
    """A row of CSV: a column for each year of the distribution in place of the list."""
    masses = row.pop("age_pmf") or [None] * YEARS
    return row | {f"age_pmf_{age}": mass for age, mass in enumerate(masses)}


def csv_columns(*, pmf: bool = False, pictures: Sequence[str] = ()) -> list[str]:
    """The names of all columns of CSV."""
    return [*COLUMNS, *pictures, *(f"age_pmf_{age}" for age in range(YEARS if pmf else 0))]


def parquet_columns(*, pmf: bool = False, pictures: Sequence[str] = ()) -> dict[str, str]:
    """Name and type of all columns of Parquet."""
    kinds = {int: "int32", float: "float32", str: "string", bool: "bool"}
    columns = {name: kinds[kind] for name, kind in COLUMNS.items()} | dict.fromkeys(pictures, "string")
    return columns | ({"age_pmf": "list"} if pmf else {})
