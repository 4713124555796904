"""A narrow MobileNetV1 out of a wide one: the channels that pass most on, as the start of its own training.

Filter pruning by the size of weights (Li et al., "Pruning filters for efficient ConvNets", ICLR 2017), with both sides
of a channel in the balance: what makes it, and what reads it.
"""

from __future__ import annotations

import torch
from torch import Tensor

Weights = dict[str, Tensor]

_STEM = "backbone.stem"
_HEADS = ("age", "gender")


def slim(state: Weights, wanted: Weights) -> Weights:
    """Weights of `AgeGenderNet` over MobileNetV1, narrowed to the shapes of another one.

    Args:
        state: of the wide network; returned as they are where nothing is narrower.
        wanted: of the narrow network; its shapes alone matter.

    Returns:
        A state whose tensors have the wanted shapes wherever the wide network has at least as many channels.
    """
    shapes = {name: tensor.shape for name, tensor in wanted.items()}
    if set(shapes) - set(state) or all(state[name].shape == shape for name, shape in shapes.items()):
        return state
    slimmed = dict(state)
    blocks = 1 + max(int(name.split(".")[2]) for name in state if name.startswith("backbone.blocks."))
    makers = [_STEM, *(f"backbone.blocks.{number}.pw" for number in range(blocks))]
    for number, maker in enumerate(makers):
        # Removed here are channels out of the maker; its channels in were removed a round before.
        readers = [f"backbone.blocks.{number}.pw"] if number < blocks else list(_HEADS)
        between = f"backbone.blocks.{number}.dw" if number < blocks else None
        count = shapes[f"{maker}.weight"][0]
        strength = slimmed[f"{maker}.weight"].flatten(1).norm(dim=1)
        strength = strength * torch.stack([_read(slimmed[f"{reader}.weight"]) for reader in readers]).sum(dim=0)
        if between is not None:
            strength = strength * slimmed[f"{between}.weight"].flatten(1).norm(dim=1)
        if count > len(strength):
            return state
        kept = strength.topk(count).indices.sort().values
        for name in (maker, between) if between is not None else (maker,):
            for part in ("weight", "bias"):
                slimmed[f"{name}.{part}"] = slimmed[f"{name}.{part}"][kept]
        for reader in readers:
            slimmed[f"{reader}.weight"] = slimmed[f"{reader}.weight"][:, kept]
    return slimmed


def _read(weight: Tensor) -> Tensor:
    """How strongly each channel in is read: norm [I] of the columns of a weight [O, I, ...]."""
    norms: Tensor = weight.transpose(0, 1).flatten(1).norm(dim=1)
    return norms
