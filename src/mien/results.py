"""What mien answers: frozen records of native Python types, each with `to_dict()` for JSON."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

from mien.native import UNWRITTEN, Record, also, native, record, written

SCHEMA_VERSION = 1
"""Version of the field names below; raised when one of them changes its name or meaning, not when one is added."""

Point = tuple[float, float]


@dataclass(frozen=True, slots=True)
class Box(Record):
    """Axis-aligned rectangle in pixels of the upright photo; right and bottom lie outside it.

    Its record has tenths of a pixel.

    >>> Box(10, 20, 40, 60).width, Box(10, 20, 40, 60).height
    (30, 40)
    """

    left: float = field(metadata=written(digits=1))
    top: float = field(metadata=written(digits=1))
    right: float = field(metadata=written(digits=1))
    bottom: float = field(metadata=written(digits=1))

    @property
    def width(self) -> float:
        """Pixels from left to right."""
        return self.right - self.left

    @property
    def height(self) -> float:
        """Pixels from top to bottom."""
        return self.bottom - self.top


@dataclass(frozen=True, slots=True)
class Age(Record):
    """Apparent age in years.

    Attributes:
        years: expectation of the distribution, the point estimate.
        median: its median.
        low: lower end of the interval.
        high: upper end of the interval.
        level: the share of true ages that such intervals hold, e.g. 0.9.
        pmf: probability of each whole year 0..116; sums to 1.
    """

    years: float = field(metadata=written(digits=1))
    median: float = field(metadata=written(digits=1))
    low: float = field(metadata=written(digits=1))
    high: float = field(metadata=written(digits=1))
    level: float
    pmf: tuple[float, ...] = field(metadata=UNWRITTEN)

    def to_dict(self, *, pmf: bool = False) -> dict[str, Any]:
        """Years rounded to a tenth; the distribution only when asked for."""
        return record(self) | ({"pmf": native(self.pmf, 6)} if pmf else {})


def whole(years: float) -> int:
    """Years where there is room for whole ones only: from the unrounded number, and halves upwards, as on the page.

    >>> whole(32.46), whole(32.5), whole(33.5)
    (32, 33, 34)
    """
    return math.floor(years + 0.5)


UNCERTAIN = "uncertain"
"""The gender label of a face where the model abstains."""

ABSTAIN = 0.6
"""Probability of the likelier gender below which no gender is named, unless another is asked for.

It is chosen on the validation fold from what `mien lab audit abstain` prints there: the highest threshold, in steps of
0.05, below which the likelier label is wrong for 44 % of the faces or more: hardly better than a coin's throw.
Evaluations ask for a name always (0.5).
"""

SUREST, SURE = 0.999, 0.99
"""The highest probability that is ever told, and the one from which on it is told with one more digit."""


@dataclass(frozen=True, slots=True)
class Gender(Record):
    """Gender as labelled in the training data: "female" or "male", nothing more.

    Its record is the label and its probability, to four places.

    >>> Gender(0.25).label, Gender(0.25).probability, Gender(0.25, abstain=0.8).label
    ('male', 0.75, 'uncertain')

    Attributes:
        female: probability of "female", 0 to 1.
        abstain: probability of the likelier label below which none is named; at 0.5 one is named always.
    """

    female: float = field(metadata=UNWRITTEN)
    abstain: float = field(default=0.5, metadata=UNWRITTEN)

    @property
    @also()
    def label(self) -> str:
        """The likelier of the two, or "uncertain" where its probability is below `abstain`."""
        if self.probability < self.abstain:
            return UNCERTAIN
        return "female" if self.female >= 0.5 else "male"

    @property
    @also(digits=4)
    def probability(self) -> float:
        """Probability of the likelier label, 0.5 to 1, whether it is named or not."""
        return self.female if self.female >= 0.5 else 1.0 - self.female

    @property
    def percent(self) -> str:
        """The probability in words: never a certainty, and with one more digit where nearly all faces lie.

        It is that of the records, of four places, so that whoever has a record says the same.

        >>> Gender(1 - 0.614).percent, Gender(0.9938).percent, Gender(0.99997).percent
        ('61 %', '99.3 %', '99.9 %')
        """
        told = round(self.probability, 4)
        if told < SURE:
            return f"{min(99, math.floor(100 * told + 0.5))} %"
        return f"{math.floor(1000 * min(told, SUREST) + 1e-9) / 10:.1f} %"


@dataclass(frozen=True, slots=True)
class Quality(Record):
    """Quality of the view of a face.

    Attributes:
        eyes: pixels between the eyes in the picture that the chip was cut from (a big photo is decoded at a reduced
            size), as if the face looked at the camera.
        sharpness: share of fine detail; a blurred or enlarged face has little.
        turn: about how many degrees the face is turned to the right of the picture, below 0 to the left; None where the
            detector finds no landmarks.
        flags: "small", "blurred", "turned", or none of them; with any, expect less of the estimates. And "vague" where
            the 90 % age interval is wider than 60 years: the model cannot tell, and perhaps this is no face.
    """

    eyes: float = field(metadata=written(digits=1))
    sharpness: float = field(metadata=written(digits=4))
    turn: float | None = field(metadata=written(digits=1))
    flags: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Face(Record):
    """One face of a photo.

    Attributes:
        box: where it is, in pixels of the upright photo.
        score: how sure the detector is, 0 to 1; None where it does not say.
        landmarks: left eye, right eye, nose, left and right mouth corner (left as seen in the picture), in pixels of
            the upright photo; None where the detector finds none.
        age: its apparent age.
        gender: its apparent gender.
        quality: how good a view of it the photo gives.
        crop: name of the file that its chip was saved in, where that was asked for.
    """

    box: Box
    score: float | None = field(metadata=written(digits=4))
    landmarks: tuple[Point, ...] | None = field(metadata=written(digits=1))
    age: Age
    gender: Gender
    quality: Quality
    crop: str | None = field(default=None, metadata=written(optional=True))

    def to_dict(self, *, pmf: bool = False) -> dict[str, Any]:
        """Native types only."""
        return record(self) | ({"age": self.age.to_dict(pmf=True)} if pmf else {})


@dataclass(frozen=True, slots=True)
class Failure(Record):
    """Why a photo has no answer: a stable kind (see `mien.errors`) and a sentence."""

    kind: str
    message: str


@dataclass(frozen=True, slots=True)
class Photo(Record):
    """The answer for one photo: its faces, or the reason why there is none.

    Attributes:
        source: the path, or "archive.tar::member", or a name for bytes.
        model: name of the model that answered.
        width: pixels of the upright photo at full size; None where it could not be decoded.
        height: likewise.
        faces: in descending order of box area; empty where none was found.
        scale: size of the picture in which faces were looked for, relative to the photo: below 1 where a big photo was
            reduced. None where it could not be decoded.
        turned: degrees by which the photo was turned clockwise to see its faces upright: 0, 90, 180 or 270. Boxes and
            landmarks are in pixels of the photo as it was given.
        incomplete: whether the file ends before all of the picture has come.
        error: set where the photo failed; then `faces` is empty.
        annotated: name of the file that it was drawn into, where that was asked for.
    """

    source: str
    model: str
    width: int | None = None
    height: int | None = None
    faces: tuple[Face, ...] = ()
    error: Failure | None = None
    scale: float | None = None
    turned: int = 0
    incomplete: bool = False
    annotated: str | None = None

    def to_dict(self, *, pmf: bool = False) -> dict[str, Any]:
        """The JSON record, with `schema_version` first."""
        return {
            "schema_version": SCHEMA_VERSION,
            "source": self.source,
            "model": self.model,
            "width": self.width,
            "height": self.height,
            "scale": native(self.scale, 4),
            "turned": self.turned,
            "incomplete": self.incomplete,
            "faces": [face.to_dict(pmf=pmf) for face in self.faces],
            "error": native(self.error),
            **({} if self.annotated is None else {"annotated": self.annotated}),
        }
