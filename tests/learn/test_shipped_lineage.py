"""The shipped models tell the steps that made them, and these are the steps of their recipes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from mien.estimate import bundle
from mien.learn.recipe import load_pipeline, load_recipe
from mien.learn.recipe.pipeline import Train

MODELS = bundle.available()
DOCS = Path(__file__).resolve().parents[2] / "docs"


@pytest.mark.parametrize("name", MODELS)
def test_each_step_rests_on_those_before_it_and_the_last_is_the_model(name: str) -> None:
    made = bundle.read(MODELS[name]).config.made
    steps: list[dict[str, Any]] = made["lineage"]
    known = {"hse_mobilenet/model.safetensors"}
    for step in steps:
        rests_on = set(step["average"]) if "average" in step else {step["from"]} if "from" in step else set()
        assert rests_on <= known, step
        known.add(step["run"])
    assert next(step["train"] for step in reversed(steps) if "train" in step) == made["recipe"]


@pytest.mark.parametrize("name", MODELS)
def test_the_steps_are_those_of_the_recipes(name: str) -> None:
    steps = bundle.read(MODELS[name]).config.made["lineage"]
    for step in steps:
        if "train" in step:
            assert load_recipe(step["train"], []).optimiser.epochs == step["epochs"]
    plan = load_pipeline(name)
    trained = [step["train"] for step in steps if "train" in step]
    assert trained == ([name] if plan is None else [one.train for one in plan.steps.values() if isinstance(one, Train)])


@pytest.mark.parametrize("name", MODELS)
def test_the_card_tells_them(name: str) -> None:
    steps = bundle.read(MODELS[name]).config.made["lineage"]
    for card in (MODELS[name] / "README.md", DOCS / f"model-card-{name}.md"):
        told = card.read_text(encoding="utf-8").partition("## Steps that it was made in\n\n")[2].partition("\n\n")[0]
        assert [line.partition(":")[0] for line in told.splitlines()] == [f"- {step['run']}" for step in steps]
