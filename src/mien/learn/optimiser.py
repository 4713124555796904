"""What moves the weights: the method of a recipe over groups of parameters with their own rates."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import nn

from mien.learn.network import as_network
from mien.learn.recipe import Optimiser, Recipe


def make_optimiser(net: nn.Module, recipe: Recipe) -> torch.optim.Optimizer:
    """AdamW, Adam or SGD with momentum, over `parameter_groups`."""
    groups = parameter_groups(net, recipe)
    if recipe.optimiser.method == "sgd":
        return torch.optim.SGD(groups, lr=recipe.optimiser.lr, momentum=0.9)
    kind = torch.optim.AdamW if recipe.optimiser.method == "adamw" else torch.optim.Adam
    return kind(groups, lr=recipe.optimiser.lr, weight_decay=0.0)


def parameter_groups(net: nn.Module, recipe: Recipe) -> list[dict[str, Any]]:
    """Groups with their own base rate: heads first, then the stages, each slower than the one after it.

    Biases and other vectors take no weight decay.
    """
    plan = recipe.optimiser
    stages, heads = as_network(net).stages(), as_network(net).heads()
    rated: list[tuple[nn.Module, float]] = [(nn.ModuleList(heads), plan.head_lr)]
    rated += [(stage, plan.lr * plan.layer_decay ** (len(stages) - 1 - depth)) for depth, stage in enumerate(stages)]
    groups = []
    for module, rate in rated:
        for matrices, decay in ((True, plan.weight_decay), (False, 0.0)):
            chosen = [p for p in module.parameters() if p.requires_grad and (p.ndim > 1) == matrices]
            if chosen:
                groups.append({"params": chosen, "base_lr": rate, "lr": rate, "weight_decay": decay})
    return groups


def rate_factor(plan: Optimiser, step: int, steps: int) -> float:
    """What all rates are multiplied by: warm-up, then cosine decay to a hundredth, or the full rate."""
    warm = max(1, round(plan.warmup * steps))
    factor = min(1.0, (step + 1) / warm)
    if plan.schedule == "cosine":
        factor *= 0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * max(0, step - warm) / max(1, steps - warm)))
    return factor
