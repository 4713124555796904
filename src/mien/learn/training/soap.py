"""SOAP: Adam in the directions in which a weight matrix's gradients vary (Vyas et al., ICLR 2025).

Behind rectifiers no input of a pointwise convolution is negative, and all rise and fall together, so that a few
directions hold most of its gradient. Adam, which looks at each weight alone, shakes the others; here it works along the
eigenvectors of the gradients' second moments, of outputs and inputs apart, which are kept up as training goes on.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, cast, overload

import torch
from torch import Tensor

LARGEST = 4096
"""Matrices with a longer side take plain Adam's steps: their directions would cost more than the network."""


class SOAP(torch.optim.Optimizer):
    """Adam for vectors and depthwise convolutions; for all else, seen as matrices [outputs, inputs], Adam turned.

    Args:
        params: parameters, or groups of them with their own `lr` and `weight_decay`.
        lr: how far a step moves each weight, about, turned or not.
        betas: of Adam's first and second moments. The second is kept shorter than Adam's 0.999, since the directions
            that it is measured along change.
        turning: decay of the second moments that the directions are of; they start with the first gradient's.
        every: steps between two updates of the directions.
        weight_decay: share of a weight that a step takes off, times the rate (decoupled, as in AdamW).
        eps: added to the root of the second moment.
    """

    def __init__(
        self,
        params: Iterable[Tensor] | Iterable[dict[str, Any]],
        lr: float,
        *,
        betas: tuple[float, float] = (0.9, 0.98),
        turning: float = 0.95,
        every: int = 10,
        weight_decay: float = 0.0,
        eps: float = 1e-8,
    ) -> None:
        plan = {"lr": lr, "betas": betas, "turning": turning, "every": every, "weight_decay": weight_decay, "eps": eps}
        super().__init__(params, plan)

    @overload
    def step(self, closure: None = None) -> None: ...

    @overload
    def step(self, closure: Callable[[], float]) -> float: ...

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> float | None:
        """Move every parameter that has a gradient; a matrix's first step only finds its directions."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            for weight in group["params"]:
                if weight.grad is None:
                    continue
                turned = _is_turned(weight)
                gradient = weight.grad.flatten(1) if turned else weight.grad
                state = self.state[weight]
                if not state:
                    state.update(steps=0, first=torch.zeros_like(gradient), second=torch.zeros_like(gradient))
                    if turned:
                        state.update(_start(gradient))
                        continue
                move = _move(state, gradient, group, turned=turned)
                weight.mul_(1 - group["lr"] * group["weight_decay"])
                weight.sub_(move.view_as(weight), alpha=group["lr"])
        return loss


def _is_turned(weight: Tensor) -> bool:
    """Whether it is a matrix [outputs, inputs] of more than one input, neither side too long."""
    return weight.ndim > 1 and weight.shape[1] > 1 and max(len(weight), weight[0].numel()) <= LARGEST


def _move(state: dict[str, Any], gradient: Tensor, plan: dict[str, Any], *, turned: bool) -> Tensor:
    """The step to take for this gradient, of about one a weight; `state` learns from it."""
    state["steps"] += 1
    seen = gradient
    if turned:
        state["outputs"].lerp_(gradient @ gradient.T, 1 - plan["turning"])
        state["inputs"].lerp_(gradient.T @ gradient, 1 - plan["turning"])
        seen = state["left"].T @ gradient @ state["right"]
    state["first"].lerp_(gradient, 1 - plan["betas"][0])
    state["second"].lerp_(seen.square(), 1 - plan["betas"][1])
    first = state["left"].T @ state["first"] @ state["right"] if turned else state["first"]
    mean, square = (
        moment / (1 - beta ** state["steps"])
        for moment, beta in zip((first, state["second"]), plan["betas"], strict=True)
    )
    move: Tensor = mean / (square.sqrt() + plan["eps"])
    if not turned:
        return move
    move = state["left"] @ move @ state["right"].T
    for moments, side in ((state["outputs"], 1), (state["inputs"], 0)):  # what has had no gradient stays where it is
        move.mul_((moments.diagonal() > 0).unsqueeze(side))
    if state["steps"] % plan["every"] == 0:
        state["left"], order = _turned(state["outputs"], state["left"])
        state["second"] = state["second"][order]
        state["right"], order = _turned(state["inputs"], state["right"])
        state["second"] = state["second"][:, order]
    return move


def _start(gradient: Tensor) -> dict[str, Tensor]:
    """Second moments and directions of a first gradient [O, I]."""
    exact = gradient.double()
    moments = {"outputs": exact @ exact.T, "inputs": exact.T @ exact}
    left, right = map(_directions, moments.values())
    state = moments | {"left": left, "right": right}
    return {name: tensor.to(gradient.dtype) for name, tensor in state.items()}


def _directions(moments: Tensor) -> Tensor:
    """Eigenvectors [D, D] of moments [D, D], most of which may be nothing but rounding errors."""
    scale = moments.diagonal().sum().clamp_min(1e-300)
    return cast(Tensor, torch.linalg.eigh(moments / scale).eigenvectors)


def _turned(moments: Tensor, directions: Tensor) -> tuple[Tensor, Tensor]:
    """Directions [D, D] one power iteration nearer to the eigenvectors, and which old one each takes the place of."""
    order = ((moments @ directions) * directions).sum(dim=0).argsort(descending=True)
    return torch.linalg.qr(moments @ directions[:, order]).Q, order
