"""Where data lie: a path that begins with `$MIEN_DATA/` is below a folder that an option or the environment names.

That folder holds `data/` (labelled chips, a folder for each collection) and `pretrained/` (start weights of others).
Every other path of a recipe is relative to the working directory.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TypeVar

from pydantic import BaseModel

from mien.errors import UsageError

VARIABLE = "MIEN_DATA"
"""Environment variable that names the folder."""

MARK = f"${VARIABLE}"

Part = TypeVar("Part", bound=BaseModel)


def data_root(given: Path | None = None) -> Path | None:
    """The folder of data: the one given, or that of the environment; None where neither names one."""
    stated = os.environ.get(VARIABLE)
    return given if given is not None else Path(stated) if stated else None


def located(part: Part, root: Path | None = None) -> Part:
    """A recipe, or any part of one, whose paths below `$MIEN_DATA` are paths of this machine.

    Args:
        part: may hold such paths at any depth; without them no root is needed.
        root: the folder that holds `data/` and `pretrained/`; None: the environment's.

    Raises:
        UsageError: a path is below `$MIEN_DATA`, and nothing says where that is.
    """
    changed = {name: _located(value, root) for name, value in part}
    return part.model_copy(update={name: value for name, value in changed.items() if value is not getattr(part, name)})


def located_path(path: Path, root: Path | None = None) -> Path:
    """One path, likewise.

    >>> located_path(Path("$MIEN_DATA/data/utkface"), Path("faces")).as_posix()
    'faces/data/utkface'
    """
    if not path.parts or path.parts[0] != MARK:
        return path
    found = data_root(root)
    if found is None:
        raise UsageError(
            f"{path} is named, and nothing says where {MARK} is: set {VARIABLE} or give --data-root, the folder that "
            "holds data/ and pretrained/ (docs/training.md, Data), or name data of your own by --set"
        )
    return found.joinpath(*path.parts[1:])


def _located(value: object, root: Path | None) -> object:
    if isinstance(value, Path):
        return located_path(value, root)
    if isinstance(value, BaseModel):
        return located(value, root)
    if isinstance(value, tuple):
        found = tuple(_located(one, root) for one in value)
        return value if all(new is old for new, old in zip(found, value, strict=True)) else found
    return value
