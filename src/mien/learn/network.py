"""From a recipe's `model` part to a network with its start weights."""

from __future__ import annotations

from pathlib import Path

from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file
from torch import nn

from mien.errors import DataError, UsageError
from mien.estimate import bundle
from mien.learn.backbones import MobileNetV1
from mien.learn.heads import AgeGenderNet
from mien.learn.recipe import Model

BACKBONES: dict[str, type[MobileNetV1]] = {"mobilenet-v1": MobileNetV1}


def build(model: Model) -> AgeGenderNet:
    """The network of a recipe, with the start weights loaded and nothing frozen yet.

    Raises:
        UsageError: unknown backbone.
        DataError: the start weights are missing or do not fit.
    """
    if model.backbone not in BACKBONES:
        raise UsageError.unknown("backbone", model.backbone, BACKBONES)
    backbone = BACKBONES[model.backbone]()
    net = AgeGenderNet(backbone, model.dropout)
    if model.init is not None:
        _start_from(net, backbone, model.init)
    return net


def freeze(net: AgeGenderNet, stages: int) -> None:
    """Fix the weights of the first `stages` stages of the backbone."""
    for stage in backbone_stages(net)[:stages]:
        stage.requires_grad_(False)


def backbone_stages(net: AgeGenderNet) -> list[nn.Module]:
    """Stages of the backbone in order from the input."""
    backbone = net.backbone
    assert isinstance(backbone, MobileNetV1)
    return backbone.stages()


def _start_from(net: AgeGenderNet, backbone: MobileNetV1, init: Path) -> None:
    folder = bundle.available().get(str(init), init)
    path = folder / "model.safetensors" if folder.is_dir() else folder
    if not path.is_file():
        raise DataError(f"the start weights {path} do not exist: set model.init to a file or bundle, or to null")
    try:
        with safe_open(path, framework="pt") as file:
            names = set(file.keys())
    except SafetensorError as error:
        raise DataError(f"{path} is not a safetensors file: {error}") from error
    if "stem.weight" in names:
        backbone.load_hse(path)
        return
    state = {name: tensor.float() for name, tensor in load_file(path).items()}
    wanted = net.state_dict()
    missing = sorted(set(wanted) - set(state))
    wrong = sorted(name for name in set(wanted) & set(state) if wanted[name].shape != state[name].shape)
    if missing or wrong:
        raise DataError(f"{path} does not fit this network: {(missing + wrong)[0]!r} is missing or of another shape")
    net.load_state_dict(state, strict=False)
