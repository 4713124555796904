from collections.abc import Callable, Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from mien.errors import DataError, UsageError
from mien.faces import DetectorOptions, create
from mien.faces.align import CropContract, align
from mien.learn.data import detector_boxes
from mien.learn.data.detector_boxes import crop, find_box, find_boxes, in_large_files
from mien.learn.data.manifest import Manifest
from mien.learn.data.readers import read
from mien.photos.decode import decode

Pixels = NDArray[np.uint8]


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    """OpenCV's threads wait for each other where the machine is busy."""
    before = cv2.getNumThreads()
    cv2.setNumThreads(1)
    yield
    cv2.setNumThreads(before)


@pytest.fixture(scope="module")
def portraits(examples: Path) -> list[Pixels]:
    """The sample portraits, aligned to chips of 200 pixels."""
    detector = create("mtcnn", DetectorOptions(min_face=60))
    pictures = [decode((examples / name).read_bytes()).pixels for name in ("astronaut.jpg", "hopper.jpg")]
    return [align(pixels, detector.detect(pixels)[0], CropContract.utkface()) for pixels in pictures]


@pytest.fixture
def chips(tmp_path: Path, portraits: list[Pixels]) -> Manifest:
    """Two faces, a chip without one, one that cannot be read and one that is gone."""
    folder = tmp_path / "set"
    folder.mkdir()
    for name, chip in zip("ab", portraits, strict=True):
        Image.fromarray(chip).save(folder / f"{name}.png")
    Image.new("RGB", (200, 200), (90, 120, 150)).save(folder / "plain.png")
    (folder / "broken.png").write_bytes(b"no picture")
    names = ("a.png", "b.png", "plain.png", "broken.png", "gone.png")
    (folder / "t.csv").write_text("file,age\n" + "".join(f"{name},30\n" for name in names), encoding="utf-8")
    return read(folder / "t.csv")


@pytest.mark.parametrize("name", ["haar", "mtcnn"])
def test_boxes_lie_on_the_faces_and_the_rest_is_counted(chips: Manifest, name: str) -> None:
    lines: list[str] = []
    boxes = find_boxes(chips, name, report=lines.append)
    assert set(boxes.found) == {"a.png", "b.png", "plain.png"}
    assert set(boxes.unreadable) == {"broken.png"}
    assert boxes.found["plain.png"] is None
    assert boxes.misses == 1
    assert lines[-1] == f"{name}: no face in 1 of 3 chips, which are used whole"
    for file in ("a.png", "b.png"):
        box = boxes.found[file]
        assert box is not None
        left, top, right, bottom = box
        for x, y in CropContract.utkface().landmarks:  # of an aligned chip
            assert left < x < right
            assert top < y < bottom


def test_a_box_follows_the_face(portraits: list[Pixels]) -> None:
    haar = create("haar", DetectorOptions())
    before = find_box(portraits[0], haar)
    canvas = np.full((260, 260, 3), 128, np.uint8)
    canvas[10:210, 50:250] = portraits[0]
    after = find_box(canvas, haar)
    assert before is not None
    assert after is not None
    np.testing.assert_allclose(np.subtract(after, before), [50, 10, 50, 10], atol=12)


def test_small_and_far_faces_are_not_believed(portraits: list[Pixels]) -> None:
    haar = create("haar", DetectorOptions())
    small = np.full((400, 400, 3), 128, np.uint8)
    small[120:280, 120:280] = cv2.resize(portraits[0], (160, 160))
    assert haar.detect(small)
    assert find_box(small, haar) is None
    corner = np.full((400, 400, 3), 128, np.uint8)
    corner[180:, 180:] = cv2.resize(portraits[0], (220, 220))
    assert haar.detect(corner)
    assert find_box(corner, haar) is None


def test_crop_keeps_proportions_and_stays_inside() -> None:
    pixels = np.arange(100 * 120 * 3, dtype=np.uint32).astype(np.uint8).reshape(100, 120, 3)
    np.testing.assert_array_equal(crop(pixels, (20, 30, 60, 70)), pixels[30:70, 20:60])
    np.testing.assert_array_equal(crop(pixels, (-30, -20, 50, 60)), pixels[:80, :80])  # moved inside
    np.testing.assert_array_equal(crop(pixels, (50, 70, 130, 110)), pixels[40:, 60:])  # mean side 60
    np.testing.assert_array_equal(crop(pixels, (-50, -50, 170, 150)), pixels[:, 10:110])  # larger than the chip
    assert crop(pixels, None) is pixels


def test_the_cache_is_read_completed_and_whole(
    chips: Manifest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cache = tmp_path / "boxes" / "haar.csv"
    first = find_boxes(chips.take(np.array([0, 2])), "haar", cache=cache)
    looked = _count_looks(monkeypatch)
    assert find_boxes(chips.take(np.array([2, 0])), "haar", cache=cache).found == first.found
    assert looked() == 0
    everything = find_boxes(chips, "haar", cache=cache)
    assert looked() == 1  # b.png; broken.png is tried, but never seen by the detector
    assert everything.found["a.png"] == first.found["a.png"]
    assert [path.name for path in cache.parent.iterdir()] == ["haar.csv"]
    assert find_boxes(chips, "haar").found == everything.found


def test_another_picture_of_the_same_name_is_looked_at_anew(
    chips: Manifest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cache = tmp_path / "haar.csv"
    find_boxes(chips, "haar", cache=cache)
    Image.new("RGB", (210, 210), (9, 9, 9)).save(chips.paths[0])
    looked = _count_looks(monkeypatch)
    assert find_boxes(chips, "haar", cache=cache).found["a.png"] is None
    assert looked() == 1


def test_caches_of_others_are_refused_or_made_anew(chips: Manifest, tmp_path: Path) -> None:
    cache = tmp_path / "boxes.csv"
    found = find_boxes(chips, "haar", cache=cache)
    with pytest.raises(DataError, match="does not hold boxes of mtcnn"):
        find_boxes(chips, "mtcnn", cache=cache)
    with pytest.raises(DataError, match="margin 0"):
        find_boxes(chips, "haar", cache=cache, margin=0)
    text = cache.read_text(encoding="utf-8")
    title, _, rest = text.partition("\n")
    cache.write_text(title + ".older\n" + rest.replace("200", "100"), encoding="utf-8")
    assert find_boxes(chips, "haar", cache=cache).found == found.found
    assert cache.read_text(encoding="utf-8") == text
    cache.write_text(f"{title}\nfile,left\na.png,wide\n", encoding="utf-8")
    with pytest.raises(DataError, match="damaged"):
        find_boxes(chips, "haar", cache=cache)


def test_what_cannot_be_done_is_said(chips: Manifest) -> None:
    with pytest.raises(UsageError, match="did you mean 'haar'"):
        find_boxes(chips, "harr")
    with pytest.raises(DataError, match="same name"):
        find_boxes(Manifest.concatenate([chips, chips]), "haar")


def test_small_files_can_be_left_out(chips: Manifest) -> None:
    bytes_of = {file: path.stat().st_size for file, path in zip(chips.files, chips.paths, strict=True) if path.exists()}
    limit = bytes_of["plain.png"] + 1
    assert in_large_files(chips, limit).files.tolist() == ["a.png", "b.png", "gone.png"]
    assert len(in_large_files(chips, 0)) == len(chips)


def test_haar_finds_nearly_all_faces_of_the_data(shared: Path) -> None:
    data = shared / "data" / "utkface"
    faces = read(data, data / "splits.csv").select(fold="val").present()
    some = faces.take(np.arange(0, len(faces), len(faces) // 60))
    boxes = find_boxes(some, "haar", threads=1)
    assert boxes.misses <= 0.1 * len(some)
    sides = [right - left for left, _, right, _ in filter(None, boxes.found.values())]
    assert 190 < np.median(sides) < 220


def _count_looks(monkeypatch: pytest.MonkeyPatch) -> Callable[[], int]:
    """How often a detector was shown a chip from here on."""
    looks: list[None] = []
    real = detector_boxes.find_box

    def counted(*arguments: object) -> object:
        looks.append(None)
        return real(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(detector_boxes, "find_box", counted)
    return lambda: len(looks)
