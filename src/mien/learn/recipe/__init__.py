"""Recipes: one YAML file describes one training run; unknown keys and wrong values are refused with a sentence.

`settings` says what a recipe may set, `library` finds and reads recipes, `data_root` places the data that they name,
and `pipeline` reads the numbered steps of a model that takes several runs.
"""

from __future__ import annotations

from mien.learn.recipe.data_root import located
from mien.learn.recipe.library import load_pipeline, load_recipe, pipeline_names, recipe_names
from mien.learn.recipe.settings import About, Augment, Data, DataSource, Loss, Model, Optimiser, Recipe

__all__ = [
    "About",
    "Augment",
    "Data",
    "DataSource",
    "Loss",
    "Model",
    "Optimiser",
    "Recipe",
    "load_pipeline",
    "load_recipe",
    "located",
    "pipeline_names",
    "recipe_names",
]
