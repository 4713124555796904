"""From a recipe's `model` part to a network with its start weights."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import cast

from torch import nn

from mien.errors import DataError, UsageError
from mien.learn.networks.answer_kinds import Network
from mien.learn.networks.start_weights import start_from
from mien.learn.networks.weights import load_file
from mien.learn.recipe import Model

NETWORKS: dict[str, str] = {
    "mobilenet-v1": "mien.learn.networks.heads:mobilenet_v1",
    "hse-mobilenet": "mien.learn.networks.hse:hse_mobilenet",
    "compact-cnn": "mien.learn.networks.published.compact:CompactCNN",
    "regularised-cnn": "mien.learn.networks.published.regularised:RegularisedCNN",
    "four-conv-gender": "mien.learn.networks.published.gender:FourConvGender",
    "three-conv-gender": "mien.learn.networks.published.gender:ThreeConvGender",
    "vgg16": "mien.learn.networks.published.vgg:VGG16",
    "hybrid": "mien.learn.networks.published.hybrid:HybridNet",
    "combined-cnn": "mien.learn.networks.published.one_or_two:CombinedCNN",
    "separate-cnn": "mien.learn.networks.published.one_or_two:SeparateCNN",
    "combination": "mien.learn.networks.published.combination:Combination",
}
"""Name -> what makes the network: a callable of `size` and the options of a recipe."""


def build(model: Model, report: Callable[[str], None] = lambda line: None) -> nn.Module:
    """The network of a recipe, a `mien.learn.networks.answer_kinds.Network`, start weights loaded, nothing frozen.

    Args:
        model: what to build.
        report: told in one line what the start weights do not hold, if they hold only a part of the network.

    Raises:
        UsageError: unknown network, or options that it does not have.
        DataError: the start weights are missing or hold too little of this network; see
            `mien.learn.networks.start_weights`.
    """
    accepted = [name for name in _parameters(model.network) if name != "size"]
    make = _load(NETWORKS[model.network])
    for name in model.options:
        if name not in accepted:
            raise UsageError.unknown(f"option of {model.network}", name, accepted)
    try:
        net = make(size=model.size, **model.options)
    except (TypeError, ValueError) as error:
        raise UsageError(f"{model.network} cannot be built with {model.options}: {error}") from error
    if model.init is not None:
        start_from(net, model.init, report)
    return net


def build_empty(model: Model) -> nn.Module:
    """The network of a recipe for weights that are loaded next: no start weights are looked for, nor ImageNet's."""
    return build(_without_start(model))


def build_trained(model: Model, weights: Path) -> nn.Module:
    """The network of a run with the weights that it left.

    Args:
        model: of the run's recipe.
        weights: its `model.safetensors`.

    Raises:
        UsageError: unknown network, or options that it does not have.
        DataError: the weights are of another network, or of the same one for another size of chip where that counts.
    """
    net = build_empty(model)
    state, wanted = load_file(weights), net.state_dict()
    odd = [name for name in {**wanted, **state} if name not in state or name not in wanted]
    odd += [name for name in wanted if name not in odd and wanted[name].shape != state[name].shape]
    if odd:
        raise DataError(
            f"{weights} does not fit a {model.network} with {model.options} for chips of {model.size} px, as the "
            f"recipe beside it says: {odd[0]} differs"
        )
    net.load_state_dict(state)
    return net


def _without_start(model: Model) -> Model:
    options = dict(model.options)
    if "pretrained" in _parameters(model.network):
        options["pretrained"] = False
    if "parts" in options:
        parts = {name: Model(**part, size=model.size) for name, part in options["parts"].items()}
        options["parts"] = {
            name: {"network": part.network, "options": _without_start(part).options} for name, part in parts.items()
        }
    return model.model_copy(update={"init": None, "options": options})


def as_network(net: nn.Module) -> Network:
    """The same object, seen as what it is besides a module."""
    return cast(Network, net)


def freeze(net: nn.Module, stages: int) -> None:
    """Fix the weights of the first `stages` stages.

    Raises:
        UsageError: the network has fewer.
    """
    has = as_network(net).stages()
    if stages > len(has):
        raise UsageError(f"model.freeze is {stages}, but the network has {len(has)} stages")
    for stage in has[:stages]:
        stage.requires_grad_(False)


def _parameters(network: str) -> list[str]:
    if network not in NETWORKS:
        raise UsageError.unknown("network", network, NETWORKS)
    return list(inspect.signature(_load(NETWORKS[network])).parameters)


def _load(place: str) -> Callable[..., nn.Module]:
    module, name = place.split(":")
    return cast(Callable[..., nn.Module], getattr(import_module(module), name))
