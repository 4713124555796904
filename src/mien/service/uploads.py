"""The body of a request -> photos in memory: multipart files or JSON with base64, within limits, never on a disk."""

from __future__ import annotations

import asyncio
import binascii
import unicodedata
from base64 import b64decode
from collections.abc import AsyncGenerator
from dataclasses import dataclass
from pathlib import PurePosixPath, PureWindowsPath

from fastapi import Request
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from python_multipart.multipart import parse_options_header
from starlette.datastructures import UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser
from starlette.requests import ClientDisconnect

from mien.service.problems import Problem
from mien.service.settings import Settings

FIELD = "photos"
MOST_IN_JSON = 1000
"""Photos of a request in JSON whatever the settings allow, so that a body of a million empty ones ends early."""
JSON_WEIGHT = 5
"""Bytes of memory that a byte of JSON takes at most: the body, its tree, the text and the bytes of each photo."""
LONGEST_NAME = 255


@dataclass(frozen=True, slots=True)
class Upload:
    """One photo as it came: its name, without any folder, and its bytes."""

    name: str
    data: bytes


class PhotoInJSON(BaseModel):
    """One photo inside JSON."""

    model_config = ConfigDict(extra="forbid")

    name: str | None = Field(default=None, description="What the answer calls it.", max_length=LONGEST_NAME)
    data: str = Field(
        description="The encoded picture (JPEG, PNG, WebP, ...) in base64.", json_schema_extra={"format": "byte"}
    )


class PhotosInJSON(BaseModel):
    """Photos as JSON."""

    model_config = ConfigDict(extra="forbid")

    photos: list[PhotoInJSON] = Field(min_length=1, max_length=MOST_IN_JSON, fail_fast=True)


class Reader:
    """Reads the bodies of requests; knows how many bytes it holds for all of them."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self.held = 0

    async def read(self, request: Request) -> tuple[list[Upload], int]:
        """The photos of a request, and the bytes held for it, which `free` gives back.

        Raises:
            Problem: the body is too large, too slow, of another media type, or not as documented.
        """
        length = request.headers.get("content-length", "")
        if length.isdigit() and int(length) > self._settings.max_body:
            raise self._too_large()
        kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
        body = _Body(self, request, JSON_WEIGHT if kind == "application/json" else 1)
        try:
            async with asyncio.timeout(self._settings.body_seconds):
                if kind == "multipart/form-data":
                    photos = await self._multipart(request, body)
                elif kind == "application/json":
                    photos = await self._json(body)
                else:
                    raise Problem("media_type", "send multipart/form-data, or application/json with base64")
            self._check(photos)
        except BaseException as error:
            self.free(body.held)
            if isinstance(error, TimeoutError):
                seconds = self._settings.body_seconds
                raise Problem(
                    "slow_request", f"the request did not arrive within {seconds:g} s", headers=CLOSE
                ) from None
            if isinstance(error, ClientDisconnect):
                raise Problem("bad_request", "the client left before its request had arrived") from None
            raise
        return photos, body.held

    def free(self, count: int) -> None:
        """Give back the bytes held for a request that is answered."""
        self.held -= count

    def hold(self, request_bytes: int, more: int, weight: int) -> None:
        """Take on more bytes for a request that has brought so many; each counts `weight` times."""
        if request_bytes + more > self._settings.max_body:
            raise self._too_large()
        if self.held + weight * more > self._settings.max_held:
            raise busy("too many large requests are being worked on")
        self.held += weight * more

    def _too_large(self) -> Problem:
        return Problem("too_large", f"a request may have {self._settings.max_body} bytes", headers=CLOSE)

    async def _multipart(self, request: Request, body: _Body) -> list[Upload]:
        parser = _InMemory(request.headers, body.chunks(), max_files=self._settings.max_photos + 1)
        try:
            form = await parser.parse()
            if not parser.ended:
                raise Problem("bad_request", "the multipart body breaks off before its closing boundary")
        except MultiPartException as error:
            if error.message.startswith("Too many files"):
                raise self._too_many() from None
            raise Problem("bad_request", f"the multipart body is malformed: {error.message}") from None
        else:
            photos: list[Upload] = []
            for field, value in form.multi_items():
                if field != FIELD or not isinstance(value, UploadFile):
                    raise Problem("usage", f"photos are files of the field {FIELD!r}, not of {field!r}")
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


CLOSE = {"Connection": "close"}
"""Headers of an answer that is given before the whole request was read."""


def busy(detail: str) -> Problem:
    """The problem of a service with too much to do."""
    return Problem("busy", f"{detail}: try again in a moment", headers={"Retry-After": "1", **CLOSE})


class _Body:
    """The bytes of one request, counted as they come."""

    def __init__(self, reader: Reader, request: Request, weight: int) -> None:
        self._reader = reader
        self._request = request
        self._weight = weight
        self._bytes = 0

    @property
    def held(self) -> int:
        """What it counts for."""
        return self._weight * self._bytes

    async def chunks(self) -> AsyncGenerator[bytes, None]:
        async for chunk in self._request.stream():
            self._reader.hold(self._bytes, len(chunk), self._weight)
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
    try:
        record = PhotosInJSON.model_validate_json(data)
    except ValidationError as error:
        found = error.errors(include_url=False, include_context=False, include_input=False)
        if found[0]["type"] == "json_invalid":
            raise Problem("bad_request", f"the body is no JSON: {found[0]['msg']}") from None
        faults = [
            {"at": ".".join(["body", *(str(part) for part in fault["loc"])]), "fault": fault["msg"]} for fault in found
        ]
        detail = "; ".join(f"{fault['at']}: {fault['fault']}" for fault in faults)
        raise Problem("usage", detail, members={"errors": faults}) from None
    photos = []
    for position, photo in enumerate(record.photos):
        try:
            photos.append(Upload(_name(photo.name, position), b64decode(photo.data, validate=True)))
        except (binascii.Error, ValueError):
            raise Problem("usage", f"body.photos.{position}.data is no base64") from None
    return photos


def _name(given: str | None, position: int) -> str:
    r"""A name for a photo: what the client calls it, without folders and control characters.

    >>> _name("../../etc/passwd", 0), _name("C:\\me\\a.jpg", 0), _name("", 1), _name("a\x00b\n.jpg", 0)
    ('passwd', 'a.jpg', 'photo-2', 'ab.jpg')
    """
    printable = "".join(letter for letter in given or "" if unicodedata.category(letter)[0] != "C")
    name = PureWindowsPath(PurePosixPath(printable).name).name
    return name[-LONGEST_NAME:] if name not in {"", ".", ".."} else f"photo-{position + 1}"
