"""Files that a network in ONNX form refers to: checked here, as older versions of ONNX Runtime read any file.

A tensor may lie outside of the ONNX file, at a path that the file names. Only a plain file beside it is allowed. The
file is walked as protocol buffers are laid out, without a library: only what can lead to a tensor is looked into.
"""

from __future__ import annotations

import mmap
from collections.abc import Iterator
from pathlib import Path

from mien.errors import ModelError
from mien.runtime.protocol_buffers import LENGTH_DELIMITED, Bytes, fields

_DEEPEST = 64
_WAYS: dict[str, dict[int, str]] = {
    "model": {7: "graph", 20: "training", 25: "function"},
    "training": {1: "graph", 2: "graph"},
    "function": {7: "node"},
    "graph": {1: "node", 5: "tensor", 15: "sparse"},
    "node": {5: "attribute"},
    "attribute": {5: "tensor", 6: "graph", 10: "tensor", 11: "graph", 22: "sparse", 23: "sparse"},
    "sparse": {1: "tensor", 2: "tensor"},
    "tensor": {13: "entry"},
}
"""Messages of ONNX (onnx.proto): number of a field -> the message in it."""


def check(network: Path) -> None:
    """Refuse a network whose tensors lie anywhere but in plain files of its own folder.

    Raises:
        ModelError: one of them is a link, or lies elsewhere, or the file is no ONNX.
        OSError: it cannot be read.
    """
    with network.open("rb") as file:
        if not network.stat().st_size:
            raise ModelError(f"{network} is empty")
        # Not closed here: where Ctrl-C comes amid this, the traceback holds parts of it.
        found = set(_told(network, memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))))
    for location in sorted(found):
        part = network.parent / location
        if not _is_plain(location):
            raise ModelError(f"{network} wants to read {location!r:.200}, which is no file beside it")
        if part.is_symlink() or not part.is_file():
            raise ModelError(f"{network} has weights in {location!r:.200}, and no file of its own lies there")


def check_alone(data: bytes, refusal: str) -> None:
    """Refuse a network that is to be loaded from memory and has any tensor in another file.

    Args:
        data: the file.
        refusal: a sentence for what is no ONNX.

    Raises:
        ModelError: it has, or is none.
    """
    try:
        found = next(locations(data), None)
    except (ValueError, IndexError) as error:
        raise ModelError(refusal) from error
    if found is not None:
        raise ModelError(f"{refusal}; this one wants to read {found!r:.200} besides, which no network may here")


def _is_plain(location: str) -> bool:
    return location not in {"", ".", ".."} and not set(location) & set("/\\:\0")


def _told(network: Path, data: Bytes) -> Iterator[str]:
    try:
        yield from locations(data)
    except (ValueError, IndexError) as error:
        raise ModelError(f"{network} cannot be loaded: it is no network in ONNX form ({error})") from error


def locations(data: Bytes, message: str = "model", depth: int = 0) -> Iterator[str]:
    """The paths at which a network has tensors.

    Args:
        data: an ONNX file.
        message: what kind of message of ONNX it is.
        depth: how deep in the file.

    Raises:
        ValueError: it is no protocol buffer, or is nested deeper than networks are.
    """
    if depth > _DEEPEST:
        raise ValueError("it is nested too deeply")
    ways = _WAYS[message]
    for number, kind, start, end in fields(data):
        inner = ways.get(number) if kind == LENGTH_DELIMITED else None
        if inner == "entry":
            key, value = _entry(data[start:end])
            if key == "location":
                yield value
        elif inner is not None:
            yield from locations(data[start:end], inner, depth + 1)


def _entry(data: Bytes) -> tuple[str, str]:
    """Key and value of a StringStringEntryProto; of those told twice the last, as protocol buffers have it."""
    parts = {1: "", 2: ""}
    for number, kind, start, end in fields(data):
        if number in parts and kind == LENGTH_DELIMITED:
            parts[number] = bytes(data[start:end]).decode("utf-8", "replace")
    return parts[1], parts[2]
