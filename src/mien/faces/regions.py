"""Parts of a face on an aligned chip, told by the five points of the crop contract.

Every face lies in the same place on its chip, so the parts are the same rectangles for all. They cover the whole chip
without overlap: what shows at its rim (hair, ears, neck, background) counts to the part that it is next to.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from mien.faces.align import CropContract

REGIONS = ("forehead", "left eye", "right eye", "nose", "left cheek", "right cheek", "mouth", "chin")
"""Left and right as seen in the picture. Forehead and chin span the chip's whole width."""

_BAND = 0.26
"""Half the height of the band of the eyes, and how far that of the mouth reaches down; 1 is from eye to eye."""
_NOSE = 0.3
"""Half the width of the nose, likewise."""
_BESIDE = 0.15
"""How far the mouth's part reaches beyond its corners, likewise."""


def regions(contract: CropContract) -> NDArray[np.uint8]:
    """The part that each pixel of a chip belongs to.

    Args:
        contract: geometry of the chip.

    Returns:
        uint8 [S, S], an index into `REGIONS`.
    """
    left, right, nose, left_corner, right_corner = (np.array(point) for point in contract.landmarks)
    unit = float(np.hypot(*(right - left)))
    eyes, mouth = (left[1] + right[1]) / 2, (left_corner[1] + right_corner[1]) / 2
    lips = (nose[1] + mouth) / 2  # where the mouth begins
    centres = np.arange(contract.size) + 0.5
    y, x = np.meshgrid(centres, centres, indexing="ij")
    above, below = y < eyes - _BAND * unit, y >= mouth + _BAND * unit
    of_eyes = ~above & (y < eyes + _BAND * unit)
    of_mouth = ~below & (y >= lips)
    between = ~(above | below | of_eyes | of_mouth)
    in_mouth = (x >= left_corner[0] - _BESIDE * unit) & (x < right_corner[0] + _BESIDE * unit)
    in_nose = np.abs(x - nose[0]) < _NOSE * unit
    on_left = x < nose[0]
    masks = {
        "forehead": above,
        "left eye": of_eyes & on_left,
        "right eye": of_eyes & ~on_left,
        "nose": between & in_nose,
        "left cheek": on_left & ((between & ~in_nose) | (of_mouth & ~in_mouth)),
        "right cheek": ~on_left & ((between & ~in_nose) | (of_mouth & ~in_mouth)),
        "mouth": of_mouth & in_mouth,
        "chin": below,
    }
    labels = np.zeros(y.shape, np.uint8)
    for index, name in enumerate(REGIONS):
        labels[masks[name]] = index
    return labels
