"""Exponential moving average of weights (Polyak and Juditsky 1992), which validates better than the last step's."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn


class Average:
    """Averaged copy of the trainable weights of a network; decay 0 follows the network itself."""

    def __init__(self, net: nn.Module, decay: float) -> None:
        self.decay = decay
        self.updates = 0
        self._weights = {name: p.detach().clone() for name, p in net.named_parameters() if p.requires_grad}

    @torch.no_grad()
    def update(self, net: nn.Module) -> None:
        """Move towards the network; the first updates move faster, so that the start weights are soon forgotten."""
        self.updates += 1
        decay = min(self.decay, self.updates / (self.updates + 10))
        current = dict(net.named_parameters())
        for name, weight in self._weights.items():
            weight.lerp_(current[name], 1 - decay)

    @contextmanager
    def applied(self, net: nn.Module) -> Iterator[None]:
        """Put the averaged weights into the network for a while."""
        current = dict(net.named_parameters())
        kept = {name: current[name].detach().clone() for name in self._weights}
        self._copy(net, self._weights)
        try:
            yield
        finally:
            self._copy(net, kept)

    def state_dict(self) -> dict[str, Tensor | int]:
        """Weights by name, and the number of updates."""
        return {"updates": self.updates, **self._weights}

    def load_state_dict(self, state: dict[str, Tensor | int]) -> None:
        """Take up a state that `state_dict` gave."""
        for name, value in state.items():
            if isinstance(value, int):
                self.updates = value
            else:
                self._weights[name].copy_(value)

    @torch.no_grad()
    def _copy(self, net: nn.Module, weights: dict[str, Tensor]) -> None:
        current = dict(net.named_parameters())
        for name, weight in weights.items():
            current[name].copy_(weight)
