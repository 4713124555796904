import re
from pathlib import Path

import pytest

from mien.errors import UsageError
from mien.learn.recipe import load_pipeline, load_recipe, pipeline_names, recipe_names
from mien.learn.recipe.pipeline import Train, read


@pytest.mark.parametrize("name", pipeline_names())
def test_steps_train_recipes_of_their_own_and_each_recipe_is_a_step(name: str) -> None:
    steps = load_pipeline(name)
    assert steps is not None
    assert steps.runs == [recipe for recipe in sorted(recipe_names()) if recipe in steps.runs] or steps.runs
    assert set(steps.runs) == {recipe for recipe in recipe_names() if recipe.startswith(f"{name}-")}
    for step, found in steps.steps.items():
        if isinstance(found, Train):
            assert found.train == f"{name}-{step}"


def test_a_recipe_takes_the_results_of_the_steps_before_it() -> None:
    hardened = load_recipe("mien-m-hardened")
    assert hardened.model.init == Path("runs/mien-m-taught")
    assert hardened.data.teacher is not None
    assert hardened.data.teacher == tuple(
        Path(f"runs/mien-m-{name}.parquet") for name in ("teacher-hse", "self-train", "self-aaf")
    )
    assert load_recipe("mien-m-blended").data.guide == Path("runs/mien-m-average-model")
    assert load_recipe("mien-s-soap").data.guide == Path("mien-m")
    assert load_recipe("mien-m-blended", ["data.guide=mien-s"]).data.guide == Path("mien-s")


@pytest.mark.parametrize(
    ("steps", "told"),
    [
        ("a: {train: x, from: b}\n  b: {train: y}", "step a takes 'b', which no step before it makes"),
        ("a: {train: x}\n  b: {average: {a: 1}}", "steps.b.average.average"),
        ("a: {trian: x}", "a step does one of train, average"),
        ("a: {train: x, size: 4}", "unknown setting"),
        ("a: {train: x}\n  b: {calibrate: a}", "calibrate needs faces or collections"),
        ("a: {train: x}\n  b: {calibrate: a, faces: {data: d}}\n  c: {train: z, from: b}", "step c takes 'b'"),
        ("", "steps"),
    ],
)
def test_steps_that_cannot_be_get_a_sentence(tmp_path: Path, steps: str, told: str) -> None:
    path = tmp_path / "pipeline.yaml"
    path.write_text(f"name: mine\nsteps:\n  {steps}\n")
    with pytest.raises(UsageError, match=re.escape(told)):
        read(path)
