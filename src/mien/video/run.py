"""From frames to tracked faces: the analyzer's stream, the tracker and the averages, joined in constant memory."""

from __future__ import annotations

import copy
from collections import deque
from collections.abc import Generator, Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Self

import numpy as np
from numpy.typing import NDArray

from mien.analyzer import Analyzer
from mien.estimate.calibrate import Calibration
from mien.photos.decode import Picture
from mien.results import Face, Photo
from mien.video import tracker
from mien.video.frames import Clip, Frame, Source
from mien.video.records import Seen, Track, TrackedFrame
from mien.video.smooth import Average


def analyze(
    source: Source | str | Path,
    analyzer: Analyzer,
    *,
    options: tracker.TrackerOptions | None = None,
    pictures: bool = False,
) -> Analysis:
    """Follow the faces of a video.

    Args:
        source: a file, or an open `Clip` or `Camera`, which is closed with the analysis.
        analyzer: finds and estimates faces; its `level` and `abstain` hold for the averages too.
        options: how faces are followed.
        pictures: keep each frame's pixels.

    Returns:
        An iterable of `TrackedFrame`, to be used as a context manager.

    Raises:
        VideoError: the file cannot be opened.
    """
    opened = Clip(source) if isinstance(source, str | Path) else source
    return Analysis(opened, analyzer, options or tracker.TrackerOptions(), pictures=pictures)


class Analysis:
    """Frames of one source with their tracked faces; iterate over it once, or over `tracks()`.

    Attributes:
        source: where the frames come from; its `shortfall` says whether they ended early.
        failures: frames that a fault kept from being analysed; they count as frames without a face.
    """

    def __init__(
        self,
        source: Source,
        analyzer: Analyzer,
        options: tracker.TrackerOptions,
        *,
        pictures: bool = False,
    ) -> None:
        self.source = source
        self.failures = 0
        self._level, self._abstain = analyzer.options.level, analyzer.options.abstain
        self._calibration = analyzer.config.calibration or Calibration.identity()
        self._analyzer = copy.copy(analyzer)
        # Frames without a face are the rule: turning each of them would take four times as long.
        turn = 0 if analyzer.options.rotate == "auto" else analyzer.options.rotate
        self._analyzer.options = replace(analyzer.options, rotate=turn)
        self._pictures = pictures
        self._tracker = tracker.Tracker(options)
        self._averages: dict[tracker.Path, Average] = {}

    def __enter__(self) -> Self:
        self.source.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.source.__exit__(kind, error, trace)

    def __iter__(self) -> Generator[TrackedFrame]:
        """Analysed frames in order, and moments in which a camera was lost, without pixels.

        The tracks that are open at the end come from `rest`.

        Raises:
            VideoError: there is no frame.
        """
        waiting: deque[tuple[int, float]] = deque()
        blank: list[Frame] = []
        frames = iter(self.source)

        def arrays() -> Iterator[NDArray[np.uint8]]:
            """Pixels up to the next blank frame, so that what is on its way is answered before the camera is back."""
            for frame in frames:
                if frame.blank:
                    blank.append(frame)
                    return
                waiting.append((frame.index, frame.seconds))
                yield frame.pixels

        while True:
            with closing(self._answers(arrays())) as answers:
                for photo, picture in answers:
                    index, seconds = waiting.popleft()
                    self.failures += photo.error is not None
                    yield self._followed(photo, index, seconds, None if picture is None else picture.pixels)
            if not blank:
                return
            unseen = blank.pop()
            yield self._followed(Photo("", self.model), unseen.index, unseen.seconds, None)

    def tracks(self) -> Generator[Track]:
        """All tracks, each as it ends; goes through what is left of the frames."""
        with closing(iter(self)) as frames:
            for frame in frames:
                yield from frame.ended
        yield from self.rest()

    def rest(self) -> tuple[Track, ...]:
        """End the tracks that are still open, once the frames are through."""
        return tuple(self._summary(path) for path in self._tracker.close())

    @property
    def model(self) -> str:
        """Name of the model that answers."""
        return self._analyzer.config.name

    def _answers(self, frames: Iterator[NDArray[np.uint8]]) -> Generator[tuple[Photo, Picture | None]]:
        if self._pictures:
            yield from self._analyzer.stream_with_pictures(frames)
        else:
            yield from ((photo, None) for photo in self._analyzer.stream(frames))

    def _followed(self, photo: Photo, index: int, seconds: float, pixels: NDArray[np.uint8] | None) -> TrackedFrame:
        paths, ended = self._tracker.update([face.box for face in photo.faces], index, seconds)
        faces = tuple(self._seen(path, face) for path, face in zip(paths, photo.faces, strict=True))
        tracks = tuple(self._summary(path) for path in ended)
        still = set(self._tracker.open)
        for path in [path for path in self._averages if path not in still]:  # candidates that were never born
            del self._averages[path]
        width, height = photo.width or 0, photo.height or 0
        return TrackedFrame(index, seconds, width, height, faces, tracks, not still, pixels)

    def _seen(self, path: tracker.Path, face: Face) -> Seen:
        average = self._averages.setdefault(path, Average())
        average.add(face)
        if path.number is None:
            return Seen(None, face, face.age, face.gender)
        return Seen(path.number, face, average.age(self._level, self._calibration), average.gender(self._abstain))

    def _summary(self, path: tracker.Path) -> Track:
        average = self._averages.pop(path)
        return Track(
            path.number or 0,
            *path.first,
            *path.last,
            average.views,
            average.age(self._level, self._calibration),
            average.gender(self._abstain),
            average.quality,
        )
