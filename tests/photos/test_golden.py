"""Every odd picture of tests/golden, which its script made, against what the scene says."""

from __future__ import annotations

import json
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mien.errors import PhotoUnsupported
from mien.photos import decode

GOLDEN = Path(__file__).parents[1] / "golden"
EXPECTED: dict[str, dict[str, Any]] = json.loads((GOLDEN / "expected.json").read_text())


@pytest.mark.parametrize("name", EXPECTED)
def test_odd_picture(name: str) -> None:
    if name.endswith(".heic") and find_spec("pillow_heif") is None:
        pytest.skip("needs the extra 'heif'")
    facts = EXPECTED[name]
    picture = decode((GOLDEN / name).read_bytes())
    assert [picture.width, picture.height] == facts["size"]
    assert picture.pixels.shape == (picture.height, picture.width, 3)
    assert picture.pixels.dtype == np.uint8
    assert picture.pixels.flags.c_contiguous
    assert picture.scale == 1
    for x, y, *colour in facts["points"]:
        np.testing.assert_allclose(picture.pixels[y, x].astype(int), colour, atol=facts["tolerance"])


def test_every_picture_has_expectations() -> None:
    pictures = {path.name for path in GOLDEN.iterdir() if path.is_file() and path.suffix not in {".py", ".json"}}
    assert pictures == set(EXPECTED)


def test_heic_names_the_extra_where_it_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pillow_heif", None)
    with pytest.raises(PhotoUnsupported, match=r"pip install .*\[heif\]"):
        decode((GOLDEN / "orientation_1.heic").read_bytes())
