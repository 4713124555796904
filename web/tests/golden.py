"""Golden values of the real Python code, for the tests of the TypeScript: made anew in each test run, never kept.

python web/tests/golden.py OUT.json
"""

from __future__ import annotations

import json
import sys
from base64 import b64encode
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from mien.age_check import AgeChecker
from mien.analyzer import Analyzer, Options
from mien.drawing.maps import heat
from mien.errors import PhotoError, UsageError
from mien.estimate import bundle
from mien.estimate.calibrate import Calibration, expectation, intervals, median
from mien.estimate.explain import Explanation, Region, explain
from mien.estimate.maps import pixels as laid_out
from mien.estimate.maps import veiled
from mien.estimate.quality import eye_distance, sharpness, turn
from mien.faces import BELOW, Detection
from mien.faces.align import CropContract, align, points_in_box, resize_chip, similarity
from mien.faces.mtcnn import _propose
from mien.faces.nms import suppress
from mien.faces.pyramid import Pyramid
from mien.faces.regions import regions
from mien.looking import Rotation, see, turned_back
from mien.photos.decode import DecodeOptions, Fit, Picture, decode
from mien.photos.formats import rejection, sniff
from mien.photos.pixels import average, fitted, shrink
from mien.results import Age, Box, Face, Gender, Quality
from mien.video.smooth import Average, weight
from mien.video.tracker import Tracker

ROOT = Path(__file__).resolve().parents[2]
EXAMPLES = ROOT / "examples"

READ = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "AVIF", "HEIF", "PNM")
"""Formats that the browser's half tells apart; Python reads more."""

MODELS = ("mien-m", "mien-s")
"""What the page offers."""


def pack(array: NDArray[Any]) -> dict[str, Any]:
    """An array as text."""
    kind = {"u": "u1", "f": "f8", "i": "f8", "b": "u1"}[array.dtype.kind]
    return {"shape": list(array.shape), "kind": kind, "data": b64encode(array.astype(f"<{kind}").tobytes()).decode()}


def smooth_noise(rng: np.random.Generator, height: int, width: int) -> NDArray[np.uint8]:
    """Something like a photo: noise with coarse structure, and hard edges."""
    noise = cv2.resize(rng.uniform(0, 255, (height // 4 + 2, width // 4 + 2, 3)), (width, height))
    noise += rng.normal(0, 12, noise.shape)
    noise[height // 3 : height // 2, width // 4 : width // 2] = (250, 10, 90)
    return np.clip(noise, 0, 255).astype(np.uint8)


def resizing(rng: np.random.Generator) -> dict[str, Any]:
    source = smooth_noise(rng, 90, 121)
    sizes = [(60, 45), (40, 30), (37, 29), (121, 90), (11, 9), (1, 1), (100, 89), (60, 90)]
    small = source[:20, :17]
    return {
        "source": pack(source),
        "area": [
            {"size": size, "out": pack(cv2.resize(source[:90, :120], size, interpolation=cv2.INTER_AREA))}
            for size in sizes
            if size[0] <= 120
        ],
        "linear": [
            {"size": size, "out": pack(cv2.resize(small, size, interpolation=cv2.INTER_LINEAR))}
            for size in [(96, 96), (40, 33), (17, 20), (17, 60)]
        ],
    }


def pyramid(rng: np.random.Generator) -> dict[str, Any]:
    source = smooth_noise(rng, 151, 203)
    made = Pyramid(source, 24)
    corners = rng.uniform(-30, 140, (40, 2))
    sides = np.exp(rng.uniform(np.log(6), np.log(200), (40, 1)))
    squares = np.hstack([corners, corners + sides]).astype(np.float32)
    return {
        "source": pack(source),
        "octaves": [pack(octave) for octave in made.octaves],
        "shrink": [
            {"size": size, "out": pack(made.shrink(*size))} for size in [(58, 43), (203, 151), (90, 70), (7, 5)]
        ],
        "squares": pack(squares),
        "crops": {str(size): pack(made.crop(squares, size)) for size in (24, 48)},
    }


def suppression(rng: np.random.Generator) -> list[dict[str, Any]]:
    cases = []
    for count in (0, 1, 30, 200):
        corners = rng.uniform(0, 60, (count, 2))
        boxes = np.hstack([corners, corners + rng.uniform(5, 40, (count, 2))]).astype(np.float32)
        scores = rng.uniform(0, 1, count).round(1).astype(np.float32)  # many are equal
        for threshold in (0.3, 0.7):
            for relative in ("union", "smaller"):
                kept = suppress(boxes, scores, threshold, relative_to=relative)  # type: ignore[arg-type]
                cases.append(
                    {"boxes": pack(boxes), "scores": pack(scores), "threshold": threshold, "relative": relative}
                    | {"kept": kept.tolist()}
                )
    return cases


def alignment(rng: np.random.Generator) -> list[dict[str, Any]]:
    source = smooth_noise(rng, 300, 280)
    cases: list[dict[str, Any]] = []
    for scale, degrees, x, y in [
        (0.3, 0, 60, 70),
        (0.5, 20, 90, 60),
        (1.0, -15, 40, 60),
        (1.7, 5, -30, 20),
        (0.9, 180, 250, 250),
    ]:
        for size in (96, 192):
            contract = CropContract.utkface(size)
            angle = np.deg2rad(degrees)
            spin = scale * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
            points = np.array(CropContract.utkface(200).landmarks) @ spin.T + (x, y) + rng.normal(0, 2, (5, 2))
            face = Detection(Box(0, 0, 1, 1), 1.0, tuple((float(a), float(b)) for a, b in points))
            chip = align(source, face, contract)
            assert face.landmarks is not None
            cases.append(
                {
                    "contract": contract.to_dict(),
                    "points": points.tolist(),
                    "matrix": similarity(points, np.array(contract.landmarks)).ravel().tolist(),
                    "chip": pack(chip),
                    "veiled": pack(veiled(chip[None])[0]),
                    "sharpness": sharpness(chip),
                    "eyes": eye_distance(face.landmarks, contract),
                    "turn": turn(face.landmarks),
                }
            )
    cases[0]["source"] = pack(source)
    return cases


def chips(rng: np.random.Generator) -> dict[str, Any]:
    contract = CropContract.utkface(96)
    sources = [smooth_noise(rng, *size) for size in [(96, 96), (200, 200), (40, 40), (150, 97), (60, 140)]]
    return {
        "contract": contract.to_dict(),
        "regions": pack(regions(contract)),
        "resized": [{"source": pack(source), "chip": pack(resize_chip(source, contract))} for source in sources],
        "in_box": [
            {"box": box.to_dict(), "points": [list(point) for point in points_in_box(box)]}
            for box in (Box(10, 20, 110, 150), Box(0, 0, 50, 50))
        ],
    }


def distributions(rng: np.random.Generator) -> dict[str, Any]:
    years = np.arange(117)
    made = [rng.dirichlet(np.full(117, 0.2)) for _ in range(8)]
    made += [
        np.exp(-0.5 * ((years - centre) / spread) ** 2)
        for centre, spread in [(2, 1), (18, 3), (40, 6), (77, 9), (110, 12)]
    ]
    made += [np.eye(117)[0], np.eye(117)[116], np.eye(117)[[10, 30]].sum(axis=0)]
    pmf = np.array([one / one.sum() for one in made]).astype(np.float32)
    female = rng.uniform(0, 1, len(pmf)).astype(np.float32)
    female[:3] = (0, 1, 0.5)
    cases = []
    for name in MODELS:
        read = bundle.read(bundle.find(name))
        calibration = read.calibration()
        scaled, likelier = calibration.apply(pmf, female)
        poor = np.arange(len(pmf)) % 2 == 1
        cases.append(
            {
                "calibration": calibration.to_dict(),
                "pmf": pack(scaled),
                "female": likelier.tolist(),
                "years": expectation(scaled).tolist(),
                "median": median(scaled).tolist(),
                "intervals": [
                    {"level": level, "doubtful": poor.tolist(), "low": low.tolist(), "high": high.tolist()}
                    for level in (0.5, 0.8, 0.9, 0.97)
                    for low, high in [intervals(scaled, level, calibration, poor)]
                ],
            }
        )
    identity = intervals(pmf, 0.9, Calibration.identity())
    return {
        "pmf": pack(pmf),
        "female": female.tolist(),
        "cases": cases,
        "identity": [part.tolist() for part in identity],
    }


def checks(pmf: NDArray[np.float32]) -> list[dict[str, Any]]:
    """Decisions of the models that have age checks, and refusals, in the words of the Python package."""
    cases = []
    for name in MODELS:
        folder = bundle.find(name)
        if not (folder / bundle.AGE_CHECKS).is_file():
            continue
        analyzer = Analyzer(name, Options(threads=1))
        faces = [
            _face(row, flags)
            for row, flags in zip(
                pmf, [(), ("small",), ("blurred", "turned"), ("vague",), ("small", "vague")] * 9, strict=False
            )
        ]
        for limit, passes, fails in [
            (18, 0.01, 0.01),
            (21, 0.05, 0.02),
            (65, 0.02, 0.1),
            (2, 0.002, 0.01),
            (99, 0.01, 0.01),
        ]:
            case: dict[str, Any] = {"model": name, "limit": limit, "passes": passes, "fails": fails}
            try:
                checker = AgeChecker(analyzer, min_age=limit, max_false_pass=passes, max_false_fail=fails)
                case["told"] = [_told(checker._decide_on(face)) for face in faces]
            except UsageError as error:
                case["refusal"] = str(error)
            cases.append(case | {"checks": json.loads((folder / "age_checks.json").read_text())})
    return cases


def _told(check: Any) -> dict[str, Any]:
    return {"outcome": check.outcome, "probability": check.probability, "reason": check.reason}


def _face(pmf: NDArray[np.float32], flags: tuple[str, ...]) -> Face:
    age = Age(40.0, 40.0, 30.0, 50.0, 0.9, tuple(pmf.tolist()))
    return Face(Box(0, 0, 100, 100), 1.0, None, age, Gender(0.9), Quality(50.0, 0.3, 0.0, flags))


def following(rng: np.random.Generator, pmf: NDArray[np.float32]) -> dict[str, Any]:
    """A film of boxes that move, vanish and come back."""
    tracker, frames = Tracker(), []
    for index in range(60):
        seconds = index / 10
        boxes = [Box(20 + 3 * index, 30.0, 80 + 3 * index, 90 + rng.uniform(-2, 2))]
        if index not in {20, 21, 22} and index < 40:
            boxes.append(Box(300 - 2 * index, 40.0, 350 - 2 * index, 95.0))
        if index % 7 == 3:
            boxes.append(Box(500, 300, 520, 322))
        seen, ended = tracker.update(boxes, index, seconds)
        frames.append(
            {
                "seconds": seconds,
                "boxes": [[box.left, box.top, box.right, box.bottom] for box in boxes],
                "tracks": [path.number for path in seen],
                "ended": [path.number for path in ended],
            }
        )
    average, views = Average(), []
    calibration = bundle.read(bundle.find("mien-s")).calibration()
    for row, female in zip(pmf, rng.uniform(0, 1, len(pmf)), strict=True):
        flags = ("small",) if rng.uniform() < 0.5 else ()
        quality = Quality(float(rng.uniform(5, 60)), float(rng.uniform(0, 0.5)), float(rng.uniform(-70, 70)), flags)
        face = Face(
            Box(0, 0, 9, 9), 1.0, None, Age(1, 1, 1, 1, 0.9, tuple(row.tolist())), Gender(float(female)), quality
        )
        average.add(face)
        age, gender = average.age(0.9, calibration), average.gender(0.5)
        views.append(
            {
                "pmf": row.tolist(),
                "female": float(female),
                "quality": {
                    "eyes": quality.eyes,
                    "sharpness": quality.sharpness,
                    "turn": quality.turn,
                    "flags": list(flags),
                },
                "weight": weight(quality),
                "years": age.years,
                "low": age.low,
                "high": age.high,
                "gender": gender.to_dict(),
                "mean_quality": average.quality,
            }
        )
    return {"frames": frames, "calibration": calibration.to_dict(), "views": views}


def photos() -> list[dict[str, Any]]:
    """The whole pipeline on pixels: both models, both portraits."""
    cases = []
    for name in MODELS:
        analyzer = Analyzer(name, Options(threads=1))
        for file in ("hopper.jpg", "astronaut.jpg"):
            picture = decode((EXAMPLES / file).read_bytes())
            half = shrink(picture.pixels, (picture.pixels.shape[1] // 2, picture.pixels.shape[0] // 2))
            both = np.zeros((half.shape[0] + 60, 2 * half.shape[1], 3), np.uint8)
            both[30:-30, : half.shape[1]], both[30:-30, half.shape[1] :] = half, half[:, ::-1]
            draft = analyzer.find_faces(both, file)
            (photo,) = analyzer.estimate([draft])
            why = {target: explain(analyzer.estimator, draft.chips[0][None], target)[0] for target in ("age", "gender")}
            cases.append(
                {
                    "model": name,
                    "pixels": pack(both),
                    "faces": [{**face.to_dict(pmf=True)} for face in photo.faces],
                    "explanations": {target: one.to_dict() for target, one in why.items()},
                    "heat": pack(heat(draft.chips[0], why["age"].pixels(120))),
                    "laid_out": pack(laid_out(why["age"].cells, 96, 1.25)),
                    "proposals": len(_propose(analyzer.detector.nets[0], Pyramid(both, 24), 30)),  # type: ignore[attr-defined]
                }
            )
    return cases


def files() -> list[dict[str, Any]]:
    """What bytes are, and what is said of those that are no picture."""
    heads = [
        b"hello world",
        b"%PDF-1.7",
        b"PK\3\4",
        b"<html>",
        b"\0\1\2\3\4\5\6\7\x08",
        b"8BPS",
        b"\0\0\0\x18ftypmp42isom",
        b"\0\0\0\x0cJXL \r",
    ]
    heads += [
        path.read_bytes()[:256]
        for path in sorted((ROOT / "tests" / "golden").glob("*.*"))
        if path.suffix not in {".py", ".json"}
    ]
    return [
        {"head": b64encode(head).decode(), "format": sniff(head), "told": None if sniff(head) else str(rejection(head))}
        for head in heads
        if sniff(head) in {None, *READ} and not head.startswith((b"P1", b"P2", b"P3"))
    ]


def reductions() -> list[dict[str, Any]]:
    """The sizes that large photos are brought to."""
    from io import BytesIO

    from PIL import Image

    cases = []
    for width, height in [
        (640, 480),
        (2048, 100),
        (2049, 7),
        (4032, 3024),
        (3000, 2000),
        (6000, 4001),
        (5000, 300),
        (9001, 1200),
    ]:
        for form in ("JPEG", "PNG"):
            stream = BytesIO()
            Image.new("RGB", (width, height), (9, 99, 199)).save(stream, form)
            pixels = decode(stream.getvalue()).pixels
            cases.append({"size": [width, height], "jpeg": form == "JPEG", "to": [pixels.shape[1], pixels.shape[0]]})
    rng = np.random.default_rng(5)
    source = smooth_noise(rng, 501, 703)
    size = fitted((703, 501), 130)
    small = shrink(np.asarray(average(Image.fromarray(source), size)), size)
    return [*cases, {"source": pack(source), "side": 130, "out": pack(small)}]


class Scripted:
    """A detector that finds given faces where they are large enough, the surer the more upright they stand."""

    name, sure = "scripted", 0.95

    def __init__(self, faces: list[dict[str, Any]], longer: int, *, aligned: bool) -> None:
        self.aligned, self._faces, self._longer = aligned, faces, longer
        self.asked: list[list[float | None]] = []

    def detect(self, pixels: NDArray[np.uint8], min_face: float | None = None) -> list[Detection]:
        """See `mien.faces.Detector`."""
        height, width = pixels.shape[:2]
        self.asked.append([width, height, min_face])
        corners = [pixels[0, 0, 0], pixels[0, -1, 0], pixels[-1, -1, 0], pixels[-1, 0, 0]]
        degrees = 90 * int(np.argmax(corners))  # the marked corner goes around with the picture
        scale = max(width, height) / self._longer
        least = 30.0 if min_face is None else BELOW * min_face
        return [
            Detection(Box(1.0, 2.0, 1 + face["side"] * scale, 2 + face["side"] * scale), score, ((3.0, 4.0),) * 5)
            for face in self._faces
            for score in [face["scores"][degrees // 90]]
            if face["side"] * scale >= least and score >= 0.8
        ]


def looking(rng: np.random.Generator) -> list[dict[str, Any]]:
    """At which sizes and in which turns photos are searched, and what of it is told."""
    cases = []
    for number in range(150):
        longer = int(rng.choice([500, 1500, 2047, 2048, 2300, 3000, 4032, 6000, 9000]))
        size = [longer, max(1, int(longer * rng.uniform(0.3, 1)))][:: int(rng.choice([-1, 1]))]
        upright = int(rng.choice([0, 0, 0, 90, 180, 270]))
        faces = [
            {
                "side": longer * float(np.exp(rng.uniform(np.log(1 / 150), np.log(1 / 6)))),
                "scores": [
                    float(rng.uniform(0.7, 1) if 90 * k == upright else rng.uniform(0.5, 0.96)) for k in range(4)
                ],
            }
            for _ in range(rng.integers(0, 4))
        ]
        min_face = [None, None, 12, 30, 64, 200][rng.integers(6)]
        side: Any = ["auto", "auto", "auto", None, 1000][rng.integers(5)]
        rotate: Rotation = ("auto", "auto", "auto", 0, 90, 270)[rng.integers(6)]  # type: ignore[assignment]
        detector = Scripted(faces, longer, aligned=number % 10 == 9)

        def open_at(fit: Fit, size: list[int] = size) -> Picture:
            wide, high = fitted((size[0], size[1]), fit(max(size)))
            pixels = np.zeros((high, wide, 3), np.uint8)
            pixels[0, 0] = 255
            return Picture(pixels, *size)

        limits = DecodeOptions(target_side=side)
        picture, turned, found, degrees = see(open_at, detector, min_face, limits, rotate)
        back = [turned_back(face, degrees, *size) for face in found]
        cases.append(
            {"size": size, "faces": faces, "aligned": detector.aligned, "minFace": min_face, "targetSide": side}
            | {"rotate": rotate, "asked": detector.asked, "degrees": degrees, "scale": picture.scale}
            | {"turned": [turned.width, turned.height], "boxes": [_corners(face.box) for face in back]}
            | {"points": [list(face.landmarks[0]) for face in back if face.landmarks]}
        )
    return cases


def _corners(box: Box) -> list[float]:
    return [box.left, box.top, box.right, box.bottom]


def cuts() -> list[dict[str, Any]]:
    """JPEG files that end too early: where Python still makes a picture of them, and calls it incomplete."""
    from io import BytesIO

    from PIL import Image

    with Image.open(EXAMPLES / "hopper.jpg") as image:
        image.load()
    small = image.resize((203, 170))
    made: list[tuple[Image.Image, dict[str, Any]]] = [
        (small, {"quality": 90}),
        (small, {"quality": 90, "subsampling": 0}),
        (small, {"quality": 80, "subsampling": 1, "restart_marker_blocks": 5}),
        (small.convert("L"), {"quality": 85}),
        (small, {"quality": 90, "progressive": True}),
    ]
    cases = []
    for one, options in made:
        stream = BytesIO()
        one.save(stream, "JPEG", **options)
        data = stream.getvalue()
        lengths = sorted({int(length) for length in np.linspace(2, len(data) - 1, 60)} | {len(data) - 2})
        cases.append({"data": b64encode(data).decode(), "told": [[length, _cut(data[:length])] for length in lengths]})
    return cases


def _cut(data: bytes) -> bool | None:
    """Whether some of the picture is missing; None where too much is."""
    try:
        return decode(data).incomplete
    except PhotoError:
        return None


def sizes() -> dict[str, dict[str, int]]:
    """Stored sizes of small pictures."""
    from PIL import Image

    found = {}
    for name in (
        "rgb.png",
        "plain.gif",
        "plain.webp",
        "lossless.webp",
        "alpha.webp",
        "rgb.bmp",
        "progressive.jpg",
        "plain.avif",
    ):
        with Image.open(ROOT / "tests" / "golden" / name) as image:
            found[name] = {"width": image.width, "height": image.height}
    return found


def notes() -> list[dict[str, Any]]:
    """What is said where a veil over the face, or over a part of it, changes much, little, or nothing."""
    cases = []
    for target, value, veil, hidden in (
        ("age", 34.0, 30.0, 33.9),
        ("age", 34.0, 33.2, 33.9),
        ("age", 34.0, 34.75, 36.5),
        ("gender", 2.0, -1.0, 2.0),
        ("gender", 5.0, 4.5, 4.9),
        ("gender", 0.1, 0.12, 1.5),
    ):
        part = Region("nose", 0.5, 0.25, hidden)
        told = Explanation(target, "cam", value, veil, np.zeros((1, 1)), True, 0, (part,))
        cases.append({"target": target, "value": value, "veiled": veil, "hidden": hidden, "note": told.note or None})
    return cases


def main(target: Path) -> None:
    rng = np.random.default_rng(26)
    cv2.setNumThreads(1)
    pmf_cases = distributions(rng)
    pmf = np.array([Calibration.identity().apply(row[None], np.zeros(1))[0][0] for row in _unpacked(pmf_cases["pmf"])])
    record = {
        "resizing": resizing(rng),
        "pyramid": pyramid(rng),
        "suppression": suppression(rng),
        "alignment": alignment(rng),
        "chips": chips(rng),
        "distributions": pmf_cases,
        "checks": checks(pmf),
        "following": following(rng, pmf),
        "photos": photos(),
        "files": files(),
        "reductions": reductions(),
        "sizes": sizes(),
        "looking": looking(rng),
        "cuts": cuts(),
        "notes": notes(),
    }
    target.write_text(json.dumps(record), encoding="utf-8")


def _unpacked(packed: dict[str, Any]) -> NDArray[np.float32]:
    from base64 import b64decode

    numbers = np.frombuffer(b64decode(packed["data"]), "<f8").reshape(packed["shape"])
    return numbers.astype(np.float32)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
