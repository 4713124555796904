"""Non-maximum suppression without a loop over boxes."""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import NDArray


def suppress(
    boxes: NDArray[np.float32],
    scores: NDArray[np.float32],
    threshold: float,
    relative_to: Literal["union", "smaller"] = "union",
) -> NDArray[np.intp]:
    """Greedy non-maximum suppression: a box goes where it overlaps a better one that stays by more than `threshold`.

    Whether a box stays depends only on better boxes, so repeating the rule for all boxes at once settles the k-th best
    after at most k rounds and stops at the greedy answer; a handful of rounds does in practice.

    Args:
        boxes: [N, 4] left, top, right, bottom.
        scores: [N]; of equal scores the first is the better.
        threshold: overlap allowed, 0 to 1.
        relative_to: overlap is the intersection's share of the union, or of the smaller box (which also drops a box
            nested in another).

    Returns:
        Indices of the boxes that stay, best first.
    """
    order = np.argsort(-scores, kind="stable")
    boxes = boxes[order]
    sides = np.maximum(boxes[:, 2:] - boxes[:, :2], 0)
    area = sides[:, 0] * sides[:, 1]
    width = np.minimum(boxes[:, None, 2], boxes[:, 2]) - np.maximum(boxes[:, None, 0], boxes[:, 0])
    height = np.minimum(boxes[:, None, 3], boxes[:, 3]) - np.maximum(boxes[:, None, 1], boxes[:, 1])
    shared = np.maximum(width, 0) * np.maximum(height, 0)
    whole = np.minimum(area[:, None], area) if relative_to == "smaller" else area[:, None] + area - shared
    beats = np.triu(shared > threshold * whole, k=1)  # [better, worse]
    stays = np.ones(len(boxes), dtype=np.bool_)
    while True:
        settled = ~(beats & stays[:, None]).any(axis=0)
        if (settled == stays).all():
            return order[stays]
        stays = settled
