"""Commands that need more than the core install say which extra to add."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from mien.errors import MissingExtra

TRAIN_PACKAGES = frozenset(
    {
        "torch",
        "accelerate",
        "safetensors",
        "onnx",
        "pydantic",
        "yaml",
        "pyarrow",
        "matplotlib",
        "sklearn",
        "skimage",
        "scipy",
        "jinja2",
    }
)


@contextmanager
def needs_extra(feature: str) -> Iterator[None]:
    """Around imports that need the extra "train"."""
    try:
        yield
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] not in TRAIN_PACKAGES:
            raise
        raise MissingExtra.named(feature, "train") from error
