"""Start weights of a small network out of a large one, fitted layer by layer to real chips."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import save_file

from mien.errors import DataError, PhotoError, UsageError
from mien.faces.align import CropContract, resize_chip
from mien.learn.data.counting import Report, unheard
from mien.learn.data.manifest import Manifest
from mien.learn.data.predictions import each_picture
from mien.learn.networks.build import build, build_empty
from mien.learn.networks.heads import AgeGenderNet
from mien.learn.networks.low_rank import to_low_rank
from mien.learn.recipe import Model, load_recipe
from mien.runtime.cores import physical_cores


def check_slim(recipe: str) -> Model:
    """The network of a recipe, if it is one that can be slimmed to; told before any picture is read.

    Raises:
        UsageError: it is another network, or an option of it does not fit.
    """
    model = load_recipe(recipe).model
    if model.network != "mobilenet-v1":
        raise UsageError(
            f"recipe {recipe} is not for a network that mien lab slim makes, mobilenet-v1: name another one"
        )
    build_empty(model)
    return model


def slim_weights(
    start: Path,
    model: Model,
    manifest: Manifest,
    output: Path,
    *,
    faces: int = 2000,
    threads: int = 0,
    report: Report = unheard,
) -> int:
    """Write start weights for a narrow network, or one of low ranks.

    Args:
        start: the wide network: a run, a model's folder or its name.
        model: the small one, from `check_slim`.
        manifest: chips to fit to; their labels are not used.
        output: safetensors file to write.
        faces: how many chips, at random.
        threads: cores to use; 0 for all.
        report: takes one line at a time.

    Returns:
        How many chips there were.

    Raises:
        DataError: no picture can be read, or the wide network does not fit.
    """
    wide = build(Model(init=start, size=model.size), report)
    assert isinstance(wide, AgeGenderNet)
    cores = threads or physical_cores()
    torch.set_num_threads(cores)
    chips = _chips(manifest, faces, model.size, cores)
    shape = {name: model.options.get(name, ()) for name in ("front", "ranks")}
    narrow = to_low_rank(wide.eval(), model.options.get("width", 1.0), torch.from_numpy(chips), **shape)
    save_file(narrow.state_dict(), output)
    return len(chips)


def _chips(manifest: Manifest, faces: int, size: int, threads: int) -> NDArray[np.uint8]:
    """Some chips of a manifest at random, [N, size, size, 3]."""
    contract = CropContract.utkface(size)
    present = manifest.present()
    some = present.take(np.random.default_rng(0).permutation(len(present))[:faces])
    pictures = each_picture(some, lambda file, pixels: resize_chip(pixels, contract), threads)
    read = [chip for _, chip in pictures if not isinstance(chip, PhotoError)]
    if not read:
        raise DataError("there is no chip to fit to: none of the pictures can be read")
    return np.stack(read)
