import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mien.errors import UsageError
from mien.learn.recipe import load_recipe, located, recipe_names
from mien.learn.recipe.library import FOLDER, LICENCES, _merged

BASE = """
name: base
about: {licence: MIT, notes: [one, two]}
data: {train: [{data: a}, {data: b}], val: {data: c}}
optimiser: {epochs: 3, batch: 8, sizes: {0: 32}}
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "base.yaml").write_text(BASE)
    return tmp_path


def write(path: Path, text: str) -> str:
    path.write_text(text)
    return str(path)


def test_tables_are_merged_lists_replaced_and_null_takes_out(folder: Path) -> None:
    text = "extends: base\nname: more\ndata: {train: [{data: d}]}\noptimiser: {batch: 4, sizes: null}\n"
    recipe = load_recipe(write(folder / "more.yaml", text), ["optimiser.lr=0.5"])
    assert (recipe.name, recipe.about.licence, recipe.about.notes) == ("more", "MIT", ("one", "two"))
    assert [source.data for source in recipe.data.train] == [Path("d")]
    assert [source.data for source in recipe.data.vals] == [Path("c")]
    assert (recipe.optimiser.epochs, recipe.optimiser.batch, recipe.optimiser.sizes) == (3, 4, {})
    assert recipe.optimiser.lr == 0.5


def test_a_recipe_of_the_package_and_a_longer_line_can_be_extended(folder: Path) -> None:
    write(folder / "mine.yaml", "extends: compact\nname: mine\n")
    recipe = load_recipe(write(folder / "yours.yaml", "extends: ./mine.yaml\nname: yours\nseed: 9\n"))
    packaged = load_recipe("compact")
    assert recipe == packaged.model_copy(update={"name": "yours", "seed": 9})


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("extends: bsae\nname: x\n", "extends what is not there: unknown recipe 'bsae'"),
        ("extends: compactt\nname: x\n", "did you mean 'compact'"),
        ("extends: x\nname: x\n", "extends itself: x -> x"),
        ("extends: [base]\nname: x\n", "extends takes the name of one recipe or file"),
        ("extends: ''\nname: x\n", "extends takes the name of one recipe or file"),
        ("extends: base\nname: x\nabout: {licence_text: researsh-hse}\n", "did you mean 'research-hse'"),
    ],
)
def test_what_cannot_be_extended_gets_a_sentence(folder: Path, text: str, told: str) -> None:
    with pytest.raises(UsageError, match=re.escape(told)):
        load_recipe(write(folder / "x.yaml", text))


def test_a_circle_is_told_however_long(folder: Path) -> None:
    for name, other in (("a", "b"), ("b", "c"), ("c", "a")):
        write(folder / f"{name}.yaml", f"extends: {other}\nname: {name}\n")
    with pytest.raises(UsageError, match=re.escape("extends itself: a -> b -> c -> a")):
        load_recipe(str(folder / "a.yaml"))


TREES = st.recursive(
    st.integers() | st.lists(st.integers(), max_size=2),
    lambda inner: st.dictionaries(st.sampled_from("abc"), inner, max_size=3),
    max_leaves=8,
)
TABLES = st.dictionaries(st.sampled_from("abc"), TREES, max_size=3)


@given(TABLES, TABLES)
def test_what_stands_over_holds_and_what_it_does_not_name_stays(
    base: dict[str, object], over: dict[str, object]
) -> None:
    found = _merged(base, over)
    assert found.keys() == base.keys() | over.keys()
    assert _merged(found, over) == found
    assert all(found[key] == base[key] for key in base.keys() - over.keys())
    assert all(found[key] == over[key] for key in over if not isinstance(over[key], dict))
    assert _merged({}, over) == over


def test_every_licence_text_is_used_and_stays_with_the_run() -> None:
    texts = {path.read_text() for path in LICENCES.glob("*.txt") if path.stem != "Apache-2.0"}
    assert texts == {load_recipe(name).about.licence_text for name in recipe_names()}


def test_recipes_are_short_and_name_no_place_of_one_machine() -> None:
    files = list(FOLDER.rglob("*.yaml"))
    assert sum(len(path.read_text().splitlines()) for path in files) <= 900
    assert not [path.name for path in files if "../" in path.read_text()]


def test_data_are_below_the_root_that_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    recipe = load_recipe("mien-m-start")
    monkeypatch.delenv("MIEN_DATA", raising=False)
    with pytest.raises(UsageError, match="set MIEN_DATA or give --data-root"):
        located(recipe)
    given = located(recipe, Path("here"))
    assert given.data.train[0].folds == Path("here/data/utkface/splits.csv")
    assert given.model.init == Path("here/pretrained/hse_mobilenet/model.safetensors")
    monkeypatch.setenv("MIEN_DATA", "there")
    assert located(recipe).data.vals[0].data == Path("there/data/utkface/images")
    assert located(given) == given
    assert located(load_recipe("fine-tune")) == load_recipe("fine-tune"), "paths of one's own stay as they are"
