"""Named collections of labelled pictures to measure a model on, written down in one YAML file.

```yaml
root: ../../shared              # paths below are relative to it, and it to this file; without it, to this file;
                                # $MIEN_DATA is the folder of data that the environment names
collections:
  utkface:
    data: data/utkface/images   # a folder or a table, as for `mien evaluate`
    folds: data/utkface/splits.csv
    fold: test                  # which is measured; without it the test fold where the data has one, else all
    home: true                  # models learned from its other folds
    choose: [val]               # folds on which weights and settings may be chosen
    report: [test]              # folds that only tell how good the outcome is
  officials-mps:
    data: data/officials
    only: mps                   # of a table, the rows of one source
    where: {suspect: 0}         # of a table, the rows with this in that column
    fold: val
    kind: chips                 # or photos: whole photographs, whose faces are found first
    choose: [val]
    note: portraits of members of the UK Parliament
```
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from mien.errors import DataError, UsageError
from mien.learn.data import tables
from mien.learn.data.folds import ALL, usual_fold
from mien.learn.data.manifest import Manifest
from mien.learn.data.readers import read
from mien.learn.recipe.data_root import MARK, located, located_path
from mien.learn.recipe.faults import in_words

Kind = Literal["chips", "photos"]


class Collection(BaseModel):
    """One collection, as the file states it."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    data: Path
    folds: Path | None = None
    fold: str | None = None
    only: str | None = None
    where: dict[str, str | int] = Field(
        default={}, description="of a table, the rows whose cells are these, by column: {suspect: 0}"
    )
    kind: Kind = "chips"
    home: bool = False
    choose: tuple[str, ...] = Field(default=(), description="folds that may choose; all for data without folds")
    report: tuple[str, ...] = Field(default=(), description="folds that only report")
    note: str = ""

    @field_validator("choose", "report", mode="before")
    @classmethod
    def _one_or_several(cls, given: object) -> object:
        return (given,) if isinstance(given, str) else given

    @model_validator(mode="after")
    def _one_use_a_fold(self) -> Collection:
        if both := sorted(set(self.choose) & set(self.report)):
            raise ValueError(f"fold {both[0]!r} cannot both choose and only report")
        return self


class Collections(BaseModel):
    """The whole file."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    root: Path = Path()
    collections: dict[str, Collection] = Field(min_length=1)


@dataclass(frozen=True)
class CollectionPart:
    """What of a collection is measured.

    Attributes:
        name: of the collection, with the fold where several of it are measured.
        collection: as stated.
        fold: which; None for all its pictures.
        chosen_on: whether choices may be made on it: then its figures flatter a little.
        faces: its rows.
    """

    name: str
    collection: Collection
    fold: str | None
    chosen_on: bool
    faces: Manifest


def load_collections(path: Path) -> dict[str, Collection]:
    """Read a file of collections; their paths come out absolute or relative to the working directory.

    Raises:
        UsageError: there is no such file, or a setting that does not fit.
    """
    try:
        tree = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UsageError(f"cannot read the collections in {path}: {error.strerror}") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise UsageError(f"{path} is not valid YAML: {error}") from error
    if not isinstance(tree, dict):
        raise UsageError(f"{path} is no table of collections: it needs the key collections")
    try:
        found = Collections.model_validate(tree)
    except ValidationError as error:
        raise UsageError(f"{path} does not fit: {in_words(error, Collections)}") from error
    root = located_path(found.root) if found.root.parts[:1] == (MARK,) else path.parent / found.root
    stated = {name: located(one) for name, one in found.collections.items()}
    return {
        name: one.model_copy(update={"data": root / one.data, "folds": one.folds and root / one.folds})
        for name, one in stated.items()
    }


def collection_parts(collections: dict[str, Collection], *, choosing: bool = False) -> list[CollectionPart]:
    """The faces to measure on.

    Args:
        collections: by name.
        choosing: take the folds that may choose, rather than the one that each collection states.

    Raises:
        DataError: a collection is not there, or is no labelled pictures; the sentence names it.
        UsageError: it has no such fold or source, or none may choose.
    """
    found = []
    for name, one in collections.items():
        folds = one.choose if choosing else (one.fold,)
        for fold in folds:
            title = f"{name}/{fold}" if len(folds) > 1 else name
            try:
                found.append(_part(title, one, fold))
            except (DataError, UsageError) as error:
                raise type(error)(f"collection {name}: {error}") from error
    if not found:
        raise UsageError("none of the collections has folds that may choose: state them with choose")
    return found


def _part(title: str, one: Collection, asked: str | None) -> CollectionPart:
    faces = read(one.data, one.folds)
    if one.only is not None:
        faces = faces.of_source(one.only)
    if one.where:
        faces = _matching(faces, one)
    fold = usual_fold(faces, asked)
    if fold is not None:
        faces = faces.select(fold=fold)
    return CollectionPart(title, one, fold, (fold or ALL) in one.choose, faces)


def _matching(faces: Manifest, one: Collection) -> Manifest:
    """The rows whose cells in the table of labels are as asked for."""
    beside = (one.data.parent / "labels.csv",) if one.data.name == "images" else ()
    places = [path for path in (one.folds, one.data, one.data / "labels.csv", *beside) if path and path.is_file()]
    path = next((path for path in places if set(one.where) <= set(tables.header(path))), None)
    if path is None:
        raise UsageError(f"no table of {one.data} has the columns {', '.join(one.where)} that where asks for")
    kept = {
        name
        for _, name, cells in tables.face_rows(path, [])
        if all(cells.get(column, "") == str(wanted) for column, wanted in one.where.items())
    }
    rows = np.array([file in kept for file in faces.files.tolist()], dtype=np.bool_)
    if not rows.any():
        raise DataError(f"no row of {path} has {', '.join(f'{c} {v!r}' for c, v in one.where.items())}")
    return faces.take(rows)
