"""The five steps, once: decode, find faces, cut chips, estimate, put into results."""

from __future__ import annotations

import weakref
from collections import deque
from collections.abc import Generator, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from dataclasses import fields
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, TypeAlias, cast

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from mien.arrays import Pixels
from mien.drafts import Draft, cut_chips, results
from mien.errors import MienError, NotAnImage, PhotoError, UsageError
from mien.estimate import bundle
from mien.estimate.estimator import Estimates, Estimator
from mien.faces import Detection, DetectorOptions, create
from mien.looking import see, turned_back
from mien.options import LEVEL, Options, PhotoRequest, check_abstain, check_level
from mien.photos.decode import Fit, Picture, decode, from_array, from_pil
from mien.photos.decoders import Decoders
from mien.photos.sources import Item, items, opened
from mien.results import Failure, Photo
from mien.runtime.cores import physical_cores

if TYPE_CHECKING:
    from mien.estimate.maps import MapMaker
    from mien.explained import ExplainedPhoto

__all__ = ["LEVEL", "Analyzer", "Draft", "Input", "Options", "PhotoRequest", "check_abstain", "check_level", "load"]

Input: TypeAlias = str | Path | Item | bytes | bytearray | memoryview | BinaryIO | Image.Image | NDArray[Any]
"""What an analyzer takes: a path, an item of `mien.photos.sources`, encoded bytes, a binary file that is open (such as
io.BytesIO; read from where it stands), a PIL image, an array, or several arrays as one, [N, H, W, 3]."""

_HELD_BYTES = 64 << 20


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
        source, entry = self._only_entry(photo)
        return self.estimate([self.find_faces(entry, source, bgr=bgr)])[0]

    def explain(
        self,
        photo: Input,
        *,
        target: str = "age",
        method: str | MapMaker = "occlusion",
        face: int | None = None,
        bgr: bool = False,
    ) -> ExplainedPhoto:
        """Analyse one photo, and tell which parts of each face its age or gender rests on.

        Args:
            photo: as for a call of the analyzer.
            target: "age" or "gender".
            method: "occlusion" (any model) or "cam" (networks with linear heads), see `mien.estimate.explain`; or what
                makes maps [N, h, w] of chips uint8 [N, S, S, 3].
            face: which face, from 1, the largest; None for all.
            bgr: the array's channels are blue, green, red.

        Returns:
            The answer, the chips uint8 [N, S, S, 3] RGB of the faces explained, and an explanation of each.

        Raises:
            PhotoError: the photo is missing, damaged or too large.
            UsageError: an unknown target or method, a photo without such a face, or a folder of several photos.
            ModelError: the model cannot be explained by this method.
        """
        from mien.explained import Explainer

        explainer = Explainer.of(self.estimator, target, method)
        source, entry = self._only_entry(photo)
        draft = self.find_faces(entry, source, bgr=bgr)
        return explainer.explain(self.estimate([draft])[0], draft.chips, face)

    def annotate(self, photo: Input, *, bgr: bool = False) -> tuple[Photo, Pixels]:
        """Analyse one photo, and draw what was found onto it.

        Args:
            photo: as for a call of the analyzer.
            bgr: the array's channels are blue, green, red.

        Returns:
            The answer, and the picture uint8 [H, W, 3] RGB with a frame around each face, and a plate with age,
            interval and gender. It has the size at which the photo was decoded; a very small one is enlarged.

        Raises:
            PhotoError: the photo is missing, damaged or too large.
            UsageError: it is a folder or an archive of several photos.
        """
        from mien.drawing.faces import draw

        source, entry = self._only_entry(photo)
        draft = self.find_faces(entry, source, bgr=bgr, keep=True)
        (answer,) = self.estimate([draft])
        assert draft.picture is not None
        return answer, draw(draft.picture.pixels, answer)

    def _only_entry(self, photo: Input) -> tuple[str, Any]:
        """Name and content of a photo that is to be one.

        Raises:
            NotAnImage: an array of none or several.
            UsageError: a folder or an archive of several.
        """
        entries = list(islice(self._entries([photo]), 2))
        if not entries:
            raise NotAnImage("the array holds no photo")
        if len(entries) > 1:
            if isinstance(photo, np.ndarray):
                raise NotAnImage(f"an array {list(photo.shape)} holds several photos: use stream()")
            raise UsageError(f"{photo!r} holds several photos: give one at a time, or use stream()")
        return entries[0]

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
            return self.estimate([draft], network)[0], draft.picture

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
            return self.find_faces(photo, source, bgr=bgr, keep=keep)
        except PhotoError as error:
            return Draft(source, error=Failure(error.kind, str(error)))
        except MienError:  # the model or an option is at fault, not this photo: all others would fail too
            raise
        except Exception as error:  # noqa: BLE001 - the edge of the batch
            sentence = f"a fault inside mien, please report it: {type(error).__name__}: {error}"
            return Draft(source, error=Failure("internal", sentence))

    def find_faces(
        self, photo: Any, source: str, *, bgr: bool = False, keep: bool = False, request: PhotoRequest | None = None
    ) -> Draft:
        """The first steps for one photo: decode, find faces, cut chips.

        Args:
            photo: an item, encoded bytes, a PIL image, an array, or a function that decodes at the size asked for.
            source: its name.
            bgr: the array's channels are blue, green, red.
            keep: keep the decoded picture.
            request: what is wanted of this photo alone.

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
        draft = self.cut_chips(turned, found, source, request=request)
        draft.picture = picture if keep else None
        draft.width, draft.height, draft.turned = picture.width, picture.height, degrees
        draft.detections = [turned_back(face, degrees, picture.width, picture.height) for face in draft.detections]
        return draft

    def cut_chips(
        self, picture: Picture, found: Sequence[Detection], source: str, *, request: PhotoRequest | None = None
    ) -> Draft:
        """The step between detector and network: cut the faces of a decoded picture to chips and judge these.

        Args:
            picture: decoded.
            found: its faces, in pixels of `picture`, largest first.
            source: its name.
            request: what is wanted of this photo alone.
        """
        return cut_chips(
            picture, found, source, self.estimator.contract, request or PhotoRequest(), aligned=self.detector.aligned
        )

    def estimate(self, drafts: Sequence[Draft], network: Estimator | None = None) -> list[Photo]:
        """The last steps: estimate all faces of some photos together and put each beside its photo.

        Args:
            drafts: what `find_faces` made of them.
            network: the model on another number of threads; None for the analyzer's own.
        """
        network = network or self.estimator
        size = network.contract.size
        chips = [chip for draft in drafts for chip in draft.chips]
        return self.results(network(np.asarray(chips, np.uint8).reshape(-1, size, size, 3)), drafts)

    def results(self, estimates: Estimates, drafts: Sequence[Draft]) -> list[Photo]:
        """The last step alone: the network's answers for the chips of some photos, in order, put beside each photo.

        Args:
            estimates: for all chips of the drafts, one after the other.
            drafts: what `find_faces` made of the photos.
        """
        return results(estimates, drafts, self.config, self.options)

    def _answered(self, drafts: list[Draft]) -> Iterator[tuple[Photo, Picture | None]]:
        yield from zip(self.estimate(drafts), (draft.picture for draft in drafts), strict=True)


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
