"""Records as native types."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mien.native import UNWRITTEN, Record, also, native, record, written


class Colour(Enum):
    RED = "red"


class Level(float, Enum):
    HALF = 0.5


@dataclass(frozen=True, slots=True)
class Point(Record):
    x: float = field(metadata=written(digits=1))
    y: float = 0.123456


@dataclass(frozen=True)
class Named:
    name: str
    points: tuple[Point, ...] = ()

    def __call__(self) -> str:
        raise AssertionError("a field that can be called is no method of the record")


@dataclass(frozen=True, slots=True)
class Odd(Record):
    name: str = "odd"

    def to_dict(self) -> dict[str, Any]:
        return {"own": self.name}


@dataclass(frozen=True, slots=True)
class Drawing(Record):
    title: str = field(metadata=written("name"))
    secret: object = field(metadata=UNWRITTEN)
    parts: tuple[Named, ...] = field(default=(), metadata=written(by="name"))
    sets: Mapping[str, tuple[Named, ...]] = field(default_factory=dict, metadata=written(by="name"))
    sizes: Mapping[int, float] = field(default_factory=dict, metadata=written(flat=True, digits=0))
    one: Named | None = field(default=None, metadata=written(flat=False, optional=True))

    @property
    @also(before="parts")
    def first(self) -> int:
        """Stands before the parts."""
        return 1

    @property
    @also("second", before="parts")
    def _other(self) -> int:
        return 2

    @also(digits=2)
    def last(self) -> list[float]:
        """A method without arguments."""
        return [1.234, math.inf]

    @property
    def private(self) -> int:
        """Not written."""
        raise AssertionError


def test_fields_say_how_they_are_written() -> None:
    part = Named("a", (Point(1.26),))
    drawing = Drawing("face", object(), (part,), {"more": (part, Named("b"))}, {3: 2.6}, part)
    told = {"name": "a", "points": [{"x": 1.3, "y": 0.123456}]}
    assert list(drawing.to_dict().items()) == [
        ("name", "face"),
        ("first", 1),
        ("second", 2),
        ("parts", {"a": told}),
        ("sets", {"more": {"a": told, "b": {"name": "b", "points": []}}}),
        ("3", 3),
        ("one", told),
        ("last", [1.23, None]),
    ]
    bare = Drawing("", None).to_dict()
    assert "one" not in bare
    assert bare["parts"] == {}


def test_a_class_may_write_itself() -> None:
    assert native({"odd": (Odd(),)}) == {"odd": [{"own": "odd"}]}
    assert record(Odd()) == {"name": "odd"}


@pytest.mark.parametrize(
    ("value", "wanted"),
    [
        (np.float64(0.1), 0.1),
        (np.float32(0.5), 0.5),
        (np.int64(3), 3),
        (np.bool_(True), True),
        (np.str_("a"), "a"),
        (np.array([[1.25, math.nan]]), [[1.25, None]]),
        (Colour.RED, "red"),
        (Level.HALF, 0.5),
        (Path("a") / "b.png", str(Path("a") / "b.png")),
        (math.nan, None),
        (-math.inf, None),
        (True, True),
        ({0.5: {None: 1}}, {"0.5": {"None": 1}}),
    ],
)
def test_values_become_native(value: object, wanted: object) -> None:
    found = native(value)
    assert found == wanted
    assert type(found) is type(wanted)


def test_floats_are_exact_unless_digits_are_given() -> None:
    assert native([0.1 + 0.2, 12.6]) == [0.30000000000000004, 12.6]
    assert native([0.1 + 0.2, 12.6], 2) == [0.3, 12.6]
    assert json.dumps(native([np.float64(12.6), 7, math.nan], 0)) == "[13, 7, null]"


@pytest.mark.parametrize("value", [{1, 2}, b"bytes", object(), 1j])
def test_what_json_does_not_know_is_refused(value: object) -> None:
    with pytest.raises(TypeError, match=type(value).__name__):
        native({"deep": [value]})


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=10,
)


@given(JSON)
def test_json_stays_as_it_is(value: Any) -> None:
    assert native(value) == value
    assert json.dumps(native(value), allow_nan=False) == json.dumps(value)
