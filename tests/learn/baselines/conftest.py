"""Synthetic chips without colour whose brightness says nothing: a striped disc, its radius the age.

The stripes of men stand, those of women lie.
"""

import csv
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mien.learn.data.manifest import Manifest
from mien.learn.data.readers import read

SIDE = 40
FOLDS = {"train": 240, "val": 60, "test": 60}


@pytest.fixture(scope="session")
def striped_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder with labels.csv (file, age, gender, fold) and 360 chips; the ages are 0 to 99."""
    folder = tmp_path_factory.mktemp("striped")
    rng = np.random.default_rng(0)
    down, across = np.mgrid[:SIDE, :SIDE]
    rows = []
    for fold, count in FOLDS.items():
        for number in range(count):
            age, female = int(rng.integers(100)), number % 2
            shift = rng.integers(-1, 2, size=2)
            distance = np.hypot(down - SIDE / 2 - shift[0], across - SIDE / 2 - shift[1])
            stripes = np.where((down if female else across) // 4 % 2, 60.0, -60.0)
            pixels = rng.uniform(100, 150) + stripes * (distance < 3 + 0.16 * age)
            pixels += rng.normal(0, 6, size=(SIDE, SIDE))
            name = f"{fold}{number:03}.png"
            Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).save(folder / name)
            rows.append({"file": name, "age": age, "gender": "mf"[female], "fold": fold})
    with (folder / "labels.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, fieldnames=["file", "age", "gender", "fold"])
        writer.writeheader()
        writer.writerows(rows)
    return folder


@pytest.fixture(scope="session")
def striped(striped_folder: Path) -> dict[str, Manifest]:
    """The folds of these chips by name."""
    faces = read(striped_folder)
    return {fold: faces.select(fold=fold) for fold in FOLDS}
