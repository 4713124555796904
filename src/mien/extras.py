"""What needs more than the core install says which extra to add."""

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
        "markupsafe",
        "matplotlib",
        "sklearn",
        "skimage",
        "scipy",
        "jinja2",
    }
)
"""What the extra "train" brings."""


@contextmanager
def needs_extra(feature: str) -> Iterator[None]:
    """Around what needs the extra "train"; also a decorator.

    Raises:
        MissingExtra: one of its packages is not installed.
    """
    try:
        yield
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] not in TRAIN_PACKAGES:
            raise
        raise MissingExtra.named(feature, "train") from error
