from pathlib import Path

import numpy as np
import pytest

from mien.errors import DataError
from mien.learn.data.readers import read
from mien.learn.data.selection import each_once, joined_sources, rarity, repeated
from mien.learn.recipe import DataSource


@pytest.fixture
def faces(tmp_path: Path) -> Path:
    """90 faces of 25, nine of 70, one of unknown age."""
    ages = ["25"] * 90 + ["70"] * 9 + [""]
    for number in range(len(ages)):
        (tmp_path / f"{number:03}.png").touch()
    rows = "\n".join(f"{number:03}.png,{age},f" for number, age in enumerate(ages))
    (tmp_path / "labels.csv").write_text(f"file,age,gender\n{rows}\n")
    return tmp_path


def test_rare_ages_count_by_a_power_of_their_rarity() -> None:
    ages = np.array([25.0] * 90 + [70.0] * 9 + [np.nan], np.float32)
    np.testing.assert_array_equal(rarity(ages, ages, 0.0), np.ones(100))
    for power, times in ((0.5, 10**0.5), (1.0, 8.0)):
        weights = rarity(ages, ages, power)
        assert weights[95] / weights[0] == pytest.approx(times, rel=0.25)
        assert weights[:99].mean() == pytest.approx(1, rel=0.05)
        assert weights[99] == 1
        assert weights.max() <= 8


def test_a_face_with_bounds_is_as_rare_as_the_ages_between_them() -> None:
    low, high = (np.array([*[40.0] * 50, end], np.float32) for end in (60.0, 80.0))
    weights = rarity(low, np.where(low == 40, 41, high).astype(np.float32), 1.0)
    assert weights[-1] > 3 * weights[0]


def test_sources_are_shown_as_often_as_asked(faces: Path) -> None:
    twice = joined_sources((DataSource(data=faces, times=2),))
    assert len(twice) == 200
    assert twice.files[:2].tolist() == ["000.png", "000.png"]
    half = joined_sources((DataSource(data=faces, times=0.5),))
    assert 35 <= len(half) <= 65
    assert half.files.tolist() == joined_sources((DataSource(data=faces, times=0.5),)).files.tolist()
    assert len(np.unique(half.files)) == len(half)


def test_balance_shows_rare_ages_more_often_and_others_less(faces: Path) -> None:
    manifest = read(faces)
    shown = repeated(manifest, 4, 0.5)
    young, old = (np.count_nonzero(shown.age == age) / count for age, count in ((25, 90), (70, 9)))
    assert old / young == pytest.approx(10**0.5, rel=0.3)
    assert len(shown) == pytest.approx(400, rel=0.1)


def test_ages_that_are_guesses_are_left_out(faces: Path) -> None:
    assert not joined_sources((DataSource(data=faces, ages=False),)).aged.any()


def test_faces_of_a_recipe_are_each_taken_once(faces: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    sources = (DataSource(data=faces, times=3), DataSource(data=faces, ages=False))
    once = each_once(sources)
    assert len(once) == 100
    assert once.aged.sum() == 99
    other = tmp_path_factory.mktemp("other")
    (other / "000.png").touch()
    (other / "labels.csv").write_text("file,age\n000.png,3\n")
    with pytest.raises(DataError, match=r"000\.png names two faces"):
        each_once((DataSource(data=faces), DataSource(data=other)))
