"""Honest predictions on the training faces themselves: heads on frozen features, cross-fitted.

The faces are cut in parts, twins together; heads trained on all other parts answer for each part. Such answers tell
wrong labels from hard faces (Northcutt et al., "Confident learning", JAIR 2021) and teach a student softer truths than
the labels (Hinton et al., "Distilling the knowledge in a neural network", 2015).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from mien.estimate.calibrate import AGES
from mien.faces.align import CropContract, resize_chip
from mien.learn.data.manifest import Manifest
from mien.learn.data.predictions import Predictions, each_picture
from mien.learn.networks.answer_kinds import AgeKind, GenderKind, Output
from mien.learn.networks.heads import AgeGenderNet
from mien.learn.networks.onnx_graph import to_proto
from mien.learn.recipe import Loss
from mien.learn.training.losses import AgeGenderLoss
from mien.runtime.sessions import open_network

Features = NDArray[np.float32]
Heads = Callable[[Tensor], Tensor]

HIDDEN, DROPOUT, EPOCHS, BATCH, RATE = 512, 0.5, 20, 256, 1e-3
"""Heads and their training as measured best, by a hair, among a few on the train fold."""


@dataclass(frozen=True)
class FaceFeatures:
    """Pooled features float32 [N, 2, C] of chips and of their mirror images, with the labels [N] that go with them."""

    files: list[str]
    features: Features
    manifest: Manifest

    def __len__(self) -> int:
        return len(self.files)


class _Kinds:
    """Kinds of answers of the heads, those of our own network."""

    age_kind: AgeKind | None = "distribution"
    gender_kind: GenderKind | None = "sigmoid"


class _Pooled(nn.Module):
    def __init__(self, net: AgeGenderNet) -> None:
        super().__init__()
        self.net = net

    def forward(self, chips: Tensor) -> Tensor:
        return self.net.pooled(chips)


def extract(
    net: AgeGenderNet,
    manifest: Manifest,
    size: int,
    *,
    threads: int = 2,
    batch_size: int = 32,
    progress: Callable[[int], None] = lambda done: None,
) -> FaceFeatures:
    """Features of every readable picture of a manifest; nothing of them is written anywhere."""
    example = torch.zeros(2, size, size, 3, dtype=torch.uint8)
    graph = to_proto(_Pooled(net).eval(), example, "chips", ["features"])
    session = open_network(graph.SerializeToString(), threads)
    contract = CropContract.utkface(size)
    files: list[str] = []
    waiting: list[NDArray[np.uint8]] = []
    parts: list[Features] = []

    def flush() -> None:
        chips = np.stack(waiting)
        both = (chips, np.ascontiguousarray(chips[:, :, ::-1]))
        parts.append(np.stack([session.run(None, {"chips": side})[0] for side in both], axis=1))
        progress(len(waiting))
        waiting.clear()

    for file, chip in each_picture(manifest, lambda file, pixels: resize_chip(pixels, contract), threads):
        if isinstance(chip, np.ndarray):
            files.append(file)
            waiting.append(chip)
        if len(waiting) == batch_size:
            flush()
    if waiting:
        flush()
    return FaceFeatures(files, np.concatenate(parts), manifest.named(files))


def fit_heads(features: Features, manifest: Manifest, seed: int, plan: Loss | None = None) -> Heads:
    """Train one hidden layer and both heads on features [N, 2, C]; each step sees a chip or its mirror image."""
    torch.manual_seed(seed)
    x = torch.from_numpy(features)
    age, female = torch.from_numpy(manifest.age), torch.from_numpy(manifest.female.astype(np.int64))
    low, high = (torch.from_numpy(np.floor(bound)) for bound in (manifest.age_low, manifest.age_high))
    mean, spread = x[:, 0].mean(dim=0), x[:, 0].std(dim=0) + 1e-3
    net = nn.Sequential(
        nn.Dropout(DROPOUT / 2),
        nn.Linear(x.shape[-1], HIDDEN),
        nn.ReLU(),
        nn.Dropout(DROPOUT),
        nn.Linear(HIDDEN, AGES + 1),
    )
    loss = AgeGenderLoss(plan or Loss(), _Kinds())
    steps = max(1, EPOCHS * len(x) // BATCH)
    optimiser = torch.optim.AdamW(net.parameters(), lr=RATE, weight_decay=0.01)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, RATE, total_steps=steps)
    for _ in range(steps):
        rows, sides = torch.randint(0, len(x), (BATCH,)), torch.randint(0, x.shape[1], (BATCH,))
        answer = net((x[rows, sides] - mean) / spread)
        bounds = low[rows], high[rows]
        value = loss(Output(answer[:, :AGES], answer[:, AGES]), age[rows], female[rows], bounds=bounds)
        optimiser.zero_grad(set_to_none=True)
        value.backward()  # type: ignore[no-untyped-call]
        optimiser.step()
        schedule.step()
    net.eval()
    return lambda other: net((other - mean) / spread)


def crossfit(
    taught: FaceFeatures,
    others: FaceFeatures | None = None,
    *,
    parts: int = 5,
    seeds: int = 3,
    report: Callable[[str], None] = lambda line: None,
) -> Predictions:
    """Answers for each face by heads that did not see it.

    Args:
        taught: faces with labels, which the heads are trained on, part by part.
        others: further faces, answered by the mean of all heads; their labels are not used.
        parts: how many; twins are in the same one.
        seeds: heads a part, averaged.
        report: takes one line a part.
    """
    part = _parts(taught.manifest, parts)
    sets = [taught, others] if others is not None else [taught]
    pmf = [np.zeros((len(faces), AGES), np.float64) for faces in sets]
    female = [np.zeros(len(faces), np.float64) for faces in sets]
    for number in range(parts):
        away = part != number
        rows = [~away, *(np.ones(len(faces), np.bool_) for faces in sets[1:])]
        for seed in range(seeds):
            heads = fit_heads(taught.features[away], taught.manifest.take(away), seed)
            for at, (faces, chosen) in enumerate(zip(sets, rows, strict=True)):
                weight = seeds if at == 0 else seeds * parts
                mass, share = answer(heads, faces.features[chosen])
                pmf[at][chosen] += mass / weight
                female[at][chosen] += share / weight
        report(f"part {number + 1} of {parts}: {int((~away).sum())} faces answered by heads that did not see them")
    files = np.array([file for faces in sets for file in faces.files], dtype=np.str_)
    return Predictions(
        files, np.concatenate(pmf).astype(np.float32), np.concatenate(female).astype(np.float32), model="crossfit"
    )


@torch.inference_mode()
def answer(heads: Heads, features: Features) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Age distributions [N, 117] and probabilities of "female" [N], means of a chip and its mirror image."""
    raw = heads(torch.from_numpy(features))
    pmf = torch.softmax(raw[..., :AGES], dim=-1).mean(dim=1)
    return pmf.double().numpy(), torch.sigmoid(raw[..., AGES]).mean(dim=1).double().numpy()


def _parts(manifest: Manifest, parts: int, seed: int = 0) -> NDArray[np.intp]:
    """For each face the number of its part, the same for twins."""
    names = np.array([twins or f"/{row}" for row, twins in enumerate(manifest.twins.tolist())])
    distinct, at = np.unique(names, return_inverse=True)
    return np.random.default_rng(seed).integers(0, parts, len(distinct))[at]
