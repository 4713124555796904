"""The five steps, once: decode, find faces, cut chips, estimate, put into results."""

from __future__ import annotations

import weakref
from collections import deque
from collections.abc import Generator, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, field, fields
from itertools import islice
from pathlib import Path
from typing import Any, BinaryIO, TypeAlias, cast

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from mien.errors import MienError, NotAnImage, PhotoError, UsageError
from mien.estimate import bundle
from mien.estimate.calibrate import Calibration, expectation, intervals, median
from mien.estimate.estimator import Estimates, Estimator
from mien.estimate.quality import doubtful, eye_distance, eye_distance_of_chip, judge, marked, turn
from mien.faces import Detection, DetectorOptions, create
from mien.faces.align import align, points_in_box, resize_chip
from mien.looking import Rotation, check_min_face, check_rotation, see, turned_back
from mien.photos.decode import DecodeOptions, Fit, Picture, decode, from_array, from_pil
from mien.photos.decoders import Decoders
from mien.photos.sources import Item, items, opened
from mien.results import ABSTAIN, Age, Box, Face, Failure, Gender, Photo, Quality
from mien.runtime.cores import physical_cores

Input: TypeAlias = str | Path | Item | bytes | bytearray | memoryview | BinaryIO | Image.Image | NDArray[Any]
"""What an analyzer takes: a path, an item of `mien.photos.sources`, encoded bytes, a binary file that is open (such as
io.BytesIO; read from where it stands), a PIL image, an array, or several arrays as one, [N, H, W, 3]."""

_HELD_BYTES = 64 << 20

LEVEL = 0.9
"""Share of true ages that the age intervals hold, unless another is asked for."""


@dataclass(frozen=True, slots=True)
class Options:
    """How photos are analysed.

    Attributes:
        detector: "mtcnn", "haar", "yunet" or "whole" (each picture is an aligned chip already).
        min_face: smallest face to look for, as the longer side of its box in pixels of the photo as given. None: 30, or
            an 80th of the photo's longer side where that is more.
        threshold: least score of a face, 0 to 1; None for the detector's own.
        max_faces: keep only so many, the largest; None for all.
        weights: file of the detector's weights, for "yunet".
        level: share of true ages that the age intervals are to hold.
        abstain: call a gender "uncertain" where its probability is below this; at 0.5 one is named always.
        rotate: degrees to turn photos clockwise by before faces are looked for: 0, 90, 180 or 270. "auto": where
            nothing sure is found upright, all others are tried.
        mirror: average the answers for each chip and its mirror image: a little better, half as fast.
        threads: cores to use; 0 for all physical ones.
        batch_size: most faces that are in the network at once; on a CPU more bring no speed, but 32 take 0.3 GB more.
        decode: limits on the size of photos. Its `target_side` fixes the size at which faces are looked for; "auto"
            lets `min_face` decide. Where it is fixed, the default of `min_face` is 30 pixels of the reduced photo.
    """

    detector: str = "mtcnn"
    min_face: int | None = None
    threshold: float | None = None
    max_faces: int | None = None
    weights: str | Path | None = None
    level: float = LEVEL
    abstain: float = ABSTAIN
    rotate: Rotation = "auto"
    mirror: bool = False
    threads: int = 0
    batch_size: int = 8
    decode: DecodeOptions = field(default_factory=DecodeOptions)

    def __post_init__(self) -> None:
        check_level(self.level)
        check_abstain(self.abstain)
        check_min_face(self.min_face)
        check_rotation(self.rotate)
        if self.threads < 0:
            raise UsageError(f"threads must be 0 (all cores) or more, not {self.threads}")
        if self.batch_size < 1:
            raise UsageError(f"the batch size must be 1 or more, not {self.batch_size}", option="batch_size")


def check_level(level: float) -> None:
    """Refuse what is no level of intervals.

    Raises:
        UsageError: it does not lie between 0 and 1.
    """
    if not 0 < level < 1:
        raise UsageError(f"the level of age intervals must lie between 0 and 1, not {level}", option="level")


def check_abstain(abstain: float) -> None:
    """Refuse what is no probability of the likelier of two.

    Raises:
        UsageError: it does not lie between 0.5 and 1.
    """
    if not 0.5 <= abstain <= 1:
        raise UsageError(
            f"the probability to abstain below must lie between 0.5 and 1, not {abstain}", option="abstain"
        )


@dataclass(slots=True)
class Draft:
    """One photo on its way: decoded, with its faces found and cut, or failed.

    Attributes:
        source: its name.
        picture: the decoded picture, where it was asked for.
        width: pixels of the upright photo at full size; None where it could not be decoded.
        height: likewise.
        detections: the faces, in pixels of the full-size photo.
        chips: uint8 [S, S, 3] RGB, one a face.
        qualities: one a face.
        scale: size of the picture in which faces were looked for, relative to the photo; None where there was none.
        turned: degrees by which it was turned clockwise for that.
        incomplete: whether the file ends before all of the picture has come.
        error: why there is nothing of all this.
        level: share of true ages that this photo's intervals are to hold; None for the analyzer's.
        abstain: this photo's probability below which a gender is "uncertain"; None for the analyzer's.
    """

    source: str
    picture: Picture | None = None
    width: int | None = None
    height: int | None = None
    detections: list[Detection] = field(default_factory=list)
    chips: list[NDArray[np.uint8]] = field(default_factory=list)
    qualities: list[Quality] = field(default_factory=list)
    scale: float | None = None
    turned: int = 0
    incomplete: bool = False
    error: Failure | None = None
    level: float | None = None
    abstain: float | None = None


class Analyzer:
    """Photos in, ages and genders out. One instance may be shared between threads."""

    def __init__(self, model: str | Path = "mien-m", options: Options | None = None) -> None:
        """Load a model and a detector.

        Args:
            model: name of a model (see `mien models`) or path of its folder.
            options: how photos are analysed.

        Raises:
            UsageError: an unknown model, detector or an impossible option.
            ModelError: the model or the detector's weights cannot be loaded.
        """
        self.options = options or Options()
        self.threads = self.options.threads or physical_cores()
        self.estimator = Estimator(
            bundle.read(bundle.find(model)),
            threads=self.threads,
            mirror=self.options.mirror,
            batch_size=self.options.batch_size,
        )
        self._single: Estimator | None = None
        self._decoders: Decoders | None = None
        if self.options.decode.max_seconds is not None:
            self._decoders = Decoders(self.options.decode)
            weakref.finalize(self, self._decoders.close)
        self.detector = create(
            self.options.detector,
            DetectorOptions(
                min_face=self.options.min_face or DetectorOptions().min_face,
                threshold=self.options.threshold,
                max_faces=self.options.max_faces,
                weights=None if self.options.weights is None else Path(self.options.weights),
            ),
        )

    @property
    def config(self) -> bundle.BundleConfig:
        """What the model says about itself."""
        return self.estimator.bundle.config

    def __call__(self, photo: Input, *, bgr: bool = False) -> Photo:
        """Analyse one photo.

        Args:
            photo: path, bytes, open file, PIL image or array; [H, W, 3] or [H, W].
            bgr: the array's channels are blue, green, red, as OpenCV has them.

        Raises:
            PhotoError: the photo is missing, damaged or too large.
            NotAnImage: it is no picture, or an array of several, for which there is `stream`.
            UsageError: it is a folder or an archive of several photos; likewise.
        """
        entries = list(islice(self._entries([photo]), 2))
        if not entries:
            raise NotAnImage("the array holds no photo")
        source, entry = entries[0]
        if len(entries) > 1:
            if isinstance(photo, np.ndarray):
                raise NotAnImage(f"an array {list(photo.shape)} holds several photos: use stream()")
            raise UsageError(f"{photo!r} holds several photos: use stream()")
        return self.answer([self.look(entry, source, bgr=bgr)])[0]

    def stream(self, photos: Iterable[Input] | Input, *, bgr: bool = False) -> Generator[Photo]:
        """Analyse many photos in constant memory, several at a time where there are cores.

        Args:
            photos: paths (a folder, a glob, a tar or a zip stands for the photos inside), bytes, open files, PIL
                images, arrays; [N, H, W, 3] is N photos.
            bgr: channel order of the arrays.

        Yields:
            One `Photo` for each photo, in the order given; where it failed, its `error` says why.
        """
        with closing(self._stream(photos, bgr, keep=False)) as answers:
            for photo, _ in answers:
                yield photo

    def stream_with_pictures(
        self, photos: Iterable[Input] | Input, *, bgr: bool = False
    ) -> Generator[tuple[Photo, Picture | None]]:
        """Like `stream`, with the decoded picture beside each answer; None where it could not be decoded."""
        return self._stream(photos, bgr, keep=True)

    def _stream(
        self, photos: Iterable[Input] | Input, bgr: bool, *, keep: bool
    ) -> Generator[tuple[Photo, Picture | None]]:
        way = self._in_turn if self.threads == 1 else self._side_by_side
        with closing(way(photos, bgr, keep)) as answers:
            yield from answers

    def _in_turn(
        self, photos: Iterable[Input] | Input, bgr: bool, keep: bool
    ) -> Generator[tuple[Photo, Picture | None]]:
        """One photo after the other, their faces in batches."""
        queue: list[Draft] = []
        faces = held = 0
        for source, entry in self._entries(photos):
            draft = self._try(source, entry, bgr, keep)
            queue.append(draft)
            faces += len(draft.chips)
            held += 0 if draft.picture is None else draft.picture.pixels.nbytes
            if max(faces, len(queue)) >= self.options.batch_size or held >= _HELD_BYTES:
                yield from self._answered(queue)
                queue.clear()
                faces = held = 0
        yield from self._answered(queue)

    def _side_by_side(
        self, photos: Iterable[Input] | Input, bgr: bool, keep: bool
    ) -> Generator[tuple[Photo, Picture | None]]:
        """A photo a core, the network on one thread each: no core waits for another, as it would within a layer."""
        network = self._network_of_one_core()

        def work(source: str, entry: Any) -> tuple[Photo, Picture | None]:
            draft = self._try(source, entry, bgr, keep)
            return self.answer([draft], network)[0], draft.picture

        pool = ThreadPoolExecutor(self.threads, thread_name_prefix="mien")
        ahead: deque[Future[tuple[Photo, Picture | None]]] = deque()
        try:
            for source, entry in self._entries(photos):
                ahead.append(pool.submit(work, source, entry))
                if len(ahead) > 2 * self.threads:
                    yield ahead.popleft().result()
            while ahead:
                yield ahead.popleft().result()
        finally:
            pool.shutdown(wait=True, cancel_futures=True)

    def _network_of_one_core(self) -> Estimator:
        """The model a second time, loaded when the first stream asks for it."""
        if self._single is None:  # two threads may both load it, which harms less than a lock that a fork inherits
            ours = self.estimator
            self._single = Estimator(ours.bundle, mirror=ours.mirror, batch_size=ours.batch_size)
        return self._single

    def _entries(self, photos: Iterable[Input] | Input) -> Iterator[tuple[str, Any]]:
        """Names and photos, with folders, globs and archives unfolded into the items inside."""
        if isinstance(photos, np.ndarray) and photos.ndim == 4:
            photos = list(photos)
        elif isinstance(
            photos, str | Path | Item | bytes | bytearray | memoryview | Image.Image | np.ndarray
        ) or hasattr(photos, "read"):
            photos = [cast("Input", photos)]
        for position, photo in enumerate(photos):
            match photo:
                case str() | Path():
                    yield from ((item.source, item) for item in items([photo], max_bytes=self.options.decode.max_bytes))
                case Item():
                    yield photo.source, photo
                case bytes() | bytearray() | memoryview():
                    yield f"bytes:{position}", bytes(photo)
                case np.ndarray() if photo.ndim == 4:
                    yield from ((f"array:{position}:{number}", one.copy()) for number, one in enumerate(photo))
                case np.ndarray():
                    yield f"array:{position}", photo.copy()  # the caller may fill the same buffer anew, as cv2 does
                case Image.Image():
                    yield f"image:{position}", photo
                case _ if hasattr(photo, "read"):
                    yield opened(photo, f"file:{position}", self.options.decode.max_bytes)
                case _:
                    raise UsageError(
                        f"a photo is a path, bytes, an open file, a PIL image or an array, not {type(photo).__name__}"
                    )

    def _try(self, source: str, photo: Any, bgr: bool, keep: bool) -> Draft:
        """Look at a photo; whatever goes wrong becomes part of the draft, so that the others go on."""
        try:
            return self.look(photo, source, bgr=bgr, keep=keep)
        except PhotoError as error:
            return Draft(source, error=Failure(error.kind, str(error)))
        except MienError:  # the model or an option is at fault, not this photo: all others would fail too
            raise
        except Exception as error:  # noqa: BLE001 - the edge of the batch
            sentence = f"a fault inside mien, please report it: {type(error).__name__}: {error}"
            return Draft(source, error=Failure("internal", sentence))

    def look(self, photo: Any, source: str, *, bgr: bool = False, keep: bool = False) -> Draft:
        """The first steps for one photo: decode, find faces, cut chips.

        Args:
            photo: an item, encoded bytes, a PIL image, an array, or a function that decodes at the size asked for.
            source: its name.
            bgr: the array's channels are blue, green, red.
            keep: keep the decoded picture.

        Raises:
            PhotoError: the photo is missing, damaged or too large.
        """
        options, data = self.options, photo.read() if isinstance(photo, Item) else photo

        def open_at(fit: Fit) -> Picture:
            if isinstance(data, bytes):
                if self._decoders is not None:
                    return self._decoders.decode(data, fit)
                return decode(data, options.decode, reduce=fit)
            if isinstance(data, Image.Image):
                return from_pil(data, reduce=fit)
            return from_array(data, bgr=bgr, reduce=fit)

        picture, turned, found, degrees = see(
            data if callable(data) else open_at, self.detector, options.min_face, options.decode, options.rotate
        )
        draft = self.cut(turned, found, source)
        draft.picture = picture if keep else None
        draft.width, draft.height, draft.turned = picture.width, picture.height, degrees
        draft.detections = [turned_back(face, degrees, picture.width, picture.height) for face in draft.detections]
        return draft

    def cut(self, picture: Picture, found: Sequence[Detection], source: str, *, keep: bool = False) -> Draft:
        """The step between detector and network: cut the faces of a decoded picture to chips and judge these.

        Args:
            picture: decoded.
            found: its faces, in pixels of `picture`.
            source: its name.
            keep: keep the decoded picture.
        """
        contract = self.estimator.contract
        if self.detector.aligned:
            chips = [resize_chip(picture.pixels, contract) for _ in found]
            eyes = [eye_distance_of_chip(min(picture.pixels.shape[:2]), contract) for _ in found]
        else:
            chips = [align(picture.pixels, face, contract) for face in found]
            eyes = [eye_distance(face.landmarks or points_in_box(face.box), contract) for face in found]
        turns = [None if face.landmarks is None else turn(face.landmarks) for face in found]
        return Draft(
            source,
            picture=picture if keep else None,
            width=picture.width,
            height=picture.height,
            detections=[_to_photo(face, picture.scale) for face in found],
            chips=chips,
            qualities=[judge(*measures) for measures in zip(chips, eyes, turns, strict=True)],
            scale=picture.scale,
            incomplete=picture.incomplete,
        )

    def answer(self, drafts: Sequence[Draft], network: Estimator | None = None) -> list[Photo]:
        """The last steps: estimate all faces of some photos together and put each beside its photo.

        Args:
            drafts: what `look` made of them.
            network: the model on another number of threads; None for the analyzer's own.
        """
        network = network or self.estimator
        size = network.contract.size
        chips = [chip for draft in drafts for chip in draft.chips]
        return self.put(network(np.asarray(chips, np.uint8).reshape(-1, size, size, 3)), drafts)

    def put(self, estimates: Estimates, drafts: Sequence[Draft]) -> list[Photo]:
        """The last step alone: the network's answers for the chips of some photos, in order, put beside each photo."""
        low, high = self._intervals(estimates.pmf, drafts)
        pmf, widths = estimates.pmf, self._widths(estimates.pmf, drafts)
        columns = (expectation(pmf), median(pmf), low, high, pmf, estimates.female, widths)
        rows = zip(*(column.tolist() for column in columns), strict=True)
        return [self._photo(draft, islice(rows, len(draft.chips))) for draft in drafts]

    def _answered(self, drafts: list[Draft]) -> Iterator[tuple[Photo, Picture | None]]:
        yield from zip(self.answer(drafts), (draft.picture for draft in drafts), strict=True)

    def _intervals(self, pmf: NDArray[np.float32], drafts: Sequence[Draft]) -> tuple[NDArray[Any], NDArray[Any]]:
        """Age intervals of all faces, each at the level of its photo."""
        calibration = self.config.calibration or Calibration.identity()
        poor = doubtful([quality for draft in drafts for quality in draft.qualities])
        levels = np.array([draft.level or self.options.level for draft in drafts for _ in draft.chips])
        low, high = np.zeros(len(pmf)), np.zeros(len(pmf))
        for level in np.unique(levels):
            at = levels == level
            low[at], high[at] = intervals(pmf[at], float(level), calibration, poor[at])
        return low, high

    def _widths(self, pmf: NDArray[np.float32], drafts: Sequence[Draft]) -> NDArray[Any]:
        """Years that the intervals of all faces span at the usual level, whatever level was asked for."""
        poor = doubtful([quality for draft in drafts for quality in draft.qualities])
        low, high = intervals(pmf, LEVEL, self.config.calibration or Calibration.identity(), poor)
        return high - low

    def _photo(self, draft: Draft, rows: Iterable[tuple[Any, ...]]) -> Photo:
        level = draft.level or self.options.level
        abstain = draft.abstain or self.options.abstain
        faces = tuple(
            Face(
                box=found.box,
                score=found.score,
                landmarks=found.landmarks,
                age=Age(years, mid, low, high, level=level, pmf=tuple(pmf)),
                gender=Gender.from_female(female, abstain),
                quality=marked(quality, width),
            )
            for found, quality, (years, mid, low, high, pmf, female, width) in zip(
                draft.detections, draft.qualities, rows, strict=True
            )
        )
        told = draft.scale, draft.turned, draft.incomplete
        return Photo(draft.source, self.config.name, draft.width, draft.height, faces, draft.error, *told)


def load(model: str | Path = "mien-m", **options: Any) -> Analyzer:
    """An analyzer with a model given by name or folder; the options are those of `Options`.

    Raises:
        UsageError: an unknown model, detector or option.
    """
    known = [option.name for option in fields(Options)]
    for name in options:
        if name not in known:
            raise UsageError.unknown("option", name, known)
    return Analyzer(model, Options(**options))


def _to_photo(face: Detection, scale: float) -> Detection:
    """Coordinates in the decoded picture -> in the full-size photo."""
    box = Box(face.box.left / scale, face.box.top / scale, face.box.right / scale, face.box.bottom / scale)
    landmarks = face.landmarks and tuple((x / scale, y / scale) for x, y in face.landmarks)
    return Detection(box, face.score, landmarks)
