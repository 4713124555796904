"""A service with a tiny model that takes pictures as chips, in this process; and pictures to send."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

pytest.importorskip("fastapi", reason="needs the extra serve")

from starlette.testclient import TestClient

from mien.service import Settings, create_app

Serve = Callable[..., TestClient]
collect_ignore = ["schemathesis_hooks.py"]  # imported by schemathesis itself, and no doctests are in it


def picture(level: int = 100, form: str = "PNG") -> bytes:
    """A grey picture that the tiny model finds `level / 2.55` years old."""
    stream = BytesIO()
    Image.fromarray(np.full((32, 32, 3), level, np.uint8)).save(stream, form)
    return stream.getvalue()


@pytest.fixture
def serve(tiny_bundle: Path) -> Iterator[Serve]:
    """Makes clients of services with the tiny model; settings by name."""
    with ExitStack() as stack:

        def start(**settings: Any) -> TestClient:
            chosen = Settings(**{"models": (str(tiny_bundle),), "detector": "whole", "workers": 2, **settings})
            return stack.enter_context(TestClient(create_app(chosen), raise_server_exceptions=False))

        yield start


@pytest.fixture
def client(serve: Serve) -> TestClient:
    """A client of a service with default limits."""
    return serve()
