"""Protocol buffers without a library: a message is a row of fields, each a key (number and wire type) and a value."""

from __future__ import annotations

from collections.abc import Iterator

LENGTH_DELIMITED = 2
"""The wire type of texts, arrays and messages within."""

Bytes = memoryview | bytes


def fields(data: Bytes) -> Iterator[tuple[int, int, int, int]]:
    """Number and wire type of each field of a message, and where its value begins and ends.

    Raises:
        ValueError: it is no such message.
        IndexError: it breaks off amid a number.
    """
    at, end = 0, len(data)
    while at < end:
        tag, at = _varint(data, at)
        number, kind = tag >> 3, tag & 7
        match kind:
            case 0:
                _, stop = _varint(data, at)
            case 1:
                stop = at + 8
            case 2:
                length, at = _varint(data, at)
                stop = at + length
            case 5:
                stop = at + 4
            case _:
                raise ValueError(f"a field of wire type {kind}")
        if stop > end or not number:
            raise ValueError("it breaks off or is damaged")
        yield number, kind, at, stop
        at = stop


def _varint(data: Bytes, at: int) -> tuple[int, int]:
    value = 0
    for shift in range(0, 70, 7):
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
    raise ValueError("a number of too many bytes")
