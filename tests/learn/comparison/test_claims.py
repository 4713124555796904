from __future__ import annotations

import json

import pytest

from mien.learn.comparison import claims
from mien.learn.comparison.claims import SYSTEMS, Claim, Row
from mien.learn.recipe import load_recipe, recipe_names

ROWS = {row.name: (system, row) for system in SYSTEMS for row in system.rows}


def test_names_are_unique() -> None:
    assert len(ROWS) == sum(len(system.rows) for system in SYSTEMS)
    assert len({system.key for system in SYSTEMS}) == len(SYSTEMS)


def test_every_row_of_a_paper_can_be_trained_or_is_made_of_rows_that_can() -> None:
    recipes = set(recipe_names())
    for system, row in ROWS.values():
        if system.published and not row.of:
            assert row.name in recipes
        assert set(row.of) <= set(ROWS)


@pytest.mark.parametrize("name", recipe_names())
def test_a_recipe_that_names_a_system_is_one_of_its_rows(name: str) -> None:
    key = load_recipe(name).about.system
    if key:
        system = claims.find_system(key)
        assert system is not None
        assert system.row(name) is not None


@pytest.mark.parametrize(
    ("name", "claims"),
    [
        ("compact", {"accuracy": 0.945, "age_class": 0.802}),
        ("regularised-age", {"mae": 6.7}),
        ("regularised-classes", {"age_class": 0.92}),
        ("regularised-gender", {"accuracy": 0.89}),
        ("gate-softmax", {"accuracy": 0.8809}),
        (
            "hybrid-ensemble",
            {"mae": 4.25, "age_class": 0.744, "accuracy": 0.953, "precision": 0.96, "recall": 0.94, "f1": 0.95},
        ),
        ("combined", {"accuracy": 0.93, "mae": 7.0}),
        ("separate-age", {"mae": 17.0}),
        ("separate-gender", {"accuracy": 0.878}),
        ("eigenface", {}),
    ],
)
def test_what_the_papers_claim(name: str, claims: dict[str, float]) -> None:
    assert {figure: claim.value for figure, claim in ROWS[name][1].beside().items()} == claims


def test_the_first_claim_of_a_figure_is_compared_with() -> None:
    row = Row("x", "X", (Claim("mae", 4.25, "UTKFace"), Claim("mae", 4.2, "IMDB-WIKI"), Claim("f1", 0.95)))
    assert row.beside() == {"mae": row.claims[0], "f1": row.claims[2]}


def test_contradictions_are_named() -> None:
    system, row = ROWS["regularised-classes"]
    assert "abstract only" in row.claims[0].note
    assert any("contradicts its own table" in doubt for doubt in system.doubts)


def test_an_unknown_system_is_none() -> None:
    assert claims.find_system("nothing") is None
    assert SYSTEMS[0].row("nothing") is None


def test_systems_become_json() -> None:
    again = json.loads(json.dumps([system.to_dict() for system in SYSTEMS], allow_nan=False))
    assert again[0]["rows"][0]["claims"][0]["value"] == 0.945
