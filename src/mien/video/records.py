"""Results of a video: faces of frames, and tracks; frozen records of native types, each with `to_dict()` for JSON."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mien.native import Record
from mien.results import Age, Face, Gender
from mien.video.smooth import weight

SCHEMA_VERSION = 1
"""Version of the field names of video records; raised when one of them changes its name or meaning."""


@dataclass(frozen=True, slots=True)
class Seen(Record):
    """One face in one frame, with what is averaged over its track.

    Attributes:
        track: number of its track, from 1; None in the first frames of a face, before it is sure to be one.
        face: what this frame alone says.
        age: averaged over the track so far; what the frame says where there is no track yet.
        gender: likewise.
    """

    track: int | None
    face: Face
    age: Age
    gender: Gender

    def to_dict(self) -> dict[str, Any]:
        """Native types only; the frame's own estimates under "raw"."""
        record = self.face.to_dict()
        return {
            "track": self.track,
            "box": record["box"],
            "score": record["score"],
            "age": self.age.to_dict(),
            "gender": self.gender.to_dict(),
            "raw": {"age": record["age"], "gender": record["gender"]},
            "quality": {"weight": round(weight(self.face.quality), 4), **record["quality"]},
        }


@dataclass(frozen=True, slots=True)
class Track(Record):
    """One face from its first frame to its last.

    Attributes:
        number: from 1, in the order in which tracks are born.
        first_frame: index of the first frame that showed it.
        first_seconds: the time of that frame.
        last_frame: of the last one.
        last_seconds: likewise.
        views: analysed frames that showed it.
        age: averaged over them, better views counting more.
        gender: likewise.
        quality: mean weight of its views, 0 to 1; see `mien.video.smooth.weight`.
    """

    number: int
    first_frame: int
    first_seconds: float
    last_frame: int
    last_seconds: float
    views: int
    age: Age
    gender: Gender
    quality: float

    @property
    def seconds(self) -> float:
        """From its first frame to its last."""
        return self.last_seconds - self.first_seconds

    def to_dict(self) -> dict[str, Any]:
        """The JSON record of native types."""
        return {
            "track": self.number,
            "first": {"frame": self.first_frame, "seconds": round(self.first_seconds, 3)},
            "last": {"frame": self.last_frame, "seconds": round(self.last_seconds, 3)},
            "views": self.views,
            "age": self.age.to_dict(),
            "gender": self.gender.to_dict(),
            "quality": round(self.quality, 4),
        }


@dataclass(frozen=True, slots=True)
class TrackedFrame:
    """One analysed frame.

    Attributes:
        index: its place in the source, from 0.
        seconds: its time.
        width: pixels.
        height: pixels.
        faces: in descending order of box area.
        ended: tracks that ended before this frame.
        quiet: no track is open after it, so that what follows does not depend on what was.
        pixels: uint8 [H, W, 3] RGB, where pictures were asked for; a large frame is reduced.
    """

    index: int
    seconds: float
    width: int
    height: int
    faces: tuple[Seen, ...]
    ended: tuple[Track, ...]
    quiet: bool
    pixels: NDArray[np.uint8] | None = None
