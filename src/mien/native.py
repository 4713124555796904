"""Records as native types for JSON: one way for every frozen dataclass that is written somewhere.

A class that derives from `Record` is written field by field, in order and exactly. A field that is written otherwise
says so in its metadata, with `written`; a property that belongs to the record too is marked with `also`.

>>> from dataclasses import dataclass, field
>>> @dataclass(frozen=True)
... class Disc(Record):
...     radius: float = field(metadata=written("r", digits=1))
...     label: str | None = field(default=None, metadata=written(optional=True))
...     @property
...     @also(before="radius")
...     def round(self) -> bool:
...         return True
>>> Disc(2.345).to_dict(), Disc(1.0, "eye").to_dict()
({'round': True, 'r': 2.3}, {'round': True, 'r': 1.0, 'label': 'eye'})
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields, is_dataclass
from enum import Enum
from functools import cache
from pathlib import PurePath
from types import MethodType
from typing import Any, TypeVar

_Function = TypeVar("_Function", bound=Callable[..., Any])


class Record:
    """What can be written as JSON; to be the base of a dataclass."""

    __slots__ = ()

    def to_dict(self) -> dict[str, Any]:
        """The record for JSON, in native types; None for what is no finite number."""
        return record(self)


@dataclass(frozen=True, slots=True)
class Written:
    """How a field is written.

    Attributes:
        key: its name in the record; "" for its own.
        digits: decimals that its floats are rounded to, also inside tuples and tables; 0 for whole numbers, None for
            exact ones.
        by: an attribute that names each of its parts, which are written as a table rather than a list.
        flat: its entries stand among those of the record rather than in a table of their own.
        optional: left out where it is None.
        before: of a property, the field that it comes before; "" for the end.
    """

    key: str = ""
    digits: int | None = None
    by: str = ""
    flat: bool = False
    optional: bool = False
    before: str = ""


UNWRITTEN = {"written": None}
"""Metadata of a field that is not written."""


def written(
    key: str = "", *, digits: int | None = None, by: str = "", flat: bool = False, optional: bool = False
) -> dict[str, Written]:
    """Metadata of a field that is written otherwise than by its name and exactly; see `Written` for the arguments."""
    return {"written": Written(key, digits, by, flat, optional)}


def also(key: str = "", *, digits: int | None = None, before: str = "") -> Callable[[_Function], _Function]:
    """Mark the function of a property, or a method without arguments, as an entry of the record; see `Written`."""

    def marked(function: _Function) -> _Function:
        function.written = Written(key, digits, before=before)  # type: ignore[attr-defined]
        return function

    return marked


def record(value: Any) -> dict[str, Any]:
    """A dataclass as a table of native types; one that is no `Record` is written alike."""
    kind: Any = type(value)
    found: dict[str, Any] = {}
    for name, how in _entries(kind):
        one = getattr(value, name)
        if one is not None or not how.optional:
            plain = native(one() if isinstance(one, MethodType) else one, how.digits, how.by)
            found |= plain if how.flat else {how.key or name: plain}
    return found


def native(value: Any, digits: int | None = None, by: str = "") -> Any:
    """A value in types that JSON knows: None for NaN and infinities, the value of an enum, the text of a path.

    >>> native({1: (0.126, math.nan), "at": PurePath("a.png")}, digits=2)
    {'1': [0.13, None], 'at': 'a.png'}

    Args:
        value: a dataclass, table, sequence, number, text, enum, path, or number or array of NumPy; of these in turn.
        digits: decimals of floats, see `Written`. The fields of a dataclass say their own.
        by: an attribute that names each dataclass of a sequence.

    Raises:
        TypeError: JSON knows nothing like it.
    """
    kind = type(value)
    found = value
    if kind is float or isinstance(value, float):
        found = _number(float(value), digits)
    elif kind in _PLAIN:
        pass
    elif isinstance(value, list | tuple):
        found = [native(one, digits) for one in value]
        if by:
            found = dict(zip((getattr(one, by) for one in value), found, strict=True))
    elif isinstance(value, Record):
        found = value.to_dict()
    elif is_dataclass(value):
        found = record(value)
    elif isinstance(value, Mapping):
        found = {str(key): native(one, digits, by) for key, one in value.items()}
    elif isinstance(value, Enum):
        found = native(value.value, digits)
    elif isinstance(value, PurePath):
        found = str(value)
    elif hasattr(value, "tolist"):  # of NumPy
        found = native(value.tolist(), digits)
    elif not isinstance(value, str | int):
        raise TypeError(f"{kind.__name__} has no form in JSON: {value!r:.200}")
    return found


_PLAIN = (str, int, bool, type(None))


def _number(value: float, digits: int | None) -> float | None:
    if not math.isfinite(value):
        return None
    return value if digits is None else round(value, digits or None)


@cache
def _entries(kind: type) -> tuple[tuple[str, Written], ...]:
    """Attributes of a class that are written, in order, and how."""
    found = {one.name: one.metadata.get("written", Written()) for one in fields(kind)}
    names = [name for name, how in found.items() if how is not None]
    for name, member in vars(kind).items():
        how = getattr(member.fget if isinstance(member, property) else member, "written", None)
        if isinstance(how, Written):
            names.insert(names.index(how.before) if how.before else len(names), name)
            found[name] = how
    return tuple((name, found[name]) for name in names)
