"""What the gender gate of system (b) costs its age experts, from the committed predictions of the test fold.

.venv/bin/python benchmarks/routing.py ../shared/data/utkface/images ../shared/data/utkface/splits.csv
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

from mien.estimate.calibrate import expectation
from mien.learn.data.predictions import Predictions
from mien.learn.data.readers import read
from mien.learn.evaluation.evaluate import paired

RUNS = Path(__file__).resolve().parents[1] / "docs" / "results" / "systems"


def main() -> None:
    """Print the gate's errors and the experts' MAE, routed by the gate and by the labels."""
    manifest = read(Path(sys.argv[1]), Path(sys.argv[2]))
    answers = {
        name: Predictions.load(RUNS / name / "test.parquet") for name in ("expert-women", "expert-men", "experts")
    }
    years = {name: expectation(paired(answer, manifest)[0]) for name, answer in answers.items()}
    _, gate, faces = paired(answers["experts"], manifest)
    wrong = (gate >= 0.5) != (faces.female == 1)
    children = faces.age < 13
    by_label = np.where(faces.female == 1, years["expert-women"], years["expert-men"])
    print(f"sent to the wrong expert: {wrong.mean():.1%} of {len(faces)} faces")
    print(f"children under 13: {children.mean():.1%} of the faces, {children[wrong].mean():.1%} of those sent wrongly")
    print(f"MAE routed by the gate: {np.abs(years['experts'] - faces.age).mean():.2f} years")
    print(f"MAE routed by the labels: {np.abs(by_label - faces.age).mean():.2f} years")


if __name__ == "__main__":
    main()
