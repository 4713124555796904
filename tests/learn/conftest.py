"""Small synthetic data for tests of learning: age shows as brightness, gender as colour."""

import csv
from pathlib import Path

import numpy as np
import pytest
from PIL import Image


@pytest.fixture(scope="session")
def chips_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder with labels.csv (file, age, gender, fold): 40 chips of 64 px to train on and 8 to validate on."""
    folder = tmp_path_factory.mktemp("chips")
    rng = np.random.default_rng(0)
    rows = []
    for number in range(48):
        age, female = int(rng.integers(0, 100)), number % 2
        colour = np.array([1.0, 0.4, 0.4]) if female else np.array([0.4, 0.4, 1.0])
        pixels = (40 + 2 * age) * colour + rng.normal(0, 6, size=(64, 64, 3))
        Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).save(folder / f"{number:02}.png")
        fold = "train" if number < 40 else "val"
        rows.append({"file": f"{number:02}.png", "age": age, "gender": "fm"[1 - female], "fold": fold})
    with (folder / "labels.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, fieldnames=["file", "age", "gender", "fold"])
        writer.writeheader()
        writer.writerows(rows)
    return folder


@pytest.fixture
def settings(chips_folder: Path) -> list[str]:
    """Overrides that make mien-m a run of a second or two on the synthetic chips."""
    return [
        f"data.train=[{{data: {chips_folder}, fold: train}}]",
        f"data.val={{data: {chips_folder}, fold: val}}",
        "data.workers=0",
        "model.init=null",
        "data.teacher=null",
        "data.guide=null",
        "data.views=0",
        "loss.hint=0",
        "augment.mix=0",
        "augment.corrupt=0",
        "model.size=64",
        "model.freeze=0",
        "optimiser.epochs=3",
        "optimiser.head_epochs=0",
        "optimiser.batch=8",
        "optimiser.lr=1e-3",
        "optimiser.head_lr=1e-2",
        "optimiser.ema=0.5",
        "optimiser.sizes={0: 32, 1: 64}",
    ]
