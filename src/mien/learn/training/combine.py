"""Finished runs to one run whose network is their combination; nothing is trained."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

from safetensors.torch import save
from torch import Tensor

from mien.errors import DataError
from mien.learn.networks.build import build_empty
from mien.learn.networks.weights import load_file
from mien.learn.recipe import Model, Recipe
from mien.learn.run_folder import RunFolder


def combine_runs(mode: str, runs: Mapping[str, Path], output: Path, title: str = "") -> Path:
    """Write a run folder whose network holds those of several runs.

    Args:
        mode: "pair", "gated" or "mean"; see `mien.learn.networks.published.combination`.
        runs: part -> folder that `mien.learn.training.loop.train` made.
        output: the new folder; it must not exist yet, and its name becomes the run's.
        title: what to call it in tables; by default its name.

    Returns:
        Path of its `model.safetensors`.

    Raises:
        DataError: a folder is no run, or the runs do not see the same chips, or the output exists.
        UsageError: mode and parts do not go together.
    """
    made = RunFolder.new(output)
    folders = {part: RunFolder.finished(run) for part, run in runs.items()}
    recipes = {part: folder.read_recipe() for part, folder in folders.items()}
    _same_chips(recipes)
    first = next(iter(recipes.values()))
    parts = {part: {"network": r.model.network, "options": r.model.options} for part, r in recipes.items()}
    model = Model(network="combination", size=first.model.size, options={"mode": mode, "parts": parts})
    net = build_empty(model)
    weights: dict[str, Tensor] = {}
    for part, folder in folders.items():
        weights |= {f"parts.{part}.net.{key}": tensor for key, tensor in load_file(folder.weights).items()}
    net.load_state_dict(weights, strict=False)
    about = first.about.model_copy(
        update={
            "title": title,
            "data": tuple(dict.fromkeys(line for r in recipes.values() for line in r.about.data)),
            "notes": tuple(dict.fromkeys(line for r in recipes.values() for line in r.about.notes)),
            "budget": _joined(r.about.budget for r in recipes.values()),
        }
    )
    combined = first.model_copy(update={"name": output.name, "model": model, "about": about})
    output.mkdir(parents=True)
    made.recipe_file.write_text(combined.to_yaml(), encoding="utf-8")
    made.name_parts(runs)
    made.weights.write_bytes(save({key: tensor.contiguous() for key, tensor in weights.items()}))
    return made.weights


def _joined(sentences: Iterable[str]) -> str:
    """Sentences as one.

    >>> _joined(["8 epochs at 100 px.", "6 epochs.", "", "8 epochs at 100 px."])
    '8 epochs at 100 px; 6 epochs.'
    """
    parts = dict.fromkeys(stripped for sentence in sentences if (stripped := sentence.strip().removesuffix(".")))
    return "; ".join(parts) + "." * bool(parts)


def _same_chips(recipes: Mapping[str, Recipe]) -> None:
    """Refuse runs that are shown different pictures of a face."""
    chips = {part: (r.model.size, r.data.crop, r.data.grey) for part, r in recipes.items()}
    if len(set(chips.values())) > 1:
        shown = ", ".join(
            f"{part}: {size} px of the {crop}{' in grey' * grey}" for part, (size, crop, grey) in chips.items()
        )
        raise DataError(f"the runs do not see the same chips ({shown}): train them alike to combine them")
