from __future__ import annotations

import io
import itertools
import shutil
import tarfile
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

import mien
from mien.analyzer import Analyzer, Options, PhotoRequest
from mien.errors import NotAnImage, PhotoError, PhotoMissing, UsageError
from mien.estimate import bundle
from mien.estimate.calibrate import Calibration
from mien.estimate.estimator import Estimates
from mien.faces import Detection, DetectorOptions
from mien.looking import smallest
from mien.photos.decode import DecodeOptions
from mien.photos.sources import Item
from mien.results import Box, Photo


def picture(years: int, size: tuple[int, int] = (40, 40)) -> NDArray[np.uint8]:
    """A chip whose age the tiny model reads off its brightness."""
    return np.full((*size, 3), round(years * 2.55), np.uint8)


def png(years: int, size: tuple[int, int] = (40, 40)) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(picture(years, size)).save(stream, "PNG")
    return stream.getvalue()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for years in range(10, 80):
        (tmp_path / f"{years}.png").write_bytes(png(years))
    return tmp_path


@pytest.fixture(scope="module")
def whole(tiny_bundle: Path) -> Analyzer:
    return Analyzer(tiny_bundle, Options(detector="whole", threads=1, batch_size=8))


def years(photos: Iterator[Photo]) -> list[int | None]:
    return [round(photo.faces[0].age.years) if photo.faces else None for photo in photos]


def photos_of(analyzer: Analyzer, folder: Path) -> list[Photo]:
    return list(analyzer.stream(folder))


class Corner:
    """Finds one face in the top left quarter of each picture, or none in a black one."""

    name: ClassVar[str] = "corner"
    aligned: ClassVar[bool] = False

    def detect(self, pixels: NDArray[np.uint8], min_face: float | None = None) -> list[Detection]:
        height, width = pixels.shape[:2]
        if not pixels.any():
            return []
        return [Detection(Box(0, 0, width / 2, height / 2), 0.5, tuple((10.0 * i, 5.0 * i) for i in range(5)))]


@pytest.mark.parametrize(
    "form", [str, Path, bytes, bytearray, memoryview, io.BytesIO, "open", "pil", "array", "ints", "batch", Item]
)
def test_a_photo_may_come_in_any_form(whole: Analyzer, tmp_path: Path, form: Any) -> None:
    path = tmp_path / "a.png"
    path.write_bytes(png(30))
    given: Any = {
        str: str(path),
        Path: path,
        bytes: png(30),
        "pil": Image.fromarray(picture(30)),
        bytearray: bytearray(png(30)),
        memoryview: memoryview(png(30)),
        io.BytesIO: io.BytesIO(png(30)),
        "open": Rewound(png(30)),
        "array": picture(30),
        "ints": picture(30).astype(np.int64),
        "batch": picture(30)[None],
        Item: Item("a.png", lambda: png(30)),
    }[form]
    photo = whole(given)
    if form is io.BytesIO:
        given.seek(0)
    assert (photo.width, photo.height, len(photo.faces), photo.error) == (40, 40, 1, None)
    assert photo.faces[0].age.years == pytest.approx(30, abs=0.2)
    assert photo.model == "tiny"
    assert next(whole.stream([given])).faces == photo.faces
    if form is io.BytesIO:
        given.seek(0)
    assert next(whole.stream(given)).faces == photo.faces


class Rewound:
    """An open file of another library: nothing but `read`, and it begins anew."""

    def __init__(self, data: bytes) -> None:
        self.data = data

    def read(self, most: int) -> bytes:
        return self.data[:most]


def test_a_batch_of_arrays_is_so_many_photos(whole: Analyzer) -> None:
    batch = np.stack([picture(age) for age in (20, 50, 30)])
    assert years(whole.stream(batch)) == [20, 50, 30]
    assert years(whole.stream([picture(40), batch])) == [40, 20, 50, 30]
    with pytest.raises(NotAnImage, match=r"\[3, 40, 40, 3\] holds several photos: use stream"):
        whole(batch)
    with pytest.raises(NotAnImage, match="no photo"):
        whole(batch[:0])


def test_open_files_that_cannot_be_used(whole: Analyzer) -> None:
    with pytest.raises(UsageError, match="binary mode"):
        whole(io.StringIO("text"))  # type: ignore[arg-type]
    closed = io.BytesIO(png(20))
    closed.close()
    photos = list(whole.stream([closed, io.BytesIO(png(20)), io.BytesIO()]))
    assert [photo.error and photo.error.kind for photo in photos] == ["unreadable", None, "empty"]


@pytest.mark.parametrize("way", ["__call__", "explain", "annotate"])
@pytest.mark.parametrize("name", ["nowhere.jpg", Path("no/where.jpg")])
def test_a_missing_photo_is_a_missing_file(whole: Analyzer, way: str, name: str | Path) -> None:
    with pytest.raises(FileNotFoundError, match="no file lies at") as raised:
        getattr(whole, way)(name)
    assert isinstance(raised.value, PhotoMissing)


@pytest.mark.parametrize("shape", ["ints", "grey", "mode I", "floats"])
def test_numbers_of_other_kinds_have_the_same_face(whole: Analyzer, shape: str) -> None:
    grey = picture(30)[..., 0]
    given: Any = {
        "ints": grey.astype(np.int32),
        "grey": grey,
        "mode I": Image.fromarray(grey.astype(np.int32)),
        "floats": (grey / 255).astype(np.float32),
    }[shape]
    assert whole(given).faces[0].age.years == pytest.approx(30, abs=0.2)


def test_arrays_are_rgb_unless_bgr_is_said(whole: Analyzer) -> None:
    red = np.zeros((40, 40, 3), np.uint8)
    red[..., 0] = 255
    assert whole(red).faces[0].gender.label == "female"
    assert whole(red[..., ::-1], bgr=True).faces[0].gender.label == "female"
    assert whole(red, bgr=True).faces[0].gender.label == "male"
    assert next(whole.stream([red], bgr=True)).faces[0].gender.label == "male"


def test_results_are_native_types(whole: Analyzer) -> None:
    face = whole(picture(40)).faces[0]
    assert type(face.age.years) is type(face.age.low) is type(face.gender.probability) is float
    assert {type(mass) for mass in face.age.pmf} == {float}
    assert len(face.age.pmf) == 117
    assert face.age.low < face.age.median < face.age.high


def test_the_level_widens_the_interval(tiny_bundle: Path) -> None:
    widths = []
    for level in (0.5, 0.95):
        age = mien.load(tiny_bundle, detector="whole", threads=1, level=level)(picture(40)).faces[0].age
        assert age.level == level
        widths.append(age.high - age.low)
    spread = np.hypot(4, 3)  # the model's own, and that of stated ages
    assert widths == [pytest.approx(2 * 0.674 * spread, abs=1.5), pytest.approx(2 * 1.96 * spread, abs=2)]


@pytest.mark.parametrize(
    ("redness", "label"), [(0.0, "uncertain"), (0.1, "uncertain"), (0.4, "female"), (-0.4, "male")]
)
def test_the_model_may_abstain_from_a_gender(tiny_bundle: Path, redness: float, label: str) -> None:
    chip = picture(40).astype(np.float64)
    chip[..., 0] += 127 * redness
    chip[..., 2] -= 127 * redness
    analyzer = mien.load(tiny_bundle, detector="whole", threads=1, abstain=0.9)
    gender = analyzer(chip.round().astype(np.uint8)).faces[0].gender
    assert gender.label == label
    assert 0.5 <= gender.probability <= 1
    assert (gender.probability >= 0.9) == (label != "uncertain")


def test_a_poor_view_is_flagged_and_gets_a_wider_interval(tiny_bundle: Path, tmp_path: Path) -> None:
    folder = tmp_path / "tiny"
    shutil.copytree(tiny_bundle, folder)
    config = bundle.read(folder).config
    widening = Calibration(1, 1, ((0.9, 0.9),), doubtful=((0.9, 0.99),))
    bundle.write_config(folder, replace(config, calibration=widening))
    grain = np.random.default_rng(0).choice([-18, 18], (64, 64))
    sharp = (picture(40, (64, 64)) + grain[..., None]).astype(np.uint8)
    analyzer = mien.load(folder, detector="whole", threads=1)
    good, blurred, small = (analyzer(chip).faces[0] for chip in (sharp, picture(40, (64, 64)), sharp[::2, ::2]))
    assert good.quality.flags == ()
    assert good.quality.turn is None
    assert blurred.quality.flags == ("blurred",)
    assert "small" in small.quality.flags
    assert small.quality.eyes == pytest.approx(good.quality.eyes / 2)
    assert blurred.age.high - blurred.age.low > 1.3 * (good.age.high - good.age.low)


def test_a_call_raises_what_is_wrong(whole: Analyzer, folder: Path) -> None:
    with pytest.raises(PhotoMissing):
        whole(folder / "none.png")
    with pytest.raises(NotAnImage):
        whole(b"hello")
    with pytest.raises(NotAnImage):
        whole(np.zeros((2, 40, 40, 3), np.uint8))
    with pytest.raises(UsageError, match="use stream"):
        whole(folder)
    with pytest.raises(UsageError, match="not int"):
        whole(7)  # type: ignore[arg-type]


def test_a_stream_keeps_the_order_and_tells_errors(whole: Analyzer, folder: Path) -> None:
    (folder / "30.png").write_bytes(b"no picture")
    (folder / "31.png").write_bytes(b"")
    (folder / "32.png").write_bytes(png(32)[:-30])
    photos = list(whole.stream([folder, "nowhere.png"]))
    assert [photo.source for photo in photos] == [*(str(folder / f"{y}.png") for y in range(10, 80)), "nowhere.png"]
    bad = {20: "not_an_image", 21: "empty", 22: "truncated", 70: "missing"}
    for index, photo in enumerate(photos):
        assert (photo.error and photo.error.kind) == bad.get(index)
        assert years(iter([photo])) == [None if index in bad else index + 10]


@pytest.mark.parametrize(
    "options", [{"batch_size": 1}, {"batch_size": 100}, {"threads": 4}, {"threads": 3, "batch_size": 5}]
)
def test_batches_and_threads_change_nothing(
    whole: Analyzer, tiny_bundle: Path, folder: Path, options: dict[str, int]
) -> None:
    one_by_one = [whole(folder / f"{y}.png").to_dict(pmf=True) for y in range(10, 80)]
    analyzer = Analyzer(tiny_bundle, Options(**{"detector": "whole", "threads": 1, **options}))  # type: ignore[arg-type]
    assert [photo.to_dict(pmf=True) for photo in analyzer.stream(folder)] == one_by_one


def test_threads_may_share_an_analyzer(tiny_bundle: Path, folder: Path) -> None:
    analyzer = Analyzer(tiny_bundle, Options(detector="whole", threads=2, batch_size=4))
    alone = photos_of(analyzer, folder)
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(lambda _: photos_of(analyzer, folder), range(8)))
    assert together == [alone] * 8


@pytest.mark.parametrize("threads", [1, 3])
def test_a_stream_is_lazy_and_bounded(tiny_bundle: Path, threads: int) -> None:
    analyzer = Analyzer(tiny_bundle, Options(detector="whole", threads=threads, batch_size=4))
    taken = itertools.count()
    photos = analyzer.stream(picture(20 + next(taken) % 60) for _ in itertools.count())
    assert years(itertools.islice(photos, 10)) == list(range(20, 30))
    assert next(taken) <= 12 + 2 * threads + 1
    photos.close()


def test_closing_a_stream_early_ends_its_threads(tiny_bundle: Path) -> None:
    before = threading.active_count()
    stream = Analyzer(tiny_bundle, Options(detector="whole", threads=3)).stream(picture(1) for _ in itertools.count())
    next(stream)
    assert threading.active_count() > before
    stream.close()
    assert threading.active_count() == before


def test_photos_without_faces_do_not_pile_up(tiny_bundle: Path) -> None:
    analyzer = Analyzer(tiny_bundle, Options(detector="whole", threads=1, batch_size=4))
    analyzer.detector = Corner()
    taken = itertools.count()
    photos = analyzer.stream(picture(next(taken) * 0) for _ in itertools.count())
    assert next(photos).faces == ()
    assert next(taken) <= 5


def test_an_unexpected_fault_costs_one_photo(tiny_bundle: Path, folder: Path) -> None:
    class Faulty(Corner):
        def detect(self, pixels: NDArray[np.uint8], min_face: float | None = None) -> list[Detection]:
            if pixels[0, 0, 0] == picture(12)[0, 0, 0]:
                raise ZeroDivisionError("twelve")
            return super().detect(pixels, min_face)

    analyzer = Analyzer(tiny_bundle, Options(threads=1))
    analyzer.detector = Faulty()
    photos = photos_of(analyzer, folder)
    failed = [photo for photo in photos if photo.error]
    assert [Path(photo.source).name for photo in failed] == ["12.png"]
    assert failed[0].error is not None
    assert failed[0].error.kind == "internal"
    assert "ZeroDivisionError: twelve" in failed[0].error.message
    assert len(photos) == 70


@pytest.mark.parametrize("threads", [1, 2])
def test_an_interrupt_is_no_fault(tiny_bundle: Path, threads: int) -> None:
    def photos() -> Iterator[Any]:
        yield picture(20)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        list(Analyzer(tiny_bundle, Options(detector="whole", threads=threads)).stream(photos()))


def test_boxes_are_in_pixels_of_the_full_photo(tiny_bundle: Path) -> None:
    analyzer = Analyzer(tiny_bundle, Options(threads=1, decode=DecodeOptions(target_side=100)))
    analyzer.detector = Corner()
    ((photo, decoded),) = analyzer.stream_with_pictures([png(50, (200, 400))])
    assert decoded is not None
    assert decoded.pixels.shape == (50, 100, 3)
    assert (photo.width, photo.height) == (400, 200)
    assert photo.faces[0].box == Box(0, 0, 200, 100)
    assert photo.faces[0].landmarks == tuple((40.0 * i, 20.0 * i) for i in range(5))
    assert photo.faces[0].score == 0.5


def test_pictures_come_beside_their_answers(whole: Analyzer) -> None:
    given = [png(20), b"no picture", png(40)]
    pairs = list(whole.stream_with_pictures(given))
    assert [decoded is not None for _, decoded in pairs] == [True, False, True]
    assert pairs[2][1] is not None
    assert (pairs[2][1].pixels == 102).all()


def test_faces_of_one_photo_stay_together(tiny_bundle: Path) -> None:
    """Photos with different numbers of faces, in batches that cut across them."""

    class Stripes(Corner):
        def detect(self, pixels: NDArray[np.uint8], min_face: float | None = None) -> list[Detection]:
            count = pixels.shape[1] // 40
            return [Detection(Box(40 * i, 0, 40 * i + 40, 40), None, None) for i in range(count)]

    strips = [
        np.concatenate([picture(10 * n + 3 * i) for i in range(n)] or [picture(0)[:, :1]], axis=1)
        for n in (2, 0, 5, 1, 3)
    ]
    results = []
    for batch_size in (1, 3, 100):
        analyzer = Analyzer(tiny_bundle, Options(threads=1, batch_size=batch_size))
        analyzer.detector = Stripes()
        results.append([photo.to_dict() for photo in analyzer.stream(strips)])
        assert [len(record["faces"]) for record in results[-1]] == [2, 0, 5, 1, 3]
    assert results[0] == results[1] == results[2]


def test_an_archive_and_a_path_as_text(whole: Analyzer, tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "x.tar", "w") as archive:
        for age in (30, 20):
            info = tarfile.TarInfo(f"{age}.png")
            info.size = len(png(age))
            archive.addfile(info, io.BytesIO(png(age)))
    assert years(whole.stream(str(tmp_path / "x.tar"))) == [30, 20]


@pytest.mark.parametrize(
    "options",
    [
        {"level": 0},
        {"level": 1.0},
        {"threads": -1},
        {"batch_size": 0},
        {"min_face": 2},
        {"rotate": 45},
        {"rotate": "upright"},
        {"detector": "mtcn"},
        {"treads": 2},
    ],
)
def test_impossible_options_are_usage_errors(tiny_bundle: Path, options: dict[str, Any]) -> None:
    with pytest.raises(UsageError):
        mien.load(tiny_bundle, **options)


def test_weights_may_be_named_by_text(tiny_bundle: Path) -> None:
    with pytest.raises(mien.MienError, match=r"nowhere\.onnx"):
        mien.load(tiny_bundle, detector="yunet", weights="nowhere.onnx")


def test_options_name_the_limits_of_detectors() -> None:
    assert smallest(Options().min_face, 640) == DetectorOptions().min_face


def test_limits_on_photos_hold(tiny_bundle: Path, tmp_path: Path) -> None:
    (tmp_path / "x.png").write_bytes(png(20))
    analyzer = mien.load(tiny_bundle, detector="whole", threads=1, decode=DecodeOptions(max_pixels=1599))
    with pytest.raises(PhotoError, match="limit"):
        analyzer(tmp_path / "x.png")
    analyzer = mien.load(tiny_bundle, detector="whole", threads=1, decode=DecodeOptions(max_bytes=10))
    assert next(analyzer.stream(tmp_path)).error is not None


def test_a_face_of_almost_any_age_is_flagged_whatever_level_is_asked_for(tiny_bundle: Path) -> None:
    for level in (0.5, 0.9, 0.99):
        analyzer = mien.load(tiny_bundle, detector="whole", threads=1, level=level)
        assert "vague" not in analyzer(picture(40)).faces[0].quality.flags
        draft = analyzer.find_faces(picture(40), "x")
        flat = Estimates(np.full((1, 117), 1 / 117, np.float32), np.array([0.5], np.float32))
        (photo,) = analyzer.results(flat, [draft])
        assert photo.faces[0].quality.flags == (*draft.qualities[0].flags, "vague")
        assert photo.faces[0].gender.label == "uncertain"


def test_a_photo_is_explained(tiny_bundle: Path) -> None:
    analyzer = mien.load(tiny_bundle, detector="whole", threads=1)
    told = analyzer.explain(picture(40), target="gender", face=1)
    assert told.photo == analyzer(picture(40))
    assert told.numbers == (1,)
    assert told.faces == told.photo.faces
    size = analyzer.config.contract.size
    assert told.chips.shape == (1, size, size, 3)
    assert told.chips.dtype == np.uint8
    (why,) = told.explanations
    assert (why.target, why.method) == ("gender", "occlusion")
    assert 1 / (1 + np.exp(-why.value)) == pytest.approx(told.faces[0].gender.female, abs=1e-4)
    (record,) = told.to_dict()["faces"]
    assert record["number"] == 1
    assert record["explanation"] == why.to_dict()


def test_what_cannot_be_explained(tiny_bundle: Path) -> None:
    analyzer = mien.load(tiny_bundle, detector="whole", threads=1)
    for options, words in (({"face": 2}, "face is 2"), ({"target": "mood"}, "mood"), ({"method": "cramming"}, "cram")):
        with pytest.raises(UsageError, match=words):
            analyzer.explain(picture(40), **options)
    with pytest.raises(NotAnImage):
        analyzer.explain(b"no picture")
    nothing = mien.load(tiny_bundle, threads=1).explain(picture(40))
    assert (nothing.numbers, nothing.explanations, len(nothing.chips)) == ((), (), 0)


def test_a_photo_is_annotated(examples: Path, tiny_bundle: Path) -> None:
    analyzer = mien.load(tiny_bundle, threads=1)
    photo, pixels = analyzer.annotate(examples / "hopper.jpg")
    assert photo == analyzer(examples / "hopper.jpg")
    assert pixels.dtype == np.uint8
    assert pixels.shape == (photo.height, photo.width, 3)
    with Image.open(examples / "hopper.jpg") as plain:
        changed = (np.asarray(plain.convert("RGB")).astype(int) != pixels).any(axis=2)
    box = photo.faces[0].box
    assert changed[round(box.top) - 1 : round(box.bottom) + 1, round(box.left)].mean() > 0.5
    with pytest.raises(PhotoError):
        analyzer.annotate(examples / "none.jpg")
    with pytest.raises(UsageError, match="one at a time"):
        analyzer.annotate(examples)


def test_one_photo_may_be_asked_for_less(tiny_bundle: Path, examples: Path) -> None:
    analyzer = mien.load(tiny_bundle, threads=1, detector="whole")
    request = PhotoRequest(level=0.5, abstain=1.0)
    (narrow,) = analyzer.estimate([analyzer.find_faces(picture(40), "x", request=request)])
    (usual,) = analyzer.estimate([analyzer.find_faces(picture(40), "x")])
    assert (narrow.faces[0].age.level, usual.faces[0].age.level) == (0.5, 0.9)
    assert narrow.faces[0].age.high < usual.faces[0].age.high
    assert narrow.faces[0].gender.label == "uncertain"
    assert narrow.faces[0].gender.female == usual.faces[0].gender.female
    for wrong in ({"level": 1.0}, {"abstain": 0.4}, {"max_faces": 0}):
        with pytest.raises(UsageError):
            PhotoRequest(**wrong)
