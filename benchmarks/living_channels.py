"""Channels of a network of ours that no face wakes: what docs/accuracy.md says of mien-s-half.

    U="--data ../shared/data/utkface/images --folds ../shared/data/utkface/splits.csv"
    .venv/bin/python benchmarks/living_channels.py runs/mien-s-half $U

A channel behind a rectifier that is never above zero answers nothing and learns nothing: its gradient is zero. For each
layer it prints the channels, those that stay at zero on all of the faces, and the share of places at which the channels
are above zero on average. Needs the extra train; writes nothing.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
import yaml
from torch import Tensor

from mien.cores import physical_cores
from mien.estimate.bundle import available
from mien.faces.align import CropContract, resize_chip
from mien.learn.backbones import MobileBlock
from mien.learn.heads import AgeGenderNet
from mien.learn.manifest import read
from mien.learn.network import build
from mien.learn.predictions import each_picture
from mien.learn.recipe import Model


def main() -> None:
    """Measure and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", help="a run's folder, or the name or folder of a model with a recipe in the package")
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--folds", type=Path, required=True)
    parser.add_argument("--faces", type=int, default=256, help="of the val fold, at random")
    options = parser.parse_args()
    net, size = network(options.model)
    faces = read(options.data, options.folds).select(fold="val").present()
    some = faces.take(np.random.default_rng(0).permutation(len(faces))[: options.faces])
    contract = CropContract.utkface(size)
    read_chips = each_picture(some, lambda file, pixels: resize_chip(pixels, contract), physical_cores())
    chips = torch.from_numpy(np.stack([chip for _, chip in read_chips if isinstance(chip, np.ndarray)]))
    print(f"{len(chips)} faces of the val fold, {options.model} at {size} px\n")
    print("| layer | channels | never above zero | share of places above zero |")
    print("|---|---:|---:|---:|")
    with torch.inference_mode():
        for name, maps in layers(net, net.normalised(chips)):
            dead = int((maps.amax(dim=(0, 2, 3)) <= 0).sum())
            print(f"| {name} | {maps.shape[1]} | {dead} | {(maps > 0).float().mean():.1%} |", flush=True)


def network(model: str) -> tuple[AgeGenderNet, int]:
    """A network with its weights, and the side of its chips."""
    folder = available().get(model, Path(model))
    recipe = folder / "recipe.yaml"
    name = Path(model).name
    packaged = Path(__file__).resolve().parents[1] / "src" / "mien" / "learn" / "recipes" / f"{name}.yaml"
    plan = yaml.safe_load((recipe if recipe.is_file() else packaged).read_text(encoding="utf-8"))["model"]
    net = build(Model(**{**plan, "init": folder, "freeze": 0}))
    assert isinstance(net, AgeGenderNet)
    return net.eval(), int(plan["size"])


def layers(net: AgeGenderNet, x: Tensor) -> Iterator[tuple[str, Tensor]]:
    """Every layer's maps [N, C, h, w] in order, behind the rectifier."""
    x = net.backbone.stem(x)
    yield "stem", x
    for number, block in enumerate(net.backbone.blocks, 1):
        assert isinstance(block, MobileBlock)
        x = F.relu6(block.dw_norm(block.dw(x)))
        yield f"block {number}, depthwise", x
        x = F.relu6(block.pw_norm(block.pw(x)))
        yield f"block {number}, pointwise", x


if __name__ == "__main__":
    main()
