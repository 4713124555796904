"""Losses on ages and the leaving out of doubted labels, compared on heads alone: what docs/accuracy.md says of them.

    U="--data ../shared/data/utkface/images --folds ../shared/data/utkface/splits.csv"
    .venv/bin/python -m benchmarks.losses ../shared/pretrained/hse_mobilenet/model.safetensors $U

Features of the frozen network are computed once, for train and val fold (4 minutes on two cores). Then each plan trains
the heads of `mien crossfit` on the train fold, from several seeds, and the table has their answers on the val fold:
means over the seeds and, behind `±`, the standard deviation between seeds. Doubted labels (`data.doubt`) are those that
heads trained on the other faces give less than the probability named. `--features FILE.npz` keeps the features for
another call, which nothing else does; `--parts shares` trains on shares of the faces instead, which tells what more
faces would bring. Needs the extra train.
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path

import numpy as np
from benchmarks.candidates import figures

from mien.learn.crossfit import Faces, answer, crossfit, extract, fit_heads
from mien.learn.doubts import without_doubted
from mien.learn.heads import AgeGenderNet
from mien.learn.manifest import Manifest, read
from mien.learn.network import build
from mien.learn.recipe import Loss, Model

NEAR_ZERO = 0.05
"""A spread, in years, that leaves nothing beside the label."""

PLANS = {
    "Gaussian and L1 (all recipes)": Loss(),
    "Gaussian alone": Loss(l1=0),
    "Gaussian of 2 years and L1": Loss(sigma=2.0, sigma_slope=0.0),
    "CORN: the label's cross-entropy": Loss(sigma=NEAR_ZERO, sigma_slope=0, l1=0),
    "the label's cross-entropy and L1": Loss(sigma=NEAR_ZERO, sigma_slope=0),
    "CORAL: ranks alone": Loss(sigma=NEAR_ZERO, sigma_slope=0, divergence=0, l1=0, ordinal=0.2),
    "ranks of the Gaussian, and L1": Loss(divergence=0, ordinal=0.2),
    "Gaussian, L1 and ranks": Loss(ordinal=0.2),
    "mean-variance": Loss(sigma=NEAR_ZERO, sigma_slope=0, l1=0, squared=0.2, variance=0.05),
    "Gaussian, mean-variance": Loss(l1=0, squared=0.02, variance=0.01),
    "Gaussian and twice the L1": Loss(l1=1.0),
}


def main() -> None:
    """Measure and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("weights", type=Path)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--folds", type=Path, required=True)
    parser.add_argument("--size", type=int, default=192)
    parser.add_argument("--seeds", type=int, default=5, help="2 or more")
    parser.add_argument("--features", type=Path)
    parser.add_argument("--parts", nargs="+", choices=["losses", "doubts", "shares"], default=["losses", "doubts"])
    options = parser.parse_args()
    faces = read(options.data, options.folds)
    train, val = (features(options, faces, fold) for fold in ("train", "val"))
    seeds = range(options.seeds)
    print("| heads trained by | MAE of the mean | of the median | CORAL clipped, mean | gender | log-loss of gender |")
    print("|---|---:|---:|---:|---:|---:|")
    if "losses" in options.parts:
        for name, plan in PLANS.items():
            print(row(name, [trained(train, val, plan, seed) for seed in seeds]), flush=True)
    if "doubts" in options.parts:
        honest = crossfit(train, seeds=3)
        for unlikely in (0.02, 0.05, 0.1, 0.2, 0.4):
            kept = without_doubted(train.manifest, honest, unlikely)
            ages = int((np.isnan(kept.age) & ~np.isnan(train.manifest.age)).sum())
            genders = int(((kept.female < 0) & (train.manifest.female >= 0)).sum())
            rows = [trained(replace(train, manifest=kept), val, Loss(), seed) for seed in seeds]
            print(row(f"labels under {unlikely:g} doubted: {ages} ages, {genders} genders", rows), flush=True)
    if "shares" in options.parts:
        for share in (1 / 8, 1 / 4, 1 / 2):
            rows = [trained(some(train, share, seed), val, Loss(), seed) for seed in seeds]
            print(row(f"{share:.1%} of the faces", rows), flush=True)


def some(faces: Faces, share: float, seed: int) -> Faces:
    """A share of the faces, by chance."""
    chosen = np.random.default_rng(seed).permutation(len(faces))[: round(share * len(faces))]
    return Faces([faces.files[at] for at in chosen], faces.features[chosen], faces.manifest.take(chosen))


def features(options: argparse.Namespace, faces: Manifest, fold: str) -> Faces:
    """Features of a fold's faces, computed or as kept."""
    manifest = faces.select(fold=fold).present()
    kept: Path | None = options.features and options.features.with_suffix(f".{fold}.npz")
    if kept is not None and kept.exists():
        with np.load(kept) as stored:
            files = stored["files"].tolist()
            at = {file: row for row, file in enumerate(manifest.files.tolist())}
            return Faces(files, stored["features"], manifest.take(np.array([at[file] for file in files])))
    net = build(Model(init=options.weights, size=options.size))
    assert isinstance(net, AgeGenderNet)
    found = extract(net, manifest, options.size)
    if kept is not None:
        np.savez(kept, files=np.array(found.files), features=found.features)
    return found


def trained(train: Faces, val: Faces, plan: Loss, seed: int) -> tuple[float, ...]:
    """The table's figures of heads trained on some faces, on the val fold."""
    heads = fit_heads(train.features, train.manifest, seed, plan)
    *years, right, _, of_gender = figures(*answer(heads, val.features), val.manifest)
    return (*years, 100 * right, of_gender)


def row(name: str, found: list[tuple[float, ...]]) -> str:
    """A line of the table: means and deviations over seeds."""
    digits = (3, 3, 3, 2, 4)
    mean, apart = np.mean(found, axis=0), np.std(found, axis=0, ddof=1)
    cells = [f"{m:.{d}f} ±{a:.{d}f}" for m, a, d in zip(mean, apart, digits, strict=True)]
    return f"| {name} | {' | '.join(cells)} |"


if __name__ == "__main__":
    main()
