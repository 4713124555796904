"""A small MobileNetV1 out of a large one, fitted layer by layer to real chips.

Channel pruning by reconstruction (He, Zhang and Sun, "Channel pruning for accelerating very deep neural networks", ICCV
2017): of each layer the channels are kept that later layers hear most of, and what the next layer makes of the rest is
made up for by a least-squares fit of its weights. Without the fit the signal of a network that has no batch norm fades
within a few layers.

Low rank by reconstruction (Zhang, Zou, He and Sun, "Accelerating very deep convolutional networks for classification
and detection", TPAMI 2016): a pointwise convolution becomes two with few channels between them, those in which its
answers for real chips vary most, fitted to the large network's maps from what the layers before it have become.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mien.errors import UsageError
from mien.learn.networks.heads import AgeGenderNet, mobilenet_v1
from mien.learn.networks.mobilenet import LowRankConv, MobileBlock

PLACES = 40_000
"""Places of the maps that each layer is fitted on."""
RIDGE = 1e-4
"""Weight of the penalty, as a share of the mean power of a channel."""


@torch.inference_mode()
def to_low_rank(
    wide: AgeGenderNet,
    width: float,
    chips: Tensor,
    *,
    front: Sequence[int] = (),
    ranks: Sequence[int] = (),
    seed: int = 0,
) -> AgeGenderNet:
    """A network of fewer channels, or of low ranks, whose answers are near those of a wide one.

    Args:
        wide: over MobileNetV1.
        width: of the new network, as a share of the full one.
        chips: uint8 [N, S, S, 3] of the size that the new network is for; some thousand, since its heads are fitted to
            the wide network's answers for them.
        front: channels of the new network's stem and first blocks, see `MobileNetV1`.
        ranks: of its pointwise convolutions, see `MobileNetV1`.
        seed: of the choice of places.

    Raises:
        UsageError: the new network would have more of something than the wide one, or there is none of these numbers.
    """
    try:
        narrow = mobilenet_v1(chips.shape[1], width=width, front=front, ranks=ranks)
    except ValueError as error:
        raise UsageError(str(error)) from None
    _whole(wide)
    for theirs, mine in zip(_channels(wide), _channels(narrow), strict=True):
        if mine > theirs:
            raise UsageError(f"the new network's channels are at most the wide one's, {_channels(wide)}, not {mine}")
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
        kept = _loudest(full, _reader(wide, number + 1), _width(slimmed))
        _fit(slimmed.pw, given, wanted[:, kept], generator)
        part = F.relu6(slimmed.pw(given))
    _fit_heads(wide, narrow, part, full)
    return narrow.eval()


def _fit_heads(wide: AgeGenderNet, narrow: AgeGenderNet, part: Tensor, full: Tensor) -> None:
    """Fit both heads, over the last maps of the narrow network, to the wide one's answers."""
    pooled, features = part.mean(dim=(2, 3)), full.mean(dim=(2, 3))
    for old, new in zip((wide.age, wide.gender), (narrow.age, narrow.gender), strict=True):
        weight, bias = _least_squares(pooled, old(features))
        new.weight.copy_(weight)
        new.bias.copy_(bias)


def _blocks(net: AgeGenderNet) -> list[MobileBlock]:
    return cast(list[MobileBlock], list(net.backbone.blocks))


def _width(block: MobileBlock) -> int:
    """Channels that a block makes."""
    return block.pw.up.out_channels if isinstance(block.pw, LowRankConv) else block.pw.out_channels


def _whole(net: AgeGenderNet) -> None:
    """Check that each pointwise convolution of a network to fit to is one."""
    if any(isinstance(block.pw, LowRankConv) for block in _blocks(net)):
        raise UsageError("the wide network has convolutions of low rank: name one that has none, such as mien-m")


def _channels(net: AgeGenderNet) -> list[int]:
    """Channels of the stem and of each block."""
    return [net.backbone.stem.out_channels, *map(_width, _blocks(net))]


def _bias(layer: torch.nn.Conv2d) -> Tensor:
    assert layer.bias is not None
    return layer.bias


def _reader(wide: AgeGenderNet, number: int) -> Tensor:
    """How strongly what reads the maps before block `number` hears each channel [C]."""
    blocks = _blocks(wide)
    if number == len(blocks):
        heard = torch.cat([wide.age.weight, wide.gender.weight]).norm(dim=0)
    else:
        spread, mixed = blocks[number].dw.weight, cast(nn.Conv2d, blocks[number].pw).weight
        heard = spread.flatten(1).norm(dim=1) * mixed.flatten(1).norm(dim=0)
    return cast(Tensor, heard)


def _loudest(maps: Tensor, heard: Tensor, count: int) -> Tensor:
    """Numbers of the channels [count], in order, that vary most and are heard most."""
    spread = maps.transpose(0, 1).flatten(1).std(dim=1)
    return (spread * heard).topk(count).indices.sort().values


def _fit(conv: nn.Conv2d | LowRankConv, given: Tensor, wanted: Tensor, generator: torch.Generator) -> None:
    """Fit a pointwise convolution, in place, to lead from maps [N, I, h, w] to maps [N, O, h, w]."""
    rows, targets = (maps.permute(0, 2, 3, 1).flatten(0, 2) for maps in (given, wanted))
    chosen = torch.randperm(len(rows), generator=generator)[:PLACES]
    rows, targets = rows[chosen], targets[chosen]
    weight, bias = _least_squares(rows, targets)
    if not isinstance(conv, LowRankConv):
        conv.weight.copy_(weight[:, :, None, None])
        _bias(conv).copy_(bias)
        return
    fitted = rows.double() @ weight.double().T
    middle = fitted.mean(dim=0)
    centred = fitted - middle
    basis = torch.linalg.eigh(centred.T @ centred).eigenvectors[:, -conv.down.out_channels :]  # [O, rank], most last
    conv.down.weight.copy_((basis.T @ weight.double())[:, :, None, None])
    conv.up.weight.copy_(basis[:, :, None, None])
    _bias(conv.up).copy_(bias + middle - basis @ (basis.T @ middle))


def _least_squares(rows: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
    """Weights [O, I] and bias [O] that map rows [M, I] to targets [M, O], with a small penalty."""
    x, y = rows.double(), targets.double()
    middle, aim = x.mean(dim=0), y.mean(dim=0)
    centred = x - middle
    power = centred.T @ centred
    penalty = RIDGE * power.diagonal().mean().clamp_min(1e-12) * torch.eye(len(power), dtype=power.dtype)
    weight = torch.linalg.solve(power + penalty, centred.T @ (y - aim)).T
    return weight.float(), (aim - weight @ middle).float()
