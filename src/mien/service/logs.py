"""The log: one line a request, with its id, and nothing in it that a client could forge or steer a terminal with."""

from __future__ import annotations

import copy
import logging
import re
import secrets
from contextvars import ContextVar
from typing import Any

from uvicorn.config import LOGGING_CONFIG

from mien.plain import plain, plain_lines

REQUEST: ContextVar[str] = ContextVar("mien_request", default="")
"""Id of the request that is answered; empty outside of any."""

HEADER = "X-Request-ID"
_ID = re.compile(r"[A-Za-z0-9._:+/=-]{1,64}")


def request_id(given: str | None) -> str:
    """The id of a request: the one that the client or its proxy gave, where it is a plain word, or a new one.

    >>> request_id("b7-1"), len(request_id(None)), len(request_id("a b"))
    ('b7-1', 16, 16)
    """
    return given if given and _ID.fullmatch(given) else secrets.token_hex(8)


_TRACEBACKS = logging.Formatter()


class RequestIds(logging.Filter):
    """Adds the id of the request to what is logged, and takes control characters out of it."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Change a record; always true."""
        request = REQUEST.get()
        record.request = f" [{request}]" if request else ""
        if isinstance(record.args, tuple):
            record.args = tuple(plain(value) if isinstance(value, str) else value for value in record.args)
        if isinstance(record.msg, str):
            record.msg = plain_lines(record.msg)
        if record.exc_info and not record.exc_text:
            record.exc_text = plain_lines(_TRACEBACKS.formatException(record.exc_info))
        return True


def config() -> dict[str, Any]:
    """What uvicorn is told about logs: its own, with ids, and mien's own beside them."""
    chosen: dict[str, Any] = copy.deepcopy(LOGGING_CONFIG)
    chosen["filters"] = {"requests": {"()": "mien.service.logs.RequestIds"}}
    for formatter in chosen["formatters"].values():
        formatter["fmt"] = f"{formatter['fmt']}%(request)s"
    for handler in chosen["handlers"].values():
        handler["filters"] = ["requests"]
    chosen["loggers"]["mien"] = {"handlers": ["default"], "level": "INFO", "propagate": False}
    return chosen
