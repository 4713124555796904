"""The recipes of systems (a), (b) and (d): they build, they cost what is said, and what is combined sees the same."""

import pytest
import torch
from torch import Tensor, nn

from mien.learn.networks.build import build
from mien.learn.recipe import Recipe, load_recipe

COSTS = {  # parameters and multiply-adds of one chip, worked out by hand
    "compact": (910_330, 49_583_744),
    "regularised-age": (1_534_545, 39_616_640),
    "regularised-classes": (1_537_512, 39_619_584),
    "regularised-gender": (1_140_946, 37_454_080),
    "regularised-both": (1_534_803, 39_616_896),
    "gate-sigmoid": (359_841, 16_187_520),
    "gate-softmax": (1_142_434, 42_336_512),
    "expert-women": (2_497_777, 81_200_128),
    "expert-men": (2_497_777, 81_200_128),
    "combined": (5_108_034, 187_291_520),
    "separate-age": (912_577, 82_347_456),
    "separate-gender": (912_577, 82_347_456),
}


SHORTENED = {"regularised-classes", "regularised-gender", "regularised-both", "separate-age", "separate-gender"}
"""Runs for which fifteen epochs were not to be had; their budgets say how many they got."""


@pytest.mark.parametrize("name", COSTS)
def test_recipe_costs_what_is_said(name: str) -> None:
    recipe = load_recipe(name)
    assert cost(recipe) == COSTS[name]


@pytest.mark.parametrize("name", COSTS)
def test_recipe_trains_on_train_and_chooses_on_val(name: str) -> None:
    recipe = load_recipe(name)
    (source,) = recipe.data.train
    assert recipe.name == name
    assert source.fold == ("train" if "utkface" in str(source.data) else None)
    assert [source.fold for source in recipe.data.vals] == ["val"]
    assert f"{recipe.optimiser.epochs} epochs" in recipe.about.budget
    assert recipe.optimiser.epochs >= 15 or name in SHORTENED
    assert recipe.model.init is None
    assert recipe.optimiser.ema == 0, "averaged weights would not fit the batch statistics"
    assert "research only" in recipe.about.licence_text
    assert recipe.about.budget


@pytest.mark.parametrize(
    "names",
    [("separate-age", "separate-gender"), ("gate-sigmoid", "gate-softmax", "expert-women", "expert-men")],
)
def test_what_is_combined_sees_the_same_chips(names: tuple[str, ...]) -> None:
    recipes = [load_recipe(name) for name in names]
    assert len({(r.model.size, r.data.crop, r.data.grey) for r in recipes}) == 1


def test_experts_know_one_gender_each() -> None:
    women, men = load_recipe("expert-women").data, load_recipe("expert-men").data
    assert (women.women, women.men) == (True, False)
    assert (men.women, men.men) == (False, True)


def test_the_papers_sizes_are_a_setting_away() -> None:
    assert cost(load_recipe("compact", ["model.size=224"])) == (3_318_778, 198_305_408)
    whole = load_recipe("expert-men", ["model.options.width=1", "model.options.batch_norm=false", "model.size=224"])
    assert cost(whole)[0] == 138_357_544 - 999 * 4097  # VGG16 with one answer for 1000
    large = load_recipe("regularised-age", ["model.size=180", "model.options.widths=null"])
    assert cost(large)[1] > 10 * COSTS["regularised-age"][1]


def cost(recipe: Recipe) -> tuple[int, int]:
    """Parameters and multiply-adds of the convolutions and dense layers, computed without any numbers."""
    done = 0

    def count(layer: nn.Module, _: object, out: Tensor) -> None:
        nonlocal done
        assert isinstance(layer, nn.Conv2d | nn.Linear)
        done += out[0].numel() * layer.weight[0].numel()

    with torch.device("meta"):
        net = build(recipe.model).eval()
        for layer in net.modules():
            if isinstance(layer, nn.Conv2d | nn.Linear):
                layer.register_forward_hook(count)
        net(torch.zeros(1, recipe.model.size, recipe.model.size, 3, dtype=torch.uint8))
    return sum(p.numel() for p in net.parameters()), done
