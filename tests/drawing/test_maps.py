from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from mien.drawing.maps import LEGEND, MARGIN, SIDE, draw, heat
from mien.estimate.explain import Explanation, Region
from mien.faces.regions import REGIONS

FACE, MAP = MARGIN, 2 * MARGIN + SIDE
HEAD = round(2.4 * MARGIN)


def why(cells: NDArray[np.float64], *, target: str = "age", signed: bool = True, value: float = 60.0) -> Explanation:
    parts = tuple(Region(name, 1 / len(REGIONS), (-1) ** at / 16, 50.0 + at) for at, name in enumerate(REGIONS))
    return Explanation(target, "cam", value, 40.0, cells, signed, 0.0, parts)


def chip(grey: int = 128) -> NDArray[np.uint8]:
    return np.full((48, 48, 3), grey, np.uint8)


def warmth(pixels: NDArray[np.uint8]) -> float:
    """Mean of red less blue."""
    return float(pixels[..., 0].astype(int).mean() - pixels[..., 2].astype(int).mean())


@pytest.mark.parametrize("grey", [0, 90, 255])
def test_both_sides_show_on_any_skin_and_nothing_stays_grey(grey: int) -> None:
    weights = np.zeros((60, 60))
    weights[:, :20], weights[:, 40:] = 1.0, -1.0
    shown = heat(chip(grey), weights)
    assert shown.shape == (60, 60, 3)
    assert warmth(shown[:, :20]) > 60
    assert warmth(shown[:, 40:]) < -60
    middle = shown[:, 20:40].astype(int)
    assert np.ptp(middle, axis=2).max() == 0
    assert 40 < middle.mean() < 256


def test_a_face_shines_through_its_map() -> None:
    half = chip(40)
    half[:, 24:] = 220
    shown = heat(half, np.ones((60, 60))).astype(int)
    assert shown[:, 40:].mean() - shown[:, :20].mean() > 25


def test_a_map_of_nothing_is_grey() -> None:
    shown = heat(chip(), np.zeros((60, 60)))
    assert np.ptp(shown.astype(int), axis=2).max() == 0


def test_faces_are_drawn_below_one_another_and_their_chips_are_not_changed() -> None:
    chips = np.stack([chip(60), chip(200)])
    chips.flags.writeable = False
    page = draw(chips, [why(np.ones((6, 6))), why(-np.ones((6, 6)))], ["first", "second"])
    row = HEAD + SIDE + LEGEND
    assert page.shape[0] == 2 * row
    assert page.dtype == np.uint8
    for at, grey in enumerate((60, 200)):
        top = at * row + HEAD
        assert (page[top : top + SIDE, FACE : FACE + SIDE] == grey).all()
        side = page[top : top + SIDE, MAP : MAP + SIDE]
        assert (warmth(side) > 30) == (at == 0)


@pytest.mark.parametrize(("value", "warm"), [(60.0, True), (20.0, False)])
def test_a_map_without_signs_has_the_colour_of_what_it_speaks_for(value: float, warm: bool) -> None:
    """Detail that takes the answer from the veiled 40 up to 60 speaks for older, down to 20 for younger."""
    cells = np.zeros((6, 6))
    cells[2:4, 2:4] = 3
    page = draw(chip()[None], [why(cells, signed=False, value=value)], ["a"])
    assert (warmth(page[HEAD : HEAD + SIDE, MAP : MAP + SIDE]) > 0) == warm
    legend = page[HEAD + SIDE + 12 : HEAD + SIDE + 24, MAP : MAP + SIDE].astype(int)
    coloured = np.flatnonzero(np.ptp(legend, axis=2).max(axis=0) > 30)
    assert (coloured.mean() > SIDE / 2) == warm  # the half of the scale that is used


def test_numbers_stand_beside_the_map() -> None:
    page = draw(chip()[None], [why(np.ones((6, 6)))], ["a"])
    beside = page[HEAD : HEAD + SIDE, MAP + SIDE + MARGIN :].astype(int)
    assert (beside.sum(axis=2) < 200).sum() > 500  # dark text
    orange, blue = (beside[..., 0] - beside[..., 2] > 120), (beside[..., 2] - beside[..., 0] > 120)
    assert orange.sum() == pytest.approx(blue.sum(), rel=0.1)  # the parts' signs alternate


def test_a_long_title_stays_on_the_page() -> None:
    plain = draw(chip()[None], [why(np.ones((6, 6)))], ["a"])
    long = draw(chip()[None], [why(np.ones((6, 6)))], ["x" * 400])
    assert long.shape == plain.shape
    assert (long[:HEAD, -MARGIN:] == 255).all()
    assert (long[HEAD:] == plain[HEAD:]).all()
