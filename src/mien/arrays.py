"""The kinds of arrays that the rooms hand each other; their shapes are told where they are used."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Pixels = NDArray[np.uint8]
"""A picture or several, RGB: [H, W, 3] or [N, H, W, 3]."""

Chips = NDArray[np.uint8]
"""Aligned faces, RGB: [N, S, S, 3]."""

Singles = NDArray[np.float32]
"""What networks take and give."""

Doubles = NDArray[np.float64]
"""What is computed with the answers."""

Floats = NDArray[np.floating[Any]]
"""Either of the two."""

Codes = NDArray[np.intp]
"""A number for each row: its class, its group, its place."""

Mask = NDArray[np.bool_]
"""Which rows are meant."""
