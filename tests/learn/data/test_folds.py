"""Folds at random, twins together, as a table that is read again."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from typer.testing import CliRunner

from mien.cli import app
from mien.errors import DataError, UsageError
from mien.learn.data.folds import cut_folds, usual_fold, write
from mien.learn.data.manifest import Manifest
from mien.learn.data.readers import read

ROWS = [
    (f"{i:02}.png", i, "mf"[i % 2], f"g{i // 2}" if i < 20 else "", "train" if i < 48 else "test") for i in range(60)
]


@pytest.fixture(scope="module")
def faces(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("faces")
    lines = ["file,age,gender,group,fold"]
    for file, age, gender, group, fold in ROWS:
        Image.new("RGB", (8, 8), (age, age, age)).save(folder / file)
        lines.append(f"{file},{'' if age == 7 else age},{'' if age == 9 else gender},{group},{fold}")
    (folder / "labels.csv").write_text("\n".join(lines))
    return folder


@given(seed=st.integers(0, 1000), share=st.sampled_from([0.1, 0.25, 0.5]))
def test_a_fold_is_cut_and_the_others_stay(faces: Path, seed: int, share: float) -> None:
    whole = read(faces)
    parts = cut_folds(whole, {"a": share, "b": 1 - share}, fold="train", seed=seed)
    assert set(parts.fold[whole.fold == "train"]) == {"a", "b"}
    assert set(parts.fold[whole.fold == "test"]) == {"test"}
    assert abs(int((parts.fold == "a").sum()) - 48 * share) <= 2
    for group in {name for name in whole.group if name}:
        assert len(set(parts.fold[whole.group == group])) == 1


def test_the_written_table_says_what_was_read(faces: Path, tmp_path: Path) -> None:
    parts = cut_folds(read(faces), {"train": 0.5, "val": 0.5})
    write(parts, tmp_path / "folds.csv")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["folds.csv"]
    again = read(faces, tmp_path / "folds.csv")
    for name in ("files", "age", "female", "group", "fold"):
        assert [str(x) for x in getattr(again, name)] == [str(x) for x in getattr(parts, name)]


@pytest.mark.parametrize(
    ("shares", "fold", "told"),
    [
        ({"a": 0.5, "b": 0.5}, "tarin", "train"),
        ({"test": 0.5, "b": 0.5}, "train", "there is a fold 'test' already"),
        ({"a": 0.5, "b": 0.6}, None, "add up to 1"),
    ],
)
def test_what_cannot_be_cut_is_told(faces: Path, shares: dict[str, float], fold: str | None, told: str) -> None:
    with pytest.raises(UsageError, match=told):
        cut_folds(read(faces), shares, fold=fold)


def test_a_table_that_cannot_be_written_is_told(faces: Path, tmp_path: Path) -> None:
    manifest: Manifest = read(faces)
    with pytest.raises(DataError, match="cannot write"):
        write(manifest, tmp_path / "nowhere" / "folds.csv")


def test_bounds_of_ages_are_kept(tmp_path: Path) -> None:
    for name in ("a.png", "b.png"):
        (tmp_path / name).touch()
    table = tmp_path / "labels.csv"
    table.write_text("file,age,age_low,age_high,fold\na.png,,47.9,54.4,train\nb.png,30,,,train")
    write(cut_folds(read(table), {"one": 0.5, "two": 0.5}), tmp_path / "halves.csv")
    again = read(tmp_path, tmp_path / "halves.csv")
    assert [bounds.tolist() for bounds in again.bounds] == [pytest.approx([47.9, 30]), pytest.approx([54.4, 30])]
    assert sorted(again.fold.tolist()) == ["one", "two"]


def test_the_usual_fold(faces: Path) -> None:
    manifest = read(faces)
    assert [usual_fold(manifest, asked) for asked in (None, "train", "all")] == ["test", "train", None]
    assert usual_fold(manifest, None, "val") is None
    assert usual_fold(manifest, "tset") == "tset"  # selecting it will tell


def test_the_command_cuts_and_counts(faces: Path, tmp_path: Path) -> None:
    table = tmp_path / "halves.csv"
    parts = ["--into", "one=0.5", "--into", "two=0.5"]
    done = CliRunner().invoke(app, ["split", "--data", str(faces), "--fold", "train", *parts, "--output", str(table)])
    assert done.exit_code == 0, done.output
    assert "one: 24 faces\ntwo: 24 faces\n" in done.output
    assert len(read(faces, table).select(fold="one")) == 24


@pytest.mark.parametrize("into", [["a"], ["a=x"], ["=1"], ["a=nan"], ["a=0.5", "a=0.5"], ["a=0.7"]])
def test_shares_that_make_no_sense_are_refused(faces: Path, tmp_path: Path, into: list[str]) -> None:
    table = tmp_path / "halves.csv"
    given_parts = [word for part in into for word in ("--into", part)]
    done = CliRunner().invoke(app, ["split", "--data", str(faces), *given_parts, "--output", str(table)])
    assert done.exit_code != 0
    assert not table.exists()
