import re
from pathlib import Path

import pytest
import yaml

from mien.errors import UsageError
from mien.learn.networks.build import build_empty
from mien.learn.recipe import Recipe, load_recipe, pipeline_names, recipe_names


def test_every_recipe_is_valid_and_bears_its_file_name() -> None:
    names = recipe_names()
    assert "mien-m-home" in names
    assert pipeline_names() == ["mien-m", "mien-s"]
    for name in (*names, *pipeline_names()):
        assert load_recipe(name).name == name


def test_overrides_reach_nested_keys_and_lists() -> None:
    recipe = load_recipe(
        "mien-m", ["optimiser.epochs=3", "augment.flip=false", "data.train.0.data=/tmp/x", "model.init=null"]
    )
    assert recipe.optimiser.epochs == 3
    assert recipe.augment.flip is False
    assert recipe.data.train[0].data == Path("/tmp/x")
    assert recipe.model.init is None


def test_a_resolved_recipe_reads_back_as_itself(tmp_path: Path) -> None:
    recipe = load_recipe("mien-m", ["seed=7"])
    path = tmp_path / "resolved.yaml"
    path.write_text(recipe.to_yaml())
    assert load_recipe(str(path)) == recipe


@pytest.mark.parametrize(
    ("override", "told"),
    [
        ("optimiser.epochs", "key=value"),
        ("optimiser.epochs=-1", "optimiser.epochs: Input should be greater"),
        (
            "optimiser.epoch=3",
            "unknown setting 'optimiser.epoch': did you mean 'optimiser.epochs'? choices in optimiser:",
        ),
        ("nonsense=1", "unknown setting 'nonsense': choices: about, augment, data, loss, model, name, optimiser, seed"),
        ("epochs=3", "unknown setting 'epochs': did you mean 'optimiser.epochs'?"),
        ("data.train.0.fodl=x", "unknown setting 'data.train.0.fodl': did you mean 'data.train.0.fold'?"),
        ("data.drop_misses=true", "data: drop_misses needs a detector that can miss"),
        ("data.min_bytes=-1", "data.min_bytes: Input should be greater"),
        ("name.x=3", "name.x=3: name is not a table"),
        ("model.freeze=none", "model.freeze"),
        ("data.train.7.data=x", "there is no '7'"),
        ("data.train.7=x", "there is no '7'"),
    ],
)
def test_bad_overrides_get_a_sentence(override: str, told: str) -> None:
    with pytest.raises(UsageError, match=re.escape(told)):
        load_recipe("mien-m", [override])


def test_unknown_recipe_names_the_nearest() -> None:
    with pytest.raises(UsageError, match="did you mean 'mien-m'"):
        load_recipe("mienm")


@pytest.mark.parametrize("text", ["- a list", "name: [unclosed", "name: x"])
def test_malformed_files_get_a_sentence(tmp_path: Path, text: str) -> None:
    path = tmp_path / "bad.yaml"
    path.write_text(text)
    with pytest.raises(UsageError, match=r"bad\.yaml"):
        load_recipe(str(path))


def test_missing_file() -> None:
    with pytest.raises(UsageError, match="no recipe file"):
        load_recipe("nowhere/x.yaml")


def test_yaml_output_holds_no_python_tags() -> None:
    assert isinstance(yaml.safe_load(load_recipe("mien-m").to_yaml()), dict)
    assert Recipe.model_validate(yaml.safe_load(load_recipe("mien-m").to_yaml())) == load_recipe("mien-m")


RUNS = sorted(Path(__file__).parents[3].glob("docs/results/systems/*/recipe.yaml"))


@pytest.mark.parametrize("path", RUNS, ids=lambda path: path.parent.name)
def test_recipes_of_older_runs_are_read(path: Path) -> None:
    tree = yaml.safe_load(path.read_text())
    if "optimiser" not in tree:
        pytest.skip("a baseline has a recipe of its own kind")
    assert load_recipe(str(path)).name == tree["name"]


def test_settings_that_are_gone_may_stand_at_what_turned_them_off(tmp_path: Path) -> None:
    plan = load_recipe("mien-m", ["data.teacher=null", "data.guide=mien-s"])
    tree = yaml.safe_load(plan.to_yaml())
    tree["data"] |= {"doubt": None, "unlikely": 0.1, "guide": ["mien-s"]}
    tree["model"]["options"] |= {"tail": [], "batch_norm": False, "places": False}
    tree["loss"] |= {"ordinal": 0.0, "squared": 0.0, "variance": 0.0}
    path = tmp_path / "old.yaml"
    path.write_text(yaml.safe_dump(tree))
    assert load_recipe(str(path)) == plan


@pytest.mark.parametrize(
    ("setting", "told"),
    [
        ("data.doubt=answers.parquet", "unknown setting 'data.doubt'"),
        ("data.guide=[mien-s, mien-m]", "data.guide names one model"),
        ("loss.ordinal=0.2", "unknown setting 'loss.ordinal'"),
    ],
)
def test_settings_that_are_gone_are_refused_where_they_did_something(setting: str, told: str) -> None:
    with pytest.raises(UsageError, match=re.escape(told)):
        load_recipe("mien-m", ["data.teacher=null", setting])


@pytest.mark.parametrize("option", ["tail: [768, 1024]", "batch_norm: true", "places: true"])
def test_options_that_are_gone_are_refused_where_they_did_something(option: str) -> None:
    with pytest.raises(UsageError, match=f"unknown option of mobilenet-v1 '{option.partition(':')[0]}'"):
        build_empty(load_recipe("mien-m", [f"model.options={{{option}}}"]).model)


def test_an_option_of_another_network_stays() -> None:
    assert load_recipe("expert-men", ["model.options.batch_norm=false"]).model.options["batch_norm"] is False
