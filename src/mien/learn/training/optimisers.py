"""What moves the weights: the method of a recipe over groups of parameters with their own rates."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import nn

from mien.learn.networks.build import as_network
from mien.learn.recipe import Optimiser, Recipe
from mien.learn.training.soap import SOAP


def make_optimiser(net: nn.Module, recipe: Recipe) -> torch.optim.Optimizer:
    """AdamW, Adam, SGD with momentum or SOAP, over `parameter_groups`."""
    groups = parameter_groups(net, recipe)
    if recipe.optimiser.method == "sgd":
        return torch.optim.SGD(groups, lr=recipe.optimiser.lr, momentum=0.9)
    if recipe.optimiser.method == "soap":
        return SOAP(groups, lr=recipe.optimiser.lr)
    kind = torch.optim.AdamW if recipe.optimiser.method == "adamw" else torch.optim.Adam
    return kind(groups, lr=recipe.optimiser.lr, weight_decay=0.0)


def parameter_groups(net: nn.Module, recipe: Recipe) -> list[dict[str, Any]]:
    """Groups with their own base rate: heads first, then the stages, each slower than the one after it.

    Biases and other vectors take no weight decay. With `optimiser.relative` every tensor is a group of its own, whose
    rate is multiplied by `typical_size` of the tensor as it is now.
    """
    plan = recipe.optimiser
    stages, heads = as_network(net).stages(), as_network(net).heads()
    rated: list[tuple[nn.Module, float]] = [(nn.ModuleList(heads), plan.head_lr)]
    rated += [(stage, plan.lr * plan.layer_decay ** (len(stages) - 1 - depth)) for depth, stage in enumerate(stages)]
    groups: list[dict[str, Any]] = []
    for module, rate in rated:
        for matrices, decay in ((True, plan.weight_decay), (False, 0.0)):
            chosen = [p for p in module.parameters() if p.requires_grad and (p.ndim > 1) == matrices]
            if plan.relative:
                rates = [([p], rate * typical_size(p)) for p in chosen]
            else:
                rates = [(chosen, rate)] if chosen else []
            groups += [{"params": these, "base_lr": own, "lr": own, "weight_decay": decay} for these, own in rates]
    return groups


def typical_size(tensor: torch.Tensor) -> float:
    """How large the weights of a tensor are: the median, over the outputs, of the root of their mean square.

    Adam moves every weight by about the rate, whatever its size, and where batch norm is folded into convolutions sizes
    differ a thousandfold: what one layer hardly feels is half of another. Of a vector it is the median without signs,
    at least a hundredth; of a tensor of zeros, the size of He's initialisation.

    >>> typical_size(torch.tensor([[3.0, -3.0], [0.0, 2.0], [1.0, 1.0]]))
    1.4142135381698608
    >>> typical_size(torch.zeros(8))
    0.01
    """
    if tensor.ndim == 1:
        return max(float(tensor.detach().abs().median()), 0.01)
    rows = tensor.detach().float().flatten(1)
    size = float(rows.square().mean(1).sqrt().median())
    return size if size > 0 else math.sqrt(2 / rows.shape[1])


def rate_factor(plan: Optimiser, step: int, steps: int) -> float:
    """What all rates are multiplied by: warm-up, then cosine decay to a hundredth, or the full rate."""
    warm = max(1, round(plan.warmup * steps))
    factor = min(1.0, (step + 1) / warm)
    if plan.schedule == "cosine":
        factor *= 0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * max(0, step - warm) / max(1, steps - warm)))
    return factor
