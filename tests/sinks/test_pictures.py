from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mien.drawing.faces import draw
from mien.errors import UsageError
from mien.results import Photo
from mien.sinks.pictures import AnnotatedFolder, CropFolder

PIXELS = np.full((480, 640, 3), 90, np.uint8)


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_picture_is_written_for_a_photo(answers: list[Photo], tmp_path: Path) -> None:
    with AnnotatedFolder(tmp_path / "new" / "folder") as folder:
        path = folder.write(answers[0], PIXELS)
    assert names(tmp_path / "new" / "folder") == ["Zoë-2.jpg"]
    with Image.open(path) as picture:
        assert (picture.format, picture.mode, picture.size) == ("JPEG", "RGB", (640, 480))
        assert np.ptp(np.asarray(picture)) > 150


def test_names_do_not_clash(answers: list[Photo], tmp_path: Path) -> None:
    sources = [
        "a/x.jpg",
        "b/x.jpg",
        "b/X.png",
        "t.tar::c/x.jpg",
        "t.tar::d/y.jpg",
        "-",
        "bytes:0",
        "..",
        "x/con: a?.jpg",
    ]
    with AnnotatedFolder(tmp_path) as folder:
        paths = [folder.write(replace(answers[1], source=source), PIXELS) for source in sources]
    written = ["x", "x-2", "X-3", "x-4", "y", "photo", "bytes-0", "photo-2", "con-a"]
    assert [path.stem for path in paths] == written
    assert len(names(tmp_path)) == len(sources)


def test_an_input_is_never_replaced(answers: list[Photo], tmp_path: Path) -> None:
    Image.fromarray(PIXELS).save(tmp_path / "b.jpg")
    (tmp_path / "c.jpg").write_bytes(b"no picture")
    before = {name: (tmp_path / name).read_bytes() for name in names(tmp_path)}
    with AnnotatedFolder(tmp_path) as folder:
        for source in ("b.jpg", "c.jpg"):
            folder.write(replace(answers[1], source=str(tmp_path / source)), PIXELS)
    assert {name: (tmp_path / name).read_bytes() for name in before} == before
    assert names(tmp_path) == ["b-2.jpg", "b.jpg", "c-2.jpg", "c.jpg"]


def test_a_second_run_replaces_the_pictures_of_the_first(answers: list[Photo], tmp_path: Path) -> None:
    for grey in (50, 200):
        with AnnotatedFolder(tmp_path) as folder:
            folder.write(answers[1], np.full_like(PIXELS, grey))
    assert names(tmp_path) == ["b.jpg"]
    with Image.open(tmp_path / "b.jpg") as picture:
        assert np.asarray(picture).mean() == pytest.approx(200, abs=2)


def test_nothing_half_written_stays(answers: list[Photo], tmp_path: Path) -> None:
    with AnnotatedFolder(tmp_path) as folder, pytest.raises(UsageError, match="cannot write"):
        folder.write(answers[1], np.zeros((1, 70_000, 3), np.uint8))  # JPEG ends at 65,535
    assert names(tmp_path) == []


def test_a_file_in_the_place_of_the_folder_is_a_usage_error(tmp_path: Path) -> None:
    (tmp_path / "x").touch()
    with pytest.raises(UsageError, match="cannot make the folder"):
        AnnotatedFolder(tmp_path / "x")


def test_a_name_of_many_bytes_is_cut(tmp_path: Path) -> None:
    pixels = np.zeros((40, 40, 3), np.uint8)
    with AnnotatedFolder(tmp_path) as folder:
        path = folder.write(Photo("\u9854" * 81 + ".jpg", "m", 40, 40), pixels)
    assert path.is_file()
    assert len(path.name.encode()) < 170


def test_several_faces_are_numbered_as_in_the_records(answers: list[Photo], tmp_path: Path) -> None:
    one, two = answers[0].faces
    with AnnotatedFolder(tmp_path / "a") as folder:
        both = folder.write(answers[0], PIXELS)
        alone = folder.write(replace(answers[0], faces=(one,)), PIXELS)
    for path, photo, numbers in ((both, answers[0], (0, 1)), (alone, replace(answers[0], faces=(one,)), None)):
        with Image.open(path) as picture:
            drawn = np.asarray(picture).astype(float)
        assert np.abs(drawn - draw(PIXELS, photo, numbers=numbers)).mean() < 2
    assert not np.array_equal(draw(PIXELS, answers[0]), draw(PIXELS, answers[0], numbers=(0, 1)))
    assert two is not one


def test_crops_are_named_after_photo_and_face(answers: list[Photo], tmp_path: Path) -> None:
    (tmp_path / "x-face1.jpg").write_bytes(b"not mine")
    chips = np.stack([np.full((32, 32, 3), shade, np.uint8) for shade in (60, 200)])
    folder = CropFolder(tmp_path)
    found = [folder.write(replace(answers[0], source=f"{place}/x.png"), chips) for place in "ab"]
    assert [[path.name for path in paths] for paths in found] == [
        ["x-2-face0.jpg", "x-2-face1.jpg"],
        ["x-3-face0.jpg", "x-3-face1.jpg"],
    ]
    with Image.open(found[1][1]) as picture:
        assert np.asarray(picture).mean() == pytest.approx(200, abs=1)
    assert (tmp_path / "x-face1.jpg").read_bytes() == b"not mine"
    assert folder.write(replace(answers[0], faces=()), chips[:0]) == []
