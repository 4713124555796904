"""What is wrong with a request, told in few words: an answer must not grow with what a stranger sends."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

MOST_FAULTS = 20
"""Faults that an answer lists; of the others it tells only that there are more."""
LONGEST_PLACE = 120
LONGEST_FAULT = 200
LONGEST_DETAIL = 2000


def cut(text: str, most: int) -> str:
    """A text, or the beginning of a long one.

    >>> cut("photos", 10), cut("a" * 50, 10)
    ('photos', 'aaaaaaaaa…')
    """
    return text if len(text) <= most else text[: most - 1] + "…"


def tell(found: Iterable[Mapping[str, Any]], inside: str = "") -> tuple[str, list[dict[str, str]]]:
    """The first faults of a validation.

    Args:
        found: faults as pydantic lists them, with `loc` and `msg`.
        inside: what they all lie in, e.g. "body".

    Returns:
        A sentence for people, and the faults as records with `at` and `fault`.
    """
    told: list[dict[str, str]] = []
    more = 0
    for fault in found:
        if len(told) == MOST_FAULTS:
            more += 1
            continue
        # Not joined before it is cut: a name may have as many letters as the body has bytes
        parts = [inside] if inside else []
        parts += [cut(str(part), LONGEST_PLACE) for part in fault["loc"][:8]]
        told.append({"at": cut(".".join(parts), LONGEST_PLACE), "fault": cut(str(fault["msg"]), LONGEST_FAULT)})
    detail = "; ".join(f"{fault['at']}: {fault['fault']}" for fault in told)
    rest = f"; and {more} more" if more else ""
    return cut(detail, LONGEST_DETAIL - len(rest)) + rest, told
