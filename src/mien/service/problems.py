"""Errors as RFC 9457 tells them: `application/problem+json` with a type that never changes."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException

from mien.errors import MienError, PhotoError, UsageError
from mien.plain import plain
from mien.results import Failure
from mien.service import faults, logs
from mien.sinks.records import encode

log = logging.getLogger("mien.service")

MEDIA_TYPE = "application/problem+json"

TITLES: dict[str, tuple[int, str]] = {
    "bad_request": (400, "The request cannot be read"),
    "unauthorised": (401, "An API key is needed"),
    "not_found": (404, "There is nothing at this address"),
    "method_not_allowed": (405, "This address does not take that method"),
    "slow_request": (408, "The request took too long to arrive"),
    "too_large": (413, "The request or a photo is too large"),
    "media_type": (415, "The request's media type is not taken here"),
    "not_an_image": (415, "The bytes are no picture"),
    "unsupported": (415, "The picture's format is not supported here"),
    "usage": (422, "A parameter cannot be used"),
    "empty": (422, "A photo has no bytes"),
    "truncated": (422, "The picture breaks off or is damaged"),
    "too_costly": (422, "A photo takes more time or memory than it may"),
    "unreadable": (422, "The photo cannot be read"),
    "photos": (422, "None of the photos can be used"),
    "too_many_requests": (429, "Too many requests"),
    "internal": (500, "A fault inside mien"),
    "busy": (503, "The service has as much to do as it can"),
    "timeout": (504, "The answer took too long"),
}
"""Kind -> status and title; the type is "urn:mien:problem:" and the kind."""

CLOSE = {"Connection": "close"}
"""Headers of an answer that is given before the whole request was read."""

KINDS_OF_STATUS = {400: "bad_request", 404: "not_found", 405: "method_not_allowed"}


class Problem(Exception):
    """Something is wrong with a request, told by kind."""

    def __init__(
        self,
        kind: str,
        detail: str,
        *,
        headers: Mapping[str, str] | None = None,
        members: Mapping[str, Any] | None = None,
    ) -> None:
        """Describe it.

        Args:
            kind: one of `TITLES`.
            detail: a sentence that says what to do.
            headers: of the response, e.g. Retry-After.
            members: further members of the record.
        """
        super().__init__(detail)
        self.kind = kind
        self.detail = detail
        self.headers = dict(headers or {})
        self.members = dict(members or {})

    @property
    def status(self) -> int:
        """The HTTP status."""
        return TITLES[self.kind][0]

    def response(self) -> Response:
        """The answer that tells it."""
        status, title = TITLES[self.kind]
        record = {"type": f"urn:mien:problem:{self.kind}", "title": title, "status": status}
        record["detail"] = faults.cut(plain(self.detail), faults.LONGEST_DETAIL)
        if request := logs.REQUEST.get():
            record["instance"] = f"urn:mien:request:{request}"
        body = encode({**record, **self.members})
        return Response(body, status, {**self.headers, "Cache-Control": "no-store"}, MEDIA_TYPE)


def fault_inside() -> Problem:
    """The problem of a fault of ours."""
    return Problem("internal", "a fault inside mien, please report it with the request's id")


def of_failures(failures: list[Failure], records: list[dict[str, Any]]) -> Problem:
    """The problem of a request none of whose photos could be used; of one kind where they all failed alike."""
    kinds = {failure.kind for failure in failures}
    kind = kinds.pop() if len(kinds) == 1 else "photos"
    detail = failures[0].message if len(failures) == 1 else f"none of the {len(failures)} photos can be used"
    return Problem(kind if kind in TITLES else "photos", detail, members={"photos": records})


def of_error(error: MienError) -> Problem:
    """The problem that one of mien's own errors is to a client."""
    if isinstance(error, UsageError):
        return Problem("usage", str(error))
    if isinstance(error, PhotoError):
        return Problem(error.kind if error.kind in TITLES else "photos", str(error))
    log.error("%s: %s", type(error).__name__, error)
    return Problem("internal", "the model does not work as it should: see the service's log")


def _sentence(kind: str, request: Request, error: HTTPException) -> str:
    if kind == "not_found":
        return f"there is nothing at {_path(request)}: see /openapi.json"
    if kind == "method_not_allowed":
        taken = (error.headers or {}).get("Allow", "other methods")
        return f"{_path(request)} takes {taken}, not {faults.cut(request.method, 40)}"
    return str(error.detail)


def _path(request: Request) -> str:
    """The address that was asked for, cut where it is long."""
    return faults.cut(request.url.path, faults.LONGEST_PLACE)


def install(app: FastAPI) -> None:
    """Make an application tell each error as a problem."""

    def problem(_: Request, error: Exception) -> Response:
        assert isinstance(error, Problem)
        return error.response()

    def own(_: Request, error: Exception) -> Response:
        assert isinstance(error, MienError)
        return of_error(error).response()

    def invalid(_: Request, error: Exception) -> Response:
        assert isinstance(error, RequestValidationError)
        detail, told = faults.tell(error.errors())
        return Problem("usage", detail, members={"errors": told}).response()

    def http(request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)
        kind = KINDS_OF_STATUS.get(error.status_code, "bad_request")
        headers = dict(error.headers or {})
        if "GET" in (methods := headers.get("Allow", "").split(", ")) and "HEAD" not in methods:
            headers["Allow"] = ", ".join([*methods, "HEAD"])
        return Problem(kind, _sentence(kind, request, error), headers=headers).response()

    def fault(_: Request, error: Exception) -> Response:
        return fault_inside().response()  # what is logged elsewhere; the client learns nothing of the inside

    app.add_exception_handler(Problem, problem)
    app.add_exception_handler(MienError, own)
    app.add_exception_handler(RequestValidationError, invalid)
    app.add_exception_handler(HTTPException, http)
    app.add_exception_handler(Exception, fault)
