"""Options of an analyzer, and what a single photo may be asked for instead."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from mien.errors import UsageError
from mien.looking import Rotation, check_min_face, check_rotation
from mien.photos.decode import DecodeOptions
from mien.results import ABSTAIN

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


@dataclass(frozen=True, slots=True)
class PhotoRequest:
    """What is wanted of one photo alone, where it is not what the analyzer's options say.

    Attributes:
        level: share of true ages that its intervals are to hold; None for the analyzer's.
        abstain: probability below which a gender is "uncertain"; None for the analyzer's.
        max_faces: keep only so many faces, the largest; None for all that the detector gives.
    """

    level: float | None = None
    abstain: float | None = None
    max_faces: int | None = None

    def __post_init__(self) -> None:
        if self.level is not None:
            check_level(self.level)
        if self.abstain is not None:
            check_abstain(self.abstain)
        if self.max_faces is not None and self.max_faces < 1:
            raise UsageError(f"max_faces must be 1 or more, not {self.max_faces}", option="max_faces")
