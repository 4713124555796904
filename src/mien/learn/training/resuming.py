"""What a run leaves after each epoch, and whether a recipe may go on from it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
import yaml
from pydantic import ValidationError

from mien.errors import DataError
from mien.learn.recipe import Recipe
from mien.learn.run_folder import RunFolder
from mien.names import discard
from mien.unfinished import create, part_name


def read_state(recipe: Recipe, output: Path) -> dict[str, Any]:
    """What the last finished epoch of a run folder left, if it is a run of this recipe."""
    state: dict[str, Any] = torch.load(RunFolder(output).state, map_location="cpu", weights_only=True)
    try:
        kept = yaml.safe_load(Recipe.model_validate(yaml.safe_load(state["recipe"])).to_yaml())  # with newer settings
    except ValidationError:
        kept = yaml.safe_load(state["recipe"])
    mine, theirs = _identity(yaml.safe_load(recipe.to_yaml())), _identity(kept)
    if differing := sorted(key for key in mine if mine[key] != theirs.get(key)):
        raise DataError(f"{output} holds another run, which differs in {', '.join(differing)}: choose another --output")
    return state


def _identity(recipe: dict[str, Any]) -> dict[str, Any]:
    """The parts of a recipe that must not change when a run goes on; its length and its text may."""
    kept = {key: value for key, value in recipe.items() if key != "about"}
    kept["optimiser"] = {k: v for k, v in recipe["optimiser"].items() if k not in {"epochs", "sizes"}}
    kept["data"] = {k: v for k, v in recipe["data"].items() if k != "workers"}
    return kept


def replace_file(path: Path, write: Callable[[Path], object]) -> None:
    """Write beside the path, then put the finished file in its place."""
    part = part_name(path)
    create(part).close()
    try:
        write(part)
        part.replace(path)
    finally:
        discard(part)
