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
from typing import Any

import cv2
import numpy as np
import yaml
from numpy.typing import NDArray

from mien.estimate.calibrate import AGES
from mien.estimate.estimator import Estimates
from mien.learn.comparison.score import RunEstimator
from mien.learn.data.manifest import Manifest
from mien.learn.data.predictions import Predictions, mean_answers, predict
from mien.learn.data.readers import read
from mien.learn.evaluation.evaluate import CORAL_AGES

ROOT = Path(__file__).resolve().parents[1]
MEMBER = re.compile(r"(?P<run>[^@%~+]+)(@(?P<size>\d+))?(%(?P<detail>\d+))?(?P<mirror>~)?")
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
        print(f"| `{candidate}` | {' | '.join(cells(said, faces))} |", flush=True)


def resized(run: Path, size: str | None, folder: Path) -> Path:
    """The run itself, or a copy of it in `folder` that takes chips of another size."""
    if size is None:
        return run
    recipe = yaml.safe_load((run / "recipe.yaml").read_text(encoding="utf-8"))
    recipe["model"]["size"] = int(size)
    (folder / "recipe.yaml").write_text(yaml.safe_dump(recipe), encoding="utf-8")
    (folder / "model.safetensors").symlink_to((run / "model.safetensors").resolve())
    return folder


def cells(said: Predictions, faces: Manifest) -> list[str]:
    """What stands in the columns after the name."""
    row = {file: number for number, file in enumerate(faces.files.tolist())}
    faces = faces.take(np.array([row[file] for file in said.files.tolist()]))
    *years, right, of_age, of_gender = figures(said.pmf, said.female, faces)
    return [*(f"{one:.3f}" for one in years), f"{right:.2%}", f"{of_age:.3f}", f"{of_gender:.4f}"]


def figures(pmf: NDArray[Any], share: NDArray[Any], faces: Manifest) -> tuple[float, ...]:
    """Errors of the mean and the median and, clipped, on CORAL's ages, share of right genders, log-losses of both.

    Args:
        pmf: age distributions [N, 117].
        share: probabilities of "female" [N].
        faces: whose answers these are, in the same order, all labels known.
    """
    female, true = faces.female == 1, faces.age
    mean, median = pmf @ np.arange(AGES), (pmf.cumsum(axis=1) < 0.5).sum(axis=1)
    listed = (true >= CORAL_AGES[0]) & (true <= CORAL_AGES[1])
    label = np.where(female, share, 1 - share)
    of_age = pmf[np.arange(len(pmf)), true.astype(int)]
    return (
        float(np.abs(mean - true).mean()),
        float(np.abs(median - true).mean()),
        float(np.abs(np.clip(mean, *CORAL_AGES) - true)[listed].mean()),
        float(((share >= 0.5) == female).mean()),
        float(-np.log(of_age.clip(1e-9)).mean()),
        float(-np.log(label.clip(1e-6)).mean()),
    )


if __name__ == "__main__":
    main()
