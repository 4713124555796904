"""The mean of the weights of several runs: the accuracy of an ensemble in part, at the cost of one network.

Wortsman et al., "Model soups: averaging weights of multiple fine-tuned models improves accuracy without increasing
inference time", ICML 2022. It works for runs that were fine-tuned from the same start, or one from the other.
"""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path

import torch
import yaml
from safetensors.torch import save

from mien.errors import DataError
from mien.learn.networks.weights import load_file
from mien.learn.run_folder import RunFolder


def average_runs(runs: Sequence[Path], output: Path, *, size: int | None = None) -> Path:
    """Write a run folder with the mean weights, and the recipe of the last run.

    Args:
        runs: at least two folders that `mien.learn.training.loop.train` made.
        output: the new folder; it must not exist yet.
        size: side in pixels of the chips that the averaged network takes; by default the last run's. Networks that
            end in a mean over the places of the last map take any; for others the export says that they do not fit.

    Returns:
        Path of the averaged `model.safetensors`.

    Raises:
        DataError: a folder is no run, the networks differ, or the output exists.
    """
    if len(runs) < 2:
        raise DataError("averaging takes two runs or more")
    made = RunFolder.new(output)
    folders = [RunFolder.finished(run) for run in runs]
    states = [load_file(folder.weights) for folder in folders]
    shapes = [{name: tensor.shape for name, tensor in state.items()} for state in states]
    if any(shape != shapes[0] for shape in shapes):
        raise DataError(
            f"the networks of {', '.join(map(str, runs))} differ: only weights of one design can be averaged"
        )
    mean = {name: torch.stack([state[name].float() for state in states]).mean(dim=0) for name in states[0]}
    output.mkdir(parents=True)
    if size is None:
        shutil.copyfile(folders[-1].recipe_file, made.recipe_file)
    else:
        recipe = folders[-1].recipe_as_written()
        recipe["model"]["size"] = size
        made.recipe_file.write_text(yaml.safe_dump(recipe, sort_keys=False), encoding="utf-8")
    made.name_averaged(runs)
    made.weights.write_bytes(save(mean))
    return made.weights
