from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mien.count.bands import USUAL, Bands
from mien.errors import UsageError


def test_the_usual_bands() -> None:
    bands = Bands.parse(USUAL)
    assert str(bands) == USUAL
    assert [bands.of(years) for years in (0, 12.4, 12.6, 17, 24.49, 64.4, 65, 116)] == [
        *("0-12", "0-12", "13-17", "13-17", "18-24", "55-64", "65+", "65+")
    ]


@given(st.lists(st.integers(1, 116), unique=True, max_size=10), st.floats(0, 116))
def test_every_age_has_the_band_that_holds_it(firsts: list[int], years: float) -> None:
    starts = [0, *sorted(firsts)]
    names = [f"{first}-{after - 1}" for first, after in pairwise(starts)] + [f"{starts[-1]}+"]
    first, _, last = Bands.parse(",".join(names)).of(years).rstrip("+").partition("-")
    assert int(first) <= years + 0.5
    assert years < (int(last or first) if last else 116) + 0.5 + 1e-9


@pytest.mark.parametrize(
    "text",
    ["", "18", "0-17", "1-17,18+", "0-17,19+", "0-17,17+", "0+,1+", "0-5,6-3,4+", "0-17,18+,", "a-b", "0-117,118+"],
)
def test_what_is_no_list_of_bands(text: str) -> None:
    with pytest.raises(UsageError, match="age band"):
        Bands.parse(text)
