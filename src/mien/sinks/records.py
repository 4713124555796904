"""Records as JSON."""

from __future__ import annotations

import json
import math
from typing import Any

from mien.plain import escaped


def encode(record: Any) -> bytes:
    """Strict JSON in UTF-8: null for what is not a finite number, escapes for what is no letter in a file's name.

    >>> encode({"age": float("nan"), "source": "Zoë.jpg"}).decode()
    '{"age": null, "source": "Zoë.jpg"}'
    """
    try:
        text = json.dumps(record, ensure_ascii=False, allow_nan=False)
    except ValueError:
        text = json.dumps(_finite(record), ensure_ascii=False, allow_nan=False)
    return escaped(text).encode()


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _finite(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [_finite(inner) for inner in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
