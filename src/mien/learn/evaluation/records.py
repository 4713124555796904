"""What reports measured, as records of native types for JSON."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from typing import Any

import numpy as np


def as_record(value: Any) -> Any:
    """A value of a report in native types: floats to five decimals, and None for NaN, which JSON does not know.

    A dataclass becomes a table of its fields unless it says with `to_dict` how it is written.

    >>> as_record({1: (0.123456789, math.nan), "name": None})
    {'1': [0.12346, None], 'name': None}
    """
    if hasattr(value, "to_dict"):
        record = value.to_dict()
    elif is_dataclass(value):
        record = {field.name: as_record(getattr(value, field.name)) for field in fields(value)}
    elif isinstance(value, Mapping):
        record = {str(key): as_record(one) for key, one in value.items()}
    elif isinstance(value, list | tuple):
        record = [as_record(one) for one in value]
    elif isinstance(value, np.generic | np.ndarray):
        record = as_record(value.tolist())
    elif isinstance(value, float):
        record = round(value, 5) if math.isfinite(value) else None
    else:
        record = value
    return record
