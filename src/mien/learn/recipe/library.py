"""Recipes found by name or path, with what they extend, and settings changed on the way.

A recipe may say `extends: OTHER`: it is then that recipe, or file beside it, with its own settings put over it. Tables
are merged, lists and single values replaced, and null takes a setting out, back to its default (as in RFC 7396). Files
whose name begins with an underscore are made to be extended.
"""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from mien.errors import UsageError
from mien.learn.recipe import pipeline
from mien.learn.recipe.faults import in_words
from mien.learn.recipe.settings import Recipe

FOLDER = Path(str(files("mien.learn"))) / "recipes"
"""Recipes of the package: NAME.yaml, published/NAME.yaml, and steps of a model as MODEL/NN-STEP.yaml."""

LICENCES = Path(str(files("mien.learn"))) / "exporting" / "licences"
"""Texts that `about.licence_text` may name instead of holding them."""


def recipe_files() -> dict[str, Path]:
    """Name of each recipe inside the package -> its file; a step of a model is called MODEL-STEP."""
    found = {}
    for path in sorted(FOLDER.rglob("*.yaml")):
        number, _, step = path.stem.partition("-")
        if path.name.startswith("_") or path.name == pipeline.FILE:
            continue
        found[f"{path.parent.name}-{step}" if number.isdecimal() else path.stem] = path
    return found


def recipe_names() -> list[str]:
    """Names of the recipes inside the package, each of one run; `pipeline_names` has the models of several."""
    return sorted(recipe_files())


def pipeline_names() -> list[str]:
    """Names of the models inside the package that are made in several steps."""
    return sorted(path.parent.name for path in FOLDER.glob(f"*/{pipeline.FILE}"))


def load_pipeline(name_or_path: str) -> pipeline.Pipeline | None:
    """The steps of a model by its name in the package, or of a YAML file that lists steps; None where it is neither.

    Raises:
        UsageError: the file does not fit, or cannot be read.
    """
    path = Path(name_or_path)
    if path.suffix in {".yaml", ".yml"}:
        return pipeline.read(path) if path.is_file() and "steps" in _tree(path, name_or_path) else None
    return pipeline.read(FOLDER / name_or_path / pipeline.FILE) if name_or_path in pipeline_names() else None


def load_recipe(name_or_path: str, overrides: list[str] | None = None) -> Recipe:
    """Read a recipe by its name in the package or by path, then apply overrides.

    A recipe that is a step of a model starts and learns from the earlier steps' results in `runs/`. The name of such a
    model, e.g. "mien-m", stands for the last run that it takes, under the model's name.

    Args:
        name_or_path: e.g. "combined" or "my/recipe.yaml".
        overrides: "optimiser.epochs=3"-like settings; the value is read as YAML.

    Raises:
        UsageError: no such recipe, or a key or value that does not fit.
    """
    if name_or_path in pipeline_names():
        last = pipeline.read(FOLDER / name_or_path / pipeline.FILE).runs[-1]
        return load_recipe(last, [f"name={name_or_path}", *(overrides or [])])
    name, path = name_or_path, Path(name_or_path)
    if path.suffix in {".yaml", ".yml"}:
        if not path.is_file():
            raise UsageError(f"there is no recipe file {name}")
    elif name in (known := recipe_files()):
        path = known[name]
    else:
        raise UsageError.unknown("recipe", name, [*known, *pipeline_names()])
    return read_recipe(path, name, overrides)


def read_recipe(path: Path, name: str, overrides: list[str] | None = None) -> Recipe:
    """A recipe by its file, with what it extends.

    Args:
        path: the file.
        name: what to call it in messages.
        overrides: as for `load_recipe`.

    Raises:
        UsageError: it or what it extends does not fit.
    """
    tree = _extended(path, name, ())
    steps = path.parent / pipeline.FILE
    if steps.is_file() and path.is_relative_to(FOLDER):
        pipeline.read(steps).link(tree, Path("runs"))
    try:
        for setting in overrides or []:
            _override(tree, setting)
        _with_licence(tree)
        return Recipe.model_validate(tree)
    except RecursionError as error:
        raise UsageError(f"recipe {name} is nested too deeply for a recipe") from error
    except yaml.YAMLError as error:
        raise UsageError(f"a setting of recipe {name} is not valid YAML: {error}") from error
    except ValidationError as error:
        raise UsageError(f"recipe {name} does not fit: {in_words(error, Recipe)}") from error


def _tree(path: Path, name: str) -> dict[str, Any]:
    """The table of settings in a file."""
    try:
        tree = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise UsageError(f"recipe {name} is not valid YAML: {error}") from error
    except RecursionError as error:
        raise UsageError(f"recipe {name} is nested too deeply for a recipe") from error
    except OSError as error:
        raise UsageError(f"recipe {name} cannot be read: {error.strerror}") from error
    if not isinstance(tree, dict):
        raise UsageError(f"recipe {name} is not a table of settings")
    return tree


def _extended(path: Path, name: str, below: tuple[Path, ...]) -> dict[str, Any]:
    """A file's settings, put over those of what it extends; `below` are the files that led to it."""
    tree = _tree(path, name)
    if "extends" not in tree:
        return tree
    other = tree.pop("extends")
    if not isinstance(other, str) or not other:
        raise UsageError(f"recipe {name}: extends takes the name of one recipe or file, not {other!r}")
    line = (*below, path.resolve())
    base = _base(other, path, name)
    if base.resolve() in line:
        names = " -> ".join(one.stem for one in (*line[line.index(base.resolve()) :], base))
        raise UsageError(f"recipe {name} extends itself: {names}. Take one extends out")
    return _merged(_extended(base, other, line), tree)


def _base(other: str, path: Path, name: str) -> Path:
    """The file that a recipe extends: beside it, by path from it, or a recipe of the package."""
    for file in (path.parent / f"{other}.yaml", path.parent / other):
        if file.suffix in {".yaml", ".yml"} and file.is_file():
            return file
    known = recipe_files()
    if other not in known:
        try:
            raise UsageError.unknown("recipe", other, known)
        except UsageError as error:
            raise UsageError(f"recipe {name} extends what is not there: {error}") from None
    return known[other]


def _merged(base: dict[str, Any], over: dict[str, Any]) -> dict[str, Any]:
    """A table over another: tables within are merged, null takes out, all else is replaced."""
    found = {key: value for key, value in base.items() if key not in over or over[key] is not None}
    for key, value in over.items():
        old = found.get(key)
        if isinstance(old, dict) and isinstance(value, dict):
            found[key] = _merged(old, value)
        elif value is not None:
            found[key] = value
    return found


def _with_licence(tree: dict[str, Any]) -> None:
    """Put the text in place of its name, so that it stays with the run."""
    about = tree.get("about")
    text = about.get("licence_text") if isinstance(about, dict) else None
    if isinstance(text, str) and text and len(text.split()) == 1:
        file = LICENCES / f"{text}.txt"
        if not file.is_file():
            raise UsageError.unknown("licence text", text, sorted(path.stem for path in LICENCES.glob("*.txt")))
        tree["about"] = {**tree["about"], "licence_text": file.read_text(encoding="utf-8")}


def _override(tree: dict[str, Any], setting: str) -> None:
    key, separator, value = setting.partition("=")
    if not separator or not key:
        raise UsageError(f"--set takes key=value, e.g. optimiser.epochs=3, not {setting!r}")
    *parents, last = key.split(".")
    node: Any = tree
    for parent in parents:
        node = _child(node, parent, setting)
    if isinstance(node, list):
        _child(node, last, setting)
        node[int(last)] = yaml.safe_load(value)
    elif isinstance(node, dict):
        node[last] = yaml.safe_load(value)
    else:
        raise UsageError(f"--set {setting}: {'.'.join(parents)} is not a table of settings")


def _child(node: Any, name: str, setting: str) -> Any:
    if isinstance(node, dict):
        return node.setdefault(name, {})
    if isinstance(node, list) and name.isdecimal() and int(name) < len(node):
        return node[int(name)]
    raise UsageError(f"--set {setting}: there is no {name!r} to set")
