"""Readers of labelled pictures: UTKFace names, CSV tables, class folders, folds files, IMDB-WIKI; all as one table.

Labels are never guessed. A name or cell that cannot be understood leaves its label unknown and is told in `problems`.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from mien.errors import DataError
from mien.estimate.calibrate import OLDEST
from mien.learn.data import tables
from mien.learn.data.imdb_wiki import imdb_wiki
from mien.learn.data.manifest import Manifest, Strings
from mien.photos.item import is_picture

UTKFACE_NAME = re.compile(r"(?P<age>\d{1,3})_(?P<gender>[01])_(?P<race>[0-4])_\d+[^_]*\.jpg", re.ASCII)
"""`AGE_GENDER_RACE_DATE.jpg.chip.jpg`, gender 0 = male and 1 = female; what follows the date carries no label."""

LABELS = frozenset({"age", "age_low", "age_high", "gender"})
"""Columns of a table that label a picture."""

FOLD_FOLDERS = frozenset({"train", "val", "test"})


def read(data: Path, folds: Path | None = None) -> Manifest:
    """Read labelled pictures, whatever form they have.

    Args:
        data: a CSV table (see `table`); `imdb.mat` or `wiki.mat` (see `mien.learn.data.imdb_wiki`); or a folder:
            UTKFace chips (see `utkface`), or what `folder` reads.
        folds: a CSV table with columns `file` and `fold`, optionally `group` and `coral`. If it also has `age` or
            `gender`, it is the table of labels of the folder, and pictures that it does not list are left out.

    Raises:
        DataError: nothing fits, or no listed picture is there; the sentence says what was looked for.
    """
    if not data.exists():
        raise DataError(f"there is no data at {data}")
    if folds is None:
        return _file(data) if data.is_file() else folder(data)
    if data.is_file() or not LABELS & set(tables.header(folds)):
        return _assign_folds(_file(data) if data.is_file() else folder(data), folds)
    root = _pictures_root(data)
    return utkface(root, folds) if _mostly_utkface(_pictures(root)) else table(folds, root)


def _file(path: Path) -> Manifest:
    return imdb_wiki(path, path.parent) if path.suffix.lower() == ".mat" else table(path)


def utkface(path: Path, folds: Path | None = None) -> Manifest:
    """Read chips of UTKFace (Zhang et al., CVPR 2017), labelled by their names.

    Args:
        path: folder of the chips.
        folds: table of folds that also states the labels (file, age, gender, group, fold, coral). A label there that
            contradicts the name is told as a problem; the table's is used.

    Returns:
        The manifest; without folds, a chip whose name is malformed is left out and told in `problems`.
    """
    root = _pictures_root(path)
    if folds is not None:
        return _check_names(table(folds, root))
    rows, problems = [], []
    for file in _pictures(root):
        match = UTKFACE_NAME.fullmatch(Path(file).name)
        if match is None or int(match["age"]) > OLDEST:
            problems.append(f"{file}: not named AGE_GENDER_RACE_DATE.jpg.chip.jpg, left out")
        else:
            age, female, race = int(match["age"]), int(match["gender"]), int(match["race"])
            rows.append(_Row(file, root / file, age, female, race))
    return _manifest(rows, _source_name(root), problems)


def folder(path: Path) -> Manifest:
    """Read a folder of pictures that labels them in one of these ways, tried in this order.

    1. `labels.csv` in it, or beside it if it is called "images" (see `table`).
    2. UTKFace names, of most pictures.
    3. Sub-folders, each of which says one thing: a number is an age, a gender word (man, female, ...) a gender, and
       train, val or test a fold: `34/x.jpg`, `woman/x.jpg`, `train/woman/34/x.jpg`.

    Raises:
        DataError: no picture, or no label.
    """
    root = _pictures_root(path)
    for labels in (path / "labels.csv", *((path.parent / "labels.csv",) if path.name == "images" else ())):
        if labels.is_file():
            return table(labels, root)
    return utkface(root) if _mostly_utkface(_pictures(root)) else _class_folders(root)


def table(path: Path, root: Path | None = None) -> Manifest:
    """Read a CSV table: `file`, and `age` or `gender` or both; optionally `group`, `fold`, `coral` and `race` (0 to 4).

    Ages are whole years from 0 to 116; in place of `age`, or beside it for rows where that cell is empty, `age_low` and
    `age_high` state between which years the age lies, with or without decimals. A `source` column names the part of a
    collection that a row is of. Genders are 0/1, m/f, male/female or man/woman in any case. In photographs of several
    people `x` and `y` state a point on the face that is meant; a photograph may then be listed once for each of them,
    and its second row is called "FILE#2". An empty cell is
    unknown.

    Args:
        path: the table, UTF-8 with commas and a header.
        root: folder that `file` is relative to; otherwise that of the table, or "images" in it.

    Returns:
        The manifest; a cell that cannot be understood counts as unknown and is told with its row.

    Raises:
        DataError: the table has no such columns, or none of its pictures is there.
    """
    _check_columns(path)
    roots = (root,) if root is not None else (path.parent, path.parent / "images")
    rows: list[_Row] = []
    problems: list[str] = []
    listed: set[str] = set()
    for where, name, cells in tables.face_rows(path, problems):
        listed.add(cells["file"])
        places = [place / cells["file"] for place in roots]
        found = next((place for place in places if place.is_file()), None)
        race = cells.get("race", "")
        age = tables.parse_age(cells.get("age", ""), where, problems)
        bounds = tables.parse_bounds(cells.get("age_low", ""), cells.get("age_high", ""), where, problems)
        row = _Row(
            name,
            found or places[-1],
            age,
            tables.parse_gender(cells.get("gender", ""), where, problems),
            int(race) if race in {"0", "1", "2", "3", "4"} else -1,
            cells.get("group", ""),
            cells.get("fold", ""),
            cells.get("coral", ""),
            exists=found is not None,
            bounds=None if age is not None else bounds,
            part=cells.get("source", ""),
            place=tables.parse_point(cells.get("x", ""), cells.get("y", ""), where, problems),
        )
        rows.append(row)
    if not any(row.exists for row in rows):
        raise DataError(f"none of the {len(rows)} pictures of {path} is in {' or '.join(map(str, roots))}")
    if root is not None and (unlisted := set(_pictures(root)) - listed):
        problems.append(f"{len(unlisted)} pictures of {root} are not in {path.name}, left out (e.g. {min(unlisted)})")
    return _manifest(rows, _source_name(root or path.parent), problems)


def _check_columns(path: Path) -> None:
    columns = tables.header(path)
    if "file" not in columns or not LABELS & set(columns):
        raise DataError(
            f"{path} needs the columns file and age (or age_low and age_high) or gender; "
            f"it has {', '.join(columns) or 'none'}"
        )
    if len({"age_low", "age_high"} & set(columns)) == 1:
        raise DataError(f"{path} has only one of the columns age_low and age_high: bounds need both")
    if len({"x", "y"} & set(columns)) == 1:
        raise DataError(f"{path} has only one of the columns x and y: a point on a face needs both")


@dataclass(frozen=True, slots=True)
class _Row:
    file: str
    path: Path
    age: int | None = None
    female: int = -1
    race: int = -1
    group: str = ""
    fold: str = ""
    coral: str = ""
    exists: bool = True
    bounds: tuple[float, float] | None = None
    part: str = ""
    place: tuple[float, float] | None = None


def _manifest(rows: list[_Row], source: str, problems: Iterable[str]) -> Manifest:
    coral_train = {row.group for row in rows if row.coral == "train"} - {""}
    return Manifest(
        files=np.array([row.file for row in rows], dtype=np.str_),
        paths=tuple(row.path for row in rows),
        exists=np.array([row.exists for row in rows], dtype=np.bool_),
        age=np.array([np.nan if row.age is None else row.age for row in rows], dtype=np.float32),
        female=np.array([row.female for row in rows], dtype=np.int8),
        group=np.array([row.group for row in rows], dtype=np.str_),
        fold=np.array([row.fold for row in rows], dtype=np.str_),
        coral=np.array([row.coral for row in rows], dtype=np.str_),
        coral_twin=np.array([row.group in coral_train for row in rows], dtype=np.bool_),
        race=np.array([row.race for row in rows], dtype=np.int8),
        source=np.array([f"{source}/{row.part}" if row.part else source for row in rows], dtype=np.str_),
        problems=tuple(problems),
        age_low=np.array([row.bounds[0] if row.bounds else np.nan for row in rows], dtype=np.float32),
        age_high=np.array([row.bounds[1] if row.bounds else np.nan for row in rows], dtype=np.float32),
        place=np.array([row.place or (np.nan, np.nan) for row in rows], dtype=np.float32).reshape(-1, 2),
    )


def _class_folders(root: Path) -> Manifest:
    rows: list[_Row] = []
    unknown: set[str] = set()
    ambiguous: set[str] = set()
    for file in _pictures(root):
        parts = Path(file).parts[:-1]
        folds = {name.lower() for name in parts if name.lower() in FOLD_FOLDERS}
        said_ages = {int(name) for name in parts if name.isdecimal()}
        said_genders = {
            female for name in parts if not name.isdecimal() and (female := tables.parse_gender_word(name)) >= 0
        }
        unknown |= {
            name
            for name in parts
            if not name.isdecimal() and name.lower() not in FOLD_FOLDERS and tables.parse_gender_word(name) < 0
        }
        if max(len(said_ages), len(said_genders), len(folds)) > 1 or max(said_ages, default=0) > OLDEST:
            ambiguous.add("/".join(parts))
            continue
        fold = next(iter(folds), "")
        rows.append(_Row(file, root / file, next(iter(said_ages), None), next(iter(said_genders), -1), fold=fold))
    ages, genders = {row.age for row in rows} - {None}, {row.female for row in rows} - {-1}
    if not ages and not genders:
        raise DataError(
            f"nothing says the ages or genders of the {len(rows)} pictures in {root}: add labels.csv (file, age, "
            "gender), use sub-folders named after ages or genders, or give a folds file that states them"
        )
    if not genders and ages <= {0, 1}:
        raise DataError(
            f"sub-folders 0 and 1 of {root} may be ages or genders: call them male and female, or use a CSV"
        )
    problems = [f"sub-folder {name!r} is no age, gender, train, val or test" for name in sorted(unknown)]
    problems += [
        f"{path} does not say one age, gender or fold: its pictures are left out" for path in sorted(ambiguous)
    ]
    return _manifest(rows, _source_name(root), problems)


def _assign_folds(manifest: Manifest, folds: Path) -> Manifest:
    """Folds, groups and CORAL marks of a folds file, for pictures that have their labels from elsewhere."""
    columns = tables.header(folds)
    if not {"file", "fold"} <= set(columns):
        raise DataError(f"{folds} needs the columns file and fold; it has {', '.join(columns) or 'none'}")
    problems = list(manifest.problems)
    listed = {cells["file"]: cells for _, cells in tables.rows(folds, problems)}
    unlisted = [file for file in manifest.files.tolist() if file not in listed]
    if len(unlisted) == len(manifest):
        raise DataError(f"{folds} lists none of the {len(manifest)} pictures")
    if unlisted:
        problems.append(f"{len(unlisted)} pictures are not in {folds.name} and have no fold (e.g. {unlisted[0]})")

    def column(name: str) -> Strings:
        return np.array([listed.get(file, {}).get(name, "") for file in manifest.files.tolist()], dtype=np.str_)

    group = column("group")
    coral_train = {cells.get("group", "") for cells in listed.values() if cells.get("coral") == "train"} - {""}
    return replace(
        manifest,
        group=group,
        fold=column("fold"),
        coral=column("coral"),
        coral_twin=np.array([name in coral_train for name in group.tolist()], dtype=np.bool_),
        problems=tuple(problems),
    )


def _check_names(manifest: Manifest) -> Manifest:
    """UTKFace rows whose labels come from a table: race from the names, and a problem for each name that disagrees."""
    race, problems = manifest.race.copy(), list(manifest.problems)
    for i, file in enumerate(manifest.files.tolist()):
        match = UTKFACE_NAME.fullmatch(Path(file).name)
        if match is None:
            problems.append(f"{file}: not named AGE_GENDER_RACE_DATE.jpg.chip.jpg, only the folds file's labels used")
            continue
        race[i] = int(match["race"])
        if (manifest.age[i], manifest.female[i]) != (int(match["age"]), int(match["gender"])):
            problems.append(f"{file}: the folds file states another age or gender than the name, and is believed")
    return replace(manifest, race=race, problems=tuple(problems))


def _mostly_utkface(files: Sequence[str]) -> bool:
    return 2 * sum(UTKFACE_NAME.fullmatch(Path(file).name) is not None for file in files) > len(files)


def _pictures_root(path: Path) -> Path:
    """The folder "images" inside, if there is one: a data set with its tables beside its pictures."""
    return path / "images" if (path / "images").is_dir() else path


def _pictures(root: Path) -> list[str]:
    """Pictures of a folder and its sub-folders, relative to it, sorted; hidden files are no pictures."""
    files: list[str] = []
    for folder_path, folders, names in os.walk(root):
        folders[:] = [name for name in folders if not name.startswith(".")]
        below = Path(folder_path).relative_to(root).as_posix()
        prefix = "" if below == "." else f"{below}/"
        files += [prefix + name for name in names if is_picture(name)]
    if not files:
        raise DataError(f"{root} holds no pictures")
    return sorted(files)


def _source_name(root: Path) -> str:
    root = root.resolve()
    return root.parent.name if root.name == "images" else root.name
