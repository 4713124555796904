"""What a network is made of, told by running it: its layers, their sizes, and which feeds which.

Forward hooks record every layer as it runs, and autograd's graph says where its input came from, so the picture drawn
from this (`mien.learn.figures.architecture_plot`) cannot differ from the network that is trained.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch import Tensor, nn

from mien.learn.networks.build import as_network

MOST_LAYERS = 20
"""Networks with more convolutions than this are told by their stages."""

NOTES: dict[type[nn.Module], str] = {
    nn.BatchNorm1d: "batch norm",
    nn.BatchNorm2d: "batch norm",
    nn.ReLU: "ReLU",
    nn.ReLU6: "ReLU6",
    nn.Dropout: "dropout",
    nn.Dropout2d: "spatial dropout",
}
"""Layers that change no size, and are told with the layer before them."""


@dataclass
class Layer:
    """One layer or stage, with what follows it at once.

    Attributes:
        name: of the module in its network, e.g. "blocks.0.0".
        kind: conv, dense, rnn or stage.
        words: e.g. "3x3" or "GRU".
        shape: of the output without the batch: (C, H, W), (T, C) or (F,).
        sources: indices of the layers that feed it; none for the first.
        parameters: weights in it and in what follows it.
        convolutions: in it.
        notes: what follows it, e.g. ["batch norm", "ReLU"].
        pooled: shape after the pooling that follows it, if one does.
        reads: how a dense layer reads a map: "flattened" or "mean over the map"; "" where it reads features.
    """

    name: str
    kind: str
    words: str
    shape: tuple[int, ...]
    sources: tuple[int, ...]
    parameters: int
    convolutions: int = 0
    notes: list[str] = field(default_factory=list)
    pooled: tuple[int, ...] | None = None
    reads: str = ""

    @property
    def leaves(self) -> tuple[int, ...]:
        """Shape of what the next layer gets."""
        return self.pooled or self.shape


def layers(net: nn.Module, size: int) -> list[Layer]:
    """The layers of a network for chips of `size` pixels, in the order in which they run; its weights stay as they are.

    Args:
        net: an `mien.learn.networks.answer_kinds.Network`.
        size: side of the chips.
    """
    return _merged(_Recorder(net).record(size))


def first_input(net: nn.Module, chips: Tensor) -> Tensor:
    """What the first layer with weights is given for chips uint8 [N, S, S, 3]: the normalised pictures [N, 3, S, S]."""
    seen: list[Tensor] = []

    def keep(module: nn.Module, inputs: tuple[Any, ...]) -> None:
        seen.append(inputs[0])

    handles = [m.register_forward_pre_hook(keep) for m in net.modules() if isinstance(m, nn.Conv2d | nn.Linear)]
    was_training = net.training
    try:
        with torch.inference_mode():
            net.eval()(chips)
    finally:
        net.train(was_training)
        for handle in handles:
            handle.remove()
    return seen[0]


def _merged(layers: list[Layer]) -> list[Layer]:
    """Stages in a row that answer the same shape, as one."""
    merged: list[Layer] = []
    at: list[int] = []  # for each layer the place of what it became part of
    for layer in layers:
        sources = tuple(sorted({at[source] for source in layer.sources}))
        before = merged[-1] if merged else None
        if before is not None and layer.kind == before.kind == "stage" and layer.shape == before.leaves:
            convolutions = before.convolutions + layer.convolutions
            merged[-1] = replace(
                before,
                words=f"{convolutions} conv",
                parameters=before.parameters + layer.parameters,
                convolutions=convolutions,
                notes=[*before.notes, *layer.notes],
                pooled=layer.pooled,
            )
        else:
            merged.append(replace(layer, sources=sources))
        at.append(len(merged) - 1)
    return merged


class _Recorder:
    """Collects layers while a network runs once."""

    def __init__(self, net: nn.Module) -> None:
        self._net = net
        self._layers: list[Layer] = []
        self._made_by: dict[Any, int] = {}  # a node of autograd's graph -> the layer that made it
        convolutions = sum(isinstance(module, nn.Conv2d) for module in net.modules())
        self._stages = set(as_network(net).stages()) if convolutions > MOST_LAYERS else set()

    def record(self, size: int) -> list[Layer]:
        handles = [module.register_forward_hook(self._hook(name)) for name, module in self._told()]
        wanted = [parameter for parameter in self._net.parameters() if not parameter.requires_grad]
        was_training = self._net.training
        try:
            for parameter in wanted:
                parameter.requires_grad_(True)
            with torch.enable_grad():
                self._net.eval()(torch.zeros(1, size, size, 3, dtype=torch.uint8))
        finally:
            for parameter in wanted:
                parameter.requires_grad_(False)
            self._net.train(was_training)
            for handle in handles:
                handle.remove()
        return self._layers

    def _told(self) -> Iterator[tuple[str, nn.Module]]:
        """Stages where they are told whole, and all layers outside of them."""
        inside = {part for stage in self._stages for part in stage.modules() if part is not stage}
        for name, module in self._net.named_modules():
            if module in self._stages or (module not in inside and not any(module.children())):
                yield name, module

    def _hook(self, name: str) -> Any:
        def hook(module: nn.Module, inputs: tuple[Any, ...], output: Any) -> None:
            outputs = [tensor for tensor in _tensors(output) if tensor.grad_fn is not None]
            if not outputs:
                return
            sources = self._sources(inputs[0])
            at = self._note(module, outputs[0], sources)
            if at is None:
                at = len(self._layers)
                layer = _layer(name, module, outputs[0], sources)
                if layer is None:
                    return
                if isinstance(module, nn.Linear) and len(sources) == 1:
                    layer.reads = _reading(self._layers[sources[0]].leaves, module.in_features)
                self._layers.append(layer)
            for tensor in outputs:
                self._made_by[tensor.grad_fn] = at

        return hook

    def _note(self, module: nn.Module, output: Tensor, sources: tuple[int, ...]) -> int | None:
        """Add what changes no size, or pools, to the layer before it; None where the module is no such."""
        is_pool = isinstance(module, nn.MaxPool2d | nn.AvgPool2d | nn.AdaptiveAvgPool2d)
        if len(sources) != 1 or not (is_pool or type(module) in NOTES):
            return None
        before = self._layers[sources[0]]
        before.parameters += _parameters(module)
        if is_pool:
            before.pooled = tuple(output.shape[1:])
        else:
            share = getattr(module, "p", None)
            if share != 0:
                before.notes.append(NOTES[type(module)] + ("" if share is None else f" {share:g}"))
        return sources[0]

    def _sources(self, given: Tensor) -> tuple[int, ...]:
        """The nearest layers that a tensor was made from."""
        found: set[int] = set()
        seen: set[Any] = set()
        waiting = [given.grad_fn]
        while waiting:
            node = waiting.pop()
            if node is None or node in seen:
                continue
            seen.add(node)
            if node in self._made_by:
                found.add(self._made_by[node])
            else:
                waiting += [before for before, _ in node.next_functions]
        return tuple(sorted(found))


def _layer(name: str, module: nn.Module, output: Tensor, sources: tuple[int, ...]) -> Layer | None:
    shape, parameters = tuple(output.shape[1:]), _parameters(module)
    if isinstance(module, nn.Conv2d):
        high, wide = module.kernel_size
        return Layer(name, "conv", f"{high}×{wide}", shape, sources, parameters, 1)
    if isinstance(module, nn.Linear):
        return Layer(name, "dense", "", shape, sources, parameters)
    if isinstance(module, nn.RNNBase):
        both = "2× " if module.bidirectional else ""
        return Layer(name, "rnn", both + type(module).__name__, shape, sources, parameters)
    convolutions = sum(isinstance(part, nn.Conv2d) for part in module.modules())
    if not convolutions:
        return None
    return Layer(name, "stage", f"{convolutions} conv", shape, sources, parameters, convolutions)


def _reading(shape: tuple[int, ...], features: int) -> str:
    if len(shape) < 3:
        return ""
    return "mean over the map" if features == shape[0] < math.prod(shape) else "flattened"


def _parameters(module: nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())


def _tensors(output: Any) -> Iterator[Tensor]:
    if isinstance(output, Tensor):
        yield output
    elif isinstance(output, tuple | list):
        for part in output:
            yield from _tensors(part)
