"""Files that are being written: a trap laid under the name of one that is not whole catches nothing."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from mien import sinks, unfinished
from mien.cli.output import check_folders, write
from mien.errors import UsageError
from mien.estimate import bundle
from mien.estimate.age_check import AgeChecks
from mien.results import Photo
from mien.sinks.pictures import AnnotatedFolder

PIXELS = np.zeros((60, 80, 3), np.uint8)


def by_sink(target: Path) -> None:
    with sinks.open_output(target) as stream:
        stream.write(b"mine")


def by_annotation(target: Path) -> None:
    with AnnotatedFolder(target.parent) as folder:
        folder.write(Photo("x.csv", "m", 80, 60, ()), PIXELS)


def by_age_checks(target: Path) -> None:
    bundle.write_age_checks(target.parent, AgeChecks({}, {}, 0.9, {}, "nothing"))


WAYS: dict[str, Callable[[Path], None]] = {
    "rows": by_sink,
    "report": lambda target: write("mine", target),
    "annotated picture": by_annotation,
    "age checks": by_age_checks,
}


@pytest.mark.parametrize("way", WAYS)
def test_links_that_were_laid_are_not_followed(way: str, tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.write_text("precious")
    folder = tmp_path / "shared"
    folder.mkdir()
    for name in (
        ".x.csv.part",
        f".x.csv.{os.getpid()}.part",
        f".mien.{os.getpid()}.part",
        ".age_checks.json.part",
        "x.csv.part",
    ):
        (folder / name).symlink_to(victim)
    before = set(folder.iterdir())
    WAYS[way](folder / "x.csv")
    assert victim.read_text() == "precious"
    (made,) = set(folder.iterdir()) - before
    assert not made.is_symlink()
    assert not made.name.startswith(".")


def test_names_cannot_be_foreseen_and_nothing_is_taken_over(tmp_path: Path) -> None:
    names = {unfinished.part_name(tmp_path / "a.csv") for _ in range(100)}
    assert len(names) == 100
    assert all(name.parent == tmp_path for name in names)
    for trap in ("file", "link", "lost link"):
        path = tmp_path / trap
        if trap == "file":
            path.write_text("there")
        else:
            path.symlink_to(tmp_path / ("file" if trap == "link" else "nowhere"))
        with pytest.raises(FileExistsError):
            unfinished.create(path)
    assert (tmp_path / "file").read_text() == "there"
    assert not (tmp_path / "nowhere").exists()


def test_long_names_fit(tmp_path: Path) -> None:
    target = tmp_path / ("a" * 250 + ".csv")
    by_sink(target)
    assert target.read_bytes() == b"mine"


def test_what_fails_leaves_nothing(tmp_path: Path) -> None:
    def fail() -> None:
        with sinks.open_output(tmp_path / "a.csv") as stream:
            stream.write(b"half")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "folder").mkdir()
    with pytest.raises(OSError, match="irectory"):
        unfinished.write_whole(tmp_path / "folder", b"mine")
    assert [path.name for path in tmp_path.iterdir()] == ["folder"]


@pytest.mark.parametrize("folder", ["nowhere", "nowhere/below"])
def test_a_folder_that_is_not_there_is_named_as_it_was_typed(
    folder: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    told = f"cannot write to {folder}/a.csv: there is no folder {folder}; make it first"
    for writer in (by_sink, by_text):
        with pytest.raises(UsageError, match=re.escape(told)):
            writer(Path(folder, "a.csv"))
    with pytest.raises(UsageError, match=re.escape(told)):
        check_folders(None, Path(folder, "a.csv"))
    assert list(tmp_path.iterdir()) == []


def test_a_folder_or_a_file_in_the_way_is_called_so(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"theirs")
    for writer in (by_sink, by_text):
        with pytest.raises(UsageError, match="which is a folder: name a file in it"):
            writer(tmp_path)
        with pytest.raises(UsageError, match="file is a file, not a folder"):
            writer(tmp_path / "file" / "a.csv")


def by_text(target: Path) -> None:
    write("mine", target)
