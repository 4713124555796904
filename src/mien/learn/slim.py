"""A narrow MobileNetV1 out of a wide one, fitted layer by layer to real chips: the start of the narrow one's training.

Channel pruning by reconstruction (He, Zhang and Sun, "Channel pruning for accelerating very deep neural networks", ICCV
2017): of each layer the channels are kept that later layers hear most of, and what the next layer makes of the rest is
made up for by a least-squares fit of its weights. Without the fit the signal of a network that has no batch norm fades
within a few layers.
"""

from __future__ import annotations

from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor

from mien.learn.backbones import MobileBlock
from mien.learn.heads import AgeGenderNet, mobilenet_v1

PLACES = 40_000
"""Places of the maps that each layer is fitted on."""
RIDGE = 1e-4
"""Weight of the penalty, as a share of the mean power of a channel."""


@torch.inference_mode()
def slim(wide: AgeGenderNet, width: float, chips: Tensor, *, seed: int = 0) -> AgeGenderNet:
    """A network of fewer channels whose answers are near those of a wide one.

    Args:
        wide: over MobileNetV1.
        width: of the new network, as a share of the full one.
        chips: uint8 [N, S, S, 3] of the size that the new network is for; some thousand, since its heads are fitted to
            the wide network's answers for them.
        seed: of the choice of places.
    """
    narrow = mobilenet_v1(chips.shape[1], width=width)
    generator = torch.Generator().manual_seed(seed)
    x = chips.permute(0, 3, 1, 2).float()
    x = ((x.flip(1) if wide.reverse else x) - wide.mean) / wide.std
    whole = wide.backbone
    full = whole.stem(x)
    kept = _loudest(full, _reader(wide, 0), len(narrow.backbone.stem.weight))
    narrow.backbone.stem.weight.copy_(whole.stem.weight[kept])
    _bias(narrow.backbone.stem).copy_(_bias(whole.stem)[kept])
    part = full[:, kept]
    for number, (block, slimmed) in enumerate(zip(_blocks(wide), _blocks(narrow), strict=True)):
        slimmed.dw.weight.copy_(block.dw.weight[kept])
        _bias(slimmed.dw).copy_(_bias(block.dw)[kept])
        wanted = block.pw(F.relu6(block.dw(full)))
        given = F.relu6(slimmed.dw(part))
        full = F.relu6(wanted)
        kept = _loudest(full, _reader(wide, number + 1), len(slimmed.pw.weight))
        weight, bias = _fit(given, wanted[:, kept], generator)
        slimmed.pw.weight.copy_(weight[:, :, None, None])
        _bias(slimmed.pw).copy_(bias)
        part = F.relu6(slimmed.pw(given))
    pooled, features = part.mean(dim=(2, 3)), full.mean(dim=(2, 3))
    for old, new in zip((wide.age, wide.gender), (narrow.age, narrow.gender), strict=True):
        weight, bias = _least_squares(pooled, old(features))
        new.weight.copy_(weight)
        new.bias.copy_(bias)
    return narrow.eval()


def _blocks(net: AgeGenderNet) -> list[MobileBlock]:
    return cast(list[MobileBlock], list(net.backbone.blocks))


def _bias(layer: torch.nn.Conv2d) -> Tensor:
    assert layer.bias is not None
    return layer.bias


def _reader(wide: AgeGenderNet, number: int) -> Tensor:
    """How strongly what reads the maps before block `number` hears each channel [C]."""
    blocks = _blocks(wide)
    if number == len(blocks):
        heard = torch.cat([wide.age.weight, wide.gender.weight]).norm(dim=0)
    else:
        spread, mixed = blocks[number].dw.weight, blocks[number].pw.weight
        heard = spread.flatten(1).norm(dim=1) * mixed.flatten(1).norm(dim=0)
    return cast(Tensor, heard)


def _loudest(maps: Tensor, heard: Tensor, count: int) -> Tensor:
    """Numbers of the channels [count], in order, that vary most and are heard most."""
    spread = maps.transpose(0, 1).flatten(1).std(dim=1)
    return (spread * heard).topk(count).indices.sort().values


def _fit(given: Tensor, wanted: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Weights [O, I] and bias [O] of a pointwise convolution from maps [N, I, h, w] to maps [N, O, h, w]."""
    rows, targets = (maps.permute(0, 2, 3, 1).flatten(0, 2) for maps in (given, wanted))
    chosen = torch.randperm(len(rows), generator=generator)[:PLACES]
    return _least_squares(rows[chosen], targets[chosen])


def _least_squares(rows: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
    """Weights [O, I] and bias [O] that map rows [M, I] to targets [M, O], with a small penalty."""
    x, y = rows.double(), targets.double()
    middle, aim = x.mean(dim=0), y.mean(dim=0)
    centred = x - middle
    power = centred.T @ centred
    penalty = RIDGE * power.diagonal().mean().clamp_min(1e-12) * torch.eye(len(power), dtype=power.dtype)
    weight = torch.linalg.solve(power + penalty, centred.T @ (y - aim)).T
    return weight.float(), (aim - weight @ middle).float()
