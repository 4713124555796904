from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mien.estimate.calibrate import Calibration
from mien.results import Age, Box, Face, Gender, Quality
from mien.video.smooth import LEAST_WEIGHT, Average, weight

SURE = Calibration(1.0, 1.0, ((0.9, 0.9),), doubtful=((0.9, 0.99),))
GOOD = Quality(40.0, 0.4, 0.0)
POOR = Quality(10.0, 0.1, 50.0, ("small", "blurred", "turned"))


def face(years: float, quality: Quality = GOOD, spread: float = 4.0) -> Face:
    pmf = np.exp(-0.5 * ((np.arange(117) - years) / spread) ** 2)
    age = Age(years, years, years, years, 0.9, tuple((pmf / pmf.sum()).tolist()))
    return Face(Box(0, 0, 1, 1), None, None, age, Gender(0.1), quality)


def averaged(*views: tuple[Face, float]) -> Average:
    average = Average()
    for view, female in views:
        average.add(replace(view, gender=Gender(female)))
    return average


def test_one_view_is_itself() -> None:
    average = averaged((face(30), 0.2))
    age = average.age(0.9, SURE)
    assert age.years == pytest.approx(30, abs=0.01)
    assert age.low < 26
    assert age.high > 34
    assert average.gender(0.5).label == "male"
    assert average.gender(0.5).probability == pytest.approx(0.8)
    assert (average.views, average.quality) == (1, 1.0)


def test_equal_views_do_not_make_it_surer() -> None:
    one, many = averaged((face(30), 0.2)), averaged(*[(face(30), 0.2)] * 200)
    assert many.age(0.9, SURE).low == one.age(0.9, SURE).low
    assert many.gender(0.5).probability == pytest.approx(0.8)


def test_poor_views_hardly_count() -> None:
    average = averaged((face(30), 0.1), *[(face(60, POOR), 0.9)] * 10)
    assert average.age(0.9, SURE).years < 31
    assert average.gender(0.5).label == "male"


def test_a_track_of_poor_views_has_a_wide_interval() -> None:
    poor = averaged(*[(face(40, POOR), 0.5)] * 3).age(0.9, SURE)
    good = averaged(*[(face(40), 0.5)] * 3).age(0.9, SURE)
    mixed = averaged((face(40), 0.5), *[(face(40, POOR), 0.5)] * 3).age(0.9, SURE)
    assert poor.high - poor.low > good.high - good.low
    assert mixed.high - mixed.low == good.high - good.low


def test_an_unsure_average_abstains() -> None:
    assert averaged((face(30), 0.9), (face(30), 0.3)).gender(0.8).label == "uncertain"


@given(st.floats(0, 500), st.floats(0, 1), st.one_of(st.none(), st.floats(-90, 90)), st.booleans())
def test_weights_lie_within_bounds_and_flags_lower_them(
    eyes: float, sharpness: float, turn: float | None, flagged: bool
) -> None:
    quality = Quality(eyes, sharpness, turn, ("blurred",) if flagged else ())
    assert LEAST_WEIGHT <= weight(quality) <= weight(replace(quality, flags=())) <= 1


@given(st.lists(st.tuples(st.floats(5, 100), st.floats(0, 1), st.sampled_from([GOOD, POOR])), min_size=1, max_size=8))
def test_the_average_lies_among_its_views_in_any_order(views: list[tuple[float, float, Quality]]) -> None:
    faces = [(face(years, quality), female) for years, female, quality in views]
    age, back = averaged(*faces).age(0.9, SURE), averaged(*faces[::-1]).age(0.9, SURE)
    years = [sum(year * mass for year, mass in enumerate(view.age.pmf)) for view, _ in faces]
    assert min(years) - 1e-6 <= age.years <= max(years) + 1e-6
    assert age.years == pytest.approx(back.years)
    assert age.low <= age.years <= age.high
    assert sum(age.pmf) == pytest.approx(1)
