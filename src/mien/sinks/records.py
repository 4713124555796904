"""JSON lines, one photo a line, and JSON, one array of all photos."""

from __future__ import annotations

import json
import math
from types import TracebackType
from typing import Any, BinaryIO, Self

from mien.plain import escaped
from mien.results import Photo


class JSONL:
    """One JSON record a line, each line written through at once, so that a reader of a pipe need not wait."""

    def __init__(self, stream: BinaryIO, *, pmf: bool = False) -> None:
        self._stream = stream
        self._pmf = pmf

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        pass

    def write(self, photo: Photo) -> None:
        """Add one photo."""
        self._stream.write(encode(photo.to_dict(pmf=self._pmf)) + b"\n")
        self._stream.flush()


class JSON:
    """An array with one record a photo, each on its own line; complete once the context is left."""

    def __init__(self, stream: BinaryIO, *, pmf: bool = False) -> None:
        self._stream = stream
        self._pmf = pmf
        self._before = b"[\n"

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None:
            self._stream.write(b"\n]\n" if self._before == b",\n" else b"[]\n")

    def write(self, photo: Photo) -> None:
        """Add one photo."""
        self._stream.write(self._before + encode(photo.to_dict(pmf=self._pmf)))
        self._before = b",\n"


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
