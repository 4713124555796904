"""From a run folder to a model bundle: ONNX graph, weights, config and licence, checked against torch.

The weights are stored once. model.safetensors holds them in float16; model.onnx is the bare graph, whose initialisers
are ONNX external data that point into model.safetensors, each cast to float32 when the session is made.
"""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Sequence
from datetime import UTC, datetime
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch
from onnx import TensorProto, helper, numpy_helper
from safetensors.torch import save
from torch import Tensor, nn

import mien
from mien.errors import DataError
from mien.estimate import bundle
from mien.estimate.bundle import BundleConfig
from mien.estimate.class_activation import header
from mien.faces.align import CropContract
from mien.learn.networks.answer_kinds import Deployed
from mien.learn.networks.arithmetic import multiply_adds
from mien.learn.networks.build import build_trained
from mien.learn.networks.heads import AgeGenderNet
from mien.learn.networks.onnx_graph import to_proto
from mien.learn.networks.weights import load_file
from mien.learn.recipe import About, Recipe
from mien.learn.run_folder import RunFolder
from mien.learn.training.ancestry import ancestry
from mien.runtime.sessions import open_network
from mien.unfinished import part_name

TOLERANCE = 1e-4
"""Largest difference allowed between ONNX Runtime and torch, in probability."""

DTYPES = {"float16": (torch.float16, TensorProto.FLOAT16), "float32": (torch.float32, TensorProto.FLOAT)}
"""Types the weights can be stored in."""


def export_run(run: Path, output: Path, name: str | None = None, *, dtype: str = "float16") -> Path:
    """Write the bundle of a finished (or interrupted) run.

    Args:
        run: a folder that `mien.learn.training.loop.train` made.
        output: the bundle's folder; a bundle already there is replaced when all else has succeeded.
        name: name of the model; the recipe's by default.
        dtype: type in which the weights are stored, one of `DTYPES`; they are computed with in float32 either way.

    Returns:
        The bundle's folder.

    Raises:
        DataError: the folder is no run, the output holds something else than a model, or the exported network
            disagrees with torch.
    """
    output = output.resolve()
    if output.exists() and not (output / bundle.CONFIG).is_file() and (output.is_file() or any(output.iterdir())):
        raise DataError(f"{output} exists and is no model: choose another --output")
    folder = RunFolder.finished(run)
    recipe = folder.read_recipe()
    net = build_trained(recipe.model, folder.weights)
    net.load_state_dict({key: _stored(tensor, dtype).to(tensor.dtype) for key, tensor in net.state_dict().items()})
    net.eval()
    output.parent.mkdir(parents=True, exist_ok=True)
    part = part_name(output)
    part.mkdir()
    try:
        weights = {key: _stored(tensor, dtype).contiguous() for key, tensor in net.state_dict().items()}
        (part / "model.safetensors").write_bytes(save(weights))  # save_file would make it readable by its owner only
        graph = to_onnx(net, recipe.model.size)
        share_weights(graph, part / "model.safetensors", DTYPES[dtype][1])
        onnx.save(graph, part / "model.onnx")
        difference = parity(net, part / "model.onnx", recipe.model.size)
        if difference > TOLERANCE:
            raise DataError(
                f"the exported network differs from torch by {difference:.2g} (at most {TOLERANCE:g} allowed)"
            )
        (part / "LICENSE").write_text(licence_text(recipe.about), encoding="utf-8")
        config = describe(recipe, net, part, name or recipe.name, dtype, lineage=ancestry(run))
        bundle.write_config(part, config)
        shutil.rmtree(output, ignore_errors=True)
        part.rename(output)
    finally:
        shutil.rmtree(part, ignore_errors=True)  # where it has not become the output
    return output


def licence_text(about: About) -> str:
    """What a bundle's LICENSE says: the recipe's words, and under them the whole licence where mien has its text."""
    whole = files("mien.learn.exporting") / "licences" / f"{about.licence}.txt"
    if not whole.is_file():
        return about.licence_text
    return f"{about.licence_text.rstrip()}\n\n{whole.read_text(encoding='utf-8')}"


def to_onnx(net: nn.Module, size: int) -> onnx.ModelProto:
    """The graph of a network with input `chips` and outputs `age_pmf` and `p_female`; the batch is dynamic.

    An `AgeGenderNet` has its last feature map as a third output, for `mien.estimate.explain`. The map is on the way to
    the answers anyway, so whoever asks only for these waits no longer.
    """
    chips = torch.zeros(2, size, size, 3, dtype=torch.uint8)
    if isinstance(net, AgeGenderNet):
        return to_proto(_WithFeatures(net.in_rgb()).eval(), chips, "chips", ["age_pmf", "p_female", "feature_map"])
    return to_proto(Deployed(net).eval(), chips, "chips", ["age_pmf", "p_female"])


class _WithFeatures(Deployed):
    """A deployed network that also gives its last feature map [N, C, h, w], of whose mean its heads are linear."""

    def forward(self, chips: Tensor) -> tuple[Tensor, ...]:
        assert isinstance(self.net, AgeGenderNet)
        features = self.net.features(chips)
        return (*self.answers(self.net.answer(features)), features)


def share_weights(model: onnx.ModelProto, weights: Path, dtype: int) -> None:
    """Replace the initialisers by external data in a safetensors file of the same folder, changing `model` in place.

    An initialiser that the file does not hold stays inside: a constant of the graph, or the weight of a convolution
    into which the exporter has folded the batch norm behind it (it keeps its name then, but not its values).
    """
    places, stored = _tensor_places(weights), load_file(weights)
    kept, casts = [], []
    for tensor in model.graph.initializer:
        key = tensor.name.removeprefix("net.")
        if key not in places or not np.array_equal(numpy_helper.to_array(tensor), stored[key].float().numpy()):
            kept.append(tensor)
            continue
        start, length = places[key]
        outside = TensorProto(name=f"{key}.stored" if dtype != TensorProto.FLOAT else tensor.name)
        outside.data_type, outside.data_location = dtype, TensorProto.EXTERNAL
        outside.dims.extend(tensor.dims)
        for field, value in (("location", weights.name), ("offset", str(start)), ("length", str(length))):
            outside.external_data.add(key=field, value=value)
        kept.append(outside)
        if dtype != TensorProto.FLOAT:
            casts.append(helper.make_node("Cast", [outside.name], [tensor.name], to=TensorProto.FLOAT))
    nodes = [*casts, *model.graph.node]
    del model.graph.initializer[:], model.graph.node[:]
    model.graph.initializer.extend(kept)
    model.graph.node.extend(nodes)


def parity(net: nn.Module, network: Path, size: int) -> float:
    """Largest difference in probability between ONNX Runtime and torch, on smooth random chips."""
    rng = np.random.default_rng(0)
    coarse = torch.from_numpy(rng.uniform(0, 255, (4, 3, 12, 12)).astype(np.float32))
    chips = nn.functional.interpolate(coarse, size=(size, size), mode="bilinear").permute(0, 2, 3, 1).to(torch.uint8)
    session = open_network(str(network))
    answers = session.run(["age_pmf", "p_female"], {"chips": chips.contiguous().numpy()})
    with torch.inference_mode():
        wanted = Deployed(net).eval()(chips)
    return max(float(np.abs(mine - theirs.numpy()).max()) for mine, theirs in zip(answers, wanted, strict=True))


def describe(
    recipe: Recipe, net: nn.Module, folder: Path, name: str, dtype: str, *, lineage: Sequence[dict[str, Any]] = ()
) -> BundleConfig:
    """The config of a bundle whose files lie in `folder`; `lineage` is what led to it, see `ancestry`."""
    digests = {
        file: hashlib.sha256((folder / file).read_bytes()).hexdigest() for file in ("model.onnx", "model.safetensors")
    }
    return BundleConfig(
        name=name,
        contract=CropContract.utkface(recipe.model.size),
        licence=recipe.about.licence,
        data=recipe.about.data,
        parameters=sum(p.numel() for p in net.parameters()),
        multiply_adds=multiply_adds(net, recipe.model.size),
        files=digests,
        made={
            "recipe": recipe.name,
            "stored": dtype,
            "mien": mien.__version__,
            "torch": torch.__version__,
            "notes": list(recipe.about.notes),
            "lineage": list(lineage),
            "date": datetime.now(UTC).date().isoformat(),
        },
        architecture={"network": recipe.model.network, "options": recipe.model.options},
    )


def _stored(tensor: Tensor, dtype: str) -> Tensor:
    """A weight in the type it is kept in; counters stay as they are."""
    return tensor.to(DTYPES[dtype][0]) if tensor.is_floating_point() else tensor


def _tensor_places(weights: Path) -> dict[str, tuple[int, int]]:
    """Byte offset and length of each tensor in a safetensors file."""
    entries, length = header(weights)
    entries.pop("__metadata__", None)
    places = {name: entry["data_offsets"] for name, entry in entries.items()}
    return {name: (8 + length + start, end - start) for name, (start, end) in places.items()}
