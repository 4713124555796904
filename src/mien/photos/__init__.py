"""Photos in: where they lie (`sources`) and what their bytes show (`decode`)."""

from __future__ import annotations

from mien.photos.decode import DecodeOptions, Picture, decode, from_array, from_pil
from mien.photos.sources import IMAGE_SUFFIXES, Item, items, read_file

__all__ = [
    "IMAGE_SUFFIXES",
    "DecodeOptions",
    "Item",
    "Picture",
    "decode",
    "from_array",
    "from_pil",
    "items",
    "read_file",
]
