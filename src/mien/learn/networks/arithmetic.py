"""How much a network computes for one chip."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn


def multiply_adds(net: nn.Module, size: int) -> int:
    """Multiply-adds of convolutions and linear layers for one chip."""
    total = 0

    def count(module: nn.Module, _: Any, output: Tensor) -> None:
        nonlocal total
        weight = module.weight
        assert isinstance(weight, Tensor)
        total += output[0, 0].numel() * weight.numel() if output.ndim == 4 else weight.numel()

    hooks = [m.register_forward_hook(count) for m in net.modules() if isinstance(m, nn.Conv2d | nn.Linear)]
    with torch.inference_mode():
        net(torch.zeros(1, size, size, 3, dtype=torch.uint8))
    for hook in hooks:
        hook.remove()
    return total
