"""A narrow MobileNetV1 out of a wide one, or new last blocks for one, fitted layer by layer to real chips.

Channel pruning by reconstruction (He, Zhang and Sun, "Channel pruning for accelerating very deep neural networks", ICCV
2017): of each layer the channels are kept that later layers hear most of, and what the next layer makes of the rest is
made up for by a least-squares fit of its weights. Without the fit the signal of a network that has no batch norm fades
within a few layers.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mien.errors import UsageError
from mien.learn.backbones import MobileBlock
from mien.learn.heads import AgeGenderNet, mobilenet_v1

PLACES = 40_000
"""Places of the maps that each layer is fitted on."""
AT_ONCE = 64
"""Chips that go through the first blocks together."""
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
    part, full = _fit_blocks(wide, narrow, 0, (part, full), kept=kept, generator=generator)
    _fit_heads(wide, narrow, part, full)
    return narrow.eval()


@torch.inference_mode()
def graft(
    narrow: AgeGenderNet, wide: AgeGenderNet, tail: Sequence[int], chips: Tensor, larger: Tensor, *, seed: int = 0
) -> AgeGenderNet:
    """The first blocks of a narrow network, and last ones that are fitted to a wide network's maps of the same faces.

    The faces come at the size of each network, and the wide network's maps are reduced to the narrow one's. A network
    whose last features have died, as those behind a rectifier can in training, gets living ones again, and more.

    Args:
        narrow: over MobileNetV1, trained.
        wide: the same at full width.
        tail: channels of the last blocks, one number a block, at most those of the wide network's.
        chips: uint8 [N, S, S, 3] of the narrow network's size.
        larger: the same faces at the wide network's size.
        seed: of the choice of places.

    Raises:
        UsageError: the tail has no block, or more blocks or channels than the wide network.
    """
    most = [len(block.pw.weight) for block in _blocks(wide)][-len(tail) :]
    if not 0 < len(tail) <= len(most) or any(mine > theirs for mine, theirs in zip(tail, most, strict=True)):
        raise UsageError(f"the last blocks take at most the channels of the wide network's, {most}, not {list(tail)}")
    old_tail = narrow.backbone.tail
    whole_tail = (*old_tail[: max(0, len(old_tail) - len(tail))], *tail)
    grafted = mobilenet_v1(chips.shape[1], width=narrow.backbone.width, tail=whole_tail)
    first = len(_blocks(narrow)) - len(tail)
    for old, new in zip(narrow.stages()[: 1 + first], grafted.stages()[: 1 + first], strict=True):
        new.load_state_dict(old.state_dict())
    part = _through(grafted.stages()[: 1 + first], grafted, chips)
    full = _through(wide.stages()[: 1 + first], wide, larger)
    joint, old_joint = _blocks(grafted)[first].dw, _blocks(narrow)[first].dw
    joint.load_state_dict(old_joint.state_dict())
    generator = torch.Generator().manual_seed(seed)
    part, full = _fit_blocks(wide, grafted, first, (part, full), generator=generator)
    _fit_heads(wide, grafted, part, full)
    return grafted.eval()


def _through(stages: list[nn.Module], net: AgeGenderNet, chips: Tensor) -> Tensor:
    """Maps behind the first stages of a network; a few chips at a time, since earlier maps are large."""
    run = nn.Sequential(*stages)
    return torch.cat([run(net.normalised(chips[at : at + AT_ONCE])) for at in range(0, len(chips), AT_ONCE)])


def _fit_blocks(
    wide: AgeGenderNet,
    narrow: AgeGenderNet,
    first: int,
    maps: tuple[Tensor, Tensor],
    *,
    kept: Tensor | None = None,
    generator: torch.Generator,
) -> tuple[Tensor, Tensor]:
    """Fit the blocks from `first` on to the wide network's, in order; the last maps of both.

    Args:
        wide: to fit to.
        narrow: whose blocks are fitted, in place.
        first: number of the first of them.
        maps: what the first of them is given, [N, C, h, w], and the wide network's, which may be larger.
        kept: numbers of the wide network's channels that those of the narrow one's map stand for; None: the first
            depthwise convolution stays as it is.
        generator: of the choice of places.
    """
    part, full = maps
    for number in range(first, len(_blocks(wide))):
        block, slimmed = _blocks(wide)[number], _blocks(narrow)[number]
        if kept is not None:
            slimmed.dw.weight.copy_(block.dw.weight[kept])
            _bias(slimmed.dw).copy_(_bias(block.dw)[kept])
        wanted = block.pw(F.relu6(block.dw(full)))
        given = F.relu6(slimmed.dw(part))
        full = F.relu6(wanted)
        kept = _loudest(full, _reader(wide, number + 1), len(slimmed.pw.weight))
        weight, bias = _fit(given, F.adaptive_avg_pool2d(wanted[:, kept], (given.shape[2], given.shape[3])), generator)
        slimmed.pw.weight.copy_(weight[:, :, None, None])
        _bias(slimmed.pw).copy_(bias)
        part = F.relu6(slimmed.pw(given))
    return part, full


def _fit_heads(wide: AgeGenderNet, narrow: AgeGenderNet, part: Tensor, full: Tensor) -> None:
    """Fit both heads, over the last maps of the narrow network, to the wide one's answers."""
    pooled, features = part.mean(dim=(2, 3)), full.mean(dim=(2, 3))
    for old, new in zip((wide.age, wide.gender), (narrow.age, narrow.gender), strict=True):
        weight, bias = _least_squares(pooled, old(features))
        new.weight.copy_(weight)
        new.bias.copy_(bias)


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
