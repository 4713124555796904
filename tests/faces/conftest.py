"""Sample portraits, decoded."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image


@pytest.fixture(scope="session")
def hopper(examples: Path) -> NDArray[np.uint8]:
    """Grace Hopper [600, 512, 3]: one large face."""
    return _read(examples / "hopper.jpg")


@pytest.fixture(scope="session")
def astronaut(examples: Path) -> NDArray[np.uint8]:
    """Eileen Collins [512, 512, 3]: one middling face."""
    return _read(examples / "astronaut.jpg")


def _read(path: Path) -> NDArray[np.uint8]:
    with Image.open(path) as image:
        return np.asarray(image.convert("RGB"))
