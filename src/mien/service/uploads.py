"""The body of a request -> photos in memory: files, a bare picture or JSON, within limits, never on a disk."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from dataclasses import dataclass
from pathlib import PurePosixPath, PureWindowsPath

from fastapi import Request
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydantic_core import from_json
from python_multipart.multipart import parse_options_header
from starlette.datastructures import UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser
from starlette.requests import ClientDisconnect

from mien.plain import plain
from mien.service import base64s, faults
from mien.service.places import Places, Ticket, evicted
from mien.service.problems import CLOSE, Problem
from mien.service.settings import Settings

FIELD = "photos"
MOST_IN_JSON = 1000
"""Photos of a request in JSON whatever the settings allow, so that a body of a million empty ones ends early."""
JSON_WEIGHT = 5
"""Bytes of memory that a byte of JSON takes at most: the body, its tree, the text and the bytes of each photo."""
LONGEST_NAME = 255
MOST_TOKENS = 20_000
"""Values and keys of a body in JSON, counted by what separates them: base64 has none of it, and each value would take
the memory of fifty bytes, each fault that of a thousand."""
BEGINNING = 1 << 16
KINDS = (
    "send multipart/form-data with files in the field 'photos', a bare picture as image/jpeg (or image/png, ...), or "
    "application/json with base64"
)
PICTURES = ("image/", "application/octet-stream")
"""How a body's media type begins where it is nothing but one picture."""


@dataclass(frozen=True, slots=True)
class Upload:
    """One photo as it came: its name, without any folder, and its bytes."""

    name: str
    data: bytes


class PhotoInJSON(BaseModel):
    """One photo inside JSON."""

    model_config = ConfigDict(extra="forbid")

    name: str | None = Field(default=None, description="What the answer calls it.", max_length=LONGEST_NAME)
    data: bytes = Field(
        description="The encoded picture (JPEG, PNG, WebP, ...) in base64: plain or URL-safe, with or without line "
        "breaks and padding; a data: URI of it will do too.",
        json_schema_extra={"format": "byte"},
    )


class PhotosInJSON(BaseModel):
    """Photos as JSON."""

    model_config = ConfigDict(extra="forbid")

    photos: list[PhotoInJSON] = Field(min_length=1, max_length=MOST_IN_JSON, fail_fast=True)


class Reader:
    """Reads the bodies of requests."""

    def __init__(self, settings: Settings, places: Places) -> None:
        self._settings = settings
        self._places = places

    @property
    def held(self) -> int:
        """Bytes that all requests count for."""
        return self._places.held

    async def read(self, request: Request, ticket: Ticket) -> list[Upload]:
        """The photos of a request, whose bytes count for its ticket.

        Raises:
            Problem: the body is too large, too slow, of another media type, or not as documented; or it had to make
                room for others.
        """
        length = request.headers.get("content-length", "")
        if length.isdigit() and (len(length) > 18 or int(length) > self._settings.max_body):
            raise self._too_large()
        kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
        body = _Body(self, request, ticket, JSON_WEIGHT if kind == "application/json" else 1)
        try:
            async with asyncio.timeout(self._settings.body_seconds) as ticket.timeout:
                if kind == "multipart/form-data":
                    photos = await self._multipart(request, body)
                elif kind == "application/json":
                    photos = await self._json(body)
                elif kind.startswith(PICTURES):
                    photos = await self._bare(request, body)
                else:
                    raise Problem("media_type", KINDS)
        except TimeoutError:
            if ticket.evicted:
                raise evicted() from None
            seconds = self._settings.body_seconds
            raise Problem("slow_request", f"the request did not arrive within {seconds:g} s", headers=CLOSE) from None
        except ClientDisconnect:
            raise Problem("bad_request", "the client left before its request had arrived") from None
        finally:
            ticket.timeout = None
        self._check(photos)
        return photos

    def hold(self, ticket: Ticket, request_bytes: int, more: int, weight: int) -> None:
        """Take on more bytes for a request that has brought so many; each counts `weight` times."""
        if request_bytes + more > self._settings.max_body:
            raise self._too_large()
        self._places.hold(ticket, weight * more)

    def _too_large(self) -> Problem:
        return Problem("too_large", f"a request may have {self._settings.max_body} bytes", headers=CLOSE)

    async def _bare(self, request: Request, body: _Body) -> list[Upload]:
        data = bytearray()
        async for chunk in body.chunks():
            data += chunk
        if not data:
            return []
        options = parse_options_header(request.headers.get("content-disposition"))[1]
        given = options.get(b"filename", b"").decode("utf-8", "replace")
        return [Upload(_name(given, 0), bytes(data))]

    async def _multipart(self, request: Request, body: _Body) -> list[Upload]:
        parser = _InMemory(request.headers, body.chunks(), max_files=self._settings.max_photos + 1)
        try:
            form = await parser.parse()
            if not parser.ended:
                raise Problem("bad_request", "the multipart body breaks off before its closing boundary")
        except MultiPartException as error:
            if error.message.startswith("Too many files"):
                raise self._too_many() from None
            raise Problem(
                "bad_request", f"the multipart body is malformed: {faults.cut(plain(error.message), 200)}"
            ) from None
        else:
            photos: list[Upload] = []
            for field, value in form.multi_items():
                if field != FIELD or not isinstance(value, UploadFile):
                    other = faults.cut(plain(field), faults.LONGEST_PLACE)
                    raise Problem("usage", f"photos are files of the field {FIELD!r}, not of {other!r}")
                photos.append(Upload(_name(value.filename, len(photos)), await value.read()))
            return photos
        finally:
            parser.close()

    async def _json(self, body: _Body) -> list[Upload]:
        data = bytearray()
        async for chunk in body.chunks():
            data += chunk
        return await asyncio.to_thread(_from_json, bytes(data))

    def _check(self, photos: list[Upload]) -> None:
        if not photos:
            raise Problem("usage", f"there is no photo in the request: send files in the field {FIELD!r}")
        if len(photos) > self._settings.max_photos:
            raise self._too_many()

    def _too_many(self) -> Problem:
        return Problem("too_large", f"a request may have {self._settings.max_photos} photos", headers=CLOSE)


class _Body:
    """The bytes of one request, counted as they come."""

    def __init__(self, reader: Reader, request: Request, ticket: Ticket, weight: int) -> None:
        self._reader = reader
        self._request = request
        self._ticket = ticket
        self._weight = weight
        self._bytes = 0

    async def chunks(self) -> AsyncGenerator[bytes, None]:
        async for chunk in self._request.stream():
            self._reader.hold(self._ticket, self._bytes, len(chunk), self._weight)
            self._bytes += len(chunk)
            yield chunk


class _InMemory(MultiPartParser):
    """Starlette puts files of more than a mebibyte on disk; this parser never does.

    A part without a file name is a file too: starlette would take it for text and spoil its bytes.
    """

    spool_max_size = 1 << 62
    ended = False

    def on_headers_finished(self) -> None:
        disposition = self._current_part.content_disposition
        if disposition is not None and b"filename" not in parse_options_header(disposition)[1]:
            self._current_part.content_disposition = disposition + b'; filename=""'
        super().on_headers_finished()

    def on_end(self) -> None:
        self.ended = True

    def close(self) -> None:
        for file in self._files_to_close_on_error:
            file.close()


def _from_json(data: bytes) -> list[Upload]:
    if sum(map(data.count, (b",", b":", b"{", b"["))) > MOST_TOKENS:
        _refuse_crowd(data)
    try:
        record = PhotosInJSON.model_validate_json(data)
    except ValidationError as error:
        found = error.errors(include_url=False, include_context=False, include_input=False)
        if found[0]["type"] == "json_invalid":
            raise Problem("bad_request", f"the body is no JSON: {faults.cut(found[0]['msg'], 200)}") from None
        detail, told = faults.tell(found, "body")
        raise Problem("usage", detail, members={"errors": told}) from None
    photos = []
    for position, photo in enumerate(record.photos):
        try:
            photos.append(Upload(_name(photo.name, position), base64s.decode(photo.data)))
        except ValueError as error:
            raise Problem("usage", f"body.photos.{position}.data is no base64: {error}") from None
        photo.data = b""  # the text is not needed beside the bytes
    return photos


def _refuse_crowd(data: bytes) -> None:
    """Refuse a body with more values than the photos of a request can need, without reading it to its end."""
    try:
        from_json(data[:BEGINNING], allow_partial=True)
    except ValueError as error:
        raise Problem("bad_request", f"the body is no JSON: {faults.cut(str(error), 200)}") from None
    raise Problem("usage", f"the body has more than {MOST_TOKENS} keys and values: send photos with name and data only")


def _name(given: str | None, position: int) -> str:
    r"""A name for a photo: what the client calls it, without folders and control characters.

    >>> _name("../../etc/passwd", 0), _name("C:\\me\\a.jpg", 0), _name("", 1), _name("a\x00b\n.jpg", 0)
    ('passwd', 'a.jpg', 'photo-2', 'ab.jpg')
    """
    name = PureWindowsPath(PurePosixPath(plain("".join((given or "").splitlines()), "")).name).name
    return name[-LONGEST_NAME:] if name not in {"", ".", ".."} else f"photo-{position + 1}"
