"""One table for training and evaluation data, and what reads it: UTKFace names, CSV tables, class folders, folds files.

Labels are never guessed. A name or cell that cannot be understood leaves its label unknown and is told in `problems`.
A listed picture that is not there stays in the table as a row (`exists` is False there): folds and twin groups are
those of the whole list, whatever part of it lies on this machine. `present()` leaves such rows out.
"""

from __future__ import annotations

import os
import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mien.errors import DataError, UsageError
from mien.estimate.calibrate import OLDEST
from mien.learn.data import tables
from mien.photos.item import is_picture

Strings = NDArray[np.str_]

UTKFACE_NAME = re.compile(r"(?P<age>\d{1,3})_(?P<gender>[01])_(?P<race>[0-4])_\d+[^_]*\.jpg", re.ASCII)
"""`AGE_GENDER_RACE_DATE.jpg.chip.jpg`, gender 0 = male and 1 = female; what follows the date carries no label."""

LABELS = frozenset({"age", "age_low", "age_high", "gender"})
"""Columns of a table that label a picture."""

FOLD_FOLDERS = frozenset({"train", "val", "test"})


@dataclass(frozen=True)
class Manifest:
    """Labelled pictures, a row each. Columns are arrays of equal length [N].

    Attributes:
        files: the name of each picture in its table, unique within a source.
        paths: where it lies, or would lie.
        exists: whether it does.
        age: float32, whole years; NaN where unknown.
        female: int8, 1 female, 0 male, -1 unknown.
        group: near-identical pictures ("twins") of a source share a name; "" where a picture has no twin.
        fold: e.g. "train", "val", "test"; "" where none is stated.
        coral: "train" or "test" of the public CORAL split of UTKFace, else "".
        coral_twin: whether some `coral` = train row of the whole folds file has the same group.
        race: int8, 0 to 4 as UTKFace has them, -1 unknown; only for auditing fairness.
        source: name of the data set.
        problems: sentences about what was not understood while reading.
        age_low: float32, years, where only bounds of the age are known (`age` is NaN there); else NaN. All NaN unless
            given.
        age_high: the upper bound likewise, at least `age_low`.
        place: float32 [N, 2], a point x, y on the face that is meant, in pixels of the upright photograph; NaN where
            none is stated. All NaN unless given.
    """

    files: Strings
    paths: tuple[Path, ...]
    exists: NDArray[np.bool_]
    age: NDArray[np.float32]
    female: NDArray[np.int8]
    group: Strings
    fold: Strings
    coral: Strings
    coral_twin: NDArray[np.bool_]
    race: NDArray[np.int8]
    source: Strings
    problems: tuple[str, ...] = ()
    age_low: NDArray[np.float32] = field(default_factory=lambda: np.empty(0, np.float32))
    age_high: NDArray[np.float32] = field(default_factory=lambda: np.empty(0, np.float32))
    place: NDArray[np.float32] = field(default_factory=lambda: np.empty((0, 2), np.float32))

    def __post_init__(self) -> None:
        for name in ("age_low", "age_high"):
            if len(getattr(self, name)) != len(self.paths):
                object.__setattr__(self, name, np.full(len(self.paths), np.nan, np.float32))
        if len(self.place) != len(self.paths):
            object.__setattr__(self, "place", np.full((len(self.paths), 2), np.nan, np.float32))

    def __len__(self) -> int:
        return len(self.paths)

    @property
    def missing(self) -> int:
        """How many listed pictures are not there."""
        return int((~self.exists).sum())

    @property
    def bounds(self) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Between which years each age lies, float32 [N] twice: both `age` where it is known; NaN where nothing is."""
        exact = ~np.isnan(self.age)
        return np.where(exact, self.age, self.age_low), np.where(exact, self.age, self.age_high)

    @property
    def aged(self) -> NDArray[np.bool_]:
        """Whether an age or bounds of it are known, [N]."""
        return ~np.isnan(self.bounds[0])

    @property
    def middle(self) -> NDArray[np.float32]:
        """The age, or the middle of its bounds, float32 [N]; NaN where nothing is known."""
        low, high = self.bounds
        middle: NDArray[np.float32] = ((low + high) / 2).astype(np.float32)
        return middle

    def ageless(self) -> Manifest:
        """The same rows with all ages unknown."""
        nothing = np.full(len(self), np.nan, np.float32)
        return replace(self, age=nothing, age_low=nothing, age_high=nothing)

    @property
    def twins(self) -> Strings:
        """`group` made unique across sources: what resampling and splitting keep together; "" for a single picture."""
        names = [f"{source}/{group}" if group else "" for source, group in zip(self.source, self.group, strict=True)]
        return np.array(names, dtype=np.str_)

    def take(self, rows: NDArray[Any]) -> Manifest:
        """The rows of a boolean mask [N] or of indices, in that order."""
        indices = np.flatnonzero(rows) if rows.dtype == np.bool_ else rows
        columns = {name: getattr(self, name)[indices] for name in _COLUMNS}
        return replace(self, paths=tuple(self.paths[i] for i in indices), **columns)

    def select(self, *, fold: str) -> Manifest:
        """The rows of one fold, with those whose pictures are missing.

        Raises:
            UsageError: no row has such a fold.
        """
        rows = self.fold == fold
        if not rows.any():
            raise UsageError.unknown("fold", fold, {str(name) for name in self.fold if name})
        return self.take(rows)

    @property
    def only_fold(self) -> str | None:
        """The fold that all rows are of; None where they are of several, or of none."""
        names = set(self.fold.tolist())
        return (names.pop() or None) if len(names) == 1 else None

    def of_source(self, source: str) -> Manifest:
        """The rows of one source; "officials" takes "officials/mps" too, "mps" alone does as well.

        Raises:
            UsageError: no row is of it.
        """
        rows = np.array([source in {name, *name.split("/")} for name in self.source.tolist()], dtype=np.bool_)
        if not rows.any():
            raise UsageError.unknown("source", source, {str(name) for name in self.source})
        return self.take(rows)

    def present(self) -> Manifest:
        """The rows whose pictures are there."""
        return self if self.exists.all() else self.take(self.exists)

    @staticmethod
    def concatenate(parts: Sequence[Manifest]) -> Manifest:
        """All rows of several manifests, in order."""
        columns = {name: np.concatenate([getattr(part, name) for part in parts]) for name in _COLUMNS}
        paths = tuple(path for part in parts for path in part.paths)
        problems = tuple(dict.fromkeys(problem for part in parts for problem in part.problems))
        return Manifest(paths=paths, problems=problems, **columns)


_COLUMNS = (
    "files",
    "exists",
    "age",
    "age_low",
    "age_high",
    "female",
    "group",
    "fold",
    "coral",
    "coral_twin",
    "race",
    "source",
    "place",
)


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
    if path.suffix.lower() != ".mat":
        return table(path)
    from mien.learn.data.imdb_wiki import imdb_wiki  # it needs this module

    return imdb_wiki(path, path.parent)


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
    roots = (root,) if root is not None else (path.parent, path.parent / "images")
    rows: list[_Row] = []
    problems: list[str] = []
    listed: set[str] = set()
    for where, name, cells in tables.faces(path, problems):
        listed.add(cells["file"])
        places = [place / cells["file"] for place in roots]
        found = next((place for place in places if place.is_file()), None)
        race = cells.get("race", "")
        age = tables.age(cells.get("age", ""), where, problems)
        bounds = tables.bounds(cells.get("age_low", ""), cells.get("age_high", ""), where, problems)
        row = _Row(
            name,
            found or places[-1],
            age,
            tables.gender(cells.get("gender", ""), where, problems),
            int(race) if race in {"0", "1", "2", "3", "4"} else -1,
            cells.get("group", ""),
            cells.get("fold", ""),
            cells.get("coral", ""),
            exists=found is not None,
            bounds=None if age is not None else bounds,
            part=cells.get("source", ""),
            place=tables.point(cells.get("x", ""), cells.get("y", ""), where, problems),
        )
        rows.append(row)
    if not any(row.exists for row in rows):
        raise DataError(f"none of the {len(rows)} pictures of {path} is in {' or '.join(map(str, roots))}")
    if root is not None and (unlisted := set(_pictures(root)) - listed):
        problems.append(f"{len(unlisted)} pictures of {root} are not in {path.name}, left out (e.g. {min(unlisted)})")
    return _manifest(rows, _source_name(root or path.parent), problems)


def split_groups(manifest: Manifest, fractions: Mapping[str, float], seed: int = 0) -> Manifest:
    """Assign folds at random, twins always to the same one.

    Args:
        manifest: rows to split; their folds are replaced.
        fractions: share of each fold, e.g. {"train": 0.8, "val": 0.1, "test": 0.1}.
        seed: another seed, another split.

    Raises:
        UsageError: the shares do not add up to 1.
    """
    if min(fractions.values(), default=0) <= 0 or abs(sum(fractions.values()) - 1) > 1e-6:
        raise UsageError(f"the shares of the folds must be above 0 and add up to 1, not {dict(fractions)}")
    clusters: defaultdict[str, list[int]] = defaultdict(list)
    for row, twins in enumerate(manifest.twins.tolist()):
        clusters[twins or f"/{row}"].append(row)
    ordered = list(clusters.values())
    lacking = {name: share * len(manifest) for name, share in fractions.items()}
    folds = [""] * len(manifest)
    for i in np.random.default_rng(seed).permutation(len(ordered)):
        name = max(lacking, key=lacking.__getitem__)
        lacking[name] -= len(ordered[i])
        for row in ordered[i]:
            folds[row] = name
    return replace(manifest, fold=np.array(folds, dtype=np.str_))


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
        said_genders = {female for name in parts if not name.isdecimal() and (female := tables.gender_word(name)) >= 0}
        unknown |= {
            name
            for name in parts
            if not name.isdecimal() and name.lower() not in FOLD_FOLDERS and tables.gender_word(name) < 0
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
