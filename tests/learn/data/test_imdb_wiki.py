from datetime import date, timedelta
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mien.errors import DataError
from mien.learn.data.folds import split_groups
from mien.learn.data.imdb_wiki import ages, imdb_wiki
from mien.learn.data.readers import read

scipy_io = pytest.importorskip("scipy.io", reason="needs the train extra")

Row = tuple[float, int, str, float, str, float, float]
NAN, NO_FACE = float("nan"), float("-inf")


def datenum(year: int, month: int, day: int) -> int:
    """Matlab's number of a day."""
    return date(year, month, day).toordinal() + 366


ASTAIRE = datenum(1899, 5, 10)
ROWS: list[Row] = [  # born, taken, path, gender, name, face score, second face score
    (ASTAIRE, 1968, "01/a.jpg", 1, "Fred Astaire", 1.46, NAN),
    (ASTAIRE, 1970, "01/b.jpg", 1, "Fred Astaire", NO_FACE, NAN),
    (ASTAIRE, 1969, "01/c.jpg", 1, "Fred Astaire", 4.1, 2.0),
    (datenum(1985, 8, 2) + 0.75, 2010, "02/d.jpg", 0, "Zoë", 5.3, NAN),
    (datenum(1990, 7, 1), 2012, "02/e.jpg", NAN, "", 3.3, NAN),
    (datenum(1990, 7, 1), 2012, "02/f.jpg", 0, "Low", 0.9, NAN),
    (0, 2011, "03/zero.jpg", 1, "Zero", 3.0, NAN),
    (datenum(1850, 1, 1), 2011, "03/old.jpg", 1, "Old", 3.0, NAN),
    (datenum(2015, 1, 1), 1999, "03/unborn.jpg", 0, "Unborn", 3.0, NAN),
    (NAN, 2001, "03/undated.jpg", 0, "Undated", 3.0, NAN),
    (ASTAIRE, 1930, "01/gone.jpg", 1, "Fred Astaire", 2.2, NAN),
]
KEPT = ["01/a.jpg", "02/d.jpg", "02/e.jpg", "01/gone.jpg"]


def cells(values: list[str]) -> np.ndarray:
    """A Matlab cell array of one row."""
    made = np.empty((1, len(values)), dtype=object)
    made[0] = values
    return made


def save(path: Path, rows: list[Row], struct: str = "imdb", leave_out: str = "", compress: bool = False) -> Path:
    """A file in the published form: one struct of 1 x N fields, years in 16 bits, and the pictures beside it."""
    born, taken, files, genders, names, scores, seconds = (list(column) for column in zip(*rows, strict=True))
    fields = {
        "dob": np.array([born], dtype=np.float64),
        "photo_taken": np.array([taken], dtype=np.uint16),
        "full_path": cells([str(file) for file in files]),
        "gender": np.array([genders], dtype=np.float64),
        "name": cells([str(name) for name in names]),
        "face_location": cells(["ignored"] * len(rows)),
        "face_score": np.array([scores], dtype=np.float64),
        "second_face_score": np.array([seconds], dtype=np.float64),
    }
    fields.pop(leave_out, None)
    scipy_io.savemat(path, {struct: fields}, do_compression=compress)
    for file in files:
        if "gone" not in str(file):
            (path.parent / str(file)).parent.mkdir(exist_ok=True)
            (path.parent / str(file)).touch()
    return path


def test_rows_that_cannot_be_used_are_left_out(tmp_path: Path) -> None:
    manifest = imdb_wiki(save(tmp_path / "imdb.mat", ROWS), tmp_path)
    assert manifest.files.tolist() == KEPT
    assert manifest.age.tolist() == [69, 24, 22, 31]
    assert manifest.age.dtype == np.float32
    assert manifest.female.tolist() == [0, 1, -1, 0]  # the file has 1 for male, the project 1 for female
    assert manifest.exists.tolist() == [True, True, True, False]
    assert manifest.paths[0] == tmp_path / "01" / "a.jpg"
    assert set(manifest.source.tolist()) == {"imdb"}


def test_what_is_left_out_is_counted_once_with_its_reason(tmp_path: Path) -> None:
    manifest = imdb_wiki(save(tmp_path / "imdb.mat", ROWS), tmp_path)
    assert manifest.problems == (
        "imdb.mat: 1 of 11 pictures left out: no face was found",
        "imdb.mat: 1 of 11 pictures left out: the face has a score of at most 1",
        "imdb.mat: 1 of 11 pictures left out: there is a second face",
        "imdb.mat: 4 of 11 pictures left out: the dates give no age from 0 to 116",
        "imdb.mat: 1 of the 4 pictures used have no gender",
    )


def test_the_score_that_a_face_must_have_can_be_chosen(tmp_path: Path) -> None:
    mat = save(tmp_path / "imdb.mat", ROWS)
    assert imdb_wiki(mat, tmp_path, min_score=0.5).files.tolist() == sorted([*KEPT, "02/f.jpg"], key=_order)
    assert imdb_wiki(mat, tmp_path, min_score=4).files.tolist() == ["02/d.jpg"]


def _order(file: str) -> int:
    return [row[2] for row in ROWS].index(file)


@pytest.mark.parametrize("struct", ["imdb", "wiki"])
def test_any_reader_of_data_takes_it(tmp_path: Path, struct: str) -> None:
    manifest = read(save(tmp_path / f"{struct}.mat", ROWS, struct, compress=True))
    assert manifest.files.tolist() == KEPT
    assert set(manifest.source.tolist()) == {struct}
    assert len(manifest.present()) == 3


def test_a_person_is_in_one_fold_only(tmp_path: Path) -> None:
    rows: list[Row] = [
        (ASTAIRE + person, 1950 + shot, f"{person}-{shot}.jpg", 1, f"person {person}", 3.0, NAN)
        for person in range(8)
        for shot in range(5)
    ]
    manifest = split_groups(read(save(tmp_path / "wiki.mat", rows, "wiki")), {"train": 0.5, "test": 0.5})
    folds = {person: set(manifest.fold[manifest.group == person].tolist()) for person in set(manifest.group.tolist())}
    assert len(folds) == 8
    assert all(len(names) == 1 for names in folds.values())
    assert set.union(*folds.values()) == {"train", "test"}


def test_names_are_not_needed(tmp_path: Path) -> None:
    manifest = read(save(tmp_path / "imdb.mat", ROWS, leave_out="name"))
    assert manifest.group.tolist() == [""] * len(KEPT)


@settings(derandomize=True, max_examples=200)
@given(
    st.dates(date(1, 1, 1), date(2100, 12, 31)),
    st.integers(1, 2100),
    st.floats(0, 0.99),
)
def test_age_is_the_number_of_birthdays_by_the_first_of_july(born: date, taken: int, hour: float) -> None:
    middle = date(taken, 7, 1)
    birthdays = middle.year - born.year - ((middle.month, middle.day) < (born.month, born.day))
    assert ages(np.array([born.toordinal() + 366 + hour]), np.array([float(taken)])).tolist() == [birthdays]


def test_age_changes_on_the_birthday() -> None:
    days = [date(1980, 7, 1) + timedelta(days=shift) for shift in (-1, 0, 1)]
    born = np.array([day.toordinal() + 366.0 for day in days])
    assert ages(born, np.full(3, 2000.0)).tolist() == [20, 20, 19]


@pytest.mark.parametrize("born", [NAN, 0.0, -5.0, 1e12, float("inf")])
def test_an_impossible_birth_date_gives_no_age(born: float) -> None:
    assert np.isnan(ages(np.array([born]), np.array([2000.0]))).all()


def test_what_is_no_matlab_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "imdb.mat").write_text("file,age\n")
    with pytest.raises(DataError, match="cannot be read as a Matlab file"):
        read(tmp_path / "imdb.mat")


def test_half_a_file_is_refused(tmp_path: Path) -> None:
    mat = save(tmp_path / "imdb.mat", ROWS, compress=True)
    mat.write_bytes(mat.read_bytes()[: mat.stat().st_size // 2])
    with pytest.raises(DataError, match="cannot be read as a Matlab file"):
        read(mat)


def test_another_matlab_file_is_refused(tmp_path: Path) -> None:
    scipy_io.savemat(tmp_path / "other.mat", {"x": np.zeros(3)})
    with pytest.raises(DataError, match="no struct imdb or wiki"):
        read(tmp_path / "other.mat")


@pytest.mark.parametrize("field", ["dob", "photo_taken", "full_path", "gender", "face_score", "second_face_score"])
def test_a_missing_field_is_named(tmp_path: Path, field: str) -> None:
    with pytest.raises(DataError, match=f"no field '{field}'"):
        read(save(tmp_path / "imdb.mat", ROWS, leave_out=field))


def test_pictures_that_are_elsewhere_are_told(tmp_path: Path) -> None:
    mat = save(tmp_path / "imdb.mat", ROWS)
    with pytest.raises(DataError, match=r"none of the 4 usable pictures of imdb\.mat is in"):
        imdb_wiki(mat, tmp_path / "elsewhere")
