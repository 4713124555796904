"""Training runs and means of several side by side on the val fold: what docs/accuracy.md says each step brought.

    U="--data ../shared/data/utkface/images --folds ../shared/data/utkface/splits.csv"
    .venv/bin/python benchmarks/candidates.py $U mien-m-taught mien-m-taught@184 mien-m-taught+hybrid-gru

Each name is a folder of runs/; `@SIZE` feeds chips of that side instead of the recipe's, `%SIZE` chips that were
reduced to that side and enlarged again, `~` averages with the mirror image, and `+` takes the mean of several runs'
answers. Nothing is calibrated. The log-likelihoods are natural, less is better; a gender's is that of the label. Needs
the extra train; nothing is written outside of a temporary folder.
"""

from __future__ import annotations

import argparse
import re
import tempfile
from functools import cache
from pathlib import Path

import cv2
import numpy as np
import yaml
from numpy.typing import NDArray

from mien.estimate.calibrate import AGES
from mien.estimate.estimator import Estimates
from mien.learn.manifest import Manifest, read
from mien.learn.predictions import Predictions, mean_answers, predict
from mien.learn.score import RunEstimator

ROOT = Path(__file__).resolve().parents[1]
MEMBER = re.compile(r"(?P<run>[^@%~+]+)(@(?P<size>\d+))?(%(?P<detail>\d+))?(?P<mirror>~)?")
CORAL = (21, 60)
Chips = NDArray[np.uint8]


class Mirrored:
    """An estimator whose chips are mirrored first."""

    def __init__(self, inner: RunEstimator | Blurred) -> None:
        self.inner, self.contract = inner, inner.contract

    def __call__(self, chips: Chips) -> Estimates:
        """Answers for the mirror images of chips uint8 [N, S, S, 3]."""
        return self.inner(np.ascontiguousarray(chips[:, :, ::-1]))


class Blurred:
    """An estimator whose chips lose all detail that a smaller side cannot hold."""

    def __init__(self, inner: RunEstimator, side: int) -> None:
        self.inner, self.side, self.contract = inner, side, inner.contract

    def __call__(self, chips: Chips) -> Estimates:
        """Answers for chips uint8 [N, S, S, 3], reduced and enlarged again."""
        size = (self.contract.size, self.contract.size)
        small = [cv2.resize(chip, (self.side, self.side), interpolation=cv2.INTER_AREA) for chip in chips]
        return self.inner(np.stack([cv2.resize(chip, size, interpolation=cv2.INTER_CUBIC) for chip in small]))


def main() -> None:
    """Measure and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("candidates", nargs="+")
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--folds", type=Path, required=True)
    parser.add_argument("--runs", type=Path, default=ROOT / "runs")
    options = parser.parse_args()
    faces = read(options.data, options.folds).select(fold="val").present()

    @cache
    def answers(member: str) -> Predictions:
        if not (parts := MEMBER.fullmatch(member)):
            parser.error(f"{member!r} is not of the form RUN[@SIZE][%SIZE][~]")
        with tempfile.TemporaryDirectory() as folder:
            trained = RunEstimator(resized(options.runs / parts["run"], parts["size"], Path(folder)))
            estimator = Blurred(trained, int(parts["detail"])) if parts["detail"] else trained
            plain = predict(estimator, faces, model=member)
            return mean_answers([plain, predict(Mirrored(estimator), faces)]) if parts["mirror"] else plain

    print(f"{len(faces)} faces of the val fold\n")
    print(
        "| candidate | MAE of the mean | of the median | CORAL clipped, mean | gender | log-loss of age | of gender |"
    )
    print("|---|---:|---:|---:|---:|---:|---:|")
    for candidate in options.candidates:
        said = mean_answers([answers(member) for member in candidate.split("+")])
        print(f"| `{candidate}` | {' | '.join(figures(said, faces))} |", flush=True)


def resized(run: Path, size: str | None, folder: Path) -> Path:
    """The run itself, or a copy of it in `folder` that takes chips of another size."""
    if size is None:
        return run
    recipe = yaml.safe_load((run / "recipe.yaml").read_text(encoding="utf-8"))
    recipe["model"]["size"] = int(size)
    (folder / "recipe.yaml").write_text(yaml.safe_dump(recipe), encoding="utf-8")
    (folder / "model.safetensors").symlink_to((run / "model.safetensors").resolve())
    return folder


def figures(said: Predictions, faces: Manifest) -> list[str]:
    """What stands in the columns after the name."""
    row = {file: number for number, file in enumerate(faces.files.tolist())}
    faces = faces.take(np.array([row[file] for file in said.files.tolist()]))
    pmf, female, true = said.pmf, faces.female == 1, faces.age
    ages = np.arange(AGES)
    mean, median = pmf @ ages, (pmf.cumsum(axis=1) < 0.5).sum(axis=1)
    listed = (true >= CORAL[0]) & (true <= CORAL[1])
    clipped = np.abs(np.clip(mean, *CORAL) - true)[listed].mean()
    label = np.where(female, said.female, 1 - said.female)
    of_age = -np.log(pmf[np.arange(len(pmf)), true.astype(int)].clip(1e-9)).mean()
    years = (np.abs(mean - true).mean(), np.abs(median - true).mean(), clipped)
    right = ((said.female >= 0.5) == female).mean()
    return [
        *(f"{one:.3f}" for one in years),
        f"{right:.2%}",
        f"{of_age:.3f}",
        f"{-np.log(label.clip(1e-6)).mean():.4f}",
    ]


if __name__ == "__main__":
    main()
