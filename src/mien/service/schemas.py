"""The service's answers for OpenAPI: the records of `mien.results` and their kin, field by field.

The answers themselves are made by `to_dict()` of those classes, as on the command line; tests hold the two together.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from mien.results import ABSTAIN

Probability = Annotated[float, Field(ge=0, le=1)]


class Record(BaseModel):
    """Base: no field but those told."""

    model_config = ConfigDict(extra="forbid")


class BoxRecord(Record):
    """Pixels of the upright full-size photo; right and bottom lie outside the box."""

    left: float
    top: float
    right: float
    bottom: float


class AgeRecord(Record):
    """Apparent age in years."""

    years: float = Field(description="Expectation, the point estimate.")
    median: float
    low: float = Field(description="Lower end of the interval.")
    high: float = Field(description="Upper end of the interval.")
    level: float = Field(description="Share of true ages that such intervals hold.")
    pmf: list[float] | None = Field(default=None, description="Probability of each whole year 0..116, where asked for.")


class GenderRecord(Record):
    """Gender as labelled in the training data."""

    label: Literal["female", "male", "uncertain"]
    probability: Probability = Field(description="Of the likelier of female and male.")


class QualityRecord(Record):
    """How good a view of the face the photo gives."""

    eyes: float = Field(description="Pixels between the eyes.")
    sharpness: float
    turn: float | None = Field(description="Degrees; above 0 to the right of the picture.")
    flags: list[Literal["small", "blurred", "turned", "vague"]]


class FaceRecord(Record):
    """One face."""

    box: BoxRecord
    score: float | None = Field(description="How sure the detector is, 0 to 1.")
    landmarks: list[list[float]] | None = Field(description="Eyes, nose and mouth corners, left ones first: x, y.")
    age: AgeRecord
    gender: GenderRecord
    quality: QualityRecord


class FailureRecord(Record):
    """Why a photo has no answer."""

    kind: str
    message: str


class _Photo(Record):
    schema_version: int
    source: str = Field(description="The name that it was sent under.")
    model: str
    width: int | None
    height: int | None
    scale: float | None = Field(
        description="Size of the picture in which faces were looked for, relative to the photo: below 1 if reduced."
    )
    turned: Literal[0, 90, 180, 270] = Field(description="Degrees clockwise by which it was turned to see the faces.")
    incomplete: bool = Field(description="Whether the file ends before all of the picture has come.")


class PhotoRecord(_Photo):
    """One photo: its faces, largest first, or the reason why there are none."""

    faces: list[FaceRecord]
    error: FailureRecord | None


class Predictions(Record):
    """Answer of /v1/predict, photos in the order sent."""

    schema_version: int
    model: str
    photos: list[PhotoRecord]


class FaceCheckRecord(Record):
    """The decision on one face."""

    outcome: Literal["pass", "fail", "unsure"]
    probability: Probability = Field(description="That the person is as old as the limit.")
    reason: str
    face: FaceRecord


class RuleRecord(Record):
    """Limit, wanted rates of error, and the thresholds that keep them."""

    min_age: int
    max_false_pass: float
    max_false_fail: float
    pass_above: float
    fail_below: float


class AgeCheckRecord(Record):
    """The decision on one photo."""

    schema_version: int
    source: str
    model: str
    outcome: Literal["pass", "fail", "unsure", "error"]
    reason: str
    rule: RuleRecord
    faces: list[FaceCheckRecord]
    error: FailureRecord | None


class AgeChecksAnswer(Record):
    """Answer of /v1/check-age, photos in the order sent."""

    schema_version: int
    model: str
    checks: list[AgeCheckRecord]


class RegionRecord(Record):
    """A part of the face."""

    name: str
    share: float = Field(description="Of the map's weight, without signs.")
    net: float = Field(description="The same with signs: above 0 it speaks for older, or for female.")
    hidden: float = Field(description="The answer when this part is blurred.")


class ExplanationRecord(Record):
    """Which parts of a face an answer rests on."""

    target: Literal["age", "gender"]
    method: str
    unit: str
    value: float
    veiled: float
    regions: list[RegionRecord]
    note: str | None = Field(description="A sentence where the parts explain little.")
    signed: bool
    spread: float
    map: list[list[float]]
    overlay: str | None = Field(default=None, description="The map over the face, a PNG as data: URL, where asked for.")


class ExplainedFaceRecord(FaceRecord):
    """One face with its explanation."""

    number: int = Field(description="1 for the largest face.")
    explanation: ExplanationRecord


class Explanations(_Photo):
    """Answer of /v1/explain."""

    faces: list[ExplainedFaceRecord]
    error: FailureRecord | None


class AgeLimits(Record):
    """What a model's age checks know."""

    limits: list[int]
    rates: list[float] = Field(description="Rates of error for which thresholds are kept.")


class ModelRecord(Record):
    """One model that the service answers with."""

    name: str
    licence: str
    data: list[str] = Field(description="Data sets that it learned from.")
    parameters: int
    multiply_adds: int
    calibrated: bool
    figures: dict[str, float]
    age_checks: AgeLimits | None


class Limits(Record):
    """What a request may bring."""

    max_body: int
    max_photos: int
    max_pixels: int


class Models(Record):
    """Answer of /v1/models."""

    default: str
    detector: str
    models: list[ModelRecord]
    limits: Limits
    key_needed: bool


class Health(Record):
    """Answer of /healthz and /readyz."""

    status: Literal["ok"]


class ProblemRecord(BaseModel):
    """An error as RFC 9457 has it; the photos' records are there where all of them failed."""

    type: str
    title: str
    status: int
    detail: str
    instance: str | None = Field(default=None, description="The request: its id is in X-Request-ID and in the log.")
    photos: list[PhotoRecord] | list[AgeCheckRecord] | None = None
    errors: list[dict[str, Any]] | None = None


class Choice(Record):
    """What every request with photos may choose."""

    model: str | None = Field(
        default=None, description="One of /v1/models; the first of them unless told.", max_length=200
    )


class PredictChoice(Choice):
    """What a request for predictions may choose."""

    level: float = Field(default=0.9, gt=0, lt=1, description="Share of true ages that the age intervals are to hold.")
    abstain: float = Field(default=ABSTAIN, ge=0.5, le=1, description="Call a gender uncertain below this probability.")
    max_faces: int | None = Field(
        default=None, ge=1, le=10_000, description="Keep only so many faces a photo, the largest."
    )
    pmf: bool = Field(default=False, description="Add the probability of each year 0..116.")


class CheckChoice(Choice):
    """What a request for age checks may choose."""

    min_age: int = Field(default=18, ge=1, le=116, description="The limit in years.")
    max_false_pass: float = Field(
        default=0.01, gt=0, le=0.5, description="Share of people below the limit that may pass."
    )
    max_false_fail: float = Field(
        default=0.01, gt=0, le=0.5, description="Share of people above the limit that may fail."
    )


class ExplainChoice(Choice):
    """What a request for explanations may choose."""

    target: Literal["age", "gender"] = "age"
    method: Literal["cam", "occlusion"] = "occlusion"
    face: int | None = Field(
        default=None, ge=1, le=10_000, description="Which face, 1 for the largest; the four largest unless told."
    )
    overlay: bool = Field(default=False, description="Add the map over the face, as a PNG.")
