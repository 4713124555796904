"""What the service answers at /v1."""

from __future__ import annotations

import asyncio
import math
from base64 import b64encode
from collections.abc import AsyncGenerator
from concurrent.futures import Future
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from io import BytesIO
from typing import Annotated, Any, TypeVar

import numpy as np
from fastapi import APIRouter, Depends, Query, Request, Response
from numpy.typing import NDArray
from PIL import Image

from mien.age_check import AgeCheck, AgeChecker
from mien.analyzer import Analyzer, Draft, PhotoRequest
from mien.drawing.maps import heat
from mien.errors import ModelError
from mien.estimate.explain import Explanation, explain
from mien.results import SCHEMA_VERSION, Photo
from mien.service import schemas
from mien.service.jobs import Order, TooLate
from mien.service.places import Ticket, busy, evicted
from mien.service.problems import MEDIA_TYPE, TITLES, Problem, of_failures
from mien.service.state import State
from mien.service.uploads import Upload
from mien.sinks.records import encode

T = TypeVar("T")

JSON = "application/json"
OVERLAY_SIDE = 360
MOST_EXPLAINED = 4
"""Faces that are explained unless one is named: each takes the time of some fifty others."""
PROBLEM = {"content": {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/ProblemRecord"}}}}


def problems(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """The problems a route may answer with, for OpenAPI."""
    titles = {status: " / ".join(title for code, title in TITLES.values() if code == status) for status in statuses}
    return {status: {"description": titles[status], **PROBLEM} for status in statuses}


REFUSALS = problems(400, 401, 408, 413, 415, 422, 429, 500, 503, 504)
BODY: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {
            "multipart/form-data": {
                "schema": {"$ref": "#/components/schemas/PhotoFiles"},
                "encoding": {"photos": {"contentType": "image/jpeg, image/png, image/webp"}},
            },
            JSON: {"schema": {"$ref": "#/components/schemas/PhotosInJSON"}},
            **{kind: {"schema": {"type": "string", "format": "binary"}} for kind in ("image/jpeg", "image/png")},
        },
    }
}


def state_of(request: Request) -> State:
    """What the service holds."""
    state = request.app.state.mien
    assert isinstance(state, State)
    return state


async def _authorise(request: Request) -> None:
    await state_of(request).gate.authorise(request)


router = APIRouter(prefix="/v1", dependencies=[Depends(_authorise)])


@router.get("/models", response_model=schemas.Models, responses=problems(401, 422, 429))
async def models(request: Request) -> Response:
    """The models that the service answers with, and what a request may bring."""
    return _json(state_of(request).describe())


@router.post("/predict", response_model=schemas.Predictions, responses=REFUSALS, openapi_extra=BODY)
async def predict(request: Request, choice: Annotated[schemas.PredictChoice, Query()]) -> Response:
    """Estimate age and gender of every face in photos."""
    state = state_of(request)
    analyzer = state.analyzer(choice.model)
    async with _photos(request) as work:
        found = await _analyse(work, analyzer, choice)
    records = [photo.to_dict(pmf=choice.pmf) for photo, _ in found]
    _refuse_if_all_failed([photo for photo, _ in found], records)
    return _json({"schema_version": SCHEMA_VERSION, "model": analyzer.config.name, "photos": records})


@router.post("/check-age", response_model=schemas.AgeChecksAnswer, responses=REFUSALS, openapi_extra=BODY)
async def check_age(request: Request, choice: Annotated[schemas.CheckChoice, Query()]) -> Response:
    """Decide whether the person on each photo is old enough: a help for whom to ask for a proof, no proof itself."""
    state = state_of(request)
    analyzer = state.analyzer(choice.model)
    try:
        checker = AgeChecker(
            analyzer,
            min_age=choice.min_age,
            max_false_pass=choice.max_false_pass,
            max_false_fail=choice.max_false_fail,
        )
    except ModelError as error:  # the model has learned no age checks: the caller may choose another
        raise Problem("usage", str(error)) from None
    async with _photos(request) as work:
        found = await _analyse(work, analyzer, schemas.PredictChoice())
    checks: list[AgeCheck] = [checker.decide(photo) for photo, _ in found]
    records = [check.to_dict() for check in checks]
    _refuse_if_all_failed([photo for photo, _ in found], records)
    return _json({"schema_version": SCHEMA_VERSION, "model": analyzer.config.name, "checks": records})


@router.post("/explain", response_model=schemas.Explanations, responses=REFUSALS, openapi_extra=BODY)
async def explain_photo(request: Request, choice: Annotated[schemas.ExplainChoice, Query()]) -> Response:
    """Tell which parts of the faces of one photo the answers rest on."""
    state = state_of(request)
    analyzer = state.analyzer(choice.model)
    async with _photos(request, "explain") as work:
        if len(work.uploads) > 1:
            raise Problem("usage", "one photo at a time can be explained")
        only = schemas.PredictChoice(max_faces=choice.face or MOST_EXPLAINED)  # the rest of a crowd costs nothing
        ((photo, draft),) = await _analyse(work, analyzer, only)
        _refuse_if_all_failed([photo], [photo.to_dict()])
        numbers = _numbers(photo, choice.face)
        work.refuse_if_late("explain", len(numbers))
        explanations = await work.in_time(
            [
                state.engine.run(partial(_explain, analyzer, draft, number, choice), work.ticket.caller, "explain")
                for number in numbers
            ]
        )
    faces = [
        {**photo.faces[number - 1].to_dict(), "number": number, "explanation": record}
        for number, record in zip(numbers, explanations, strict=True)
    ]
    return _json(photo.to_dict() | {"faces": faces})


def _json(record: Any) -> Response:
    return Response(encode(record), media_type=JSON, headers={"Cache-Control": "no-store"})


@dataclass(slots=True)
class _Work:
    """A request that is worked on: its photos, its place, and when it must be answered by the loop's clock."""

    state: State
    ticket: Ticket
    uploads: list[Upload]
    end: float

    def refuse_if_late(self, kind: str, pieces: int) -> None:
        """Refuse what could not be done in time, now rather than when the time is over."""
        wait = self.state.engine.delay(self.ticket.caller, kind, pieces)
        if wait > self.end - asyncio.get_running_loop().time():
            raise _late(wait)

    async def in_time(self, futures: list[Future[T]]) -> list[T]:
        """The results of work, or a problem where it takes too long; what was not begun then is dropped."""
        try:
            async with asyncio.timeout_at(self.end) as self.ticket.timeout:
                return await asyncio.gather(*(asyncio.wrap_future(future) for future in futures))
        except TooLate as late:
            raise _late(late.seconds) from None
        except TimeoutError:
            if self.ticket.evicted:
                raise evicted() from None
            seconds = self.state.settings.work_seconds
            raise Problem("timeout", f"the answer was not there within {seconds:g} s") from None
        finally:
            self.ticket.timeout = None
            for future in futures:
                future.cancel()


def _late(wait: float) -> Problem:
    return busy(f"it would take some {wait:.0f} s until this is done", min(60, math.ceil(wait / 2)))


@asynccontextmanager
async def _photos(request: Request, kind: str = "photo") -> AsyncGenerator[_Work]:
    """The photos of a request, which has a place until its answer is made: from when its body is there."""
    state = state_of(request)
    with state.gate.arrive(request, kind) as ticket:
        uploads = await state.reader.read(request, ticket)
        state.gate.places.enter(ticket)
        work = _Work(state, ticket, uploads, asyncio.get_running_loop().time() + state.settings.work_seconds)
        work.refuse_if_late("photo", len(uploads))
        if kind != "photo":
            work.refuse_if_late(kind, 1)
        yield work


async def _analyse(work: _Work, analyzer: Analyzer, choice: schemas.PredictChoice) -> list[tuple[Photo, Draft]]:
    """The answers for photos, in their order."""
    caller, request = work.ticket.caller, PhotoRequest(choice.level, choice.abstain, choice.max_faces)
    orders = [Order(analyzer, upload.data, upload.name, request, caller, work.end) for upload in work.uploads]
    found = await work.in_time([work.state.engine.analyse(order) for order in orders])
    for photo, _ in found:
        work.state.metrics.count(photo)
    return found


def _refuse_if_all_failed(photos: list[Photo], records: list[dict[str, Any]]) -> None:
    failures = [photo.error for photo in photos if photo.error is not None]
    if len(failures) == len(photos):
        raise of_failures(failures, records)


def _numbers(photo: Photo, face: int | None) -> list[int]:
    if face is None:
        return list(range(1, min(MOST_EXPLAINED, len(photo.faces)) + 1))
    if face > len(photo.faces):
        raise Problem("usage", f"face is {face}, but the number of faces found in {photo.source} is {len(photo.faces)}")
    return [face]


def _explain(analyzer: Analyzer, draft: Draft, number: int, choice: schemas.ExplainChoice) -> dict[str, Any]:
    """The explanation of one face, as a record."""
    chip = draft.chips[number - 1]
    try:
        (why,) = explain(analyzer.estimator, chip[None], choice.target, choice.method)
    except ModelError as error:  # the model cannot be explained by this method: the caller may choose another
        raise Problem("usage", str(error)) from None
    return why.to_dict() | ({"overlay": _overlay(chip, why)} if choice.overlay else {})


def _overlay(chip: NDArray[np.uint8], why: Explanation) -> str:
    """The map over the face as a data: URL."""
    stream = BytesIO()
    Image.fromarray(heat(chip, why.pixels(OVERLAY_SIDE))).save(stream, "PNG", compress_level=3)
    return f"data:image/png;base64,{b64encode(stream.getvalue()).decode()}"
