"""What the service extends in uvicorn, h11 and starlette beyond what these promise: pyproject.toml bounds them for it.

A failure here means: the service's classes must follow the new version before the bound in pyproject.toml is raised.
"""

from __future__ import annotations

import inspect
import tomllib
from importlib.metadata import version
from pathlib import Path
from typing import Any

import h11
import pytest
from packaging.requirements import Requirement
from starlette.formparsers import MultiPartParser
from uvicorn import Server
from uvicorn.config import LOGGING_CONFIG
from uvicorn.protocols.http.flow_control import FlowControl
from uvicorn.protocols.http.h11_impl import H11Protocol, RequestResponseCycle

ROOT = Path(__file__).resolve().parents[2]
BOUNDED = ("fastapi", "starlette", "uvicorn", "h11")


@pytest.fixture(scope="module")
def required() -> dict[str, Requirement]:
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    return {found.name: found for found in map(Requirement, extras["serve"])}


@pytest.mark.parametrize("name", BOUNDED)
def test_packages_with_extended_internals_are_bounded(name: str, required: dict[str, Requirement]) -> None:
    operators = {one.operator for one in required[name].specifier}
    assert operators == {">=", "<"}
    assert required[name].specifier.contains(version(name))


def parameters(function: object) -> list[str]:
    return list(inspect.signature(function).parameters)  # type: ignore[arg-type]


def test_connections_have_the_callbacks_that_lingering_overrides() -> None:
    assert parameters(H11Protocol.connection_made) == ["self", "transport"]
    assert parameters(H11Protocol.data_received) == ["self", "data"]
    assert parameters(H11Protocol.connection_lost) == ["self", "exc"]
    assert parameters(H11Protocol.shutdown) == ["self"]


def test_connections_keep_what_lingering_reads() -> None:
    source = inspect.getsource(H11Protocol.__init__)
    for attribute in ("conn", "cycle", "flow", "transport", "client", "loop"):
        assert f"self.{attribute}" in source, attribute
    assert {"response_complete", "disconnected", "message_event"} <= set(
        inspect.getsource(RequestResponseCycle.__init__).replace("self.", " ").replace(":", " ").split()
    )
    assert parameters(FlowControl.resume_reading) == ["self"]


def test_the_state_of_a_client_is_public_in_h11() -> None:
    connection = h11.Connection(h11.SERVER)

    def state() -> Any:
        return connection.their_state

    assert state() is h11.IDLE
    connection.receive_data(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\n")
    connection.next_event()
    assert state() is h11.SEND_BODY
    connection.receive_data(b"abcGET")
    while not isinstance(connection.next_event(), h11.EndOfMessage):
        pass
    assert state() is h11.DONE
    assert connection.trailing_data[0] == b"GET"


def test_servers_take_sockets_when_they_start() -> None:
    assert inspect.iscoroutinefunction(Server.startup)
    assert parameters(Server.startup) == ["self", "sockets"]


def test_the_log_configuration_has_formats_to_lengthen() -> None:
    assert all("fmt" in formatter for formatter in LOGGING_CONFIG["formatters"].values())
    assert {"default", "access"} <= set(LOGGING_CONFIG["handlers"])


def test_forms_are_parsed_by_callbacks_and_spooled_above_a_size() -> None:
    assert parameters(MultiPartParser.on_headers_finished) == ["self"]
    assert parameters(MultiPartParser.on_end) == ["self"]
    assert isinstance(MultiPartParser.spool_max_size, int)
    assert "self.spool_max_size" in inspect.getsource(MultiPartParser.on_headers_finished)
    source = inspect.getsource(MultiPartParser)
    assert "self._current_part" in source
    assert "self._files_to_close_on_error" in source
