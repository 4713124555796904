"""What a model's certainty is worth: how large the errors are among the faces of which it is surest.

Risk-coverage curves and the area under them follow Geifman and El-Yaniv, "Selective Classification for Deep Neural
Networks" (NeurIPS 2017). Faces of equal certainty are taken together: neither figure depends on their order.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from mien.arrays import Doubles
from mien.learn.evaluation.metrics import Array, Weights


def risk(certainty: Array, loss: Array, weights: Weights = None, /, *, share: float) -> Any:
    """Mean loss among the surest faces.

    Args:
        certainty: [N], larger is surer.
        loss: [N].
        weights: how often each face counts, as in `mien.learn.evaluation.metrics`.
        share: of faces that are answered, above 0 and at most 1.

    >>> float(risk(np.array([0.9, 0.6, 0.8, 0.7]), np.array([0, 1, 0, 1]), share=0.75).round(4))
    0.3333
    """
    counts, losses = _by_certainty(certainty, loss, weights)
    wanted = share * counts[:, -1]
    at = [np.interp(some, count, lost) for some, count, lost in zip(wanted, counts, losses, strict=True)]
    found = np.array(at) / wanted
    return found[0] if weights is None else found


def area(certainty: Array, loss: Array, weights: Weights = None, /) -> Any:
    """Area under the risk-coverage curve: the mean over faces of the risk among all that are at least as sure.

    >>> float(area(np.array([0.9, 0.6, 0.8, 0.7]), np.array([0, 1, 0, 1])).round(4))
    0.2083
    """
    counts, losses = _by_certainty(certainty, loss, weights)
    risks = np.divide(losses, counts, out=np.zeros_like(losses), where=counts > 0)
    found = (np.diff(counts, axis=1) * risks[:, 1:]).sum(axis=1) / counts[:, -1]
    return found[0] if weights is None else found


def least_area(loss: Array) -> float:
    """What the area would be if the certainty put the faces in the order of their losses: no order is better.

    >>> round(least_area(np.array([0.0, 3.0, 1.0])), 4)
    0.6111
    """
    return float(area(-loss, loss))


def _by_certainty(certainty: Array, loss: Array, weights: Weights) -> tuple[Doubles, Doubles]:
    """Faces and losses [R, 1 + steps] above each of the certainties that occur, from none to all."""
    order = np.argsort(-certainty, kind="stable")
    starts = np.flatnonzero(np.diff(certainty[order], prepend=np.inf))
    each = np.ones((1, len(order))) if weights is None else weights[:, order]
    counts, losses = np.zeros((2, len(each), 1 + len(starts)))
    np.cumsum(np.add.reduceat(each, starts, axis=1), axis=1, out=counts[:, 1:])
    np.cumsum(np.add.reduceat(each * loss[order], starts, axis=1), axis=1, out=losses[:, 1:])
    return counts, losses
