"""PAM and PFM, the kinds of Netpbm's formats that Pillow lacks: any samples up to 16 bits, and floating point."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from mien.errors import PhotoUnsupported
from mien.photos.pixels import by_range

_MOST_HEADER = 4096
_MODES = {"BLACKANDWHITE": "L", "GRAYSCALE": "L", "RGB": "RGB"}
_BY_DEPTH = {1: "L", 2: "LA", 3: "RGB", 4: "RGBA"}
_PFM = re.compile(rb"P([Ff])\s+(\d+)\s+(\d+)\s+(-?\d+\.?\d*(?:[eE][-+]?\d+)?)\s")


@dataclass(frozen=True, slots=True)
class Header:
    """What the first lines say.

    Attributes:
        width: pixels across.
        height: pixels down.
        read: makes the image of it; raises ValueError where the file breaks off.
    """

    width: int
    height: int
    read: Callable[[], Image.Image]


def header(data: bytes) -> Header:
    """Read the first lines of a PAM or PFM file.

    Raises:
        ValueError: they are damaged.
        PhotoUnsupported: the samples mean something else than grey, colours and alpha.
    """
    return _pam(data) if data.startswith(b"P7") else _pfm(data)


def _pam(data: bytes) -> Header:
    """PAM (Netpbm's manual, pam(5)): lines of a name and a value, then unsigned samples, the higher byte first."""
    end = data.find(b"\nENDHDR\n", 0, _MOST_HEADER)
    if end < 0:
        raise ValueError("no end of the header")
    told: dict[str, list[str]] = {}
    for line in data[2:end].decode("latin-1").splitlines():
        words = line.split()
        if words and not line.startswith("#"):
            told.setdefault(words[0], []).extend(words[1:])
    width, height, depth, full = (_whole(told, name) for name in ("WIDTH", "HEIGHT", "DEPTH", "MAXVAL"))
    kind = " ".join(told.get("TUPLTYPE", []))
    base, alpha = kind.removesuffix("_ALPHA"), kind.endswith("_ALPHA")
    mode = _MODES.get(base, "") + "A" * alpha if kind else _BY_DEPTH.get(depth, "")
    if not mode.rstrip("A") or depth < len(mode):
        raise PhotoUnsupported(f"PAM pictures of the kind {kind or depth!r} cannot be read: save it as PNG or JPEG")
    if not (width and height and 0 < full < 65536):
        raise ValueError("impossible numbers in the header")

    def read() -> Image.Image:
        samples = _samples(data, end + 8, ">u2" if full > 255 else "u1", (height, width, depth))[..., : len(mode)]
        scale = (np.minimum(np.arange(65536, dtype=np.uint32), full) * 255 + full // 2) // full
        return Image.frombytes(mode, (width, height), scale.astype(np.uint8)[samples].tobytes())

    return Header(width, height, read)


def _pfm(data: bytes) -> Header:
    """PFM (Debevec, "PFM Portable FloatMap Image Format"): rows from the bottom up, the scale's sign is the order."""
    found = _PFM.match(data)
    if found is None or not float(found[4]):
        raise ValueError("a damaged header")
    width, height, channels = int(found[2]), int(found[3]), 3 if found[1] == b"F" else 1
    if not (width and height):
        raise ValueError("a picture without a size")

    def read() -> Image.Image:
        order = "<f4" if float(found[4]) < 0 else ">f4"
        values = _samples(data, found.end(), order, (height, width, channels))[::-1].astype(np.float32)
        if channels == 1:
            return Image.fromarray(np.ascontiguousarray(values[..., 0]))
        return Image.fromarray(by_range(values))

    return Header(width, height, read)


def _samples(data: bytes, start: int, kind: str, shape: tuple[int, int, int]) -> NDArray[Any]:
    count = shape[0] * shape[1] * shape[2]
    return np.frombuffer(data, kind, count, start).reshape(shape)  # ValueError where the file ends before


def _whole(told: dict[str, list[str]], name: str) -> int:
    return int(told.get(name, [""])[0])
