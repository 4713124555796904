"""What is wrong with a recipe, in words: for an unknown setting the nearest known one, and those of its table."""

from __future__ import annotations

import difflib
from collections.abc import Iterator
from typing import Any, get_args

from pydantic import BaseModel, ValidationError


def in_words(error: ValidationError, recipe: type[BaseModel]) -> str:
    """All faults that pydantic found, one after the other.

    Args:
        error: what validating raised.
        recipe: the model that was validated.
    """
    return "; ".join(_fault(tuple(fault["loc"]), fault["type"], fault["msg"], recipe) for fault in error.errors())


def _fault(place: tuple[int | str, ...], kind: str, message: str, recipe: type[BaseModel]) -> str:
    key = ".".join(str(at) for at in place)
    if kind != "extra_forbidden":
        return f"{key}: {message.removeprefix('Value error, ')}"
    table = ".".join(str(at) for at in place[:-1])
    known = dict(_settings(recipe))
    here = sorted(known.get(".".join("0" if isinstance(at, int) else at for at in place[:-1]), ()))
    near = difflib.get_close_matches(str(place[-1]), here, n=1)
    found = [f"{table}.{near[0]}" if table else near[0]] if near else _elsewhere(str(place[-1]), known)
    hint = f"did you mean {found[0]!r}? " if found else ""
    return f"unknown setting {key!r}: {hint}choices{f' in {table}' if table else ''}: {', '.join(here)}"


def _elsewhere(name: str, known: dict[str, list[str]]) -> list[str]:
    """The setting of that name, or the one most like it, in another table: `epochs` is `optimiser.epochs`."""
    paths = {f"{table}.{setting}": setting for table, settings in known.items() if table for setting in settings}
    near = difflib.get_close_matches(name, sorted(set(paths.values())), n=1, cutoff=0.8)
    return [path for path, setting in paths.items() if setting in near][:1]


def _settings(model: type[BaseModel], path: str = "") -> Iterator[tuple[str, list[str]]]:
    """The tables of a model and the names in each; entries of a list stand under 0."""
    yield path, list(model.model_fields)
    for name, field in model.model_fields.items():
        below = f"{path}.{name}" if path else name
        yield from _tables(field.annotation, below)


def _tables(annotation: Any, path: str) -> Iterator[tuple[str, list[str]]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield from _settings(annotation, path)
        return
    for inner in get_args(annotation):
        if isinstance(inner, type) and issubclass(inner, BaseModel):
            yield from _settings(inner, f"{path}.0")
