"""Files of weights, whatever their name: safetensors refuses those that are no UTF-8."""

from __future__ import annotations

from pathlib import Path

import safetensors.torch
from torch import Tensor

from mien.errors import DataError
from mien.names import plain_name


def load_file(path: str | Path) -> dict[str, Tensor]:
    """All tensors of a safetensors file.

    Raises:
        OSError: it is not there.
        SafetensorError: it is none.
    """
    with plain_name(path, DataError) as name:
        tensors: dict[str, Tensor] = safetensors.torch.load_file(name)
    return tensors
