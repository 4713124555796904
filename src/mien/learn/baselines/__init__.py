"""Classical methods that the published systems compare themselves with, on the same folds.

Each method turns grey chips into features and fits classifiers on them: one for gender, one for the 24 five-year age
classes. Settings are chosen on the validation fold (`mien.learn.baselines.baseline`); one command trains and measures
one of them (`mien.learn.baselines.baseline_run`).
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, cast

from mien.errors import UsageError

if TYPE_CHECKING:
    from mien.learn.baselines.method import Method

BASELINES: dict[str, str] = {
    "lbp-svm": "mien.learn.baselines.lbp:LbpSvm",
    "haar-boost": "mien.learn.baselines.boosting:HaarBoost",
    "mlp-pixels": "mien.learn.baselines.mlp:MlpPixels",
    "eigenface": "mien.learn.baselines.subspace:Eigenface",
    "fisherface": "mien.learn.baselines.subspace:Fisherface",
}
"""Name -> "module:Class" of a `mien.learn.baselines.method.Method`; its settings have defaults."""


def create(name: str) -> Method:
    """The method of that name with its default settings.

    Raises:
        UsageError: no baseline has this name.
    """
    if name not in BASELINES:
        raise UsageError.unknown("baseline", name, BASELINES)
    module, _, attribute = BASELINES[name].partition(":")
    return cast("Method", getattr(importlib.import_module(module), attribute)())
