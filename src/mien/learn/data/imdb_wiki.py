"""IMDB-WIKI: faces of people whose birth date and year of photo are known, as one Manifest.

Rasmus Rothe, Radu Timofte and Luc Van Gool, "Deep expectation of real and apparent age from a single image without
facial landmarks", IJCV 2018. `imdb.mat` and `wiki.mat` each hold one Matlab struct whose fields are as long as there
are pictures; the pictures lie below the folder of the file. The age is that on 1 July of the photo's year, since the
day is not known. Both dates were gathered by a robot: wrong labels are many, and the authors themselves advise to leave
out pictures without a found face, with a weak one, or with a second one.
"""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mien.errors import DataError, MissingExtra
from mien.estimate.calibrate import OLDEST
from mien.learn.data.manifest import Manifest

Numbers = NDArray[np.float64]

_NEEDED = ("dob", "photo_taken", "full_path", "gender", "face_score", "second_face_score")
_MATLAB_1970 = 719529
"""Matlab's day number of 1 January 1970; its day 1 is 1 January of the year 0."""
_FIRST_DAY, _LAST_DAY = 1.0, 3652425.0
"""Years 0 to 9999: what calendars agree on."""


def imdb_wiki(mat: Path, images: Path, *, min_score: float = 1.0) -> Manifest:
    """Read `imdb.mat` or `wiki.mat`.

    Args:
        mat: the file.
        images: folder that the paths in it are relative to; in the published archives, the file's own.
        min_score: the face detector's score must be above this (1.0 is what most who use this data take).

    Returns:
        One row a usable face, in the file's order: a face was found with such a score, no second one was, and the age
        is 0 to 116. What was left out is counted in `problems`, as are unknown genders. `group` is the person, where
        the file names people, so that a split keeps all pictures of one together.

    Raises:
        DataError: the file is not of that form, or no picture is left.
        MissingExtra: scipy, which reads it, is not installed.
    """
    name, fields = _struct(mat)
    score, second = _numbers(fields, "face_score"), _numbers(fields, "second_face_score")
    age = ages(_numbers(fields, "dob"), _numbers(fields, "photo_taken"))
    gender = _numbers(fields, "gender")
    files = _texts(fields["full_path"])
    reasons = {
        "no face was found": ~np.isfinite(score),
        f"the face has a score of at most {min_score:g}": score <= min_score,
        "there is a second face": ~np.isnan(second),
        f"the dates give no age from 0 to {OLDEST}": ~((age >= 0) & (age <= OLDEST)),
        "it has no path": files == "",
    }
    kept = np.ones(len(files), dtype=np.bool_)
    problems = []
    for reason, faulty in reasons.items():
        if count := int((kept & faulty).sum()):
            problems.append(f"{mat.name}: {count} of {len(files)} pictures left out: {reason}")
        kept &= ~faulty
    female = np.select([gender == 0, gender == 1], [1, 0], default=-1).astype(np.int8)
    if count := int((female[kept] < 0).sum()):
        problems.append(f"{mat.name}: {count} of the {int(kept.sum())} pictures used have no gender")
    people = _texts(fields["name"]) if "name" in fields else np.full(len(files), "")
    paths = tuple(images / file for file in files[kept].tolist())
    exists = np.array([path.is_file() for path in paths], dtype=np.bool_)
    if not exists.any():
        raise DataError(f"none of the {len(paths)} usable pictures of {mat.name} is in {images}")
    blank = np.full(len(paths), "")
    return Manifest(
        files=files[kept],
        paths=paths,
        exists=exists,
        age=age[kept].astype(np.float32),
        female=female[kept],
        group=people[kept],
        fold=blank,
        coral=blank,
        coral_twin=np.zeros(len(paths), dtype=np.bool_),
        race=np.full(len(paths), -1, dtype=np.int8),
        source=np.full(len(paths), name),
        problems=tuple(problems),
    )


def ages(born: Numbers, taken: Numbers) -> Numbers:
    """Whole years that a person has completed on 1 July of the year of the photo.

    Args:
        born: Matlab day numbers, in which 1 January 1970 is 719529; fractions of a day do not count.
        taken: years.

    Returns:
        Ages, float64, of the same shape; NaN where one of both dates is missing or impossible.
    """
    known = np.isfinite(born) & np.isfinite(taken) & (born >= _FIRST_DAY) & (born <= _LAST_DAY)
    days = (np.where(known, np.floor(born), 0).astype(np.int64) - _MATLAB_1970).astype("datetime64[D]")
    months = days.astype("datetime64[M]")
    year = days.astype("datetime64[Y]").astype(np.int64) + 1970
    month = months.astype(np.int64) % 12 + 1
    day = (days - months.astype("datetime64[D]")).astype(np.int64) + 1
    birthday_ahead = (month > 7) | ((month == 7) & (day > 1))
    whole: Numbers = np.where(known, taken, np.nan) - year - birthday_ahead
    return whole


def _struct(mat: Path) -> tuple[str, Mapping[str, NDArray[Any]]]:
    """Name of the one struct of the file, and its fields."""
    try:
        from scipy.io import loadmat
        from scipy.io.matlab import MatReadError
    except ImportError:
        raise MissingExtra.named("reading .mat files", "train") from None
    try:
        content = loadmat(mat, variable_names=["imdb", "wiki"])
    except (
        MatReadError,
        NotImplementedError,
        ValueError,
        OSError,
        zlib.error,
    ) as error:  # empty, of Matlab 7.3, cut...
        raise DataError(f"{mat} cannot be read as a Matlab file of version 5: {error}") from error
    name = next((name for name in ("imdb", "wiki") if name in content), None)
    if name is None or content[name].dtype.names is None or content[name].size != 1:
        raise DataError(f"{mat} holds no struct imdb or wiki: is it of IMDB-WIKI?")
    struct = content[name].reshape(-1)[0]
    fields = {field: struct[field].reshape(-1) for field in content[name].dtype.names}
    if missing := [field for field in _NEEDED if field not in fields]:
        raise DataError(f"the struct {name} of {mat} has no field {missing[0]!r}: is it of IMDB-WIKI?")
    lengths = {len(fields[field]) for field in (*_NEEDED, *(["name"] if "name" in fields else []))}
    if len(lengths) > 1:
        raise DataError(f"the fields of {name} in {mat} have different lengths: {', '.join(map(str, sorted(lengths)))}")
    return name, fields


def _numbers(fields: Mapping[str, NDArray[Any]], name: str) -> Numbers:
    """A numeric field as float64: files store small whole numbers, which overflow when subtracted."""
    try:
        return fields[name].astype(np.float64)
    except (TypeError, ValueError) as error:
        raise DataError(f"the field {name!r} does not hold numbers: {error}") from error


def _texts(cells: NDArray[Any]) -> NDArray[np.str_]:
    """A cell array of texts, each an array of none or one."""
    return np.array([str(cell.reshape(-1)[0]) if cell.size else "" for cell in map(np.asarray, cells)], dtype=np.str_)
