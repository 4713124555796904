from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from mien.errors import DataError, UsageError
from mien.learn.data import readers
from mien.learn.data.folds import split_groups
from mien.learn.data.manifest import Manifest
from mien.learn.data.readers import read


def chip(age: int | str, gender: int, race: int, number: int = 0) -> str:
    return f"{age}_{gender}_{race}_2017010917{number:07d}.jpg.chip.jpg"


def touch(folder: Path, *files: str) -> Path:
    """Empty files will do: the readers look at names and tables only."""
    for file in files:
        (folder / file).parent.mkdir(parents=True, exist_ok=True)
        (folder / file).touch()
    return folder


def write(path: Path, *lines: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def labels(manifest: Manifest) -> dict[str, tuple[float | None, int]]:
    ages = [None if np.isnan(age) else float(age) for age in manifest.age]
    return dict(zip(manifest.files.tolist(), zip(ages, manifest.female.tolist(), strict=True), strict=True))


def test_utkface_names(tmp_path: Path) -> None:
    touch(tmp_path, chip(34, 0, 2), chip(1, 1, 4), chip(116, 1, 0))
    manifest = read(tmp_path)
    assert labels(manifest) == {chip(1, 1, 4): (1, 1), chip(116, 1, 0): (116, 1), chip(34, 0, 2): (34, 0)}
    assert dict(zip(manifest.files.tolist(), manifest.race.tolist(), strict=True))[chip(34, 0, 2)] == 2
    assert manifest.problems == ()
    assert all(path.is_file() for path in manifest.paths)
    assert [column.dtype.name for column in (manifest.age, manifest.female, manifest.race)] == [
        "float32",
        "int8",
        "int8",
    ]


@pytest.mark.parametrize(
    "name",
    [
        "61_1_20170109142408075.jpg.chip.jpg",
        "61_3_20170109150557335.jpg.chip.jpg",
        "44_1_.jpg.chip.jpg",
        "130_1_0_20170109150557335.jpg.chip.jpg",
        "24_2_1_20170116220224657.jpg.chip.jpg",
        "-4_0_1_20170116220224657.jpg.chip.jpg",
        "٣٤_0_1_20170116220224657.jpg.chip.jpg",
    ],
)
def test_malformed_utkface_names_are_told_not_guessed(tmp_path: Path, name: str) -> None:
    manifest = read(touch(tmp_path, chip(34, 0, 2), chip(35, 0, 2), name))
    assert name not in manifest.files
    assert [name in problem for problem in manifest.problems] == [True]


@pytest.mark.parametrize("name", ["24_0_1_20170116220224657 .jpg.chip.jpg", "55_0_0_20170116232725357jpg.chip.jpg"])
def test_odd_endings_after_the_date_carry_no_label(tmp_path: Path, name: str) -> None:
    assert labels(read(touch(tmp_path, name))) == {name: (float(name[:2]), 0)}


@settings(derandomize=True, max_examples=100)
@given(st.integers(0, 116), st.integers(0, 1), st.integers(0, 4), st.integers(10**16, 10**17 - 1))
def test_every_well_formed_name_is_read(age: int, gender: int, race: int, date: int) -> None:
    match = readers.UTKFACE_NAME.fullmatch(f"{age}_{gender}_{race}_{date}.jpg.chip.jpg")
    assert match is not None
    assert tuple(int(match[name]) for name in ("age", "gender", "race")) == (age, gender, race)


@pytest.fixture
def folds(tmp_path: Path) -> Path:
    """Five listed chips in two folds and a sealed one; the sealed one and one of the training list are not here."""
    names = [chip(30 + i, i % 2, 0, i) for i in range(6)]
    touch(tmp_path / "images", *(names[i] for i in (0, 2, 3, 4)))
    return write(
        tmp_path / "splits.csv",
        "file,age,gender,group,fold,coral",
        f"{names[0]},30,0,g1,test,test",
        f"{names[1]},31,1,g1,train,train",
        f"{names[2]},32,0,,test,test",
        f"{names[3]},33,1,g2,test,",
        f"{names[4]},34,0,g2,val,",
        f"{names[5]},35,1,,sealed,",
    )


@pytest.mark.parametrize("where", [".", "images"])
def test_folds_file(tmp_path: Path, folds: Path, where: str) -> None:
    manifest = read(tmp_path / where, folds)
    test = manifest.select(fold="test")
    assert (len(manifest), manifest.missing, len(test), test.missing) == (6, 2, 3, 0)
    assert test.age.tolist() == [30, 32, 33]
    assert test.race.tolist() == [0, 0, 0]
    assert test.group.tolist() == ["g1", "", "g2"]
    assert manifest.problems == ()


def test_coral_twins_are_known_though_the_twin_is_elsewhere(tmp_path: Path, folds: Path) -> None:
    test = read(tmp_path, folds).select(fold="test").present()
    assert test.coral.tolist() == ["test", "test", ""]
    assert test.coral_twin.tolist() == [True, False, False]  # g2 links no coral=train row; "" links nothing


def test_a_fold_without_pictures_is_there_but_empty(tmp_path: Path, folds: Path) -> None:
    sealed = read(tmp_path, folds).select(fold="sealed")
    assert (len(sealed), sealed.missing, len(sealed.present())) == (1, 1, 0)


def test_unknown_fold_names_the_choices(tmp_path: Path, folds: Path) -> None:
    with pytest.raises(
        UsageError, match=r"unknown fold 'tset': did you mean 'test'\? choices: sealed, test, train, val"
    ):
        read(tmp_path, folds).select(fold="tset")


def test_the_folds_file_is_believed_and_contradictions_told(tmp_path: Path) -> None:
    touch(tmp_path / "images", chip(30, 0, 0), chip(31, 0, 0), "39_1_20170116174525125.jpg.chip.jpg", chip(32, 0, 1))
    table = write(
        tmp_path / "folds.csv",
        "file,age,gender,fold",
        f"{chip(30, 0, 0)},40,0,a",
        f"{chip(31, 0, 0)},31,0,a",
        "39_1_20170116174525125.jpg.chip.jpg,,,b",
    )
    manifest = read(tmp_path, table)
    assert labels(manifest)[chip(30, 0, 0)] == (40, 0)
    assert labels(manifest)["39_1_20170116174525125.jpg.chip.jpg"] == (None, -1)
    assert len(manifest.problems) == 3
    for words in ("1 pictures", "states another age", "not named"):
        assert any(words in problem for problem in manifest.problems)


def test_table_reads_every_spelling(tmp_path: Path) -> None:
    cells = {"0": 0, "M": 0, "male": 0, "Man": 0, "0.0": 0, "1": 1, "f": 1, "FEMALE": 1, "woman": 1, "": -1}
    touch(tmp_path, *(f"{i}.jpg" for i in range(len(cells))))
    write(tmp_path / "mine.csv", "File,AGE,Gender", *(f"{i}.jpg,4{i},{cell}" for i, cell in enumerate(cells)))
    manifest = read(tmp_path / "mine.csv")
    assert manifest.female.tolist() == list(cells.values())
    assert manifest.age.tolist() == [40 + i for i in range(len(cells))]
    assert manifest.problems == ()


def test_bad_cells_are_unknown_and_told_with_their_row(tmp_path: Path) -> None:
    touch(tmp_path, *(f"{name}.png" for name in "abcdefgh"))
    table = write(
        tmp_path / "t.csv",
        "file,age,gender,fold",
        "a.png,34.0,m,x",
        "b.png,old,m,x",
        "c.png,34.5,m,x",
        "d.png,117,m,x",
        "e.png,-1,?,x",
        "f.png,nan,f,x",
        "g.png,,,x",
        "",
        "h.png,7",
    )
    manifest = read(table)
    assert labels(manifest) == {
        "a.png": (34, 0),
        "b.png": (None, 0),
        "c.png": (None, 0),
        "d.png": (None, 0),
        "e.png": (None, -1),
        "f.png": (None, 1),
        "g.png": (None, -1),
        "h.png": (7, -1),
    }
    assert [problem.split(":")[0] for problem in manifest.problems] == [f"t.csv row {n}" for n in (3, 4, 5, 6, 6, 7)]


def test_rows_that_cannot_be_placed_are_left_out_and_told(tmp_path: Path) -> None:
    touch(tmp_path, "a.png", "b, c.png")
    table = write(tmp_path / "t.csv", "file,age", "a.png,3", "b, c.png,4", ",5", "a.png,6")
    manifest = read(table)
    assert labels(manifest) == {"a.png": (3, -1)}
    assert [words in told for words, told in zip(("3 cells", "no file", "before"), manifest.problems, strict=True)] == [
        True
    ] * 3


def test_byte_order_mark_quotes_and_sub_folders(tmp_path: Path) -> None:
    touch(tmp_path, "in/a,b.png")
    (tmp_path / "t.csv").write_bytes('\ufeff"file","age"\r\n"in/a,b.png",9\r\n'.encode())
    assert labels(read(tmp_path / "t.csv")) == {"in/a,b.png": (9, -1)}


def test_missing_pictures_stay_in_the_list(tmp_path: Path) -> None:
    touch(tmp_path, "a.png")
    manifest = read(write(tmp_path / "t.csv", "file,age", "a.png,3", "gone.png,4"))
    assert (len(manifest), manifest.missing, manifest.exists.tolist()) == (2, 1, [True, False])
    assert manifest.present().files.tolist() == ["a.png"]


@pytest.mark.parametrize("given_path", [".", "images", "labels.csv"])
def test_labels_beside_an_images_folder(tmp_path: Path, given_path: str) -> None:
    root = touch(tmp_path / "aaf", "images/a.png", "images/b.png")
    write(root / "labels.csv", "file,gender", "a.png,male", "b.png,female")
    manifest = read(root / given_path)
    assert labels(manifest) == {"a.png": (None, 0), "b.png": (None, 1)}
    assert set(manifest.source.tolist()) == {"aaf"}


def test_pictures_that_a_table_does_not_list_are_told(tmp_path: Path) -> None:
    touch(tmp_path, "images/a.png", "images/b.png", "images/.hidden.png", "images/notes.txt")
    write(tmp_path / "labels.csv", "file,age", "a.png,3")
    manifest = read(tmp_path)
    assert len(manifest) == 1
    assert [problem.startswith("1 pictures") and "b.png" in problem for problem in manifest.problems] == [True]


def test_class_folders(tmp_path: Path) -> None:
    touch(tmp_path, "train/Woman/34/x.jpg", "val/man/0/y.JPG", "007/z.png", "female/w.webp", "cats/v.jpg", "u.jpg")
    manifest = read(tmp_path)
    assert labels(manifest) == {
        "007/z.png": (7, -1),
        "cats/v.jpg": (None, -1),
        "female/w.webp": (None, 1),
        "train/Woman/34/x.jpg": (34, 1),
        "u.jpg": (None, -1),
        "val/man/0/y.JPG": (0, 0),
    }
    assert manifest.select(fold="train").files.tolist() == ["train/Woman/34/x.jpg"]
    assert [problem for problem in manifest.problems if "'cats'" in problem] == list(manifest.problems) != []


def test_folders_0_and_1_may_mean_either(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="may be ages or genders"):
        read(touch(tmp_path, "0/a.jpg", "1/b.jpg"))


def test_folds_alone_join_labels_from_elsewhere(tmp_path: Path) -> None:
    touch(tmp_path, "20/a.png", "30/b.png", "40/c.png")
    folds = write(
        tmp_path / "f.csv", "file,fold,group,coral", "20/a.png,x,g,test", "30/b.png,y,g,train", "gone.png,z,,"
    )
    manifest = read(tmp_path, folds)
    assert manifest.fold.tolist() == ["x", "y", ""]
    assert manifest.coral_twin.tolist() == [True, True, False]
    assert labels(manifest.select(fold="y")) == {"30/b.png": (30, -1)}
    assert any("40/c.png" in problem for problem in manifest.problems)


def test_folds_of_a_table(tmp_path: Path) -> None:
    touch(tmp_path, "a.png", "b.png")
    table = write(tmp_path / "t.csv", "file,age", "a.png,3", "b.png,4")
    folds = write(tmp_path / "f.csv", "file,age,fold", "a.png,99,x", "b.png,99,y")
    assert labels(read(table, folds).select(fold="y")) == {"b.png": (4, -1)}


def test_what_cannot_be_read_gets_a_sentence(tmp_path: Path) -> None:
    touch(tmp_path, "plain/a.jpg", "empty/notes.txt", "t/a.png")
    write(tmp_path / "name.csv", "name,age", "a.jpg,3")
    write(tmp_path / "nolabel.csv", "file,fold", "a.jpg,x")
    write(tmp_path / "gone.csv", "file,age", "x.jpg,3")
    write(tmp_path / "other.csv", "file,fold", "x.jpg,a")
    write(tmp_path / "nofold.csv", "file,group", "a.png,3")
    (tmp_path / "void.csv").touch()
    (tmp_path / "binary.csv").write_bytes(b"\xff\xd8\xff\xe0\x00")
    good = write(tmp_path / "t" / "t.csv", "file,age", "a.png,3")
    cases: list[tuple[Path, Path | None, str]] = [
        (tmp_path / "nowhere", None, "no data at"),
        (tmp_path / "plain", None, "nothing says the ages or genders of the 1 pictures"),
        (tmp_path / "empty", None, "holds no pictures"),
        (
            tmp_path / "name.csv",
            None,
            r"needs the columns file and age \(or age_low and age_high\) or gender; it has name, age",
        ),
        (tmp_path / "nolabel.csv", None, r"needs the columns file and age \(or age_low and age_high\) or gender"),
        (tmp_path / "void.csv", None, "it has none"),
        (tmp_path / "binary.csv", None, "cannot be read as a CSV table"),
        (tmp_path / "gone.csv", None, "none of the 1 pictures"),
        (good, tmp_path / "other.csv", "lists none of the 1 pictures"),
        (good, tmp_path / "nofold.csv", "needs the columns file and fold"),
        (good, tmp_path / "nowhere.csv", "cannot be read as a CSV table"),
    ]
    for data, folds, words in cases:
        with pytest.raises(DataError, match=words):
            read(data, folds)


def test_concatenate_and_take(tmp_path: Path) -> None:
    touch(tmp_path, *(f"{source}/{name}.png" for source in "xy" for name in "abc"))
    for source in "xy":
        write(tmp_path / source / "labels.csv", "file,age,group", "a.png,1,g", "b.png,2,g", "c.png,3,", "c.png,4,")
    x, y = read(tmp_path / "x"), read(tmp_path / "y")
    both = Manifest.concatenate([x, y])
    assert both.files.tolist() == ["a.png", "b.png", "c.png"] * 2
    assert both.source.tolist() == ["x"] * 3 + ["y"] * 3
    assert both.twins.tolist() == ["x/g", "x/g", "", "y/g", "y/g", ""]
    assert both.take(np.array([4, 0])).paths == (tmp_path / "y/b.png", tmp_path / "x/a.png")
    assert both.take(both.age == 3).paths == (tmp_path / "x/c.png", tmp_path / "y/c.png")
    assert len(x.problems) == len(Manifest.concatenate([x, x]).problems) == 1


@pytest.fixture
def twins(tmp_path: Path) -> Manifest:
    touch(tmp_path, *(f"{i}.png" for i in range(300)))
    groups = [f"g{i // 3}" if i < 120 else "" for i in range(300)]
    return read(write(tmp_path / "t.csv", "file,age,group", *(f"{i}.png,{i % 90},{g}" for i, g in enumerate(groups))))


def test_split_keeps_twins_together(twins: Manifest) -> None:
    parts = split_groups(twins, {"train": 0.8, "val": 0.1, "test": 0.1}, seed=1)
    assert Counter(parts.fold.tolist()) == pytest.approx({"train": 240, "val": 30, "test": 30}, abs=3)
    folds_of = {group: set(parts.fold[parts.group == group].tolist()) for group in set(parts.group.tolist()) - {""}}
    assert {len(folds) for folds in folds_of.values()} == {1}
    assert set().union(*folds_of.values()) == {"train", "val", "test"}


def test_split_is_random_but_repeatable(twins: Manifest) -> None:
    one, again, other = (split_groups(twins, {"a": 0.5, "b": 0.5}, seed).fold.tolist() for seed in (1, 1, 2))
    assert one == again != other


@pytest.mark.parametrize("fractions", [{}, {"a": 0.5}, {"a": 1.5, "b": -0.5}, {"a": 80, "b": 20}])
def test_shares_must_add_up(twins: Manifest, fractions: dict[str, float]) -> None:
    with pytest.raises(UsageError, match="add up to 1"):
        split_groups(twins, fractions)


def test_the_real_folds_file(shared: Path) -> None:
    utkface = shared / "data" / "utkface"
    manifest = read(utkface / "images", utkface / "splits.csv")
    sizes = Counter(manifest.fold.tolist())
    assert sizes == {"train": 15624, "val": 1360, "test": 4598, "sealed": 1765, "excluded": 360}
    test, sealed = manifest.select(fold="test"), manifest.select(fold="sealed")
    assert (test.missing, sealed.missing) == (0, 1765)
    coral = test.coral == "test"
    assert (coral.sum(), (coral & test.coral_twin).sum()) == (3287, 189)
    assert test.age[coral].min() == 21
    assert test.age[coral].max() == 60
    assert len(manifest.problems) == 3  # three names lack the race; they are excluded
    assert set(manifest.race[manifest.exists].tolist()) == {0, 1, 2, 3, 4}


def test_the_other_real_folders(shared: Path) -> None:
    aaf, gender = read(shared / "data" / "aaf"), read(shared / "data" / "gender" / "images")
    assert (len(aaf), aaf.missing, aaf.problems) == (12697, 0, ())
    assert (aaf.age.min(), aaf.age.max(), set(aaf.female.tolist())) == (2, 80, {0, 1})
    assert (len(gender), gender.missing, gender.problems) == (2303, 0, ())
    assert np.isnan(gender.age).all()


def test_class_folders_that_say_two_things_are_told_and_left_out(tmp_path: Path) -> None:
    for folder in ("34/1", "34", "2019/07/12", "male/female/20", "women/20"):
        (tmp_path / folder).mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (8, 8)).save(tmp_path / folder / "x.png")
    manifest = read(tmp_path)
    assert manifest.files.tolist() == ["34/x.png", "women/20/x.png"]
    assert manifest.age.tolist() == [34, 20]
    assert manifest.female.tolist() == [-1, 1]
    assert sum("does not say one" in problem for problem in manifest.problems) == 3


def test_bounds_stand_in_for_an_age(tmp_path: Path) -> None:
    touch(tmp_path, *(f"{name}.png" for name in "abcdef"))
    rows: tuple[str, ...] = ("a.png,,47.9,54.4,m,congress", "b.png,30,,,f,mps", "c.png,31,20,40,f,mps")
    rows += ("d.png,,9,8,m,mps", "e.png,,12,,f,mps", "f.png,,,,f,mps")
    write(tmp_path / "labels.csv", "file,age,age_low,age_high,gender,source", *rows)
    faces = read(tmp_path)
    low, high = faces.bounds
    np.testing.assert_allclose(low, [47.9, 30, 31, np.nan, np.nan, np.nan], rtol=1e-6)
    np.testing.assert_allclose(high, [54.4, 30, 31, np.nan, np.nan, np.nan], rtol=1e-6)
    np.testing.assert_array_equal(faces.aged, [True, True, True, False, False, False])
    assert np.isnan(faces.age_low[2])  # an exact age wins, and its bounds are not kept beside it
    assert [problem.split(":")[0] for problem in faces.problems] == ["labels.csv row 5", "labels.csv row 6"]
    assert len(faces.of_source("congress")) == 1
    assert len(faces.of_source(f"{tmp_path.name}/mps")) == 5
    with pytest.raises(UsageError, match="source"):
        faces.of_source("nobody")
    assert not faces.ageless().aged.any()
    np.testing.assert_allclose(faces.take(np.array([1, 0])).bounds[0], [30, 47.9], rtol=1e-6)


def test_one_bound_alone_is_none(tmp_path: Path) -> None:
    touch(tmp_path, "a.png")
    write(tmp_path / "labels.csv", "file,age_low", "a.png,3")
    with pytest.raises(DataError, match="only one of the columns"):
        read(tmp_path)
